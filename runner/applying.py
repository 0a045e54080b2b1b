"""apply_plan(): take a reviewed plan from the lock to the last outcome; a crash on the way is a pause.

lock -> what a killed run left becomes unknown -> compare with today -> a person confirms -> run -> send ->
count -> finish. Each step is durable before the next, so that the next apply finds where this one ended. It
knows deliveries, a ledger, a carrier and a clock, all passed in, and never who runs it.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager, nullcontext
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Protocol

from runner.campaign import FREQUENCY_CAP, MIN_DISTANCE, Canary, Cap
from runner.canary import Trial, Verdict, first_of, one_batch, read_trial, wait_for_canary
from runner.capping import ReachedCaps
from runner.checking import Comparison, Today, all_hold_from, compare, failed
from runner.control_group import HOLDOUT
from runner.delivery import EXPIRED, FORGOTTEN, Delivery, DeliveryKey
from runner.departing import Clock, Pace
from runner.errors import ExitCode, Refusal
from runner.failed_receipts import failed_by_receipt, failed_receipts_followed
from runner.halting import Halt, Pause, Stop
from runner.heartbeat import heartbeat
from runner.holding_out import record_control_group
from runner.ledger.interface import Counts, Holder, Ledger, LockToken
from runner.ledger.journal import GroupCommit, LedgerThread
from runner.ledger.lock_names import lock_name
from runner.open_hours import OpenHours
from runner.pending import Pending
from runner.plan import Plan, ledger_details
from runner.recipients import count_among
from runner.sending import Carrier, Equipment, Event, Limits, send_all
from runner.sharing import Share
from runner.tally import Tally, exit_code_of, failures_exceeded, unknowns_exceeded

#: The rules by which a gate of ours refuses a delivery at send time.
GATE_RULES = ("suppressed", "opted_out", FREQUENCY_CAP, MIN_DISTANCE, FORGOTTEN, EXPIRED)
_PLAN_AGAIN = "look at what was refused, then plan again: those who are left get a plan of their own"


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

    def paused(self, pause: Pause) -> None:
        """Note that nothing is sent for a while, why, and until when."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Apply:
    """What an apply works with.

    `today` is asked under the lock; `tables` holds the plan's two tables; `rate` is the sender's, in messages
    a second (None: unlimited); `caps` are the campaign's; a `rehearsal` does not wait for times. `hours` is
    None where no window holds.
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
    hours: OpenHours | None = None
    caps: tuple[Cap, ...] = ()
    rehearsal: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """How an apply ended: the accounts of the whole plan, however often it was resumed.

    `run` is None when there was nothing left to do. `interrupted` deliveries of the occurrence, of this plan
    or an earlier one, were under way when a run was killed: this apply made them `unknown`.
    """

    plan: Plan
    run: int | None
    counts: Counts
    stop: Stop | None
    exit_code: ExitCode
    interrupted: int = 0

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
    # A control group alone has to be recorded too.
    is_empty = plan.to_send == 0 and not plan.rejected.get(HOLDOUT)
    if record is not None and record.finished_at is not None:
        return await _nothing_left(apply, interrupted=0)
    async with _locked(apply) as token:
        interrupted = await _settle_interrupted(apply, token)
        if is_empty:
            return await _nothing_left(apply, interrupted)
        tally = await _tally(apply)
        if tally.remaining == 0 and plan.to_send:
            await apply.ledger.call(lambda ledger: ledger.finish_plan(token, plan.digest, apply.clock.now()))
            return await _nothing_left(apply, interrupted)
        await _compare(apply, tally)
        if not apply.watcher.confirmed(tally):
            raise Refusal("not confirmed: nothing was sent")
        report = await _run(apply, token, tally)
    return replace(report, interrupted=interrupted, exit_code=_with(report.exit_code, interrupted))


async def _nothing_left(apply: Apply, interrupted: int) -> Report:
    counts = await apply.ledger.call(lambda ledger: ledger.counts(apply.plan.digest))
    return Report(
        plan=apply.plan,
        run=None,
        counts=counts,
        stop=None,
        exit_code=_with(ExitCode.DONE, interrupted),
        interrupted=interrupted,
    )


def _with(exit_code: ExitCode, interrupted: int) -> ExitCode:
    """Return the exit code of an apply that found so many deliveries of which nobody knows the outcome."""
    return ExitCode.UNSETTLED if interrupted and exit_code is ExitCode.DONE else exit_code


async def _compare(apply: Apply, tally: Tally) -> None:
    moved = await apply.ledger.call(lambda ledger: _moved(ledger, apply))
    today = await apply.today(moved)
    if apply.hours is not None:
        today = replace(
            today, people=await _pending(apply, ReachedCaps(())).all_people(is_new=tally.known == 0)
        )
    comparisons = compare(apply.plan, today, rehearsal=apply.rehearsal)
    comparisons += [await _stop_comparison(apply), *_guard_comparisons(apply, tally)]
    comparisons += await _canary_comparisons(apply)
    apply.watcher.compared(comparisons)
    broken = failed(comparisons)
    if broken:
        reasons = "; ".join(f"{comparison.what}: {comparison.found}" for comparison in broken)
        message = f"{apply.plan.campaign}: refused, nothing was sent: {reasons}"
        raise Refusal(message, hint=broken[0].remedy, holds_until=all_hold_from(broken))


async def _stop_comparison(apply: Apply) -> Comparison:
    stop = await apply.ledger.call(lambda ledger: ledger.standing_stop(apply.plan.campaign))
    if stop is None:
        return Comparison(what="stop", holds=True, found="nobody has stopped it")
    return Comparison(what="stop", holds=False, found=str(stop), remedy=f"lift it first: {stop.lifted_by}")


def _guard_comparisons(apply: Apply, tally: Tally) -> Iterator[Comparison]:
    """Yield the guards that stopped this plan before, and would again."""
    failures = failures_exceeded(tally, apply.limits.max_failed)
    if failures:
        yield Comparison(what="guard", holds=False, found=failures, remedy=_PLAN_AGAIN)
    unknowns = unknowns_exceeded(tally, apply.limits.max_unknown)
    if unknowns:
        remedy = f"find out what became of them: runner resolve {apply.plan.campaign}"
        yield Comparison(what="guard", holds=False, found=unknowns, remedy=remedy)


async def _canary_comparisons(apply: Apply) -> list[Comparison]:
    canary = _canary(apply)
    if canary is None:
        return []
    trial = await _trial(apply, canary)
    if trial.missing or trial.verdict(apply.clock.now()) is not Verdict.STOP:
        return []
    return [Comparison(what="canary", holds=False, found=trial.failure or "", remedy=_PLAN_AGAIN)]


def _moved(ledger: Ledger, apply: Apply) -> int:
    plan = apply.plan
    others = ledger.taken(plan.campaign, plan.occurrence, other_than_plan=plan.digest)
    return count_among(apply.tables, others)


async def _run(apply: Apply, token: LockToken, tally: Tally) -> Report:
    plan, clock = apply.plan, apply.clock
    run = await apply.ledger.call(lambda ledger: _begin(ledger, apply, token))
    apply.watcher.began(run, tally)
    exit_code, reached = ExitCode.ERROR, ReachedCaps(apply.caps)
    equipment = _equipment(apply, token, run, tally, reached)
    try:
        beating = heartbeat(apply.ledger, token, plan.campaign, apply.clock, apply.halt)
        async with beating, _failures_followed(apply, tally):
            await record_control_group(
                plan,
                apply.tables,
                ledger=apply.ledger,
                hold_out=lambda ledger, people: ledger.hold_out(token, run, people, clock.now()),
                gate=equipment.gate,
                reached=reached,
                clock=clock,
                halt=apply.halt,
            )
            await _send(apply, equipment, tally, reached)
        await _settle_interrupted(apply, token)
        counts = await apply.ledger.call(lambda ledger: ledger.counts(plan.digest))
        exit_code = exit_code_of(tally, apply.halt.stop)
        if tally.remaining == 0 and not (plan.to_send == 0 and apply.halt.is_pulled):
            await apply.ledger.call(lambda ledger: ledger.finish_plan(token, plan.digest, clock.now()))
        return Report(plan=plan, run=run, counts=counts, stop=apply.halt.stop, exit_code=exit_code)
    except asyncio.CancelledError:
        # Ended at once: what was in flight is unknown from now on, and not only once the next apply looks.
        exit_code = ExitCode.INTERRUPTED
        await equipment.journal.finished()
        await _settle_interrupted(apply, token)
        raise
    finally:
        await apply.ledger.call(lambda ledger: ledger.end_run(run, exit_code, clock.now()))


async def _send(apply: Apply, equipment: Equipment, tally: Tally, reached: ReachedCaps) -> None:
    """Send what is pending; with a canary its first part alone, and the rest once that has passed."""
    pending, had_their_turn = _pending(apply, reached), frozenset[DeliveryKey]()
    canary = _canary(apply)
    if canary is not None:
        had_their_turn = await _send_canary(apply, canary, pending, equipment, tally)
        await wait_for_canary(lambda: _trial(apply, canary), apply.clock, apply.halt, apply.watcher.paused)
    goes_on = not apply.halt.is_pulled
    while goes_on:
        await send_all(pending.batches(but=had_their_turn), tally, equipment)
        goes_on = await pending.come_again()


async def _send_canary(
    apply: Apply, canary: Canary, pending: Pending, equipment: Equipment, tally: Tally
) -> frozenset[DeliveryKey]:
    """Send what is missing of the canary, in as many rounds as that takes; return who had their turn."""
    missing, had_their_turn = (await _trial(apply, canary)).missing, frozenset[DeliveryKey]()
    while missing > 0:
        head = await first_of(pending.batches(but=had_their_turn), missing, equipment.gate)
        await send_all(one_batch(head), tally, equipment)
        put_off = pending.take_put_off()
        had_their_turn |= {delivery.key for delivery in head if delivery.key not in put_off}
        missing -= sum(equipment.gate(delivery) is None and delivery.key not in put_off for delivery in head)
        if missing > 0 and not await pending.come_again():
            break
    return had_their_turn


def _canary(apply: Apply) -> Canary | None:
    """Return the plan's canary; None too where no message would have to wait for it."""
    canary = apply.limits.canary
    return canary if canary is not None and apply.plan.to_send > canary.size else None


async def _trial(apply: Apply, canary: Canary) -> Trial:
    digest = apply.plan.digest
    return await apply.ledger.call(lambda ledger: read_trial(canary, ledger, digest, GATE_RULES))


def _begin(ledger: Ledger, apply: Apply, token: LockToken) -> int:
    plan, now = apply.plan, apply.clock.now()
    ledger.register_plan(
        digest=plan.digest,
        campaign=plan.campaign,
        occurrence=plan.occurrence,
        to_send=plan.to_send,
        created_at=plan.created_at.timestamp(),
        details=ledger_details(plan),
    )
    return ledger.begin_run(token, plan.digest, apply.holder, now)


def _equipment(apply: Apply, token: LockToken, run: int, tally: Tally, reached: ReachedCaps) -> Equipment:
    share = Share(run=run, weight=apply.plan.priority)
    return Equipment(
        journal=GroupCommit(apply.ledger, token, run, apply.clock.now, apply.caps),
        carrier=apply.carrier,
        pace=Pace(
            sender=apply.plan.sender, share=share, rate=apply.rate, row=apply.ledger, clock=apply.clock
        ),
        clock=apply.clock,
        halt=apply.halt,
        limits=apply.limits,
        on_event=lambda event: apply.watcher.happened(event, tally),
        on_pause=apply.watcher.paused,
        gate=_gate(apply, reached),
        hours=apply.hours,
    )


def _gate(apply: Apply, reached: ReachedCaps) -> Callable[[Delivery], str | None]:
    """Return the gate at send time, as much of it as this campaign needs."""

    def barred(delivery: Delivery) -> str | None:
        if _is_over(apply):
            return EXPIRED
        return apply.gate(delivery) or reached.rule(delivery.key.phone)

    return barred if apply.caps or apply.limits.deadline is not None else apply.gate


def _is_over(apply: Apply) -> bool:
    """Tell whether it is too late for everybody who has not got the message."""
    return apply.limits.deadline is not None and apply.clock.now() >= apply.limits.deadline


def _pending(apply: Apply, reached: ReachedCaps) -> Pending:
    return Pending(
        plan=apply.plan,
        tables=apply.tables,
        ledger=apply.ledger,
        clock=apply.clock,
        halt=apply.halt,
        hours=apply.hours,
        reached=reached,
        is_over=partial(_is_over, apply),
        on_pause=apply.watcher.paused,
    )


async def _tally(apply: Apply) -> Tally:
    counts = await apply.ledger.call(lambda ledger: ledger.counts(apply.plan.digest))
    return Tally(
        to_send=apply.plan.to_send,
        accepted=counts.accepted,
        refused=counts.refused,
        unknown=counts.unknown,
        barred=sum(counts.refused_by_rule.get(rule, 0) for rule in GATE_RULES),
        failed_later=failed_by_receipt(counts),
    )


def _failures_followed(apply: Apply, tally: Tally) -> AbstractAsyncContextManager[None]:
    """Follow what receipts say of messages that were accepted, where a guard asks for it."""
    if apply.limits.max_failed is None:
        return nullcontext()
    return failed_receipts_followed(apply.ledger, apply.plan.digest, tally, apply.clock.sleep)


async def _settle_interrupted(apply: Apply, token: LockToken) -> int:
    plan, now = apply.plan, apply.clock.now()
    return await apply.ledger.call(
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
