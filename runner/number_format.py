"""CLDR number patterns such as `#,##0.00`, compiled to DuckDB SQL; part of rendering.

The result agrees with `babel.numbers.format_decimal` to the letter (tests/test_number_format.py), half-even
rounding included, and costs no Python per row. One deliberate difference: a quoted percent sign is plain text
and does not multiply, as CLDR says, so that `0'%'` suits a column that already holds percents.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from runner.errors import TemplateError
from runner.locale_data import load_locale
from runner.sql_text import quote_identifier, quote_literal

#: More fraction digits than this say nothing to a reader, and exceed what a DOUBLE can hold.
_MOST_FRACTION_DIGITS = 15
_SHIFTS = {"%": 2, "‰": 3}
#: A number in a text is read as DECIMAL(33,18): 15 whole digits, and as many of a fraction as matter.
_TEXT_WIDTH, _TEXT_SCALE = 33, 18
_BIGINT_DIGITS = 18  # any number of so many digits fits 64 bits
_WIDE = 35  # leaves room within a DECIMAL's 38 digits for a percent's shift
_WIDEST = 38

_AFFIX = r"(?:[^'0-9@#.,;]|'[^']*')*"
_PATTERN = re.compile(
    rf"(?P<prefix>{_AFFIX})(?P<integer>[#0,]*)(?:\.(?P<fraction>[#0]*))?(?P<suffix>{_AFFIX})"
)
_QUOTED = re.compile(r"'([^']*)'")


@dataclass(frozen=True, slots=True, kw_only=True)
class NumberPattern:
    """A number pattern taken apart.

    `positive` and `negative` are (prefix, suffix). `groups` is (last group, other groups) in digits, None
    without grouping. `shift` is 2 for percent, 3 for per mille.
    """

    positive: tuple[str, str]
    negative: tuple[str, str]
    groups: tuple[int, int] | None
    min_integer: int
    min_fraction: int
    max_fraction: int
    shift: int


@dataclass(frozen=True, slots=True, kw_only=True)
class NumberSymbols:
    """What a language writes between whole and fraction, and between groups of digits."""

    decimal: str
    group: str


@dataclass(frozen=True, slots=True, kw_only=True)
class NumberSource:
    """Where numbers come from: an SQL expression, and the DECIMAL(width, scale) that holds it exactly.

    `is_text` says that the numbers are written as text; a DOUBLE is formatted from its shortest text.
    `is_cut` says that `width` may be too narrow for some.
    """

    sql: str
    width: int = _TEXT_WIDTH
    scale: int = _TEXT_SCALE
    is_text: bool = False
    is_cut: bool = False

    @property
    def exact(self) -> str:
        """Return SQL of the exact value; what no DECIMAL of `width` holds is NULL."""
        if self.is_text or self.is_cut:
            return f"TRY_CAST({self.sql} AS DECIMAL({self.width},{self.scale}))"
        return self.sql

    def half_up(self, exact: str, width: int, digits: int) -> str:
        """Return SQL of the value rounded, halves away from zero, to `digits` fraction digits.

        From a text this is far faster than from its exact value. Not so with an exponent, which DuckDB 1.5
        rounds wrongly: '6e-05' to 1.
        """
        rounded = f"TRY_CAST({{}} AS DECIMAL({width},{digits}))"
        if not self.is_text:
            return rounded.format(exact)
        has_exponent = f"contains({self.sql}, 'e') OR contains({self.sql}, 'E')"
        return f"CASE WHEN {has_exponent} THEN {rounded.format(exact)} ELSE {rounded.format(self.sql)} END"

    @property
    def fits_bigint(self) -> bool:
        """Tell whether every value is a whole number of 64 bits."""
        return self.scale == 0 and self.width <= _BIGINT_DIGITS

    def bounded(self) -> NumberSource:
        """Return a source with room for the steps that follow: a number too large for them is NULL."""
        if self.width <= _TEXT_WIDTH:
            return self
        scale = min(self.scale, _TEXT_SCALE)
        return NumberSource(sql=self.sql, width=_TEXT_WIDTH, scale=scale, is_cut=True)


def is_number_pattern(pattern: str) -> bool:
    """Tell a number pattern from a date pattern: it has a `#` or a `0` outside quotes."""
    return bool(re.search("[#0]", _QUOTED.sub("", pattern)))


def parse_number_pattern(pattern: str) -> NumberPattern:
    """Take a CLDR number pattern apart; TemplateError says what in it cannot be used."""
    positive, _, negative = _split_subpatterns(pattern)
    match = _PATTERN.fullmatch(positive)
    if match is None or not match["integer"]:
        raise _pattern_error(pattern, positive)
    prefix, suffix = match["prefix"], match["suffix"]
    integer, fraction = match["integer"], match["fraction"] or ""
    if not _is_well_formed(integer, fraction) or re.match(r"E\+?0", suffix):
        raise _pattern_error(pattern, positive)
    if "¤" in _QUOTED.sub("", pattern):
        raise TemplateError(
            f"the number pattern `{pattern}` asks for a currency sign (¤)",
            hint="write the currency as text, for example `Rp #,##0`",
        )
    return NumberPattern(
        positive=(_plain(prefix), _plain(suffix)),
        negative=_negative_affixes(pattern, negative, prefix, suffix),
        groups=_groups(integer),
        min_integer=integer.count("0"),
        min_fraction=fraction.count("0"),
        max_fraction=len(fraction),
        shift=_shift(prefix + suffix),
    )


def number_symbols(language: str) -> NumberSymbols:
    """Return a language's symbols (Latin digits) from Babel's data; TemplateError if it is unknown."""
    symbols = load_locale(language).number_symbols["latn"]
    return NumberSymbols(decimal=symbols["decimal"], group=symbols["group"])


def number_columns(
    pattern: NumberPattern, symbols: NumberSymbols, source: NumberSource, name: str
) -> tuple[tuple[str, str], ...]:
    """Return (column, SQL) pairs, each over `source` and the ones before it; `name`, the last, is the text.

    A value that is no number, or too large to write, gives NULL.
    """
    if source.fits_bigint and not pattern.shift:
        whole = f"CAST({source.sql} AS BIGINT)"
        return ((name, _text(pattern, symbols, sign=source.sql, whole=whole)),)
    source = source.bounded()
    kept = max(0, min(pattern.max_fraction, source.scale - pattern.shift))
    steps = [f"{name}_{step}" for step in ("exact", "half_up", "rounded", "shifted")]
    exact, half_up, rounded, shifted = (quote_identifier(step) for step in steps)
    width = _narrow_width(source, kept + pattern.shift)
    expressions = (
        source.exact,
        f"abs({source.half_up(exact, width, kept + pattern.shift)})",
        _half_even(exact, half_up, source, kept + pattern.shift),
        _shifted(rounded, kept, pattern.shift, width),
    )
    whole = f"CAST({f'trunc({shifted})' if kept else shifted} AS {'BIGINT' if width < _WIDE else 'HUGEINT'})"
    digits = f"right(CAST({shifted} AS VARCHAR), {kept})"
    text = _text(pattern, symbols, sign=exact, whole=whole, digits=digits, kept=kept)
    return (*zip(steps, expressions, strict=True), (name, text))


def _split_subpatterns(pattern: str) -> tuple[str, str, str]:
    """Split at the `;` that parts the positive from the negative pattern, outside quotes."""
    quoted = False
    for index, char in enumerate(pattern):
        quoted ^= char == "'"
        if char == ";" and not quoted:
            return pattern[:index], ";", pattern[index + 1 :]
    return pattern, "", ""


def _is_well_formed(integer: str, fraction: str) -> bool:
    whole = integer.replace(",", "")
    groups_closed = not integer.startswith(",") and not integer.endswith(",") and ",," not in integer
    shaped = re.fullmatch("#*0*", whole) and re.fullmatch("0*#*", fraction)
    return bool(whole) and groups_closed and bool(shaped) and len(fraction) <= _MOST_FRACTION_DIGITS


def _pattern_error(pattern: str, positive: str) -> TemplateError:
    if re.search(r"@|E\+?0", _QUOTED.sub("", positive)):
        return TemplateError(
            f"the number pattern `{pattern}` uses significant digits or an exponent",
            hint="use `#`, `0`, `,` and `.` only, for example `#,##0.00`",
        )
    return TemplateError(
        f"`{pattern}` is not a number pattern",
        hint="write `#,##0` or `0.00`, and put text with dots, commas or digits in quotes: `'Rp.' #,##0`",
    )


def _groups(integer: str) -> tuple[int, int] | None:
    parts = integer.split(",")
    if len(parts) == 1:
        return None
    return len(parts[-1]), len(parts[-2]) if len(parts) > 2 else len(parts[-1])


def _shift(affixes: str) -> int:
    unquoted = _QUOTED.sub("", affixes)
    return next((shift for sign, shift in _SHIFTS.items() if sign in unquoted), 0)


def _negative_affixes(pattern: str, negative: str, prefix: str, suffix: str) -> tuple[str, str]:
    if not negative:
        return "-" + _plain(prefix), _plain(suffix)
    match = _PATTERN.fullmatch(negative)
    if match is None:
        raise _pattern_error(pattern, negative)
    return _plain(match["prefix"]), _plain(match["suffix"])


def _plain(affix: str) -> str:
    """Take the quotes off a prefix or suffix; two in a row are one quote character."""
    return _QUOTED.sub(lambda match: match[1] or "'", affix)


def _narrow_width(source: NumberSource, digits: int) -> int:
    """Return the DECIMAL width for `digits` fraction digits: 64 bits where they fit, which are far faster."""
    return _BIGINT_DIGITS if source.width - source.scale + digits <= _BIGINT_DIGITS else _WIDE


def _half_even(exact: str, half_up: str, source: NumberSource, digits: int) -> str:
    """Return SQL that takes a half back to its even neighbour; DuckDB itself rounds halves away from zero."""
    if source.scale <= digits:
        return half_up
    half = f"CAST('0.{'0' * digits}5' AS DECIMAL({digits + 2},{digits + 1}))"
    is_odd = f"right(CAST({half_up} AS VARCHAR), 1) IN ('1', '3', '5', '7', '9')"
    last_unit = f"CAST('{10**-digits:.{digits}f}' AS DECIMAL({digits + 1},{digits}))"
    is_tie = f"{half_up} - abs({exact}) = {half}"
    return f"CASE WHEN {is_tie} AND {is_odd} THEN {half_up} - {last_unit} ELSE {half_up} END"


def _shifted(rounded: str, kept: int, shift: int, width: int) -> str:
    if not shift:
        return rounded
    product = f"CAST({rounded} AS DECIMAL({_WIDEST},{kept + shift})) * {10**shift}"
    return f"TRY_CAST({product} AS DECIMAL({width},{kept}))"


def _text(
    pattern: NumberPattern,
    symbols: NumberSymbols,
    *,
    sign: str,
    whole: str,
    digits: str = "",
    kept: int = 0,
) -> str:
    """Return SQL of the finished text, from the sign's value, the whole part and the fraction's digits."""
    body = _whole_text(pattern, symbols, whole) + _fraction_text(pattern, symbols, digits, kept)
    sides = []
    for prefix, suffix in (pattern.negative, pattern.positive):
        before = f"{quote_literal(prefix)} || " if prefix else ""
        after = f" || {quote_literal(suffix)}" if suffix else ""
        sides.append(f"{before}{body}{after}")
    return f"CASE WHEN {sign} < 0 THEN {sides[0]} WHEN {sign} >= 0 THEN {sides[1]} END"


def _whole_text(pattern: NumberPattern, symbols: NumberSymbols, whole: str) -> str:
    if pattern.groups == (3, 3) and pattern.min_integer <= 1:
        grouped = f"ltrim(format('{{:,}}', {whole}), '-')"
    else:
        grouped = _grouped(
            _padded(f"ltrim(CAST({whole} AS VARCHAR), '-')", pattern.min_integer), pattern.groups
        )
    if pattern.groups is None or symbols.group == ",":
        return grouped
    return f"replace({grouped}, ',', {quote_literal(symbols.group)})"


def _padded(digits: str, least: int) -> str:
    if least <= 1:
        return digits
    return f"repeat('0', greatest({least} - length({digits}), 0)) || {digits}"


def _grouped(digits: str, groups: tuple[int, int] | None) -> str:
    """Return SQL that puts a comma between groups, counted from the right: hence the reversing."""
    if groups is None:
        return f"({digits})"
    last, others = groups
    head = f"reverse(substr(reverse({digits}), {last + 1}))"
    split = f"reverse(regexp_replace(reverse({head}), '(\\d{{{others}}})', '\\1,', 'g'))"
    return f"ltrim({split} || ',' || right({digits}, {last}), ',')"


def _fraction_text(pattern: NumberPattern, symbols: NumberSymbols, digits: str, kept: int) -> str:
    """Return SQL (with its leading `||`) of decimal sign and fraction, trailing zeros cut to the least."""
    least = pattern.min_fraction
    decimal = quote_literal(symbols.decimal)
    if kept < least:
        zeros = quote_literal("0" * (least - kept))
        return f" || {decimal} || {digits} || {zeros}" if kept else f" || {decimal} || {zeros}"
    if kept == least:
        return f" || {decimal} || {digits}" if kept else ""
    optional = f"rtrim(substr({digits}, {least + 1}), '0')"
    if least:
        return f" || {decimal} || left({digits}, {least}) || {optional}"
    return f" || CASE WHEN {optional} = '' THEN '' ELSE {decimal} || {optional} END"
