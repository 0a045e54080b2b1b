"""The ledger over a SQL database, whichever it is: its parts put together, and its plans and runs.

Every delivery has one row, unique for ever; every write is one transaction that is durable when it returns.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import asdict
from typing import Any

from runner.errors import LedgerError
from runner.ledger import sql_rows as rows
from runner.ledger.interface import Holder, LockToken, PlanRecord
from runner.ledger.sql_deliveries import Deliveries
from runner.ledger.sql_locks import SqlLocks
from runner.ledger.sql_logs import LogBatches
from runner.ledger.sql_pace import SenderPaces
from runner.ledger.sql_reading import Reading
from runner.ledger.sql_receipts import Receipts
from runner.ledger.sql_stops import Stops
from runner.ledger.store import Store


class SqlLedger:
    """A ledger in an open database.

    `is_gone` tells of a lock's holder, and of who wants it, whether the first is gone; None where only its
    heartbeat can tell.
    """

    def __init__(self, store: Store, *, is_gone: Callable[[Holder, Holder], bool | None]) -> None:
        self._store = store
        self._locks = locks = SqlLocks(store, is_gone)
        reading = Reading(store, locks)
        stops = Stops(store)
        deliveries = Deliveries(store, locks, reading, stops)
        logs, paces = LogBatches(store), SenderPaces(store)
        self.close = store.close

        self.identity = reading.identity
        self.generation = reading.generation
        self.taken = reading.taken
        self.recent = reading.recent
        self.states = reading.states
        self.plan_record = reading.plan_record
        self.runs = reading.runs
        self.run_record = reading.run_record
        self.counts = reading.counts
        self.summary = reading.summary
        self.unknowns = reading.unknowns
        self.history = reading.history
        self.events = reading.events
        self.log_batches = reading.log_batches
        self.deliveries_between = reading.deliveries_between

        self.last_outcome = reading.last_outcome

        self.standing_stop = stops.standing_stop
        self.stops = stops.stops
        self.stop = stops.stop
        self.resume = stops.resume

        self.acquire = locks.acquire
        self.heartbeat = locks.heartbeat
        self.release = locks.release

        self.reserve_slot = paces.reserve_slot
        self.delay_sender = paces.delay_sender
        self.hold_sender = paces.hold_sender

        self.commit = deliveries.commit
        self.settle_interrupted = deliveries.settle_interrupted
        self.resolve = deliveries.resolve
        self.record_receipts = Receipts(store, deliveries).record_receipts
        self.cut_log = logs.cut_log
        self.mark_logged = logs.mark_logged

    def register_plan(
        self,
        *,
        digest: str,
        campaign: str,
        occurrence: str,
        to_send: int,
        created_at: float,
        details: Mapping[str, Any] | None = None,
    ) -> PlanRecord:
        """Record a plan, and return it; a plan that is recorded already stays as it is."""
        key = {"campaign": campaign, "occurrence": occurrence}
        kept = json.dumps(dict(details or {}))
        with self._store.transaction():
            self._store.run("add_occurrence", key)
            plan = {"digest": digest, "to_send": to_send, "created_at": created_at, "details": kept}
            self._store.run("add_plan", {**key, **plan})
            return rows.plan(self._store.rows("plan", digest=digest)[0])

    def finish_plan(self, token: LockToken, digest: str, now: float) -> None:
        """Record that the plan has nothing left to do."""
        with self._store.transaction():
            self._locks.check_held(token)
            self._store.run("mark_finished", {"digest": digest, "now": now})

    def begin_run(self, token: LockToken, digest: str, holder: Holder, now: float) -> int:
        """Record the start of a run of a registered plan, and return the run's number."""
        with self._store.transaction():
            self._locks.check_held(token)
            found = self._store.row("plan_ids", digest=digest)
            if found is None:
                raise LedgerError(f"plan {digest[:12]} is not in the ledger", hint="register the plan first")
            plan_id, occurrence_id = found
            self._store.run("move_generation", {"occurrence_id": occurrence_id})
            self._store.run("mark_applied", {"plan_id": plan_id, "now": now})
            ((run,),) = self._store.rows("add_run", plan_id=plan_id, now=now, **asdict(holder))
        return int(run)

    def end_run(self, run: int, exit_code: int, now: float) -> None:
        """Record the end of a run."""
        with self._store.transaction():
            self._store.run("mark_ended", {"run": run, "exit_code": int(exit_code), "now": now})
