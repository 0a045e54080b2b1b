import random
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runner.errors import UsageError
from runner.sandbox.faults import MEANINGS, FaultKind, FaultPlan, parse_fault


def struck(text, count=20, phone="60120000001"):
    plan = FaultPlan([parse_fault(text)], random.Random(1))
    return [number for number in range(1, count + 1) if plan.strike(number, phone)]


@pytest.mark.parametrize("kind", FaultKind)
def test_every_fault_has_a_name_and_a_meaning(kind):
    fault = parse_fault(f"{kind.value}:10%")
    assert (fault.kind, fault.occasions.probability, str(fault)) == (kind, 0.1, f"{kind.value}:10%")
    assert MEANINGS[kind]


@pytest.mark.parametrize(
    ("text", "numbers"),
    [
        ("429", list(range(1, 21))),
        ("429:#3", [3]),
        ("429:#3-5", [3, 4, 5]),
        ("429:#18-", [18, 19, 20]),
        ("429:every=7", [7, 14]),
        ("429:@60120000001", list(range(1, 21))),
        ("429:@60120000001x2", [1, 2]),
        ("429:@60120000002", []),
        ("429:0%", []),
        ("429:100%", list(range(1, 21))),
    ],
)
def test_a_fault_strikes_when_it_says(text, numbers):
    assert struck(text) == numbers


def test_a_probability_is_repeatable_and_about_right():
    assert struck("429:10%", 2000) == struck("429:10%", 2000)
    assert 150 < len(struck("429:10%", 2000)) < 250


def test_the_first_fault_that_strikes_wins():
    plan = FaultPlan([parse_fault("503:#2"), parse_fault("429")], random.Random(1))
    assert [plan.strike(number, "1").kind for number in (1, 2)] == [FaultKind.TOO_MANY, FaultKind.UNAVAILABLE]


def test_arguments_are_times_sizes_and_acceptance():
    assert parse_fault("slow-after-accept").seconds == 90
    assert parse_fault("slow-after-accept:1%:2m").seconds == 120
    assert parse_fault("drop::1.5s").seconds == 1.5
    assert parse_fault("429").seconds is None
    assert parse_fault("huge").size == 32 * 1024 * 1024
    assert parse_fault("huge::1KB").size == 1024
    assert parse_fault("html502").accepted is False
    assert parse_fault("html502::accepted").accepted is True


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        ("html-502:1%", "Did you mean html502?"),
        ("reset:1%", "The faults:"),
        ("", "The faults:"),
        ("429:often", "WHEN is"),
        ("429:101%", "WHEN is"),
        ("429:every=0", "WHEN is"),
        ("429:#", "WHEN is"),
        ("429:10%:soon", "90s"),
        ("huge::big", "32MB"),
        ("no-id:1%:x", "no-id: accept"),
        ("html502::refused", "unless ARGUMENT"),
    ],
)
def test_what_is_no_fault_is_refused_with_what_would_be_one(text, hint):
    with pytest.raises(UsageError) as caught:
        parse_fault(text)
    assert hint in caught.value.hint


@given(st.text(max_size=30))
def test_any_text_is_a_fault_or_a_usage_error(text):
    with suppress(UsageError):
        assert str(parse_fault(text)) == text.strip()


@given(
    st.sampled_from([kind.value for kind in FaultKind]), st.text("0123456789#@%x-=everysmhKB.:", max_size=12)
)
def test_any_ending_is_read_or_refused(name, ending):
    with suppress(UsageError):
        FaultPlan([parse_fault(f"{name}:{ending}")], random.Random(1)).strike(1, "60120000001")
