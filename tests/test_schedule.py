"""runner.schedule: when a campaign is due, and when its window is open."""

from datetime import datetime, time, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runner.schedule import ONCE, Schedule, Window, closes_at, firing_at, in_zone, next_firing, opens_at

UTC = timezone.utc
DAY = Window(opens=time(8), closes=time(20))
NIGHT = Window(opens=time(22), closes=time(6))


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


@pytest.mark.parametrize(
    ("window", "moment", "opening"),
    [
        (DAY, "2026-03-01T03:00", "2026-03-01T03:00"),
        (DAY, "2026-03-01T00:59", "2026-03-01T01:00"),
        (DAY, "2026-03-01T13:00", "2026-03-02T01:00"),
        (NIGHT, "2026-03-01T16:00", "2026-03-01T16:00"),
        (NIGHT, "2026-03-01T23:30", "2026-03-02T15:00"),
        (None, "2026-03-01T20:00", "2026-03-01T20:00"),
    ],
)
def test_a_window_opens_at_its_local_hour(window, moment, opening):
    assert opens_at(window, "Asia/Jakarta", at(moment)) == at(opening)


@pytest.mark.parametrize(
    ("window", "moment", "closing"),
    [
        (DAY, "2026-03-01T03:00", "2026-03-01T13:00"),
        (NIGHT, "2026-03-01T16:00", "2026-03-01T23:00"),
        (NIGHT, "2026-03-01T22:00", "2026-03-01T23:00"),
    ],
)
def test_a_window_closes_at_its_local_hour(window, moment, closing):
    assert closes_at(window, "Asia/Jakarta", at(moment)) == at(closing)


def test_without_a_window_nothing_closes():
    assert closes_at(None, "Asia/Jakarta", at("2026-03-01T03:00")) is None


TIMES = st.times().map(lambda moment: moment.replace(second=0, microsecond=0))
MOMENTS = st.datetimes(datetime(2020, 1, 1), datetime(2035, 1, 1)).map(
    lambda naive: naive.replace(tzinfo=UTC)
)
ZONES = st.sampled_from(["Asia/Jakarta", "Asia/Tokyo", "Europe/Berlin", "America/New_York", "UTC"])


@given(opens=TIMES, closes=TIMES, moment=MOMENTS, zone=ZONES)
def test_what_opens_at_says_lies_in_the_window_within_a_day_and_a_bit(opens, closes, moment, zone):
    if opens == closes:
        return
    window = Window(opens=opens, closes=closes)
    opening = opens_at(window, zone, moment)
    assert moment <= opening <= moment + timedelta(hours=25)
    local = in_zone(opening, zone)
    exists = local.replace(tzinfo=None) == in_zone(local.astimezone(UTC), zone).replace(tzinfo=None)
    skipped = in_zone(opening - timedelta(hours=1), zone).utcoffset() != local.utcoffset()
    assert window.holds(local.time()) or (exists and skipped)


def test_a_window_reads_as_it_was_written():
    assert str(DAY) == "08:00-20:00"
