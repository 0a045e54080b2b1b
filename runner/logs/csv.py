"""A log of CSV files, one per batch: RFC 4180, UTF-8, a header line, nothing where there is no value."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import IO, Any

from runner.logs.batch_file import file_name, log_folder, write_whole
from runner.logs.interface import Batch, Log, LogTools
from runner.logs.rows import column_names
from runner.spreadsheet import no_formula


def open_log(settings: Mapping[str, Any], tools: LogTools) -> Log:
    """Return the log in the folder that `settings` names."""
    shown, folder = str(settings["folder"]), log_folder(tools.folder, settings)
    return CsvLog(shown, folder, keeps_formulas=settings.get("formulas") == "keep")


class CsvLog:
    """A folder of CSV files."""

    def __init__(self, shown: str, folder: Path, *, keeps_formulas: bool) -> None:
        self.name = f"csv:{shown}"
        self._folder = folder
        self._cell = _as_it_is if keeps_formulas else no_formula

    def push(self, batch: Batch) -> None:
        """Write the batch's file; the same batch is the same bytes."""
        write_whole(self._folder / file_name(batch, "csv"), lambda out: _write(out, batch, self._cell))


def _as_it_is(cell: object) -> object:
    return cell


def _write(stream: IO[bytes], batch: Batch, written: Callable[[object], object]) -> None:
    """Write a header and the rows, every value as `written` has it (docs/log.md)."""
    text = io.TextIOWrapper(stream, encoding="utf-8", newline="", write_through=True)
    writer = csv.writer(text, lineterminator="\r\n")
    writer.writerow(column_names())
    writer.writerows([written(cell) for cell in row] for row in batch.rows)
    text.detach()
