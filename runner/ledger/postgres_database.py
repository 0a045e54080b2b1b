"""One PostgreSQL database under the ledger: reached, migrated, and every error of it said in one line.

Nothing above this module sees psycopg: it gets rows, transactions and LedgerError.
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import count
from typing import Any

import psycopg
from psycopg import sql

from runner.errors import LedgerError
from runner.ledger.named_sql import Migration
from runner.ledger.postgres_address import Address
from runner.ledger.postgres_errors import translated
from runner.ledger.store import BATCH, Parameters, Row, shipped_migrations, shipped_statements

#: What every session is set to, and why.
_SETTINGS = (
    # A commit is on disk before it returns: the whole promise rests on it.
    "SELECT set_config('synchronous_commit', 'on', false)"
    " WHERE current_setting('synchronous_commit') <> 'remote_apply'",
    # Nobody waits for ever for somebody else's row, nor holds one while doing nothing.
    "SET lock_timeout = '10s'",
    "SET idle_in_transaction_session_timeout = '60s'",
    # Always by index. While a table grows, the planner knows it as it was: small enough to go through.
    "SET enable_seqscan = off",
    "SET enable_hashjoin = off",
    "SET enable_mergejoin = off",
    "SET enable_material = off",
)

#: The advisory lock of whoever brings a ledger up to date: the first bytes of "runner ledger".
_MIGRATING = int.from_bytes(b"runner l", "big")

_NAMED = re.compile(r"(?<!:):([a-z_]+)")
#: What PostgreSQL takes in no text: NUL, and half of a surrogate pair.
_UNSTORABLE = re.compile(r"[\0\ud800-\udfff]")
_MAYBE_UNSTORABLE = re.compile(r"\\u(0000|d[89a-f])")


class PostgresDatabase:
    """An open PostgreSQL database that runs named statements. One thread owns it: the one that opened it."""

    def __init__(self, connection: psycopg.Connection[Row], address: Address) -> None:
        self._connection = connection
        self._address = address
        self._sql = _statements()
        self._cursors = count(1)

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Write all that is run inside, durably, or nothing of it.

        A round trip a statement: psycopg 3.3.9 can wait for ever in a pipeline that is synced while a large
        list is still being sent (`_sync_gen` reads before all is flushed).
        """
        with translated(self._address), self._connection.transaction():
            yield

    @contextmanager
    def snapshot(self) -> Iterator[None]:
        """Let all that is read inside see the database at one moment."""
        with translated(self._address), self._connection.transaction():
            self._connection.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
            yield

    def hold(self, occurrences: Collection[int]) -> None:
        """See that nobody else writes about these occurrences until the transaction ends."""
        if occurrences:
            self._execute("hold", {"occurrences": json.dumps(sorted(occurrences))})

    def run(self, name: str, parameters: Parameters) -> None:
        """Run a statement inside a transaction."""
        self._execute(name, parameters)

    def changed(self, name: str, parameters: Parameters) -> int:
        """Run a statement inside a transaction; return how many rows changed."""
        return self._execute(name, parameters).rowcount

    def run_all(self, name: str, parameters: Sequence[Parameters]) -> None:
        """Run a statement inside a transaction, once for each set of parameters."""
        for each in parameters:
            self._execute(name, each)

    def wipe(self, name: str) -> bool:
        """Have the server remove dead rows; its own archives and backups are not ours to reach."""
        with translated(self._address):
            self._execute(name, {})
        return True

    def rows(self, name: str, /, **parameters: Any) -> list[Row]:  # noqa: ANN401 - what a column can hold
        """Return all rows of a query."""
        with translated(self._address):
            return self._execute(name, parameters).fetchall()

    def row(self, name: str, /, **parameters: Any) -> Row | None:  # noqa: ANN401 - as above
        """Return the first row of a query, or None."""
        found = self.rows(name, **parameters)
        return found[0] if found else None

    def batches(self, name: str, /, **parameters: Any) -> Iterator[list[Row]]:  # noqa: ANN401 - as above
        """Yield the rows of a query as of one moment, in batches.

        The server keeps them; no transaction stays open while the caller works on a batch.
        """
        cursor = self._connection.cursor(name=f"batches_{next(self._cursors)}", withhold=True)
        with translated(self._address), cursor:
            cursor.execute(self._sql[name], _storable(parameters))
            while batch := cursor.fetchmany(BATCH):
                yield batch

    def _execute(self, name: str, parameters: Parameters) -> psycopg.Cursor[Row]:
        return self._connection.execute(self._sql[name], _storable(parameters))


def open_database(address: Address) -> PostgresDatabase:
    """Open the ledger's database for writing; create or migrate the ledger if need be."""
    with _session(address) as connection:
        _enter_schema(connection, address, is_created=True)
        _migrate(connection, address)
        return PostgresDatabase(connection, address)


def open_database_to_read(address: Address) -> PostgresDatabase | None:
    """Open the ledger's database for reading; None when there is no ledger in it yet."""
    with _session(address) as connection:
        connection.execute("SET default_transaction_read_only = on")
        _enter_schema(connection, address, is_created=False)
        version, latest = _check_version(connection, address), _latest()
        if version == 0:
            connection.close()
            return None
        if version < latest:
            raise LedgerError(
                f"{address}: the ledger has schema {version}; this version of runner reads schema {latest}",
                hint="the next `runner apply` or `runner resolve` brings it up to date",
            )
        return PostgresDatabase(connection, address)


@contextmanager
def _session(address: Address) -> Iterator[psycopg.Connection[Row]]:
    """Open a connection, which stays open unless what is done inside fails."""
    with translated(address, is_connecting=True):
        # No prepared statements: their plans are made while tables are small, and kept when they are large.
        connection = psycopg.connect(address.conninfo, autocommit=True, prepare_threshold=None)
    with translated(address):
        try:
            for setting in _SETTINGS:
                connection.execute(setting)
            yield connection
        except BaseException:
            connection.close()
            raise


def _enter_schema(connection: psycopg.Connection[Row], address: Address, *, is_created: bool) -> None:
    """Work in the schema that the address names, if it names one."""
    if address.schema is None:
        return
    name = sql.Identifier(address.schema)
    found = connection.execute("SELECT 1 FROM pg_namespace WHERE nspname = %s", [address.schema])
    if is_created and found.fetchone() is None:
        connection.execute(sql.SQL("CREATE SCHEMA IF NOT EXISTS {}").format(name))
    connection.execute(sql.SQL("SET search_path = {}").format(name))


def _check_version(connection: psycopg.Connection[Row], address: Address) -> int:
    """Return the ledger's schema version, 0 where there is nothing; refuse what this version cannot keep."""
    found = connection.execute("SELECT tablename FROM pg_tables WHERE schemaname = current_schema()")
    tables = {name for (name,) in found}
    if not tables:
        return 0
    if not tables >= {"schema_migrations", "ledger", "deliveries"}:
        raise LedgerError(
            f"{address}: the schema holds other tables, and no ledger",
            hint="give the ledger a schema of its own: add ?schema=runner to `ledger` in runner.yml",
        )
    ((version,),) = connection.execute("SELECT max(version) FROM schema_migrations").fetchall()
    if version > _latest():
        raise LedgerError(
            f"{address}: the ledger has schema {version}, of a newer version of runner; "
            f"this one knows {_latest()}",
            hint="use the newer runner for this ledger; it was left as it is",
        )
    return int(version)


def _migrate(connection: psycopg.Connection[Row], address: Address) -> None:
    """Apply what is pending, all of it or nothing; two that open one new ledger wait for each other."""
    if _check_version(connection, address) == _latest():
        return
    with connection.transaction():
        connection.execute("SELECT pg_advisory_xact_lock(%s)", [_MIGRATING])
        version = _check_version(connection, address)
        connection.execute(
            "CREATE TABLE IF NOT EXISTS schema_migrations "
            "(version integer PRIMARY KEY, name text NOT NULL, applied_at timestamptz NOT NULL DEFAULT now())"
        )
        for migration in shipped_migrations("postgres"):
            if migration.version > version:
                _apply(connection, migration)


def _apply(connection: psycopg.Connection[Row], migration: Migration) -> None:
    connection.execute(migration.sql.encode())
    record = [migration.version, migration.name]
    connection.execute("INSERT INTO schema_migrations (version, name) VALUES (%s, %s)", record)


def _latest() -> int:
    return shipped_migrations("postgres")[-1].version


def _statements() -> Mapping[str, bytes]:
    """Return the statements with their parameters as psycopg writes them."""
    return {
        name: _NAMED.sub(r"%(\1)s", statement.sql).encode()
        for name, statement in shipped_statements("postgres").items()
    }


def _storable(parameters: Parameters) -> dict[str, Any]:
    """Return parameters without the characters that PostgreSQL refuses in a text."""
    return {name: _storable_value(value) for name, value in parameters.items()}


def _storable_value(value: Any) -> Any:  # noqa: ANN401 - what a column can hold
    if not isinstance(value, str):
        return value
    if value.startswith("[") and _MAYBE_UNSTORABLE.search(value):
        return json.dumps(_storable_items(json.loads(value)))
    return _UNSTORABLE.sub("", value)


def _storable_items(items: Any) -> Any:  # noqa: ANN401 - a list of lists, as the statements say
    if isinstance(items, list):
        return [_storable_items(item) for item in items]
    return _UNSTORABLE.sub("", items) if isinstance(items, str) else items
