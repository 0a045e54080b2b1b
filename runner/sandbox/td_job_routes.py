"""The paths of jobs: issue, status, show, list, kill and result (reference/treasure-data.md §1.5, §2.3)."""

from __future__ import annotations

import re
from datetime import datetime, timezone

from aiohttp import web

from runner.sandbox.td_answers import Answer, document, failure, file_answer
from runner.sandbox.td_jobs import Job, JobDesk, JobRequest, JobStatus, KeyTakenError, shown, summary
from runner.sandbox.td_routes import Route, fields, whole_number
from runner.sandbox.td_tables import TableStore

_KINDS = frozenset({"presto", "trino", "hive"})
_EPOCH = re.compile(r"\d{1,12}")
#: How long a question for the status waits for the end of a job that was not told to be slow, in seconds:
#: clients ask again only after five seconds, and most jobs here end sooner.
_PATIENCE = 2.0
_LISTED = 20


class JobRoutes:
    """Answers what clients ask of jobs."""

    def __init__(self, desk: JobDesk, tables: TableStore) -> None:
        self._desk = desk
        self._tables = tables

    def routes(self) -> list[Route]:
        """Return every path."""
        paths = [
            ("POST", "/v3/job/issue/{kind}/{database}", "job_issue", self._issue),
            ("GET", "/v3/job/status/{id}", "job_status", self._status),
            ("GET", "/v3/job/status_by_domain_key/{key}", "job_by_key", self._by_key),
            ("GET", "/v3/job/show/{id}", "job_show", self._show),
            ("GET", "/v3/job/list", "job_list", self._list),
            ("POST", "/v3/job/kill/{id}", "job_kill", self._kill),
            ("GET", "/v3/job/result/{id}", "job_result", self._result),
        ]
        return [Route(method=m, path=path, call=call, handler=handler) for m, path, call, handler in paths]

    async def _issue(self, request: web.Request) -> Answer:
        """Issue a job.

        A domain key that was used before gets 409, and `details.conflicts_with` is the first job's id: so
        td-client-java reads it, and td-client shows it within its AlreadyExistsError. UNKNOWN: the words of
        `text`; how long a key stays taken (here as long as the sandbox runs); whether a key is free again
        when its job failed (here it is not).
        """
        kind, database = request.match_info["kind"], request.match_info["database"].lower()
        given = await fields(request)
        if kind not in _KINDS:
            return failure(422, f"This sandbox runs no jobs of the type {kind}")
        if database not in self._tables.databases():
            return failure(404, f"Resource not found: Database {database} does not exist")
        if not given.get("query", "").strip():
            return failure(422, "Query is required")
        scheduled = given.get("scheduled_time", "").strip()
        moment = _moment(scheduled)
        if scheduled and moment is None:
            return failure(422, f"Invalid scheduled_time {scheduled!r}")
        asked = JobRequest(
            kind=kind,
            database=database,
            query=given["query"],
            domain_key=given.get("domain_key") or None,
            scheduled=moment,
            priority=whole_number(given.get("priority", ""), 0),
            retry_limit=whole_number(given.get("retry_limit", ""), 0),
            result_url=given.get("result", ""),
        )
        try:
            job = self._desk.issue(asked)
        except KeyTakenError as taken:
            text = f"Domain key has already been taken by job {taken.job}"
            return failure(409, text, details={"conflicts_with": taken.job})
        return document({"job": job.id, "job_id": job.id, "database": database})

    async def _status(self, request: web.Request) -> Answer:
        job = self._desk.jobs.get(request.match_info["id"])
        if job is None:
            return _no_job()
        if not job.is_over and not self._desk.is_slow(job):
            await self._desk.wait(job, _PATIENCE)
        return document(summary(job))

    async def _by_key(self, request: web.Request) -> Answer:
        job = self._desk.by_key(request.match_info["key"])
        return _no_job() if job is None else document(summary(job))

    async def _show(self, request: web.Request) -> Answer:
        job = self._desk.jobs.get(request.match_info["id"])
        return _no_job() if job is None else document(shown(job, str(request.url.origin())))

    async def _list(self, request: web.Request) -> Answer:
        """List jobs, the youngest first; `from` and `to` are places in this list, both included."""
        first = whole_number(request.query.get("from", ""), 0)
        last = whole_number(request.query.get("to", ""), first + _LISTED - 1)
        wanted = request.query.get("status")
        jobs = [job for job in reversed(self._desk.jobs.values()) if wanted in {None, job.status.value}]
        origin = str(request.url.origin())
        listed = [shown(job, origin) for job in jobs[first : last + 1]]
        return document({"count": len(jobs), "from": first, "to": last, "jobs": listed})

    async def _kill(self, request: web.Request) -> Answer:
        job = self._desk.jobs.get(request.match_info["id"])
        if job is None:
            return _no_job()
        former = self._desk.kill(job)
        return document({"former_status": former.value, "job_id": job.id})

    async def _result(self, request: web.Request) -> Answer:
        """Return the rows: msgpack arrays one after another, compressed or not, or a part of that."""
        job = self._desk.jobs.get(request.match_info["id"])
        if job is None:
            return _no_job()
        wanted = request.query.get("format", "msgpack")
        if job.status is not JobStatus.SUCCESS:
            return failure(404, f"Resource not found: the job is {job.status.value} and has no result")
        return _rows(job, wanted, request.headers.get("Range"))


def _rows(job: Job, wanted: str, part: str | None) -> Answer:
    result = job.ran.result if job.ran else None
    if wanted not in {"msgpack", "msgpack.gz"}:
        return failure(422, f"This sandbox gives results as msgpack or msgpack.gz, not {wanted}")
    if result is None:
        return Answer(content_type="application/octet-stream")
    return file_answer(result.packed if wanted == "msgpack.gz" else result.plain, part)


def _no_job() -> Answer:
    return failure(404, "Resource not found: there is no such job")


def _moment(text: str) -> int | None:
    """Read a scheduled time, epoch seconds or a date with its offset (UTC without); None where it is none."""
    if _EPOCH.fullmatch(text):
        return int(text)
    try:
        moment = datetime.fromisoformat(text.replace(" UTC", "+00:00").replace("Z", "+00:00"))
    except ValueError:
        return None
    return int((moment if moment.tzinfo else moment.replace(tzinfo=timezone.utc)).timestamp())
