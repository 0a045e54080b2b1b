"""runner.due: which open firings may run, which were missed, and which rest until a window opens."""

from dataclasses import replace
from datetime import datetime, timedelta, timezone

import pytest

from runner.due import rests, sorted_out
from runner.ledger.firings import FiringRecord, FiringState
from runner.schedule import Missed, Schedule

DUE = datetime(2026, 11, 23, 3, tzinfo=timezone.utc)
OPENS = DUE + timedelta(hours=5)
DAILY = Schedule(cron="0 3 * * *", zone="UTC")


def record(**changes):
    fresh = FiringRecord(
        campaign="promo",
        occurrence=f"{DUE:%Y-%m-%dT%H:%MZ}",
        due_at=DUE.timestamp(),
        state=FiringState.DUE,
        at=DUE.timestamp(),
        by="",
    )
    return replace(fresh, **changes)


def missed(each, now, schedule=DAILY, begun=frozenset()):
    """Return why a firing was missed, None when it may run."""
    runs, late = sorted_out(schedule, [each], now, begun=begun)
    assert len(runs) + len(late) == 1
    return late[0][1] if late else None


@pytest.mark.parametrize(
    ("found_after", "schedule", "is_missed"),
    [
        (timedelta(minutes=-90), DAILY, False),
        (timedelta(minutes=15), replace(DAILY, missed=Missed.SKIP), False),
        (timedelta(minutes=16), replace(DAILY, missed=Missed.SKIP), True),
        (timedelta(minutes=60), DAILY, False),
        (timedelta(minutes=61), DAILY, True),
    ],
)
@pytest.mark.parametrize("state", [FiringState.DUE, FiringState.WAITING, FiringState.STARTED])
def test_a_firing_that_rested_is_late_from_when_the_first_window_opened(
    state, found_after, schedule, is_missed
):
    each = record(opens_at=OPENS.timestamp(), state=state)
    assert (missed(each, OPENS + found_after, schedule) is not None) is is_missed


def test_how_late_it_is_counts_from_the_opening_and_says_what_it_waited_for():
    each = record(opens_at=OPENS.timestamp(), detail="outside everybody's window, until 08:00")
    assert missed(each, OPENS + timedelta(minutes=90)) == (
        "90 minutes late (schedule.missed is run_once); it waited: outside everybody's window, until 08:00"
    )


def test_an_opening_before_it_is_due_makes_it_no_earlier():
    assert missed(record(opens_at=0.0), DUE + timedelta(minutes=60)) is None


def test_one_that_was_begun_goes_on_at_its_next_opening_however_late_until_it_expires():
    each = record(state=FiringState.STARTED, expires_at=(OPENS + timedelta(days=3)).timestamp())
    each = replace(each, opens_at=OPENS.timestamp())
    begun = frozenset({each.occurrence})
    assert missed(each, OPENS + timedelta(days=2), begun=begun) is None
    assert missed(each, OPENS + timedelta(days=3), begun=begun).endswith("what was left of it has expired")


def test_one_that_rests_is_withdrawn_with_its_schedule():
    each = record(opens_at=OPENS.timestamp())
    assert missed(each, DUE, replace(DAILY, cron="30 3 * * *")) == "the schedule does not fire then any more"


def test_a_firing_rests_until_the_very_opening_and_never_while_people_may_approve_it():
    each = record(opens_at=OPENS.timestamp())
    second = timedelta(seconds=1)
    assert [rests(each, now) for now in (OPENS - second, OPENS)] == [True, False]
    assert not rests(record(), DUE)
    assert rests(replace(each, state=FiringState.STARTED), DUE)
    assert not rests(replace(each, state=FiringState.WAITING), DUE)
