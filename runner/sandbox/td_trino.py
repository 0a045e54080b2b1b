"""Trino's REST protocol, as the trino client speaks it (reference/treasure-data.md §1.3-1.5)."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from aiohttp import web

from runner.sandbox.td_answers import Answer, document, failure
from runner.sandbox.td_jobs import Job, JobDesk, JobRequest, JobStatus
from runner.sandbox.td_routes import Route

if TYPE_CHECKING:
    from runner.sandbox.td_results import StoredResult

_PAGE_ROWS = 10_000
_WAIT = 1.0
_COUNT = {"name": "rows", "type": "bigint", "typeSignature": {"rawType": "bigint", "arguments": []}}


@dataclass(slots=True, kw_only=True)
class _Reading:
    """A query that a client reads page by page: the token of the page to come, and the one before it."""

    job: Job
    token: int = 0
    pages: Iterator[list[list[Any]]] | None = None
    shown: int = 0
    last: dict[str, Any] = field(default_factory=dict)


class TrinoRoutes:
    """Answers /v1/statement. Each statement is a job of the desk, of the kind `trino`."""

    def __init__(self, desk: JobDesk) -> None:
        self._desk = desk
        self._queries: dict[str, _Reading] = {}

    def routes(self) -> list[Route]:
        """Return every path."""
        page = "/v1/statement/executing/{id}/{token:[0-9]{1,9}}"
        return [
            Route(method="POST", path="/v1/statement", call="trino", handler=self._issue),
            Route(method="GET", path=page, call="trino_next", handler=self._next),
            Route(method="DELETE", path=page, call="trino_cancel", handler=self._cancel),
        ]

    async def _issue(self, request: web.Request) -> Answer:
        sql = (await request.read()).decode("utf-8", "replace")
        database = request.headers.get("X-Trino-Schema", "").lower()
        job = self._desk.issue(JobRequest(kind="trino", database=database, query=sql))
        reading = _Reading(job=job)
        self._queries[job.id] = reading
        return document(_page(request, reading, "QUEUED", reading.token))

    async def _next(self, request: web.Request) -> Answer:
        reading = self._queries.get(request.match_info["id"])
        token = int(request.match_info["token"])
        if reading is None or token not in {reading.token, reading.token - 1}:
            return failure(404, "Query not found")
        if token == reading.token - 1:
            # The client did not get that page: it is the same once more.
            return document(reading.last)
        await self._desk.wait(reading.job, _WAIT)
        reading.last = await self._desk.in_thread(lambda: _following(request, reading))
        reading.token += 1
        return document(reading.last)

    async def _cancel(self, request: web.Request) -> Answer:
        reading = self._queries.pop(request.match_info["id"], None)
        if reading is not None:
            self._desk.kill(reading.job)
        return Answer(status=204)


def _following(request: web.Request, reading: _Reading) -> dict[str, Any]:
    """Return the page of the reading's token."""
    job = reading.job
    if not job.is_over:
        return _page(request, reading, "RUNNING", reading.token + 1)
    if job.status is not JobStatus.SUCCESS or job.ran is None:
        return {**_page(request, reading, "FAILED", None), "error": _error(job)}
    if job.ran.result is None:
        return {**_page(request, reading, "FINISHED", None), **_written(job)}
    return _rows(request, reading, job.ran.result)


def _rows(request: web.Request, reading: _Reading, result: StoredResult) -> dict[str, Any]:
    if reading.pages is None:
        reading.pages = result.pages(_PAGE_ROWS)
    rows = next(reading.pages, [])
    reading.shown += len(rows)
    more = reading.shown < result.rows
    page = _page(request, reading, "RUNNING" if more else "FINISHED", reading.token + 1 if more else None)
    page["columns"] = [
        {"name": column.name, "type": column.kind, "typeSignature": column.signature}
        for column in result.columns
    ]
    if rows:
        page["data"] = [[_finite(value) for value in row] for row in rows]
    return page


def _finite(value: Any) -> Any:  # noqa: ANN401 - a value of a row
    """Return a value as JSON can hold it: Trino writes what is not a number as text."""
    if not isinstance(value, float) or math.isfinite(value):
        return value
    if math.isnan(value):
        return "NaN"
    return "Infinity" if value > 0 else "-Infinity"


def _written(job: Job) -> dict[str, Any]:
    """Return what INSERT, CREATE and DROP answer."""
    if job.ran is None:
        return {}
    kind, written = job.ran.kind.value, job.ran.written
    if kind in {"CREATE TABLE", "DROP TABLE"}:
        return {"updateType": kind}
    return {"updateType": kind, "updateCount": written, "columns": [_COUNT], "data": [[written]]}


def _page(request: web.Request, reading: _Reading, state: str, token: int | None) -> dict[str, Any]:
    """Return what every page has; a `token` says that another one follows."""
    origin, identity = request.url.origin(), reading.job.id
    page: dict[str, Any] = {
        "id": identity,
        "infoUri": f"{origin}/sandbox/jobs/{identity}",
        "stats": _stats(state),
        "warnings": [],
    }
    if token is not None:
        page["nextUri"] = f"{origin}/v1/statement/executing/{identity}/{token}"
    return page


def _stats(state: str) -> dict[str, Any]:
    numbers = itertools.product(("nodes", "totalSplits", "queuedSplits", "runningSplits"), (0,))
    return {"state": state, "queued": state == "QUEUED", "scheduled": state != "QUEUED", **dict(numbers)}


def _error(job: Job) -> dict[str, Any]:
    """Return Trino's error object for a job that failed or was killed."""
    if job.error is not None:
        name, code, kind, text = job.error.name, job.error.code, job.error.kind, job.error.message
    elif job.status is JobStatus.KILLED:
        name, code, kind, text = "ADMINISTRATIVELY_KILLED", 24, "USER_ERROR", job.stderr
    else:
        name, code, kind, text = "GENERIC_INTERNAL_ERROR", 65536, "INTERNAL_ERROR", job.stderr
    return {
        "message": text,
        "errorCode": code,
        "errorName": name,
        "errorType": kind,
        "failureInfo": {"type": name, "message": text, "suppressed": [], "stack": []},
    }
