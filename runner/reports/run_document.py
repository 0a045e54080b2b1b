"""What became of an apply, as the JSON document of `runner apply` has it: pure."""

from __future__ import annotations

from datetime import datetime, timezone
from typing import TYPE_CHECKING

from runner.errors import Refusal, RunnerError

if TYPE_CHECKING:
    from runner.applying import Report
    from runner.ledger.interface import Counts
    from runner.plan import Plan


def report_document(report: Report) -> dict[str, object]:
    """Return how an apply ended; times in ISO 8601, UTC."""
    stop = report.stop
    until = None if stop is None or stop.until is None else datetime.fromtimestamp(stop.until, timezone.utc)
    return {
        "run": report.run,
        **accounts(report.plan, report.counts),
        "refused_by_rule": dict(report.counts.refused_by_rule),
        "interrupted": report.interrupted,
        "held_out": report.counts.held_out,
        "stop": {"cause": stop.cause.value, "detail": stop.detail} if stop else None,
        "next_at": _moment(until),
        "exit_code": int(report.exit_code),
    }


def accounts(plan: Plan, counts: Counts | None) -> dict[str, object]:
    """Return the plan and its accounts; they are null when the ledger could not tell."""
    accounts: dict[str, int | None] = dict.fromkeys(("accepted", "refused", "unknown", "remaining"))
    if counts is not None:
        known = {"accepted": counts.accepted, "refused": counts.refused, "unknown": counts.unknown}
        accounts = {**known, "remaining": plan.to_send - sum(known.values())}
    return {
        "campaign": plan.campaign,
        "occurrence": plan.occurrence,
        "digest": plan.digest,
        "to_send": plan.to_send,
        **accounts,
    }


def no_accounts(campaign: str | None) -> dict[str, object]:
    """Return the keys of `accounts` where there is no plan: all but the campaign's name are null."""
    keys = ("occurrence", "digest", "to_send", "accepted", "refused", "unknown", "remaining")
    return {"campaign": campaign, **dict.fromkeys(keys)}


def error_document(error: RunnerError) -> dict[str, object]:
    """Return what an apply that was refused, or ended with an error, says."""
    return {
        "error": {"message": error.message, "hint": error.hint},
        "next_at": _moment(error.holds_until if isinstance(error, Refusal) else None),
        "exit_code": int(error.exit_code),
    }


def _moment(at: datetime | None) -> str | None:
    return None if at is None else f"{at:%Y-%m-%dT%H:%M:%SZ}"
