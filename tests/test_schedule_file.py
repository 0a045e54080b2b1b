"""runner.schedule_file: the `schedule` of a campaign file as a value, or what is wrong with it."""

from datetime import date, datetime, timedelta

import pytest

from runner import holiday_calendar
from runner.holiday_calendar import HolidayCalendar
from runner.schedule import Missed
from tests.conftest import LEAST


def with_schedule(text):
    return f"{LEAST}schedule: {{timezone: UTC, {text}}}\n"


def test_all_of_a_schedule_is_taken_over(load):
    schedule = load(
        with_schedule(
            "cron: 0 10 * * MON-FRI, start: 2026-03-01, end: 2026-04-30, exclude: [2026-03-19, 2026-03-20],"
            " holidays: {country: MY, subdivision: '10'}, missed: skip, grace: 2d"
        )
    ).schedule
    assert (schedule.start, schedule.end) == (datetime(2026, 3, 1), datetime(2026, 4, 30, 23, 59, 59))
    assert schedule.exclude == {date(2026, 3, 19), date(2026, 3, 20)}
    assert schedule.holidays == HolidayCalendar(country="MY", subdivision="10")
    assert (schedule.missed, schedule.grace) == (Missed.SKIP, timedelta(days=2))


def test_a_start_and_an_end_may_have_a_time_and_holidays_may_be_a_country_alone(load):
    text = "cron: 0 10 * * *, start: 2026-03-01T12:00, end: 2026-03-01T23:00:30, holidays: ID"
    schedule = load(with_schedule(text.replace("03-01T23", "03-02T23"))).schedule
    assert (schedule.start, schedule.end) == (datetime(2026, 3, 1, 12), datetime(2026, 3, 2, 23, 0, 30))
    assert schedule.holidays == HolidayCalendar(country="ID")


def test_what_is_missed_runs_once_within_an_hour_unless_the_file_says_otherwise(load):
    schedule = load(with_schedule("cron: 0 10 * * *")).schedule
    assert (schedule.missed, schedule.grace) == (Missed.RUN_ONCE, timedelta(hours=1))


@pytest.mark.parametrize("at", ["2026-03-29T02:30", "2026-10-25T02:30"])
def test_a_local_time_that_does_not_exist_or_exists_twice_is_taken(load, at):
    assert load(with_schedule(f"at: {at}").replace("UTC", "Europe/Berlin")).schedule.at


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("cron: 60 10 * * *", 'schedule.cron: found "60" for the minute, expected 0-59 (lists, ranges and'),
        (f"cron: {'9' * 5000} 0 * * *", "found a text of 5,008 characters, expected at most 256"),
        ("cron: 0 24 * * *", 'found "24" for the hour, expected 0-23'),
        ("cron: 0 10 0 * *", 'found "0" for the day of the month, expected 1-31, L or LW'),
        ("cron: 0 10 * 13 *", 'found "13" for the month, expected 1-12 or JAN-DEC'),
        ("cron: 0 10 * * MO", 'found "MO" for the day of the week, expected 0-7 or SUN-SAT'),
        ("cron: 0 10 * * 5-1", 'found "5-1" for the day of the week, expected 0-7 or SUN-SAT'),
        ("cron: 0 */0 * * *", 'found "*/0" for the hour, expected 0-23'),
        (
            "cron: 0 0 30 2 *",
            'found "0 0 30 2 *", expected five fields such as 0 10 * * MON (it never fires:',
        ),
        ("cron: 0 0 31 4 *", "it never fires: there is no such day"),
        ("cron: 0 0 */30 * MON#2", "it never fires: there is no such day"),
        ("cron: 0 10 25 12 *, holidays: ID", "found a cron that never fires, expected one firing at least"),
        ("cron: 0 10 * * MON, start: 2026-03-03, end: 2026-03-08", "found a cron that never fires"),
        ("cron: 0 10 1 3 *, end: 2026-03-02, exclude: [2026-03-01]", None),
        (
            "cron: 0 10 * * *, start: 2026-03-02, end: 2026-03-01",
            'end: found "2026-03-01", expected no end bef',
        ),
        (
            "at: 2026-03-01T10:00, start: 2026-03-02",
            'found "2026-03-01T10:00", expected a time no earlier than',
        ),
        ("at: 2026-03-01T10:00, end: 2026-02-28", "expected a time no later than `end`, 2026-02-28 23:59"),
        (
            "at: 2026-03-01T10:00, exclude: [2026-03-01]",
            "at: found",
        ),
        ("at: 2026-12-25T10:00, holidays: ID", "expected a date that is no holiday (it is one in ID)"),
        (
            "cron: 0 10 * * *, exclude: [2026-02-30]",
            'exclude[0]: found "2026-02-30", expected a date of the cal',
        ),
        (
            "cron: 0 10 * * *, exclude: [20260230]",
            "exclude[0]: found the number 20260230, expected a date such",
        ),
        ("cron: 0 10 * * *, start: 2026-02-30", 'start: found "2026-02-30", expected a date of the calendar'),
        ("cron: 0 10 * * *, end: 2026-02-03T24:01", "end: found"),
        ("cron: 0 10 * * *, end: tomorrow", "expected a local date such as 2026-04-30, or a date and time"),
        (
            "cron: 0 10 * * *, holidays: XX",
            'holidays: found "XX", expected a country whose holidays are known',
        ),
        ("cron: 0 10 * * *, holidays: IDN", "expected the two capital letters of a country"),
        (
            "cron: 0 10 * * *, holidays: {country: MY, subdivision: '99'}",
            'subdivision: found "99", expected a pa',
        ),
        ("cron: 0 10 * * *, holidays: {country: ID, subdivision: JK}", 'found "JK", expected no subdivision'),
        ("cron: 0 10 * * *, holidays: {subdivision: JK}", "holidays.country: found nothing"),
        ("cron: 0 10 * * *, missed: run", "expected `skip` or `run_once`"),
        ("cron: 0 10 * * *, grace: 1 hour", 'grace: found "1 hour", expected a time such as 30m or 2h'),
        ("exclude: [2026-03-01]", "found `exclude` alone, expected it together with `at` or `cron`"),
        ("grace: 2h", "found `grace` alone, expected it together with `at` or `cron` (without one of them"),
    ],
)
def test_a_schedule_that_cannot_be_is_one_problem_at_its_place(load, problems, text, problem):
    if problem is None:
        assert load(with_schedule(text)).schedule.cron
        return
    [line] = problems(with_schedule(text))
    assert line.startswith("5:")
    assert problem in line


@pytest.mark.parametrize("zone", ["Jakarta", "Asia/Jakata", "asia/jakarta", "ASIA/JAKARTA"])
def test_an_unknown_zone_is_told_which_was_meant(problems, zone):
    [line] = problems(with_schedule("cron: 0 10 * * *").replace("UTC", zone))
    assert "(did you mean `Asia/Jakarta`?)" in line


def test_holidays_without_the_library_say_what_installs_it(problems, monkeypatch):
    monkeypatch.setattr(holiday_calendar, "find_spec", lambda name: None)
    [line] = problems(with_schedule("cron: 0 10 * * *, holidays: ID"))
    assert line == (
        '5:55: schedule.holidays: found "ID", expected no holidays without the extra `holidays`'
        " (pip install 'campaign-runner[holidays]')"
    )
