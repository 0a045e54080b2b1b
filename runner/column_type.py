"""What a segment's column holds, read from DuckDB's name for its type; part of rendering."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import Enum

_DECIMAL = re.compile(r"(?:DECIMAL|NUMERIC)\((\d+),\s*(\d+)\)")
_INTEGER_DIGITS = {
    "TINYINT": 3,
    "SMALLINT": 5,
    "INTEGER": 10,
    "UTINYINT": 3,
    "USMALLINT": 5,
    "UINTEGER": 10,
    # One digit more than fits a DECIMAL of 64 bits, but the type itself is the bound.
    "BIGINT": 18,
    "UBIGINT": 20,
    "HUGEINT": 39,
    "UHUGEINT": 39,
}


class Kind(Enum):
    """How a column is shown. OTHER holds no single value to show: a list, a structure, bytes."""

    TEXT = "text"
    NUMBER = "number"
    DOUBLE = "double"
    BOOLEAN = "boolean"
    DATE = "date"
    TIMESTAMP = "timestamp"
    INSTANT = "instant"
    TIME = "time"
    OTHER = "other"


_KINDS = {
    "DOUBLE": Kind.DOUBLE,
    "FLOAT": Kind.DOUBLE,
    "BOOLEAN": Kind.BOOLEAN,
    "DATE": Kind.DATE,
    "TIMESTAMP": Kind.TIMESTAMP,
    "TIMESTAMP_S": Kind.TIMESTAMP,
    "TIMESTAMP_MS": Kind.TIMESTAMP,
    "TIMESTAMP_NS": Kind.TIMESTAMP,
    "TIMESTAMP WITH TIME ZONE": Kind.INSTANT,
    "TIME": Kind.TIME,
    **dict.fromkeys(("BLOB", "BIT", "VARIANT", "GEOMETRY"), Kind.OTHER),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class ColumnType:
    """A column's kind; for a NUMBER the digits in all (`width`) and after the point (`scale`)."""

    kind: Kind
    width: int = 0
    scale: int = 0


def read_column_type(declared: str) -> ColumnType:
    """Read a type as DESCRIBE writes it: `DECIMAL(10,2)`, `TIMESTAMP WITH TIME ZONE`, `VARCHAR[]`.

    A type that is not known here (UUID, ENUM, JSON, INTERVAL, ...) is shown as its text.
    """
    name = declared.strip().upper()
    decimal = _DECIMAL.fullmatch(name)
    if decimal is not None:
        return ColumnType(kind=Kind.NUMBER, width=int(decimal[1]), scale=int(decimal[2]))
    if name in _INTEGER_DIGITS:
        return ColumnType(kind=Kind.NUMBER, width=_INTEGER_DIGITS[name])
    if name.endswith("]") or name.startswith(("STRUCT(", "MAP(", "UNION(")):
        return ColumnType(kind=Kind.OTHER)
    return ColumnType(kind=_KINDS.get(name, Kind.TEXT))
