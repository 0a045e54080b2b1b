"""The calendar as people and machines read it: occurrences, a heat map of each sender, collisions. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import date, datetime, timedelta
from itertools import groupby
from typing import Any

from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from runner.calendar import Calendar, Collision, Coming, HourLoad, hour_of
from runner.reports import wording
from runner.schedule import in_zone

#: Occurrences that the table shows; a cron of every minute has 43,200 of them in 30 days.
_MOST_ROWS = 40
#: How an hour looks by the share of what the sender can send in it: up to so much, two columns, a colour.
_HEAT = ((0.25, "░░", "green"), (0.5, "▒▒", "yellow"), (0.75, "▓▓", "dark_orange"), (1.0, "██", "red"))
_NOTHING = (" ·", "dim")
_UNKNOWN = (" ?", "bold")
_LEGEND = "░ up to 25%, ▒ 50%, ▓ 75%, █ 100% of what the sender can send in an hour; ? of unknown size"
#: So many days without messages become one line.
_FOLDED = 3
#: A duration from so many seconds on is told to the minute.
_LONG = 3600


def calendar_report(calendar: Calendar, zone: str, unscheduled: Sequence[str]) -> RenderableType:
    """Return the whole calendar; the heat map's days and hours are those of `zone`.

    `unscheduled` are the campaigns that have neither `at` nor `cron`.
    """
    parts: list[RenderableType] = []
    if calendar.occurrences:
        parts.append(_occurrences(calendar))
        parts += [_heat_map(calendar, sender, zone) for sender in _senders(calendar)]
        parts.append(_collisions(calendar, zone))
    else:
        parts.append(Text(f"nothing fires until {wording.moment(calendar.until, zone)}"))
    if unscheduled:
        names = ", ".join(unscheduled)
        parts.append(Text(f"without a time of their own, sent when applied: {names}", style="dim"))
    return Group(*(Padding(part, (0, 0, 1, 0)) for part in parts[:-1]), parts[-1])


def collision_line(collision: Collision, zone: str) -> str:
    """Return `Mon 30 Nov 2026 10:00 Asia/Jakarta: 3 campaigns, 41,000 messages, 2 h 17 min at 5/s`."""
    said = [_how_many(collision), f"{wording.number(collision.messages)} messages"]
    if collision.unknown:
        said[1] = f"at least {said[1]} ({collision.unknown} of unknown size)"
    if collision.messages:
        said.append(f"{_rounded(collision.seconds)} at {wording.rate(collision.rate)}")
    return f"{wording.moment(collision.at, zone)}: {', '.join(said)}"


def calendar_document(calendar: Calendar, unscheduled: Sequence[str]) -> dict[str, Any]:
    """Return the calendar as JSON values: times in UTC, ISO 8601."""
    pairs = zip(calendar.occurrences, calendar.ends, strict=True)
    return {
        "since": _iso(calendar.since),
        "until": _iso(calendar.until),
        "occurrences": [_occurrence(one, ends) for one, ends in pairs],
        "collisions": [_collision(one) for one in calendar.collisions],
        "load": [_hour(one) for one in calendar.load],
        "unscheduled": list(unscheduled),
    }


def _senders(calendar: Calendar) -> list[str]:
    return list(dict.fromkeys(one.sender for one in calendar.occurrences))


def _occurrences(calendar: Calendar) -> Table:
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="bold")
    for name in ("when", "campaign"):
        table.add_column(name)
    table.add_column("messages", justify="right")
    for name in ("known from", "last one", "sender"):
        table.add_column(name)
    pairs = list(zip(calendar.occurrences, calendar.ends, strict=True))
    for one, ends in pairs[:_MOST_ROWS]:
        zone = one.campaign.schedule.zone
        size = "?" if one.messages is None else wording.number(one.messages)
        source = one.source.value if one.source else ""
        last = _last(one, ends)
        table.add_row(wording.moment(one.at, zone), one.campaign.name, size, source, last, one.sender)
    if len(pairs) > _MOST_ROWS:
        table.add_row(f"and {wording.number(len(pairs) - _MOST_ROWS)} more; --json lists them all")
    return table


def _last(one: Coming, ends: datetime | None) -> str:
    if not one.messages:
        return ""
    return f"{in_zone(ends, one.campaign.schedule.zone):%a %d %b %H:%M}" if ends else "later"


def _heat_map(calendar: Calendar, sender: str, zone: str) -> RenderableType:
    mine = [one for one in calendar.occurrences if one.sender == sender]
    load = {hour.start: hour for hour in calendar.load if hour.sender == sender}
    unknown = {hour_of(one.starts_at, zone) for one in mine if one.messages is None}
    if not load and not unknown:
        return Text(f"{sender}: nothing to send")
    days = _by_day([*load, *unknown], zone)
    title = Text(f"{sender} at {wording.rate(mine[0].rate)}, hours of {zone}", style="bold")
    heading = Text("            ").append("".join(f"{hour:>2}    " for hour in range(0, 24, 3)), style="dim")
    heading.append("  messages  busiest hour", style="dim")
    rows: list[Text] = []
    for quiet, group in groupby(_from_first_to_last(days), key=lambda day: day not in days):
        dates = list(group)
        if quiet and len(dates) >= _FOLDED:
            rows.append(Text(f"{'...':>10}  {len(dates)} days without messages", style="dim"))
        else:
            rows += [_day(day, days.get(day, ()), load, unknown, zone) for day in dates]
    return Group(title, heading, *rows, Text(_LEGEND, style="dim"))


def _by_day(hours: Sequence[datetime], zone: str) -> dict[date, list[datetime]]:
    """Return the hours (UTC) of each local date, in order."""
    grouped = groupby(sorted(set(hours)), key=lambda hour: in_zone(hour, zone).date())
    return {day: list(found) for day, found in grouped}


def _from_first_to_last(days: dict[date, list[datetime]]) -> Iterator[date]:
    first, last = min(days), max(days)
    yield from (first + timedelta(days=count) for count in range((last - first).days + 1))


def _day(
    day: date,
    hours: Sequence[datetime],
    load: dict[datetime, HourLoad],
    unknown: set[datetime],
    zone: str,
) -> Text:
    row = Text(f"{day:%a %d %b}  ")
    # Where the clocks are put back, two hours of a day have one place; the later one is shown.
    shown = {in_zone(hour, zone).hour: hour for hour in hours}
    most = max((one.messages for one in load.values()), default=0.0)
    for hour in (shown.get(number) for number in range(24)):
        row.append(*(_cell(load.get(hour), most, unknown=hour in unknown) if hour else _NOTHING))
    sent = [load[hour] for hour in hours if hour in load]
    if sent:
        busiest = max(sent, key=lambda one: one.messages)
        share = "" if busiest.share is None else f" {min(busiest.share, 1.0):.0%}"
        row.append(f"  {wording.number(round(sum(one.messages for one in sent))):>8}")
        row.append(f"  {in_zone(busiest.start, zone):%H:%M}{share}")
    return row


def _cell(load: HourLoad | None, most: float, *, unknown: bool) -> tuple[str, str]:
    """Return the two characters of an hour and their style; without a rate it is seen against the `most`."""
    if load is None:
        return _UNKNOWN if unknown else _NOTHING
    share = load.messages / most if load.share is None else load.share
    look, style = next(((look, style) for limit, look, style in _HEAT if share <= limit), _HEAT[-1][1:])
    return (f"{look[0]}?", style) if unknown else (look, style)


def _collisions(calendar: Calendar, zone: str) -> RenderableType:
    collisions = calendar.collisions
    if not collisions:
        known = all(one.messages is not None for one in calendar.occurrences)
        return Text("no collisions" if known else "no collisions, as far as sizes are known")
    lines = [Text("Collisions", style="bold")]
    for one in collisions[:_MOST_ROWS]:
        line = Text(collision_line(one, zone), style="yellow")
        lines.append(line.append(f"  {', '.join(one.campaigns)}", style="dim"))
    if len(collisions) > _MOST_ROWS:
        lines.append(Text(f"and {wording.number(len(collisions) - _MOST_ROWS)} more; --json lists them all"))
    return Group(*lines)


def _how_many(collision: Collision) -> str:
    campaigns, occurrences = len(collision.campaigns), collision.occurrences
    counted = f"{campaigns} campaign{'' if campaigns == 1 else 's'}"
    return counted if campaigns == occurrences else f"{counted} in {occurrences} occurrences"


def _rounded(seconds: float) -> str:
    """Return a duration, from an hour on to the nearest minute."""
    return wording.duration(seconds if seconds < _LONG else round(seconds / 60) * 60)


def _iso(moment: datetime | None) -> str | None:
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ") if moment is not None else None


def _occurrence(one: Coming, ends: datetime | None) -> dict[str, Any]:
    return {
        "campaign": one.campaign.name,
        "occurrence": one.occurrence,
        "at": _iso(one.at),
        "starts_at": _iso(one.starts_at),
        "ends_at": _iso(ends),
        "timezone": one.campaign.schedule.zone,
        "messages": one.messages,
        "messages_from": one.source.value if one.source else None,
        "sender": one.sender,
        "rate": one.rate,
    }


def _collision(one: Collision) -> dict[str, Any]:
    return {
        "sender": one.sender,
        "at": _iso(one.at),
        "campaigns": list(one.campaigns),
        "occurrences": one.occurrences,
        "messages": one.messages,
        "unknown": one.unknown,
        "rate": one.rate,
        "duration_seconds": one.seconds,
    }


def _hour(one: HourLoad) -> dict[str, Any]:
    return {
        "sender": one.sender,
        "start": _iso(one.start),
        "messages": round(one.messages, 1),
        "share": None if one.share is None else round(one.share, 4),
    }
