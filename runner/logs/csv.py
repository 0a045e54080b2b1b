"""A log of CSV files, one per batch: RFC 4180, UTF-8, a header line, nothing where there is no value."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping
from pathlib import Path
from typing import IO, Any

from runner.logs.batch_file import file_name, log_folder, write_whole
from runner.logs.interface import Batch, Log, LogTools
from runner.logs.rows import column_names


def open_log(settings: Mapping[str, Any], tools: LogTools) -> Log:
    """Return the log in the folder that `settings` names."""
    return CsvLog(str(settings["folder"]), log_folder(tools.folder, settings))


class CsvLog:
    """A folder of CSV files."""

    def __init__(self, shown: str, folder: Path) -> None:
        self.name = f"csv:{shown}"
        self._folder = folder

    def push(self, batch: Batch) -> None:
        """Write the batch's file; the same batch is the same bytes."""
        write_whole(self._folder / file_name(batch, "csv"), lambda stream: _write(stream, batch))


def _write(stream: IO[bytes], batch: Batch) -> None:
    """Write values byte for byte: a text that begins with `=` stays what the ledger holds (docs/log.md)."""
    text = io.TextIOWrapper(stream, encoding="utf-8", newline="", write_through=True)
    writer = csv.writer(text, lineterminator="\r\n")
    writer.writerow(column_names())
    writer.writerows(batch.rows)
    text.detach()
