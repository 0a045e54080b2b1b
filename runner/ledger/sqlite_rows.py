"""Rows of the SQLite ledger as the values of the interface, and back; each function names its statement."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

from runner.delivery import Answer, DeliveryKey, Outcome, State
from runner.ledger.interface import (
    Counts,
    DeliveryRecord,
    Holder,
    LockRecord,
    OutcomeRecord,
    PlanRecord,
    RunRecord,
)
from runner.pacing import PaceState

Row = tuple[Any, ...]

#: One entry of `settle_deliveries`, as the statement says.
Settled = tuple[int, str, int, str, str, "str | None", "int | None", "str | None", "str | None"]
#: One entry of `add_deliveries`, as the statement says.
Intended = tuple[int, str, str, int, int]


def plan(row: Row) -> PlanRecord:
    """Read a row of `plan`."""
    digest, campaign, occurrence, to_send, created_at, first_applied_at, finished_at = row
    return PlanRecord(
        digest=digest,
        campaign=campaign,
        occurrence=occurrence,
        to_send=to_send,
        created_at=created_at,
        first_applied_at=first_applied_at,
        finished_at=finished_at,
    )


def run(row: Row) -> RunRecord:
    """Read a row of `last_run`."""
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
    return Counts(
        accepted=by_state[State.ACCEPTED.value],
        refused=by_state[refused],
        unknown=by_state[State.UNKNOWN.value],
        retry=by_state[State.RETRY.value],
        in_flight=by_state[State.INTENT.value],
        refused_by_rule={rule: count for state, rule, count in tallies if state == refused and count},
    )


def delivery(row: Row) -> DeliveryRecord:
    """Read a row of `unknowns` or `deliveries_to`."""
    campaign, occurrence, phone, recipient_id, digest, number, state, attempts, intent_at, *last = row
    settled_at, rule, message_id, http_status, code, detail = last
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
    )


def outcome(row: Row) -> OutcomeRecord:
    """Read a row of `outcomes_of`."""
    attempt, at, number, result, rule, message_id, http_status, code, detail = row
    return OutcomeRecord(
        attempt=attempt,
        at=at,
        run=number,
        outcome=Outcome(result),
        rule=rule,
        message_id=message_id,
        http_status=http_status,
        code=code,
        detail=detail,
    )


def lock(row: Row) -> LockRecord:
    """Read a row of `lock`."""
    owner, host, pid, process_started, started_at, heartbeat_at = row
    return LockRecord(
        holder=Holder(owner=owner, host=host, pid=pid, process_started=process_started),
        started_at=started_at,
        heartbeat_at=heartbeat_at,
    )


def pace(row: Row) -> PaceState:
    """Read a row of `pace`."""
    tat, seen_at, widest, widest_until = row
    return PaceState(tat=tat, seen_at=seen_at, widest=widest, widest_until=widest_until)


def settled(occurrence_id: int, phone: str, run: int, answer: Answer) -> Settled:
    """Return one delivery's entry in `settle_deliveries`."""
    outcome, evidence = answer.outcome.value, (answer.http_status, answer.code, answer.detail)
    return (occurrence_id, phone, run, outcome, answer.rule, answer.message_id, *evidence)
