"""One SQLite file under the ledger: opened privately, migrated, and every error of it said in one line.

Nothing above this module sees sqlite3: it gets rows, transactions and LedgerError.
"""

from __future__ import annotations

import os
import sqlite3
import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, suppress
from pathlib import Path
from types import TracebackType
from typing import Any, NoReturn

from runner.errors import LedgerError
from runner.ledger.named_sql import Migration, Statement
from runner.ledger.store import BATCH, Parameters, Row, shipped_migrations, shipped_statements

#: Between two tries to turn WAL on, in seconds.
_WAL_WAIT = 0.01

_SETTINGS = (
    "PRAGMA journal_mode = WAL",  # readers never wait for the writer, nor the writer for them
    "PRAGMA synchronous = FULL",  # a commit is on disk before it returns: the whole promise rests on it
    "PRAGMA foreign_keys = ON",
    "PRAGMA secure_delete = ON",  # what is erased is overwritten, not only unlinked
)

#: What SQLite says (a part of its message, in lower case), what that means here, and what to do.
_CAUSES = (
    (
        "locked",
        "is locked by another process",
        "wait until that has finished, then run the same command again",
    ),
    ("is full", "cannot grow: the disk is full", "free some space, then run the same command again"),
    (
        "disk i/o",
        "cannot be read or written",
        "check the disk and its quota, then run the same command again",
    ),
    ("readonly", "is read-only", "give this user write permission on the file and on its folder"),
    ("unable to open", "cannot be opened", "check that it is a file, in a folder that this user may write"),
    (
        "not a database",
        "is not a SQLite database",
        "check `ledger` in runner.yml; the file was left as it is",
    ),
    (
        "malformed",
        "is damaged",
        "keep the file, and restore the ledger from its backup before sending anything",
    ),
)


class SqliteFile:
    """An open SQLite file that runs named statements. One thread owns it: the one that opened it."""

    def __init__(
        self, connection: sqlite3.Connection, path: Path, statements: Mapping[str, Statement]
    ) -> None:
        self._connection = connection
        self._path = path
        self._sql = {name: statement.sql for name, statement in statements.items()}

    def close(self) -> None:
        """Close the file."""
        self._connection.close()

    def transaction(self) -> AbstractContextManager[None]:
        """Write all that is run inside, durably, or nothing of it."""
        return _Transaction(self._connection, self._path, "BEGIN IMMEDIATE")

    def snapshot(self) -> AbstractContextManager[None]:
        """Let all that is read inside see the file at one moment."""
        return _Transaction(self._connection, self._path, "BEGIN")

    def hold(self, occurrences: Collection[int]) -> None:
        """Do nothing: a transaction that writes holds the whole file."""

    def run(self, name: str, parameters: Parameters) -> None:
        """Run a statement inside a transaction."""
        self._connection.execute(self._sql[name], parameters)

    def changed(self, name: str, parameters: Parameters) -> int:
        """Run a statement inside a transaction; return how many rows changed."""
        return self._connection.execute(self._sql[name], parameters).rowcount

    def run_all(self, name: str, parameters: Sequence[Parameters]) -> None:
        """Run a statement inside a transaction, once for each set of parameters."""
        self._connection.executemany(self._sql[name], parameters)

    def wipe(self, name: str) -> bool:
        """Write the file anew and empty its WAL: only then is nothing left of rows that moved before.

        False while another process uses the file: then some of it may be left.
        """
        with translated(self._path):
            try:
                self._connection.execute(self._sql[name])
                is_busy, *_ = self._connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
            except sqlite3.OperationalError as error:
                if "locked" not in str(error):
                    raise
                return False
        return not is_busy

    def rows(self, name: str, /, **parameters: Any) -> list[Row]:  # noqa: ANN401 - whatever SQLite can hold
        """Return all rows of a query."""
        try:
            return self._connection.execute(self._sql[name], parameters).fetchall()
        except (sqlite3.Error, OSError) as error:
            _raise_translated(error, self._path)

    def row(self, name: str, /, **parameters: Any) -> Row | None:  # noqa: ANN401 - whatever SQLite can hold
        """Return the first row of a query, or None."""
        found = self.rows(name, **parameters)
        return found[0] if found else None

    def batches(self, name: str, /, **parameters: Any) -> Iterator[list[Row]]:  # noqa: ANN401 - as above
        """Yield the rows of a query as of one moment, in batches."""
        with translated(self._path):
            cursor = self._connection.execute(self._sql[name], parameters)
            try:
                while batch := cursor.fetchmany(BATCH):
                    yield batch
            finally:
                cursor.close()


def open_file(path: Path, *, busy_seconds: float, clock: Callable[[], float] = time.time) -> SqliteFile:
    """Open the ledger file for writing; create or migrate it if need be. LedgerError if that cannot be."""
    with translated(path):
        _create(path)
        connection = _connect(f"{path.as_uri()}?mode=rw", busy_seconds)
        with _closed_on_error(connection):
            version = _check_version(connection, path)
            _configure(connection, busy_seconds)
            if version < migrations()[-1].version:
                _migrate(connection, path, clock())
            return SqliteFile(connection, path, _statements())


def open_file_to_read(path: Path, *, busy_seconds: float) -> SqliteFile:
    """Open the ledger file for reading; one that is not there yet reads as an empty ledger."""
    with translated(path):
        if not path.exists() or path.stat().st_size == 0:
            return empty_file(path)
        connection = _connect(f"{path.as_uri()}?mode=ro", busy_seconds)
        with _closed_on_error(connection):
            version = _check_version(connection, path)
            latest = migrations()[-1].version
            if version < latest:
                raise LedgerError(
                    f"{path}: the ledger has schema {version}; this version of runner reads schema {latest}",
                    hint="the next `runner apply` or `runner resolve` brings it up to date",
                )
            return SqliteFile(connection, path, _statements())


def migrations() -> tuple[Migration, ...]:
    """Return the migrations shipped, in order."""
    return shipped_migrations("sqlite")


@contextmanager
def translated(path: Path) -> Iterator[None]:
    """Turn what SQLite or the system says about the file into one LedgerError; a bug stays a bug."""
    try:
        yield
    except (sqlite3.Error, OSError) as error:
        _raise_translated(error, path)


def _raise_translated(error: sqlite3.Error | OSError, path: Path) -> NoReturn:
    if isinstance(error, (sqlite3.IntegrityError, sqlite3.ProgrammingError)):
        raise error
    said = str(error).lower()
    for part, meaning, hint in _CAUSES:
        if part in said:
            raise LedgerError(f"{path}: the ledger {meaning}", hint=hint) from error
    reason = error.strerror if isinstance(error, OSError) else str(error)
    hint = "check `ledger` in runner.yml, and that this user may write there"
    raise LedgerError(f"{path}: the ledger cannot be used: {reason}", hint=hint) from error


class _Transaction:
    """All that is run inside `with` it, or nothing of it.

    A class, and one for all it does: it surrounds every message several times, where generators take longer.
    """

    __slots__ = ("_begin", "_connection", "_path")

    def __init__(self, connection: sqlite3.Connection, path: Path, begin: str) -> None:
        self._connection = connection
        self._path = path
        self._begin = begin

    def __enter__(self) -> None:
        try:
            self._connection.execute(self._begin)
        except (sqlite3.Error, OSError) as error:
            _raise_translated(error, self._path)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is None:
            try:
                self._connection.execute("COMMIT")
            except BaseException as failure:
                self._roll_back()
                if isinstance(failure, (sqlite3.Error, OSError)):
                    _raise_translated(failure, self._path)
                raise
        else:
            self._roll_back()
            if isinstance(error, (sqlite3.Error, OSError)):
                _raise_translated(error, self._path)

    def _roll_back(self) -> None:
        # SQLite may have rolled back by itself (disk full); the first error is the one to tell.
        with suppress(sqlite3.Error):
            self._connection.execute("ROLLBACK")


def _create(path: Path) -> None:
    """Create an empty file that only its owner may read; SQLite gives its -wal and -shm the same mode."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    # Only ever a file that was not there: to open and close a file that SQLite has open in this process
    # would drop its locks.
    with suppress(FileExistsError):
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600))


def _connect(uri: str, busy_seconds: float) -> sqlite3.Connection:
    return sqlite3.connect(uri, uri=True, timeout=busy_seconds, isolation_level=None)


def _configure(connection: sqlite3.Connection, busy_seconds: float) -> None:
    """Set what the promise rests on. SQLite does not wait for another process to turn WAL on: this does."""
    deadline = time.monotonic() + busy_seconds
    while True:
        try:
            for setting in _SETTINGS:
                connection.execute(setting)
        except sqlite3.OperationalError as error:
            if "locked" not in str(error) or time.monotonic() > deadline:
                raise
            time.sleep(_WAL_WAIT)
        else:
            return


def empty_file(path: Path) -> SqliteFile:
    """Return an empty ledger to read, in memory, that stands for one at `path` that is not there yet."""
    connection = sqlite3.connect(":memory:", isolation_level=None)
    _migrate(connection, path, 0.0)
    connection.execute("PRAGMA query_only = ON")
    return SqliteFile(connection, path, _statements())


def _check_version(connection: sqlite3.Connection, path: Path) -> int:
    """Return the ledger's schema version, 0 for an empty file; refuse what this version cannot keep."""
    version = _version(connection)
    if version is None:
        raise LedgerError(
            f"{path}: this SQLite file is not a ledger: it holds other tables",
            hint="check `ledger` in runner.yml; the file was left as it is",
        )
    latest = migrations()[-1].version
    if version > latest:
        raise LedgerError(
            f"{path}: the ledger has schema {version}, of a newer version of runner; this one knows {latest}",
            hint="use the newer runner for this ledger; the file was left as it is",
        )
    return version


def _version(connection: sqlite3.Connection) -> int | None:
    """Return the number of the last migration applied, 0 for an empty file, None for somebody else's."""
    tables = {name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
    if "schema_migrations" in tables:
        return int(connection.execute("SELECT max(version) FROM schema_migrations").fetchone()[0])
    return None if tables else 0


def _migrate(connection: sqlite3.Connection, path: Path, now: float) -> None:
    """Apply what is pending, each migration and its record in one transaction."""
    for migration in migrations():
        with _Transaction(connection, path, "BEGIN IMMEDIATE"):
            # Read inside the transaction: another process may be opening the same new ledger.
            if (_version(connection) or 0) < migration.version:
                _apply(connection, migration, now)


def _apply(connection: sqlite3.Connection, migration: Migration, now: float) -> None:
    connection.execute(
        "CREATE TABLE IF NOT EXISTS schema_migrations "
        "(version INTEGER PRIMARY KEY, name TEXT NOT NULL, applied_at REAL NOT NULL)"
    )
    for statement in _split(migration.sql):
        connection.execute(statement)
    record = (migration.version, migration.name, now)
    connection.execute("INSERT INTO schema_migrations (version, name, applied_at) VALUES (?, ?, ?)", record)


def _split(script: str) -> Iterator[str]:
    """Yield a script's statements one by one: sqlite3's executescript would commit the transaction first."""
    statement = ""
    for line in script.splitlines(keepends=True):
        statement += line
        if sqlite3.complete_statement(statement):
            yield statement
            statement = ""


def _statements() -> Mapping[str, Statement]:
    return shipped_statements("sqlite")


@contextmanager
def _closed_on_error(connection: sqlite3.Connection) -> Iterator[None]:
    try:
        yield
    except BaseException:
        connection.close()
        raise
