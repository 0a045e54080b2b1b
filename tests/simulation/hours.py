"""Windows in a simulated world: people in two time zones, and hours that open or close as they are sent to.

Worlds begin on a full minute, and a campaign lasts seconds. So the world of a window begins a little later:
just before somebody's window closes for a few minutes, or while it is still closed. In one pair of zones that
is at midnight.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from math import copysign
from zoneinfo import ZoneInfo

from runner.open_hours import OpenHours
from runner.window import Window
from tests.simulation.mishaps import START, Mishaps

#: In this share of worlds there are windows; in some of those a message becomes stale.
WINDOWS, DEADLINES = 0.15, 0.25
#: West and east, an hour apart: when the west's window opens or closes, the east's is open.
_PAIRS = (("Asia/Jakarta", "Asia/Makassar"), ("America/Los_Angeles", "America/Denver"))


@dataclass(frozen=True, kw_only=True)
class Zoned:
    """The windows of a world: each person's zones, how late it begins (seconds), and when it is too late."""

    window: Window
    zones: tuple[str, ...]
    waits: bool
    lag: float
    deadline: float | None

    def opened(self, steady: Callable[[], float], wall: Callable[[], float]) -> OpenHours:
        """Return what the product asks."""
        return OpenHours(self.window, waits=self.waits, steady=steady, wall=wall)

    def allows(self, person: int, moment: float) -> bool:
        """Tell, by zoneinfo alone, whether the clocks of a person's zones show an hour of the window."""
        opens, closes = (60 * hour.hour + hour.minute for hour in (self.window.opens, self.window.closes))
        clocks = [datetime.fromtimestamp(moment, ZoneInfo(zone)) for zone in self.zones[person].split(",")]
        minutes = [60 * clock.hour + clock.minute for clock in clocks]
        return all((minute - opens) % 1440 < (closes - opens) % 1440 for minute in minutes)


def drawn_hours(seed: int, people: int) -> Zoned | None:
    """Draw the windows of a world of `people`; None where it has none."""
    chance = random.Random(f"{seed}/hours")
    if chance.random() >= WINDOWS:
        return None
    west, east = chance.choice(_PAIRS)
    start = datetime.fromtimestamp(START, ZoneInfo(west))
    minutes = [start + timedelta(minutes=number) for number in (1, chance.choice([2, 3, 5]))]
    closing, opening = (minute.time() for minute in minutes)
    window, lag = Window(opens=opening, closes=closing), chance.uniform(25, 58)
    if chance.random() < 0.4:
        # Still closed in the west; it closes again some hours later.
        window = Window(opens=opening, closes=(start + timedelta(hours=6)).time())
    return Zoned(
        window=window,
        zones=tuple(chance.choice([west, west, east, f"{west},{east}"]) for _ in range(people)),
        waits=chance.random() < 0.6,
        lag=lag,
        deadline=START + lag + chance.uniform(1, 250) if chance.random() < DEADLINES else None,
    )


def with_hours(mishaps: Mishaps, zoned: Zoned | None) -> Mishaps:
    """Fit what goes wrong to a world of windows: who does not wait would never end on a clock hours wrong."""
    if zoned is None:
        return mishaps
    at, seconds = mishaps.jump
    if not zoned.waits and abs(seconds) > 60:
        mishaps.jump = (at, copysign(30, seconds))
    for storm in mishaps.storms:
        storm.start += zoned.lag
        storm.end += zoned.lag
    return mishaps
