"""The segment source `duckdb`: a query over the files of the project's data folder, run in this process.

The query comes from a pull request, so two walls stand around it: the check that it is one SELECT on files of
the data folder (select_check.py), and a DuckDB that may open nothing else and can no longer be set up.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import duckdb

from runner.campaign import Segment
from runner.errors import SegmentError
from runner.project import Project
from runner.segments.attached_tables import attach_tables
from runner.segments.column_choice import choose_columns
from runner.segments.csv_check import check_csv
from runner.segments.data_files import DataFolder
from runner.segments.duckdb_errors import Running, explain, said
from runner.segments.interface import Fetched, Remote
from runner.segments.private_file import private_file
from runner.segments.query_place import one_line
from runner.segments.select_check import CheckedSelect, check_select
from runner.segments.time_bound import OutOfTimeError, run_bounded
from runner.sql_text import quote_identifier, quote_literal
from runner.work_folder import work_folder

#: What Python's DuckDB raises beside its own errors, on texts or values that it cannot take over.
_TROUBLE = (duckdb.Error, MemoryError, RuntimeError, UnicodeError)

#: CSV files as they are: what is packed, or a pattern for several, is left to DuckDB.
_CSV = frozenset({".csv", ".tsv"})
#: More people than anybody sends to: what follows the query, and has no clock of its own, takes minutes then.
MOST_ROWS = 100_000_000
#: What a thread of DuckDB needs for itself, in MB: more threads than memory for them cannot even spill.
_THREAD_MB = 64

# Parquet would keep whole numbers of 128 bits as floating point, and has no column that is only NULL. A value
# of JSON is kept as the text that it is, and not as JSON writes it: without quotation marks.
_KEPT_AS = {
    "HUGEINT": "CAST({} AS DECIMAL(38,0))",
    "UHUGEINT": "CAST({} AS DECIMAL(38,0))",
    '"NULL"': "CAST({} AS VARCHAR)",
    "JSON": "({} ->> '$')",
}


def fetch(
    segment: Segment,
    *,
    project: Project,
    columns: Sequence[str],
    target: Path,
    occurrence_at: datetime | None = None,
    remote: Remote | None = None,
) -> Fetched:
    """Run the query and keep `columns` of its rows, in its order, in the Parquet file `target` (mode 0600).

    Bounded by `project.query_memory_mb`, spilling to `project.state`, and by `project.query_seconds`. Dates
    and times of day are read in `project.timezone`, UTC without one, on every machine. DuckDB's SQL has no
    word for `occurrence_at`, and nothing `remote` is asked. Errors: SegmentError.
    """
    with private_file(target) as output, _spill_folder(project) as spill:
        connection = _connect(project, spill)
        query = _Query(
            text=segment.query,
            columns=tuple(dict.fromkeys(columns)),
            project=project,
            folder=DataFolder.of(project),
            output=output,
            connection=connection,
        )
        try:
            fetched = run_bounded(query.run, connection, seconds=project.query_seconds)
        except OutOfTimeError:
            raise SegmentError(
                f"segment query: was stopped after {project.query_seconds:g} seconds",
                hint="make it faster, or raise query.seconds in runner.yml",
            ) from None
        output.replace(target)
    return fetched


@contextmanager
def _spill_folder(project: Project) -> Iterator[Path]:
    """Yield a private folder for rows that do not fit into memory, gone afterwards."""
    with work_folder(project.state, "query-") as spill:
        yield spill.resolve()


def _connect(project: Project, spill: Path) -> duckdb.DuckDBPyConnection:
    """Return a DuckDB in memory that takes nothing of this process: no extension, secret or variable."""
    settings: dict[str, str | bool | int | float | list[str]] = {
        "allow_community_extensions": "false",
        "allow_persistent_secrets": "false",
        "autoinstall_known_extensions": "false",
        "autoload_known_extensions": "false",
        "errors_as_json": "true",
        "memory_limit": f"{project.query_memory_mb}MiB",
        "preserve_insertion_order": "true",
        "python_enable_replacements": "false",
        "temp_directory": str(spill),
        "threads": max(1, min(os.cpu_count() or 1, project.query_memory_mb // _THREAD_MB)),
    }
    try:
        connection = duckdb.connect(":memory:", config=settings)
        connection.execute(f"SET TimeZone = {quote_literal(project.timezone or 'UTC')}")
    except duckdb.Error as error:
        raise SegmentError(f"DuckDB cannot start: {one_line(said(error).message)}") from error
    return connection


@dataclass(frozen=True, slots=True, kw_only=True)
class _Query:
    """One query, on its own connection, and where its rows go."""

    text: str
    columns: Sequence[str]
    project: Project
    folder: DataFolder
    output: Path
    connection: duckdb.DuckDBPyConnection

    def run(self) -> Fetched:
        """Check the query, lock DuckDB in, and write the wanted columns."""
        checked = check_select(self.text, self.connection)
        located = _locate(checked, self.folder)
        attach_tables(checked.tables, checked.sql, self.folder, self.connection)
        self._lock()
        self._check_csv(checked)
        returned = self._rows("DESCRIBE ", located, "")
        picked = choose_columns(self.columns, [name for name, *_ in returned])
        before = f"SELECT {', '.join(self._kept(returned, picked))} FROM (\n"
        after = f"\n) AS result({', '.join(f'c{index}' for index in range(len(returned)))})"
        # Without the temporary file of its own DuckDB writes to the one that is private already.
        to = f"{after}) TO {quote_literal(str(self.output))} (FORMAT parquet, USE_TMP_FILE false)"
        count = self._rows(f"COPY ({before}", located, to)[0][0]
        if count > MOST_ROWS:
            raise SegmentError(
                f"segment query: returns {count:,} rows, {MOST_ROWS:,} at most",
                hint="is a condition of a join missing?",
            )
        # The file is asked: Parquet keeps some types, such as ENUM, as another one.
        kept = self.connection.execute(f"DESCRIBE FROM read_parquet({quote_literal(str(self.output))})")
        types = {name: kind for name, kind, *_ in kept.fetchall()}
        return Fetched(rows=count, column_types=types, sql=checked.sql)

    def _kept(self, returned: Sequence[tuple[Any, ...]], picked: Sequence[int]) -> list[str]:
        kept = []
        for name, index in zip(self.columns, picked, strict=True):
            value = _KEPT_AS.get(returned[index][1], "{}").format(f"c{index}")
            kept.append(f"{value} AS {quote_identifier(name)}")
        return kept

    def _check_csv(self, checked: CheckedSelect) -> None:
        """Look at CSV files that are read as DuckDB guesses; one named in a call says how it is written."""
        data = checked.sql.encode()
        for use in checked.files:
            is_called = data[: use.start].rstrip().endswith((b"(", b"["))
            path = Path(self.folder.full_path(use.name))
            if not is_called and path.suffix.lower() in _CSV and path.is_file():
                check_csv(use.name, path, self.connection)

    def _lock(self) -> None:
        """Let DuckDB open the data folder and the output, nothing else, and change no setting any more.

        The folder is open for writing too: that nothing but a SELECT runs is what keeps it as it is.
        """
        self.connection.execute(f"SET allowed_directories = [{quote_literal(str(self.folder.real))}]")
        self.connection.execute(f"SET allowed_paths = [{quote_literal(str(self.output))}]")
        self.connection.execute("SET enable_external_access = false")
        self.connection.execute("SET lock_configuration = true")

    def _rows(self, before: str, located: _Located, after: str) -> list[tuple[Any, ...]]:
        """Run one statement around the query; an error says where in the query, as written, it is."""
        running = Running(
            sql=located.sql,
            files=located.files,
            memory_mb=self.project.query_memory_mb,
            shown=self.folder.shown,
            original=lambda offset: located.original(offset - len(before.encode())),
        )
        try:
            return self.connection.execute(before + located.text + after).fetchall()
        except _TROUBLE as error:
            # Not `from error`: DuckDB's own message may hold values of a row.
            raise explain(error, running) from None


@dataclass(frozen=True, slots=True, kw_only=True)
class _Located:
    """A query, `sql`, as the `text` that runs: every data file named by its full path.

    `moved` lists, in order, where in bytes a name ends in `text` and by how much it is later than in `sql`.
    """

    sql: str
    text: str
    files: tuple[str, ...]
    moved: tuple[tuple[int, int], ...]

    def original(self, offset: int) -> int:
        """Return the byte offset in `sql` of one in `text`; one outside of the query stays outside."""
        return offset - next((by for end, by in reversed(self.moved) if offset >= end), 0)


def _locate(checked: CheckedSelect, folder: DataFolder) -> _Located:
    """Write full paths into the query, at the very bytes where its own are: it then runs in any directory.

    DuckDB's setting `file_search_path` would find the files too, but is not asked by `allowed_directories`.
    """
    data = checked.sql.encode()
    text, end, moved = b"", 0, []
    for use in sorted(checked.files, key=lambda use: use.start):
        text += data[end : use.start] + quote_literal(folder.full_path(use.name)).encode()
        end = use.end
        moved.append((len(text), len(text) - end))
    names = tuple(dict.fromkeys(use.name for use in checked.files))
    return _Located(sql=checked.sql, text=(text + data[end:]).decode(), files=names, moved=tuple(moved))
