"""Runs one statement of Treasure Data on this machine: DuckDB over the tables' files, locked in to them."""

from __future__ import annotations

import re
import tempfile
import threading
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import duckdb
import msgpack

from runner.sandbox.td_errors import SqlError, TableError
from runner.sandbox.td_functions import macros
from runner.sandbox.td_results import StoredResult, store_result
from runner.sandbox.td_sources import Sources
from runner.sandbox.td_sql import Statement, StatementKind, TableName, translate
from runner.sandbox.td_tables import Column, TableStore
from runner.sql_text import quote_identifier, quote_literal

_MEMORY = "1GiB"
_THREADS = 4
_JSON_HINT = re.compile(r"\n.*", re.DOTALL)


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """What is to be run.

    `scheduled` is the epoch second that TD_SCHEDULED_TIME() returns, `now` the time of rows that are written
    without one. The result goes to files whose names begin with that of `target`.
    """

    sql: str
    dialect: str
    database: str
    scheduled: int
    now: int
    target: Path


@dataclass(frozen=True, slots=True, kw_only=True)
class Ran:
    """What a statement left: the rows of a query, or how many were written."""

    kind: StatementKind
    result: StoredResult | None = None
    written: int = 0


@dataclass(slots=True)
class Brake:
    """Stops a statement from another thread."""

    pulled: bool = False
    _connection: duckdb.DuckDBPyConnection | None = None
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def pull(self) -> None:
        """Stop what runs, or what will."""
        with self._lock:
            self.pulled = True
            if self._connection is not None:
                self._connection.interrupt()

    def hold(self, connection: duckdb.DuckDBPyConnection | None) -> None:
        """Say what runs now."""
        with self._lock:
            self._connection = connection
        if self.pulled and connection is not None:
            raise killed()


def killed() -> SqlError:
    """Return Trino's error for a query that somebody stopped."""
    return SqlError("Query killed", name="ADMINISTRATIVELY_KILLED", code=24, kind="USER_ERROR")


class Engine:
    """Runs statements over a table store. Safe in threads: each run has a connection of its own."""

    def __init__(self, tables: TableStore) -> None:
        self.tables = tables
        self._sources = Sources()

    def run(self, order: Order, brake: Brake) -> Ran:
        """Run a statement; SqlError where it cannot, with nothing of this machine in its message."""
        statement = translate(
            order.sql, dialect=order.dialect, database=order.database, scheduled=order.scheduled
        )
        connection = self._connect(order)
        try:
            brake.hold(connection)
            return self._run(statement, order, connection)
        except TableError as error:
            raise SqlError(error.message, name="GENERIC_USER_ERROR", code=0) from None
        except duckdb.InterruptException:
            raise killed() from None
        except (duckdb.Error, RuntimeError, MemoryError, OSError) as error:
            raise explain(error, self.tables) from None
        finally:
            brake.hold(None)
            connection.close()

    def columns(self, database: str, table: str) -> tuple[Column, ...]:
        """Return a table's columns with DuckDB's types. Errors: TableError, SqlError."""
        with self._table(database, table) as (connection, source):
            relation = connection.sql(source)
            return tuple(
                Column(name=name, kind=str(kind))
                for name, kind in zip(relation.columns, relation.types, strict=True)
            )

    def count(self, database: str, table: str) -> int:
        """Return how many rows a table has. Errors: TableError, SqlError."""
        with self._table(database, table) as (connection, source):
            ((count,),) = connection.execute(f"SELECT count(*) FROM ({source})").fetchall()
            return int(count)

    def count_query(self, database: str, sql: str, now: int) -> int:
        """Return how many rows a query in Trino's SQL has. Errors: SqlError."""
        with tempfile.TemporaryDirectory(dir=self.tables.work.path()) as folder:
            order = Order(
                sql=f"SELECT count(*) AS n FROM (\n{sql}\n) AS counted",
                dialect="trino",
                database=database,
                scheduled=now,
                now=now,
                target=Path(folder) / "count",
            )
            ran = self.run(order, Brake())
            ((count,),) = next(ran.result.pages(1)) if ran.result else ((0,),)
            return int(count)

    def tail(self, database: str, table: str, count: int) -> bytes:
        """Return the youngest rows as msgpack maps. Errors: TableError, SqlError."""
        with self._table(database, table) as (connection, source):
            rows = connection.execute(
                f"SELECT * FROM ({source}) ORDER BY time DESC LIMIT {count:d}"
            ).fetchall()
            names = connection.sql(source).columns
            return b"".join(msgpack.packb(dict(zip(names, row, strict=True)), default=str) for row in rows)

    @contextmanager
    def _table(self, database: str, table: str) -> Iterator[tuple[duckdb.DuckDBPyConnection, str]]:
        """Yield a connection, and the SELECT of a table's rows."""
        files = self.tables.table(database, table)
        connection = duckdb.connect(":memory:")
        try:
            yield connection, self._sources.select(files, connection)
        except duckdb.Error as error:
            raise explain(error, self.tables) from None
        finally:
            connection.close()

    def _connect(self, order: Order) -> duckdb.DuckDBPyConnection:
        """Return a DuckDB that reads the data folder and the store, and nothing else."""
        work = self.tables.work.path()
        config: dict[str, str | bool | int | float | list[str]] = {
            "allow_community_extensions": "false",
            "allow_persistent_secrets": "false",
            "autoinstall_known_extensions": "false",
            "autoload_known_extensions": "false",
            "memory_limit": _MEMORY,
            "python_enable_replacements": "false",
            "temp_directory": str(work),
            "threads": _THREADS,
        }
        connection = duckdb.connect(":memory:", config=config)
        connection.execute("SET TimeZone = 'UTC'")
        # Trino's 7 / 2 is 3; Hive's is 3.5.
        connection.execute(f"SET integer_division = {'false' if order.dialect == 'hive' else 'true'}")
        if "td_" in order.sql.lower():
            connection.execute(macros(order.scheduled))
        places = ", ".join(quote_literal(str(folder)) for folder in (self.tables.data, self.tables.store))
        connection.execute(f"SET allowed_directories = [{places}]")
        connection.execute("SET enable_external_access = false")
        connection.execute("SET lock_configuration = true")
        return connection

    def _run(self, statement: Statement, order: Order, connection: duckdb.DuckDBPyConnection) -> Ran:
        for name in statement.reads:
            self._attach(name, connection)
        if statement.kind is StatementKind.QUERY:
            return Ran(kind=statement.kind, result=store_result(connection, statement.select, order.target))
        if statement.target is None:
            raise SqlError("no table is named", name="SYNTAX_ERROR", code=1)
        if statement.kind is StatementKind.DROP:
            self._drop(statement, statement.target)
            return Ran(kind=statement.kind)
        if statement.kind is not StatementKind.INSERT and not self._create(statement, connection):
            return Ran(kind=statement.kind)
        written = self._insert(statement, statement.target, order, connection) if statement.select else 0
        return Ran(kind=statement.kind, written=written)

    def _attach(self, name: TableName, connection: duckdb.DuckDBPyConnection) -> None:
        """Make a table known to the connection as a view."""
        try:
            files = self.tables.table(name.database, name.table)
        except TableError:
            known = name.database in self.tables.databases()
            what = f"Table 'td-presto.{name.database}.{name.table}'" if known else f"Schema '{name.database}'"
            raise SqlError(
                f"line 1:1: {what} does not exist",
                name="TABLE_NOT_FOUND" if known else "SCHEMA_NOT_FOUND",
                code=46 if known else 45,
            ) from None
        schema = quote_identifier(name.database)
        connection.execute(f"CREATE SCHEMA IF NOT EXISTS {schema}")
        source = self._sources.select(files, connection)
        connection.execute(f"CREATE VIEW {schema}.{quote_identifier(name.table)} AS {source}")

    def _drop(self, statement: Statement, target: TableName) -> None:
        if statement.lenient and target.table not in self.tables.tables(target.database):
            return
        self.tables.delete_table(target.database, target.table)

    def _create(self, statement: Statement, connection: duckdb.DuckDBPyConnection) -> bool:
        """Make the table; False where it is there and may be."""
        target = statement.target
        if target is None:
            return False
        columns = statement.columns
        if statement.select:
            relation = connection.sql(statement.select)
            columns = tuple(
                Column(name=name.lower(), kind=str(kind))
                for name, kind in zip(relation.columns, relation.types, strict=True)
            )
        try:
            self.tables.create_table(target.database, target.table, columns)
        except TableError as error:
            if statement.lenient and error.status == 409:
                return False
            raise
        return True

    def _insert(
        self, statement: Statement, target: TableName, order: Order, connection: duckdb.DuckDBPyConnection
    ) -> int:
        """Add the rows of a query to a table as one part; return how many."""
        present = {column.name: column.kind for column in self.columns(target.database, target.table)}
        given = len(connection.sql(statement.select).columns)
        names = [column.name for column in statement.columns] or list(present)
        if not statement.columns and given == len(names) - 1:
            names = [name for name in names if name != "time"]
        if given != len(names):
            raise SqlError(
                f"line 1:1: Insert query has {given} columns, the table {len(names)}",
                name="TYPE_MISMATCH",
                code=58,
            )
        values = [
            f"CAST(c{index} AS {present[name]}) AS {quote_identifier(name)}"
            if name in present
            else f"c{index} AS {quote_identifier(name)}"
            for index, name in enumerate(names)
        ]
        if "time" not in names:
            values.append(f"CAST({order.now} AS BIGINT) AS time")
        numbered = ", ".join(f"c{index}" for index in range(given))
        part = self.tables.work.path() / f"{uuid.uuid4().hex}.parquet"
        rows = f"SELECT {', '.join(values)} FROM ({statement.select}) AS given({numbered})"
        ((count,),) = connection.execute(
            f"COPY ({rows}) TO {quote_literal(str(part))} (FORMAT parquet)"
        ).fetchall()
        self.tables.add_part(target.database, target.table, part.stem, part)
        return int(count)


_KINDS = (
    (re.compile(r"Referenced column|not found in FROM clause"), "COLUMN_NOT_FOUND", 47),
    (re.compile(r"(Scalar|Table|Aggregate|Macro)? ?Function.*does not exist"), "FUNCTION_NOT_FOUND", 6),
    (re.compile(r"Division by zero"), "DIVISION_BY_ZERO", 8),
    (re.compile(r"^Conversion Error"), "INVALID_CAST_ARGUMENT", 9),
    (re.compile(r"^Parser Error"), "SYNTAX_ERROR", 1),
    (re.compile(r"^Binder Error"), "TYPE_MISMATCH", 58),
)


def explain(error: Exception, tables: TableStore) -> SqlError:
    """Return Trino's error for one of DuckDB's, in one line."""
    if isinstance(error, OSError):
        return SqlError(
            f"the result cannot be kept: {error.strerror}", name="GENERIC_INTERNAL_ERROR", code=65536
        )
    text = tables.shown(_JSON_HINT.sub("", str(error)))
    for pattern, name, code in _KINDS:
        if pattern.search(text):
            return SqlError(text, name=name, code=code)
    return SqlError(text, name="GENERIC_INTERNAL_ERROR", code=65536, kind="INTERNAL_ERROR")
