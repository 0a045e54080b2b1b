"""What clients import into the Treasure Data sandbox: msgpack -> Parquet, and bulk import sessions."""

from __future__ import annotations

import gzip
import json
import uuid
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path
from typing import Any

import msgpack
import pyarrow as pa
import pyarrow.parquet as pq

from runner.sandbox.td_errors import TableError
from runner.sandbox.td_tables import TableStore

_BATCH = 10_000
_GZIP_MAGIC = b"\x1f\x8b"
_LARGEST = 2**63
_BROKEN = (msgpack.UnpackException, ValueError, TypeError, EOFError, OSError, zlib.error)


def write_records(source: Path, target: Path, *, now: int) -> int:
    """Write the msgpack maps in `source`, compressed or not, to the Parquet file `target`; return how many.

    A column is long, double, or else a string; what is nested becomes JSON. A record without a time gets
    `now`. TableError 422 where the file is no such records.
    """
    try:
        schema = _schema(source)
        with pq.ParquetWriter(target, schema) as writer:
            count = 0
            for records in _batches(source):
                writer.write_table(_table(records, schema, now))
                count += len(records)
    except _BROKEN:
        target.unlink(missing_ok=True)
        raise TableError(422, "The data is not msgpack records") from None
    return count


def import_records(
    tables: TableStore, database: str, table: str, source: Path, *, part: str, now: int
) -> int:
    """Add the records in `source` to a table as `part`; none where the part is there. Errors: TableError."""
    tables.table(database, table)
    if tables.has_part(database, table, part):
        return 0
    target = tables.work.path() / f"{uuid.uuid4().hex}.parquet"
    count = write_records(source, target, now=now)
    return count if tables.add_part(database, table, part, target) else 0


def _batches(source: Path) -> Iterator[list[dict[str, Any]]]:
    with source.open("rb") as file:
        packed = file.read(2) == _GZIP_MAGIC
        file.seek(0)
        stream = gzip.GzipFile(fileobj=file) if packed else file
        batch = []
        for record in msgpack.Unpacker(stream, raw=False, strict_map_key=False, unicode_errors="replace"):
            if not isinstance(record, dict):
                raise TypeError(record)
            batch.append({str(name).lower(): value for name, value in record.items()})
            if len(batch) == _BATCH:
                yield batch
                batch = []
        if batch:
            yield batch


def _schema(source: Path) -> pa.Schema:
    kinds: dict[str, set[type]] = {}
    for records in _batches(source):
        for record in records:
            for name, value in record.items():
                found = kinds.setdefault(name, set())
                if value is not None:
                    found.add(_kind(value))
    kinds.pop("time", None)
    return pa.schema([*((name, _arrow(found)) for name, found in kinds.items()), ("time", pa.int64())])


def _kind(value: object) -> type:
    too_large = isinstance(value, int) and not -_LARGEST <= value < _LARGEST
    return str if too_large else type(value)


def _arrow(kinds: set[type]) -> pa.DataType:
    if kinds == {int}:
        return pa.int64()
    return pa.float64() if kinds and kinds <= {int, float} else pa.string()


def _table(records: list[dict[str, Any]], schema: pa.Schema, now: int) -> pa.Table:
    columns = []
    for field_ in schema:
        values = [record.get(field_.name) for record in records]
        if field_.name == "time":
            values = [_time(value, now) for value in values]
        elif field_.type == pa.string():
            values = [_text(value) for value in values]
        columns.append(pa.array(values, type=field_.type))
    return pa.table(columns, schema=schema)


def _time(value: object, now: int) -> int:
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return int(value)
    return int(value) if isinstance(value, str) and value.isdecimal() else now


def _text(value: object) -> str | None:
    if value is None or isinstance(value, str):
        return value
    return json.dumps(value, ensure_ascii=False, default=str)


class BulkStatus(Enum):
    """Where a bulk import is; the value is Treasure Data's word."""

    UPLOADING = "uploading"
    PERFORMING = "performing"
    READY = "ready"
    COMMITTED = "committed"


@dataclass(slots=True, kw_only=True)
class BulkImport:
    """One bulk import session: its uploaded parts, and after `perform` the Parquet files they became."""

    name: str
    database: str
    table: str
    status: BulkStatus = BulkStatus.UPLOADING
    frozen: bool = False
    job: str | None = None
    parts: dict[str, Path] = field(default_factory=dict)
    ready: list[Path] = field(default_factory=list)
    records: int = 0
    broken: int = 0

    def shown(self) -> dict[str, Any]:
        """Return the session as /v3/bulk_import/show words it (reference/treasure-data.md §1.5)."""
        return {
            "name": self.name,
            "bulk_import": self.name,
            "database": self.database,
            "table": self.table,
            "status": self.status.value,
            "upload_frozen": self.frozen,
            "job_id": self.job,
            "valid_records": self.records,
            "error_records": 0,
            "valid_parts": len(self.parts) - self.broken,
            "error_parts": self.broken,
        }


def perform(session: BulkImport, tables: TableStore, now: int) -> None:
    """Turn the uploaded parts into Parquet files; a part that is broken is counted and left out."""
    for path in session.parts.values():
        target = tables.work.path() / f"{uuid.uuid4().hex}.parquet"
        try:
            session.records += write_records(path, target, now=now)
        except TableError:
            session.broken += 1
        else:
            session.ready.append(target)
    session.status = BulkStatus.READY


def commit(session: BulkImport, tables: TableStore) -> None:
    """Add the session's files to the table. Errors: TableError."""
    for path in session.ready:
        tables.add_part(session.database, session.table, path.stem, path)
    session.ready.clear()
    session.status = BulkStatus.COMMITTED


def discard(session: BulkImport) -> None:
    """Delete what a session has on disk."""
    for path in (*session.parts.values(), *session.ready):
        path.unlink(missing_ok=True)
