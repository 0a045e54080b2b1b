"""Pacing: the arithmetic that keeps every sliding second at or below the limit."""

from __future__ import annotations

import heapq
from math import ceil

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from runner.pacing import (
    LEAST_MARGIN,
    MOST_MARGIN,
    NETWORK_JITTER,
    Margin,
    PaceState,
    has_lost_its_slot,
    interval,
    next_slot,
)

START = 1_780_000_000.0
#: Adding to epoch seconds rounds to a quarter of a microsecond.
ROUNDING = 1e-5

RATES = st.sampled_from([1.0, 2.0, 5.0, 7.0, 20.0, 80.0])
#: The most lateness that the widest margin carries.
MOST_LATENESS = MOST_MARGIN - NETWORK_JITTER
CALM = st.floats(0, MOST_LATENESS)
ANY_LATENESS = st.one_of(CALM, st.floats(0, 0.3), st.floats(0, 3.0))
NETWORK = st.floats(0, NETWORK_JITTER * 0.99)


def departures(rate, processes, lateness, state=None):
    """Send one message per value of `lateness` from `processes`, each holding one slot; return the times."""
    state = state or PaceState(tat=START, seen_at=START)
    margins = [Margin() for _ in range(processes)]
    ready = [(START, number) for number in range(processes)]
    left = []
    values = iter(lateness)
    # Events in the order of time: `ready` to reserve (late is None), or awake to depart.
    events = [(at, number, None, 0.0) for at, number in ready]
    heapq.heapify(events)
    while events:
        now, number, slot, spacing = heapq.heappop(events)
        if slot is not None and not has_lost_its_slot(now - slot, spacing):
            left.append(now)
            excess = margins[number].excess(now - slot, spacing)
            margins[number].observe(now - slot)
            state = state.delayed(now, excess) if excess else state
        late = next(values, None)
        if late is None:
            continue
        spacing = margins[number].interval(rate)
        slot, state = state.reserved(now, spacing)
        heapq.heappush(events, (slot + late, number, slot, spacing))
    return left


def breaches(arrivals, rate):
    """Count the closed sliding seconds that hold more messages than the limit."""
    limit = ceil(rate)
    arrivals = sorted(arrivals)
    return sum(later - first <= 1.0 for first, later in zip(arrivals, arrivals[limit:], strict=False))


def stalled(rate, stalls):
    """Send on in one process, which stands still with some messages on their way to the socket.

    `stalls` says for each stop how many messages leave on time before it, how many are on their way, and how
    long it lasts in seconds. Returns the times of leaving.
    """
    state, margin, now, left = PaceState(tat=START, seen_at=START), Margin(), START, []
    spacing = margin.interval(rate)
    for on_time, under_way, seconds in stalls:
        for _ in range(on_time):
            now, state = state.reserved(now, spacing)
            left.append(now)
        slots = []
        for _ in range(under_way):
            now, state = state.reserved(now, spacing)
            slots.append(now)
        now += seconds
        for slot in slots:
            left.append(now)
            excess = margin.excess(now - slot, spacing)
            state = state.delayed(now, excess) if excess else state
    return left


@given(
    st.sampled_from([5.0, 20.0, 80.0]),
    st.lists(st.tuples(st.integers(0, 100), st.integers(1, 4), st.floats(0.3, 60)), max_size=8),
)
@settings(deadline=None)
def test_a_process_that_stood_still_crowds_no_second_and_soon_goes_on(rate, stalls):
    left = stalled(rate, [*stalls, (1, 0, 0.0)])
    assert breaches(left, rate) == 0
    messages = sum(on_time + under_way for on_time, under_way, _ in stalls)
    pushed = sum(under_way for _, under_way, _ in stalls)
    seconds = sum(seconds for *_, seconds in stalls)
    assert left[-1] - left[0] <= seconds + (messages + pushed) * Margin().interval(rate) + ROUNDING


@given(RATES, st.lists(st.tuples(ANY_LATENESS, NETWORK), min_size=1, max_size=300))
@settings(max_examples=80, deadline=None)
def test_no_sliding_second_is_above_the_limit_whatever_the_lateness(rate, messages):
    left = departures(rate, 1, [late for late, _ in messages])

    assert breaches([at + network for at, (_, network) in zip(left, messages, strict=False)], rate) == 0


@given(
    st.sampled_from([2.0, 5.0, 20.0]),
    st.integers(2, 4),
    st.lists(st.tuples(ANY_LATENESS, NETWORK), min_size=1, max_size=300),
)
@settings(max_examples=80, deadline=None)
def test_no_sliding_second_is_above_the_limit_with_many_processes(rate, processes, messages):
    processes = min(processes, int(rate))

    left = departures(rate, processes, [late for late, _ in messages])

    assert breaches([at + network for at, (_, network) in zip(left, messages, strict=False)], rate) == 0


@given(st.lists(ANY_LATENESS, min_size=1, max_size=100))
def test_one_message_a_second_is_kept_by_many_processes_because_a_late_one_gives_up_its_slot(lateness):
    assert breaches(departures(1.0, 3, lateness), 1.0) == 0


# Four seconds of sending at the least: a first push of some milliseconds is no share of the rate.
@given(st.sampled_from([5.0, 20.0]), st.lists(CALM, min_size=80, max_size=400), st.integers(1, 2))
@settings(max_examples=40, deadline=None)
def test_use_is_at_least_98_percent_once_the_margin_has_met_the_lateness(rate, lateness, processes):
    # A margin starts narrow: the first time it meets a lateness it pushes the pace once, by at most 4 ms.
    warm = [MOST_LATENESS] * 3 * processes

    left = departures(rate, processes, warm + lateness)

    sent = len(left) - len(warm)
    # The last message may be 6 ms later in its slot than the first one measured.
    assert sent / (left[-1] - left[len(warm) - 1] - MOST_LATENESS) / rate >= 0.98


@pytest.mark.parametrize("late", [0.0, 0.003, MOST_LATENESS])
def test_use_is_above_98_percent_when_lateness_is_steady(late):
    left = departures(5.0, 1, [late] * 2000)

    assert (len(left) - 1) / (left[-1] - left[0]) / 5.0 >= 0.9805


def test_use_is_98_5_percent_when_departures_are_on_time():
    left = departures(5.0, 1, [0.0] * 1000)

    assert (len(left) - 1) / (left[-1] - left[0]) / 5.0 == pytest.approx(1 / (1 + LEAST_MARGIN))


def test_a_hiccup_in_every_hundred_messages_costs_no_more_than_two_percent():
    left = departures(5.0, 1, ([0.0] * 99 + [0.030]) * 20)

    assert (len(left) - 1) / (left[-1] - left[0]) / 5.0 >= 0.98


def test_the_spacing_is_the_rate_and_a_margin():
    assert interval(5.0, 0.01) == pytest.approx(0.202)
    assert Margin().interval(5.0) == pytest.approx(interval(5.0, Margin().value))


@given(st.lists(st.floats(-1, 100), max_size=200))
def test_the_margin_stays_within_its_bounds(lateness):
    margin = Margin()
    for late in lateness:
        margin.observe(late)
        assert LEAST_MARGIN - 1e-12 <= margin.value <= MOST_MARGIN + 1e-12
        assert margin.tolerance == pytest.approx(margin.value - NETWORK_JITTER)


def test_the_margin_widens_at_once_and_narrows_slowly():
    margin = Margin()
    margin.observe(0.005)
    wide = margin.value
    margin.observe(0.0)

    assert wide == pytest.approx(0.018)
    assert 0.0179 < margin.value < wide


def test_a_message_within_the_tolerance_pushes_nobody():
    margin = Margin()

    assert margin.excess(margin.tolerance, 0.2) == 0.0
    assert margin.excess(margin.tolerance + 0.004, 0.2) == pytest.approx(0.004)


def test_however_late_a_message_is_the_others_make_room_for_one():
    assert Margin().excess(30.0, 0.2) == 0.2


def test_a_slot_is_never_before_now_and_never_before_its_turn():
    assert next_slot(10.0, 20.0, 0.2) == (20.0, 20.2)
    assert next_slot(30.0, 20.0, 0.2) == (30.0, 30.2)


@given(st.lists(st.tuples(st.floats(0, 2), st.floats(0.01, 1)), min_size=2, max_size=50))
def test_slots_are_always_at_least_the_spacing_asked_for_apart(steps):
    state, now = PaceState(tat=START, seen_at=START), START
    last_slot, last_spacing = None, 0.0
    for step, spacing in steps:
        now += step
        slot, state = state.reserved(now, spacing)
        assert slot >= now
        assert last_slot is None or slot - last_slot >= last_spacing - ROUNDING
        last_slot, last_spacing = slot, spacing


def test_the_widest_spacing_of_the_last_two_seconds_holds_for_everyone():
    state = PaceState(tat=START, seen_at=START)
    first, state = state.reserved(START, 0.204)
    second, state = state.reserved(START, 0.202)
    third, state = state.reserved(START, 0.202)
    _, state = state.reserved(START + 10, 0.202)
    late, state = state.reserved(START + 10, 0.202)

    assert third - second == pytest.approx(0.204, abs=ROUNDING)
    assert second - first == pytest.approx(0.204, abs=ROUNDING)
    assert late - (START + 10) == pytest.approx(0.202, abs=ROUNDING)


def test_a_delay_adds_up_and_a_hold_does_not():
    state = PaceState(tat=START, seen_at=START)

    assert state.delayed(START, 2).delayed(START, 2).tat == START + 4
    assert state.held(START, 2).held(START, 2).tat == START + 2
    assert state.delayed(START, 5).held(START, 2).tat == START + 5


def test_a_clock_set_back_waits_one_second_and_goes_on():
    _, state = PaceState(tat=START, seen_at=START).reserved(START, 0.2)

    slot, state = state.reserved(START - 3600, 0.2)

    assert slot == START - 3600 + 1
    assert state.reserved(START - 3600, 0.2)[0] == pytest.approx(slot + 0.2, abs=ROUNDING)


def test_a_clock_set_back_does_not_shorten_what_was_to_wait():
    state = PaceState(tat=START, seen_at=START).held(START, 60)

    assert state.reserved(START - 3600, 0.2)[0] == START - 3600 + 60


def test_a_process_whose_reading_of_the_clock_is_a_little_old_keeps_the_pace():
    _, state = PaceState(tat=START, seen_at=START).reserved(START, 0.2)

    slot, state = state.reserved(START - 5, 0.2)

    assert slot == pytest.approx(START + 0.2, abs=ROUNDING)
    assert state.seen_at == START


def test_a_slot_is_lost_after_one_spacing_or_at_once_where_slots_are_rare():
    assert not has_lost_its_slot(0.19, 0.2)
    assert has_lost_its_slot(0.21, 0.2)
    assert not has_lost_its_slot(0.001, 1.01)
    assert has_lost_its_slot(0.01, 1.01)
