"""runner.typed_json: JSON values as dataclasses, or a ValueError."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import Any

import pytest

from runner.typed_json import read_typed


@dataclass(frozen=True)
class Inner:
    name: str
    pairs: tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class Outer:
    count: int
    rate: float | None
    on: bool
    at: datetime
    inner: Inner | None
    many: tuple[Inner, ...]
    words: Mapping[str, str]
    anything: Any = None


SOUND = {
    "count": 1,
    "rate": 5,
    "on": True,
    "at": "2026-03-01T12:00:00+00:00",
    "inner": {"name": "a", "pairs": [["x", "y"]]},
    "many": [{"name": "b", "pairs": []}],
    "words": {"k": "v"},
    "anything": [1, {"x": None}],
}


def test_every_value_comes_out_as_its_field_says():
    assert read_typed(Outer, SOUND) == Outer(
        count=1,
        rate=5,
        on=True,
        at=datetime(2026, 3, 1, 12, tzinfo=timezone.utc),
        inner=Inner(name="a", pairs=(("x", "y"),)),
        many=(Inner(name="b", pairs=()),),
        words={"k": "v"},
        anything=[1, {"x": None}],
    )
    assert read_typed(Outer, {**SOUND, "rate": None, "inner": None}).inner is None


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("count", True),
        ("count", 1.0),
        ("count", "1"),
        ("count", None),
        ("rate", "5"),
        ("rate", float("nan")),
        ("rate", float("inf")),
        ("on", 1),
        ("at", "2026-03-01T12:00:00"),
        ("at", "soon"),
        ("at", 5),
        ("inner", {"name": "a"}),
        ("inner", {"name": "a", "pairs": [], "more": 1}),
        ("inner", {"name": "a", "pairs": [["x"]]}),
        ("inner", {"name": "a", "pairs": "xy"}),
        ("inner", []),
        ("many", {}),
        ("many", [None]),
        ("words", {"k": 1}),
        ("words", [["k", "v"]]),
    ],
)
def test_a_value_of_another_type_is_a_value_error(key, value):
    with pytest.raises(ValueError, match=r"instead of|not the keys|no time|isoformat|zip"):
        read_typed(Outer, {**SOUND, key: value})


@pytest.mark.parametrize("value", [None, [], "x", {}, {**SOUND, "more": 1}])
def test_an_object_has_the_keys_of_its_dataclass_and_no_other(value):
    with pytest.raises(ValueError, match="not the keys of Outer"):
        read_typed(Outer, value)
