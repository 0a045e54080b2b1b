"""runner.punctuality: of the open firings, which one runs and which were missed."""

from datetime import datetime, timedelta, timezone

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from runner.punctuality import PUNCTUAL, judge
from runner.schedule import ONCE, Firing, Missed, Schedule, firings

NOW = datetime(2026, 11, 23, 12, tzinfo=timezone.utc)
RUN_ONCE, SKIP = Schedule(), Schedule(missed=Missed.SKIP)


def late(*minutes):
    """Return firings that have been due for so many minutes, the oldest first."""
    return [
        Firing(occurrence=f"{minute} late", due_at=NOW - timedelta(minutes=minute))
        for minute in sorted(minutes, reverse=True)
    ]


def judged(schedule, *minutes):
    """Return how late, in minutes, those are that run and those that were missed."""
    verdict = judge(schedule, late(*minutes), NOW)
    return tuple(
        [int((NOW - firing.due_at).seconds / 60) for firing in part]
        for part in (verdict.runs, verdict.missed)
    )


@pytest.mark.parametrize(
    ("schedule", "minutes", "runs", "missed"),
    [
        (RUN_ONCE, [0], [0], []),
        (RUN_ONCE, [15], [15], []),
        (SKIP, [15], [15], []),
        (SKIP, [16], [], [16]),
        (RUN_ONCE, [16], [16], []),
        (RUN_ONCE, [60], [60], []),
        (RUN_ONCE, [61], [], [61]),
        (RUN_ONCE, [20, 40, 61], [20], [61, 40]),
        (SKIP, [20, 40, 61], [], [61, 40, 20]),
        (RUN_ONCE, [5, 20, 40], [5], [40, 20]),
        (RUN_ONCE, [0, 5, 10], [10, 5, 0], []),
        (Schedule(grace=timedelta(minutes=5)), [10, 20], [10], [20]),
        (RUN_ONCE, [], [], []),
    ],
)
def test_the_rule_in_examples(schedule, minutes, runs, missed):
    assert judged(schedule, *minutes) == (runs, missed)


def test_a_campaign_without_a_time_runs_and_a_firing_of_the_future_waits():
    once = Firing(occurrence=ONCE, due_at=None)
    verdict = judge(SKIP, [*late(-1), once], NOW)
    assert (verdict.runs, verdict.missed) == ((once,), ())


@settings(max_examples=40, deadline=None)
@given(
    missed=st.sampled_from(Missed),
    grace=st.integers(1, 300).map(lambda minutes: timedelta(minutes=minutes)),
    minutes=st.sets(st.integers(0, 400), max_size=12),
)
def test_every_firing_that_is_due_has_one_fate_and_at_most_one_late_one_runs(missed, grace, minutes):
    schedule = Schedule(missed=missed, grace=grace)
    open_firings = late(*minutes)
    verdict = judge(schedule, open_firings, NOW)
    assert sorted((*verdict.runs, *verdict.missed), key=lambda firing: firing.due_at) == open_firings
    punctual = [firing for firing in open_firings if NOW - firing.due_at <= PUNCTUAL]
    made_up = [firing for firing in verdict.runs if firing not in punctual]
    assert set(punctual) <= set(verdict.runs)
    assert len(made_up) <= (0 if punctual or missed is Missed.SKIP else 1)
    assert all(firing is open_firings[-1] and NOW - firing.due_at <= grace for firing in made_up)


@settings(max_examples=40, deadline=None)
@given(
    missed=st.sampled_from(Missed),
    cron=st.sampled_from(["*/15 * * * *", "*/20 * * * *", "0 * * * *", "0 */3 * * *"]),
    ticks=st.lists(st.integers(1, 300), max_size=8),
)
def test_no_firing_is_lost_or_runs_twice_however_the_ticks_come(missed, cron, ticks):
    schedule = Schedule(cron=cron, zone="Asia/Jakarta", missed=missed)
    known, now, fates = NOW, NOW, []
    for minutes in ticks:
        now += timedelta(minutes=minutes)
        verdict = judge(schedule, firings(schedule, known, now), now)
        fates += [*verdict.runs, *verdict.missed]
        known = now
    assert sorted(fates, key=lambda firing: firing.due_at) == list(firings(schedule, NOW, now))
