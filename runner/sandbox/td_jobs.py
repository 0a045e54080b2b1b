"""The Treasure Data sandbox's jobs: issued, run in a thread, over with success, error or killed."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime, timezone
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Any

from runner.sandbox.td_errors import SqlError
from runner.sandbox.td_faults import TdFault, TdFaultKind

if TYPE_CHECKING:
    from runner.sandbox.td_engine import Brake, Engine, Ran

_FIRST_JOB = 1000
_AT_ONCE = 4
_LABEL = "Sandbox: this ran in DuckDB on this machine; its SQL is only approximately Treasure Data's."
_FAILED = "Query failed: the sandbox was told to fail this job"


class JobStatus(Enum):
    """Where a job is; the value is Treasure Data's word."""

    QUEUED = "queued"
    RUNNING = "running"
    SUCCESS = "success"
    ERROR = "error"
    KILLED = "killed"


_OVER = frozenset({JobStatus.SUCCESS, JobStatus.ERROR, JobStatus.KILLED})


class KeyTakenError(Exception):
    """A job was issued under a domain key that another job has already; `job` is its id."""

    def __init__(self, job: str) -> None:
        super().__init__(job)
        self.job = job


@dataclass(frozen=True, slots=True, kw_only=True)
class JobRequest:
    """What a client asks for. `kind` is the job's type, such as presto; `scheduled` is in epoch seconds."""

    kind: str
    database: str
    query: str = ""
    domain_key: str | None = None
    scheduled: int | None = None
    priority: int = 0
    retry_limit: int = 0
    result_url: str = ""


@dataclass(slots=True, kw_only=True)
class Job:
    """One job. `stderr` and `error` say why it failed."""

    id: str
    request: JobRequest
    created: datetime
    work: Callable[[Brake], Ran]
    brake: Brake
    fault: TdFault | None = None
    status: JobStatus = JobStatus.QUEUED
    started: datetime | None = None
    ended: datetime | None = None
    ran: Ran | None = None
    stderr: str = ""
    error: Any = None
    over: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def is_over(self) -> bool:
        """Whether it has ended, in whatever way."""
        return self.status in _OVER

    def end(self, status: JobStatus, now: datetime) -> None:
        """End the job, unless it has ended already."""
        if not self.is_over:
            self.status, self.ended = status, now
        self.over.set()


class JobDesk:
    """All jobs of one sandbox. It belongs to the event loop; only the work itself runs in threads.

    `strike` gives the fault of the next job. Result files are kept in `folder`.
    """

    def __init__(
        self,
        tables: Any,  # noqa: ANN401 - TableStore; the engine is made with it when the first query comes
        *,
        folder: Callable[[], Path],
        seconds: float,
        now: Callable[[], datetime],
        strike: Callable[[], TdFault | None],
    ) -> None:
        self.jobs: dict[str, Job] = {}
        self.seconds = seconds
        self._tables = tables
        self._folder = folder
        self._now = now
        self._strike = strike
        self._keys: dict[str, str] = {}
        self._numbers = itertools.count(_FIRST_JOB)
        self._engine: Engine | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._pool = ThreadPoolExecutor(_AT_ONCE, thread_name_prefix="td-sandbox")

    def engine(self) -> Engine:
        """Return what runs SQL; DuckDB and sqlglot are loaded when it is first needed."""
        if self._engine is None:
            from runner.sandbox.td_engine import Engine

            self._engine = Engine(self._tables)
        return self._engine

    def issue(self, request: JobRequest, work: Callable[[Brake], Ran] | None = None) -> Job:
        """Start a job, a query unless `work` is given; KeyTakenError where its key was used before."""
        from runner.sandbox.td_engine import Brake

        if request.domain_key is not None and request.domain_key in self._keys:
            raise KeyTakenError(self._keys[request.domain_key])
        job = Job(
            id=str(next(self._numbers)),
            request=request,
            created=self._now(),
            work=lambda _: self._query(job),
            brake=Brake(),
            fault=self._strike(),
        )
        if work is not None:
            job.work = work
        self.jobs[job.id] = job
        if request.domain_key is not None:
            self._keys[request.domain_key] = job.id
        task = asyncio.get_running_loop().create_task(self._run(job))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return job

    def by_key(self, key: str) -> Job | None:
        """Return the job that was issued with this domain key."""
        return self.jobs.get(self._keys.get(key, ""))

    def kill(self, job: Job) -> JobStatus:
        """Stop a job, and return what it was before; one that is over stays as it is."""
        former = job.status
        if not job.is_over:
            job.brake.pull()
            job.stderr = "Query killed"
            job.end(JobStatus.KILLED, self._now())
        return former

    async def in_thread(self, work: Callable[[], Any]) -> Any:  # noqa: ANN401 - what the work returns
        """Run something that blocks beside the jobs' work."""
        return await asyncio.get_running_loop().run_in_executor(None, work)

    async def wait(self, job: Job, seconds: float) -> None:
        """Wait until a job is over, at most so long."""
        with suppress(asyncio.TimeoutError):
            await asyncio.wait_for(job.over.wait(), seconds)

    def is_slow(self, job: Job) -> bool:
        """Tell whether this job was told to take its time."""
        return self.seconds > 0 or (job.fault is not None and job.fault.kind is TdFaultKind.JOB_SLOW)

    def forget(self) -> None:
        """Forget all jobs and their keys; what runs is stopped."""
        for job in self.jobs.values():
            self.kill(job)
        self.jobs.clear()
        self._keys.clear()

    def close(self) -> None:
        """Stop what runs, and wait until its threads are done."""
        self.forget()
        for task in self._tasks:
            task.cancel()
        self._pool.shutdown()

    def _query(self, job: Job) -> Ran:
        from runner.sandbox.td_engine import Order

        request = job.request
        scheduled = int(job.created.timestamp()) if request.scheduled is None else request.scheduled
        order = Order(
            sql=request.query,
            dialect="hive" if request.kind == "hive" else "trino",
            database=request.database,
            scheduled=scheduled,
            now=int(job.created.timestamp()),
            target=self._folder() / f"job{job.id}",
        )
        return self.engine().run(order, job.brake)

    async def _run(self, job: Job) -> None:
        if job.is_over:
            return
        job.status, job.started = JobStatus.RUNNING, self._now()
        slow = job.fault is not None and job.fault.kind is TdFaultKind.JOB_SLOW
        seconds = (job.fault.seconds or 0.0) if slow and job.fault else self.seconds
        await self.wait(job, seconds)
        if job.fault is not None and not slow:
            self._fail(job, job.fault)
        elif not job.over.is_set():
            await self._work(job)

    async def _work(self, job: Job) -> None:
        try:
            job.ran = await asyncio.get_running_loop().run_in_executor(self._pool, job.work, job.brake)
        except SqlError as error:
            job.error = error
            job.stderr = job.stderr or f"Query {job.id} failed: {error.message}"
            job.end(JobStatus.ERROR, self._now())
        else:
            job.end(JobStatus.SUCCESS, self._now())
        finally:
            # Whatever else went wrong, nobody is left waiting.
            job.end(JobStatus.ERROR, self._now())

    def _fail(self, job: Job, fault: TdFault) -> None:
        if fault.kind is TdFaultKind.JOB_KILLED:
            self.kill(job)
            return
        job.stderr = fault.argument or _FAILED
        job.end(JobStatus.ERROR, self._now())


def shown(job: Job, origin: str) -> dict[str, Any]:
    """Return a job as /v3/job/show words it (reference/treasure-data.md §1.5)."""
    request, result = job.request, job.ran.result if job.ran else None
    return {
        **summary(job),
        "type": request.kind,
        "database": request.database,
        "query": request.query,
        "url": f"{origin}/sandbox/jobs/{job.id}",
        "priority": request.priority,
        "retry_limit": request.retry_limit,
        "result": request.result_url,
        "user_name": "Sandbox",
        "organization": None,
        "cpu_time": None,
        "num_records": result.rows if result else 0,
        "result_size": result.packed.stat().st_size if result else 0,
        "hive_result_schema": result.schema(hive=request.kind == "hive") if result else None,
        "debug": {"cmdout": f"{_LABEL}\n", "stderr": job.stderr},
    }


def summary(job: Job) -> dict[str, Any]:
    """Return a job as /v3/job/status words it."""
    seconds = (job.ended - job.started).total_seconds() if job.ended and job.started else None
    return {
        "job_id": job.id,
        "status": job.status.value,
        "created_at": _moment(job.created),
        "updated_at": _moment(job.ended or job.started or job.created),
        "start_at": _moment(job.started),
        "end_at": _moment(job.ended),
        "duration": None if seconds is None else int(seconds),
    }


def _moment(moment: datetime | None) -> str | None:
    return None if moment is None else moment.astimezone(timezone.utc).strftime("%Y-%m-%d %H:%M:%S UTC")
