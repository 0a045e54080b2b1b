"""When the windows of a plan's people open, and when the last of them gets the message: a simulation. Pure.

One group of people for each set of time zones, not one for each person. Who goes first is what `pending`
does: of those whose window is open, those whose window closes first.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from math import ceil

from runner.window import Span, Window, closes_at, opens_at, sending_span

#: After so many openings and closings, or so long, nobody is told any more when the last message goes.
_MOST_TURNS, _LONGEST = 5_000, timedelta(days=366)

#: The names of the zones that one person's number may be in.
Zones = tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ZoneForecast:
    """The people in one set of time zones: all of `zones` must have an hour of the window.

    Their window opens at `opens_at` first, closes then at `closes_at`, and the last of them gets the message
    at `last_at` (UTC); None where that cannot be told.
    """

    zones: Zones
    people: int
    opens_at: datetime | None
    closes_at: datetime | None
    last_at: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Closing:
    """The first time that no window is open any more: when, with how many people left, until when (UTC)."""

    at: datetime
    left: int
    until: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Forecast:
    """What becomes of a sender that begins at some moment: each set of zones, the first to open first.

    `closing` is None when all get the message before every window is closed.
    """

    zones: tuple[ZoneForecast, ...]
    closing: Closing | None


def forecast_zones(
    people: Mapping[Zones, int], *, window: Window, rate: float | None, start: datetime
) -> Forecast:
    """Return what becomes of a sender that begins at `start` (UTC), and sends to all of them.

    `people` are how many are in each set of zones; `rate` is messages a second, None for unlimited.
    """
    course = _Course(people, window, rate)
    course.run(start)
    found = [
        _forecast(zones, count, window, start, course.last.get(zones)) for zones, count in people.items()
    ]
    return Forecast(zones=tuple(sorted(found, key=_in_order)), closing=course.closing)


def _in_order(zone: ZoneForecast) -> tuple[bool, float, int, Zones]:
    opens = zone.opens_at.timestamp() if zone.opens_at else 0.0
    return (zone.opens_at is None, opens, -zone.people, zone.zones)


def _forecast(
    zones: Zones, people: int, window: Window, start: datetime, last: datetime | None
) -> ZoneForecast:
    opening = opens_at(window, zones, start)
    closing = None if opening is None else closes_at(window, zones, opening)
    return ZoneForecast(zones=zones, people=people, opens_at=opening, closes_at=closing, last_at=last)


class _Course:
    """The course of a sender: who is left, and when the last one of each set of zones got the message."""

    def __init__(self, people: Mapping[Zones, int], window: Window, rate: float | None) -> None:
        self.last: dict[Zones, datetime] = {}
        self.closing: Closing | None = None
        self._left = {zones: count for zones, count in people.items() if count}
        self._spans: dict[Zones, Span] = {}
        self._window = window
        self._rate = rate
        self._has_begun = False

    def run(self, start: datetime) -> None:
        """Send to everybody in thought."""
        now = start
        for _ in range(_MOST_TURNS):
            if not self._left or now > start + _LONGEST:
                return
            now = self._turn(now)

    def _turn(self, now: datetime) -> datetime:
        """Go on from `now` to the next opening or closing, or till a group is done; return when that is."""
        for zones in self._left:
            if zones not in self._spans or now >= self._spans[zones].end:
                self._spans[zones] = sending_span(self._window, zones, now)
        until = min(self._spans[zones].end for zones in self._left)
        open_ones = [zones for zones in self._left if self._spans[zones].is_open]
        if not open_ones:
            if self._has_begun and self.closing is None:
                self.closing = Closing(at=now, left=sum(self._left.values()), until=until)
            return until
        self._has_begun = True
        first = min(self._spans[zones].end for zones in open_ones)
        group = [zones for zones in open_ones if self._spans[zones].end == first]
        return self._send_some(group, now, until)

    def _send_some(self, group: Sequence[Zones], now: datetime, until: datetime) -> datetime:
        """Send to a group, whose sets take turns, until it is done or `until`; return when it ended."""
        rate, waiting = self._rate, sum(self._left[zones] for zones in group)
        fits = waiting if rate is None else min(waiting, ceil((until - now).total_seconds() * rate))
        gap = timedelta(0) if rate is None else timedelta(seconds=1 / rate)
        still = fits
        for zones in group:
            share = min(still, ceil(self._left[zones] * fits / waiting))
            still -= share
            self._left[zones] -= share
            if not self._left[zones]:
                del self._left[zones]
                self.last[zones] = now + (fits - 1) * gap
        free = now + fits * gap
        return free if fits == waiting else max(until, free)
