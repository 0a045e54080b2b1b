"""runner.schedule: when a campaign is due."""

import time as time_of
import tracemalloc
from datetime import date, datetime, timedelta, timezone

import pytest

from runner.holiday_calendar import HolidayCalendar
from runner.schedule import (
    HORIZON,
    ONCE,
    Firing,
    Schedule,
    firing_at,
    firings,
    leaves_out,
    next_firing,
)

UTC = timezone.utc


def at(text):
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def test_a_campaign_without_a_time_is_due_at_once():
    firing = next_firing(Schedule(), at("2026-03-01T12:00"))
    assert (firing.occurrence, firing.due_at) == (ONCE, None)


def test_a_local_time_is_due_at_its_instant():
    schedule = Schedule(at=datetime(2026, 3, 20, 10), zone="Asia/Jakarta")
    assert next_firing(schedule, at("2026-03-01T12:00")).due_at == at("2026-03-20T03:00")


def test_moving_the_hour_of_a_campaign_that_fires_once_is_still_the_same_occurrence():
    hours = (Schedule(at=datetime(2026, 3, 20, hour), zone="Asia/Jakarta") for hour in (10, 11))
    assert {next_firing(schedule, at("2026-03-01T12:00")).occurrence for schedule in hours} == {ONCE}


def test_a_cron_fires_at_a_moment_or_does_not_to_the_second():
    schedule = Schedule(cron="0 10 * * MON", zone="Asia/Kuala_Lumpur")
    assert firing_at(schedule, at("2026-11-23T02:00")).occurrence == "2026-11-23T02:00Z"
    for moment in ("2026-11-23T01:59:59", "2026-11-23T02:00:01", "2026-11-24T02:00"):
        assert firing_at(schedule, at(moment)) is None


def test_a_cron_fires_at_the_coming_instant_named_in_utc():
    schedule = Schedule(cron="0 10 * * MON", zone="Asia/Kuala_Lumpur")
    firing = next_firing(schedule, at("2026-11-22T12:00"))
    assert (firing.occurrence, firing.due_at) == ("2026-11-23T02:00Z", at("2026-11-23T02:00"))


def test_a_cron_that_fires_this_very_second_is_not_passed_over():
    schedule = Schedule(cron="0 10 * * MON", zone="Asia/Kuala_Lumpur")
    assert next_firing(schedule, at("2026-11-23T02:00")).due_at == at("2026-11-23T02:00")


def fired(after, until, **schedule):
    """Return the local times, in Jakarta, at which a schedule fires within two local times."""
    found = firings(Schedule(zone="Asia/Jakarta", **schedule), at(after) - JAKARTA, at(until) - JAKARTA)
    return [f"{firing.due_at + JAKARTA:%m-%d %H:%M}" for firing in found]


JAKARTA = timedelta(hours=7)


def test_firings_are_those_after_one_moment_and_up_to_another():
    assert fired("2026-11-22T10:00", "2026-11-24T10:00", cron="0 10 * * *") == ["11-23 10:00", "11-24 10:00"]
    once = {"at": datetime(2026, 11, 23, 10)}
    assert fired("2026-11-23T09:59", "2026-11-23T10:00", **once) == ["11-23 10:00"]
    assert fired("2026-11-23T10:00", "2026-11-25T10:00", **once) == []
    assert fired("2000-01-01", "2050-01-01") == []


def test_a_firing_is_named_by_its_instant_and_one_of_at_is_once():
    daily = Schedule(cron="0 10 * * *", zone="Asia/Jakarta")
    moment = at("2026-11-23T03:00")
    assert list(firings(daily, moment - HORIZON / 9999, moment))[-1] == Firing(
        occurrence="2026-11-23T03:00Z", due_at=moment
    )
    assert firing_at(Schedule(at=datetime(2026, 11, 23, 10), zone="Asia/Jakarta"), moment).occurrence == ONCE


def test_start_and_end_are_local_and_both_included():
    week = ("2026-11-22T00:00", "2026-11-29T00:00")
    days = {"start": datetime(2026, 11, 24), "end": datetime(2026, 11, 25, 23, 59, 59)}
    assert fired(*week, cron="30 0,23 * * *", **days) == [
        "11-24 00:30",
        "11-24 23:30",
        "11-25 00:30",
        "11-25 23:30",
    ]
    hours = {"start": datetime(2026, 11, 24, 10), "end": datetime(2026, 11, 25, 10)}
    assert fired(*week, cron="0 10 * * *", **hours) == ["11-24 10:00", "11-25 10:00"]


def test_nothing_fires_on_an_excluded_date_or_a_holiday():
    days = frozenset({date(2026, 12, 23), date(2026, 12, 27)})
    found = fired("2026-12-21T12:00", "2026-12-28T12:00", cron="0 10 * * *", exclude=days, holidays=INDONESIA)
    assert found == ["12-22 10:00", "12-24 10:00", "12-26 10:00", "12-28 10:00"]


INDONESIA = HolidayCalendar(country="ID")


def test_a_firing_that_the_clocks_move_into_an_excluded_date_is_left_out():
    # They go from 23:00 on the 28th to 00:00 on the 29th.
    days = {"zone": "America/Scoresbysund", "exclude": frozenset({date(2026, 3, 29)})}
    moments = (at("2026-03-28T12:00"), at("2026-03-30T12:00"))
    plain = [f.occurrence for f in firings(Schedule(cron="30 23 * * *", zone=days["zone"]), *moments)]
    kept = [f.occurrence for f in firings(Schedule(cron="30 23 * * *", **days), *moments)]
    assert plain == ["2026-03-29T01:00Z", "2026-03-30T00:30Z"]
    assert kept == []


@pytest.mark.parametrize(
    "limits",
    [
        {"end": datetime(2026, 11, 22, 23, 59, 59)},
        {"cron": "0 10 25 12 *", "holidays": INDONESIA},
        {"cron": "* * 25 12 *", "holidays": INDONESIA},
        {"cron": "0 0 */30 * MON#2"},
        {"cron": "* * */30 * MON#2"},
        {"at": datetime(2026, 12, 25, 10), "cron": None, "holidays": INDONESIA},
        {"at": datetime(2026, 12, 25, 10), "cron": None, "start": datetime(2026, 12, 26)},
        {"at": datetime(2026, 12, 25, 10), "cron": None, "end": datetime(2026, 12, 24)},
    ],
)
def test_a_schedule_that_fires_no_more_says_so_within_a_second(limits):
    schedule = Schedule(**{"cron": "0 10 * * *", "zone": "Asia/Jakarta", **limits})
    started = time_of.perf_counter()
    assert next_firing(schedule, at("2026-11-23T12:00")) is None
    assert time_of.perf_counter() - started < 1


def test_a_cron_of_every_minute_is_not_held_in_memory():
    tracemalloc.start()
    count = sum(1 for _ in firings(Schedule(cron="* * * * *"), at("2026-01-01"), at("2026-01-03")))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert (count, peak < 100_000) == (2 * 24 * 60, True)


def test_a_schedule_says_in_one_line_when_it_fires():
    schedule = Schedule(
        cron="0 10 * * *",
        zone="Asia/Jakarta",
        start=datetime(2026, 11, 1),
        end=datetime(2026, 11, 30, 23, 59, 59),
        exclude=frozenset({date(2026, 11, 5)}),
        holidays=HolidayCalendar(country="MY", subdivision="10"),
    )
    assert schedule.summary() == (
        "schedule.cron is 0 10 * * *, from 2026-11-01 00:00, until 2026-11-30 23:59, without 2026-11-05, "
        "without the holidays of MY-10, in Asia/Jakarta"
    )
    both = frozenset({date(2026, 11, 5), date(2026, 11, 6)})
    assert Schedule(at=datetime(2026, 11, 5, 10), exclude=both).summary() == (
        "schedule.at is 2026-11-05T10:00, without 2 excluded dates, in UTC"
    )


@pytest.mark.parametrize(
    ("left_out", "moment", "is_left_out"),
    [
        ({}, "2026-12-24T03:00", False),
        ({"exclude": frozenset({date(2026, 12, 24)})}, "2026-12-24T03:00", True),
        ({"exclude": frozenset({date(2026, 12, 24)})}, "2026-12-25T03:00", False),
        ({"exclude": frozenset({date(2026, 12, 24)})}, "2026-12-24T03:01", False),
        ({"holidays": HolidayCalendar(country="ID")}, "2026-12-25T03:00", True),
        ({"start": datetime(2026, 12, 25)}, "2026-12-24T03:00", True),
        ({"end": datetime(2026, 12, 23, 23, 59)}, "2026-12-24T03:00", True),
    ],
)
def test_a_moment_is_left_out_when_it_would_fire_but_for_what_is_ruled_out(left_out, moment, is_left_out):
    schedule = Schedule(cron="0 10 * * *", zone="Asia/Jakarta", **left_out)
    assert leaves_out(schedule, at(moment)) == is_left_out
