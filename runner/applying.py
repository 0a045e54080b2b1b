"""apply_plan(): take a reviewed plan from the lock to the last outcome; a crash on the way is a pause.

lock -> what a killed run left becomes unknown -> compare with today -> a person confirms -> run -> send ->
count -> finish. Each step is durable before the next, so that the next apply finds where this one ended. It
knows deliveries, a ledger, a carrier and a clock, all passed in, and never who runs it.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Protocol

from runner.checking import Comparison, Today, compare, failed
from runner.delivery import FORGOTTEN, Delivery, State
from runner.departing import Clock, Pace
from runner.errors import ExitCode, Refusal
from runner.ledger.interface import Counts, Holder, Ledger, LockToken, lock_name
from runner.ledger.journal import GroupCommit, LedgerThread
from runner.plan import Plan
from runner.recipients import count_among, read_deliveries
from runner.sending import (
    Carrier,
    Equipment,
    Event,
    Halt,
    Limits,
    Stop,
    Tally,
    exit_code_of,
    failures_exceeded,
    send_all,
)

#: The rules by which a gate of ours refuses a delivery at send time.
GATE_RULES = ("suppressed", "opted_out", "frequency_cap", FORGOTTEN)
#: How often a run says that it is alive, in seconds; a lock on another host is stale after 120.
HEARTBEAT = 20.0


class Watcher(Protocol):
    """Whoever follows an apply: a person at a terminal, and the run log."""

    def compared(self, comparisons: Sequence[Comparison]) -> None:
        """Show what was compared, before anything is refused or asked."""
        ...

    def confirmed(self, tally: Tally) -> bool:
        """Ask whether to send; False refuses."""
        ...

    def began(self, run: int, tally: Tally) -> None:
        """Note that a run began."""
        ...

    def happened(self, event: Event, tally: Tally) -> None:
        """Note one send and its outcome."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Apply:
    """What an apply works with.

    `today` is asked under the lock; `tables` holds the plan's two tables; `rate` is the sender's, in messages
    a second (None: unlimited); a `rehearsal` does not wait for times.
    """

    plan: Plan
    tables: Path
    ledger: LedgerThread
    carrier: Carrier
    clock: Clock
    holder: Holder
    halt: Halt
    limits: Limits
    watcher: Watcher
    today: Callable[[int], Awaitable[Today]]
    gate: Callable[[Delivery], str | None]
    rate: float | None
    rehearsal: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """How an apply ended: the accounts of the whole plan, however often it was resumed.

    `run` is None when there was nothing left to do.
    """

    plan: Plan
    run: int | None
    counts: Counts
    stop: Stop | None
    exit_code: ExitCode

    @property
    def remaining(self) -> int:
        """Return how many deliveries have no account yet."""
        return self.plan.to_send - self.counts.accepted - self.counts.refused - self.counts.unknown


async def apply_plan(apply: Apply) -> Report:
    """Send what is left of the plan; return the accounts.

    Errors: Refusal before anything is sent (locked, stale, expired, not due, not confirmed), LedgerError,
    ProviderError. After an error the next apply goes on where this one stopped.
    """
    plan = apply.plan
    record = await apply.ledger.call(lambda ledger: ledger.plan_record(plan.digest))
    if plan.to_send == 0 or (record is not None and record.finished_at is not None):
        return await _nothing_left(apply)
    async with _locked(apply) as token:
        await _settle_interrupted(apply, token)
        tally = await _tally(apply)
        if tally.remaining == 0:
            await apply.ledger.call(lambda ledger: ledger.finish_plan(token, plan.digest, apply.clock.now()))
            return await _nothing_left(apply)
        await _compare(apply, tally)
        if not apply.watcher.confirmed(tally):
            raise Refusal("not confirmed: nothing was sent")
        return await _run(apply, token, tally)


async def _nothing_left(apply: Apply) -> Report:
    counts = await apply.ledger.call(lambda ledger: ledger.counts(apply.plan.digest))
    return Report(plan=apply.plan, run=None, counts=counts, stop=None, exit_code=ExitCode.DONE)


async def _compare(apply: Apply, tally: Tally) -> None:
    moved = await apply.ledger.call(lambda ledger: _moved(ledger, apply))
    comparisons = compare(apply.plan, await apply.today(moved), rehearsal=apply.rehearsal)
    exceeded = failures_exceeded(tally, apply.limits.max_failed)
    if exceeded:
        remedy = "look at what was refused, then plan again: those who are left get a plan of their own"
        comparisons.append(Comparison(what="guard", holds=False, found=exceeded, remedy=remedy))
    apply.watcher.compared(comparisons)
    broken = failed(comparisons)
    if broken:
        reasons = "; ".join(f"{comparison.what}: {comparison.found}" for comparison in broken)
        raise Refusal(f"{apply.plan.campaign}: refused, nothing was sent: {reasons}", hint=broken[0].remedy)


def _moved(ledger: Ledger, apply: Apply) -> int:
    plan = apply.plan
    others = ledger.taken(plan.campaign, plan.occurrence, other_than_plan=plan.digest)
    return count_among(apply.tables, others)


async def _run(apply: Apply, token: LockToken, tally: Tally) -> Report:
    plan, clock = apply.plan, apply.clock
    run = await apply.ledger.call(lambda ledger: _begin(ledger, apply, token))
    apply.watcher.began(run, tally)
    exit_code = ExitCode.ERROR
    try:
        async with _heartbeat(apply, token):
            await send_all(_pending(apply), tally, _equipment(apply, token, run, tally))
        await _settle_interrupted(apply, token)
        counts = await apply.ledger.call(lambda ledger: ledger.counts(plan.digest))
        exit_code = exit_code_of(tally, apply.halt.stop)
        if tally.remaining == 0:
            await apply.ledger.call(lambda ledger: ledger.finish_plan(token, plan.digest, clock.now()))
        return Report(plan=plan, run=run, counts=counts, stop=apply.halt.stop, exit_code=exit_code)
    finally:
        await apply.ledger.call(lambda ledger: ledger.end_run(run, exit_code, clock.now()))


def _begin(ledger: Ledger, apply: Apply, token: LockToken) -> int:
    plan, now = apply.plan, apply.clock.now()
    ledger.register_plan(
        digest=plan.digest,
        campaign=plan.campaign,
        occurrence=plan.occurrence,
        to_send=plan.to_send,
        created_at=plan.created_at.timestamp(),
        details=_details(plan),
    )
    return ledger.begin_run(token, plan.digest, apply.holder, now)


def _details(plan: Plan) -> dict[str, Any]:
    """Return what the ledger keeps of a plan beside its key: for logs, and to match receipts."""
    git = {"commit": plan.git.commit, "dirty": plan.git.dirty} if plan.git else None
    return {
        "provider": plan.provider,
        "sender": plan.sender,
        "template": plan.template.name,
        "language": plan.template.language,
        "source": plan.source,
        "job_id": plan.job_id,
        "log": plan.document.get("log", {}),
        "context": {"git": git, "versions": dict(plan.versions), "parameters": dict(plan.parameters)},
    }


def _equipment(apply: Apply, token: LockToken, run: int, tally: Tally) -> Equipment:
    return Equipment(
        journal=GroupCommit(apply.ledger, token, run, apply.clock.now),
        carrier=apply.carrier,
        pace=Pace(sender=apply.plan.sender, rate=apply.rate, row=apply.ledger, clock=apply.clock),
        clock=apply.clock,
        halt=apply.halt,
        limits=apply.limits,
        on_event=lambda event: apply.watcher.happened(event, tally),
        gate=apply.gate,
    )


async def _pending(apply: Apply) -> AsyncIterator[list[Delivery]]:
    """Yield the plan's deliveries that have no account yet: the others were sent by an earlier run."""
    plan = apply.plan
    batches: Iterator[list[Delivery]] = read_deliveries(apply.tables, plan)
    for batch in batches:
        states = await apply.ledger.call(partial(_states, plan=plan, batch=batch))
        yield [each for each in batch if states.get(each.key.phone, State.RETRY) is State.RETRY]


def _states(ledger: Ledger, *, plan: Plan, batch: Sequence[Delivery]) -> dict[str, State]:
    phones = [delivery.key.phone for delivery in batch]
    return ledger.states(plan.campaign, plan.occurrence, phones)


async def _tally(apply: Apply) -> Tally:
    counts = await apply.ledger.call(lambda ledger: ledger.counts(apply.plan.digest))
    return Tally(
        to_send=apply.plan.to_send,
        accepted=counts.accepted,
        refused=counts.refused,
        unknown=counts.unknown,
        barred=sum(counts.refused_by_rule.get(rule, 0) for rule in GATE_RULES),
    )


async def _settle_interrupted(apply: Apply, token: LockToken) -> None:
    plan, now = apply.plan, apply.clock.now()
    await apply.ledger.call(
        lambda ledger: ledger.settle_interrupted(token, plan.campaign, plan.occurrence, now)
    )


@asynccontextmanager
async def _locked(apply: Apply) -> AsyncIterator[LockToken]:
    name = lock_name(apply.plan.campaign, apply.plan.occurrence)
    now = apply.clock.now()
    token = await apply.ledger.call(lambda ledger: ledger.acquire(name, apply.holder, now))
    try:
        yield token
    finally:
        await apply.ledger.call(lambda ledger: ledger.release(token))


@asynccontextmanager
async def _heartbeat(apply: Apply, token: LockToken) -> AsyncIterator[None]:
    async def beat() -> None:
        while True:
            await apply.clock.sleep(HEARTBEAT)
            await apply.ledger.call(lambda ledger: ledger.heartbeat(token, apply.clock.now()))

    beating = asyncio.ensure_future(beat())
    try:
        yield
    finally:
        beating.cancel()
        await asyncio.gather(beating, return_exceptions=True)
