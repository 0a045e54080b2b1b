"""An event of the ledger -> one row of a log: the same columns in every kind of log (docs/log.md)."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

from runner.control_group import HELD_OUT, HOLDOUT
from runner.delivery import is_forgotten
from runner.logs.interface import Happening, LoggedRun, Row, Withheld


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """A column: its name, and the type of its values (str, int or float); any but `time` may be None."""

    name: str
    type: type[str] | type[int] | type[float]


_TYPES: tuple[tuple[str, type[str] | type[int] | type[float]], ...] = (
    ("time", int),
    ("event_id", str),
    ("event_number", int),
    ("ledger", str),
    ("campaign", str),
    ("occurrence", str),
    ("plan", str),
    ("run", int),
    ("recipient_id", str),
    ("phone", str),
    ("event", str),
    ("rule", str),
    ("attempt", int),
    ("message_id", str),
    ("http_status", int),
    ("code", str),
    ("detail", str),
    ("intent_at", float),
    ("event_at", float),
    ("provider", str),
    ("sender", str),
    ("template", str),
    ("language", str),
    ("source", str),
    ("job_id", str),
    ("context", str),
    ("variant", str),
)
COLUMNS = tuple(Column(name=name, type=kind) for name, kind in _TYPES)

#: Columns whose values are those of the plan, by the same keys of its details, or those of its variant.
_DETAILS = ("provider", "sender", "template", "language", "source", "job_id")


def rows_of(run: LoggedRun, happenings: Iterable[Happening]) -> list[Row]:
    """Return a row for each event, in their order."""
    variants: Mapping[str, Mapping[str, Any]] = run.details.get("variants") or {}
    of_plan = _of_plan(run.details)
    of_variant = {name: _of_plan({**run.details, **variant}) for name, variant in variants.items()}
    return [
        (*_of_event(run, happening), *of_variant.get(happening.variant or "", of_plan), happening.variant)
        for happening in happenings
    ]


def _of_plan(details: Mapping[str, Any]) -> Row:
    return (*(_text(details.get(name)) for name in _DETAILS), _context(details))


def rows_of_held_out(run: LoggedRun, people: Iterable[Withheld]) -> list[Row]:
    """Return a row for each person of a control group, in their order.

    They are no events: their number is 0, so that whatever became of a delivery comes after it. None of them
    has a variant: they are compared with those who got any.
    """
    of_plan = _of_plan(run.details)
    return [(*_of_held_out(run, person), *of_plan, None) for person in people]


def held_out_id(ledger: str, number: int) -> str:
    """Return the `event_id` of a person of a control group."""
    return f"{ledger}-h{number}"


def _of_held_out(run: LoggedRun, held: Withheld) -> Row:
    is_nobody = is_forgotten(held.key.phone)
    person: Row = (None, None) if is_nobody else (held.recipient_id, held.key.phone)
    at = float(held.at)
    before = (math.floor(at), held_out_id(run.ledger, held.number), 0, run.ledger)
    evidence = (None, None, None, None)
    names = (run.campaign, run.occurrence, held.plan, held.run)
    return (*before, *names, *person, HELD_OUT, HOLDOUT, 0, *evidence, at, at)


def _of_event(run: LoggedRun, event: Happening) -> Row:
    """Return the values that differ from row to row. A phone stays text: a number would lose its zeros.

    A row of somebody who was forgotten says nothing of the person.
    Sources: reference/treasure-data.md §1.8 (what becomes of phones), §8 (an explicit `time`).
    """
    person: Row = (event.recipient_id, event.key.phone)
    message_id, detail = event.message_id, event.detail
    if is_forgotten(event.key.phone):
        person, message_id, detail = (None, None), None, None
    return (
        math.floor(event.at),
        f"{run.ledger}-{event.number}",
        event.number,
        run.ledger,
        run.campaign,
        run.occurrence,
        event.plan,
        event.run,
        *person,
        event.event,
        event.rule,
        event.attempt,
        message_id,
        event.http_status,
        event.code,
        detail,
        float(event.intent_at),
        float(event.at),
    )


def _text(value: object) -> str | None:
    return None if value is None else str(value)


def _context(details: Mapping[str, Any]) -> str | None:
    """Return where the plan comes from (git commit, versions, ...) as JSON text; its keys are sorted."""
    context = details.get("context")
    if not context:
        return None
    return json.dumps(_finite(context), ensure_ascii=False, sort_keys=True, separators=(",", ":"))


def _finite(value: Any) -> Any:  # noqa: ANN401 - JSON values
    """Return a JSON value without NaN and infinities: JSON has none, and readers stumble over them."""
    if isinstance(value, dict):
        return {key: _finite(inner) for key, inner in value.items()}
    if isinstance(value, (list, tuple)):
        return [_finite(inner) for inner in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


@cache
def column_names() -> tuple[str, ...]:
    """Return the names of the columns, in order."""
    return tuple(column.name for column in COLUMNS)
