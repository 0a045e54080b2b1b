"""When a schedule fires while the clocks change, over ten years in eight zones; croniter is the oracle.

croniter's rule is ours but for three things. What stands for a time of the day (`30 2 * * *`) it fires twice
when the clocks show that time twice; a campaign must not message people twice because of that, so the second
is left out of what croniter says. It moves a time out of a gap for every cron whose hour is not `*`, as if
`*/20 2 * * *` stood for times of the day. And where clocks are put back by half an hour, it passes over some
of the times that they show again. In these two cases the oracle is what the clocks show, moment by moment.
"""

from datetime import datetime, timedelta, timezone
from functools import cache
from itertools import takewhile
from zoneinfo import ZoneInfo

import pytest
from croniter import croniter
from hypothesis import given, settings
from hypothesis import strategies as st

from runner.schedule import Schedule, firings, instant, next_firing

UTC = timezone.utc
FIRST, LAST = datetime(2026, 1, 1, tzinfo=UTC), datetime(2036, 1, 1, tzinfo=UTC)
ZONES = [
    "Asia/Jakarta",  # never changes
    "Europe/Berlin",
    "America/New_York",
    "America/Santiago",  # at midnight
    "Africa/Cairo",  # at midnight, back to the day before
    "Africa/Casablanca",  # around Ramadan
    "Australia/Lord_Howe",  # by half an hour
    "Antarctica/Troll",  # by two hours
]
TIMES = ["30 2 * * *", "0 0 * * *", "15,45 1,2,3 * * *", "30 23 * * SUN", "59 0-3 1-31/2 * *"]
OFTEN = ["0 * * * *", "*/20 * * * *", "7-59/13 * * * SUN"]


@cache
def changes(zone):
    """Return the UTC midnights before each day in which the clocks of `zone` change."""
    days = [FIRST + timedelta(days=day) for day in range((LAST - FIRST).days)]
    offset = {day: day.astimezone(ZoneInfo(zone)).utcoffset() for day in [*days, LAST]}
    return [day for day in days if offset[day] != offset[day + timedelta(days=1)]]


def ours(cron, zone, after, until):
    return [firing.due_at for firing in firings(Schedule(cron=cron, zone=zone), after, until)]


def theirs(cron, zone, after, until):
    """Return what croniter says, a moment once."""
    steps = croniter(cron, after.astimezone(ZoneInfo(zone)))
    moments = (steps.get_next(datetime).astimezone(UTC) for _ in iter(int, 1))
    return list(dict.fromkeys(takewhile(lambda moment: moment <= until, moments)))


def first_showings(moments, zone):
    return [moment for moment in moments if moment.astimezone(ZoneInfo(zone)).fold == 0]


@pytest.mark.parametrize("zone", ZONES)
def test_a_daily_campaign_fires_as_croniter_says_but_once_a_day_over_ten_years(zone):
    found = ours("30 2 * * *", zone, FIRST, LAST)
    assert found == first_showings(theirs("30 2 * * *", zone, FIRST, LAST), zone)
    assert len({moment.astimezone(ZoneInfo(zone)).date() for moment in found}) == len(found) >= 3652


@pytest.mark.parametrize("cron", TIMES)
@pytest.mark.parametrize("zone", ZONES)
def test_times_of_the_day_fire_as_croniter_says_but_once_around_every_change(zone, cron):
    for day in changes(zone):
        after, until = day - timedelta(hours=12), day + timedelta(hours=36)
        assert ours(cron, zone, after, until) == first_showings(theirs(cron, zone, after, until), zone)


@pytest.mark.parametrize("cron", OFTEN)
@pytest.mark.parametrize("zone", sorted({*ZONES} - {"Australia/Lord_Howe"}))
def test_a_cron_that_says_how_often_fires_as_croniter_says_around_every_change(zone, cron):
    for day in changes(zone):
        after, until = day, day + timedelta(days=1)
        assert ours(cron, zone, after, until) == theirs(cron, zone, after, until)


@pytest.mark.parametrize("cron", ["*/20 1,2 * * *", "30 */2 * * *"])
@pytest.mark.parametrize("zone", ZONES)
def test_a_cron_that_says_how_often_fires_whenever_the_clocks_show_one_of_its_times(zone, cron):
    for day in changes(zone)[:6]:
        minutes = [day + timedelta(minutes=minute) for minute in range(10, 24 * 60, 10)]
        shown = [
            m for m in minutes if croniter.match(cron, m.astimezone(ZoneInfo(zone)).replace(tzinfo=None))
        ]
        assert ours(cron, zone, day, minutes[-1]) == shown


def test_the_zones_of_these_tests_change_their_clocks():
    assert {zone: len(changes(zone)) >= 19 for zone in ZONES} == {
        zone: zone != "Asia/Jakarta" for zone in ZONES
    }


@pytest.mark.parametrize(
    ("zone", "local", "expected"),
    [
        ("Europe/Berlin", "2026-03-29T02:30", "2026-03-29T01:00"),  # 02:30 is skipped: at 03:00
        ("Europe/Berlin", "2026-10-25T02:30", "2026-10-25T00:30"),  # 02:30 comes twice: the first time
        ("Australia/Lord_Howe", "2026-10-04T02:15", "2026-10-03T15:30"),  # 02:00 becomes 02:30
        ("Pacific/Apia", "2011-12-30T10:00", "2011-12-30T10:00"),  # a day that Samoa never had
        ("Asia/Jakarta", "2026-03-29T02:30", "2026-03-28T19:30"),
    ],
)
def test_at_follows_the_same_rule_as_a_cron(zone, local, expected):
    schedule = Schedule(at=datetime.fromisoformat(local), zone=zone)
    due_at = datetime.fromisoformat(expected).replace(tzinfo=UTC)
    assert next_firing(schedule, FIRST).due_at == due_at
    daily = Schedule(cron=f"{int(local[14:16])} {int(local[11:13])} * * *", zone=zone)
    assert due_at in [firing.due_at for firing in firings(daily, due_at - timedelta(days=2), due_at)]


def test_times_that_a_gap_moves_to_one_moment_are_one_firing():
    schedule = Schedule(cron="0,20,40 2,3 * * *", zone="Europe/Berlin")
    day = datetime(2026, 3, 29, tzinfo=UTC)
    keys = [firing.occurrence for firing in firings(schedule, day, day + timedelta(hours=3))]
    assert keys == ["2026-03-29T01:00Z", "2026-03-29T01:20Z", "2026-03-29T01:40Z"]


@settings(max_examples=60, deadline=None)
@given(
    zone=st.sampled_from([*ZONES, "Pacific/Apia", "Asia/Tehran"]),
    local=st.datetimes(datetime(2000, 1, 1), datetime(2040, 1, 1)),
)
def test_the_instant_of_a_local_time_shows_it_or_is_the_end_of_the_gap_that_has_it(zone, local):
    local = local.replace(second=0, microsecond=0)
    moment = instant(local, ZoneInfo(zone))
    shown = moment.astimezone(ZoneInfo(zone)).replace(tzinfo=None)
    before = (moment - timedelta(seconds=1)).astimezone(ZoneInfo(zone)).replace(tzinfo=None)
    assert shown == local or before < local < shown


@settings(max_examples=20, deadline=None)
@given(
    cron=st.sampled_from([*TIMES, *OFTEN]),
    zone=st.sampled_from(ZONES),
    start=st.datetimes(datetime(2026, 1, 1), datetime(2035, 1, 1)),
    cut=st.floats(0, 1),
)
def test_firings_of_two_spans_are_those_of_the_whole_each_once_and_in_order(cron, zone, start, cut):
    after = start.replace(tzinfo=UTC)
    until = after + timedelta(days=2)
    middle = after + (until - after) * cut
    whole = ours(cron, zone, after, until)
    assert whole == sorted(set(whole))
    assert ours(cron, zone, after, middle) + ours(cron, zone, middle, until) == whole
