"""When a campaign may be sent: its due time and its window; the only module that knows time zones.

Everything that comes in or goes out is an aware datetime in UTC; local times exist only in here.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, time, timedelta, timezone
from zoneinfo import ZoneInfo

from cronsim import CronSim

#: The occurrence of a campaign that fires once. A campaign with `at` fires once too: were its occurrence
#: the instant, then moving the hour would send everything again (docs/decisions).
ONCE = "once"


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """Hours of the day, local, in which messages may be sent; `closes` <= `opens` means over midnight."""

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
class Schedule:
    """The `schedule` of a campaign: `at` (local, naive) or `cron`, or neither; `zone` gives both a place."""

    at: datetime | None = None
    cron: str | None = None
    zone: str | None = None
    window: Window | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Firing:
    """One firing: its `occurrence` key and the moment (UTC) from which it may be sent, None for at once."""

    occurrence: str
    due_at: datetime | None


def next_firing(schedule: Schedule, now: datetime) -> Firing:
    """Return the firing a plan made at `now` (UTC) is for: the coming one of a cron, else the only one."""
    if schedule.cron is not None:
        start = now.astimezone(_zone(schedule)) - timedelta(seconds=1)
        due_at = next(CronSim(schedule.cron, start)).astimezone(timezone.utc)
        return Firing(occurrence=f"{due_at:%Y-%m-%dT%H:%MZ}", due_at=due_at)
    if schedule.at is not None:
        due_at = schedule.at.replace(tzinfo=_zone(schedule)).astimezone(timezone.utc)
        return Firing(occurrence=ONCE, due_at=due_at)
    return Firing(occurrence=ONCE, due_at=None)


def firing_at(schedule: Schedule, moment: datetime) -> Firing | None:
    """Return the firing of a cron at exactly `moment` (UTC), None when it does not fire then."""
    firing = next_firing(schedule, moment)
    return firing if firing.due_at == moment else None


def opens_at(window: Window | None, zone: str, moment: datetime) -> datetime:
    """Return the first instant (UTC), at or after `moment` (UTC), that lies in the window."""
    if window is None:
        return moment
    local = moment.astimezone(ZoneInfo(zone))
    if window.holds(local.time()):
        return moment
    opening = local.replace(hour=window.opens.hour, minute=window.opens.minute, second=0, microsecond=0)
    if opening <= local:
        opening += timedelta(days=1)
    return opening.astimezone(timezone.utc)


def closes_at(window: Window | None, zone: str, moment: datetime) -> datetime | None:
    """Return the instant (UTC) at which the window that holds `moment` closes; None without a window."""
    if window is None:
        return None
    local = moment.astimezone(ZoneInfo(zone))
    closing = local.replace(hour=window.closes.hour, minute=window.closes.minute, second=0, microsecond=0)
    if closing <= local:
        closing += timedelta(days=1)
    return closing.astimezone(timezone.utc)


def in_zone(moment: datetime, zone: str | None) -> datetime:
    """Return the instant `moment` on the clocks of `zone` (UTC if None), for showing it to people."""
    return moment.astimezone(ZoneInfo(zone or "UTC"))


def _zone(schedule: Schedule) -> ZoneInfo:
    return ZoneInfo(schedule.zone or "UTC")
