r"""Reads the cell of a phone column down to ASCII digits, with a `+` before them or not, as SQL; for `phone`.

Separators are spaces, dots, hyphens and brackets of any width, one slash after the area code, and the
invisible marks that phone books paste; digits of any script count. Nothing else is dropped: a letter, an
extension, a second number or a lost digit (`6.28E+12`) makes the cell unreadable.
"""

from __future__ import annotations

import sys
import unicodedata
from functools import cache

from runner.sql_text import quote_identifier, quote_literal

#: One step of a reading: columns and their SQL over the columns of the steps before. Names begin with `_pr_`.
Step = dict[str, str]

#: A longer text is no phone; phonenumbers draws the line there too.
_MAX_TEXT = 250

#: From here on a DOUBLE (53 bits) or a FLOAT (24 bits) loses digits of whole numbers.
_EXACT_BELOW = {"DOUBLE": 2**53, "FLOAT": 2**24}

#: Types whose text has all their digits.
_TEXTUAL = frozenset({"VARCHAR", "JSON", "UUID", "BIGNUM"}) | {
    sign + size + "INT" if size != "INT" else sign + "INTEGER"
    for sign in ("", "U")
    for size in ("TINY", "SMALL", "INT", "BIG", "HUGE")
}

# Characters beyond ASCII that read as something in it, for RE2.
_SPACES = r"\x{00A0}\x{1680}\x{2000}-\x{200A}\x{2028}\x{2029}\x{202F}\x{205F}\x{3000}"
_INVISIBLE = r"\x{00AD}\x{061C}\x{180E}\x{200B}-\x{200F}\x{202A}-\x{202E}\x{2060}-\x{206F}\x{FEFF}"
_HYPHENS = r"\x{2010}-\x{2015}\x{2212}\x{30FC}\x{FE58}\x{FE63}\x{FF0D}"
_SIGNS = dict(zip("＋．／（）［］＇‘’", "+./()[]'''", strict=True))

# Full-width, Arabic and Persian zeros. Whole columns are written in these digits; to fold the 600 digits of
# the other scripts as well would cost 50 times as much a row.
_COMMON_ZEROS = "\uff10\u0660\u06f0"

_EDGE = r"[ \t\r\n]*"
_SEPARATORS = r"[ .()\[\]-]*"
_DIGIT = f"[0-9]{_SEPARATORS}"
# At most seven digits before the one slash: `0171/1234567` is one number, `08123456789/90` are two.
_SHAPE = rf"{_EDGE}'?[ (\[]*\+*[ ()\[\]]*(?:(?:{_DIGIT}){{1,7}}/{_SEPARATORS})?(?:{_DIGIT})+{_EDGE}"
# Seven digits, a dot and zeros are a number from a spreadsheet; with other digits there it is no phone.
_WHOLE_DECIMAL = rf"{_EDGE}'?\+?[0-9]{{7,}}\.0+{_EDGE}"
_BROKEN_DECIMAL = rf"{_EDGE}'?\+?(?:[0-9]{{9,}}\.[0-9]+|[0-9]{{7,}}\.[0-9]{{1,2}}){_EDGE}"


def cell_steps(column: str, column_type: str) -> list[Step]:
    """Read a cell of DuckDB's `column_type` to `_pr_read`: digits, perhaps after `+`; NULL is unreadable."""
    return [
        {"_pr_text": _text_sql(quote_identifier(column), column_type.upper())},
        {"_pr_folded": _unless_ascii("_pr_text", _folded_sql("_pr_text"))},
        {"_pr_plain": _unless_ascii("_pr_folded", _rare_digits_sql("_pr_folded"))},
        {"_pr_read": _read_sql("_pr_plain")},
    ]


def is_missing_sql() -> str:
    """Tell, after `cell_steps`, whether there is nothing in the cell."""
    blank = quote_literal(rf"[\s{_SPACES}{_INVISIBLE}]*")
    return f"_pr_text IS NULL OR (_pr_read IS NULL AND regexp_full_match(_pr_text, {blank}))"


def _text_sql(column: str, column_type: str) -> str:
    """Write a cell as text with all its digits; what is no number, or lost some, becomes letters."""
    if column_type in _TEXTUAL or column_type.startswith("ENUM"):
        return f"CAST({column} AS VARCHAR)"
    unreadable = f"WHEN {column} IS NOT NULL THEN 'unreadable' END"
    if column_type in _EXACT_BELOW:
        whole = f"abs({column}) < {_EXACT_BELOW[column_type]} AND {column} = trunc({column})"
        return f"CASE WHEN {whole} THEN CAST(CAST({column} AS BIGINT) AS VARCHAR) {unreadable}"
    if column_type.startswith("DECIMAL"):
        whole = f"{column} = trunc({column})"
        return f"CASE WHEN {whole} THEN CAST(CAST({column} AS HUGEINT) AS VARCHAR) {unreadable}"
    return f"CASE {unreadable}"


def _unless_ascii(text: str, sql: str) -> str:
    """Keep an ASCII text as it is (most are, and the test is nearly free), else apply `sql`."""
    return f"CASE WHEN strlen({text}) = length({text}) THEN {text} ELSE {sql} END"


def _folded_sql(text: str) -> str:
    """Fold the separators, signs and common digits of other scripts to ASCII, and drop invisible marks."""
    visible = f"regexp_replace({text}, '[{_INVISIBLE}]+', '', 'g')"
    spaces = f"regexp_replace({visible}, '[{_SPACES}]', ' ', 'g')"
    hyphens = f"regexp_replace({spaces}, '[{_HYPHENS}]', '-', 'g')"
    digits = {chr(ord(zero) + digit): str(digit) for zero in _COMMON_ZEROS for digit in range(10)}
    return _translate_sql(hyphens, _SIGNS | digits)


def _rare_digits_sql(text: str) -> str:
    """Fold the digits of all other scripts; NULL where more is left than digits and separators."""
    foldable = quote_literal(r"[\p{Nd} +./()\[\]'\t\r\n-]*")
    folded = _translate_sql(text, _digits_of_all_scripts())
    return (
        f"CASE WHEN length({text}) <= {_MAX_TEXT} AND regexp_full_match({text}, {foldable}) THEN {folded} END"
    )


@cache
def _digits_of_all_scripts() -> dict[str, str]:
    """Map every decimal digit beyond ASCII to its ASCII digit."""
    beyond = (chr(code) for code in range(128, sys.maxunicode + 1))
    return {char: str(unicodedata.decimal(char)) for char in beyond if char.isdecimal()}


def _translate_sql(text: str, mapping: dict[str, str]) -> str:
    """Replace single characters by single characters."""
    return f"translate({text}, {quote_literal(''.join(mapping))}, {quote_literal(''.join(mapping.values()))})"


def _read_sql(text: str) -> str:
    """Drop the separators of an ASCII text that has the shape of one number; NULL where it has not."""

    def fits(pattern: str) -> str:
        return f"regexp_full_match({text}, {quote_literal(pattern)})"

    usual = text
    for separator in " -()":
        usual = f"replace({usual}, '{separator}', '')"
    return (
        f"CASE WHEN {fits('[+]?[0-9]+')} THEN {text} "
        f"WHEN strlen({text}) > {_MAX_TEXT} THEN NULL "
        f"WHEN contains({text}, '.') AND {fits(_WHOLE_DECIMAL)} "
        f"THEN regexp_replace(split_part({text}, '.', 1), '[^0-9+]+', '', 'g') "
        f"WHEN contains({text}, '.') AND {fits(_BROKEN_DECIMAL)} THEN NULL "
        f"WHEN NOT {fits(_SHAPE)} THEN NULL "
        # Four replaces cost a third of the pattern below, and most cells need no other.
        f"WHEN {fits('[0-9+ ()-]*')} THEN {usual} "
        f"ELSE regexp_replace({text}, '[^0-9+]+', '', 'g') END"
    )
