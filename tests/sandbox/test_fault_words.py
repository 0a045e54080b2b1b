import random

import pytest

from runner.errors import UsageError
from runner.sandbox.fault_words import ALWAYS, Occasions, find_kind, parse_occasions
from runner.sandbox.faults import FaultKind


@pytest.mark.parametrize(
    ("text", "occasions"),
    [
        ("10%", Occasions(probability=0.1)),
        ("100%", Occasions(probability=1.0)),
        ("#12", Occasions(first=12, last=12)),
        ("#10-20", Occasions(first=10, last=20)),
        ("#100-", Occasions(first=100)),
        ("every=7", Occasions(every=7)),
        ("101%", None),
        ("every=0", None),
        ("sometimes", None),
    ],
)
def test_occasions_are_read_as_they_are_written(text, occasions):
    assert parse_occasions(text) == occasions


@pytest.mark.parametrize(
    ("occasions", "struck"),
    [
        (Occasions(first=3, last=3), [3]),
        (Occasions(first=4, last=5), [4, 5]),
        (Occasions(first=6), [6, 7, 8]),
        (Occasions(every=4), [4, 8]),
        (Occasions(probability=0.0), []),
        (ALWAYS, [1, 2, 3, 4, 5, 6, 7, 8]),
    ],
)
def test_a_fault_strikes_at_its_occasions(occasions, struck):
    chance = random.Random(1)
    assert [number for number in range(1, 9) if occasions.include(number, chance)] == struck


def test_a_fault_that_there_is_not_is_met_with_the_nearest():
    with pytest.raises(UsageError, match="There is no fault 'drip'") as caught:
        find_kind(FaultKind, "drip", "drip:10%")
    assert caught.value.hint.startswith("Did you mean drop? The faults: ")
