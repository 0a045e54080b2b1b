"""A query's rows on their way out: DuckDB -> Arrow -> msgpack in files, a batch in memory at a time."""

from __future__ import annotations

import json
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb
import msgpack

from runner.sandbox.td_types import Mapped, ResultColumn, map_type

_BATCH = 16_384
_GZIP = 31  # zlib's window bits for a gzip stream


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredResult:
    """A result that is kept: one msgpack array for each row in `plain`, the same compressed in `packed`."""

    columns: tuple[ResultColumn, ...]
    rows: int
    plain: Path
    packed: Path

    def schema(self, *, hive: bool) -> str:
        """Return hive_result_schema: a JSON list of [name, type], as text."""
        return json.dumps(
            [[column.name, column.hive_kind() if hive else column.kind] for column in self.columns]
        )

    def pages(self, size: int) -> Iterator[list[list[Any]]]:
        """Yield the rows in pages of at most `size`."""
        with self.plain.open("rb") as file:
            page: list[list[Any]] = []
            for row in msgpack.Unpacker(file, raw=False, strict_map_key=False):
                page.append(row)
                if len(page) == size:
                    yield page
                    page = []
            if page:
                yield page


def store_result(connection: duckdb.DuckDBPyConnection, select: str, target: Path) -> StoredResult:
    """Run `select` and keep its rows in files that begin with `target`'s name. Errors: duckdb.Error."""
    relation = connection.sql(select)
    names, types = relation.columns, [map_type(kind) for kind in relation.types]
    values = ", ".join(f"{mapped.sql.format(f'c{index}')} AS c{index}" for index, mapped in enumerate(types))
    numbered = ", ".join(f"c{index}" for index in range(len(types)))
    rows = connection.sql(f"SELECT {values} FROM (\n{select}\n) AS result({numbered})")
    plain, packed = target.with_suffix(".msgpack"), target.with_suffix(".msgpack.gz")
    return StoredResult(
        columns=tuple(
            ResultColumn(name=name, kind=mapped.kind, signature=mapped.signature())
            for name, mapped in zip(names, types, strict=True)
        ),
        rows=_write(rows, types, plain, packed),
        plain=plain,
        packed=packed,
    )


def _write(rows: duckdb.DuckDBPyRelation, types: list[Mapped], plain: Path, packed: Path) -> int:
    pack, squeeze, count = msgpack.Packer().pack, zlib.compressobj(1, zlib.DEFLATED, _GZIP), 0
    with plain.open("wb") as open_plain, packed.open("wb") as open_packed:
        for batch in rows.to_arrow_reader(_BATCH):
            columns = []
            for mapped, column in zip(types, batch.columns, strict=True):
                values = column.to_pylist()
                columns.append([mapped.convert(v) for v in values] if mapped.convert else values)
            text = b"".join(map(pack, zip(*columns, strict=True)))
            open_plain.write(text)
            open_packed.write(squeeze.compress(text))
            count += batch.num_rows
        open_packed.write(squeeze.flush())
    return count
