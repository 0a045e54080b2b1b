"""What a SQL ledger keeps of control groups: who is held out of an occurrence."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Sequence

from runner.control_group import HELD_OUT, HOLDOUT
from runner.delivery import DeliveryKey
from runner.errors import LedgerError
from runner.ledger.held_out import HeldOut
from runner.ledger.interface import LockToken
from runner.ledger.sql_deliveries import Deliveries
from runner.ledger.sql_locks import SqlLocks
from runner.ledger.store import Row, Store


class ControlGroups:
    """The control groups of a SQL ledger."""

    def __init__(self, store: Store, locks: SqlLocks, deliveries: Deliveries) -> None:
        self._store = store
        self._locks = locks
        self._deliveries = deliveries

    def held_out(self, run: int, first: int, last: int) -> Iterator[list[HeldOut]]:
        """Yield whom a run held out, numbered `first` to `last`."""
        for batch in self._store.batches("held_out_between", run=run, first=first, last=last):
            yield [_held_out(row) for row in batch]

    def held_out_of(self, phone: str) -> list[HeldOut]:
        """Return the occurrences that a phone was held out of, oldest first."""
        return [_held_out(row) for row in self._store.rows("held_out_of", phone=phone)]

    def hold_out(self, token: LockToken, run: int, people: Sequence[tuple[str, str]], now: float) -> int:
        """Record people as held out of the run's occurrence; return how many are new."""
        with self._store.transaction():
            self._locks.check_held(token)
            found = self._store.row("run_scope", run=run)
            if found is None:
                raise LedgerError(f"run {run} is no run of this ledger", hint="begin the run first")
            plan_id, occurrence_id = found[:2]
            self._store.hold([occurrence_id])
            scope = {"occurrence_id": occurrence_id, "plan_id": plan_id, "run": run, "now": now}
            added = self._store.changed("add_held_out", {**scope, "people": json.dumps(people)})
            self._deliveries.count(Counter({(plan_id, HELD_OUT, HOLDOUT, ""): added}))
        return added

    def cut_held_out(self, target: str, run: int, size: int, now: float) -> None:
        """Put everybody the run held out who is in no batch of `target` yet into batches."""
        with self._store.transaction():
            found = self._store.row("run_scope", run=run)
            self._store.hold([found[1]] if found else [])
            number, last = self._store.row("last_cut", target=target, run=run) or (0, 0)
            cut = {"target": target, "run": run, "size": size, "now": now}
            self._store.run("cut_held_out", {**cut, "after_number": number, "after": last})


def _held_out(row: Row) -> HeldOut:
    number, campaign, occurrence, phone, recipient_id, digest, run, at = row
    return HeldOut(
        number=number,
        key=DeliveryKey(campaign=campaign, occurrence=occurrence, phone=phone),
        recipient_id=recipient_id,
        plan=digest,
        run=run,
        at=at,
    )
