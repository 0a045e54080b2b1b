"""runner.number_zones: the zones of a number are, number by number, those that phonenumbers tells."""

from __future__ import annotations

import random
from collections.abc import Iterator
from datetime import datetime, time, timezone

import duckdb
import phonenumbers
import pytest
from phonenumbers import PhoneNumberType
from phonenumbers.phonenumberutil import _GEO_MOBILE_COUNTRIES
from phonenumbers.timezone import UNKNOWN_TIMEZONE, time_zones_for_number
from phonenumbers.tzdata import TIMEZONE_DATA

from runner.number_zones import _MOBILES_TELL, BETWEEN, zone_prefixes
from runner.phone_patterns import calling_code_of, calling_codes
from runner.window import Window
from runner.zone_gate import Hours, with_zones

phonenumbers.enable_pattern_cache()

MOBILES = {PhoneNumberType.MOBILE, PhoneNumberType.FIXED_LINE_OR_MOBILE}
CODES = frozenset(calling_codes())


def asked(digits: str) -> str | None:
    """Ask phonenumbers: the zones of a mobile, joined; None for a number that is none."""
    number = phonenumbers.parse(f"+{digits}")
    if phonenumbers.number_type(number) not in MOBILES or not phonenumbers.is_valid_number(number):
        return None
    return BETWEEN.join(time_zones_for_number(number))


def told(numbers: list[str], codes: frozenset[int] = CODES) -> list[str]:
    """Ask the SQL of the gate."""
    hours = Hours(
        window=Window(opens=time(0), closes=time(23, 59)), start=datetime(2026, 3, 1, tzinfo=timezone.utc)
    )
    with duckdb.connect(config={"threads": 2}) as connection:
        phones = [int(number) for number in numbers]
        rows = "(SELECT unnest($phones) AS _phone, generate_subscripts($phones, 1) AS position)"
        connection.execute(f"CREATE TABLE numbers AS FROM {rows}", {"phones": phones})
        sql = with_zones(connection, "numbers", hours=hours, codes=codes, column=None)
        found = connection.execute(f"SELECT _phone_zones FROM {sql} ORDER BY position").fetchall()
    return [zones or UNKNOWN_TIMEZONE for (zones,) in found]


def examples() -> Iterator[str]:
    """Yield the metadata's own example of each region's mobiles."""
    for region in sorted(phonenumbers.SUPPORTED_REGIONS):
        for kind in (*sorted(MOBILES), PhoneNumberType.FIXED_LINE):
            number = phonenumbers.example_number_for_type(region, kind)
            if number is not None:
                yield f"{number.country_code}{phonenumbers.national_significant_number(number)}"


def beside(chance: random.Random, prefix: str) -> Iterator[str]:
    """Yield numbers of the lengths that mobiles have, that begin with a prefix of the data."""
    for length in (10, 11, 12, 13):
        yield prefix + "".join(chance.choices("0123456789", k=length - len(prefix)))


def test_the_zones_of_the_metadatas_examples_and_of_random_mobiles_are_those_of_phonenumbers():
    chance = random.Random(5)
    some = chance.sample(sorted(TIMEZONE_DATA), 2500)
    numbers = [*examples(), *(number for prefix in some for number in beside(chance, prefix))]
    # All but the last three digits: mobiles beside each example.
    numbers += [number[:-3] + "".join(chance.choices("0123456789", k=3)) for number in examples()]
    expected = {number: zones for number in numbers if (zones := asked(number)) is not None}
    assert len(expected) > 2000
    assert dict(zip(expected, told(list(expected)), strict=True)) == expected


def test_the_countries_whose_mobiles_tell_a_place_are_libphonenumbers():
    assert _MOBILES_TELL == _GEO_MOBILE_COUNTRIES


@pytest.mark.parametrize(
    ("digits", "zones"),
    [
        ("6281230000001", "Asia/Jakarta"),
        ("819012345678", "Asia/Tokyo"),
        ("12125550123", "America/New_York"),
        ("18765550123", None),
        ("5592988887777", "America/Manaus"),
    ],
)
def test_a_number_is_where_its_longest_prefix_says(digits, zones):
    (found,) = told([digits])
    assert found == (zones or BETWEEN.join(TIMEZONE_DATA["1"]))


def test_only_the_codes_that_occur_are_looked_up():
    assert all(calling_code_of(prefix) == 62 for prefix in zone_prefixes({62}))
    assert told(["6281230000001"], frozenset({62})) == ["Asia/Jakarta"]
