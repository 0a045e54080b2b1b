"""runner.control_group: a draw that is the same everywhere, for ever, in Python and as SQL."""

from dataclasses import replace

import duckdb
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from runner.campaign import Holdout
from runner.control_group import PARTS, held_out_sql, is_held_out, place
from tests.conftest import mobiles

CONNECTION = duckdb.connect(config={"threads": 1})
TENTH = Holdout(parts=100_000, group="promo")


def drawn_by_sql(holdout, phones):
    sql = f"SELECT {held_out_sql(holdout, 'phone')} FROM (SELECT unnest($phones) AS phone)"
    found = CONNECTION.execute(sql, {"phones": [int(phone) for phone in phones]}).fetchall()
    return [held_out for (held_out,) in found]


def test_where_a_phone_stands_is_the_same_for_ever():
    places = [place("promo", phone) for phone in ("6281230000000", "6281230000001", "819012345678")]
    assert places == [382757, 470068, 668093]


@settings(max_examples=15, deadline=None)
@given(
    group=st.from_regex(r"[a-z0-9_]{1,64}", fullmatch=True),
    parts=st.integers(1, PARTS - 1),
    phones=st.lists(st.integers(10**6, 10**15 - 1).map(str), min_size=1, max_size=40),
)
def test_sql_draws_whom_python_draws(group, parts, phones):
    holdout = Holdout(parts=parts, group=group)
    assert drawn_by_sql(holdout, phones) == [is_held_out(holdout, phone) for phone in phones]


def test_a_share_of_the_people_is_held_out_and_a_larger_one_keeps_them():
    phones = mobiles(20_000)
    tenth = {phone for phone in phones if is_held_out(TENTH, phone)}
    fifth = {phone for phone in phones if is_held_out(replace(TENTH, parts=200_000), phone)}
    assert len(tenth) == pytest.approx(2_000, abs=200)
    assert tenth < fifth


def test_two_groups_are_drawn_apart():
    phones = mobiles(20_000)
    one = {phone for phone in phones if is_held_out(TENTH, phone)}
    two = {phone for phone in phones if is_held_out(replace(TENTH, group="other"), phone)}
    assert len(one & two) == pytest.approx(200, abs=80)


def test_a_share_is_shown_as_it_was_written():
    assert [str(replace(TENTH, parts=parts)) for parts in (100_000, 25_000, 1, 999_999)] == [
        "10%",
        "2.5%",
        "0.0001%",
        "99.9999%",
    ]
