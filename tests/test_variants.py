"""runner.variants: who gets which follows from campaign, phone, names and weights, and from nothing else."""

from __future__ import annotations

import hashlib
import random
from collections import Counter
from itertools import accumulate

import duckdb
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from runner.campaign import TemplateUse, Variant
from runner.variants import POINTS, choice_sql, point_sql

DUCKDB = duckdb.connect(config={"threads": 1})
MANY = 100_000

weights = st.integers(1, 10_000)
variants_of = st.dictionaries(
    st.from_regex(r"[a-z0-9_]{1,64}", fullmatch=True), weights, min_size=1, max_size=20
)


def variants(weights):
    return [
        Variant(name=name, weight=weight, template=TemplateUse(name="t", language="id"))
        for name, weight in weights.items()
    ]


def by_sql(weights, phones, campaign="promo"):
    """Return phone -> variant, as DuckDB has it."""
    listed = ", ".join(map(str, phones))
    point = point_sql(campaign, "phone")
    choice = choice_sql(variants(weights), point)
    found = DUCKDB.execute(f"SELECT phone, {choice} FROM (SELECT unnest([{listed}]::BIGINT[]) AS phone)")
    return {str(phone): variant for phone, variant in found.fetchall()}


def of_many(weights, campaign="promo", first=628120000000):
    """Return phone -> variant of 100,000 phones in a row."""
    people = f"(SELECT {first} + range AS phone FROM range({MANY}))"
    choice = choice_sql(variants(weights), point_sql(campaign, "phone"))
    return dict(DUCKDB.execute(f"SELECT phone, {choice} FROM {people}").fetchall())


def by_hand(weights, phone, campaign="promo"):
    """Say which variant a phone gets, in the words of docs/concepts.md."""
    digest = hashlib.sha256(f"variant\n{campaign}\n{phone}".encode()).hexdigest()
    point, total = int(digest[:10], 16), sum(weights.values())
    names = sorted(weights)
    for name, end in zip(names, accumulate(weights[name] for name in names), strict=True):
        if point * total < end * POINTS:
            return name
    raise AssertionError(point)


@settings(max_examples=40)
@given(variants_of, st.lists(st.integers(1_000_000, 10**15 - 1), min_size=1, max_size=20), st.data())
def test_duckdb_computes_what_python_computes_in_whole_numbers(weights, phones, data):
    campaign = data.draw(st.from_regex(r"[a-z0-9_]{1,64}", fullmatch=True))
    expected = {str(phone): by_hand(weights, str(phone), campaign) for phone in phones}
    assert by_sql(weights, phones, campaign) == expected


def test_the_greatest_point_and_the_greatest_weights_are_exact():
    most = {f"v{number:02}": 10_000 for number in range(20)}
    choice = choice_sql(variants(most), "point")
    points = [0, POINTS // 20 - 1, POINTS // 20 + 1, POINTS - 1]
    found = DUCKDB.execute(f"SELECT {choice} FROM (SELECT unnest({points}) AS point)").fetchall()
    assert [name for (name,) in found] == ["v00", "v00", "v01", "v19"]


@pytest.mark.parametrize(
    "weights", [{"a": 1, "b": 1}, {"a": 90, "b": 10}, {"a": 1, "b": 2, "c": 3}, {"a": 7}]
)
@pytest.mark.parametrize("campaign", ["promo", "payday_2026"])
def test_each_gets_its_share_of_100000_people_within_one_percent_of_them(weights, campaign):
    shares = Counter(of_many(weights, campaign).values())
    for name, weight in weights.items():
        assert abs(shares[name] / MANY - weight / sum(weights.values())) < 0.01


@settings(max_examples=20)
@given(variants_of, st.lists(st.integers(1_000_000, 10**15 - 1), min_size=2, max_size=50, unique=True))
def test_nobody_changes_when_people_come_and_go_or_rows_stand_in_another_order(weights, phones):
    whole = by_sql(weights, phones)
    shuffled = random.Random(len(phones)).sample(phones, k=len(phones))
    assert by_sql(weights, shuffled) == whole
    some = phones[: len(phones) // 2]
    assert by_sql(weights, some).items() <= whole.items()


def test_the_order_of_the_variants_in_the_file_changes_nobody():
    weights = {"warm": 3, "plain": 1, "long": 2}
    assert of_many(weights) == of_many(dict(reversed(weights.items())))


def test_weights_of_the_same_proportion_change_nobody():
    assert of_many({"a": 1, "b": 1}) == of_many({"a": 50, "b": 50})


def test_a_weight_that_grows_takes_people_in_and_sends_nobody_away():
    before, after = of_many({"a": 50, "b": 50}), of_many({"a": 60, "b": 40})
    moved = [phone for phone in before if before[phone] != after[phone]]
    assert {(before[phone], after[phone]) for phone in moved} == {("b", "a")}
    assert abs(len(moved) / MANY - 0.1) < 0.01


def test_campaigns_divide_people_each_in_its_own_way():
    one, other = of_many({"a": 1, "b": 1}, "one"), of_many({"a": 1, "b": 1}, "other")
    both = sum(one[phone] == other[phone] for phone in one)
    assert abs(both / MANY - 0.5) < 0.01


def test_who_has_no_phone_has_no_variant():
    choice = choice_sql(variants({"a": 1, "b": 1}), point_sql("promo", "CAST(NULL AS BIGINT)"))
    assert DUCKDB.execute(f"SELECT {choice}").fetchone() == (None,)
