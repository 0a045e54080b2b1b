"""A query as a job of Treasure Data: submitted once, found again after a kill, waited for, killed on Ctrl-C.

Before a job is submitted, an errand file holds the domain key that it will have: Treasure Data takes a domain
key once (reference/treasure-data.md §2.3), so a plan that is killed and made again finds its job, and a plan
made afresh gets fresh rows. The errand ends when the rows are safe.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import secrets
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any

from runner.errors import SegmentError, TreasureDataError
from runner.masking import harmless, mask_phone
from runner.treasure_data.account import Account
from runner.treasure_data.client import explained, is_refusal, open_client

#: An errand older than this is not gone on with: its rows would be old, and a killed plan is long forgotten.
_ERRAND_SECONDS = 6 * 3600.0
_FIRST_WAIT, _LONGEST_WAIT, _GROWTH = 0.2, 5.0, 1.5
#: How long one plan waits for its job; less than an errand lasts, so that the next plan can go on waiting.
_WAIT_SECONDS = 4 * 3600.0
#: How often a person hears that the job still runs, in seconds.
_TELL_EVERY = 15.0
_SHOWN = 400
_TYPES = {"trino": "trino", "hive": "hive"}
_NUMBER = re.compile(r"\d+")
_DIGITS = re.compile(r"\d{7,}")
_OK = 200
_OVER = frozenset({"success", "error", "killed"})


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
    """What waiting for a job needs: where errands are kept, the clock, and whom to tell."""

    folder: Path
    now: Callable[[], float]
    sleep: Callable[[float], None]
    tell: Callable[[str], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class FinishedJob:
    """A job that succeeded: its columns as (name, type of the engine) and how many rows it says it has.

    `resumed_after` is, in seconds, how long ago a plan before began it; None for a job of this plan.
    """

    id: str
    url: str
    columns: tuple[tuple[str, str], ...]
    rows: int | None
    client: Any
    resumed_after: float | None = None


@contextmanager
def finished_job(account: Account, query: Query, around: Surroundings) -> Iterator[FinishedJob]:
    """Run the query, or go on with the job that a killed plan began, and give it once it has succeeded.

    The errand ends with the block, unless the block fails with a TreasureDataError: then the next plan takes
    the same job. Errors: SegmentError (the job failed or was killed), TreasureDataError.
    """
    client = open_client(account)
    errand = _errand(account, client, query, around)
    try:
        job = _awaited(account, client, query, errand, around)
        yield replace(_finished(account, client, job), resumed_after=errand.resumed_after)
    except TreasureDataError:
        raise
    except BaseException:
        # Not where nobody knows yet whether there is a job: by its key the next plan will find out.
        if errand.job is not None:
            errand.end()
        raise
    errand.end()


def _awaited(account: Account, client: Any, query: Query, errand: _Errand, around: Surroundings) -> str:  # noqa: ANN401 - td-client's
    """Submit the query, unless that was done, and wait for the job's end; Ctrl-C kills it."""
    try:
        if errand.job is None:
            errand.keep(_submit(account, client, query, errand))
        job = str(errand.job)
        _wait(account, client, job, around)
    except KeyboardInterrupt:
        _kill(account, client, errand, around)
        raise
    return job


def _errand(account: Account, client: Any, query: Query, around: Surroundings) -> _Errand:  # noqa: ANN401 - td-client's
    """Return the errand that a killed plan left, if there is still something to wait for, or a new one."""
    errand = _Errand.of(account, query, around)
    if errand.resumed_after is None:
        return errand
    if errand.job is None:
        around.tell("going on where a plan before broke off while it submitted the query")
        return errand
    became = _became(account, client, errand.job)
    if became is None:
        around.tell(f"going on with job {errand.job} of a plan before")
        return errand
    around.tell(f"job {errand.job} of a plan before {became}; another is started")
    errand.end()
    return _Errand.of(account, query, around)


def _became(account: Account, client: Any, job: str) -> str | None:  # noqa: ANN401 - td-client's
    """Return, in words, why there is nothing to wait for; None when the job runs or has succeeded."""
    from tdclient.errors import NotFoundError

    with explained(account, f"asking for the status of job {job}"):
        try:
            status = client.job_status(job)
        except NotFoundError:
            return "is not there any more"
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
        errand = cls(path, f"runner-{name}-{secrets.token_hex(6)}", now)
        errand.keep(None)
        return errand

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


def _submit(account: Account, client: Any, query: Query, errand: _Errand) -> str:  # noqa: ANN401 - td-client's
    extra = {"domain_key": errand.domain_key}
    if query.scheduled_at is not None:
        extra["scheduled_time"] = str(int(query.scheduled_at.timestamp()))
    try:
        with explained(account, f"submitting the query to database {query.database}"):
            return _job_of(client, query, errand.domain_key, extra)
    except TreasureDataError as error:
        if is_refusal(error):
            errand.end()
        raise


def _job_of(client: Any, query: Query, domain_key: str, extra: dict[str, str]) -> str:  # noqa: ANN401 - td-client's
    from tdclient.errors import AlreadyExistsError

    try:
        return str(client.query(query.database, query.sql, type=_TYPES[query.engine], **extra).job_id)
    except AlreadyExistsError as conflict:
        # A plan was killed between its request and the answer. td-client-java reads the first job's id from
        # the 409 (`details.conflicts_with`), and so does TD Workflow; UNKNOWN: whether the service may also
        # answer with the first job as if it were new, which is read just as well.
        return _job_of_key(client, domain_key, conflict)


def _job_of_key(client: Any, domain_key: str, conflict: Exception) -> str:  # noqa: ANN401 - td-client's
    with client.api.get(f"/v3/job/status_by_domain_key/{domain_key}") as answer:
        body = answer.read()
    if answer.status == _OK:
        return str(client.api.checked_json(body, ["job_id"])["job_id"])
    found = re.search(r'conflicts_with"?\s*:\s*"?(\d+)', str(conflict))
    if found is None:
        raise conflict
    return found[1]


def _wait(account: Account, client: Any, job: str, around: Surroundings) -> None:  # noqa: ANN401 - td-client's
    """Wait until the job is over; SegmentError when it failed or was killed."""
    began = told = around.now()
    pause, url = _FIRST_WAIT, ""
    while True:
        with explained(account, f"asking for the status of job {job}"):
            status = client.job_status(job)
        if status in _OVER:
            break
        waited = around.now() - began
        if waited >= _WAIT_SECONDS:
            raise TreasureDataError(
                f"job {job} is {status} after {waited / 3600:.0f} hours",
                hint="plan again to wait for it again, or kill it in Treasure Data",
            )
        if around.now() - told >= _TELL_EVERY:
            told, url = around.now(), url or _url(account, client, job)
            around.tell(f"job {job} is {status}, {waited:.0f} s so far{url}")
        around.sleep(pause)
        pause = min(_LONGEST_WAIT, pause * _GROWTH)
    if status == "killed":
        raise SegmentError(f"job {job} was killed in Treasure Data", hint="plan again to start another")
    if status == "error":
        raise _failed(account, client, job)


def _url(account: Account, client: Any, job: str) -> str:  # noqa: ANN401 - td-client's
    """Return where a person can see the job, to be put behind a sentence; nothing where it cannot be had."""
    try:
        with explained(account, f"asking for the page of job {job}"):
            url = client.api.show_job(job).get("url")
    except TreasureDataError:
        return ""
    return f": {harmless(str(url))}" if url else ""


def _failed(account: Account, client: Any, job: str) -> SegmentError:  # noqa: ANN401 - td-client's
    """Return the job's own error text: td-client itself says only that it failed (§1.7)."""
    with explained(account, f"asking why job {job} failed"):
        shown = client.api.show_job(job)
    debug = shown.get("debug") or {}
    text = debug.get("stderr") or debug.get("cmdout") or "it gave no reason"
    lines = [line.strip() for line in str(text).splitlines() if line.strip()] or ["it gave no reason"]
    said = next((line for line in lines if "error" in line.lower() or "failed" in line.lower()), lines[-1])
    hint = f"see {harmless(str(shown['url']))}" if shown.get("url") else "look at the job in Treasure Data"
    # An engine's words may quote a value of a row.
    said = _DIGITS.sub(lambda digits: mask_phone(digits.group()), said.replace(account.key, "***"))
    return SegmentError(f"job {job} failed: {harmless(said)[:_SHOWN]}", hint=hint)


def _finished(account: Account, client: Any, job: str) -> FinishedJob:  # noqa: ANN401 - td-client's
    with explained(account, f"asking for the columns of job {job}"):
        shown = client.api.show_job(job)
    rows = shown.get("num_records")
    columns = tuple((str(name), str(kind)) for name, kind, *_ in shown.get("hive_result_schema") or ())
    return FinishedJob(
        id=job,
        url=harmless(str(shown.get("url") or "")),
        columns=columns,
        rows=int(rows) if rows is not None and _NUMBER.fullmatch(str(rows)) else None,
        client=client,
    )


def _kill(account: Account, client: Any, errand: _Errand, around: Surroundings) -> None:  # noqa: ANN401 - td-client's
    if errand.job is None:
        around.tell("the job may have begun all the same: the next plan of this campaign finds it")
        return
    try:
        with explained(account, f"killing job {errand.job}"):
            client.kill(errand.job)
    except TreasureDataError as error:
        around.tell(f"{error.message}: job {errand.job} may still run")
    else:
        around.tell(f"job {errand.job} was killed")
