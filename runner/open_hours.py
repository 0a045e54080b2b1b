"""Whose window is open at this very moment; what a run asks before a message leaves.

A person's window is open when it is by the run's steady clock and by the wall clock: a run that began with a
right clock keeps to it, whatever is done to the machine's; one that began with a wrong clock stops at the
latest when that is put right. The answer for one set of time zones is kept until the window opens or closes.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timezone
from typing import NamedTuple

from runner.delivery import Delivery, DeliveryKey
from runner.number_zones import BETWEEN
from runner.window import Window, sending_span


class _Span(NamedTuple):
    """A span in epoch seconds."""

    is_open: bool
    start: float
    end: float


class OpenHours:
    """The window of a run. `steady` and `wall` return epoch seconds; it `waits` when nobody's window is open.

    Zones are those of a delivery: names, joined.
    """

    def __init__(
        self, window: Window, *, waits: bool, steady: Callable[[], float], wall: Callable[[], float]
    ) -> None:
        self.window = window
        self.waits = waits
        self._steady = steady
        self._wall = wall
        self._spans: dict[str, _Span] = {}
        self._put_off: dict[DeliveryKey, str] = {}

    def is_open(self, zones: str) -> bool:
        """Tell whether somebody in these zones may get a message now."""
        return self._span(zones, self._steady()).is_open and self._span(zones, self._wall()).is_open

    def changes_at(self, zones: str) -> float:
        """Return when the window in these zones closes, or opens if it is closed (epoch seconds)."""
        return self._span(zones, self._steady()).end

    def opens_at(self, zones: str) -> float:
        """Return when the window opens in these zones, where it is closed (epoch seconds)."""
        spans = (self._span(zones, now) for now in (self._steady(), self._wall()))
        return max((span.end for span in spans if not span.is_open), default=self._wall())

    def opens_in(self, zones: str) -> float:
        """Return in how many seconds the window may open in these zones; 0 where it is open."""
        waits = [0.0]
        for now in (self._steady(), self._wall()):
            span = self._span(zones, now)
            waits.append(0.0 if span.is_open else span.end - now)
        return max(waits)

    def turns_away(self, delivery: Delivery) -> bool:
        """Tell whether this delivery may not leave now; it is put off then, for another round."""
        if self.is_open(delivery.zones):
            return False
        self._put_off[delivery.key] = delivery.zones
        return True

    def take_put_off(self) -> dict[DeliveryKey, str]:
        """Return the deliveries put off since this was asked last, and their zones."""
        taken, self._put_off = self._put_off, {}
        return taken

    def _span(self, zones: str, now: float) -> _Span:
        span = self._spans.get(zones)
        if span is None or not span.start <= now < span.end:
            found = sending_span(self.window, zones.split(BETWEEN), datetime.fromtimestamp(now, timezone.utc))
            span = _Span(found.is_open, found.start.timestamp(), found.end.timestamp())
            self._spans[zones] = span
        return span
