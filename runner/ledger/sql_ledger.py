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
from runner.ledger.interface import Counts, Holder, LockToken, PlanRecord, RunRecord
from runner.ledger.sql_audit import Audit
from runner.ledger.sql_caps import Caps
from runner.ledger.sql_deliveries import Deliveries
from runner.ledger.sql_firings import Firings
from runner.ledger.sql_forgetting import Forgetting
from runner.ledger.sql_held_out import ControlGroups
from runner.ledger.sql_locks import SqlLocks
from runner.ledger.sql_logs import LogBatches
from runner.ledger.sql_notices import Notices
from runner.ledger.sql_opt_outs import OptOuts
from runner.ledger.sql_pace import SenderPaces
from runner.ledger.sql_reading import Reading
from runner.ledger.sql_receipts import Receipts
from runner.ledger.sql_stops import Stops
from runner.ledger.sql_webhooks import Webhooks
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
        self._opt_outs = opt_outs = OptOuts(store)
        stops = Stops(store)
        caps = Caps(store, reading)
        self.capped = caps.capped
        deliveries = Deliveries(store, locks, reading, opt_outs, stops, caps)
        self._add_control_groups(ControlGroups(store, locks, deliveries))
        self._audit = Audit(store)
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

        self.commit = deliveries.commit
        self.settle_interrupted = deliveries.settle_interrupted
        self.resolve = deliveries.resolve
        self.record_receipts = Receipts(store, deliveries, opt_outs).record_receipts
        self._add_logs(LogBatches(store))
        self._add_shared(locks, SenderPaces(store))
        self._add_stops(stops)
        self._add_planned(store, locks)
        self._answer_for(Forgetting(store, locks))
        self._add_webhooks(reading)

    def _add_logs(self, logs: LogBatches) -> None:
        self.cut_log = logs.cut_log
        self.mark_logged = logs.mark_logged

    def _add_shared(self, locks: SqlLocks, paces: SenderPaces) -> None:
        """Add what running processes share: who applies what, and how fast a sender sends."""
        self.acquire = locks.acquire
        self.heartbeat = locks.heartbeat
        self.release = locks.release

        self.reserve_slot = paces.reserve_slot
        self.claim_slot = paces.claim_slot
        self.delay_sender = paces.delay_sender
        self.hold_sender = paces.hold_sender

    def _add_control_groups(self, groups: ControlGroups) -> None:
        self.held_out = groups.held_out
        self.held_out_of = groups.held_out_of
        self.hold_out = groups.hold_out
        self.cut_held_out = groups.cut_held_out

    def _add_stops(self, stops: Stops) -> None:
        self.standing_stop = stops.standing_stop
        self.stops = stops.stops
        self.stop = stops.stop
        self.resume = stops.resume

    def _add_planned(self, store: Store, locks: SqlLocks) -> None:
        """Add what is done by itself, who approved it, and what people are told of it."""
        firings = Firings(store, locks)
        self.approval = firings.approval
        self.noted_until = firings.noted_until
        self.open_firings = firings.open_firings
        self.last_firings = firings.last_firings
        self.firing_counts = firings.firing_counts
        self.previous_size = firings.previous_size
        self.approve = firings.approve
        self.revoke_approval = firings.revoke_approval
        self.watch = firings.watch
        self.note_firings = firings.note_firings
        self.move_firings = firings.move_firings
        notices = Notices(store)
        self.claim_notice = notices.claim_notice
        self.drop_notice = notices.drop_notice

    def _answer_for(self, forgetting: Forgetting) -> None:
        """Add what is said of deeds and of forgotten people."""
        self.audit = self._audit.audit
        self.audit_head = self._audit.audit_head
        self.last_forgotten = forgetting.last_forgotten
        self.forgotten = forgetting.forgotten
        self.forget_proof = forgetting.forget_proof
        self.applying = forgetting.applying
        self.forget = forgetting.forget
        self.erase = forgetting.erase
        self.wipe = forgetting.wipe

    def _add_webhooks(self, reading: Reading) -> None:
        opt_outs = self._opt_outs
        webhooks = Webhooks(self._store, reading, opt_outs)
        self.opted_out = opt_outs.opted_out
        self.opted_out_after = opt_outs.opted_out_after
        self.opt_out = opt_outs.opt_out
        self.add_opt_outs = opt_outs.add_opt_outs

        self.due_webhooks = webhooks.due_webhooks
        self.open_webhooks = webhooks.open_webhooks
        self.unmatched_webhooks = webhooks.unmatched_webhooks
        self.unsettled_webhooks = webhooks.unsettled_webhooks
        self.deliveries_to = webhooks.deliveries_to
        self.add_webhooks = webhooks.add_webhooks
        self.erase_webhooks = webhooks.erase_webhooks
        self.settle_webhooks = webhooks.settle_webhooks

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
            plan = rows.plan(self._store.rows("plan", digest=digest)[0])
            self._audit.append(
                "plan_applied", at=now, actor=holder.owner, details=_applied(run, plan, holder)
            )
        return int(run)

    def end_run(self, run: int, exit_code: int, now: float) -> None:
        """Record the end of a run."""
        with self._store.transaction():
            self._store.run("mark_ended", {"run": run, "exit_code": int(exit_code), "now": now})
            found = self._store.row("run_record", run=run)
            if found is not None:
                record = rows.run(found)
                details = _ended(record, self.counts(record.digest))
                self._audit.append("run_ended", at=now, actor=record.holder.owner, details=details)


def _applied(run: int, plan: PlanRecord, holder: Holder) -> dict[str, object]:
    """Return what the audit log says of the start of a run."""
    context = plan.details.get("context") or {}
    return {
        "run": run,
        "campaign": plan.campaign,
        "occurrence": plan.occurrence,
        "plan": plan.digest,
        "to_send": plan.to_send,
        "host": holder.host,
        "git": context.get("git"),
    }


def _ended(run: RunRecord, counts: Counts) -> dict[str, object]:
    """Return what the audit log says of the end of a run; counts are of its whole plan."""
    return {
        "run": run.id,
        "plan": run.digest,
        "exit_code": run.exit_code,
        "accepted": counts.accepted,
        "refused": counts.refused,
        "unknown": counts.unknown,
    }
