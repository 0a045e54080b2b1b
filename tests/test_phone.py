"""A cell of a phone column is read by the one rule, whatever its type and writing."""

from __future__ import annotations

import random
from decimal import Decimal

import duckdb
import phonenumbers
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from phonenumbers import PhoneNumberType

from runner.campaign import PhoneStyle
from runner.errors import UsageError
from runner.phone import PhoneReading, heads_sql, read_phone, reading_sql, readings_sql

MISSING, INVALID, AMBIGUOUS, NOT_MOBILE = "missing_phone", "invalid_phone", "ambiguous_phone", "not_mobile"
MOBILES = {PhoneNumberType.MOBILE, PhoneNumberType.FIXED_LINE_OR_MOBILE}


@pytest.fixture(scope="module")
def database():
    with duckdb.connect(config={"threads": 2}) as connection:
        yield connection


def readings(database, values, column_type="VARCHAR", region=None, style=None):
    """Read a column; each value with its phone or reason."""
    database.execute(f"CREATE OR REPLACE TABLE cells (place INTEGER, cell {column_type})")
    pairs = {"places": list(range(len(values))), "values": list(values)}
    database.execute("INSERT INTO cells SELECT unnest($places), unnest($values)", pairs)
    how = {"column": "cell", "column_type": column_type, "region": region, "style": style}
    heads = [head for (head,) in database.execute(heads_sql("cells", **how)).fetchall() if head is not None]
    rows = database.execute(f"{reading_sql('cells', **how, heads=heads)} ORDER BY place").fetchall()
    assert all((phone is None) != (reason is None) for _, _, phone, reason, *_ in rows)
    return [reason or str(phone) for _, _, phone, reason, *_ in rows]


def of_texts(database, texts, **how):
    return dict(zip(texts, readings(database, texts, **how), strict=True))


def phone(text, region=None, style=None):
    reading = read_phone(text, region=region, style=style)
    return reading.reason or reading.phone


WRITINGS = [
    "+62 812-3456-7890",
    "6281234567890",
    "006281234567890",
    "00 62 812 3456 7890",
    "+62.812.3456.7890",
    "(+62) 812 3456 7890",
    "+62 (812) 3456-7890",
    "[62] 812 3456 7890",
    "+62 (0)812 3456 7890",
    "+62 0812 3456 7890",
    "++62 812 3456 7890",
    "+62812/34567890",
    "'+6281234567890",
    "’6281234567890",
    "  +6281234567890\r\n",
    "+62\u00a0812\u00a03456\u00a07890",
    "+62\u3000812\u20093456\u202f7890",
    "\u202a+62 812‑3456‑7890\u202c",
    "\ufeff+62812\u200b34567890\u200e",
    "+62–812—3456−7890",
    "＋６２　８１２－３４５６－７８９０",
    "＋６２（８１２）３４５６．７８９０",
    "+٦٢٨١٢٣٤٥٦٧٨٩٠",
    "+۶۲۸۱۲۳۴۵۶۷۸۹۰",
    "+६२ ८१२ ३४५६ ७८९०",
    "6281234567890.0",
    "+6281234567890.00",
    "6281234567890.000000",
    "６２８１２３４５６７８９０．０",
]


def test_a_number_is_read_in_any_common_writing(database):
    assert of_texts(database, WRITINGS) == dict.fromkeys(WRITINGS, "6281234567890")


NATIONAL_WRITINGS = [
    "0812-3456-7890",
    "0812 3456 7890",
    "(0812) 34567890",
    "0812/34567890",
    "812 3456 7890",
    "'081234567890",
    "62 812 3456 7890",
    "+62 812 3456 7890",
    "0062 812 3456 7890",
    "081234567890.0",
]


def test_with_a_region_national_writings_are_read_too(database):
    found = of_texts(database, NATIONAL_WRITINGS, region="ID")
    assert found == dict.fromkeys(NATIONAL_WRITINGS, "6281234567890")


NO_PHONES = [
    "+62812x34567890",
    "+62 812 3456 7890 ext. 5",
    "+62 812 3456 7890;ext=5",
    "1-800-FLOWERS",
    "tel:+6281234567890",
    "6.28123E+12",
    "6,281,234,567,890",
    "+6281234567890, +6281234567891",
    "+6281234567890\n+6281234567891",
    "+6281234567890/+6281234567891",
    "6281234567890/91",
    "6281234567890/6281234567891",
    "62812/3456/7890",
    "6281234567890.5",
    "628123456789.125",
    "-6281234567890",
    "−6281234567890",
    "+62812345678901234",
    "+999 123 456 789",
    "62812345678９0１２３４",
    "081234567890",
    "0",
    "+",
    "00",
    "-",
    "'",
    "nan",
    "NULL",
    "６２八",
    "📱6281234567890",
    "6281234567890" + " " * 250,
    "1" * 5_000,
    "\u0663" * 5_000,
]


def test_a_text_that_is_not_one_whole_number_is_invalid(database):
    assert of_texts(database, NO_PHONES) == dict.fromkeys(NO_PHONES, INVALID)


NOTHING = [None, "", "   ", "\t\r\n", "\u3000\u00a0", "\u200e\ufeff"]


def test_nothing_in_a_cell_is_a_missing_phone(database):
    assert of_texts(database, NOTHING) == dict.fromkeys(NOTHING, MISSING)
    assert of_texts(database, NOTHING, region="ID") == dict.fromkeys(NOTHING, MISSING)


def test_a_landline_is_no_mobile_but_its_digits_are_known():
    assert read_phone("021 1234 5678", region="ID") == PhoneReading(
        phone=None, reason=NOT_MOBILE, readings=("622112345678",)
    )


def test_a_number_that_may_be_mobile_or_fixed_counts_as_a_mobile():
    assert phone("+1 415 555 2671") == "14155552671"


def test_two_mobile_readings_are_ambiguous_and_both_are_told():
    assert read_phone("819012345678", region="ID") == PhoneReading(
        phone=None, reason=AMBIGUOUS, readings=("819012345678", "62819012345678")
    )


def test_the_style_of_a_column_settles_which_reading_counts():
    assert phone("819012345678", "ID", PhoneStyle.INTERNATIONAL) == "819012345678"
    assert phone("819012345678", "ID", PhoneStyle.NATIONAL) == "62819012345678"
    assert phone("0812-3456-7890", "ID", PhoneStyle.INTERNATIONAL) == "6281234567890"
    assert phone("812-3456-7890", "ID", PhoneStyle.INTERNATIONAL) == NOT_MOBILE
    assert phone("+819012345678", "ID", PhoneStyle.NATIONAL) == "819012345678"
    assert phone("00819012345", "MY", PhoneStyle.NATIONAL) == INVALID


def test_a_mobile_reading_wins_over_one_that_is_no_mobile():
    # National, this is a landline of area 628.
    assert phone("62812345678", "ID") == "62812345678"
    assert phone("62812345678", "ID", PhoneStyle.NATIONAL) == NOT_MOBILE


def test_the_exit_prefix_of_a_region_is_read_as_phonenumbers_reads_it():
    assert phone("010 62 812 3456 7890", "JP") == "6281234567890"
    assert phone("001 62 812 3456 7890", "SG") == "6281234567890"
    assert phone("0065 9123 4567", "SG") == "6591234567"
    assert phone("011 62 812 3456 7890", "US") == "6281234567890"


def test_an_exit_prefix_and_00_that_give_two_mobiles_are_ambiguous():
    # 00 81..., a Japanese mobile; or 008 1 901..., as Indonesia dials the United States.
    assert read_phone("0081 90 1234 5678", region="ID").readings == ("819012345678", "19012345678")
    assert phone("0081 90 1234 5678", "ID") == AMBIGUOUS


def test_numbers_that_a_region_rewrites_when_dialled_are_read():
    assert phone("011 15 2345 6789", "AR") == "5491123456789"
    assert phone("0 15 11 96123 4567", "BR") == "5511961234567"
    assert phone("8 912 345-67-89", "RU") == "79123456789"
    assert phone("+39 06 6982 0123") == NOT_MOBILE


@pytest.mark.parametrize(
    ("column_type", "value", "expected"),
    [
        ("BIGINT", 6281234567890, "6281234567890"),
        ("BIGINT", -6281234567890, INVALID),
        ("BIGINT", None, MISSING),
        ("UBIGINT", 6281234567890, "6281234567890"),
        ("HUGEINT", 10**30, INVALID),
        ("INTEGER", 1415555267, INVALID),
        ("DOUBLE", 6281234567890.0, "6281234567890"),
        ("DOUBLE", 6281234567890.5, INVALID),
        ("DOUBLE", -6281234567890.0, INVALID),
        ("DOUBLE", 2.0**60, INVALID),
        ("DOUBLE", "nan", INVALID),
        ("DOUBLE", "inf", INVALID),
        ("DOUBLE", None, MISSING),
        ("FLOAT", 6281234567890.0, INVALID),
        ("DECIMAL(18,2)", Decimal("6281234567890.00"), "6281234567890"),
        ("DECIMAL(18,3)", Decimal("6281234567890.125"), INVALID),
        ("DECIMAL(18,0)", Decimal("6281234567890"), "6281234567890"),
        ("DECIMAL(18,2)", None, MISSING),
        ("ENUM('+6281234567890', 'none')", "+6281234567890", "6281234567890"),
        ("BLOB", b"6281234567890", INVALID),
        ("DATE", "2026-03-20", INVALID),
        ("BOOLEAN", True, INVALID),
        ("VARCHAR[]", ["6281234567890"], INVALID),
        ("DATE", None, MISSING),
    ],
)
def test_a_column_of_any_type_is_read_if_no_digit_was_lost(database, column_type, value, expected):
    assert readings(database, [value], column_type) == [expected]


def test_whole_numbers_without_a_country_code_are_read_with_a_region(database):
    assert readings(database, [81234567890], "BIGINT", "ID") == ["6281234567890"]
    assert readings(database, [81234567890.0], "DOUBLE", "ID") == ["6281234567890"]


def test_all_columns_pass_through_and_four_are_added(database):
    database.execute('CREATE OR REPLACE TABLE people AS SELECT 7 AS id, \'+65 9123 4567\' AS "my ""phone"')
    sql = reading_sql("people", column='my "phone', column_type="VARCHAR", output="tel", heads=[659])

    names = [column[0] for column in database.execute(sql).description]

    assert names == ["id", 'my "phone', "tel", "tel_reason", "tel_valid", "tel_other"]
    assert database.execute(sql).fetchall() == [(7, "+65 9123 4567", 6591234567, None, 6591234567, None)]


def test_heads_name_every_calling_code_that_the_rows_need(database):
    database.execute(
        "CREATE OR REPLACE TABLE cells AS SELECT unnest(['+62812', '0065 9', 'x', '008190']) AS cell"
    )

    found = database.execute(heads_sql("cells", column="cell", column_type="VARCHAR", region="ID")).fetchall()

    assert {head for (head,) in found} == {628, 659, 819, 190, None}


def test_a_reading_with_all_calling_codes_is_the_same_as_with_those_that_occur(database):
    texts = [
        "+62 812-3456-7890",
        "0812",
        "+247 40123",
        "819012345678",
        "0081 90 1234 5678",
        "+888 123 456 789",
    ]
    expected = readings(database, texts, region="ID")
    sql = reading_sql("cells", column="cell", column_type="VARCHAR", region="ID")

    rows = database.execute(f"SELECT coalesce(_phone_reason, _phone::VARCHAR) FROM ({sql}) ORDER BY place")

    assert [reading for (reading,) in rows.fetchall()] == expected


def test_a_list_of_numbers_counts_every_valid_reading_once(database):
    lines = ["+62 812-3456-7890", "0812 3456 7890", "819012345678", "(021) 1234 5678", "never", "", None]
    readings(database, lines, region="ID")
    heads = [628, 819, 622]
    reading = reading_sql("cells", column="cell", column_type="VARCHAR", region="ID", heads=heads)

    phones = {phone for (phone,) in database.execute(readings_sql(reading)).fetchall()}

    assert phones == {6281234567890, 819012345678, 62819012345678, 622112345678}


def test_an_unknown_region_is_an_error_that_says_what_to_write():
    with pytest.raises(UsageError, match="'XX' is no region with phone numbers") as caught:
        reading_sql("cells", column="cell", column_type="VARCHAR", region="XX")
    assert "ID" in str(caught.value.hint)


def test_national_numbers_need_a_region():
    with pytest.raises(UsageError, match="needs a region"):
        reading_sql("cells", column="cell", column_type="VARCHAR", style=PhoneStyle.NATIONAL)


def parsed(text, region=None):
    """Ask phonenumbers: the digits of a valid number, and whether it is a mobile."""
    try:
        number = phonenumbers.parse(text, region)
    except phonenumbers.NumberParseException:
        return None
    digits = f"{number.country_code}{phonenumbers.national_significant_number(number)}"
    valid = phonenumbers.is_valid_number(number) and len(digits) <= 15
    return (digits, phonenumbers.number_type(number) in MOBILES) if valid else None


def expected_reading(text, region):
    """Write DESIGN's rule once more, plainly, on top of phonenumbers."""
    tried = [parsed(text, region)]
    if text.startswith("00"):
        tried.append(parsed("+" + text[2:]))
    elif not text.startswith("0"):
        tried.append(parsed("+" + text.lstrip("+")))
    valid = {one for one in tried if one is not None}
    mobiles = {digits for digits, is_mobile in valid if is_mobile}
    if len(mobiles) == 1:
        return mobiles.pop()
    return AMBIGUOUS if mobiles else NOT_MOBILE if valid else INVALID


def digits_as_written(region, dice):
    own = phonenumbers.country_code_for_region(region)
    example = phonenumbers.example_number_for_type(region, PhoneNumberType.MOBILE)
    national = phonenumbers.national_significant_number(example)
    body = national[:3] + f"{dice.randrange(10**9):09d}"[: len(national) - 3 + dice.choice((0, 0, 0, 1, -1))]
    foreign = dice.choice(("62812", "659", "6012", "8190", "1901", "5591", "870"))
    foreign += f"{dice.randrange(10**8):08d}"[: dice.choice((7, 8))]
    leads = ("", "0", str(own), f"+{own}", f"00{own}", f"{own}0", "00", "008", "001", "8", "1")
    return dice.choice(
        (dice.choice(leads) + body, dice.choice(("", "+", "00", "008", "001", "010")) + foreign)
    )


@pytest.mark.parametrize(
    "region", ["ID", "SG", "MY", "JP", "US", "BR", "AR", "AU", "KR", "FI", "KZ", "GB", "IT"]
)
def test_bare_and_prefixed_digits_are_read_by_the_rule_in(database, region):
    dice = random.Random(region)
    texts = sorted({digits_as_written(region, dice) for _ in range(400)})

    ours = of_texts(database, texts, region=region)

    assert {text: ours[text] for text in texts if ours[text] != expected_reading(text, region)} == {}


@settings(max_examples=30, deadline=None)
@given(
    cells=st.lists(st.text("0123456789 +-().", max_size=20), min_size=1, max_size=60),
    region=st.sampled_from([None, "ID", "SG", "JP", "US"]),
)
def test_what_is_read_is_a_valid_mobile_and_no_digit_is_made_up(database, cells, region):
    for text, found in of_texts(database, cells, region=region).items():
        if found.isdigit():
            assert parsed(f"+{found}") == (found, True)
            assert found[-6:] in "".join(char for char in text if char.isdigit())


@settings(max_examples=15, deadline=None)
@given(cells=st.lists(st.one_of(st.none(), st.text()), min_size=1, max_size=100))
def test_any_text_at_all_has_a_phone_or_a_reason(database, cells):
    found = readings(database, cells, region="ID")

    assert all(one.isdigit() or one in {MISSING, INVALID, AMBIGUOUS, NOT_MOBILE} for one in found)
