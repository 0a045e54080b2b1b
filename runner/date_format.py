"""CLDR date patterns such as `EEEE, d MMMM yyyy`, compiled to DuckDB SQL; part of rendering.

The result agrees with `babel.dates.format_date` and `format_datetime` to the letter for the fields below
(tests/test_date_format.py). Fields that are nearly always a slip (`YYYY`, `DD`, `mm` in a date) are errors.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from runner.errors import TemplateError
from runner.locale_data import load_locale
from runner.sql_text import quote_literal

if TYPE_CHECKING:
    from babel import Locale

#: A language's own date styles. They show the date only: a style with a time would show its seconds.
STYLES = ("short", "medium", "long", "full")

_DATE_FIELDS = "GyuQqMLdEc"
_TIME_FIELDS = "ahHKkms"
_HOURS = "hHKk"
_WIDTHS = {3: "abbreviated", 4: "wide", 5: "narrow", 6: "short"}
_TOKEN = re.compile(r"''|'((?:[^']|'')*)'|(([A-Za-z])\3*)|([^A-Za-z']+)")
_SLIPS = {
    "Y": "`Y` is the year of the week: write `yyyy`",
    "D": "`D` is the day of the year: write `d` or `dd`",
    "e": "put words in quotes: `d 'de' MMMM`",
    **dict.fromkeys("zZOvVxX", "write the zone's name in quotes: `HH:mm 'WIB'`"),
    **dict.fromkeys("bB", "write `a` for AM and PM"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Field:
    """One field of a date pattern: its letter and how often it stands."""

    letter: str
    count: int


@dataclass(frozen=True, slots=True, kw_only=True)
class DatePattern:
    """A date pattern taken apart, in its order: literal texts and fields."""

    parts: tuple[str | Field, ...]

    @property
    def has_date(self) -> bool:
        """Tell whether it shows any part of a date."""
        return self._has(_DATE_FIELDS)

    @property
    def has_time(self) -> bool:
        """Tell whether it shows any part of a time of day."""
        return self._has(_TIME_FIELDS)

    def _has(self, letters: str) -> bool:
        return any(isinstance(part, Field) and part.letter in letters for part in self.parts)


def parse_date_pattern(pattern: str, language: str) -> DatePattern:
    """Take a CLDR date pattern, or a style's name, apart; TemplateError says what in it cannot be used."""
    text = load_locale(language).date_formats[pattern].pattern if pattern in STYLES else pattern
    parts = tuple(_parts(text))
    fields = [part for part in parts if isinstance(part, Field)]
    if not fields:
        raise TemplateError(
            f"`{pattern}` is not a date pattern",
            hint="write one such as `d MMMM yyyy`, or short, medium, long, full",
        )
    letters = "".join(field.letter for field in fields)
    if "m" in letters and not any(hour in letters for hour in _HOURS):
        raise TemplateError(f"the date pattern `{pattern}` has minutes and no hour", hint="months are `MM`")
    if re.search(f"[{_HOURS}]+:M", text):
        raise TemplateError(
            f"the date pattern `{pattern}` has a month after the hour", hint="minutes are `mm`"
        )
    return DatePattern(parts=parts)


def date_sql(pattern: DatePattern, language: str, moment: str) -> str:
    """Return SQL of the text of `moment`, an SQL expression of type DATE or TIMESTAMP (local time)."""
    pieces = [
        quote_literal(part) if isinstance(part, str) else _field_sql(part, language, moment)
        for part in pattern.parts
    ]
    return " || ".join(pieces)


def _parts(pattern: str) -> list[str | Field]:
    parts: list[str | Field] = []
    position = 0
    for match in _TOKEN.finditer(pattern):
        if match.start() != position:
            break
        position = match.end()
        if match[2]:
            parts.append(_checked(Field(letter=match[3], count=len(match[2])), pattern))
        else:
            parts.append("'" if match[0] == "''" else (match[1] or match[4] or "").replace("''", "'"))
    if position != len(pattern):
        raise TemplateError(
            f"the date pattern `{pattern}` has a quote that is not closed", hint="write '' for a quote"
        )
    return parts


def _checked(field: Field, pattern: str) -> Field:
    most = {"y": 9, "u": 9, "E": 6, "c": 6, "G": 5, "Q": 5, "q": 5, "M": 5, "L": 5, "a": 5}
    known = field.letter in _DATE_FIELDS + _TIME_FIELDS and field.count <= most.get(field.letter, 2)
    if known and not (field.letter == "c" and field.count < 3):
        return field
    raise TemplateError(
        f"the date pattern `{pattern}` has `{field.letter * field.count}`, which cannot be used",
        hint=_SLIPS.get(field.letter, "put words in quotes: `d MMMM 'pukul' HH:mm`"),
    )


def _field_sql(field: Field, language: str, moment: str) -> str:
    letter, count = field.letter, field.count
    if letter in "yu":
        return _year(moment, count)
    if letter in "GQqMLEca" and (count > 2 or letter in "GEa"):
        return _name(field, language, moment)
    number = {
        "Q": f"quarter({moment})",
        "q": f"quarter({moment})",
        "M": f"month({moment})",
        "L": f"month({moment})",
        "d": f"day({moment})",
        "h": f"(hour({moment}) + 11) % 12 + 1",
        "H": f"hour({moment})",
        "K": f"hour({moment}) % 12",
        "k": f"(hour({moment}) + 23) % 24 + 1",
        "m": f"minute({moment})",
        "s": f"second({moment})",
    }[letter]
    return _number(number, count)


def _number(number: str, count: int) -> str:
    text = f"CAST({number} AS VARCHAR)"
    return text if count == 1 else f"lpad({text}, {count}, '0')"


def _year(moment: str, count: int) -> str:
    if count == 2:
        return _number(f"year({moment}) % 100", 2)
    text = f"CAST(year({moment}) AS VARCHAR)"
    return text if count == 1 else f"repeat('0', greatest({count} - length({text}), 0)) || {text}"


def _name(field: Field, language: str, moment: str) -> str:
    """Return SQL that picks a name from the language's list; DuckDB counts a list's places from 1."""
    locale = load_locale(language)
    letter = field.letter
    width = _WIDTHS[max(3, field.count)]
    if letter == "G":
        return quote_literal(locale.eras[width][1])
    if letter == "a":
        return _pick([_period(locale, width, period) for period in ("am", "pm")], f"hour({moment}) // 12 + 1")
    context = "stand-alone" if letter in "qLc" else "format"
    if letter in "Ec":
        days = locale.days[context][width]
        return _pick([days[day] for day in range(7)], f"isodow({moment})")
    if letter in "Qq":
        quarters = locale.quarters[context][width]
        return _pick([quarters[quarter] for quarter in range(1, 5)], f"quarter({moment})")
    months = locale.months[context][width]
    return _pick([months[month] for month in range(1, 13)], f"month({moment})")


def _period(locale: Locale, width: str, period: str) -> str:
    """Return the word for AM or PM in the first width the language has."""
    names = locale.day_periods["format"]
    widths = (width, "wide", "narrow", "abbreviated")
    return next(str(names[known][period]) for known in widths if period in names[known])


def _pick(names: list[str], place: str) -> str:
    return f"[{', '.join(quote_literal(name) for name in names)}][{place}]"
