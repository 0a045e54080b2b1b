"""runner.open_hours: whose window is open at this moment, by both clocks, asked once a span."""

from datetime import datetime, time, timezone

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from runner import open_hours
from runner.delivery import Delivery, DeliveryKey, TextMessage
from runner.open_hours import OpenHours
from runner.window import LAST_CALL, Window, is_open

DAY = Window(opens=time(8), closes=time(20))
NIGHT = Window(opens=time(22), closes=time(6))
#: 15:00 in Jakarta, 08:00 in UTC.
START = datetime(2027, 1, 15, 8, tzinfo=timezone.utc).timestamp()


class Clocks:
    """A steady and a wall clock, set by hand (epoch seconds)."""

    def __init__(self, window=DAY):
        self.steady = self.wall = START
        self.hours = OpenHours(window, waits=False, steady=lambda: self.steady, wall=lambda: self.wall)

    def set(self, seconds, *, error=0.0):
        self.steady, self.wall = START + seconds, START + seconds + error


@pytest.mark.parametrize(("seconds", "found"), [(0, True), (5 * 3600 - 11, True), (5 * 3600 - 10, False)])
def test_a_window_is_open_until_shortly_before_it_closes(seconds, found):
    clocks = Clocks()
    clocks.set(seconds)
    assert clocks.hours.is_open("Asia/Jakarta") is found


def test_it_is_open_only_while_both_clocks_say_so():
    clocks = Clocks()
    clocks.set(0, error=12 * 3600)
    assert not clocks.hours.is_open("Asia/Jakarta")
    clocks.set(8 * 3600, error=-8 * 3600)
    assert not clocks.hours.is_open("Asia/Jakarta")
    clocks.set(60)
    assert clocks.hours.is_open("Asia/Jakarta")


def test_in_several_zones_all_must_be_open():
    clocks = Clocks()
    clocks.set(4 * 3600)
    assert clocks.hours.is_open("Asia/Jakarta")
    assert not clocks.hours.is_open("Asia/Jakarta,Asia/Jayapura")


def test_it_tells_in_how_long_it_opens_by_the_later_clock():
    clocks = Clocks(NIGHT)
    assert clocks.hours.opens_in("Asia/Jakarta") == 7 * 3600
    clocks.set(0, error=-60)
    assert clocks.hours.opens_in("Asia/Jakarta") == 7 * 3600 + 60
    clocks.set(7 * 3600)
    assert clocks.hours.opens_in("Asia/Jakarta") == 0


def test_it_tells_when_it_opens_by_the_clock_that_shows_it_closed():
    clocks = Clocks(NIGHT)
    opens = clocks.wall + 7 * 3600
    assert clocks.hours.opens_at("Asia/Jakarta") == opens
    clocks.set(7 * 3600 + 60, error=-120)
    assert clocks.hours.opens_at("Asia/Jakarta") == opens
    clocks.set(7 * 3600)
    assert clocks.hours.opens_at("Asia/Jakarta") == clocks.wall


def test_who_is_turned_away_is_remembered_until_asked_for():
    clocks = Clocks(NIGHT)
    key = DeliveryKey(campaign="c", occurrence="once", phone="6281230000001")
    delivery = Delivery(key=key, recipient_id="", message=TextMessage(text="x"), zones="Asia/Jakarta")
    assert clocks.hours.turns_away(delivery)
    assert clocks.hours.take_put_off() == {key: "Asia/Jakarta"}
    clocks.set(7 * 3600)
    assert not clocks.hours.turns_away(delivery)
    assert clocks.hours.take_put_off() == {}


def test_a_window_is_looked_up_once_until_it_closes(monkeypatch):
    looked = []
    real = open_hours.sending_span
    monkeypatch.setattr(open_hours, "sending_span", lambda *asked: looked.append(asked) or real(*asked))
    clocks = Clocks()
    for seconds in range(0, 4 * 3600, 60):
        clocks.set(seconds)
        assert clocks.hours.is_open("Asia/Jakarta")
    assert len(looked) == 1


@settings(max_examples=60, deadline=None)
@given(
    jumps=st.lists(st.floats(-3 * 86400, 3 * 86400), min_size=1, max_size=8),
    zones=st.sampled_from(["Asia/Jakarta", "Europe/Berlin,Asia/Tokyo", "America/New_York"]),
    window=st.sampled_from([DAY, NIGHT]),
)
def test_wherever_the_clocks_jump_the_answer_is_that_of_the_moment(jumps, zones, window):
    clocks = Clocks(window)
    for seconds in jumps:
        clocks.set(seconds)
        moment = datetime.fromtimestamp(clocks.steady, timezone.utc)
        both = is_open(window, zones.split(","), moment) and is_open(
            window, zones.split(","), moment + LAST_CALL
        )
        assert clocks.hours.is_open(zones) is both
