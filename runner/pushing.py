"""Push a run's log: the ledger's events, in batches that are cut once, to each log of the campaign.

A batch is marked in the ledger when it is in the log. Between the two a push may be killed; the next one
pushes the same batch again, with the same rows under the same id or file name, which changes nothing.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from runner.errors import LogError, RunnerError, TreasureDataError, UsageError
from runner.ledger.held_out import HeldOut
from runner.ledger.interface import Event, LogBatch, PlanRecord, RunRecord
from runner.log_streams import STREAMS
from runner.logs import open_log
from runner.logs.interface import Log, LoggedRun, LogTools

#: The most rows of a batch. Treasure Data documents no limit of an import; its own collector keeps to 8,096
#: (fluent-plugin-td, out_tdlog.rb).
BATCH_ROWS = 8_000

#: What one log may fail of without holding up the others.
_OF_ONE_LOG = (LogError, TreasureDataError, UsageError)


class NotWhollyLogged(LogError):  # noqa: N818 - named after what is the matter
    """Some rows of `runs` (their numbers) are not in every log they belong in."""

    def __init__(self, message: str, *, hint: str, runs: Sequence[int]) -> None:
        super().__init__(message, hint=hint)
        self.runs = tuple(runs)


class LogLedger(Protocol):
    """What pushing needs of a ledger."""

    def identity(self) -> str: ...  # noqa: D102 - see ledger/interface.py
    def runs(self) -> list[RunRecord]: ...  # noqa: D102
    def run_record(self, run: int) -> RunRecord | None: ...  # noqa: D102
    def plan_record(self, digest: str) -> PlanRecord | None: ...  # noqa: D102
    def events(self, run: int, first: int, last: int) -> Iterator[list[Event]]: ...  # noqa: D102
    def held_out(self, run: int, first: int, last: int) -> Iterator[list[HeldOut]]: ...  # noqa: D102
    def log_batches(self, target: str, run: int) -> list[LogBatch]: ...  # noqa: D102
    def cut_log(self, target: str, run: int, size: int, now: float) -> None: ...  # noqa: D102
    def cut_held_out(self, target: str, run: int, size: int, now: float) -> None: ...  # noqa: D102
    def mark_logged(self, target: str, run: int, number: int, now: float) -> None: ...  # noqa: D102


@dataclass(frozen=True, slots=True, kw_only=True)
class PushedLog:
    """What was pushed to one log; `name` is the log's."""

    name: str
    rows: int
    batches: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Pushed:
    """What was pushed of a run; no `logs` when its campaign has none, `complete` when none failed."""

    run: int
    campaign: str
    occurrence: str
    logs: tuple[PushedLog, ...] = ()
    complete: bool = True

    @property
    def rows(self) -> int:
        """Return the rows pushed, those to several logs counted for each."""
        return sum(log.rows for log in self.logs)


def push_run(ledger: LogLedger, run: int, tools: LogTools, *, again: bool = False) -> Pushed:
    """Push what is missing of a run to the logs of its campaign, as it was planned; `again`: all of it.

    One log that fails does not hold up the others. Errors: UsageError for a run that is not in the ledger;
    LogError, at the end, with what failed: those rows are kept, and the next push takes them up.
    """
    logs = _Logs(tools=tools)
    pushed = _push_run(ledger, run, logs, again=again)
    if logs.failures:
        raise _failed([run], logs.failures)
    return pushed


def push_plan(ledger: LogLedger, digest: str, tools: LogTools) -> list[Pushed]:
    """Push what is missing of every run of a plan, oldest first: at the end of an apply.

    An earlier run that was killed has rows too, of outcomes that were settled since. Errors: LogError, at the
    end, with the runs that are not wholly logged.
    """
    return _push_runs(ledger, [run.id for run in ledger.runs() if run.digest == digest], tools)


def push_all(ledger: LogLedger, tools: LogTools) -> list[Pushed]:
    """Push what is missing of every run there ever was, oldest first. Errors: as `push_plan`."""
    return _push_runs(ledger, [run.id for run in ledger.runs()], tools)


def _push_runs(ledger: LogLedger, runs: Sequence[int], tools: LogTools) -> list[Pushed]:
    """Push what is missing of each run; a log that failed once is not tried for later ones."""
    logs = _Logs(tools=tools)
    pushed = [_push_run(ledger, run, logs, again=False) for run in runs]
    incomplete = [each.run for each in pushed if not each.complete]
    if incomplete:
        raise _failed(incomplete, logs.failures)
    return pushed


@dataclass(kw_only=True)
class _Logs:
    """The logs of one push, by kind and settings: each opened once, and why those that failed did."""

    tools: LogTools
    opened: dict[str, Log] = field(default_factory=dict)
    failed: dict[str, RunnerError] = field(default_factory=dict)

    @property
    def failures(self) -> list[RunnerError]:
        return list(self.failed.values())


def _push_run(ledger: LogLedger, run: int, logs: _Logs, *, again: bool) -> Pushed:
    record = ledger.run_record(run)
    plan = ledger.plan_record(record.digest) if record else None
    if plan is None:
        raise UsageError(f"the ledger has no run {run}", hint="`runner status --json` shows the last runs")
    logged = LoggedRun(
        ledger=ledger.identity(),
        run=run,
        campaign=plan.campaign,
        occurrence=plan.occurrence,
        details=plan.details,
    )
    wanted: Mapping[str, Mapping[str, Any]] = plan.details.get("log") or {}
    pushed = [
        _push_kind(ledger, logged, kind, settings, logs, again=again) for kind, settings in wanted.items()
    ]
    done = tuple(each for each in pushed if each is not None)
    return Pushed(
        run=run,
        campaign=plan.campaign,
        occurrence=plan.occurrence,
        logs=done,
        complete=len(done) == len(wanted),
    )


def _push_kind(
    ledger: LogLedger, run: LoggedRun, kind: str, settings: Mapping[str, Any], logs: _Logs, *, again: bool
) -> PushedLog | None:
    """Push to one log; None when it fails, or did so for an earlier run."""
    place = json.dumps([kind, settings], sort_keys=True)
    if place in logs.failed:
        return None
    try:
        if place not in logs.opened:
            logs.opened[place] = open_log(kind, settings, logs.tools)
        return _push(ledger, run, logs.opened[place], logs.tools, again=again)
    except _OF_ONE_LOG as error:
        logs.failed[place] = error
        return None


def _push(ledger: LogLedger, run: LoggedRun, log: Log, tools: LogTools, *, again: bool) -> PushedLog:
    rows = pushed = 0
    for stream in STREAMS:
        stream.cut(ledger, log.name, run.run, BATCH_ROWS, tools.now())
        target = stream.target(log.name)
        cut = [each for each in ledger.log_batches(target, run.run) if again or each.pushed_at is None]
        for each in cut:
            # Read to its end before it is pushed: a push may wait for minutes, and a ledger should not.
            log.push(stream.batch(ledger, run, each))
            ledger.mark_logged(target, run.run, each.number, tools.now())
        rows, pushed = rows + sum(each.rows for each in cut), pushed + len(cut)
    return PushedLog(name=log.name, rows=rows, batches=pushed)


def _failed(runs: Sequence[int], failures: Sequence[RunnerError]) -> NotWhollyLogged:
    """Return what failed as one error, in one line."""
    what = "; ".join(failure.message for failure in failures)
    which = f"run {runs[0]}" if len(runs) == 1 else f"{len(runs)} runs"
    command = f"runner log push {runs[0]}" if len(runs) == 1 else "runner log push"
    later = f"the rows are kept; push them later: `{command}`"
    hints = [failure.hint for failure in failures if failure.hint]
    return NotWhollyLogged(f"{which} not wholly logged: {what}", hint="; ".join([*hints, later]), runs=runs)
