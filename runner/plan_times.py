"""When a plan's messages may go: from when until when, who waits for a window, and for how long. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from runner.plan import sending_seconds
from runner.schedule import OnWindowClose, Schedule, in_zone
from runner.zone_forecast import Closing, ZoneForecast, Zones, forecast_zones


@dataclass(frozen=True, slots=True, kw_only=True)
class Times:
    """The times of a plan (UTC): when its first message may go, and when the last one goes.

    `zones` is empty, and `closing` None, without a window. After `deadline` nobody gets the message any more.
    """

    starts_at: datetime
    ends_at: datetime
    zones: tuple[ZoneForecast, ...]
    closing: Closing | None
    deadline: datetime | None


def times_of(
    schedule: Schedule,
    people: Mapping[Zones, int],
    *,
    now: datetime,
    due_at: datetime | None,
    rate: float | None,
) -> Times:
    """Return the times of a plan made at `now` (UTC) for a firing at `due_at`, at `rate` messages a second.

    `people` are how many are in each set of time zones; all in one, whose name does not matter, without a
    window.
    """
    start = max(now, due_at or now)
    deadline = (due_at or now) + schedule.expire_after if schedule.expire_after else None
    if schedule.window is None:
        seconds = sending_seconds(sum(people.values()), rate)
        ends_at = start + timedelta(seconds=seconds)
        return Times(starts_at=start, ends_at=ends_at, zones=(), closing=None, deadline=deadline)
    forecast = forecast_zones(people, window=schedule.window, rate=rate, start=start)
    starts_at = min((zone.opens_at for zone in forecast.zones if zone.opens_at), default=start)
    ends_at = max((zone.last_at for zone in forecast.zones if zone.last_at), default=starts_at)
    return Times(
        starts_at=starts_at,
        ends_at=ends_at,
        zones=forecast.zones,
        closing=forecast.closing,
        deadline=deadline,
    )


def time_notes(schedule: Schedule, times: Times, now: datetime) -> Iterator[str]:
    """Yield what a reader of the plan should know of its times."""
    if times.closing is not None:
        yield closing_words(times.closing, schedule)
    if times.deadline is None:
        return
    if max(now, times.starts_at) >= times.deadline:
        yield "schedule.expire_after is over before the first message may go: nobody would get it"
    elif times.ends_at >= times.deadline:
        yield "schedule.expire_after is over before the last message: who is left then does not get it"


def closing_words(closing: Closing, schedule: Schedule) -> str:
    """Return what happens when every window is closed before all have got the message."""
    zone = schedule.zone or "UTC"
    at, until = (f"{in_zone(moment, zone):%a %d %b %H:%M}" for moment in (closing.at, closing.until))
    left = f"from {at} on no window is open any more, with {closing.left:,} left"
    if schedule.on_window_close is OnWindowClose.WAIT:
        return f"{left}; apply waits, and goes on by itself at {until} {zone}"
    return f"{left}; apply stops then, and goes on when it is called again, from {until} {zone} on"
