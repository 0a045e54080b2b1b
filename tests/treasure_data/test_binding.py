"""runner.treasure_data.binding: parameters become literals, and no value changes what the query is."""

from datetime import date, datetime, timezone
from decimal import Decimal

import pytest
import sqlglot
from hypothesis import given
from hypothesis import strategies as st
from sqlglot import exp

from runner.errors import SegmentError
from runner.treasure_data.binding import bind, literal

DIALECTS = pytest.mark.parametrize("dialect", ["trino", "hive"])
TEXTS = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=30)


@DIALECTS
@pytest.mark.parametrize(
    ("value", "written"),
    [
        (100, "100"),
        (-5, "(-5)"),
        (True, "TRUE"),
        (False, "FALSE"),
        (Decimal("1.50"), "CAST('1.50' AS DECIMAL(3, 2))"),
        (Decimal("-0.05"), "CAST('-0.05' AS DECIMAL(3, 2))"),
        (Decimal("1E+3"), "CAST('1000' AS DECIMAL(4, 0))"),
        (1.5, "CAST('1.5' AS DOUBLE)"),
        (date(2026, 11, 24), "DATE '2026-11-24'"),
        (datetime(2026, 11, 24, 9, 30), "TIMESTAMP '2026-11-24 09:30:00'"),
        (datetime(2026, 11, 24, 9, tzinfo=timezone.utc), "TIMESTAMP '2026-11-24 09:00:00'"),
        (("SG", "ID"), "('SG', 'ID')"),
        ((1,), "(1)"),
    ],
)
def test_each_type_has_its_literal(dialect, value, written):
    assert literal(value, dialect) == written


def test_a_quote_and_a_backslash_are_written_as_the_dialect_reads_them():
    assert literal(r"it's \ me", "trino") == r"'it''s \ me'"
    assert literal(r"it's \ me", "hive") == r"'it\'s \\ me'"


@DIALECTS
@given(text=TEXTS)
def test_a_text_is_read_back_as_it_was_given_and_as_nothing_else(dialect, text):
    tree = sqlglot.parse_one(f"SELECT {literal(text, dialect)} AS x", dialect=dialect)
    (value,) = tree.expressions[0].find_all(exp.Literal)
    assert value.is_string
    assert value.this == text


@DIALECTS
@given(text=TEXTS, number=st.integers())
def test_no_value_changes_the_shape_of_the_query(dialect, text, number):
    query = "SELECT a -:n AS b FROM t WHERE c = :text AND d IN :list -- :text\nORDER BY 1"
    bound = bind(query, {"n": number, "text": text, "list": (text, text)}, dialect)
    plain = bind(query, {"n": number, "text": "x", "list": ("x", "x")}, dialect)

    def shape(sql):
        tree = sqlglot.parse_one(sql, dialect=dialect)
        for found in tree.find_all(exp.Literal):
            if found.is_string:
                found.set("this", "x")
        return tree

    assert shape(bound) == shape(plain)


@DIALECTS
def test_only_a_colon_with_a_name_that_stands_alone_is_a_parameter(dialect):
    query = "SELECT ':x', \"a:x\", `b:x`, c::int /* :x */ FROM t WHERE d = :x -- :x"
    if dialect == "trino":
        query = query.replace("`b:x`", "b")
    bound = bind(query, {"x": 1}, dialect)
    assert bound == query.replace("d = :x", "d = 1")


def test_the_colon_of_a_struct_is_none():
    query = "SELECT CAST(a AS struct<b:int>) FROM t WHERE c = :b"
    assert bind(query, {"b": 1}, "hive").endswith("struct<b:int>) FROM t WHERE c = 1")


@pytest.mark.parametrize(
    "attack", ["x' OR 1=1 --", "'; DROP TABLE t; --", "\\' OR 1=1 --", "*/ x /*", "\n--"]
)
@DIALECTS
def test_an_attack_is_a_text(dialect, attack):
    bound = bind("SELECT * FROM t WHERE a = :a", {"a": attack}, dialect)
    (tree,) = sqlglot.parse(bound, dialect=dialect)
    assert tree.args["where"].this.expression.this == attack


def test_a_parameter_without_a_value_is_named_with_the_nearest():
    with pytest.raises(SegmentError, match="no parameter `leest`") as caught:
        bind("SELECT :leest", {"least": 1}, "trino")
    assert caught.value.hint == "did you mean `least`?"
    with pytest.raises(SegmentError, match="no parameter `x`") as caught:
        bind("SELECT :x", {}, "trino")
    assert "params" in caught.value.hint


def test_a_value_that_nothing_asks_for_is_an_error():
    with pytest.raises(SegmentError, match="does not use the parameter `x`"):
        bind("SELECT 1", {"x": 1}, "trino")


def test_what_has_no_literal_is_refused():
    with pytest.raises(SegmentError, match="NUL character"):
        literal("a\0b", "trino")
    with pytest.raises(SegmentError, match="an empty list"):
        literal((), "trino")


def test_a_query_that_cannot_be_cut_is_an_error_of_one_line():
    with pytest.raises(SegmentError, match="cannot be read as SQL"):
        bind("SELECT 'open", {}, "trino")


def test_a_bound_query_of_other_tokens_is_refused(monkeypatch):
    monkeypatch.setattr("runner.treasure_data.binding.literal", lambda value, dialect: "1")
    monkeypatch.setattr(
        "runner.treasure_data.binding._words", lambda tokens, seen=[]: seen.append(1) or len(seen)
    )
    with pytest.raises(SegmentError, match="would change the query"):
        bind("SELECT 1", {}, "trino")
