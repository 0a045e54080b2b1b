"""DuckDB's errors -> SegmentError: one line that says where and what, a hint, nothing of a person's row.

The connection's setting `errors_as_json` must be on: then an error has its byte position in the statement.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import duckdb

from runner.errors import SegmentError
from runner.masking import mask_value
from runner.problem_words import listed
from runner.segments.query_place import one_line, place
from runner.segments.rules import Rule, broken, too_deep

#: These are raised before any row was read: what they quote is the query's own text.
_BEFORE_ROWS = (
    duckdb.BinderException,
    duckdb.CatalogException,
    duckdb.ParserException,
    duckdb.SyntaxException,
)

# A quoted text may be a value of a row, but not behind these words: there it is a type, a column or a file.
_QUOTED = re.compile(r"(?<!to )(?<!type )(?<!column )(?<!file )(['\"])((?:(?!\1).)+)\1")
_DEEP = re.compile("expression depth|memory exhausted")
_CSV_LINE = re.compile(r"CSV Error on Line: (\d+)")
_CSV_FILE = re.compile(r"^\s*file = (.+)$", re.MULTILINE)
_CSV_COLUMN = re.compile(r'Error when converting column "(.+?)"\..* to \'([^\'\n]+)\'', re.DOTALL)
_NO_SPACE = re.compile(r"No space left|File too large|temp_directory|max_temp_directory_size|Could not write")
_NO_MATCH = re.compile(r'No files found that match the pattern "(.+)"')
_NO_ACCESS = re.compile(r'Cannot access (?:file|directory) "(.*?)"')


@dataclass(frozen=True, slots=True, kw_only=True)
class Said:
    """What DuckDB said: the whole message, and, where known, a byte position and names that are near."""

    message: str
    position: int | None = None
    candidates: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Running:
    """What runs, as far as its errors must tell it.

    `shown` turns full paths of data files, anywhere in a text, into the ones that a person knows. `original`
    maps a byte offset of the statement to one of the query as written.
    """

    sql: str
    files: Sequence[str]
    memory_mb: int
    shown: Callable[[str], str]
    original: Callable[[int], int]


def said(error: Exception) -> Said:
    """Read what DuckDB said, as JSON or in plain text."""
    text = str(error)
    try:
        return _said(json.loads(text[text.index("{") :]), "exception_message")
    except (ValueError, LookupError, TypeError, AttributeError):
        return Said(message=text)


def _said(parsed: Mapping[str, Any], key: str) -> Said:
    position = str(parsed.get("position", ""))
    names = tuple(name for name in str(parsed.get("candidates", "")).split(",") if name and "(" not in name)
    return Said(
        message=str(parsed[key]), position=int(position) if position.isdecimal() else None, candidates=names
    )


def syntax_error(answer: Mapping[str, Any], sql: str) -> SegmentError:
    """Return the error of a query that DuckDB cannot read, by the `answer` of json_serialize_sql."""
    what = _said(answer, "error_message")
    if _DEEP.search(what.message):
        return too_deep()
    return SegmentError(
        f"segment query{place(sql, what.position)}: {one_line(what.message)}",
        hint="correct the SQL at this place",
    )


def explain(error: Exception, running: Running) -> SegmentError:
    """Return the error of a query that DuckDB cannot bind, plan or run."""
    what = said(error)
    if isinstance(error, duckdb.PermissionException):
        return _no_access(what, running)
    if isinstance(error, _BEFORE_ROWS):
        return _wrong_query(what, running)
    # Before memory: a full disk is told as memory that could not be moved there.
    if _NO_SPACE.search(what.message):
        return SegmentError(
            "segment query: its result or its intermediate rows do not fit on the disk",
            hint="make room, or select fewer columns and rows",
        )
    if isinstance(error, (duckdb.OutOfMemoryException, MemoryError)):
        return SegmentError(
            f"segment query: needs more than {running.memory_mb:,} MB of memory",
            hint="select fewer columns and rows, sort less, or raise query.memory_mb in runner.yml",
        )
    return _wrong_data(error, what, running)


def _no_access(what: Said, running: Running) -> SegmentError:
    found = _NO_ACCESS.search(what.message)
    name = one_line(running.shown(found.group(1))) if found else "another file"
    return broken(
        Rule.FILES_UNDER_DATA,
        f"`{name}` is, or leads, outside",
        hint="copy what you need into the data folder",
    )


def _wrong_query(what: Said, running: Running) -> SegmentError:
    offset = None if what.position is None else running.original(what.position)
    near = listed([f"`{one_line(name.strip())}`" for name in what.candidates[:5]])
    unreadable = _unknown_file_kind(what, running)
    if unreadable is not None:
        return unreadable
    return SegmentError(
        f"segment query{place(running.sql, offset)}: {one_line(running.shown(what.message))}",
        hint=f"did you mean {near}?" if near else "correct the SQL at this place",
    )


def _unknown_file_kind(what: Said, running: Running) -> SegmentError | None:
    """Return the error of a file whose ending DuckDB does not know: it looks for a table of that name."""
    message = running.shown(what.message)
    for name in running.files:
        if f"Table with name {name} does not exist" in message:
            return SegmentError(
                f"segment query: `{one_line(name)}` is not a data file by its ending",
                hint="name what it holds: FROM read_csv('…'), read_parquet('…') or read_json('…')",
            )
    return None


def _wrong_data(error: Exception, what: Said, running: Running) -> SegmentError:
    message = running.shown(what.message)
    no_match = _NO_MATCH.search(message)
    if no_match:
        return SegmentError(
            f"segment query: no data file matches `{one_line(no_match.group(1))}`",
            hint="compare it with the names in the data folder",
        )
    csv = _csv_error(message)
    if csv is not None:
        return csv
    text = one_line(_without_values(message, running))
    if any(name in message for name in running.files) or not running.files:
        return SegmentError(
            f"segment query: {text}", hint="repair the file, or the part of the query that reads it"
        )
    files = listed([f"`{one_line(name)}`" for name in running.files[:5]], "and")
    return SegmentError(
        f"segment query: {text} (reading {files})",
        hint="repair the file, or, where a value does not fit, convert it with TRY_CAST",
    )


def _csv_error(message: str) -> SegmentError | None:
    """Return the error of a CSV file, without the line itself that DuckDB quotes."""
    file, line = _CSV_FILE.search(message), _CSV_LINE.search(message)
    if file is None or line is None:
        return None
    where = f"segment query: `{one_line(file.group(1))}`, line {line.group(1)}:"
    column = _CSV_COLUMN.search(message)
    if column is not None:
        return SegmentError(
            f"{where} the value of column `{one_line(column.group(1))}` is not a {column.group(2)}",
            hint="correct the file, or read the column as text: read_csv('…', types = {'…': 'VARCHAR'})",
        )
    if "nvalid unicode" in message:
        return SegmentError(f"{where} is not UTF-8", hint="save the file as UTF-8")
    return SegmentError(
        f"{where} is not well-formed CSV", hint="correct the file, or give read_csv its delim and quote"
    )


def _without_values(message: str, running: Running) -> str:
    """Mask every quoted text that does not stand in the query itself or name one of its files."""

    def mask(match: re.Match[str]) -> str:
        quote, text = match.group(1), match.group(2)
        if text in running.sql or text in running.files:
            return match.group()
        return f"{quote}{mask_value(text)}{quote}"

    return _QUOTED.sub(mask, message.split("\n", 1)[0])
