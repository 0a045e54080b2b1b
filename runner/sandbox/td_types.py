"""DuckDB's types and values as Treasure Data names and sends them: in job results and over Trino."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

Convert = Callable[[Any], Any]

_PLAIN = {
    "boolean": "boolean",
    "tinyint": "tinyint",
    "smallint": "smallint",
    "integer": "integer",
    "bigint": "bigint",
    "utinyint": "smallint",
    "usmallint": "integer",
    "uinteger": "bigint",
    "float": "real",
    "double": "double",
    "varchar": "varchar",
}
# Trino sums whole numbers as bigint, DuckDB with 128 bits.
_CAST = {"hugeint": "bigint", "uhugeint": "bigint", "ubigint": "bigint"}
_AS_TEXT = {
    "date": "date",
    "time": "time(6)",
    "interval": "interval day to second",
    "uuid": "uuid",
    "json": "json",
}
_HIVE = {"varchar": "string", "integer": "int", "real": "float"}


@dataclass(frozen=True, slots=True, kw_only=True)
class ResultColumn:
    """A column of a result: its `kind` as Trino names it, and its Trino type signature."""

    name: str
    kind: str
    signature: dict[str, Any]

    def hive_kind(self) -> str:
        """Return the type as Hive names it."""
        return _hive(self.signature)


def _hive(signature: dict[str, Any]) -> str:
    raw = str(signature["rawType"])
    values = [argument["value"] for argument in signature["arguments"]]
    if raw == "decimal":
        return f"decimal({values[0]},{values[1]})"
    if raw == "row":
        parts = [f"{value['fieldName']['name']}:{_hive(value['typeSignature'])}" for value in values]
        return f"struct<{','.join(parts)}>"
    if raw in {"array", "map"}:
        return f"{raw}<{','.join(_hive(value) for value in values)}>"
    return _HIVE.get(raw, raw)


@dataclass(frozen=True, slots=True, kw_only=True)
class Mapped:
    """How one type travels.

    `kind` is Trino's name of it, `raw` and `arguments` its signature. DuckDB converts a value by `sql`, in
    which `{}` is the value; `convert` does what is left to do in Python.
    """

    kind: str
    raw: str
    arguments: tuple[dict[str, Any], ...] = ()
    sql: str = "{}"
    convert: Convert | None = None

    def signature(self) -> dict[str, Any]:
        """Return Trino's typeSignature."""
        return {"rawType": self.raw, "arguments": list(self.arguments)}


def map_type(kind: Any) -> Mapped:  # noqa: ANN401, PLR0911 - DuckDB's type; one return for each kind of type
    """Return how values of DuckDB's type `kind` travel."""
    name = kind.id
    if name in _PLAIN:
        return Mapped(kind=_PLAIN[name], raw=_PLAIN[name], arguments=_varchar(name))
    if name in _CAST:
        return Mapped(kind="bigint", raw="bigint", sql="CAST({} AS BIGINT)")
    if name == "decimal":
        digits, scale = (value for _, value in kind.children)
        numbers = ({"kind": "LONG", "value": digits}, {"kind": "LONG", "value": scale})
        return Mapped(
            kind=f"decimal({digits},{scale})", raw="decimal", arguments=numbers, sql="CAST({} AS VARCHAR)"
        )
    if name.startswith("timestamp"):
        return _timestamp(with_zone="time zone" in name)
    if name in {"list", "array", "map", "struct"}:
        return _nested(kind)
    if name == "blob":
        return Mapped(kind="varbinary", raw="varbinary", sql="base64({})")
    if name in _AS_TEXT:
        trino = _AS_TEXT[name]
        return Mapped(kind=trino, raw=trino.partition("(")[0], sql="CAST({} AS VARCHAR)")
    if name in {"sqlnull", "null", '"null"'}:
        return Mapped(kind="unknown", raw="unknown", sql="CAST({} AS VARCHAR)")
    return Mapped(kind="varchar", raw="varchar", arguments=_varchar("varchar"), sql="CAST({} AS VARCHAR)")


def _varchar(name: str) -> tuple[dict[str, Any], ...]:
    return ({"kind": "LONG", "value": 2147483647},) if name == "varchar" else ()


def _timestamp(*, with_zone: bool) -> Mapped:
    precision = ({"kind": "LONG", "value": 3},)
    if with_zone:
        # The connection's zone is UTC.
        return Mapped(
            kind="timestamp(3) with time zone",
            raw="timestamp with time zone",
            arguments=precision,
            sql="strftime({}, '%Y-%m-%d %H:%M:%S.%g') || ' UTC'",
        )
    return Mapped(
        kind="timestamp(3)",
        raw="timestamp",
        arguments=precision,
        sql="strftime(CAST({} AS TIMESTAMP), '%Y-%m-%d %H:%M:%S.%g')",
    )


def _nested(kind: Any) -> Mapped:  # noqa: ANN401 - as map_type
    name = kind.id
    parts = [
        (part, map_type(child))
        for part, child in kind.children
        if part != "size" and not isinstance(child, int)
    ]
    if name == "struct":
        row_of = tuple(_field(part, child) for part, child in parts)
        kinds = ", ".join(f"{part} {child.kind}" for part, child in parts)
        return Mapped(
            kind=f"row({kinds})", raw="row", arguments=row_of, convert=_struct([c for _, c in parts])
        )
    kinds = ", ".join(child.kind for _, child in parts)
    arguments = tuple({"kind": "TYPE", "value": child.signature()} for _, child in parts)
    if name == "map":
        key, value = (child.convert or _value for _, child in parts)
        return Mapped(kind=f"map({kinds})", raw="map", arguments=arguments, convert=_map(key, value))
    return Mapped(
        kind=f"array({kinds})", raw="array", arguments=arguments, convert=_list(parts[0][1].convert or _value)
    )


def _field(name: str, child: Mapped) -> dict[str, Any]:
    value = {"fieldName": {"name": name}, "typeSignature": child.signature()}
    return {"kind": "NAMED_TYPE", "value": value}


def _value(value: Any) -> Any:  # noqa: ANN401 - any value of a row
    """Return a value inside another as JSON and msgpack take it; dates and decimals become text."""
    return value if value is None or isinstance(value, (bool, int, float, str)) else str(value)


def _list(convert: Convert) -> Convert:
    return lambda values: None if values is None else [None if v is None else convert(v) for v in values]


def _map(key: Convert, value: Convert) -> Convert:
    return lambda pairs: None if pairs is None else {key(k): value(v) for k, v in pairs}


def _struct(children: list[Mapped]) -> Convert:
    converts = [child.convert or _value for child in children]
    return lambda row: (
        None if row is None else [convert(v) for convert, v in zip(converts, row.values(), strict=True)]
    )
