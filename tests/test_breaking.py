"""runner.breaking: the circuit breaker, as a state machine on times passed in."""

import heapq

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runner.breaking import Breaker, BreakerSettings, is_error
from runner.delivery import Answer, Outcome

GOOD = Answer(outcome=Outcome.ACCEPTED, rule="accepted")
PERSON = Answer(outcome=Outcome.REFUSED, rule="refused", http_status=400)
LOST = Answer(outcome=Outcome.UNKNOWN, rule="server_error", http_status=500)
BUSY = Answer(outcome=Outcome.RETRY, rule="busy", http_status=503)

SETTINGS = st.builds(
    BreakerSettings,
    trip_after=st.integers(1, 12),
    first_pause=st.floats(0.5, 60),
    longest_pause=st.floats(60, 600),
    probes=st.integers(1, 12),
)
ERRORS = st.sampled_from([LOST, BUSY])


DEFAULTS = BreakerSettings()


def tripped(settings=DEFAULTS, now=0.0):
    breaker = Breaker(settings=settings)
    for _ in range(settings.trip_after):
        breaker = breaker.heard(LOST, now, is_probe=False)
    return breaker


def probed(breaker, answer):
    """Wait out the pause, send the probe, and hear its answer at once."""
    now = breaker.paused_until
    return breaker.left().heard(answer, now, is_probe=True)


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (GOOD, False),
        (PERSON, False),
        (Answer(outcome=Outcome.REFUSED, rule="suppressed"), False),
        (Answer(outcome=Outcome.REFUSED, rule="refused", http_status=502), True),
        (LOST, True),
        (Answer(outcome=Outcome.UNKNOWN, rule="timed_out"), True),
        (Answer(outcome=Outcome.UNKNOWN, rule="broken_off"), True),
        (BUSY, True),
        (Answer(outcome=Outcome.RETRY, rule="never_left"), True),
    ],
)
def test_what_is_about_one_person_is_no_error_of_the_sender(answer, expected):
    assert is_error(answer) is expected


@given(SETTINGS, st.lists(st.sampled_from([GOOD, PERSON, LOST, BUSY]), max_size=60))
def test_it_opens_at_so_many_errors_in_a_row_and_never_before(settings, answers):
    breaker, row = Breaker(settings=settings), 0
    for number, answer in enumerate(answers):
        breaker = breaker.heard(answer, float(number), is_probe=False)
        row = row + 1 if is_error(answer) else 0
        assert breaker.is_open is (row >= settings.trip_after)
        if breaker.is_open:
            return
        assert breaker.wait(float(number)) == 0


@given(SETTINGS, ERRORS)
def test_each_pause_is_twice_the_last_up_to_the_longest_and_the_probes_are_bounded(settings, error):
    breaker, now, pauses = tripped(settings), 0.0, []
    while not breaker.gives_up:
        pauses.append(breaker.wait(now))
        now = breaker.paused_until
        breaker = probed(breaker, error)
    assert len(pauses) == settings.probes
    expected = [
        min(settings.longest_pause, settings.first_pause * 2**number) for number in range(len(pauses))
    ]
    assert pauses == pytest.approx(expected)


@given(SETTINGS, st.integers(0, 11), st.sampled_from([GOOD, PERSON]))
def test_a_probe_that_is_taken_or_refused_as_that_person_closes_it(settings, failures, answer):
    breaker = tripped(settings)
    for _ in range(failures):
        breaker = probed(breaker, LOST)
    breaker = probed(breaker, answer)
    assert breaker == Breaker(settings=settings)


@given(st.lists(st.sampled_from([GOOD, PERSON, LOST, BUSY]), max_size=40))
def test_while_it_is_open_only_the_probes_answer_counts(answers):
    breaker = tripped()
    for answer in answers:
        assert breaker.heard(answer, 3.0, is_probe=False) == breaker
    probing = breaker.left()
    for answer in answers:
        assert probing.heard(answer, 20.0, is_probe=False) == probing


def test_one_probe_at_a_time_leaves_and_not_before_the_pause_is_over():
    breaker = tripped(now=100.0)
    assert breaker.wait(100.0) == 15.0
    assert breaker.wait(112.0) == 3.0
    assert breaker.wait(115.0) == 0.0
    assert breaker.left().wait(115.0) is None
    assert breaker.left().wait(9999.0) is None


def test_after_a_probe_that_stayed_another_may_leave_at_once():
    breaker = tripped(now=100.0).left().stayed()
    assert breaker.is_open
    assert breaker.wait(115.0) == 0.0


@given(
    SETTINGS,
    st.integers(1, 30),
    st.lists(st.floats(0.01, 60), min_size=1, max_size=40),
    st.floats(0, 3000),
    st.floats(1, 3000),
)
def test_an_outage_costs_the_row_the_probes_and_what_was_in_flight(settings, lanes, latencies, start, length):
    """Deliveries leave on `lanes` connections as fast as the breaker lets them, through an outage."""
    breaker, now, left, lost, probes = Breaker(settings=settings), 0.0, 0, 0, 0
    answers = []
    while left < 300 and not breaker.gives_up:
        while len(answers) < lanes and breaker.wait(now) == 0 and left < 300:
            is_probe, breaker = breaker.is_open, breaker.left()
            is_lost = start <= now < start + length
            lost, probes = lost + is_lost, probes + (is_probe and is_lost)
            due = now + latencies[left % len(latencies)]
            heapq.heappush(answers, (due, left, LOST if is_lost else GOOD, is_probe))
            left += 1
        opens_at = breaker.paused_until if breaker.wait(now) else None
        if opens_at is not None and not (answers and answers[0][0] < opens_at):
            now = opens_at
            continue
        now, _, answer, is_probe = heapq.heappop(answers)
        breaker = breaker.heard(answer, now, is_probe=is_probe)
    assert probes <= settings.probes
    assert lost <= settings.trip_after * (lanes + 1) + lanes + probes
