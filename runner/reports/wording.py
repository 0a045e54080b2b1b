"""The words for what plans and runs say, for people: reasons, durations, times. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from runner.plan import Plan, PlannedVariant
from runner.schedule import in_zone

#: What each reason means, in a marketer's words.
REASONS = {
    "missing_phone": "no phone number",
    "invalid_phone": "not a phone number that exists",
    "ambiguous_phone": "could be two people's number: write the country code",
    "not_mobile": "a number that is not a mobile",
    "forgotten": "was forgotten, and is never messaged again",
    "no_consent": "did not agree to messages",
    "suppressed": "on a never-message list",
    "opted_out": "asked not to be messaged",
    "frequency_cap": "has had enough messages lately",
    "min_distance": "had a message too short a while ago",
    "bad_timezone": "the time zone in the row is none",
    "no_window": "no hour lies in the window in every time zone of the number",
    "duplicate_phone": "the same phone as an earlier row",
    "bad_variable": "a value of the message is missing or not allowed",
    "holdout": "held out: in the control group",
}


def number(count: int) -> str:
    """Return a count with thousands separated: 12,500."""
    return f"{count:,}"


def duration(seconds: float) -> str:
    """Return a duration in its two largest units: `6 min 2 s`."""
    whole = round(seconds)
    units = (("d", 86400), ("h", 3600), ("min", 60), ("s", 1))
    parts = []
    for name, size in units:
        count, whole = divmod(whole, size)
        if count:
            parts.append(f"{count} {name}")
    return " ".join(parts[:2]) or "less than a second"


def moment(when: datetime, zone: str | None) -> str:
    """Return an instant in its zone: `Fri 20 Mar 2026 10:00 Asia/Jakarta`."""
    return f"{in_zone(when, zone):%a %d %b %Y %H:%M} {zone or 'UTC'}"


def priority(plan: Plan) -> str:
    """Return what to add to a plan's sender: nothing for the priority that all have unless they say more."""
    return "" if plan.priority == 1 else f", with priority {plan.priority}"


def rate(per_second: float | None) -> str:
    """Return a sender's rate: `5/s`."""
    return "no rate limit" if per_second is None else f"{per_second:g}/s"


def share(variant: PlannedVariant, plan: Plan) -> str:
    """Return how many of a plan's recipients get a variant: `1,004 to send, 50 % by weight`."""
    total = sum(each.weight for each in plan.variants)
    return f"{number(variant.to_send)} to send, {100 * variant.weight / total:.3g} % by weight"


def source_facts(plan: Plan) -> list[tuple[str, str]]:
    """Return what to show of a source other than the project's own files, and what `--param` gave."""
    shown = [(name.capitalize(), value) for name, value in plan.facts.items()]
    return [*shown, *((f"Parameter {name}", value) for name, value in plan.parameters.items())]


def shows_query(plan: Plan) -> bool:
    """Tell whether the query stands in no file that is reviewed: then the plan has to show it."""
    return plan.source != "duckdb" and not {"query", "query_file"} & set(plan.document["segment"])


def rejections(rejected: Mapping[str, int]) -> list[tuple[str, int, str]]:
    """Return (reason, count, meaning), the largest first."""
    ordered = sorted(rejected.items(), key=lambda item: (-item[1], item[0]))
    return [(reason, count, REASONS.get(reason, "")) for reason, count in ordered]
