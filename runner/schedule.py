"""When a campaign may be sent: its firings; beside `window` where local times become instants.

Everything that comes in or goes out is an aware datetime in UTC; local times exist only in here. A local time
that the clocks skip, or show twice, follows the rule of docs/decisions/0015-clocks-that-change.md:

- put forward over it: a time of the day fires when the clocks have been put forward (02:30 at 03:00);
- shown twice: it fires the first time;
- a cron whose minute or hour begins with `*` says how often, not when: it goes by what the clocks show, so it
  skips what they skip, and fires both times at what they show twice.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import date, datetime, time, timedelta, timezone
from enum import Enum
from zoneinfo import ZoneInfo

from cronsim import CronSim

from runner.holiday_calendar import HolidayCalendar
from runner.window import Window

#: The occurrence of a campaign that fires once. A campaign with `at` fires once too: were its occurrence
#: the instant, then moving the hour would send everything again (docs/decisions).
ONCE = "once"
#: A cron that does not fire within so long counts as one that never does.
HORIZON = timedelta(days=50 * 366)

#: No clocks have been put back by more, in this century.
_PUT_BACK = timedelta(hours=6)
_SECOND = timedelta(seconds=1)


class Missed(Enum):
    """What becomes of a firing that nobody was there for (runner/punctuality.py)."""

    SKIP = "skip"
    RUN_ONCE = "run_once"


class OnWindowClose(Enum):
    """What an apply does when no window is open any more: end, to be applied again, or wait and go on."""

    STOP = "stop"
    WAIT = "wait"


@dataclass(frozen=True, slots=True, kw_only=True)
class Schedule:
    """The `schedule` of a campaign: `at` (local, naive) or `cron`, or neither; `zone` gives both a place.

    It fires from `start` to `end` (local, naive, both included), and on no date of `exclude` or `holidays`.
    `missed` and `grace` say what becomes of a firing that is found late.
    `window` is meant in the recipient's own zone. What is not sent within `expire_after` of the due time is
    dropped.
    """

    at: datetime | None = None
    cron: str | None = None
    zone: str | None = None
    window: Window | None = None
    on_window_close: OnWindowClose = OnWindowClose.STOP
    expire_after: timedelta | None = None
    start: datetime | None = None
    end: datetime | None = None
    exclude: frozenset[date] = frozenset()
    holidays: HolidayCalendar | None = None
    missed: Missed = Missed.RUN_ONCE
    grace: timedelta = timedelta(hours=1)

    def rules_out(self, day: date) -> bool:
        """Tell whether nothing fires on the local date `day`."""
        return day in self.exclude or (self.holidays is not None and self.holidays.holds(day))

    def summary(self) -> str:
        """Say in one line when it fires: for whoever wonders why it does not."""
        said = [f"schedule.cron is {self.cron}" if self.cron else f"schedule.at is {self.at:%Y-%m-%dT%H:%M}"]
        said += [f"from {self.start:%Y-%m-%d %H:%M}"] if self.start else []
        said += [f"until {self.end:%Y-%m-%d %H:%M}"] if self.end else []
        said += [f"without {_dates(self.exclude)}"] if self.exclude else []
        said += [f"without the holidays of {self.holidays}"] if self.holidays else []
        return f"{', '.join(said)}, in {self.zone or 'UTC'}"


def _dates(days: frozenset[date]) -> str:
    return str(min(days)) if len(days) == 1 else f"{len(days)} excluded dates"


@dataclass(frozen=True, slots=True, kw_only=True)
class Firing:
    """One firing: its `occurrence` key and the moment (UTC) from which it may be sent, None for at once."""

    occurrence: str
    due_at: datetime | None


def firings(schedule: Schedule, after: datetime, until: datetime) -> Iterator[Firing]:
    """Yield the firings with `after` < `due_at` <= `until` (UTC), in order, each once.

    With `at` there is one at most, with neither `at` nor `cron` none. They are computed as they are asked
    for, in little memory.
    """
    if schedule.cron is None:
        due = _due_once(schedule)
        if due is not None and after < due <= until:
            yield Firing(occurrence=ONCE, due_at=due)
        return
    last = None
    for due_at in _instants(schedule, after, until):
        if after < due_at <= until and due_at != last:
            yield Firing(occurrence=f"{due_at:%Y-%m-%dT%H:%MZ}", due_at=due_at)
            last = due_at


def next_firing(schedule: Schedule, now: datetime) -> Firing | None:
    """Return the firing a plan made at `now` (UTC) is for: the coming one of a cron, else the only one.

    A cron that fires in this very second has not passed. None when there is no firing any more.
    """
    if schedule.cron is None:
        due_at = _due_once(schedule)
        return None if schedule.at and due_at is None else Firing(occurrence=ONCE, due_at=due_at)
    before = now.replace(microsecond=0) - _SECOND
    return next(firings(schedule, before, before + HORIZON), None)


def firing_at(schedule: Schedule, moment: datetime) -> Firing | None:
    """Return the firing at exactly `moment` (UTC), None when the schedule does not fire then."""
    return next(firings(schedule, moment - timedelta(microseconds=1), moment), None)


def leaves_out(schedule: Schedule, moment: datetime) -> bool:
    """Tell whether the schedule would fire at exactly `moment` (UTC), were it not for what it rules out."""
    bare = replace(schedule, start=None, end=None, exclude=frozenset(), holidays=None)
    return firing_at(schedule, moment) is None and firing_at(bare, moment) is not None


def _due_once(schedule: Schedule) -> datetime | None:
    """Return the instant of `at`; None without one, or when the schedule rules it out."""
    at = schedule.at
    if at is None or schedule.rules_out(at.date()):
        return None
    if (schedule.start and at < schedule.start) or (schedule.end and at > schedule.end):
        return None
    return instant(at, _zone(schedule))


def _instants(schedule: Schedule, after: datetime, until: datetime) -> Iterator[datetime]:
    """Yield the instants of a cron from before `after` until after `until`, in order, some of them twice."""
    zone = _zone(schedule)
    minute, hour = (schedule.cron or "").split()[:2]
    says_how_often = minute.startswith("*") or hour.startswith("*")
    first = after.astimezone(zone).replace(tzinfo=None) - _PUT_BACK
    last = until.astimezone(zone).replace(tzinfo=None) + _PUT_BACK
    if not says_how_often:
        for local in _local_times(schedule, first, last):
            moment = instant(local, zone)
            if not schedule.rules_out(moment.astimezone(zone).date()):
                yield moment
        return
    # Each is in order, and gives the same but where the clocks show a time twice.
    passes = (_shown(_local_times(schedule, first, last), zone, fold) for fold in (0, 1))
    yield from heapq.merge(*passes)


def _shown(times: Iterator[datetime], zone: ZoneInfo, fold: int) -> Iterator[datetime]:
    for local in times:
        if _exists(local, zone):
            yield local.replace(tzinfo=zone, fold=fold).astimezone(timezone.utc)


def _local_times(schedule: Schedule, first: datetime, last: datetime) -> Iterator[datetime]:
    """Yield the local (naive) times after `first` and up to `last` at which the cron fires, in order."""
    before = first if schedule.start is None else max(first, schedule.start - _SECOND)
    last = last if schedule.end is None else min(last, schedule.end)
    while before < last:
        for moment in CronSim(schedule.cron or "", before):
            before = moment
            if moment > last:
                return
            if schedule.rules_out(moment.date()):
                before = datetime.combine(moment.date(), time(23, 59, 59))
                break
            yield moment
        else:
            return


def instant(local: datetime, zone: ZoneInfo) -> datetime:
    """Return the instant (UTC) of a local (naive) time: the first of two, or the end of the clocks' gap."""
    if _exists(local, zone):
        return local.replace(tzinfo=zone).astimezone(timezone.utc)
    # In a gap fold 0 goes by the clocks before it, and so leads past its end; fold 1 leads before it.
    before, after = (local.replace(tzinfo=zone, fold=fold).astimezone(timezone.utc) for fold in (1, 0))
    old = before.astimezone(zone).utcoffset()
    while after - before > _SECOND:
        middle = before + (after - before) / 2
        if middle.astimezone(zone).utcoffset() == old:
            before = middle
        else:
            after = middle
    return after.replace(microsecond=0)


def _exists(local: datetime, zone: ZoneInfo) -> bool:
    """Tell whether clocks in `zone` ever show the local time."""
    moment = local.replace(tzinfo=zone).astimezone(timezone.utc)
    return moment.astimezone(zone).replace(tzinfo=None) == local


def in_zone(moment: datetime, zone: str | None) -> datetime:
    """Return the instant `moment` on the clocks of `zone` (UTC if None), for showing it to people."""
    return moment.astimezone(ZoneInfo(zone or "UTC"))


def _zone(schedule: Schedule) -> ZoneInfo:
    return ZoneInfo(schedule.zone or "UTC")
