"""Record a plan's control group in the ledger, before its first message, so that it can be looked up later.

What keeps a recipient back at send time keeps a person out of the control group too: the two stay alike.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

from runner.capping import ReachedCaps
from runner.control_group import HOLDOUT
from runner.delivery import Delivery
from runner.departing import Clock
from runner.halting import Halt
from runner.ledger.interface import Ledger
from runner.ledger.journal import LedgerThread
from runner.plan import Plan
from runner.recipients import read_control_group


async def record_control_group(
    plan: Plan,
    tables: Path,
    *,
    ledger: LedgerThread,
    hold_out: Callable[[Ledger, Sequence[tuple[str, str]]], int],
    gate: Callable[[Delivery], str | None],
    reached: ReachedCaps,
    clock: Clock,
    halt: Halt,
) -> None:
    """Record whom the plan holds out; what an earlier run recorded stays. Errors: LedgerError.

    `hold_out` records some of them, as (phone, recipient id). It ends early when the halt is pulled: then
    nothing is sent either, and the next run goes on with it.
    """
    counts = await ledger.call(lambda held: held.counts(plan.digest))
    if counts.held_out >= plan.rejected.get(HOLDOUT, 0):
        return
    for batch in read_control_group(tables, plan):
        if halt.is_pulled:
            return
        keys = [each.key for each in batch]
        await ledger.call(partial(reached.ask, keys=keys, now=clock.now()))
        people = [(each.key.phone, each.recipient_id) for each in batch if gate(each) is None]
        await ledger.call(partial(_given, hold_out, people))


def _given(
    hold_out: Callable[[Ledger, Sequence[tuple[str, str]]], int],
    people: Sequence[tuple[str, str]],
    ledger: Ledger,
) -> int:
    return hold_out(ledger, people)
