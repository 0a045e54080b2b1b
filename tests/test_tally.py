import pytest

from runner.campaign import Limit
from runner.errors import ExitCode
from runner.halting import Stop, StopCause
from runner.tally import Tally, exit_code_of, failures_exceeded, unknowns_exceeded


def test_the_accounts_of_a_plan_balance():
    tally = Tally(to_send=10, accepted=4, refused=3, unknown=1, barred=2)
    assert (tally.known, tally.remaining) == (8, 2)


@pytest.mark.parametrize(
    ("tally", "stop", "expected"),
    [
        (Tally(to_send=2, accepted=2), None, ExitCode.DONE),
        (Tally(to_send=2, accepted=1, refused=1), None, ExitCode.UNSETTLED),
        (Tally(to_send=2, accepted=1, unknown=1), None, ExitCode.UNSETTLED),
        (Tally(to_send=2, accepted=1), None, ExitCode.STOPPED),
        (Tally(to_send=2, accepted=1), Stop(cause=StopCause.GUARD, detail=""), ExitCode.STOPPED),
        (Tally(to_send=2, accepted=1), Stop(cause=StopCause.INTERRUPTED, detail=""), ExitCode.INTERRUPTED),
        (Tally(to_send=2, accepted=2), Stop(cause=StopCause.INTERRUPTED, detail=""), ExitCode.DONE),
    ],
)
def test_the_exit_code_says_how_a_run_ended(tally, stop, expected):
    assert exit_code_of(tally, stop) is expected


@pytest.mark.parametrize(
    ("tally", "limit", "said"),
    [
        (Tally(to_send=500, accepted=94, refused=6), Limit(share=0.05), "6 of 100 were refused"),
        (Tally(to_send=500, accepted=95, refused=5), Limit(share=0.05), None),
        (Tally(to_send=500, refused=99), Limit(share=0.05), None),
        (Tally(to_send=500, accepted=90, refused=20, barred=16), Limit(share=0.05), None),
        (Tally(to_send=500, refused=3), Limit(count=2), "3 of 3 were refused"),
        (Tally(to_send=500, refused=500), None, None),
        (
            Tally(to_send=500, accepted=98, refused=2, failed_later=4),
            Limit(share=0.05),
            "6 of 100 failed (2 refused, 4 by a failed receipt)",
        ),
        (Tally(to_send=500, accepted=98, refused=2, failed_later=3), Limit(share=0.05), None),
    ],
)
def test_max_failed_counts_what_was_refused_or_failed_later_once_that_says_something(tally, limit, said):
    told = failures_exceeded(tally, limit)
    assert (told is None) if said is None else told.endswith(said)


def test_max_unknown_counts_those_whose_outcome_nobody_knows():
    tally = Tally(to_send=500, accepted=97, unknown=3)
    told = unknowns_exceeded(tally, Limit(share=0.02))
    assert told == "guards.max_unknown is 2%: 3 of 100 are unknown"
    assert unknowns_exceeded(tally, Limit(share=0.03)) is None
