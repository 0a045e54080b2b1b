"""Never-message lists: CSV files of phones, read as the campaign's own phones are; a part of screening."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from runner.errors import SegmentError
from runner.phone import heads_sql, reading_sql, readings_sql
from runner.sql_text import quote_literal

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection


def load_suppression(connection: DuckDBPyConnection, paths: Sequence[Path], region: str | None) -> int:
    """Read the first column of each list as phones, as the campaign's own column is read.

    A list may begin with a heading; any other line that is no phone is counted and returned.
    """
    connection.execute("CREATE TABLE lines (phone VARCHAR)")
    for path in paths:
        _load_lines(connection, path)
    column: dict[str, Any] = {"column": "phone", "column_type": "VARCHAR", "region": region}
    heads = found_heads(connection, heads_sql("lines", **column))
    connection.execute(f"CREATE TABLE lines_read AS {reading_sql('lines', **column, heads=heads)}")
    connection.execute(f"CREATE TABLE suppressed AS {readings_sql('FROM lines_read')}")
    unread = "SELECT count(*) FROM lines_read WHERE _phone_valid IS NULL AND _phone_reason <> 'missing_phone'"
    return int((connection.execute(unread).fetchone() or (0,))[0])


def _load_lines(connection: DuckDBPyConnection, path: Path) -> None:
    import duckdb

    # One column whatever the line holds: a phone never needs what follows the first comma, semicolon or tab.
    options = "header=false, columns={'line': 'VARCHAR'}, delim='\x1f', quote=''"
    file = f"read_csv({quote_literal(str(path))}, {options})"
    phone = "trim(split_part(translate(line, ';\t', ',,'), ',', 1), '\"\ufeff ')"
    numbered = f"SELECT {phone} AS phone, row_number() OVER () AS number FROM {file}"
    heading = r"number = 1 AND NOT regexp_matches(phone, '\p{Nd}')"
    try:
        connection.execute(f"INSERT INTO lines SELECT phone FROM ({numbered}) WHERE NOT ({heading})")
    except duckdb.Error as error:
        raise SegmentError(
            f"suppression list {path}: cannot be read as one phone a line",
            hint="correct the list or its name under `suppression:` in runner.yml",
        ) from error


def found_heads(connection: DuckDBPyConnection, sql: str) -> list[int]:
    """Return the heads that the numbers have: with few of them, reading compiles many times as fast."""
    return [head for (head,) in connection.execute(sql).fetchall() if head is not None]
