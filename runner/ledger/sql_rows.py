"""Rows of the SQL ledgers as the values of the interface, and back; each function names its statements."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence

from runner.control_group import HELD_OUT
from runner.delivery import Answer, DeliveryKey, ReceiptStatus, State
from runner.ledger.interface import (
    Counts,
    DeliveryRecord,
    Event,
    Holder,
    LockRecord,
    LogBatch,
    OpenDelivery,
    PlanRecord,
    Receipt,
    RunRecord,
)
from runner.ledger.store import Row
from runner.pacing import PaceState
from runner.sharing import Standing

#: One entry of `settle_deliveries`, as the statement says.
Settled = tuple[str, str, str, "str | None", "int | None", "str | None", "str | None"]


def plan(row: Row) -> PlanRecord:
    """Read a row of `plan`."""
    digest, campaign, occurrence, to_send, created_at, first_applied_at, finished_at, details = row
    return PlanRecord(
        digest=digest,
        campaign=campaign,
        occurrence=occurrence,
        to_send=to_send,
        created_at=created_at,
        first_applied_at=first_applied_at,
        finished_at=finished_at,
        details=json.loads(details),
    )


def run(row: Row) -> RunRecord:
    """Read a row of `runs`, `run_record` or `last_run`."""
    number, digest, owner, host, pid, process_started, started_at, ended_at, exit_code = row
    return RunRecord(
        id=number,
        digest=digest,
        holder=Holder(owner=owner, host=host, pid=pid, process_started=process_started),
        started_at=started_at,
        ended_at=ended_at,
        exit_code=exit_code,
    )


def counts(tallies: Sequence[Row]) -> Counts:
    """Add up rows of `plan_tallies` or `occurrence_tallies`."""
    by_state: Counter[str] = Counter()
    for state, _, deliveries in tallies:
        by_state[state] += deliveries
    refused = State.REFUSED.value
    statuses = [status.value for status in ReceiptStatus]
    return Counts(
        accepted=by_state[State.ACCEPTED.value],
        refused=by_state[refused],
        unknown=by_state[State.UNKNOWN.value],
        retry=by_state[State.RETRY.value],
        in_flight=by_state[State.INTENT.value],
        refused_by_rule={rule: count for state, rule, count in tallies if state == refused and count},
        receipts={status: by_state[status] for status in statuses if by_state[status]},
        held_out=by_state[HELD_OUT],
    )


def counts_by_variant(tallies: Sequence[Row]) -> dict[str, Counts]:
    """Add up rows of `variant_tallies`, by variant."""
    of_each: dict[str, list[Row]] = {}
    for variant, *tally in tallies:
        of_each.setdefault(variant, []).append(tuple(tally))
    return {variant: counts(some) for variant, some in sorted(of_each.items())}


def delivery(row: Row) -> DeliveryRecord:
    """Read a row of `unknowns` or `deliveries_to`."""
    campaign, occurrence, phone, recipient_id, digest, number, state, attempts, intent_at, *last = row
    settled_at, rule, message_id, http_status, code, detail, receipt, variant = last
    return DeliveryRecord(
        key=DeliveryKey(campaign=campaign, occurrence=occurrence, phone=phone),
        recipient_id=recipient_id,
        plan=digest,
        run=number,
        state=State(state),
        attempts=attempts,
        intent_at=intent_at,
        settled_at=settled_at,
        rule=rule,
        message_id=message_id,
        http_status=http_status,
        code=code,
        detail=detail,
        receipt=_status(receipt),
        variant=variant,
    )


def event(row: Row) -> Event:
    """Read a row of `events_of` or `events_between`."""
    number, campaign, occurrence, phone, recipient_id, digest, run_id, attempt, intent_at, at, *what = row
    happened, rule, message_id, http_status, code, detail, variant = what
    return Event(
        number=number,
        key=DeliveryKey(campaign=campaign, occurrence=occurrence, phone=phone),
        recipient_id=recipient_id,
        plan=digest,
        run=run_id,
        attempt=attempt,
        intent_at=intent_at,
        at=at,
        event=happened,
        rule=rule,
        message_id=message_id,
        http_status=http_status,
        code=code,
        detail=detail,
        variant=variant,
    )


def log_batch(row: Row) -> LogBatch:
    """Read a row of `log_batches`."""
    run_id, number, first, last, count, pushed_at = row
    return LogBatch(run=run_id, number=number, first=first, last=last, rows=count, pushed_at=pushed_at)


def open_delivery(row: Row, sender: str) -> OpenDelivery:
    """Read a row of `deliveries_between`; `sender` is its plan's."""
    number, campaign, occurrence, _, phone, message_id, state, receipt, intent_at, settled_at = row
    return OpenDelivery(
        delivery=number,
        campaign=campaign,
        occurrence=occurrence,
        sender=sender,
        phone=phone,
        message_id=message_id,
        state=State(state),
        receipt=_status(receipt),
        intent_at=intent_at,
        settled_at=settled_at,
    )


def lock(row: Row) -> LockRecord:
    """Read a row of `lock`."""
    owner, host, pid, process_started, started_at, heartbeat_at = row
    return LockRecord(
        holder=Holder(owner=owner, host=host, pid=pid, process_started=process_started),
        started_at=started_at,
        heartbeat_at=heartbeat_at,
    )


def pace(row: Row) -> tuple[PaceState, float, float]:
    """Read a row of `pace`: the state, the time by which it goes, and when, by that, it was asked for."""
    tat, seen_at, widest, widest_until, here, asked = row
    return PaceState(tat=tat, seen_at=seen_at, widest=widest, widest_until=widest_until), here, asked


def standing(row: Row) -> Standing:
    """Read a row of `shares`."""
    run, passed, seen_at = row
    return Standing(run=run, passed=passed, seen_at=seen_at)


def settled(phone: str, answer: Answer) -> Settled:
    """Return one delivery's entry in `settle_deliveries`."""
    outcome, evidence = answer.outcome.value, (answer.http_status, answer.code, answer.detail)
    return (phone, outcome, answer.rule, answer.message_id, *evidence)


def receipt(told: Receipt) -> tuple[object, ...]:
    """Return one receipt's entry in `add_receipts`."""
    evidence = (told.message_id, told.code, told.detail)
    return (told.delivery, told.status.value, told.at, *evidence, told.source)


def _status(text: str | None) -> ReceiptStatus | None:
    return ReceiptStatus(text) if text is not None else None
