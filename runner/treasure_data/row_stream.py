"""A job's rows, streamed as msgpack into a Parquet file: in constant memory, whole or not at all.

td-client yields one Python list a row; here rows become columns a few hundred at a time, so that a million
rows are never a million objects (reference/treasure-data.md §1.6). One thread does all that needs Python;
only the writing of what is finished, two calls of Arrow, runs beside it: two threads of Python would wait for
each other, and be slower than one.
"""

from __future__ import annotations

import gc
import struct
import sys
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from runner.errors import SegmentError, TreasureDataError
from runner.treasure_data.account import Account
from runner.treasure_data.arrow_columns import ArrayMaker, arrow_type, sound
from runner.treasure_data.client import explained
from runner.treasure_data.jobs import FinishedJob

if TYPE_CHECKING:
    import pyarrow as pa
    import pyarrow.parquet as pq

_CHUNK = 1024 * 1024
#: Rows that become columns at once.
_ROWS = 1000
#: What is written to disk together: so many rows, or the rows of so many bytes.
_GROUP_ROWS = 50_000
_GROUP_BYTES = 32 * 1024 * 1024
#: The largest row that is read, in bytes; a query's result may come from anywhere.
_LARGEST_ROW = 64 * 1024 * 1024
_DOWNLOADS = 5
#: How long one thread may keep the other from Python, in seconds.
_SWITCH_SECONDS = 0.0005
_OK = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """One column to keep: its name in the file, its place in a row, and its type in the engine's words."""

    name: str
    place: int
    kind: str


def write_rows(account: Account, job: FinishedJob, columns: Sequence[Column], target: Path) -> int:
    """Write `columns` of the job's rows to the Parquet file `target`, and return how many rows there are.

    A download that breaks off is made again, from the start. Errors: TreasureDataError, SegmentError.
    """
    for attempt in range(1, _DOWNLOADS + 1):
        try:
            rows = _download(account, job, columns, target)
        except TreasureDataError as error:
            if attempt == _DOWNLOADS or not job.calls.may_pass:
                raise
            job.calls.pause(error.message, attempt - 1)
            continue
        if job.rows is None or rows == job.rows:
            return rows
    raise TreasureDataError(
        f"the rows of job {job.id} do not arrive whole: {rows:,} of {job.rows:,}",
        hint="plan again: the job is done, and its rows are kept",
    )


def _download(account: Account, job: FinishedJob, columns: Sequence[Column], target: Path) -> int:
    """Download once. One group is written while the next is read, so memory does not grow with the rows."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    schema = pa.schema([(column.name, arrow_type(column.kind)) for column in columns])
    gathering = [
        _Gathering(column, ArrayMaker(field.type)) for column, field in zip(columns, schema, strict=True)
    ]
    count = 0
    written: Future[None] | None = None
    with (
        # Statistics would cost as much as the writing; the file is read whole.
        pq.ParquetWriter(
            target, schema, compression="lz4", use_dictionary=False, write_statistics=False
        ) as writer,
        ThreadPoolExecutor(1, thread_name_prefix="parquet") as disk,
        _tuned_interpreter(),
    ):
        for arrays in _groups(account, job, gathering):
            group = pa.record_batch(arrays, schema=schema)
            count += group.num_rows
            if written is not None:
                written.result()
            written = disk.submit(_write, writer, group)
        if written is not None:
            written.result()
    return count


def _write(writer: pq.ParquetWriter, group: pa.RecordBatch) -> None:
    writer.write_batch(sound(group))


@contextmanager
def _tuned_interpreter() -> Iterator[None]:
    """Tune the interpreter to a download, for as long as it lasts.

    Rows are many objects and no cycles: looking for garbage among them would take a twentieth of the time.
    And the writing wants the interpreter for a moment after each of its calls: to wait 5 ms for it each time
    would make the reading wait for the writing.
    """
    looked, switching = gc.isenabled(), sys.getswitchinterval()
    gc.disable()
    sys.setswitchinterval(_SWITCH_SECONDS)
    try:
        yield
    finally:
        sys.setswitchinterval(switching)
        if looked:
            gc.enable()


class _Gathering:
    """One column's values, until there are enough of them for an array; SegmentError for those of no use."""

    def __init__(self, column: Column, maker: ArrayMaker) -> None:
        import pyarrow as pa

        self._column = column
        self._maker = maker
        self._trouble = (pa.ArrowException, TypeError, ValueError, ArithmeticError, struct.error)

    def add(self, transposed: Sequence[Sequence[Any]]) -> None:
        """Take this column's values of some rows."""
        try:
            self._maker.add(transposed[self._column.place])
        except self._trouble:
            raise self._other_values() from None

    def array(self) -> pa.Array:
        """Give all values that were taken, and begin anew."""
        try:
            return self._maker.array()
        except self._trouble:
            raise self._other_values() from None

    def _other_values(self) -> SegmentError:
        name, kind = self._column.name, self._column.kind
        return SegmentError(
            f"segment query: the column `{name}` is {kind}, but holds other values",
            hint=f"write CAST({name} AS varchar) in the query",
        )


def _groups(account: Account, job: FinishedJob, columns: Sequence[_Gathering]) -> Iterator[list[pa.Array]]:
    """Yield the wanted columns of the rows as they arrive, some ten thousand rows at a time."""
    rows = begin = 0
    for taken, end in _rows(account, job):
        transposed = _transposed(taken, job)
        for column in columns:
            column.add(transposed)
        rows += len(taken)
        if rows >= _GROUP_ROWS or end - begin >= _GROUP_BYTES:
            yield [column.array() for column in columns]
            rows, begin = 0, end
    if rows:
        yield [column.array() for column in columns]


def _rows(account: Account, job: FinishedJob) -> Iterator[tuple[list[Any], int]]:
    """Yield the rows as they arrive, a few hundred at a time, and the byte of the stream that they end at.

    TreasureDataError when the stream ends within a row, SegmentError for a row that is too large.
    """
    import msgpack

    path, api = f"/v3/job/result/{job.id}?format=msgpack&header=False", job.calls.client.api
    doing = f"downloading the rows of job {job.id}"
    with explained(account, doing, heard=lambda: job.calls.refused_with), api.get(path) as answer:
        if answer.status != _OK:
            api.raise_error("job result", answer, answer.read())
        unpacker = msgpack.Unpacker(
            raw=True, use_list=False, strict_map_key=False, max_buffer_size=_LARGEST_ROW
        )
        arrived = 0
        for chunk in answer.stream(_CHUNK):
            arrived += len(chunk)
            try:
                unpacker.feed(chunk)
            except msgpack.BufferFull:
                raise _too_large(job) from None
            while rows := list(islice(unpacker, _ROWS)):
                yield rows, unpacker.tell()
    if unpacker.tell() != arrived:
        raise TreasureDataError(
            f"the rows of job {job.id} break off in the middle of one",
            hint="plan again: the job is done, and its rows are kept",
        )


def _too_large(job: FinishedJob) -> SegmentError:
    return SegmentError(
        f"segment query: a row of job {job.id} is larger than {_LARGEST_ROW // 1024**2} MiB",
        hint="select only the columns that the campaign needs",
    )


def _transposed(rows: Sequence[Any], job: FinishedJob) -> list[tuple[Any, ...]]:
    try:
        taken = list(zip(*rows, strict=True))
    except (TypeError, ValueError):
        taken = []
    if len(taken) != len(job.columns):
        raise TreasureDataError(
            f"the rows of job {job.id} do not have its {len(job.columns)} columns",
            hint="look at the job's result in Treasure Data",
        )
    return taken
