"""Parameters into SQL: each `:name` becomes a typed literal, and no value can change what the query is.

The query is cut into tokens as its dialect has them, so that a colon in a text, a comment, a name or a cast
is left alone. Then the bound query is cut again: it must be the tokens of the one that was reviewed, with one
literal in the place of each `:name`. Pure.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timezone
from decimal import Decimal
from difflib import get_close_matches
from itertools import pairwise
from typing import TYPE_CHECKING

from runner.campaign import ParameterScalar, ParameterValue
from runner.errors import SegmentError

if TYPE_CHECKING:
    from sqlglot.tokenizer_core import Token

_HINT = "a parameter is written `:name`, and its value stands under `params`"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Place:
    """Where a `:name` stands in the query: characters `start` to `end`, and its token's number."""

    name: str
    start: int
    end: int
    token: int


def bind(sql: str, params: Mapping[str, ParameterValue], dialect: str) -> str:
    """Return `sql` with each `:name` written as the literal of its value; `dialect` is trino or hive.

    SegmentError for a `:name` without a value, a value that no `:name` asks for, one that has no literal, and
    a query that cannot be cut into tokens.
    """
    tokens = tokens_of(sql, dialect)
    places = tuple(_places(tokens))
    _check_names({place.name for place in places}, params)
    literals = {name: literal(value, dialect) for name, value in params.items()}
    bound, end = "", 0
    for place in places:
        bound += sql[end : place.start] + literals[place.name]
        end = place.end
    bound += sql[end:]
    if _words(tokens_of(bound, dialect)) != tuple(_expected(tokens, places, literals, dialect)):
        raise SegmentError("segment query: a parameter would change the query", hint=_HINT)
    return bound


def tokens_of(sql: str, dialect: str) -> list[Token]:
    """Return the query's tokens; SegmentError for a text that has none, such as an open quote."""
    from sqlglot.dialects.dialect import Dialect
    from sqlglot.errors import TokenError

    try:
        return Dialect.get_or_raise(dialect).tokenize(sql)
    except TokenError:
        raise SegmentError(
            "segment query: cannot be read as SQL", hint="look for a quote or a comment that does not end"
        ) from None


def literal(value: ParameterValue, dialect: str) -> str:
    """Return a value as a literal of the dialect; a list as `(1, 2)`, for `IN :name`."""
    if isinstance(value, tuple):
        if not value:
            raise SegmentError(
                "segment query: a parameter is an empty list", hint="give it at least one value"
            )
        return f"({', '.join(_scalar(each, dialect) for each in value)})"
    return _scalar(value, dialect)


def _scalar(value: ParameterScalar, dialect: str) -> str:
    if isinstance(value, str):
        return _text(value, dialect)
    if isinstance(value, bool):
        return "TRUE" if value else "FALSE"
    if isinstance(value, int):
        # In brackets where it is negative: `a -:b` must not become a comment, `a --1`.
        return str(value) if value >= 0 else f"({value})"
    if isinstance(value, date):
        return _moment(value)
    return _fraction(value)


def _moment(value: date) -> str:
    if not isinstance(value, datetime):
        return f"DATE '{value.isoformat()}'"
    moment = value if value.tzinfo is None else value.astimezone(timezone.utc).replace(tzinfo=None)
    return f"TIMESTAMP '{moment.isoformat(sep=' ')}'"


def _fraction(value: Decimal | float) -> str:
    if isinstance(value, float):
        return f"CAST('{value!r}' AS DOUBLE)"
    scale = max(0, -int(value.as_tuple().exponent))
    digits = len(f"{abs(value):f}".replace(".", ""))
    return f"CAST('{value:f}' AS DECIMAL({max(digits, scale + 1)}, {scale}))"


def _text(value: str, dialect: str) -> str:
    if "\0" in value:
        raise SegmentError("segment query: a parameter holds a NUL character", hint="take it out")
    if dialect == "hive":
        # Hive reads a backslash, and two quotes as two texts side by side.
        return "'" + value.replace("\\", "\\\\").replace("'", "\\'") + "'"
    return "'" + value.replace("'", "''") + "'"


def _places(tokens: Sequence[Token]) -> Iterator[_Place]:
    """Yield each colon with a name right behind it and no name right before it (`struct<a:int>`)."""
    from sqlglot.tokenizer_core import TokenType

    for number, (colon, name) in enumerate(pairwise(tokens)):
        if colon.token_type is not TokenType.COLON or name.start != colon.end + 1:
            continue
        if not (name.text.isidentifier() and name.text.isascii()) or name.token_type is TokenType.STRING:
            continue
        before = tokens[number - 1] if number else None
        if before is not None and before.end + 1 == colon.start and _is_word(before):
            continue
        yield _Place(name=name.text, start=colon.start, end=name.end + 1, token=number)


def _is_word(token: Token) -> bool:
    return token.text[-1:].isalnum() or token.text[-1:] in {"_", '"', "`"}


def _check_names(asked: set[str], params: Mapping[str, ParameterValue]) -> None:
    for name in sorted(asked - params.keys()):
        near = get_close_matches(name, params, n=1)
        raise SegmentError(
            f"segment query: there is no parameter `{name}`",
            hint=f"did you mean `{near[0]}`?" if near else f"add it under `params: {{{name}: ...}}`",
        )
    for name in sorted(params.keys() - asked):
        raise SegmentError(f"segment query: does not use the parameter `{name}`", hint=_HINT)


def _expected(
    tokens: Sequence[Token], places: Sequence[_Place], literals: Mapping[str, str], dialect: str
) -> Iterator[tuple[object, str]]:
    """Yield the tokens that the bound query must have."""
    starts = {place.token: place.name for place in places}
    skipped = {number + 1 for number in starts}
    for number, token in enumerate(tokens):
        if number in starts:
            yield from _words(tokens_of(literals[starts[number]], dialect))
        elif number not in skipped:
            yield token.token_type, token.text


def _words(tokens: Sequence[Token]) -> tuple[tuple[object, str], ...]:
    return tuple((token.token_type, token.text) for token in tokens)
