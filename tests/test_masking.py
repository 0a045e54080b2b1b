"""runner.masking: what may be shown of a person."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runner.masking import mask_phone, mask_value


@pytest.mark.parametrize(
    ("phone", "masked"),
    [
        ("819012345678", "8190****5678"),
        ("6281234567890", "6281****7890"),
        ("6591234567", "6591****67"),
        ("12345678", "12****78"),
        ("1234567", "12****7"),
        ("123", "12****"),
    ],
)
def test_a_phone_shows_its_ends(phone, masked):
    assert mask_phone(phone) == masked


@given(st.text("0123456789", min_size=8, max_size=15))
def test_at_least_four_digits_of_a_phone_stay_hidden(phone):
    shown = mask_phone(phone).replace("*", "")
    assert len(phone) - len(shown) >= 4
    assert "****" in mask_phone(phone)


@pytest.mark.parametrize(
    ("value", "masked"),
    [("Ayu Lestari", "A** *******"), ("12,500", "1*,***"), ("田中", "田*"), ("", ""), ("🎉 Ayu", "🎉 ***")],
)
def test_a_value_keeps_its_shape(value, masked):
    assert mask_value(value) == masked
