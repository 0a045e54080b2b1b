"""What every ledger promises of caps: over all campaigns, up to the intent, however many runs there are."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, suppress
from datetime import timedelta

import pytest

from runner.campaign import Cap
from runner.ledger import open_ledger

NOW = 1_780_000_000.0
DAY = 86_400.0
DISTANCE = Cap(rule="min_distance", messages=1, per=timedelta(days=1))
TWICE = Cap(rule="frequency_cap", messages=2, per=timedelta(days=7))
A, B, C = "6281230000001", "6281230000002", "6281230000003"


@pytest.fixture
def other(ledger, begin):
    """A run of another campaign."""
    return begin(ledger, "plan-2", campaign="other")


def capped(ledger, *caps, now=NOW, phones=(A, B, C)):
    return ledger.capped("lebaran", "once", phones, caps, now)


def intend(applying, *phones, caps, now=NOW):
    return applying.ledger.commit(
        applying.token, [applying.intent(phone) for phone in phones], [], now, caps=caps
    )


def test_nobody_has_reached_a_cap_at_first(ledger, begin):
    assert capped(ledger, DISTANCE, TWICE) == {}
    begin(ledger)
    assert capped(ledger, DISTANCE, TWICE) == {}


def test_what_another_campaign_sent_within_the_time_counts(ledger, applying, other):
    other.send("accepted", A, now=NOW - DAY)
    other.send("accepted", B, now=NOW - DAY + 1)
    assert capped(ledger, DISTANCE) == {B: "min_distance"}
    assert capped(ledger, DISTANCE, now=NOW + 1) == {}


def test_unknown_and_in_flight_count_and_what_was_refused_does_not(ledger, applying, other):
    other.send("unknown", A)
    other.intend(B)
    other.send("refused", C)
    assert capped(ledger, DISTANCE) == {A: "min_distance", B: "min_distance"}


def test_the_first_cap_that_is_reached_is_named(ledger, begin, applying, other):
    third = begin(ledger, "plan-3", campaign="third")
    for run in (other, third):
        run.send("accepted", A, now=NOW - 2 * DAY)
    other.send("accepted", B)
    assert capped(ledger, TWICE, DISTANCE) == {A: "frequency_cap", B: "min_distance"}


def test_an_occurrence_does_not_count_against_itself_and_another_of_its_campaign_does(ledger, begin):
    monday = begin(ledger, "plan-1", occurrence="2026-03-16T02:00Z")
    monday.send("accepted", A)
    tuesday = begin(ledger, "plan-2", occurrence="2026-03-17T02:00Z")
    asked = (A,), (DISTANCE,), NOW + 1
    assert ledger.capped("lebaran", "2026-03-16T02:00Z", *asked) == {}
    assert ledger.capped("lebaran", "2026-03-17T02:00Z", *asked) == {A: "min_distance"}
    assert intend(tuesday, A, caps=[DISTANCE], now=NOW + 1) == ["min_distance"]


def test_an_intent_of_whoever_reached_a_cap_is_refused_in_the_same_stroke(ledger, applying, other):
    other.send("accepted", A, C)
    assert intend(applying, A, B, C, caps=[TWICE, DISTANCE]) == ["min_distance", True, "min_distance"]
    assert [applying.state(phone) for phone in (A, B, C)] == ["refused", "intent", "refused"]
    counts = ledger.counts("plan-1")
    assert (counts.refused, counts.in_flight) == (2, 1)
    assert counts.refused_by_rule == {"min_distance": 2}
    (history,) = [each for each in ledger.history(A) if each.delivery.key.campaign == "lebaran"]
    assert [(event.event, event.rule) for event in history.events] == [("refused", "min_distance")]
    applying.settle("accepted", B)


def test_without_a_cap_an_intent_is_recorded_whatever_others_sent(applying, other):
    other.send("accepted", A)
    assert applying.intend(A) == [True]


def test_a_further_attempt_meets_the_cap_too(applying, other):
    assert intend(applying, A, caps=[DISTANCE]) == [True]
    applying.settle("retry", A)
    assert intend(applying, A, caps=[DISTANCE]) == [True]
    applying.settle("retry", A)
    other.send("accepted", A)
    assert intend(applying, A, caps=[DISTANCE]) == ["min_distance"]
    assert applying.ledger.counts("plan-1").retry == 0


def test_a_run_that_began_after_the_ledger_was_asked_is_seen(ledger, begin, applying):
    assert capped(ledger, TWICE, DISTANCE) == {}
    late = begin(ledger, "plan-3", campaign="late")
    late.send("accepted", A)
    assert capped(ledger, DISTANCE) == {A: "min_distance"}


def test_an_occurrence_whose_runs_ended_long_ago_is_not_looked_through(ledger, begin):
    early = begin(ledger, "plan-9", campaign="early", now=NOW - 60 * DAY)
    early.send("accepted", A, now=NOW - 60 * DAY)
    ledger.end_run(early.run, 0, NOW - 60 * DAY)
    assert capped(ledger, TWICE) == {}
    season = Cap(rule="min_distance", messages=1, per=timedelta(days=90))
    assert capped(ledger, season) == {A: "min_distance"}


def test_two_runs_at_once_never_both_send_to_one_person(url, tmp_path, applying, other):
    # Each waits, once it has counted, until the other has too; or, as it should be, in vain.
    counted = threading.Barrier(2, timeout=0.5)

    def intend_at_once(run):
        with closing(open_ledger(url, root=tmp_path)) as ledger:
            store = ledger.capped.__self__._store
            rows = store.rows

            def counting(name, /, **parameters):
                found = rows(name, **parameters)
                if name == "sent_lately":
                    with suppress(threading.BrokenBarrierError):
                        counted.wait()
                return found

            store.rows = counting
            return ledger.commit(run.token, [run.intent(A)], [], NOW, caps=[DISTANCE])

    with ThreadPoolExecutor() as threads:
        answers = list(threads.map(intend_at_once, (applying, other)))
    assert sorted(answers, key=str) == [["min_distance"], [True]]
