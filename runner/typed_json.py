"""JSON values -> dataclasses, every value of the type that its field names; for documents from outside."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import is_dataclass
from datetime import datetime
from functools import cache
from math import isfinite
from types import NoneType, UnionType
from typing import Any, Union, get_args, get_origin, get_type_hints


def read_typed(kind: Any, value: Any) -> Any:  # noqa: ANN401 - a type, and any JSON value
    """Return `value` as `kind`: a dataclass, or what the fields of one may be. ValueError when it is not one.

    An object has the keys of its dataclass and no other; times are ISO 8601 with an offset; numbers finite.
    """
    if kind is Any:
        return value
    if is_dataclass(kind) and isinstance(kind, type):
        return _dataclass(kind, value)
    if get_origin(kind) is not None:
        return _parts(kind, value)
    if kind is datetime:
        return _moment(value)
    is_number = kind is float and type(value) is int
    if not (type(value) is kind or is_number) or (type(value) is float and not isfinite(value)):
        raise ValueError(f"{type(value).__name__} instead of {kind.__name__}")
    return value


def _dataclass(kind: type, value: Any) -> Any:  # noqa: ANN401 - any JSON value
    hints = _hints(kind)
    if type(value) is not dict or value.keys() != hints.keys():
        raise ValueError(f"not the keys of {kind.__name__}")
    return kind(**{name: read_typed(hint, value[name]) for name, hint in hints.items()})


def _parts(kind: Any, value: Any) -> Any:  # noqa: ANN401 - a generic type, and any JSON value
    origin, arguments = get_origin(kind), get_args(kind)
    if origin in {Union, UnionType}:
        return _one_of(arguments, value)
    if origin is Mapping and type(value) is dict:
        return {key: read_typed(arguments[1], item) for key, item in value.items()}
    if origin is tuple and type(value) is list:
        kinds = arguments[:1] * len(value) if arguments[-1] is Ellipsis else arguments
        return tuple(read_typed(one, item) for one, item in zip(kinds, value, strict=True))
    raise ValueError(f"{type(value).__name__} instead of {kind}")


def _one_of(kinds: tuple[Any, ...], value: Any) -> Any:  # noqa: ANN401 - types, and any JSON value
    """Return `value` as the one kind beside None, or None: no field here has more."""
    (kind,) = (one for one in kinds if one is not NoneType)
    return None if value is None else read_typed(kind, value)


def _moment(value: Any) -> datetime:  # noqa: ANN401 - any JSON value
    moment = datetime.fromisoformat(value) if isinstance(value, str) else None
    if moment is None or moment.utcoffset() is None:
        raise ValueError("no time with an offset")
    return moment


@cache
def _hints(kind: type) -> Mapping[str, Any]:
    return get_type_hints(kind)
