"""runner.window: when hours of the day begin and end, in one or several time zones."""

from datetime import datetime, time, timedelta, timezone
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from runner.window import HORIZON, LAST_CALL, Window, closes_at, is_open, opens_at, sending_span, span_at

UTC = timezone.utc
DAY = Window(opens=time(8), closes=time(20))
NIGHT = Window(opens=time(22), closes=time(6))
JAKARTA = ("Asia/Jakarta",)


def at(text):
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


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
    assert opens_at(window, JAKARTA, at(moment)) == at(opening)


@pytest.mark.parametrize(
    ("window", "moment", "closing"),
    [
        (DAY, "2026-03-01T03:00", "2026-03-01T13:00"),
        (NIGHT, "2026-03-01T16:00", "2026-03-01T23:00"),
        (NIGHT, "2026-03-01T22:00", "2026-03-01T23:00"),
    ],
)
def test_a_window_closes_at_its_local_hour(window, moment, closing):
    assert closes_at(window, JAKARTA, at(moment)) == at(closing)


def test_in_several_zones_only_the_hours_that_all_have_are_open():
    zones = ("Asia/Jakarta", "Asia/Jayapura")
    assert opens_at(DAY, zones, at("2026-03-01T00:00")) == at("2026-03-01T01:00")
    assert closes_at(DAY, zones, at("2026-03-01T01:00")) == at("2026-03-01T11:00")


def test_where_the_hours_of_the_zones_never_meet_it_never_opens():
    morning = Window(opens=time(8), closes=time(9))
    assert opens_at(morning, ("Asia/Jakarta", "Asia/Jayapura"), at("2026-03-01T00:00")) is None


def test_hours_that_meet_only_in_some_weeks_open_in_those():
    # Berlin is six hours ahead of New York, but five in the weeks when only one has changed its clocks.
    window, zones = Window(opens=time(8), closes=time(13, 30)), ("Europe/Berlin", "America/New_York")
    assert opens_at(window, zones, at("2026-02-20T00:00")) is None
    assert opens_at(window, zones, at("2026-03-01T00:00")) == at("2026-03-08T12:00")


@pytest.mark.parametrize(
    ("opens", "closes", "day", "span"),
    [
        # The night the clocks go forward has no 02:30: the window opens when they jump over it.
        (time(2, 30), time(5), "2026-03-29", ("2026-03-29T01:00", "2026-03-29T03:00")),
        # A window within the hour that is left out does not open in that night at all.
        (time(2, 10), time(2, 50), "2026-03-29", ("2026-03-30T00:10", "2026-03-30T00:50")),
        # The night they go back has 02:30 twice: it is open from the first on, and an hour longer.
        (time(2, 30), time(5), "2026-10-25", ("2026-10-25T00:30", "2026-10-25T01:00")),
        # What closes at 02:30 has closed then, and is open again when the clocks are put back.
        (time(1), time(2, 30), "2026-10-25", ("2026-10-24T23:00", "2026-10-25T00:30")),
    ],
)
def test_daylight_saving_is_what_clocks_show(opens, closes, day, span):
    window, zones = Window(opens=opens, closes=closes), ("Europe/Berlin",)
    opening = opens_at(window, zones, at(f"{day}T00:00") - timedelta(hours=3))
    assert (opening, closes_at(window, zones, opening)) == tuple(at(text) for text in span)


def test_who_sends_ends_a_few_seconds_before_the_window_does():
    closing = at("2026-03-01T13:00")
    span = sending_span(DAY, JAKARTA, at("2026-03-01T03:00"))
    assert (span.is_open, span.start, span.end) == (True, at("2026-03-01T01:00"), closing - LAST_CALL)
    last = sending_span(DAY, JAKARTA, closing - timedelta(seconds=5))
    assert (last.is_open, last.end) == (False, at("2026-03-02T01:00"))


TIMES = st.times().map(lambda moment: moment.replace(second=0, microsecond=0))
ZONES = st.lists(
    st.sampled_from(
        (
            *("Asia/Jakarta", "Asia/Jayapura", "Asia/Tokyo", "Europe/Berlin", "America/New_York", "UTC"),
            *("Australia/Lord_Howe", "Asia/Kathmandu", "Africa/Casablanca", "America/St_Johns"),
        )
    ),
    min_size=1,
    max_size=3,
    unique=True,
)
#: Around the changes of the clocks of many zones, and any time at all.
MOMENTS = st.one_of(
    st.datetimes(datetime(2020, 1, 1), datetime(2035, 1, 1)),
    st.sampled_from([datetime(2026, 3, 29), datetime(2026, 10, 25), datetime(2026, 4, 4, 15)]).flatmap(
        lambda day: st.integers(-2880, 2880).map(lambda minutes: day + timedelta(minutes=minutes))
    ),
).map(lambda naive: naive.replace(tzinfo=UTC, microsecond=0))


def shown(window, zones, moment):
    """Ask zoneinfo alone: do the clocks of all zones show an hour of the window?"""
    for zone in zones:
        clock = moment.astimezone(ZoneInfo(zone))
        minute, opens, closes = (60 * t.hour + t.minute for t in (clock, window.opens, window.closes))
        if not (minute - opens) % 1440 < (closes - opens) % 1440:
            return False
    return True


@settings(max_examples=60, deadline=None)
@given(opens=TIMES, closes=TIMES, moment=MOMENTS, zones=ZONES)
def test_a_span_is_of_one_kind_throughout_and_ends_where_that_changes(opens, closes, moment, zones):
    if opens == closes:
        return
    window = Window(opens=opens, closes=closes)
    span = span_at(window, zones, moment)
    assert span.start <= moment < span.end
    step = max(timedelta(minutes=7), (span.end - span.start) / 50)
    inside = [span.start + n * step for n in range(51) if span.start + n * step < span.end]
    for one in (*inside, moment, span.end - timedelta(seconds=1)):
        assert shown(window, zones, one) is is_open(window, zones, one) is span.is_open
    if span.end < moment + HORIZON:
        assert shown(window, zones, span.end) is not span.is_open
    if span.start > moment - timedelta(days=2):
        assert shown(window, zones, span.start - timedelta(seconds=1)) is not span.is_open


def test_a_window_reads_as_it_was_written():
    assert str(DAY) == "08:00-20:00"
