"""Tables of .duckdb files in the data folder: `crm.customers` is the table of data/**/crm.duckdb."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import duckdb

from runner.errors import SegmentError
from runner.problem_words import listed, nearest
from runner.segments.data_files import DataFolder
from runner.segments.duckdb_errors import said
from runner.segments.query_place import one_line, place
from runner.segments.rules import Rule, broken
from runner.segments.select_check import TableUse
from runner.sql_text import quote_identifier, quote_literal

_TABLES = """
SELECT schema_name, table_name FROM duckdb_tables() WHERE lower(database_name) = ? AND NOT internal
UNION ALL
SELECT schema_name, view_name FROM duckdb_views() WHERE lower(database_name) = ? AND NOT internal
ORDER BY ALL
"""
#: DuckDB's own databases; a file of such a name cannot be attached under it.
_TAKEN = frozenset({"main", "memory", "system", "temp"})


def attach_tables(
    tables: Sequence[TableUse], sql: str, folder: DataFolder, connection: duckdb.DuckDBPyConnection
) -> None:
    """Attach, read-only, the databases that `tables` of the query `sql` name, each under its file's stem.

    Raises SegmentError when a database or its table is not there, is there twice, or cannot be opened.
    """
    if not tables:
        return
    databases = folder.databases()
    attached: set[str] = set()
    for table in tables:
        stem = table.parts[0].lower()
        if stem not in attached:
            file = _only_file(table, sql, databases, folder)
            _attach(file, table, folder, connection)
            attached.add(stem)
        _check_table(table, sql, connection)


def _only_file(
    table: TableUse, sql: str, databases: Mapping[str, Sequence[Path]], folder: DataFolder
) -> Path:
    stem = table.parts[0].lower()
    files = () if stem in _TAKEN else databases.get(stem, ())
    if len(files) == 1:
        return files[0]
    name, at = one_line(".".join(table.parts)), place(sql, table.start)
    if files:
        names = listed([f"`{one_line(folder.named_as(file))}`" for file in files], "and")
        raise SegmentError(
            f"segment query{at}: `{name}` could be in {names}",
            hint="rename one of the files: a stem may be there once",
        )
    near = nearest(table.parts[0], sorted(databases))
    missing = f"there is no {one_line(table.parts[0])}.duckdb"
    hint = f"{missing}; a file's name stands in quotes: FROM 'data/customers.csv'"
    raise broken(
        Rule.KNOWN_TABLES,
        f"there is no table `{name}`",
        place=at,
        hint=hint if near is None else f"did you mean the database `{one_line(near)}`?",
    )


def _attach(file: Path, table: TableUse, folder: DataFolder, connection: duckdb.DuckDBPyConnection) -> None:
    if not file.resolve().is_relative_to(folder.real):
        raise broken(Rule.FILES_UNDER_DATA, f"`{one_line(folder.named_as(file))}` is a link to outside")
    path, name = quote_literal(str(file)), quote_identifier(table.parts[0])
    try:
        connection.execute(f"ATTACH {path} AS {name} (READ_ONLY)")
    except duckdb.Error as error:
        reason = one_line(folder.shown(said(error).message))
        raise SegmentError(
            f"segment query: `{one_line(folder.named_as(file))}` cannot be opened: {reason}",
            hint="close the program that writes to it, or write it again with this version of DuckDB",
        ) from None


def _check_table(table: TableUse, sql: str, connection: duckdb.DuckDBPyConnection) -> None:
    database, *middle, name = table.parts
    known = connection.execute(_TABLES, [database.lower(), database.lower()]).fetchall()
    schema = middle[0].lower() if middle else "main"
    if len(middle) < 2 and any((s.lower(), t.lower()) == (schema, name.lower()) for s, t in known):
        return
    names = [f"{database}.{t}" if s == "main" else f"{database}.{s}.{t}" for s, t in known]
    near = nearest(".".join(table.parts), names)
    hint = (
        f"it holds {listed([f'`{one_line(n)}`' for n in names[:10]], 'and')}"
        if names
        else "it holds no table"
    )
    raise SegmentError(
        f"segment query{place(sql, table.start)}: there is no table `{one_line('.'.join(table.parts))}`",
        hint=hint if near is None else f"did you mean `{one_line(near)}`?",
    )
