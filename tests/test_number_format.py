"""CLDR number patterns in SQL, with Babel as the oracle."""

from __future__ import annotations

from decimal import Decimal

import duckdb
import pytest
from babel.numbers import format_decimal
from hypothesis import given, settings
from hypothesis import strategies as st

from runner.errors import TemplateError
from runner.number_format import (
    NumberSource,
    is_number_pattern,
    number_columns,
    number_symbols,
    parse_number_pattern,
)
from runner.sql_text import quote_identifier

LANGUAGES = ("id", "en", "ms", "ja", "de", "zh_Hant", "zh_TW", "hi", "fr", "pl", "ar", "th")
PATTERNS = (
    "0",
    "#,##0",
    "#,##0.00",
    "#,##0.0#",
    "#,##0.###",
    "#.##",
    "000",
    "#,#0000",
    "0,000.000",
    "#,##,##0.0",
    "0%",
    "#,##0.0%",
    "0.0#‰",
    "Rp #,##0",
    "'Rp.' #,##0",
    "#,##0 'poin #1'",
    "#,##0;(#,##0)",
    "+0.0;'minus' 0.0",
    "-#,##0",
    "{x} #,##0.0 {:}",
    "#,##0''",
)
DUCKDB = duckdb.connect(config={"threads": 1})
TEXT = NumberSource(sql='"x"', is_text=True)


def rendered(pattern, language, source, values, declared="VARCHAR"):
    """Render values of one column as the runner would."""
    steps = number_columns(parse_number_pattern(pattern), number_symbols(language), source, "shown")
    texts = [None if value is None else str(value) for value in values]
    rows = f"SELECT unnest(range(len($texts))) AS place, CAST(unnest($texts) AS {declared}) AS x"
    relation = f"({rows})"
    for name, sql in steps:
        relation = f"(SELECT *, {sql} AS {quote_identifier(name)} FROM {relation})"
    shown = DUCKDB.execute(f"SELECT shown FROM {relation} ORDER BY place", {"texts": texts}).fetchall()
    return [row[0] for row in shown]


def expected(pattern, language, values):
    return [format_decimal(value, pattern, locale=language) for value in values]


patterns_and_languages = st.tuples(st.sampled_from(PATTERNS), st.sampled_from(LANGUAGES))
#: Halves and near halves are what rounding goes wrong on.
halves = st.builds(
    lambda units, places: Decimal(units * 5).scaleb(-places), st.integers(-99999, 99999), st.integers(0, 5)
)


@settings(max_examples=40, deadline=None)
@given(
    patterns_and_languages,
    st.lists(st.integers(-(2**63), 2**63 - 1) | st.integers(-99, 99), min_size=1, max_size=30),
)
def test_whole_numbers_read_as_babel_writes_them(pattern_and_language, values):
    source = NumberSource(sql='"x"', width=18, scale=0)
    shown = rendered(*pattern_and_language, source, values, "BIGINT")
    assert shown == expected(*pattern_and_language, values)


@settings(max_examples=40, deadline=None)
@given(
    patterns_and_languages,
    st.lists(
        st.decimals(-99999999, 99999999, places=4) | halves.map(lambda value: round(value, 4)),
        min_size=1,
        max_size=30,
    ),
)
def test_decimals_read_as_babel_writes_them(pattern_and_language, values):
    values = [abs(value) if value.is_zero() else value for value in values]
    source = NumberSource(sql='"x"', width=12, scale=4)
    shown = rendered(*pattern_and_language, source, values, "DECIMAL(12,4)")
    assert shown == expected(*pattern_and_language, values)


@settings(max_examples=40, deadline=None)
@given(
    patterns_and_languages,
    st.lists(
        st.floats(-1e12, 1e12, allow_subnormal=False)
        .filter(lambda value: value == 0 or abs(value) > 1e-9)
        .map(lambda value: value or 0.0)
        | halves.map(float).map(lambda value: value or 0.0),
        min_size=1,
        max_size=30,
    ),
)
def test_numbers_in_a_text_read_as_babel_writes_them(pattern_and_language, values):
    shown = rendered(*pattern_and_language, TEXT, [repr(value) for value in values])
    assert shown == expected(*pattern_and_language, values)


@pytest.mark.parametrize(
    ("declared", "width", "scale"),
    [("HUGEINT", 39, 0), ("UBIGINT", 20, 0), ("DECIMAL(38,2)", 38, 2), ("DECIMAL(38,30)", 38, 30)],
)
@pytest.mark.parametrize("pattern", ["#,##0", "#,##0.00", "0%", "0.0#‰"])
def test_wide_columns_read_as_babel_writes_them(declared, width, scale, pattern):
    values = [Decimal(0), Decimal(7), Decimal("12345678")]
    source = NumberSource(sql='"x"', width=width, scale=scale)
    assert rendered(pattern, "id", source, values, declared) == expected(pattern, "id", values)


@pytest.mark.parametrize("pattern", ["0", "#,##0.00", "0.000000000000000", "0%", "0.0‰"])
def test_a_number_too_large_to_write_is_null_and_never_a_crash(pattern):
    source = NumberSource(sql='"x"', width=38, scale=0)
    assert rendered(pattern, "en", source, [Decimal(10**38 - 1)], "DECIMAL(38,0)") == [None]
    shown = rendered(pattern, "en", TEXT, ["9" * 15 + ".999", "-" + "9" * 18, "1e300", "1" * 400])
    assert shown[1:] == [None, None, None]


@pytest.mark.parametrize("text", ["", "abc", "1,5", "nan", "inf", "0x10", "--1", "12 34", "١٢", None])
def test_what_is_no_number_is_null(text):
    assert rendered("#,##0", "en", TEXT, [text]) == [None]


def test_a_quoted_percent_sign_is_plain_text_and_does_not_multiply():
    assert rendered("0'%'", "id", TEXT, ["30"]) == ["30%"]
    assert rendered("0%", "id", TEXT, ["0.3"]) == ["30%"]


@pytest.mark.parametrize(
    ("text", "shown"),
    [("0.125", "0.12"), ("0.135", "0.14"), ("-0.125", "-0.12"), ("2.675", "2.68"), ("6e-05", "0.00")],
)
def test_halves_go_to_the_even_neighbour(text, shown):
    assert rendered("0.00", "en", TEXT, [text]) == [shown]


@pytest.mark.parametrize(
    ("pattern", "found"),
    [
        ("abc", "`abc` is not a number pattern"),
        ("", "`` is not a number pattern"),
        ("Rp. #,##0", "`Rp. #,##0` is not a number pattern"),
        ("0#", "`0#` is not a number pattern"),
        ("0.#0", "`0.#0` is not a number pattern"),
        (",##0", "`,##0` is not a number pattern"),
        ("#,##0,", "`#,##0,` is not a number pattern"),
        ("#,,##0", "`#,,##0` is not a number pattern"),
        (",", "`,` is not a number pattern"),
        ("#,##0 'x", "`#,##0 'x` is not a number pattern"),
        ("0.0000000000000000", "`0.0000000000000000` is not a number pattern"),
        ("0;a@b", "uses significant digits or an exponent"),
        ("0.#E0", "uses significant digits or an exponent"),
        ("@@#", "uses significant digits or an exponent"),
        ("¤ #,##0", "asks for a currency sign"),
    ],
)
def test_a_pattern_that_cannot_be_used_is_told_with_what_to_write(pattern, found):
    with pytest.raises(TemplateError, match=r"(?s).*") as caught:
        parse_number_pattern(pattern)
    assert found in caught.value.message
    assert caught.value.hint


def test_a_semicolon_in_quotes_is_text():
    assert rendered("#,##0 'a;b'", "en", TEXT, ["-1"]) == ["-1 a;b"]


def test_a_currency_sign_in_quotes_is_text():
    assert rendered("'¤' 0", "en", TEXT, ["1"]) == ["¤ 1"]


def test_a_language_without_data_is_an_error_that_names_it():
    with pytest.raises(TemplateError, match="`xx_YY`"):
        number_symbols("xx_YY")
    with pytest.raises(TemplateError, match="`not a language`"):
        number_symbols("not a language")


def test_a_pattern_is_a_number_pattern_by_its_unquoted_digits():
    assert is_number_pattern("#,##0")
    assert is_number_pattern("0")
    assert not is_number_pattern("d MMMM yyyy")
    assert not is_number_pattern("d '#0' MMMM")
