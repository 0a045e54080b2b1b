"""runner.zone_forecast: whose window opens when, and when the last of them gets the message."""

from datetime import datetime, time, timedelta, timezone

from hypothesis import given, settings
from hypothesis import strategies as st

from runner.window import Window, is_open
from runner.zone_forecast import forecast_zones

DAY = Window(opens=time(8), closes=time(20))
#: 08:00 in Jakarta, 10:00 in Jayapura.
MORNING = datetime(2026, 3, 2, 1, tzinfo=timezone.utc)
JAKARTA, MAKASSAR, JAYAPURA = ("Asia/Jakarta",), ("Asia/Makassar",), ("Asia/Jayapura",)


def forecast(people, *, rate=5.0, start=MORNING, window=DAY):
    return forecast_zones(people, window=window, rate=rate, start=start)


def lasts(found):
    return {zone.zones: zone.last_at for zone in found.zones}


def test_those_whose_window_closes_first_go_first():
    found = forecast({JAKARTA: 3600 * 5, JAYAPURA: 60 * 5})
    assert [zone.zones for zone in found.zones] == [JAKARTA, JAYAPURA]
    last = lasts(found)
    assert last[JAYAPURA] == MORNING + timedelta(seconds=59.8)
    assert last[JAKARTA] == MORNING + timedelta(seconds=3660 - 0.2)
    assert found.closing is None


def test_the_first_to_open_come_first_and_nobody_waits_for_the_others():
    night = MORNING - timedelta(hours=4)
    found = forecast({JAKARTA: 5, MAKASSAR: 5, JAYAPURA: 10}, start=night)
    assert [(zone.zones, zone.opens_at) for zone in found.zones] == [
        (JAYAPURA, MORNING - timedelta(hours=2)),
        (MAKASSAR, MORNING - timedelta(hours=1)),
        (JAKARTA, MORNING),
    ]
    assert found.zones[0].closes_at == MORNING + timedelta(hours=10)
    assert lasts(found)[JAYAPURA] == MORNING - timedelta(hours=2) + timedelta(seconds=1.8)


def test_whoever_is_not_in_time_goes_when_the_window_opens_again():
    # 12 hours less 10 seconds at 5/s are 215,950 messages a day.
    found = forecast({JAKARTA: 215_950 + 5})
    assert lasts(found)[JAKARTA] == MORNING + timedelta(days=1, seconds=0.8)
    assert found.closing is not None
    assert (found.closing.at, found.closing.left) == (MORNING + timedelta(hours=12, seconds=-10), 5)
    assert found.closing.until == MORNING + timedelta(days=1)


def test_a_wait_before_the_first_message_is_no_closing():
    assert forecast({JAKARTA: 5}, start=MORNING - timedelta(hours=3)).closing is None


def test_without_a_rate_everybody_goes_at_once():
    assert lasts(forecast({JAKARTA: 10**9}, rate=None)) == {JAKARTA: MORNING}


def test_where_windows_never_meet_nothing_is_told():
    found = forecast({("Asia/Jakarta", "America/Bogota"): 3, JAKARTA: 5})
    assert [(zone.opens_at, zone.last_at is None) for zone in found.zones] == [(MORNING, False), (None, True)]


def test_what_would_take_years_ends_and_tells_no_day():
    assert lasts(forecast({JAKARTA: 10**9}, rate=0.5)) == {JAKARTA: None}


def test_nobody_is_forecast_nothing():
    assert forecast({}).zones == ()


ZONES = st.sampled_from([JAKARTA, MAKASSAR, JAYAPURA, ("Europe/Berlin",), ("Asia/Jakarta", "Asia/Jayapura")])


@settings(max_examples=40, deadline=None)
@given(
    people=st.dictionaries(ZONES, st.integers(1, 300_000), min_size=1),
    rate=st.sampled_from([0.5, 5.0, 80.0]),
    hours=st.integers(0, 48),
)
def test_the_last_messages_lie_in_their_windows_and_no_sooner_than_the_rate_allows(people, rate, hours):
    start = MORNING + timedelta(hours=hours)
    found = forecast(people, rate=rate, start=start)
    for zone in found.zones:
        assert is_open(DAY, zone.zones, zone.last_at)
        assert zone.opens_at <= zone.last_at
    everybody = sum(people.values())
    assert max(lasts(found).values()) >= start + timedelta(seconds=(everybody - 1) / rate - 0.001)
