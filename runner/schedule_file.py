"""The `schedule` of a campaign file -> Schedule, or what is wrong with it, for campaign_file."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import date, datetime, time, timedelta, timezone

from cronsim import CronSim, CronSimError

from runner import holiday_calendar
from runner.file_checks import Checked, check_window, check_zone
from runner.holiday_calendar import HolidayCalendar
from runner.problem_words import describe, did_you_mean, listed
from runner.project import Project
from runner.schedule import HORIZON, Missed, OnWindowClose, Schedule, firings
from runner.segment_file import read_period

#: The fields of a cron, and what each takes.
_FIELDS = (
    ("minute", "0-59"),
    ("hour", "0-23"),
    ("day of the month", "1-31, L or LW"),
    ("month", "1-12 or JAN-DEC"),
    ("day of the week", "0-7 or SUN-SAT"),
)
_CRON = "five fields such as 0 10 * * MON"
_TIMED = ("start", "end", "exclude", "holidays", "missed", "grace")
#: From when a cron without a start is asked whether it ever fires: any moment will do, so that it is fixed.
_EPOCH = datetime(2020, 1, 1, tzinfo=timezone.utc)


def read_schedule(file: Checked, project: Project) -> Schedule:
    """Return the schedule of a campaign file; its problems are added to `file`."""
    zone = check_zone(file, "schedule", "timezone") or project.timezone
    window = check_window(file, "schedule", "window") or project.window
    at, cron = _moment(file, "at", time()), _cron(file)
    _check_need_of_zone(file, zone, {"`at`": at, "`cron`": cron})
    _check_timed(file)
    missed, grace = file.text("schedule", "missed"), file.text("schedule", "grace")
    schedule = Schedule(
        at=at,
        cron=cron,
        zone=zone,
        window=window,
        start=_moment(file, "start", time()),
        end=_moment(file, "end", time(23, 59, 59)),
        exclude=frozenset(_excluded(file)),
        holidays=_holidays(file),
    )
    schedule = replace(schedule, missed=Missed(missed)) if missed is not None else schedule
    schedule = replace(schedule, grace=read_period(grace)) if grace is not None else schedule
    on_close, expiry = file.text("schedule", "on_window_close"), file.text("schedule", "expire_after")
    schedule = replace(schedule, on_window_close=OnWindowClose(on_close)) if on_close else schedule
    schedule = replace(schedule, expire_after=read_period(expiry)) if expiry else schedule
    if not any(problem.path.startswith("schedule") for problem in file.problems):
        _check_fires(file, schedule)
    return schedule


def _check_need_of_zone(file: Checked, zone: str | None, reasons: dict[str, object]) -> None:
    needs = [reason for reason, value in reasons.items() if value is not None]
    if zone is None and needs and file.source.get("schedule", "timezone") is None:
        hint = (
            f"{listed(needs, 'and')} {'need' if len(needs) > 1 else 'needs'} one, and runner.yml names none"
        )
        file.add(("schedule", "timezone"), "nothing", "a time zone such as Asia/Jakarta", hint)


def _check_timed(file: Checked) -> None:
    """Add a problem for a key that limits the firings of a schedule that has none."""
    if any(file.source.get("schedule", key) is not None for key in ("at", "cron")):
        return
    for key in _TIMED:
        if file.get("schedule", key) is not None:
            hint = "without one of them a campaign is sent whenever it is applied"
            file.add(("schedule", key), f"`{key}` alone", "it together with `at` or `cron`", hint)


def _moment(file: Checked, key: str, of_a_date: time) -> datetime | None:
    """Return the local time at `key`; a date alone means its time `of_a_date`."""
    text = file.text("schedule", key)
    if text is None:
        return None
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as error:
        kind = "date and time" if "T" in text else "date"
        file.add(("schedule", key), describe(text), f"a {kind} of the calendar", str(error))
        return None
    return moment if "T" in text else datetime.combine(moment.date(), of_a_date)


def _excluded(file: Checked) -> Iterator[date]:
    dates = file.get("schedule", "exclude")
    for place in range(len(dates) if isinstance(dates, list) else 0):
        text = file.text("schedule", "exclude", place)
        try:
            if text is not None:
                yield date.fromisoformat(text)
        except ValueError as error:
            file.add(("schedule", "exclude", place), describe(text), "a date of the calendar", str(error))


def _holidays(file: Checked) -> HolidayCalendar | None:
    """Return the calendar of `holidays`: a country, or a mapping with its subdivision."""
    value = file.get("schedule", "holidays")
    path: tuple[str, ...] = ("schedule", "holidays")
    if isinstance(value, dict):
        path = ("schedule", "holidays", "country")
    country = file.text(*path)
    if country is None:
        return None
    if not holiday_calendar.is_installed():
        wanted = f"no holidays without the extra `{holiday_calendar.EXTRA}`"
        file.add(path, describe(country), wanted, "pip install 'campaign-runner[holidays]'")
        return None
    known = holiday_calendar.countries()
    if country not in known:
        file.add(
            path, describe(country), "a country whose holidays are known", did_you_mean(country, [*known])
        )
        return None
    subdivision = file.text("schedule", "holidays", "subdivision") if isinstance(value, dict) else None
    if subdivision is not None and subdivision not in known[country]:
        parts = listed(known[country][:8])
        expected = f"a part of {country} such as {parts}" if parts else f"no subdivision: {country} has none"
        hint = did_you_mean(subdivision, known[country])
        file.add(("schedule", "holidays", "subdivision"), describe(subdivision), expected, hint)
        return None
    return HolidayCalendar(country=country, subdivision=subdivision)


def _cron(file: Checked) -> str | None:
    text = file.text("schedule", "cron")
    if text is None:
        return None
    path, fields = ("schedule", "cron"), text.split()
    if len(fields) != len(_FIELDS):
        hint = "minute, hour, day of the month, month, day of the week; there are no seconds"
        file.add(path, f"{len(fields)} field{'s' if len(fields) != 1 else ''}", _CRON, hint)
        return None
    for place, (name, takes) in enumerate(_FIELDS):
        if not _is_readable(" ".join(field if i == place else "*" for i, field in enumerate(fields))):
            file.add(
                path, f"{describe(fields[place])} for the {name}", takes, "lists, ranges and steps of these"
            )
            return None
    if not _is_readable(text) or next(CronSim(text, datetime(2020, 1, 1)), None) is None:  # noqa: DTZ001
        file.add(path, describe(text), _CRON, "it never fires: there is no such day")
        return None
    return text


def _is_readable(cron: str) -> bool:
    try:
        CronSim(cron, datetime(2020, 1, 1))  # noqa: DTZ001 - any start will do to read the fields
    except CronSimError:
        return False
    return True


def _check_fires(file: Checked, schedule: Schedule) -> None:
    """Add a problem for a schedule that rules out all its firings."""
    if schedule.start and schedule.end and schedule.end < schedule.start:
        found = describe(file.source.get("schedule", "end"))
        file.add(("schedule", "end"), found, f"no end before the start, {schedule.start:%Y-%m-%d %H:%M}")
        return
    if schedule.at is not None:
        _check_at(file, schedule, schedule.at)
    if schedule.cron is None or not (schedule.end or schedule.exclude or schedule.holidays):
        return
    since = _EPOCH if schedule.start is None else schedule.start.replace(tzinfo=timezone.utc)
    since -= timedelta(days=1)
    if next(firings(schedule, since, since + HORIZON), None) is None:
        hint = "each firing is before `start`, after `end`, excluded or on a holiday"
        file.add(("schedule", "cron"), "a cron that never fires", "one firing at least", hint)


def _check_at(file: Checked, schedule: Schedule, at: datetime) -> None:
    path = ("schedule", "at")
    found = describe(file.source.get(*path))
    if schedule.start and at < schedule.start:
        file.add(path, found, f"a time no earlier than `start`, {schedule.start:%Y-%m-%d %H:%M}")
    elif schedule.end and at > schedule.end:
        file.add(path, found, f"a time no later than `end`, {schedule.end:%Y-%m-%d %H:%M}")
    elif at.date() in schedule.exclude:
        file.add(path, found, "a date that `exclude` does not name")
    elif schedule.rules_out(at.date()):
        file.add(path, found, "a date that is no holiday", f"it is one in {schedule.holidays}")
