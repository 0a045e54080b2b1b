"""The pace of each sender in a SQL ledger, by one clock for all that share it.

SQLite takes the caller's clock. A database server has its own: slots are handed out in its time, and told in
the caller's, so that machines whose clocks differ still keep one pace.
"""

from __future__ import annotations

from collections.abc import Callable

from runner.ledger import sql_rows as rows
from runner.ledger.store import Store
from runner.pacing import PaceState
from runner.sharing import Ruling, Share, rule

#: A sample that far below the best one is no slow answer: the caller's clock was set back; seconds.
_SET_BACK = 1.0
#: By how much the best sample fades with each new one, in seconds: clocks drift.
_FADING = 0.000_05


class _Offset:
    """How far the caller's clock is ahead of the database's, in seconds.

    A sample is the caller's clock, read before the question, less the database's when the question arrived,
    before it waited for anybody: too small by the time in between. So the largest of late is the best.
    """

    def __init__(self) -> None:
        self._best: float | None = None

    def observed(self, sample: float) -> float:
        """Return the best estimate, knowing one more sample."""
        best = self._best
        if best is None or not best - _SET_BACK <= sample <= best - _FADING:
            self._best = sample
        else:
            self._best = best - _FADING
        return self._best


class SenderPaces:
    """The senders table, one row for each sender as `runner.pacing` has it; and who shares it."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._offset = _Offset()

    def reserve_slot(self, sender: str, interval: float, now: float) -> float:
        """Reserve and return the next slot, at least `interval` seconds after the one reserved before."""
        with self._store.transaction():
            state, here, asked = self._pace(sender, now)
            slot, state = state.reserved(here, interval)
            self._keep(sender, state)
        return slot + self._offset.observed(now - asked)

    def claim_slot(self, sender: str, share: Share, interval: float, now: float) -> tuple[float, bool]:
        """Reserve the next slot for a run, if it is this run's turn: return it and True.

        Else return when to claim again, and False.
        """
        with self._store.transaction():
            state, here, asked = self._pace(sender, now)
            standings = [rows.standing(row) for row in self._store.rows("shares", sender=sender)]
            ruling = rule(share, standings, state, now=here, spacing=interval)
            self._keep_ruling(sender, ruling)
        return ruling.at + self._offset.observed(now - asked), ruling.is_slot

    def delay_sender(self, sender: str, seconds: float, now: float) -> None:
        """Move every slot not reserved yet by `seconds`; delays add up."""
        self._change(sender, now, lambda state, here: state.delayed(here, seconds))

    def hold_sender(self, sender: str, seconds: float, now: float) -> None:
        """Free no slot before `now + seconds`; holds do not add up."""
        self._change(sender, now, lambda state, here: state.held(here, seconds))

    def _change(self, sender: str, now: float, change: Callable[[PaceState, float], PaceState]) -> None:
        with self._store.transaction():
            state, here, _ = self._pace(sender, now)
            self._keep(sender, change(state, here))

    def _pace(self, sender: str, now: float) -> tuple[PaceState, float, float]:
        """Return the sender's pace, the time by which it goes, and when, by that, this was asked for.

        Nobody else changes it meanwhile.
        """
        found = self._store.row("pace", sender=sender, now=now)
        if found is None:
            self._store.run("add_sender", {"sender": sender})
            (found,) = self._store.rows("pace", sender=sender, now=now)
        return rows.pace(found)

    def _keep_ruling(self, sender: str, ruling: Ruling) -> None:
        if ruling.gone:
            self._store.run_all("drop_share", [{"sender": sender, "run": run} for run in ruling.gone])
        if (own := ruling.standing) is not None:
            share = {"sender": sender, "run": own.run, "passed": own.passed, "seen_at": own.seen_at}
            self._store.run("set_share", share)
        if ruling.is_slot:
            self._keep(sender, ruling.pace)

    def _keep(self, sender: str, state: PaceState) -> None:
        pace = {
            "tat": state.tat,
            "seen_at": state.seen_at,
            "widest": state.widest,
            "widest_until": state.widest_until,
        }
        self._store.run("set_pace", {"sender": sender, **pace})
