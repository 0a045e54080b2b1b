"""Variables as DuckDB SQL: what a row's message says, and why a row cannot be sent."""

from __future__ import annotations

from dataclasses import replace
from pathlib import PurePosixPath

import duckdb
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from runner.campaign import (
    ButtonUse,
    Campaign,
    HeaderUse,
    RecipientColumns,
    Segment,
    TemplateUse,
    Transform,
    Variable,
)
from runner.errors import SegmentError, TemplateError
from runner.rendering import compile_message, filled_length_sql
from runner.schedule import Schedule
from runner.sql_text import quote_identifier, quote_literal
from runner.template import Button, ButtonKind, HeaderKind, Template
from runner.text_rules import ANY_TEXT_RULE, TEXT_RULES, text_problem

DUCKDB = duckdb.connect(config={"threads": 1})
X = Variable(column="x")


def template(body="Halo {{1}}", **fields):
    return Template(
        id="1", name="promo", language="id", status="APPROVED", category="MARKETING", body=body, **fields
    )


def campaign(*variables, zone=None, **use):
    return Campaign(
        name="promo_1",
        segment=Segment(source="duckdb", query="SELECT 1"),
        recipient=RecipientColumns(id="id", phone="phone", consent="consent"),
        template=TemplateUse(name="promo", language="id", **use),
        path=PurePosixPath("promo.yml"),
        document={},
        variables=variables,
        schedule=Schedule(zone=zone),
    )


def types_of(relation):
    return {row[0]: row[1] for row in DUCKDB.execute(f"DESCRIBE SELECT * FROM {relation}").fetchall()}


def render(message_campaign, message_template, relation):
    """Return one dict per row of `relation`, a query in brackets."""
    message = compile_message(message_campaign, message_template, types_of(relation))
    columns = ("body", "header", "media_url", "buttons", "bad_variable")
    selected = ", ".join(f"{getattr(message, column)} AS {column}" for column in columns)
    rows = DUCKDB.execute(f"SELECT {selected} FROM {message.over(relation)}").fetchall()
    return [dict(zip(columns, row, strict=True)) for row in rows]


def shown(variable, sql, **options):
    """Return the text of `variable` for a row whose column x is `sql`, or the reason without its label."""
    row = render(campaign(variable, **options), template(), f"(SELECT {sql} AS x)")[0]
    if row["bad_variable"] is None:
        return row["body"][0]
    assert row["bad_variable"].startswith("variable {{1}}: ")
    return row["bad_variable"].replace("variable {{1}}: ", "! ")


def text(value):
    return quote_literal(value)


# --- without a format -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("sql", "expected"),
    [
        ("'Ayu'", "Ayu"),
        ("' Ayu '", " Ayu "),
        ("'Ma''ruf 🎉 أحمد'", "Ma'ruf 🎉 أحمد"),
        ("'{{2}} {name} %s \\1'", "{{2}} {name} %s \\1"),
        ("12500", "12500"),
        ("-3::TINYINT", "-3"),
        ("170141183460469231731687303715884105727::HUGEINT", "170141183460469231731687303715884105727"),
        ("12.50::DECIMAL(10,2)", "12.50"),
        ("12::DOUBLE", "12"),
        ("-0.0::DOUBLE", "0"),
        ("0.1::DOUBLE", "0.1"),
        ("1e15::DOUBLE", "1000000000000000.0"),
        ("2.5::FLOAT", "2.5"),
        ("true", "true"),
        ("DATE '2026-03-20'", "2026-03-20"),
        ("TIMESTAMP '2026-03-20 10:00:00'", "2026-03-20 10:00:00"),
        ("TIMESTAMPTZ '2026-03-20 10:00:00+00'", "2026-03-20 17:00:00"),
        ("TIME '10:30:00'", "10:30:00"),
        ("'gold'::ENUM('gold', 'red')", "gold"),
        ("'6a1b3c00-0000-4000-8000-000000000001'::UUID", "6a1b3c00-0000-4000-8000-000000000001"),
    ],
)
def test_a_value_without_a_format_is_shown_as_it_is_written(sql, expected):
    assert shown(X, sql, zone="Asia/Jakarta") == expected


@pytest.mark.parametrize(
    "sql",
    ["NULL", "NULL::VARCHAR", "''", "'   '", "NULL::INTEGER", "NULL::DATE", "NULL::DOUBLE", "NULL::BOOLEAN"]
    + [text(chr(code) * 3) for code in (9, 10, 13, 0xA0, 0x3000, 0x2003, 0x200B, 0x2060, 0xFEFF)],
)
def test_null_and_blank_take_the_default_or_are_rejected(sql):
    assert shown(X, sql) == "! blank and no default"
    assert shown(replace(X, default="Kak", transforms=(Transform.UPPER,)), sql) == "Kak"


@pytest.mark.parametrize("sql", ["'nan'::DOUBLE", "'inf'::DOUBLE", "'-inf'::FLOAT"])
def test_nan_and_infinity_are_no_numbers_even_with_a_default(sql):
    assert shown(replace(X, default="0"), sql) == "! not a number"
    assert shown(replace(X, default="0", format="0"), sql) == "! not a number, or too large a one"


@pytest.mark.parametrize("sql", ["'infinity'::DATE", "'-infinity'::TIMESTAMP", "'infinity'::TIMESTAMPTZ"])
def test_an_infinite_date_is_no_date(sql):
    assert shown(X, sql) == "! not a date"
    assert shown(replace(X, format="long"), sql) == "! not a date"


@pytest.mark.parametrize("sql", ["[1]", "{'a': 1}", "MAP {'a': 1}", "'a'::BLOB"])
def test_a_column_that_holds_no_single_value_is_refused(sql):
    with pytest.raises(
        TemplateError, match=r"variable \{\{1\}\}: column `x` is a list, a structure or bytes"
    ):
        shown(X, sql)


# --- formats ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("sql", "pattern", "expected"),
    [
        ("1234567", "#,##0", "1.234.567"),
        ("'1234567'", "#,##0", "1.234.567"),
        ("' 12 '", "#,##0.00", "12,00"),
        ("12500.5::DECIMAL(10,2)", "Rp #,##0.00", "Rp 12.500,50"),
        ("12500.5::DOUBLE", "#,##0.##", "12.500,5"),
        ("0.125::DOUBLE", "0.0%", "12,5%"),
        ("0.3::FLOAT", "0%", "30%"),
        ("18446744073709551615::UBIGINT", "#,##0", "18.446.744.073.709.551.615"),
        ("DATE '2026-03-20'", "EEEE, d MMMM yyyy", "Jumat, 20 Maret 2026"),
        ("'2026-03-20'", "d MMMM yyyy", "20 Maret 2026"),
        ("'2026-03-20'", "long", "20 Maret 2026"),
        ("'2026-03-20 10:30'", "d MMM, HH:mm", "20 Mar, 10:30"),
        ("TIMESTAMP '2026-03-20 10:30:00'", "HH.mm", "10.30"),
        ("TIMESTAMP_NS '2026-03-20 10:30:00'", "HH.mm", "10.30"),
        ("TIME '10:30:00'", "HH.mm", "10.30"),
        ("TIMESTAMPTZ '2026-03-20 20:00:00+00'", "d MMM HH:mm", "21 Mar 03:00"),
        ("'2026-03-20T20:00:00Z'", "d MMM HH:mm", "21 Mar 03:00"),
        ("'2026-03-20 20:00:00+00:00'", "d MMM", "21 Mar"),
        ("'2026-03-20T20:00:00.123-0500'", "d MMM HH:mm", "21 Mar 08:00"),
        ("'2026-03-20 20:00:00 UTC'", "d MMM HH:mm", "21 Mar 03:00"),
    ],
)
def test_a_format_is_of_numbers_or_dates_by_the_column_and_by_the_pattern_for_a_text(sql, pattern, expected):
    assert shown(replace(X, format=pattern), sql, zone="Asia/Jakarta") == expected


@pytest.mark.parametrize(
    ("sql", "pattern", "reason"),
    [
        ("'12 poin'", "#,##0", "not a number, or too large a one"),
        ("'1e300'", "#,##0", "not a number, or too large a one"),
        ("99999999999999999999999999999999999999::DECIMAL(38,0)", "0.0", "too large a number"),
        ("'20/03/2026'", "d MMMM", "not a date"),
        ("'soon'", "long", "not a date"),
        ("'infinity'", "long", "not a date"),
        ("'2026-03-20 (BC)'", "long", "not a date"),
        ("'2026-03-20 10:00 Nowhere/Land'", "d MMMM", "not a date"),
        ("'2026-03-20'", "HH:mm", "not a date and time"),
    ],
)
def test_a_value_that_its_format_cannot_show_is_rejected_even_with_a_default(sql, pattern, reason):
    assert shown(replace(X, format=pattern, default="-"), sql) == f"! {reason}"


def test_the_locale_of_a_variable_goes_before_the_templates_language():
    assert shown(replace(X, format="#,##0.0", locale="en"), "1234.5") == "1,234.5"
    assert shown(replace(X, format="MMMM", locale="ja"), "DATE '2026-03-20'") == "3月"


@pytest.mark.parametrize(
    ("sql", "pattern", "found"),
    [
        ("1", "d MMMM", "is not a number pattern"),
        ("DATE '2026-03-20'", "#,##0", "is not a date pattern"),
        ("DATE '2026-03-20'", "HH:mm", "shows a time, and the column holds dates only"),
        ("TIME '10:30'", "d HH:mm", "shows a date, and the column holds times of day only"),
        ("true", "0", "a true or false has no `format`"),
    ],
)
def test_a_format_that_does_not_suit_its_column_is_an_error(sql, pattern, found):
    with pytest.raises(TemplateError, match=r"^variable \{\{1\}\}: ") as caught:
        shown(replace(X, format=pattern), sql)
    assert found in caught.value.message


# --- transforms -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("SITI nurhaliza", "Siti Nurhaliza"),
        ("  ayu  dewi ", "  Ayu  Dewi "),
        ("o'brien d’souza", "O'Brien D’Souza"),
        ("MA'RUF AMIN", "Ma'ruf Amin"),
        ("don't", "Don't"),
        ("jean-luc (ayu) j.k.", "Jean-Luc (Ayu) J.K."),
        ("élodie ÑANDÚ łukasz", "Élodie Ñandú Łukasz"),
        ("3rd place", "3rd Place"),
        ("e\u0301lise", "E\u0301lise"),
        ("山田 太郎", "山田 太郎"),
        ("أحمد", "أحمد"),
        ("🎉 ayu", "🎉 Ayu"),
    ],
)
def test_title_capitalises_each_word_and_nothing_else(name, expected):
    assert shown(replace(X, transforms=(Transform.TITLE,)), text(name)) == expected


def test_trim_makes_one_space_of_any_whitespace_and_takes_it_off_the_ends():
    trim = replace(X, transforms=(Transform.TRIM,))
    assert shown(trim, text("\t Ayu \n\u3000 Dewi\xa0Sari\u2028 ")) == "Ayu Dewi Sari"
    assert shown(trim, text("Ayu Dewi")) == "Ayu Dewi"
    assert shown(trim, text("Ayu\x00")) == "! contains a control character"


def test_transforms_apply_in_order_and_after_the_format():
    assert shown(replace(X, transforms=(Transform.TRIM, Transform.UPPER)), "' ayu '") == "AYU"
    assert shown(replace(X, transforms=(Transform.UPPER, Transform.LOWER)), "'Ayu'") == "ayu"
    assert shown(replace(X, transforms=(Transform.TITLE, Transform.TITLE)), "'aYU'") == "Ayu"
    assert shown(replace(X, default="Kak", transforms=(Transform.TRIM, Transform.TITLE)), "' aYU'") == "Ayu"
    assert shown(replace(X, format="MMMM", transforms=(Transform.UPPER,)), "DATE '2026-03-20'") == "MARET"


# --- checks -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        ("a\nb", "contains a line break or a tab"),
        ("a\rb", "contains a line break or a tab"),
        ("a\tb", "contains a line break or a tab"),
        ("a\vb", "contains a line break or a tab"),
        ("a\fb", "contains a line break or a tab"),
        ("a\x85b", "contains a line break or a tab"),
        ("a\u2028b", "contains a line break or a tab"),
        ("a\u2029b", "contains a line break or a tab"),
        ("a\x00b", "contains a control character"),
        ("a\x1bb", "contains a control character"),
        ("a\x7fb", "contains a control character"),
        ("a\x9fb", "contains a control character"),
        ("a\u202eb", "contains a control character"),
        ("a\u2066b", "contains a control character"),
        ("a     b", "contains more than 4 spaces in a row"),
    ],
)
def test_what_whatsapp_refuses_in_a_value_is_rejected_with_its_reason(value, reason):
    assert shown(X, text(value)) == f"! {reason}"
    assert text_problem(value) == reason


def test_four_spaces_and_marks_of_right_to_left_scripts_are_allowed():
    assert shown(X, text("a    b")) == "a    b"
    assert shown(X, text("\u200fأحمد\u200e")) == "\u200fأحمد\u200e"


def test_max_length_counts_characters_and_not_bytes():
    limited = replace(X, max_length=3)
    assert shown(limited, text("日本🎉")) == "日本🎉"
    assert shown(limited, text("abcd")) == "! longer than 3 characters"
    assert shown(limited, "1234") == "! longer than 3 characters"


def test_a_long_name_is_rejected_by_the_filled_body():
    row = render(campaign(X, X), template("{{1}} and {{2}} and {{2}}"), f"(SELECT {text('x' * 339)} AS x)")[0]
    assert row["bad_variable"] == "body: longer than 1024 characters when filled"
    row = render(campaign(X, X), template("{{1}} and {{2}} and {{2}}"), f"(SELECT {text('x' * 338)} AS x)")[0]
    assert row["bad_variable"] is None


def test_the_first_thing_wrong_is_told_in_the_order_of_the_message():
    row = render(
        campaign(X, Variable(column="y"), header=HeaderUse(variables=(Variable(column="z"),))),
        template("{{1}} {{2}}", header_kind=HeaderKind.TEXT, header="{{1}}"),
        "(SELECT * FROM (VALUES ('a', '', 'a'), ('', '', chr(10)), ('a', 'b', 'c')) AS v(x, y, z))",
    )
    assert [each["bad_variable"] for each in row] == [
        "variable {{2}}: blank and no default",
        "header {{1}}: blank and no default",
        None,
    ]


@settings(max_examples=60, deadline=None)
@given(st.lists(st.text(st.characters(exclude_categories=["Cs"])), min_size=1, max_size=40))
def test_python_and_duckdb_judge_a_text_alike(values):
    """A fixed text is judged by Python, a row's by DuckDB: one rule, two engines."""
    free = ", ".join(f"({place}, {text(value)})" for place, value in enumerate(values))
    message = compile_message(campaign(X), template(), {"x": "VARCHAR"})
    relation = f"(SELECT place, x FROM (VALUES {free}) AS v(place, x))"
    rows = DUCKDB.execute(
        f"SELECT {message.bad_variable} FROM {message.over(relation)} ORDER BY place"
    ).fetchall()
    reasons = [row[0] and row[0].removeprefix("variable {{1}}: ") for row in rows]
    told = [text_problem(value) for value in values]
    assert reasons == ["blank and no default" if problem == "blank" else problem for problem in told]


def test_the_fast_check_finds_what_the_rules_find():
    codes = [*range(0x300), *range(0x2000, 0x2070), 0x1680, 0x3000, 0xFEFF]
    values = [f"a{chr(code) * 5}b" for code in codes]
    listed = ", ".join(text(value) for value in values)
    sql = f"SELECT regexp_matches(x, {text(ANY_TEXT_RULE)}) FROM (SELECT unnest([{listed}]) AS x)"
    found = [row[0] for row in DUCKDB.execute(sql).fetchall()]
    assert found == [any(rule.breaks(value) for rule in TEXT_RULES) for value in values]


# --- fixed texts and defaults -----------------------------------------------------------------------


def test_a_fixed_text_stands_in_every_message():
    rows = render(campaign(Variable(text="LEBARAN25")), template(), "(SELECT unnest([1, 2]) AS x)")
    assert [row["body"] for row in rows] == [["LEBARAN25"]] * 2
    assert [row["bad_variable"] for row in rows] == [None, None]


@pytest.mark.parametrize(
    ("variable", "found"),
    [
        (Variable(text="a\nb"), "the fixed text cannot be sent: contains a line break or a tab"),
        (Variable(text="  "), "the fixed text cannot be sent: blank"),
        (Variable(text="abcd", max_length=3), "the fixed text cannot be sent: longer than 3 characters"),
        (Variable(text="a", transforms=(Transform.UPPER,)), "a fixed text takes no `format`"),
        (Variable(text="a", default="b"), "a fixed text takes no `format`"),
        (Variable(column="x", default="a     b"), "the default cannot be sent: contains more than 4 spaces"),
    ],
)
def test_a_fixed_text_or_default_that_breaks_a_rule_is_an_error_before_any_row(variable, found):
    with pytest.raises(TemplateError, match=r"^variable \{\{1\}\}: ") as caught:
        compile_message(campaign(variable), template(), {"x": "VARCHAR"})
    assert found in caught.value.message


def test_everything_that_cannot_be_used_is_told_at_once():
    variables = (replace(X, format="0.#E0"), X, Variable(text=" "))
    with pytest.raises(TemplateError) as caught:
        compile_message(campaign(*variables), template("{{1}} {{2}} {{3}}"), {"x": "BIGINT"})
    first, second = caught.value.message.splitlines()
    assert first.startswith("variable {{1}}: the number pattern `0.#E0`")
    assert "(use `#`" in first
    assert second == "variable {{3}}: the fixed text cannot be sent: blank"


# --- columns ----------------------------------------------------------------------------------------


def test_a_missing_column_is_told_with_the_nearest_one():
    with pytest.raises(
        SegmentError, match=r"variable \{\{1\}\}: .* returns no column `frist_name`"
    ) as caught:
        compile_message(campaign(Variable(column="frist_name")), template(), {"first_name": "VARCHAR"})
    assert caught.value.hint == "did you mean `first_name`?"
    with pytest.raises(SegmentError) as caught:
        compile_message(campaign(Variable(column="zzz")), template(), {"first_name": "VARCHAR", "y": "DATE"})
    assert caught.value.hint == "it returns first_name, y"


def test_column_names_match_whatever_their_case_and_signs():
    row = render(
        campaign(Variable(column='FIRST "name"')), template(), '(SELECT \'Ayu\' AS "First ""name""")'
    )
    assert row[0]["body"] == ["Ayu"]


def test_a_row_column_with_a_name_of_ours_is_refused():
    with pytest.raises(SegmentError, match="`__BODY_1`"):
        compile_message(campaign(X), template(), {"x": "VARCHAR", "__BODY_1": "VARCHAR"})


# --- header, media, buttons -------------------------------------------------------------------------

LINK = Button(kind=ButtonKind.URL, text="Belanja", url="https://shop.example/{{1}}")
STOP = Button(kind=ButtonKind.QUICK_REPLY, text="Stop")


def test_a_message_without_anything_to_fill_is_good_and_empty():
    row = render(campaign(), template("Halo"), "(SELECT 1 AS x)")[0]
    assert row == {"body": [], "header": [], "media_url": None, "buttons": [], "bad_variable": None}


def test_every_button_of_the_template_has_an_entry_and_null_where_nothing_is_filled():
    given = (ButtonUse(index=1, url=X), ButtonUse(index=2, payload=Variable(text="STOP")))
    row = render(
        campaign(buttons=given), template("Halo", buttons=(STOP, LINK, STOP)), "(SELECT 'a/b' AS x)"
    )[0]
    assert row["buttons"] == [None, "a/b", "STOP"]
    assert row["bad_variable"] is None


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        ("a b", "contains a space"),
        ("a\xa0b", "contains a space"),
        ("a\nb", "contains a line break or a tab"),
        ("x" * 1980, "longer than 2000 characters when filled"),
        ("", "blank and no default"),
    ],
)
def test_a_link_ending_that_breaks_the_link_is_rejected(value, reason):
    given = (ButtonUse(index=0, url=X),)
    row = render(campaign(buttons=given), template("Halo", buttons=(LINK,)), f"(SELECT {text(value)} AS x)")[
        0
    ]
    assert row["bad_variable"] == f"button 0 url: {reason}"


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        ("https://cdn.example/a.jpg", None),
        ("HTTPS://cdn.example/a.jpg?x=1", None),
        ("http://cdn.example/a.jpg", "not an https:// URL"),
        ("https:///a.jpg", "not an https:// URL"),
        ("see https://cdn.example/a.jpg", "contains a space"),
        ("https://cdn.example/" + "x" * 1981, "longer than 2000 characters when filled"),
    ],
)
def test_a_media_header_takes_an_https_url_only(value, reason):
    media = template("Halo", header_kind=HeaderKind.IMAGE)
    row = render(campaign(header=HeaderUse(media=X)), media, f"(SELECT {text(value)} AS x)")[0]
    assert row["media_url"] == value
    assert row["bad_variable"] == (reason and f"header media: {reason}")


def test_a_fixed_media_url_is_checked_before_any_row():
    media = template("Halo", header_kind=HeaderKind.IMAGE)
    good = campaign(header=HeaderUse(media=Variable(text="https://cdn.example/a.jpg")))
    assert render(good, media, "(SELECT 1 AS x)")[0]["media_url"] == "https://cdn.example/a.jpg"
    with pytest.raises(
        TemplateError, match="header media: the fixed text cannot be sent: not an https:// URL"
    ):
        compile_message(campaign(header=HeaderUse(media=Variable(text="ftp://a/b"))), media, {})


def test_a_text_header_is_filled_and_has_its_own_limit():
    header = campaign(header=HeaderUse(variables=(X,)))
    titled = template("Halo", header_kind=HeaderKind.TEXT, header="Hai {{1}}!")
    rows = render(header, titled, f"(SELECT unnest(['Ayu', {text('x' * 55)}, {text('x' * 56)}]) AS x)")
    assert [row["header"][0][:3] for row in rows] == ["Ayu", "xxx", "xxx"]
    told = [row["bad_variable"] for row in rows]
    assert told == [None, None, "header: longer than 60 characters when filled"]


def test_values_from_the_row_are_personal_and_fixed_texts_are_not():
    message = compile_message(
        campaign(X, Variable(text="LEBARAN25"), header=HeaderUse(variables=(X,))),
        template("{{1}} {{2}}", header_kind=HeaderKind.TEXT, header="{{1}}"),
        {"x": "VARCHAR"},
    )
    assert message.personal_body == (True, False)
    assert message.personal_header == (True,)


# --- SQL --------------------------------------------------------------------------------------------


def test_the_filled_length_counts_each_use_of_a_value():
    sql = filled_length_sql("{{2}} und {{1}}{{2}}", ["'abc'", "'日本'"])
    assert DUCKDB.execute(f"SELECT {sql}").fetchone() == (len("日本 und abc日本"),)


@given(st.text(st.characters(exclude_categories=["Cs"])))
@settings(max_examples=100, deadline=None)
def test_a_quoted_literal_is_read_back_as_it_was(value):
    assert DUCKDB.execute(f"SELECT {quote_literal(value)}").fetchone() == (value,)


@pytest.mark.parametrize("name", ["x", 'a "b" c', "日本", "sel;ect--"])
def test_a_quoted_identifier_names_exactly_that_column(name):
    cursor = DUCKDB.execute(f"SELECT 1 AS {quote_identifier(name)}")
    assert [column[0] for column in cursor.description] == [name]
