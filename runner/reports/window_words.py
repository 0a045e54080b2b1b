"""What a plan says of windows, for people: who is where, from when to when, when the last one goes. Pure."""

from __future__ import annotations

from datetime import datetime

from runner.plan import Plan
from runner.reports import wording
from runner.schedule import in_zone
from runner.zone_forecast import ZoneForecast

#: Of more sets of time zones than this, the smallest are told together.
_SHOWN = 12
#: Of more zones of one number than this, only how many they are, and the first.
_NAMED = 3


def window_facts(plan: Plan) -> list[tuple[str, str]]:
    """Return what to show of a plan's windows and its deadline: names and values; nothing without them."""
    facts = []
    if plan.window:
        facts.append(("Window", f"{plan.window}, in each person's own time zone"))
        facts += [("", line) for line in zone_lines(plan)]
    if plan.deadline:
        late = wording.moment(plan.deadline, plan.zone)
        facts.append(("Deadline", f"whoever has not got it by {late} does not get it"))
    return facts


def zone_lines(plan: Plan) -> list[str]:
    """Return a line for each set of time zones, the first to open first; the smallest together at the end."""
    shown = sorted(plan.forecast, key=lambda zone: -zone.people)[:_SHOWN]
    lines = [_line(zone) for zone in plan.forecast if zone in shown]
    others = [zone for zone in plan.forecast if zone not in shown]
    if others:
        people = sum(zone.people for zone in others)
        lines.append(f"{wording.number(people)} people in {len(others)} more time zones")
    return lines


def _line(zone: ZoneForecast) -> str:
    who = f"{wording.number(zone.people)} {'person' if zone.people == 1 else 'people'} in {_places(zone)}"
    if zone.opens_at is None or zone.closes_at is None:
        return f"{who}: no window opens within a week"
    first = zone.zones[0]
    whose = "their time" if len(zone.zones) == 1 else f"{_city(first)} time"
    closes = _clock(zone.closes_at, first, after=zone.opens_at)
    hours = f"from {_clock(zone.opens_at, first)} to {closes} {whose}"
    if zone.last_at is None:
        return f"{who}: {hours}, the last too far ahead to tell when"
    return f"{who}: {hours}, the last at {_clock(zone.last_at, first, after=zone.opens_at)}"


def _places(zone: ZoneForecast) -> str:
    """Name the cities, and the zones in brackets; of many zones how many they are."""
    if len(zone.zones) == 1:
        (only,) = zone.zones
        return f"{_city(only)} ({only})" if "/" in only else only
    if len(zone.zones) > _NAMED:
        return (
            f"one of {len(zone.zones)} time zones ({zone.zones[0]} ... {zone.zones[-1]}; all must allow it)"
        )
    return f"{' or '.join(map(_city, zone.zones))} ({', '.join(zone.zones)}; all must allow it)"


def _city(zone: str) -> str:
    return zone.rpartition("/")[2].replace("_", " ")


def _clock(moment: datetime, zone: str, *, after: datetime | None = None) -> str:
    """Return a local time, with its day unless that is the day of the moment before it."""
    local = in_zone(moment, zone)
    if after is not None and in_zone(after, zone).date() == local.date():
        return f"{local:%H:%M}"
    return f"{local:%a %d %b %H:%M}"
