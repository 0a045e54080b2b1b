"""Hours of the day in which messages may be sent, and when they begin and end in one or several time zones.

An instant lies in a window in a zone when a clock on the wall there shows a time of the window then; nothing
else is asked, so what daylight saving does needs no rule of its own. In several zones it lies in the window
when it does in each of them. Everything that comes in or goes out is an aware datetime in UTC.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta, timezone
from zoneinfo import ZoneInfo

#: A window that does not open within this time is taken for one that never does: the hours of a number's
#: zones may not meet at all, or only in the other half of the year.
HORIZON = timedelta(days=8)
#: In the last seconds of a window nothing is sent any more: a message that opens a connection is on its way
#: for a while, and is to be out before the window closes.
LAST_CALL = timedelta(seconds=10)
_DAY = timedelta(days=1)
_SECOND = timedelta(seconds=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """Hours of the day, local, in which messages may be sent; `closes` < `opens` means over midnight."""

    opens: time
    closes: time

    def holds(self, moment: time) -> bool:
        """Tell whether the local time `moment` lies in the window (opening included, closing not)."""
        if self.opens < self.closes:
            return self.opens <= moment < self.closes
        return moment >= self.opens or moment < self.closes

    def __str__(self) -> str:
        """Render as the campaign file writes it."""
        return f"{self.opens:%H:%M}-{self.closes:%H:%M}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Span:
    """A time through which a window stays open, or closed: from `start` up to, and not with, `end` (UTC).

    It may have begun before `start`, and may go on after `end`, where those are two days and more away.
    """

    is_open: bool
    start: datetime
    end: datetime


def is_open(window: Window, zones: Sequence[str], moment: datetime) -> bool:
    """Tell whether `moment` lies in the window in every one of `zones` (IANA names)."""
    return all(window.holds(moment.astimezone(ZoneInfo(zone)).time()) for zone in zones)


def span_at(window: Window, zones: Sequence[str], moment: datetime) -> Span:
    """Return the span that `moment` (UTC) lies in."""
    start, end = moment - 2 * _DAY, moment + HORIZON
    now_open, was_other = is_open(window, zones, moment), False
    for change in _changes(window, zones, start, end):
        same = is_open(window, zones, change) is now_open
        if change > moment and not same:
            return Span(is_open=now_open, start=start, end=change)
        if change <= moment:
            start = change if same and was_other else start
            was_other = not same
    return Span(is_open=now_open, start=start, end=end)


def sending_span(window: Window, zones: Sequence[str], moment: datetime) -> Span:
    """Return the span that `moment` (UTC) lies in, for one who sends: it closes LAST_CALL early."""
    span = span_at(window, zones, moment)
    if not span.is_open:
        return Span(is_open=False, start=span.start - LAST_CALL, end=span.end)
    last_call = span.end - LAST_CALL
    if moment < last_call:
        return Span(is_open=True, start=span.start, end=last_call)
    return Span(is_open=False, start=last_call, end=span_at(window, zones, span.end).end)


def opens_at(window: Window | None, zones: Sequence[str], moment: datetime) -> datetime | None:
    """Return the first instant from `moment` (UTC) on in the window in all `zones`; None within HORIZON."""
    if window is None or is_open(window, zones, moment):
        return moment
    span = span_at(window, zones, moment)
    return span.end if is_open(window, zones, span.end) else None


def closes_at(window: Window, zones: Sequence[str], moment: datetime) -> datetime:
    """Return when the window that `moment` (UTC) lies in closes in one of `zones`; HORIZON at the latest."""
    return span_at(window, zones, moment).end


def _changes(window: Window, zones: Sequence[str], start: datetime, end: datetime) -> list[datetime]:
    """Return, in order, the instants from `start` to `end` at which a window may open or close."""
    found = {instant for zone in zones for instant in _changes_in(window, ZoneInfo(zone), start, end)}
    return sorted(instant for instant in found if start <= instant <= end)


def _changes_in(window: Window, zone: ZoneInfo, start: datetime, end: datetime) -> Iterator[datetime]:
    day = start.astimezone(zone).date() - _DAY
    while day <= end.astimezone(zone).date() + _DAY:
        for moment in (window.opens, window.closes):
            # A local time that exists twice is two instants.
            for fold in (0, 1):
                local = datetime.combine(day, moment.replace(fold=fold), zone)
                yield local.astimezone(timezone.utc)
        yield from _shift(zone, day)
        day += _DAY


def _shift(zone: ZoneInfo, day: date) -> Iterator[datetime]:
    """Yield the instant of the UTC day `day` at which the zone's clocks are put forward or back, if any."""
    low = datetime.combine(day, time(), timezone.utc)
    high = low + _DAY
    before, after = low.astimezone(zone).utcoffset(), high.astimezone(zone).utcoffset()
    if before == after:
        return
    while high - low > _SECOND:
        middle = low + (high - low) // 2
        middle = middle.replace(microsecond=0)
        low, high = (middle, high) if middle.astimezone(zone).utcoffset() == before else (low, middle)
    yield high
