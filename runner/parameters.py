"""What a query's `:name` stands for: values of the campaign file, or given by `--param`; no I/O.

The campaign file declares a parameter's type and, mostly, its value. `runner plan --param NAME=VALUE` gives
another value of the same type, or the database and table that an activation names.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import date, datetime, timezone
from decimal import Decimal, InvalidOperation
from difflib import get_close_matches
from math import isfinite
from typing import Any

from runner.campaign import Campaign, Parameter, ParameterScalar, ParameterType, ParameterValue, Segment
from runner.errors import UsageError


def read_parameter(written: Any) -> Parameter:  # noqa: ANN401 - a value that the schema let pass
    """Return the parameter that a campaign file writes; ValueError, in words, where it is none of its type.

    A plain value has the type it is written in; a mapping says `type`, and `value` where there is one.
    """
    if isinstance(written, dict):
        kind = ParameterType(written["type"])
        return Parameter(type=kind, value=_value(kind, written["value"]) if "value" in written else None)
    kind = _type_of(written[0] if isinstance(written, list) else written)
    return Parameter(type=kind, value=_value(kind, written))


def with_parameters(campaign: Campaign, given: Mapping[str, str]) -> Campaign:
    """Return the campaign with its segment's parameters as `given`, or else as its file says.

    UsageError for one that it does not have, one without a value, and a value not of its type.
    """
    segment = campaign.segment
    known = parameter_names(segment)
    for name in given:
        if name not in known:
            near = get_close_matches(name, known, n=1)
            hint = f"did you mean {near[0]}?" if near else f"it has: {', '.join(sorted(known)) or 'none'}"
            raise UsageError(f"{campaign.name} has no parameter {name!r}", hint=hint)
    named = {key: _given(campaign.name, key, name, given) for key, name in segment.references.items()}
    filled = replace(
        segment,
        params={name: _filled(name, kind, given) for name, kind in segment.declared.items()},
        database=named.get("database", segment.database),
        table=named.get("table", segment.table),
    )
    return replace(campaign, segment=filled)


def parameter_names(segment: Segment) -> frozenset[str]:
    """Return the names that `--param` may give for a segment."""
    return frozenset((*segment.declared, *segment.references.values()))


def read_given(arguments: Sequence[str]) -> dict[str, str]:
    """Return what `--param NAME=VALUE` arguments give; UsageError for another form, or a name twice."""
    given: dict[str, str] = {}
    for argument in arguments:
        name, separator, value = argument.partition("=")
        if not separator or not name:
            raise UsageError(f"--param {argument!r} is not NAME=VALUE", hint="--param min_points=100")
        if name in given:
            raise UsageError(f"--param {name} is given twice", hint="give each parameter once")
        given[name] = value
    return given


def _given(campaign: str, key: str, name: str, given: Mapping[str, str]) -> str:
    """Return the database or table (`key`) that a parameter names; UsageError for what names none."""
    found = given.get(name, "").strip()
    if not found:
        raise UsageError(f"{campaign} needs the parameter {name}", hint=f"--param {name}=...")
    if not _NAMES[key].fullmatch(found):
        raise UsageError(
            f"--param {name}: {found!r} is the name of no {key}", hint="a to z, 0 to 9 and _, 3 at least"
        )
    return found


def _filled(name: str, parameter: Parameter, given: Mapping[str, str]) -> ParameterValue:
    if name not in given:
        if parameter.value is None:
            raise UsageError(f"the parameter {name} has no value", hint=f"--param {name}=...")
        return parameter.value
    try:
        if isinstance(parameter.value, tuple):
            return tuple(_from_text(parameter.type, each.strip()) for each in given[name].split(","))
        return _from_text(parameter.type, given[name])
    except ValueError as error:
        raise UsageError(f"--param {name}: {error}", hint=f"its type is {parameter.type.value}") from None


def _type_of(written: object) -> ParameterType:
    if isinstance(written, bool):
        return ParameterType.BOOLEAN
    if isinstance(written, int):
        return ParameterType.INTEGER
    return ParameterType.DOUBLE if isinstance(written, float) else ParameterType.STRING


def _value(kind: ParameterType, written: object) -> ParameterValue:
    if isinstance(written, list):
        return tuple(_scalar(kind, each) for each in written)
    return _scalar(kind, written)


def _scalar(kind: ParameterType, written: object) -> ParameterScalar:
    if isinstance(written, bool) or kind is ParameterType.BOOLEAN:
        if isinstance(written, bool) and kind is ParameterType.BOOLEAN:
            return written
        raise ValueError(_not_a(kind, written))
    if isinstance(written, str) is not (kind in _WRITTEN_AS_TEXT) and kind is not ParameterType.DECIMAL:
        raise ValueError(_not_a(kind, written))
    return _from_text(kind, str(written))


def _from_text(kind: ParameterType, text: str) -> ParameterScalar:
    try:
        return _READERS[kind](text)
    except (ValueError, InvalidOperation):
        raise ValueError(_not_a(kind, text)) from None


def _not_a(kind: ParameterType, written: object) -> str:
    return f"{written!r} is no {kind.value}"


def _boolean(text: str) -> bool:
    return {"true": True, "false": False}[text] if text in {"true", "false"} else _fail()


def _double(text: str) -> float:
    value = float(text)
    return value if isfinite(value) else _fail()


def _decimal(text: str) -> Decimal:
    value = Decimal(text)
    return value if value.is_finite() else _fail()


def _timestamp(text: str) -> datetime:
    """Read a moment without a zone, or in UTC: whether a server keeps another zone is not known here."""
    moment = datetime.fromisoformat(text.replace("Z", "+00:00"))
    if moment.tzinfo is None:
        return moment
    return moment.astimezone(timezone.utc) if not moment.utcoffset() else _fail()


def _fail() -> Any:  # noqa: ANN401 - never returns
    raise ValueError


#: As campaign.schema.json has them; an activation names its table sometimes with its database.
_NAMES = {
    "database": re.compile(r"[a-z0-9_]{3,255}"),
    "table": re.compile(r"(?:[a-z0-9_]{3,255}\.)?[a-z0-9_]{3,255}"),
}
_WRITTEN_AS_TEXT = {ParameterType.STRING, ParameterType.DATE, ParameterType.TIMESTAMP}
_READERS: Mapping[ParameterType, Callable[[str], ParameterScalar]] = {
    ParameterType.STRING: str,
    ParameterType.INTEGER: int,
    ParameterType.DECIMAL: _decimal,
    ParameterType.DOUBLE: _double,
    ParameterType.BOOLEAN: _boolean,
    ParameterType.DATE: date.fromisoformat,
    ParameterType.TIMESTAMP: _timestamp,
}
