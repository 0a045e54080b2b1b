"""The time zones of phone numbers, by libphonenumber's data, as DuckDB SQL; used by `zone_gate`.

`phonenumbers.timezone.time_zones_for_number` is exact but reads some 20,000 numbers a second. What it does is
this: of the prefixes in its data, the longest that a number begins with names the zones; of a mobile that
tells no place (most countries' do not), only the country's own prefix is asked. Agreement is exact.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection

from runner import phone_patterns as patterns
from runner.sql_text import quote_literal

#: Between the names of the zones of one number, in the order of the data.
BETWEEN = ","
#: Of these calling codes mobiles tell a place too (libphonenumber's GEO_MOBILE_COUNTRIES).
_MOBILES_TELL = frozenset({52, 54, 55, 62, 86})


def zone_prefixes(codes: Collection[int]) -> dict[str, str]:
    """Return the prefixes of numbers with these calling codes, and their zones, joined by BETWEEN."""
    from phonenumbers.tzdata import TIMEZONE_DATA

    return {
        prefix: BETWEEN.join(zones)
        for prefix, zones in TIMEZONE_DATA.items()
        if patterns.calling_code_of(prefix) in codes
    }


def place_sql(digits: str, codes: Collection[int]) -> str:
    """Return SQL of what the prefixes are held against: a mobile's `digits`, or its calling code alone.

    `codes` are all calling codes that the numbers may have.
    """
    known = Counter(patterns.calling_code_of(prefix) for prefix in zone_prefixes(codes))

    def branch(code: int) -> str | None:
        # With one prefix it does not matter whether a mobile tells a place.
        if code in _MOBILES_TELL or known[code] < 2:
            return None
        tells = patterns.fixed_or_mobile_sql(digits, code)
        return f"CASE WHEN {tells} THEN {digits} ELSE {quote_literal(str(code))} END"

    return patterns.by_calling_code_sql(patterns.head_sql(digits), sorted(codes), branch, digits)
