"""One variable of a campaign as DuckDB SQL: the columns that make its text, and what may be wrong with it.

Part of rendering; `runner.rendering` puts the values of a message together.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from runner.campaign import Transform, Variable
from runner.column_type import ColumnType, Kind, read_column_type
from runner.date_format import STYLES, date_sql, parse_date_pattern
from runner.errors import SegmentError, TemplateError
from runner.number_format import (
    NumberSource,
    is_number_pattern,
    number_columns,
    number_symbols,
    parse_number_pattern,
)
from runner.problem_words import did_you_mean, show_text
from runner.sql_text import quote_identifier, quote_literal
from runner.text_rules import BLANK, TEXT_RULES, UNTIDY, Rule, longer_than, text_problem

Steps = tuple[tuple[str, str], ...]

_SHORTEST_EXACT = "1e15"  # below it, a DOUBLE without a fraction is written as a plain whole number
_HAS_ZONE = quote_literal(r":\d\d(?:\.\d+)?\s*[A-Za-z+-]")  # a time of day with something after it

# A word begins where a letter or digit follows none. Its apostrophes are inside it (`Ma'ruf`), but for the
# particles of O'Brien, D'Souza and L'Oreal.
_LETTER = r"\p{L}\p{M}\p{N}"
_WORDS = quote_literal(rf"[odl]['’]|[^{_LETTER}]+|[{_LETTER}](?:[{_LETTER}]|['’])*")
_UNUSUAL = quote_literal(rf"[^{_LETTER} ]")
_CAPITALISED = "lambda __word: upper(__word[1]) || __word[2:]"


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where a value goes: its `label` in messages, the `name` of its column, what else it must obey."""

    label: str
    name: str
    rules: tuple[Rule, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Surroundings:
    """What the values of one message share: the row's columns and types, the language, the time zone."""

    column_types: Mapping[str, str]
    language: str
    zone: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Value:
    """One value in SQL. `steps` are (column, SQL) pairs, each over the row and the steps before it.

    `sql` is the finished text: the last step's column, or a literal. `given` is a predicate over the row:
    there was something to show. It is None for a fixed text, which was checked when it was compiled.
    `failure` is the reason when something was given and yet `sql` is NULL. `is_free` says that the text may
    hold anything and must be checked against TEXT_RULES.
    """

    place: Place
    sql: str
    steps: Steps = ()
    given: str | None = None
    failure: str = ""
    is_free: bool = False
    max_length: int | None = None

    def problems(self) -> tuple[tuple[str, str], ...]:
        """Return (predicate over a row with `steps`, reason), in the order in which they are to be told."""
        if self.given is None:
            return ()
        found = [(f"{self.sql} IS NULL AND {self.given}", self.failure)] if self.failure else []
        found.append((f"{self.sql} IS NULL", "blank and no default"))
        if self.is_free:
            found += [(self._broken(rule), rule.reason) for rule in TEXT_RULES]
        found += self._own_problems()
        return tuple((predicate, f"{self.place.label}: {reason}") for predicate, reason in found)

    def own_predicates(self) -> tuple[str, ...]:
        """Return the predicates that only this value has: neither NULL nor one of TEXT_RULES."""
        return tuple(predicate for predicate, _ in self._own_problems())

    def _own_problems(self) -> list[tuple[str, str]]:
        if self.given is None:
            return []
        found = [(self._broken(rule), rule.reason) for rule in self.place.rules]
        if self.max_length is not None:
            found.append((f"length({self.sql}) > {self.max_length}", longer_than(self.max_length)))
        return found

    def _broken(self, rule: Rule) -> str:
        matches = f"regexp_matches({self.sql}, {quote_literal(rule.pattern)})"
        return f"NOT {matches}" if rule.inverted else matches


@dataclass(frozen=True, slots=True, kw_only=True)
class _Shown:
    """A column's text before transforms: its steps (the last one's SQL is the text), and how it can fail."""

    steps: Steps
    failure: str = ""
    is_free: bool = False


def compile_variable(variable: Variable, place: Place, around: Surroundings) -> Value:
    """Compile one variable. SegmentError: the column is missing. TemplateError: the rest cannot be used."""
    if variable.column is None:
        return _fixed(variable, place)
    _check_default(variable, place)
    source = _source(variable.column, place, around)
    kind = read_column_type(source[1])
    column = source[0] if kind.kind is not Kind.TEXT else _as_text(*source)
    given = f"{column} IS NOT NULL"
    if kind.kind is Kind.TEXT:
        given = f"NOT regexp_full_match({column}, {quote_literal(BLANK)})"
    try:
        shown = _shown(variable, kind, column, place.name, around)
    except TemplateError as error:
        raise TemplateError(f"{place.label}: {error.message}", hint=error.hint) from error
    *before, (_, text) = (*shown.steps[:-1], *_transformed(shown.steps[-1], variable.transforms))
    default = "" if variable.default is None else f" ELSE {quote_literal(variable.default)}"
    return Value(
        place=place,
        sql=quote_identifier(place.name),
        steps=(*before, (place.name, f"CASE WHEN {given} THEN {text}{default} END")),
        given=given,
        failure=shown.failure,
        is_free=shown.is_free,
        max_length=variable.max_length,
    )


def _fixed(variable: Variable, place: Place) -> Value:
    text = variable.text or ""
    if variable.format or variable.transforms or variable.default is not None:
        raise TemplateError(
            f"{place.label}: a fixed text takes no `format`, `transform` or `default`",
            hint="write the text as it should read",
        )
    problem = text_problem(text, place.rules, variable.max_length)
    if problem is not None:
        raise TemplateError(f"{place.label}: the fixed text cannot be sent: {problem}")
    return Value(place=place, sql=quote_literal(text))


def _check_default(variable: Variable, place: Place) -> None:
    if variable.default is None:
        return
    problem = text_problem(variable.default, place.rules, variable.max_length)
    if problem is not None:
        raise TemplateError(f"{place.label}: the default cannot be sent: {problem}")


def _source(column: str, place: Place, around: Surroundings) -> tuple[str, str]:
    """Return the column as SQL, and its declared type. Names match as DuckDB's do: case does not count."""
    if column in around.column_types:
        return quote_identifier(column), around.column_types[column]
    for known, declared in around.column_types.items():
        if known.casefold() == column.casefold():
            return quote_identifier(known), declared
    known_columns = list(around.column_types)
    hint = did_you_mean(column, known_columns) or f"it returns {', '.join(map(show_text, known_columns))}"
    raise SegmentError(
        f"{place.label}: the segment's query returns no column `{show_text(column)}`", hint=hint
    )


def _as_text(column: str, declared: str) -> str:
    return column if declared.upper() == "VARCHAR" else f"CAST({column} AS VARCHAR)"


def _transformed(step: tuple[str, str], transforms: tuple[Transform, ...]) -> Steps:
    """Return the steps that apply `transforms` to the text of `step`."""
    steps = []
    name, text = step
    for number, transform in enumerate(transforms, start=1):
        if transform is Transform.TRIM:
            text = f"trim(regexp_replace({text}, {quote_literal(UNTIDY)}, ' ', 'g'))"
        elif transform is Transform.TITLE:
            # A step by itself: `_titled` reads it several times.
            steps.append((f"{name}_lower_{number}", f"lower({text})"))
            text = _titled(quote_identifier(steps[-1][0]))
        else:
            text = f"{transform.value}({text})"
    return (*steps, (name, text))


def _titled(lowered: str) -> str:
    """Return SQL that capitalises words; names of letters and spaces, the most, go a way 3 times as fast."""
    plain = f"array_to_string(list_transform(string_split({lowered}, ' '), {_CAPITALISED}), ' ')"
    words = f"regexp_extract_all({lowered}, {_WORDS})"
    return (
        f"CASE WHEN regexp_matches({lowered}, {_UNUSUAL}) "
        f"THEN array_to_string(list_transform({words}, {_CAPITALISED}), '') ELSE {plain} END"
    )


def _shown(
    variable: Variable, column_type: ColumnType, column: str, name: str, around: Surroundings
) -> _Shown:
    kind = column_type.kind
    if kind is Kind.OTHER:
        raise TemplateError(
            f"column `{show_text(variable.column or '')}` is a list, a structure or bytes, which cannot show",
            hint="make one text or number of it in the query",
        )
    if variable.format is None:
        return _plain(kind, column, name, around)
    language = variable.locale or around.language
    wants_number = kind in {Kind.NUMBER, Kind.DOUBLE} or (
        kind is Kind.TEXT and is_number_pattern(variable.format)
    )
    if wants_number:
        return _number(variable.format, language, column_type, column, name)
    if kind is Kind.BOOLEAN:
        raise TemplateError(
            "a true or false has no `format`", hint="choose the words in the query, with CASE"
        )
    return _date(variable.format, language, kind, column, name, around.zone)


def _plain(kind: Kind, column: str, name: str, around: Surroundings) -> _Shown:
    """Show a column that has no `format`: texts as they are, numbers as written, dates as in ISO 8601."""
    if kind is Kind.TEXT:
        return _Shown(steps=((name, column),), is_free=True)
    if kind is Kind.DOUBLE:
        return _Shown(steps=((name, _shortest(column)),), failure="not a number")
    if kind in {Kind.DATE, Kind.TIMESTAMP, Kind.INSTANT}:
        text = f"CAST({_local(column, kind, around.zone)} AS VARCHAR)"
        return _Shown(steps=((name, f"CASE WHEN isfinite({column}) THEN {text} END"),), failure="not a date")
    return _Shown(steps=((name, f"CAST({column} AS VARCHAR)"),))


def _shortest(column: str) -> str:
    """Return SQL of a DOUBLE's shortest text, without `.0`; NULL for NaN and infinity."""
    is_whole = f"{column} = trunc({column}) AND abs({column}) < {_SHORTEST_EXACT}"
    whole = f"CAST(CAST({column} AS BIGINT) AS VARCHAR)"
    return f"CASE WHEN {is_whole} THEN {whole} WHEN isfinite({column}) THEN CAST({column} AS VARCHAR) END"


def _number(pattern: str, language: str, column_type: ColumnType, column: str, name: str) -> _Shown:
    parsed, symbols = parse_number_pattern(pattern), number_symbols(language)
    if column_type.kind is Kind.NUMBER:
        source = NumberSource(sql=column, width=column_type.width, scale=column_type.scale)
        return _Shown(steps=number_columns(parsed, symbols, source, name), failure="too large a number")
    before: Steps = ()
    if column_type.kind is Kind.DOUBLE:
        before = ((f"{name}_shortest", _shortest(column)),)
        column = quote_identifier(before[0][0])
    source = NumberSource(sql=column, is_text=True)
    steps = number_columns(parsed, symbols, source, name)
    return _Shown(steps=before + steps, failure="not a number, or too large a one")


def _date(pattern: str, language: str, kind: Kind, column: str, name: str, zone: str) -> _Shown:
    parsed = parse_date_pattern(pattern, language)
    if kind is Kind.DATE and parsed.has_time:
        raise TemplateError(f"the pattern `{pattern}` shows a time, and the column holds dates only")
    if kind is Kind.TIME and (parsed.has_date or pattern in STYLES):
        raise TemplateError(f"the pattern `{pattern}` shows a date, and the column holds times of day only")
    moment = f"{name}_moment"
    needs_time = kind is Kind.TEXT and parsed.has_time
    local = _local(column, kind, zone)
    if needs_time:
        local = f"CASE WHEN contains({column}, ':') THEN {local} END"
    known = quote_identifier(moment)
    in_calendar = f"{known} >= TIMESTAMP '0001-01-01' AND {known} < TIMESTAMP '10000-01-01'"
    text = f"CASE WHEN {in_calendar} THEN {date_sql(parsed, language, known)} END"
    failure = "not a date and time" if needs_time else "not a date"
    return _Shown(steps=((moment, local), (name, text)), failure=failure)


def _local(column: str, kind: Kind, zone: str) -> str:
    """Return SQL of the moment in local time: a DATE or a TIMESTAMP, or NULL where a text is neither."""
    at_zone = f"timezone({quote_literal(zone)}, {{}})"
    if kind is Kind.INSTANT:
        return at_zone.format(column)
    if kind is Kind.TIME:
        return f"DATE '2000-01-01' + {column}"
    if kind is Kind.TIMESTAMP:
        return f"CAST({column} AS TIMESTAMP)"
    if kind is Kind.TEXT:
        instant = at_zone.format(f"TRY_CAST({column} AS TIMESTAMP WITH TIME ZONE)")
        local = f"TRY_CAST({column} AS TIMESTAMP)"
        return f"CASE WHEN regexp_matches({column}, {_HAS_ZONE}) THEN {instant} ELSE {local} END"
    return column
