"""A log of Parquet files, one per batch, with the same typed columns whatever a batch holds."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import IO, Any

from runner.logs.batch_file import file_name, log_folder, write_whole
from runner.logs.interface import Batch, Log, LogTools
from runner.logs.rows import COLUMNS


def open_log(settings: Mapping[str, Any], tools: LogTools) -> Log:
    """Return the log in the folder that `settings` names."""
    return ParquetLog(str(settings["folder"]), log_folder(tools.folder, settings))


class ParquetLog:
    """A folder of Parquet files."""

    def __init__(self, shown: str, folder: Path) -> None:
        self.name = f"parquet:{shown}"
        self._folder = folder

    def push(self, batch: Batch) -> None:
        """Write the batch's file; the same batch is the same bytes."""
        write_whole(self._folder / file_name(batch, "parquet"), lambda stream: _write(stream, batch))


def _write(stream: IO[bytes], batch: Batch) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    types = {str: pa.string(), int: pa.int64(), float: pa.float64()}
    schema = pa.schema([(column.name, types[column.type]) for column in COLUMNS])
    values = zip(*batch.rows, strict=True) if batch.rows else ((),) * len(COLUMNS)
    arrays = [pa.array(column, kind.type) for column, kind in zip(values, schema, strict=True)]
    pq.write_table(pa.Table.from_arrays(arrays, schema=schema), stream, compression="zstd")
