"""runner.reports.window_words: who is where, from when to when, in words that a marketer understands."""

from dataclasses import replace
from datetime import datetime, timedelta, timezone

from runner.reports.window_words import window_facts, zone_lines
from runner.zone_forecast import ZoneForecast
from tests.test_plan import PLAN

OPENS = datetime(2026, 11, 22, 23, tzinfo=timezone.utc)
JAYAPURA = ZoneForecast(
    zones=("Asia/Jayapura",),
    people=1200,
    opens_at=OPENS,
    closes_at=OPENS + timedelta(hours=12),
    last_at=OPENS + timedelta(minutes=4),
)


def line(**changes):
    (found,) = zone_lines(replace(PLAN, forecast=(replace(JAYAPURA, **changes),)))
    return found


def test_a_zone_is_told_by_its_city_and_on_its_own_clocks():
    who = "1,200 people in Jayapura (Asia/Jayapura)"
    assert line() == f"{who}: from Mon 23 Nov 08:00 to 20:00 their time, the last at 08:04"


def test_a_day_is_told_where_it_is_another_one():
    found = line(
        closes_at=OPENS + timedelta(hours=17), last_at=OPENS + timedelta(days=1), people=1, zones=("UTC",)
    )
    assert found == (
        "1 person in UTC: from Sun 22 Nov 23:00 to Mon 23 Nov 16:00 their time, the last at Mon 23 Nov 23:00"
    )


def test_several_zones_are_named_or_counted():
    assert (
        "in Jakarta or Makassar (Asia/Jakarta, Asia/Makassar; all must allow it): from Mon 23 Nov 06:00"
        in (line(zones=("Asia/Jakarta", "Asia/Makassar")))
    )
    many = ("America/New_York", "America/Chicago", "America/Denver", "America/Los_Angeles")
    assert "in one of 4 time zones (America/New_York ... America/Los_Angeles; all must allow it)" in line(
        zones=many
    )
    assert "New York time" in line(zones=many)


def test_what_cannot_be_told_is_said():
    assert line(last_at=None).endswith("the last too far ahead to tell when")
    assert line(opens_at=None, closes_at=None, last_at=None).endswith(": no window opens within a week")


def test_of_very_many_zones_the_smallest_are_told_together():
    groups = tuple(replace(JAYAPURA, zones=(f"Etc/GMT{n:+}",), people=n + 3) for n in range(-2, 13))
    lines = zone_lines(replace(PLAN, forecast=groups))
    assert len(lines) == 13
    assert lines[-1] == "6 people in 3 more time zones"


def test_without_a_window_and_a_deadline_there_is_nothing_to_say():
    assert window_facts(replace(PLAN, window=None, deadline=None)) == []
    (deadline,) = window_facts(replace(PLAN, window=None))
    assert deadline == (
        "Deadline",
        "whoever has not got it by Tue 03 Mar 2026 19:00 Asia/Jakarta does not get it",
    )
