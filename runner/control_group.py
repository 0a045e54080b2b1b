"""Who is held out as a control group: drawn by a hash, the same in Python and as DuckDB's SQL. No I/O.

The draw depends on the group's name and the phone alone, so the same people stay in it over occurrences,
plans and machines, and a larger share keeps those of a smaller one. All of it is integer arithmetic.
"""

from __future__ import annotations

import hashlib

from runner.campaign import Holdout
from runner.sql_text import quote_literal

#: The rule, and the reason, by which a person gets no message; and what a log calls that.
HOLDOUT = "holdout"
HELD_OUT = "held_out"

#: Of so many parts a share takes some; a tenth of a thousandth of a percent is one.
PARTS = 1_000_000
#: So many hexadecimal digits of the hash are taken: what fits into a BIGINT.
_DIGITS = 15


def place(group: str, phone: str) -> int:
    """Return where a phone (digits) stands in a group's draw, from 0 to PARTS - 1."""
    digest = hashlib.sha256(f"{_prefix(group)}{phone}".encode()).hexdigest()
    return int(digest[:_DIGITS], 16) % PARTS


def is_held_out(holdout: Holdout, phone: str) -> bool:
    """Tell whether a phone (digits) is in the control group."""
    return place(holdout.group, phone) < holdout.parts


def held_out_sql(holdout: Holdout, phone: str) -> str:
    """Write `is_held_out` as DuckDB's SQL; `phone` is an expression of the digits."""
    text = f"concat({quote_literal(_prefix(holdout.group))}, CAST({phone} AS VARCHAR))"
    drawn = f"CAST(concat('0x', substr(sha256({text}), 1, {_DIGITS})) AS BIGINT)"
    return f"({drawn} % {PARTS} < {holdout.parts})"


def _prefix(group: str) -> str:
    """Return what keeps this draw apart from any other that hashes phones."""
    return f"{HOLDOUT}/{group}/"
