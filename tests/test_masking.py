"""runner.masking: what may be shown of a person."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runner.masking import mask_phone, mask_phones_in, mask_value


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
    [
        ("Ayu Lestari", "A** *******"),
        ("12,500", "1*,***"),
        ("田中", "田*"),
        ("林", "*"),
        ("7", "*"),
        ("🎉7", "🎉*"),
        ("", ""),
        ("🎉 Ayu", "🎉 ***"),
    ],
)
def test_a_value_keeps_its_shape(value, masked):
    assert mask_value(value) == masked


def test_what_stands_in_a_forgotten_persons_place_is_called_forgotten():
    assert mask_phone("-9007199254740993") == "forgotten"


@pytest.mark.parametrize(
    ("text", "masked"),
    [
        ("asked +62 812-3000-0001 at 10:04", "asked **** at 10:04"),
        ("6281230000001, (0812) 3000.0002", "****, ****"),
        ("3 of 12,500 at 2026-03-20 10:04", "3 of 12,500 at 2026-03-20 10:04"),
        ("seen in the console", "seen in the console"),
    ],
)
def test_whatever_may_be_a_phone_in_a_text_is_masked(text, masked):
    assert mask_phones_in(text) == masked
