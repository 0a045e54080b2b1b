"""tick_campaign(): run what is due of one campaign, each slot once and for ever; record what was missed.

note the slots that have come -> lock the campaign -> judge what is open -> for each: approved? plan ->
started, durably -> apply -> finished. A kill between any two is a pause: the next tick finds the firing where
it stands. While everybody's window is closed a firing rests; its row says until when. It knows schedules and
the ledger's firings; who plans, applies and tells is passed in as a desk.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, replace
from datetime import datetime
from enum import Enum
from threading import Event, Thread
from typing import Any, Protocol

from runner.campaign import Campaign
from runner.due import moment_of, note_due, rests, sorted_out
from runner.errors import ExitCode, LedgerError, RunnerError
from runner.halting import StopCause
from runner.ledger.firings import FiringRecord, FiringState
from runner.ledger.interface import Holder, Ledger, LockLost, LockToken
from runner.ledger.lock_names import campaign_lock_name, lock_name
from runner.plan import Plan
from runner.schedule import Firing, OnWindowClose, in_zone

#: How often a tick says that it is alive, in seconds; a lock on another host is stale after 120.
HEARTBEAT = 20.0
_OVER = frozenset({ExitCode.DONE, ExitCode.UNSETTLED})


class Outcome(Enum):
    """What a tick did about a firing."""

    FINISHED = "finished"
    WAITING = "waiting"
    PAUSED = "paused"
    FAILED = "failed"
    MISSED = "missed"


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """The digest of a campaign's definition now, and whether it is approved.

    `why` says by whom or by what it is, or why it is not; `command` what would approve it.
    """

    digest: str
    is_approved: bool
    why: str
    command: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """What a tick did about one firing, and where that stands now; `run` is the apply's document, if any."""

    record: FiringRecord
    outcome: Outcome
    detail: str
    exit_code: ExitCode = ExitCode.DONE
    run: Mapping[str, Any] | None = None


class Desk(Protocol):
    """Who does the work of one campaign for a tick. Any method but the telling ones may raise RunnerError."""

    def standing(self) -> Standing:
        """Return the definition as it is now, and whether it is approved."""
        ...

    def plan(self, firing: Firing) -> Plan:
        """Plan the firing and keep the plan; Refusal when it is over a guard."""
        ...

    def kept_plan(self, digest: str) -> Plan | None:
        """Return the plan of that digest, if it is still here and valid."""
        ...

    def apply(self, plan: Plan) -> tuple[ExitCode, Mapping[str, Any]]:
        """Send what is left of a plan that is kept; return the exit code and the document of the run."""
        ...

    def tell_planned(self, plan: Plan) -> None:
        """Tell people that a firing was planned."""
        ...

    def tell_waiting(self, record: FiringRecord, plan: Plan | None, standing: Standing) -> None:
        """Tell people that a firing waits for an approval."""
        ...

    def tell_missed(self, missed: Sequence[FiringRecord]) -> None:
        """Tell people of the firings that were too late to be sent."""
        ...

    def tell_failed(self, record: FiringRecord, error: RunnerError) -> None:
        """Tell people that a firing could not be planned."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Tick:
    """What a tick of one campaign works with. A `rehearsal` does not wait for windows."""

    campaign: Campaign
    desk: Desk
    ledger: Callable[[], AbstractContextManager[Ledger]]
    holder: Holder
    now: Callable[[], datetime]
    rehearsal: bool = False


def tick_campaign(tick: Tick) -> list[Result]:
    """Run what is due of the campaign; return what was done about each firing, in their order.

    LockHeld when another process runs the campaign's firings: what it has is left to it.
    """
    campaign = tick.campaign
    with tick.ledger() as ledger:
        if not note_due(campaign, ledger, tick.holder, tick.now()):
            return []
    with _locked(tick) as token:
        return list(_results(tick, token))


@contextmanager
def _locked(tick: Tick) -> Iterator[LockToken]:
    """Hold the campaign's lock, saying now and then that this process is alive."""
    name = campaign_lock_name(tick.campaign.name)
    with tick.ledger() as ledger:
        token = ledger.acquire(name, tick.holder, tick.now().timestamp())
    with held_alive(token, tick.ledger, tick.now):
        yield token


@contextmanager
def held_alive(
    token: LockToken, open_ledger: Callable[[], AbstractContextManager[Ledger]], now: Callable[[], datetime]
) -> Iterator[Event]:
    """Beat for a lock until the context ends, then give it back; the event says that it is lost."""
    over, lost = Event(), Event()

    def beat() -> None:
        while not over.wait(HEARTBEAT):
            try:
                with open_ledger() as ledger:
                    ledger.heartbeat(token, now().timestamp())
            except LockLost:
                lost.set()
                return
            except LedgerError:
                continue  # whoever works under the lock meets it too, and says so

    thread = Thread(target=beat, name="heartbeat", daemon=True)
    thread.start()
    try:
        yield lost
    finally:
        over.set()
        thread.join()
        with open_ledger() as ledger:
            ledger.release(token)


def _results(tick: Tick, token: LockToken) -> Iterator[Result]:
    """Yield what is done about each firing. What is open is read anew: another tick may just have ended."""
    with tick.ledger() as ledger:
        is_due = note_due(tick.campaign, ledger, tick.holder, tick.now())
        begun = _begun(ledger, tick.campaign.name)
        runs, missed = sorted_out(tick.campaign.schedule, is_due, tick.now(), begun=begun)
        closed = [
            _moved(tick, record, state=FiringState.MISSED, detail=why, expires_at=None)
            for record, why in missed
        ]
        ledger.move_firings(token, closed)
    if closed:
        tick.desk.tell_missed(closed)
    yield from (Result(record=each, outcome=Outcome.MISSED, detail=each.detail) for each in closed)
    for record in runs:
        result = _run(tick, token, record)
        yield result
        if result.exit_code is ExitCode.INTERRUPTED:
            return


def _begun(ledger: Ledger, campaign: str) -> frozenset[str]:
    """Return the occurrences of which something may have been sent."""
    return frozenset(each.occurrence for each in ledger.summary(campaign))


def _run(tick: Tick, token: LockToken, record: FiringRecord) -> Result:
    """Run one firing as far as it goes; an expected failure is told, and leaves the firing open."""
    try:
        with tick.ledger() as ledger:
            pause = _why_paused(tick, ledger, record)
            is_over = _is_over(ledger, record)
        if is_over:
            return _moved_to(tick, token, record, FiringState.FINISHED, Outcome.FINISHED, "nobody is left")
        if pause is not None:
            return Result(record=record, outcome=Outcome.PAUSED, detail=pause)
        standing = tick.desk.standing()
        return (_send if standing.is_approved else _wait)(tick, token, record, standing)
    except LockLost:
        raise
    except RunnerError as error:
        tick.desk.tell_failed(record, error)
        return Result(record=record, outcome=Outcome.FAILED, detail=error.message, exit_code=error.exit_code)


def _why_paused(tick: Tick, ledger: Ledger, record: FiringRecord) -> str | None:
    """Return why nothing may be sent right now, although nothing is wrong."""
    stop = ledger.standing_stop(record.campaign)
    if stop is not None:
        return f"{stop}; `{stop.lifted_by}` lifts it"
    if lock_name(record.campaign, record.occurrence) in ledger.applying(tick.holder, tick.now().timestamp()):
        return "somebody is applying it"
    return record.detail if rests(record, tick.now()) else None


def _is_over(ledger: Ledger, record: FiringRecord) -> bool:
    """Tell whether the occurrence's latest plan has nothing left to do, whoever applied it."""
    found = (each for each in ledger.summary(record.campaign) if each.occurrence == record.occurrence)
    return any(each.plan.finished_at is not None for each in found)


def _wait(tick: Tick, token: LockToken, record: FiringRecord, standing: Standing) -> Result:
    """Let a firing wait for an approval: planned once for each definition, for whoever is to approve."""
    is_known = record.definition == standing.digest and record.detail == standing.why
    if is_known and record.state is not FiringState.DUE:
        return Result(record=record, outcome=Outcome.WAITING, detail=standing.why)
    if record.state is FiringState.STARTED:
        moved = _moved(tick, record, definition=standing.digest, detail=standing.why)
        plan = None
    else:
        plan = tick.desk.plan(_firing(record))
        planned = _planned(tick, record, standing, plan)
        moved = _moved(tick, planned, state=FiringState.WAITING, detail=standing.why)
        tick.desk.tell_planned(plan)
    with tick.ledger() as ledger:
        ledger.move_firings(token, [moved])
    tick.desk.tell_waiting(moved, plan, standing)
    return Result(record=moved, outcome=Outcome.WAITING, detail=standing.why)


def _send(tick: Tick, token: LockToken, record: FiringRecord, standing: Standing) -> Result:
    """Apply the plan that is still here; without one, or when it is refused as stale, plan anew and apply."""
    is_current = record.definition == standing.digest
    kept = tick.desk.kept_plan(record.plan) if record.plan and is_current else None
    if kept is not None:
        result = _apply(tick, token, record, standing, kept)
        if result.exit_code is not ExitCode.REFUSED:
            return result
    plan = tick.desk.plan(_firing(record))
    tick.desk.tell_planned(plan)
    return _apply(tick, token, record, standing, plan)


def _apply(tick: Tick, token: LockToken, record: FiringRecord, standing: Standing, plan: Plan) -> Result:
    """Record durably that the firing starts, apply the plan, and record where that leaves it.

    While everybody's window is closed it rests instead, until the first one opens.
    """
    opening = _opening(tick, plan)
    planned = _planned(tick, record, standing, plan)
    if opening is not None:
        return _put_off(tick, token, planned, opening, is_begun=record.state is FiringState.STARTED)
    started = _moved(
        tick,
        planned,
        state=FiringState.STARTED,
        detail=standing.why,
        expires_at=record.expires_at or plan.expires_at.timestamp(),
    )
    with tick.ledger() as ledger:
        if not ledger.move_firings(token, [started]):
            return Result(record=record, outcome=Outcome.FINISHED, detail="closed by another process")
    code, run = tick.desk.apply(plan)
    if code in _OVER:
        finished = FiringState.FINISHED
        return _moved_to(tick, token, started, finished, Outcome.FINISHED, standing.why, code, run)
    with tick.ledger() as ledger:
        is_begun = record.occurrence in _begun(ledger, record.campaign)
        _hold(tick, ledger, run)
    until = _next_at(run)
    if until is not None:
        return _put_off(tick, token, started, until, is_begun=is_begun, run=run)
    back = FiringState.STARTED if is_begun else record.state
    failed = code in {ExitCode.REFUSED, ExitCode.ERROR}
    outcome = Outcome.FAILED if failed else Outcome.PAUSED
    return _moved_to(tick, token, started, back, outcome, _why(run), code, run)


def _planned(tick: Tick, record: FiringRecord, standing: Standing, plan: Plan) -> FiringRecord:
    """Return a firing with what was planned for it last."""
    return replace(
        record,
        plan=plan.digest,
        definition=standing.digest,
        to_send=plan.to_send,
        opens_at=_opens_at(tick, record, plan),
    )


def _opening(tick: Tick, plan: Plan) -> float | None:
    """Return when the first window of a plan's people opens (epoch seconds); None if it may be applied."""
    waits_itself = tick.campaign.schedule.on_window_close is OnWindowClose.WAIT
    if tick.rehearsal or waits_itself or plan.starts_at <= tick.now():
        return None
    return plan.starts_at.timestamp()


def _opens_at(tick: Tick, record: FiringRecord, plan: Plan) -> float | None:
    """Return when the first window opens, or did; an edited window may open sooner than was said before."""
    opening = _opening(tick, plan)
    if opening is not None or record.opens_at is None:
        return opening
    return min(record.opens_at, tick.now().timestamp())


def _next_at(run: Mapping[str, Any]) -> float | None:
    """Return from when on an apply may go on that ended for the hour alone (epoch seconds)."""
    said = run.get("next_at")
    return datetime.strptime(said, "%Y-%m-%dT%H:%M:%S%z").timestamp() if said else None


def _put_off(
    tick: Tick,
    token: LockToken,
    record: FiringRecord,
    until: float,
    *,
    is_begun: bool,
    run: Mapping[str, Any] | None = None,
) -> Result:
    """Let a firing rest until a window of those who are left opens. Nothing is wrong, and nobody is told."""
    zone = tick.campaign.schedule.zone
    local = in_zone(moment_of(until), zone)
    detail = f"outside everybody's window, until {local:%Y-%m-%d %H:%M} {zone or 'UTC'}"
    state = FiringState.STARTED if is_begun else FiringState.DUE
    resting = replace(record, opens_at=until)
    return _moved_to(tick, token, resting, state, Outcome.PAUSED, detail, run=run)


def _hold(tick: Tick, ledger: Ledger, run: Mapping[str, Any]) -> None:
    """Stop the campaign when a guard stopped the run: to plan the rest anew is for a person to decide."""
    stop = run.get("stop") or {}
    if stop.get("cause") == StopCause.GUARD.value:
        by, now = f"{tick.holder.owner} (a tick)", tick.now().timestamp()
        ledger.stop(tick.campaign.name, by=by, note=str(stop["detail"]), now=now)


def _why(run: Mapping[str, Any]) -> str:
    """Return why an apply did not come to its end."""
    said = run.get("error") or run.get("stop") or {}
    return str(said.get("message") or said.get("detail") or "ended early")


def _moved_to(
    tick: Tick,
    token: LockToken,
    record: FiringRecord,
    state: FiringState,
    outcome: Outcome,
    detail: str,
    exit_code: ExitCode = ExitCode.DONE,
    run: Mapping[str, Any] | None = None,
) -> Result:
    expires_at = None if state in {FiringState.DUE, FiringState.WAITING} else record.expires_at
    moved = _moved(tick, record, state=state, detail=detail, expires_at=expires_at)
    with tick.ledger() as ledger:
        ledger.move_firings(token, [moved])
    return Result(record=moved, outcome=outcome, detail=detail, exit_code=exit_code, run=run)


def _moved(tick: Tick, record: FiringRecord, **changes: Any) -> FiringRecord:  # noqa: ANN401 - any field
    return replace(record, at=tick.now().timestamp(), by=str(tick.holder), **changes)


def _firing(record: FiringRecord) -> Firing:
    return Firing(occurrence=record.occurrence, due_at=moment_of(record.due_at))
