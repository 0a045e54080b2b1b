"""CSV files that DuckDB would read as something else: empty, or damaged at a place that can be named.

DuckDB guesses how a CSV file is written. Of a file whose lines have different numbers of cells, or whose
quotation marks do not close, it guesses until something fits: one column of whole lines, or cells that begin
with a quotation mark. Where its guess looks like that, the beginning of the file is looked at here.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import duckdb

from runner.errors import SegmentError
from runner.segments.query_place import one_line
from runner.sql_text import quote_literal

#: So much of a file is looked at: DuckDB's guess rests on about as much.
_LINES = 20_000
_LONGEST_LINE = 1_000_000
_DELIMITERS = ",;\t|"
_NO_QUOTE = "(empty)"


def check_csv(name: str, path: Path, connection: duckdb.DuckDBPyConnection) -> None:
    """Raise SegmentError for a CSV file (`name` in the query) that is empty, or damaged at its beginning."""
    if path.stat().st_size == 0:
        raise SegmentError(
            f"segment query: the data file {one_line(name)} is empty", hint="fill it, or use another"
        )
    try:
        guess = connection.execute(
            f"SELECT quote, len(columns), columns[1].name FROM sniff_csv({quote_literal(str(path))})"
        ).fetchone()
    except duckdb.Error:
        return  # the query itself will say what is wrong
    if guess is None:
        return
    quote, columns, first = guess
    is_one_column = columns == 1 and any(mark in str(first) for mark in _DELIMITERS)
    if is_one_column or quote == _NO_QUOTE:
        _look(name, path)


def _look(name: str, path: Path) -> None:
    """Raise SegmentError for the first line that does not have the header's cells, or a quote left open."""
    with path.open(encoding="utf-8-sig", errors="replace", newline="") as file:
        header = file.readline(_LONGEST_LINE)
        delimiter = max(_DELIMITERS, key=header.count)
        file.seek(0)
        reader = csv.reader(_lines(file), delimiter=delimiter, strict=True)
        try:
            wanted = len(next(reader))
            for row in reader:
                if row and len(row) != wanted:
                    raise _damaged(name, reader.line_num, f"{len(row)} cells, and the header has {wanted}")
        except csv.Error:
            if reader.line_num >= _LINES:
                return  # where this looked no further, not where a quotation is left open
            what = "a quotation mark that is not closed, or not doubled"
            raise _damaged(name, reader.line_num, what) from None
        except StopIteration:
            return


def _lines(file: Iterator[str]) -> Iterator[str]:
    return islice(file, _LINES)


def _damaged(name: str, line: int, what: str) -> SegmentError:
    return SegmentError(
        f"segment query: the data file {one_line(name)}, line {line:,}, has {what}",
        hint="mend the file, or say in the query how it is written: read_csv(...) with its options",
    )
