"""runner.canary: what the first messages of a plan say about the others, as the ledger has it."""

import pytest

from runner.campaign import Canary, Limit
from runner.canary import Trial, Verdict, read_trial
from runner.ledger.interface import Counts
from tests.test_applying import CANARY

NOW = 1_780_000_000.0


def trial(canary=CANARY, **changes):
    standing = {"begun": 4, "refused": 0, "failed": 0, "awaited": 4, "last_at": NOW}
    return Trial(canary=canary, **{**standing, **changes})


@pytest.mark.parametrize(
    ("standing", "after", "expected"),
    [
        ({"begun": 3}, 1799, Verdict.WAIT),
        ({"begun": 3}, 1800, Verdict.GO_ON),
        ({}, 0, Verdict.WAIT),
        ({}, 1799, Verdict.WAIT),
        ({}, 1800, Verdict.GO_ON),
        ({"awaited": 0}, 0, Verdict.GO_ON),
        ({"failed": 1}, 0, Verdict.WAIT),
        ({"failed": 1, "awaited": 0}, 0, Verdict.GO_ON),
        ({"failed": 2}, 0, Verdict.STOP),
        ({"refused": 1, "failed": 1}, 9999, Verdict.STOP),
        ({"begun": 5, "refused": 5}, 0, Verdict.GO_ON),
    ],
)
def test_what_a_canary_says(standing, after, expected):
    assert trial(**standing).verdict(NOW + after) is expected


def test_a_share_is_of_the_canary():
    canary = Canary(size=50, wait=CANARY.wait, max_failed=Limit(share=0.05))
    assert trial(canary=canary, begun=50, failed=2).failure is None
    assert trial(canary=canary, begun=50, failed=3).failure == (
        "guards.canary.max_failed is 5%: 3 of 50 failed (0 refused, 3 by a failed receipt)"
    )


class Ledger:
    """A ledger that knows one plan's counts."""

    def __init__(self, counts):
        self.known = counts

    def counts(self, digest):
        return self.known

    def last_outcome(self, digest):
        return NOW


def test_where_it_stands_is_read_from_the_counts():
    counts = Counts(
        accepted=5,
        refused=3,
        unknown=1,
        retry=1,
        in_flight=2,
        refused_by_rule={"refused": 1, "suppressed": 2},
        receipts={"sent": 2, "failed": 1, "delivered": 1},
    )
    canary = Canary(size=20, wait=CANARY.wait, max_failed=Limit(count=1))
    found = read_trial(canary, Ledger(counts), "digest", ("suppressed",))
    assert (found.begun, found.missing) == (9, 11)
    assert (found.refused, found.failed, found.awaited, found.last_at) == (1, 1, 4, NOW)


def test_once_it_has_passed_the_ledger_is_not_asked_for_the_last_outcome_any_more():
    assert read_trial(CANARY, Ledger(Counts(accepted=5)), "digest", ()).last_at is None
