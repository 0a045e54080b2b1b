"""A query as a job of Treasure Data: submitted once, found again after a kill, waited for, killed on Ctrl-C.

Before a job is submitted, an errand file holds the domain key that it will have: Treasure Data takes a domain
key once (reference/treasure-data.md §2.3), so a plan that is killed and made again finds its job, and a plan
made afresh gets fresh rows. The errand ends when the rows are safe.

Where the disk is forgotten, a workflow's session stands for the file: all its attempts derive the same key
from it, and a later one takes the job of an earlier one, if that came to something.
"""

from __future__ import annotations

import hashlib
import json
import os
import random
import re
import secrets
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any, TypeVar

from runner.errors import SegmentError, TreasureDataError
from runner.masking import harmless, mask_phone
from runner.treasure_data.account import Account
from runner.treasure_data.calls import Calls, Refused
from runner.treasure_data.client import in_words

#: An errand older than this is not gone on with: its rows would be old, and a killed plan is long forgotten.
_ERRAND_SECONDS = 6 * 3600.0
_FIRST_WAIT, _LONGEST_WAIT, _GROWTH = 0.2, 5.0, 1.5
#: How long one plan waits for its job; less than an errand lasts, so that the next plan can go on waiting.
_WAIT_SECONDS = 4 * 3600.0
#: How often a person hears that the job still runs, in seconds.
_TELL_EVERY = 15.0
#: How many jobs of one session may have come to nothing before it is given up.
_MOST_OF_A_SESSION = 50
_SHOWN = 400
_TYPES = {"trino": "trino", "hive": "hive"}
_NUMBER = re.compile(r"\d+")
_DIGITS = re.compile(r"\d{7,}")
_OK, _NOT_FOUND, _CONFLICT, _TOO_LARGE, _REFUSALS = 200, 404, 409, 413, range(400, 500)
_OVER = frozenset({"success", "error", "killed"})

Result = TypeVar("Result")


@dataclass(frozen=True, slots=True, kw_only=True)
class Query:
    """What a job is for. `scheduled_at` is the instant that TD_SCHEDULED_TIME() stands for."""

    campaign: str
    engine: str
    database: str
    sql: str
    scheduled_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Surroundings:
    """What waiting for a job needs: where errands are kept, the clock, and whom to tell.

    `session` names the workflow's session that this plan is part of, None outside one.
    """

    folder: Path
    now: Callable[[], float]
    sleep: Callable[[float], None]
    tell: Callable[[str], None]
    jitter: Callable[[], float] = random.random
    session: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class FinishedJob:
    """A job that succeeded: its columns as (name, type of the engine) and how many rows it says it has.

    `resumed_after` is, in seconds, how long ago a plan before began it; None for a job of this plan.
    """

    id: str
    url: str
    columns: tuple[tuple[str, str], ...]
    rows: int | None
    calls: Calls
    resumed_after: float | None = None


@contextmanager
def finished_job(account: Account, query: Query, around: Surroundings) -> Iterator[FinishedJob]:
    """Run the query, or go on with the job that a killed plan began, and give it once it has succeeded.

    The errand ends with the block, unless the block fails with a TreasureDataError: then the next plan takes
    the same job. Errors: SegmentError (the job failed or was killed), TreasureDataError.
    """
    jobs = _Jobs(account, around)
    errand = _errand(jobs, query)
    try:
        job = _awaited(jobs, query, errand)
        yield replace(_finished(jobs, job), resumed_after=errand.resumed_after)
    except TreasureDataError:
        raise
    except BaseException:
        # Not where nobody knows yet whether there is a job: by its key the next plan will find out.
        if errand.job is not None:
            errand.end()
        raise
    errand.end()


class _Jobs:
    """The calls about jobs, each with its errors in words."""

    def __init__(self, account: Account, around: Surroundings) -> None:
        self.account = account
        self.around = around
        self.calls = Calls(account, around, TreasureDataError)

    def ask(
        self, doing: str, request: Callable[[Any], Result], hints: Mapping[int, str] | None = None
    ) -> Result:
        """Make a request until it is through. Errors: TreasureDataError; `hints` are remedies by status."""
        try:
            return self.calls.call(doing, request)
        except Refused as refused:
            raise in_words(
                self.account, doing, refused.error, status=refused.status, hints=hints
            ) from refused

    def status(self, job: str) -> str:
        """Return a job's status."""
        return str(self.ask(f"asking for the status of job {job}", lambda client: client.job_status(job)))

    def shown(self, job: str, doing: str) -> dict[str, Any]:
        """Return all that is shown of a job."""
        found: dict[str, Any] = self.ask(f"{doing} job {job}", lambda client: client.api.show_job(job))
        return found


def _refusal(error: TreasureDataError) -> int | None:
    """Return the status of an answer that nothing was done (4xx), so that it need not be looked for."""
    refused = error.__cause__
    return refused.status if isinstance(refused, Refused) and refused.status in _REFUSALS else None


def _awaited(jobs: _Jobs, query: Query, errand: _Errand) -> str:
    """Submit the query, unless that was done, and wait for the job's end; Ctrl-C kills it."""
    try:
        if errand.job is None:
            errand.keep(_submitted(jobs, query, errand))
        job = str(errand.job)
        _wait(jobs, job)
    except KeyboardInterrupt:
        _kill(jobs, errand)
        raise
    return job


def _errand(jobs: _Jobs, query: Query) -> _Errand:
    """Return the errand that a killed plan left, if there is still something to wait for, or a new one."""
    around = jobs.around
    errand = _Errand.of(jobs.account, query, around)
    if errand.resumed_after is None:
        return errand
    if errand.job is None:
        around.tell("going on where a plan before broke off while it submitted the query")
        return errand
    became = _became(jobs, errand.job)
    if became is None:
        around.tell(f"going on with job {errand.job} of a plan before")
        return errand
    around.tell(f"job {errand.job} of a plan before {became}; another is started")
    errand.end()
    return _Errand.of(jobs.account, query, around)


def _became(jobs: _Jobs, job: str) -> str | None:
    """Return, in words, why there is nothing to wait for; None when the job runs or has succeeded."""
    try:
        status = jobs.status(job)
    except TreasureDataError as error:
        if _refusal(error) == _NOT_FOUND:
            return "is not there any more"
        raise
    return {"error": "failed", "killed": "was killed"}.get(status)


class _Errand:
    """What was asked for and not brought home yet, in a file of mode 0600."""

    def __init__(self, path: Path, domain_key: str, began_at: float) -> None:
        self.domain_key = domain_key
        self.job: str | None = None
        self.resumed_after: float | None = None
        self._path = path
        self._began_at = began_at

    @classmethod
    def of(cls, account: Account, query: Query, around: Surroundings) -> _Errand:
        """Return the errand for this very query: the one that a killed plan left, or a new one."""
        asked = (account.api, query.campaign, query.engine, query.database, query.sql, query.scheduled_at)
        name = hashlib.sha256(json.dumps(asked, default=str).encode()).hexdigest()[:24]
        path, now = around.folder / f"{name}.json", around.now()
        left = _read(path)
        if left is not None and 0 <= now - left["began_at"] < _ERRAND_SECONDS:
            errand = cls(path, left["domain_key"], left["began_at"])
            errand.job, errand.resumed_after = left["job"], now - left["began_at"]
            return errand
        errand = cls(path, f"runner-{name}-{_once(around.session)}", now)
        errand.keep(None)
        return errand

    def take_key(self, domain_key: str) -> None:
        """Have another key, as the job of the one before came to nothing."""
        self.domain_key = domain_key
        self.keep(None)

    def keep(self, job: str | None) -> None:
        """Write down what is known."""
        self.job = job
        document = {"domain_key": self.domain_key, "job": job, "began_at": self._began_at}
        temporary = self._path.with_suffix(".new")
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
            with os.fdopen(descriptor, "w", encoding="utf-8") as file:
                json.dump(document, file)
            temporary.replace(self._path)
        except OSError as error:
            raise SegmentError(
                f"the query cannot be noted down: {error.strerror}", hint="check the state folder"
            ) from error

    def end(self) -> None:
        """Forget the errand."""
        self._path.unlink(missing_ok=True)


def _read(path: Path) -> dict[str, Any] | None:
    """Return what an errand file says; None when there is none, or it is damaged."""
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
        return {
            "domain_key": str(document["domain_key"]),
            "job": None if document["job"] is None else str(document["job"]),
            "began_at": float(document["began_at"]),
        }
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _once(session: str | None) -> str:
    """Return what makes a domain key this plan's own, or that of all attempts of a workflow's session."""
    return secrets.token_hex(6) if session is None else hashlib.sha256(session.encode()).hexdigest()[:12]


def _submitted(jobs: _Jobs, query: Query, errand: _Errand) -> str:
    """Submit the query and return its job: the one of an attempt before, if that came to something."""
    first_key = errand.domain_key
    for number in range(2, _MOST_OF_A_SESSION + 2):
        job, is_new = _submit(jobs, query, errand)
        if is_new or jobs.around.session is None:
            return job
        age, became = _looked_at(jobs, job)
        if became is None:
            jobs.around.tell(f"going on with job {job} of an attempt before")
            errand.resumed_after = age
            return job
        jobs.around.tell(f"job {job} of an attempt before {became}; another is started")
        errand.take_key(f"{first_key}-{number}")
    raise SegmentError(
        f"{_MOST_OF_A_SESSION} jobs of this session came to nothing", hint="look at them in Treasure Data"
    )


def _looked_at(jobs: _Jobs, job: str) -> tuple[float, str | None]:
    """Return a job's age in seconds, and, in words, why its rows are none to take, None when they are."""
    became = _became(jobs, job)
    created = jobs.shown(job, "asking for the age of").get("created_at")
    age = jobs.around.now() - created.timestamp() if isinstance(created, datetime) else 0.0
    return age, became or (f"is {age / 3600:.0f} hours old" if age >= _ERRAND_SECONDS else None)


def _submit(jobs: _Jobs, query: Query, errand: _Errand) -> tuple[str, bool]:
    """Return the job of the errand's key, and whether it is certainly new."""
    doing = f"submitting the query to database {query.database}"
    extra = {"domain_key": errand.domain_key}
    if query.scheduled_at is not None:
        extra["scheduled_time"] = str(int(query.scheduled_at.timestamp()))
    hints = {
        _NOT_FOUND: f"is there a database {query.database}? `td db:list` shows all",
        _TOO_LARGE: "make the query shorter",
    }
    kind = _TYPES[query.engine]

    def submitted(client: Any) -> str:  # noqa: ANN401 - td-client's
        return str(client.query(query.database, query.sql, type=kind, **extra).job_id)

    try:
        return jobs.ask(doing, submitted, hints), True
    except TreasureDataError as error:
        status = _refusal(error)
        if status == _CONFLICT:
            # A plan was killed between its request and the answer. td-client-java reads the first job's id
            # from the 409 (`details.conflicts_with`), and so does TD Workflow; UNKNOWN: whether the service
            # may also answer with the first job as if it were new, which is read just as well.
            return _job_of_key(jobs, errand, error), False
        if status is not None:
            errand.end()
        raise


def _job_of_key(jobs: _Jobs, errand: _Errand, conflict: TreasureDataError) -> str:
    """Return the job that took the errand's key; without one the errand ends, and the conflict is raised."""
    key = errand.domain_key

    def found(client: Any) -> str | None:  # noqa: ANN401 - td-client's
        with client.api.get(f"/v3/job/status_by_domain_key/{key}") as answer:
            body = answer.read()
        return str(client.api.checked_json(body, ["job_id"])["job_id"]) if answer.status == _OK else None

    job = jobs.ask("asking for the job of the query", found)
    named = re.search(r'conflicts_with"?\s*:\s*"?(\d+)', str(_said_by(conflict)))
    if job is None and named is None:
        errand.end()
        raise conflict
    return job or str(named and named[1])


def _said_by(conflict: TreasureDataError) -> Exception | None:
    refused = conflict.__cause__
    return refused.error if isinstance(refused, Refused) else None


def _wait(jobs: _Jobs, job: str) -> None:
    """Wait until the job is over; SegmentError when it failed or was killed."""
    around = jobs.around
    began = told = around.now()
    pause, url = _FIRST_WAIT, ""
    while (status := jobs.status(job)) not in _OVER:
        waited = around.now() - began
        if waited >= _WAIT_SECONDS:
            raise TreasureDataError(
                f"job {job} is {status} after {waited / 3600:.0f} hours",
                hint="plan again to wait for it again, or kill it in Treasure Data",
            )
        if around.now() - told >= _TELL_EVERY:
            told, url = around.now(), url or _url(jobs, job)
            around.tell(f"job {job} is {status}, {waited:.0f} s so far{url}")
        around.sleep(pause)
        pause = min(_LONGEST_WAIT, pause * _GROWTH)
    if status == "killed":
        raise SegmentError(f"job {job} was killed in Treasure Data", hint="plan again to start another")
    if status == "error":
        raise _failed(jobs, job)


def _url(jobs: _Jobs, job: str) -> str:
    """Return where a person can see the job, to be put behind a sentence; nothing where it cannot be had."""
    try:
        url = jobs.shown(job, "asking for the page of").get("url")
    except TreasureDataError:
        return ""
    return f": {harmless(str(url))}" if url else ""


def _failed(jobs: _Jobs, job: str) -> SegmentError:
    """Return the job's own error text: td-client itself says only that it failed (§1.7)."""
    shown = jobs.shown(job, "asking for the reason of")
    debug = shown.get("debug") or {}
    text = debug.get("stderr") or debug.get("cmdout") or "it gave no reason"
    lines = [line.strip() for line in str(text).splitlines() if line.strip()] or ["it gave no reason"]
    said = next((line for line in lines if "error" in line.lower() or "failed" in line.lower()), lines[-1])
    hint = f"see {harmless(str(shown['url']))}" if shown.get("url") else "look at the job in Treasure Data"
    # An engine's words may quote a value of a row.
    said = _DIGITS.sub(lambda digits: mask_phone(digits.group()), said.replace(jobs.account.key, "***"))
    return SegmentError(f"job {job} failed: {harmless(said)[:_SHOWN]}", hint=hint)


def _finished(jobs: _Jobs, job: str) -> FinishedJob:
    shown = jobs.shown(job, "asking for the columns of")
    rows = shown.get("num_records")
    columns = tuple((str(name), str(kind)) for name, kind, *_ in shown.get("hive_result_schema") or ())
    return FinishedJob(
        id=job,
        url=harmless(str(shown.get("url") or "")),
        columns=columns,
        rows=int(rows) if rows is not None and _NUMBER.fullmatch(str(rows)) else None,
        calls=jobs.calls,
    )


def _kill(jobs: _Jobs, errand: _Errand) -> None:
    if errand.job is None:
        jobs.around.tell("the job may have begun all the same: the next plan of this campaign finds it")
        return
    try:
        jobs.ask(f"killing job {errand.job}", lambda client: client.kill(errand.job))
    except TreasureDataError as error:
        jobs.around.tell(f"{error.message}: job {errand.job} may still run")
    else:
        jobs.around.tell(f"job {errand.job} was killed")
