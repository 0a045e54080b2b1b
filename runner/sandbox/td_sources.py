"""A table's files as one SELECT for DuckDB: what is given and what was written, joined by name.

A CSV file has no types, so its columns are guessed; but a number that would lose a leading zero or a `+` on
the way stays a text, for a phone or a code is no number.
"""

from __future__ import annotations

from pathlib import Path

import duckdb

from runner.sandbox.td_tables import TableFiles
from runner.sql_text import quote_identifier, quote_literal

_NUMBERS = {"BIGINT": r"-?(0|[1-9]\d*)", "DOUBLE": r"-?(0|[1-9]\d*)(\.\d+)?([eE][+-]?\d+)?"}


class Sources:
    """The SELECTs of tables. What a file of text holds is looked up once for each state of it."""

    def __init__(self) -> None:
        self._texts: dict[tuple[Path, int, int], str] = {}

    def select(self, files: TableFiles, connection: duckdb.DuckDBPyConnection) -> str:
        """Return the SELECT of a table's rows. Errors: duckdb.Error where a file cannot be read."""
        parts = [self._given(path, connection) for path in files.given]
        if files.declared or not (files.given or files.written):
            parts.insert(0, _declared(files))
        if files.written:
            names = ", ".join(quote_literal(str(path)) for path in files.written)
            parts.append(f"SELECT * FROM read_parquet([{names}], union_by_name = true)")
        return "\nUNION ALL BY NAME\n".join(parts)

    def _given(self, path: Path, connection: duckdb.DuckDBPyConnection) -> str:
        state = path.stat()
        name = quote_literal(str(path))
        source = f"read_parquet({name})"
        if path.suffix != ".parquet":
            key = (path, state.st_mtime_ns, state.st_size)
            if key not in self._texts:
                read = _csv if path.suffix == ".csv" else _json
                self._texts[key] = read(name, connection)
            source = self._texts[key]
        columns = connection.sql(f"SELECT * FROM {source}").columns
        if "time" in {column.lower() for column in columns}:
            return f"SELECT * FROM {source}"
        # Every table of Treasure Data has a time: of a file it is when the file was written.
        return f"SELECT *, CAST({int(state.st_mtime)} AS BIGINT) AS time FROM {source}"


def _declared(files: TableFiles) -> str:
    """Return a SELECT without rows that has the declared columns, and the time."""
    columns = [
        f"CAST(NULL AS {column.kind or 'VARCHAR'}) AS {quote_identifier(column.name)}"
        for column in files.declared
    ]
    if "time" not in {column.name for column in files.declared}:
        columns.append("CAST(NULL AS BIGINT) AS time")
    return f"SELECT {', '.join(columns)} WHERE false"


def _csv(name: str, connection: duckdb.DuckDBPyConnection) -> str:
    """Return the table function that reads a CSV file with the types that keep its texts."""
    guessed = connection.execute(f"DESCRIBE SELECT * FROM read_csv({name}, header = true)").fetchall()
    kinds = {column: kind for column, kind, *_ in guessed}
    numbers = [column for column, kind in kinds.items() if kind in _NUMBERS]
    if numbers:
        tests = ", ".join(_is_number(column, kinds[column]) for column in numbers)
        (wholes,) = connection.execute(
            f"SELECT {tests} FROM read_csv({name}, header = true, all_varchar = true)"
        ).fetchall()
        for column, whole in zip(numbers, wholes, strict=True):
            if whole is False:
                kinds[column] = "VARCHAR"
    kept = {column: kind if kind in {*_NUMBERS, "BOOLEAN"} else "VARCHAR" for column, kind in kinds.items()}
    types = ", ".join(f"{quote_literal(column)}: {quote_literal(kind)}" for column, kind in kept.items())
    return f"read_csv({name}, header = true, types = {{{types}}})"


def _json(name: str, connection: duckdb.DuckDBPyConnection) -> str:
    """Return the table function that reads JSON Lines; what looks like a date stays the text that it is."""
    lines = f"{name}, format = 'newline_delimited'"
    guessed = connection.execute(f"DESCRIBE SELECT * FROM read_json({lines})").fetchall()
    kinds = {
        column: "VARCHAR" if kind.startswith(("DATE", "TIME", "UUID")) else kind
        for column, kind, *_ in guessed
    }
    types = ", ".join(f"{quote_literal(column)}: {quote_literal(kind)}" for column, kind in kinds.items())
    return f"read_json({lines}, columns = {{{types}}})"


def _is_number(column: str, kind: str) -> str:
    """Return the SQL that tells whether every text of the column is a number as it would be written."""
    return f"bool_and(regexp_full_match({quote_identifier(column)}, {quote_literal(_NUMBERS[kind])}))"
