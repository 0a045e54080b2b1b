"""Who gets which variant: decided by a hash of campaign and phone, the same on every machine. No I/O.

A person's point is a whole number of 40 bits, and the points are shared out among the variants in the order
of their names. So it does not matter in which order variants stand in the file, or who else is in the
segment; and where weights change, only those people change whose share moved.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate

from runner.campaign import Variant
from runner.sql_text import quote_literal

#: How many points there are. Times the sum of all weights (at most 20 of 10,000) they fit into 64 bits.
POINTS = 1 << 40
#: What the hash begins with: no other choice among people may fall as this one does.
_SALT = "variant"
_HEX_DIGITS = 10


def point_sql(campaign: str, phone: str) -> str:
    """Return DuckDB's SQL of a person's point, 0 to POINTS - 1; `phone` is an expression of the digits.

    It is the first 40 bits of SHA-256 of `variant`, the campaign and the phone, with a line break between.
    """
    before = quote_literal(f"{_SALT}\n{campaign}\n")
    digest = f"sha256({before} || CAST({phone} AS VARCHAR))"
    return f"CAST('0x' || substr({digest}, 1, {_HEX_DIGITS}) AS BIGINT)"


def choice_sql(variants: Sequence[Variant], point: str) -> str:
    """Return SQL of the name of the variant that `point` (an expression) falls to; NULL without a point."""
    ordered = sorted(variants, key=lambda variant: variant.name or "")
    total = sum(variant.weight for variant in ordered)
    ends = [end * POINTS for end in accumulate(variant.weight for variant in ordered)]
    cases = " ".join(
        f"WHEN {point} * {total} < {end} THEN {quote_literal(variant.name or '')}"
        for variant, end in zip(ordered, ends, strict=True)
    )
    return f"CASE {cases} END"
