"""Whether a campaign's cron fires at the same moments in TD Workflow as here; the first check of an export.

TD Workflow (digdag) reads `cron>` with cron4j, the product with cronsim. Where the two fire at different
moments, the session that the workflow starts is no occurrence of the campaign, and nobody gets a message.
What cron4j does: treasure-data/digdag CronScheduler.java, and SchedulingPattern.java of cron4j.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import date, datetime, timedelta

from runner.errors import UsageError
from runner.schedule import Schedule, firings, in_zone

_DAY, _WEEKDAY = 2, 4
_LOOK_AHEAD, _DAY_LONG, _NEAR = timedelta(days=731), timedelta(days=1), timedelta(hours=2)
_TERM = re.compile(r"\*(/[0-9]+)?|[0-9A-Z]+|[0-9A-Z]+-[0-9A-Z]+(/[0-9]+)?")


def workflow_cron(cron: str) -> str:
    """Return the five fields of `cron` as `cron>` takes them. UsageError where it would fire differently."""
    fields = cron.upper().split()
    reason = _difference(fields)
    if reason is not None:
        found, hint = reason
        raise UsageError(f"schedule.cron: TD Workflow reads {found} differently", hint=hint)
    return " ".join(fields)


def clock_changes(schedule: Schedule, since: datetime) -> Iterator[date]:
    """Yield the local days, for two years from `since` (UTC), on which clocks change while the cron fires.

    What cron4j makes of a local time that is skipped or comes twice is not what runner.schedule does.
    """
    for number in range(_LOOK_AHEAD.days):
        start = since + timedelta(days=number)
        if _offset(schedule, start) == _offset(schedule, start + _DAY_LONG):
            continue
        # So near to a change that the clocks may show the time twice, or not at all.
        near = (
            firing.due_at
            for firing in firings(schedule, start - _NEAR, start + _DAY_LONG + _NEAR)
            if firing.due_at
            and _offset(schedule, firing.due_at - _NEAR) != _offset(schedule, firing.due_at + _NEAR)
        )
        first = next(near, None)
        if first is not None:
            yield in_zone(first, schedule.zone).date()


def _offset(schedule: Schedule, moment: datetime) -> timedelta | None:
    return in_zone(moment, schedule.zone).utcoffset()


def _difference(fields: list[str]) -> tuple[str, str] | None:
    """Return what is read differently and what to write instead, None when nothing is."""
    if not fields[_DAY].startswith("*") and not fields[_WEEKDAY].startswith("*"):
        # Here either of the two is enough, as in cron; there both have to hold.
        both = f"`{fields[_DAY]}` and `{fields[_WEEKDAY]}` together"
        return both, "leave `*` for the day of the month or for the day of the week; two campaigns can share"
    for index, field in enumerate(fields):
        for term in field.split(","):
            hint = _hint(term, index)
            if hint is not None:
                return f"`{term}`", hint
    return None


def _hint(term: str, index: int) -> str | None:
    if index == _WEEKDAY and re.fullmatch(r"[0-9A-Z]+-7(/[0-9]+)?", term):
        return "write Sunday as 0: 0-6, or 5,6,0"
    if index == _DAY and term == "L":
        return None
    if "#" in term or term == "LW" or (index == _WEEKDAY and re.fullmatch(r"[0-9]+L", term)):
        return "it knows neither `#` nor a last weekday; name days of the month, such as 1-7"
    if not _TERM.fullmatch(term):
        return "a step needs a range: 5-59/15 for 5/15"
    return None
