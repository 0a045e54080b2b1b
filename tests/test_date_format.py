"""CLDR date patterns in SQL, with Babel as the oracle."""

from __future__ import annotations

from datetime import date, datetime

import duckdb
import pytest
from babel.dates import format_date, format_datetime
from hypothesis import given, settings
from hypothesis import strategies as st

from runner.date_format import STYLES, date_sql, parse_date_pattern
from runner.errors import TemplateError

DUCKDB = duckdb.connect(config={"threads": 1})
LANGUAGES = ("id", "en", "en_GB", "ms", "ja", "de", "zh_Hant", "zh_TW", "th", "ko", "ar", "fil", "vi", "fi")
DATE_PATTERNS = (
    *STYLES,
    "d MMMM yyyy",
    "EEEE, d MMM",
    "dd/MM/yyyy",
    "d.M.yy",
    "y年M月d日(E)",
    "EEEEE EEEEEE ccc cccc LLL LLLL MMMMM",
    "Q QQ QQQ QQQQ q qqq",
    "G y GGGG GGGGG",
    "d 'de' MMMM 'de' y",
    "''yy 'o''clock' d",
    "yyyyy u",
)
TIME_PATTERNS = (
    "dd/MM/yyyy HH:mm",
    "h:mm a",
    "hh.mm.ss aaaa",
    "K:mm aaaaa",
    "k 'jam' m 'menit' s 'detik'",
    "kk:mm",
    "EEEE d MMMM yyyy 'pukul' H.mm",
)


def rendered(pattern, language, values, declared):
    """Render values of one column as the runner would."""
    sql = date_sql(parse_date_pattern(pattern, language), language, '"x"')
    rows = f"SELECT unnest(range(len($texts))) AS place, CAST(unnest($texts) AS {declared}) AS x"
    texts = [value.isoformat() for value in values]
    shown = DUCKDB.execute(f"SELECT {sql} FROM ({rows}) ORDER BY place", {"texts": texts}).fetchall()
    return [row[0] for row in shown]


@settings(max_examples=50, deadline=None)
@given(
    st.sampled_from(DATE_PATTERNS),
    st.sampled_from(LANGUAGES),
    st.lists(st.dates() | st.dates(date(2000, 1, 1), date(2040, 1, 1)), min_size=1, max_size=20),
)
def test_dates_read_as_babel_writes_them(pattern, language, values):
    shown = rendered(pattern, language, values, "DATE")
    assert shown == [format_date(value, pattern, locale=language) for value in values]


@settings(max_examples=50, deadline=None)
@given(
    st.sampled_from(TIME_PATTERNS),
    st.sampled_from(LANGUAGES),
    st.lists(st.datetimes(), min_size=1, max_size=20),
)
def test_moments_read_as_babel_writes_them(pattern, language, values):
    shown = rendered(pattern, language, values, "TIMESTAMP")
    assert shown == [format_datetime(value, pattern, locale=language) for value in values]


@pytest.mark.parametrize("pattern", [*DATE_PATTERNS, *TIME_PATTERNS])
def test_every_field_reads_as_babel_writes_it(pattern):
    moment = datetime.fromisoformat("2026-03-05 00:07:09")
    assert rendered(pattern, "th", [moment], "TIMESTAMP") == [_babel(moment, pattern)]


def _babel(moment, pattern):
    shows_date = pattern in DATE_PATTERNS
    return (format_date if shows_date else format_datetime)(moment, pattern, locale="th")


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("style", STYLES)
def test_the_styles_of_every_language_show_the_date_and_no_time(style, language):
    assert not parse_date_pattern(style, language).has_time
    assert parse_date_pattern(style, language).has_date


@pytest.mark.parametrize(
    ("pattern", "found", "hint"),
    [
        ("YYYY-MM-dd", "has `YYYY`", "write `yyyy`"),
        ("DD/MM/yyyy", "has `DD`", "write `d` or `dd`"),
        ("d de MMMM", "has `e`", "put words in quotes"),
        ("d MMMM yyyy pukul", "has `p`", "put words in quotes"),
        ("HH:mm z", "has `z`", "zone's name in quotes"),
        ("h:mm B", "has `B`", "AM and PM"),
        ("ddd", "has `ddd`", "quotes"),
        ("c", "has `c`", "quotes"),
        ("dd/mm/yyyy", "has minutes and no hour", "months are `MM`"),
        ("HH:MM", "has a month after the hour", "minutes are `mm`"),
        ("d 'open", "has a quote that is not closed", "write ''"),
        ("' '", "is not a date pattern", "d MMMM yyyy"),
        ("--", "is not a date pattern", "d MMMM yyyy"),
    ],
)
def test_a_pattern_that_is_nearly_always_a_slip_is_refused_with_what_to_write(pattern, found, hint):
    with pytest.raises(TemplateError) as caught:
        parse_date_pattern(pattern, "en")
    assert found in caught.value.message
    assert hint in (caught.value.hint or "")


def test_a_language_without_data_is_an_error_that_names_it():
    with pytest.raises(TemplateError, match="`xx`"):
        parse_date_pattern("long", "xx")
