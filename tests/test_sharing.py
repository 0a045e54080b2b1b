"""Sharing: runs on one sender take its slots by weight, nobody starves, and no slot is lost."""

from __future__ import annotations

import heapq
import random
from collections import Counter
from dataclasses import replace
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from runner.pacing import PaceState, interval
from runner.sharing import COUNTS_FOR, Share, Standing, rule

START = 5_000.0
RATES = st.sampled_from([1.0, 5.0, 20.0, 80.0])


class Row:
    """A sender's row in memory, and the runs that share it."""

    def __init__(self):
        self.pace = PaceState(tat=0.0, seen_at=0.0)
        self.standings = {}

    def claim(self, share, now, spacing):
        ruling = rule(share, tuple(self.standings.values()), self.pace, now=now, spacing=spacing)
        self.pace = ruling.pace
        for run in ruling.gone:
            del self.standings[run]
        if ruling.standing is not None:
            self.standings[share.run] = ruling.standing
        return ruling


def sent(weights, seconds, *, rate=5.0, until=None, since=None, late=0.0, seed=0):
    """Let runs of these weights send as they do, each with one slot in hand; return the (slot, run) taken.

    A run begins at its `since` and ends at its `until` (seconds after the start). It asks for its next slot
    just before it leaves at the last one, up to `late` seconds later than it would like.
    """
    row, spacing, chance = Row(), interval(rate, 0.015), random.Random(seed)
    since, until = since or {}, until or {}
    asking = [(START + since.get(run, 0.0), run) for run in weights]
    heapq.heapify(asking)
    taken = []
    while asking:
        now, run = heapq.heappop(asking)
        if now >= START + min(seconds, until.get(run, seconds)):
            continue
        ruling = row.claim(Share(run=run, weight=weights[run]), now, spacing)
        if ruling.is_slot:
            taken.append((ruling.at - START, run))
        lead = 0.004 if ruling.is_slot else 0.0
        heapq.heappush(asking, (max(now, ruling.at - lead) + chance.uniform(0, late), run))
    return taken


def counts(taken, first=0.0, last=float("inf")):
    return Counter(run for at, run in taken if first <= at < last)


def used(taken, rate=5.0):
    """Return how much of the rate was used from the first slot to the last."""
    slots = sorted(at for at, _ in taken)
    return (len(slots) - 1) / (slots[-1] - slots[0]) / rate


@pytest.mark.parametrize("rate", [5.0, 80.0])
@pytest.mark.parametrize("weights", [(3, 1), (1, 1, 1), (10, 1), (10, 9), (5, 3, 1), (1, 1, 10, 10), (4,)])
def test_over_a_minute_slots_are_shared_by_weight_within_5_percent_or_a_slot(weights, rate):
    weights = dict(enumerate(weights))
    taken = sent(weights, 60, rate=rate, late=0.002)
    shares = counts(taken)
    for run, weight in weights.items():
        fair = len(taken) * weight / sum(weights.values())
        assert abs(shares[run] - fair) <= max(0.05 * fair, 1.5)
    assert used(taken, rate) > 0.98


@given(
    st.lists(st.integers(1, 10), min_size=1, max_size=5),
    RATES,
    st.floats(0, 0.3),
    st.integers(0, 99),
)
@settings(max_examples=40, deadline=None)
def test_nobody_starves_and_slots_lie_apart_whatever_the_weights_and_however_late_runs_ask(
    weights, rate, late, seed
):
    runs = dict(enumerate(weights))
    # A run that sleeps over its turn for longer than a spacing may lose it, and one alone uses what it can.
    late = min(late, 0.4 / rate)
    taken = sent(runs, 40 / rate + 10, rate=rate, late=late, seed=seed)
    slots = sorted(at for at, _ in taken)
    assert all(b - a > interval(rate, 0.015) - 1e-9 for a, b in pairwise(slots))
    shares = counts(taken)
    for run, weight in runs.items():
        assert shares[run] >= int(0.8 * len(taken) * weight / sum(weights)) - 2
        assert shares[run] >= 1


@pytest.mark.parametrize("runs", [1, 2, 3])
@pytest.mark.parametrize("rate", [0.5, 5.0, 80.0])
def test_no_slot_is_lost_to_sharing(runs, rate):
    weights = dict(enumerate((3, 1, 7)[:runs]))
    assert used(sent(weights, 60 + 30 / rate, rate=rate), rate) > 0.98


@pytest.mark.parametrize("gone", [0, 1])
def test_a_run_that_ends_dies_or_pauses_frees_its_share_at_once(gone):
    taken = sent({0: 3, 1: 1}, 30, until={gone: 10})
    assert used([(at, run) for at, run in taken if 8 < at < 14]) > 0.98
    after = counts(taken, 12)
    assert after[gone] == 0
    assert after[1 - gone] >= 0.98 * 18 * 5


@pytest.mark.parametrize("weights", [{0: 1, 1: 1}, {0: 1, 1: 10}, {0: 10, 1: 1}])
def test_a_run_that_joins_late_has_its_share_at_once_and_no_more(weights):
    taken = sent(weights, 60, since={1: 30})
    together = counts(taken, 30.5)
    fair = together.total() * weights[1] / sum(weights.values())
    assert abs(together[1] - fair) <= max(0.05 * fair, 1.5)


def test_while_a_run_is_gone_it_saves_up_nothing():
    row, spacing = Row(), 0.2
    row.claim(Share(run=1), START, spacing)
    now = START
    for _ in range(100):
        now = max(now, row.claim(Share(run=2), now, spacing).at)
    back = [(now, 1), (now, 2)]
    taken = Counter()
    while back[0][0] < now + 20:
        at, run = heapq.heappop(back)
        ruling = row.claim(Share(run=run), at, spacing)
        taken[run] += ruling.is_slot
        heapq.heappush(back, (ruling.at, run))
    assert abs(taken[1] - taken[2]) <= 2


def test_a_run_that_died_with_a_slot_far_ahead_in_its_hand_holds_nobody_back():
    row, spacing = Row(), 0.2
    row.pace = row.pace.held(START, 60.0)
    assert row.claim(Share(run=1, weight=10), START, spacing).at == START + 60
    now, taken = START, 0
    while now < START + 70:
        ruling = row.claim(Share(run=2), now, spacing)
        taken += ruling.is_slot
        now = ruling.at
    assert taken >= 48


def test_after_the_clock_was_set_back_nobody_waits_for_times_of_before():
    row = Row()
    row.claim(Share(run=1), START, 0.2)
    row.claim(Share(run=2), START, 0.2)
    row.claim(Share(run=2), START, 0.2)
    ruling = row.claim(Share(run=2), 10.0, 0.2)
    assert ruling.is_slot
    assert ruling.at < 10.0 + 2
    assert set(row.standings) == {2}


def test_a_denial_is_written_only_when_the_run_was_not_seen_for_a_while():
    mine, other = Standing(run=1, passed=5.0, seen_at=START), Standing(run=2, passed=1.0, seen_at=START + 1)
    pace = PaceState(tat=START + 9, seen_at=START)
    asked = {"spacing": 0.2}
    soon = rule(Share(run=1), (mine, other), pace, now=START + 0.1, **asked)
    later = rule(Share(run=1), (mine, other), pace, now=START + 1.0, **asked)
    assert (soon.is_slot, soon.standing) == (False, None)
    assert later.standing == replace(mine, seen_at=START + 1.0)
    assert soon.pace is pace


def test_a_run_counts_until_a_while_after_its_slot():
    standing = Standing(run=1, passed=1.0, seen_at=START + 10)
    assert standing.counts(START + 10 + COUNTS_FOR)
    assert not standing.counts(START + 10.01 + COUNTS_FOR)
