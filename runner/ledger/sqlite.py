"""The ledger in one SQLite file: the default, for one machine and any number of its processes."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from runner.errors import LedgerError
from runner.ledger.interface import Holder
from runner.ledger.liveness import is_running
from runner.ledger.sql_ledger import SqlLedger
from runner.ledger.sqlite_file import SqliteFile, open_file, open_file_to_read

#: How long a write waits for another process's, in seconds.
BUSY_SECONDS = 5.0


def open_url(url: str, root: Path, *, read_only: bool = False) -> SqlLedger:
    """Open `sqlite:///path`: relative to `root`, or absolute after four slashes."""
    path = url.removeprefix("sqlite:///")
    if path in {url, ""}:
        raise LedgerError(
            f"ledger: found {url}, expected sqlite:/// and a path",
            hint="three slashes before a path relative to the project, four before an absolute one",
        )
    file = (root / path).absolute()
    if read_only:
        return sqlite_ledger(open_file_to_read(file, busy_seconds=BUSY_SECONDS))
    return sqlite_ledger(open_file(file, busy_seconds=BUSY_SECONDS))


def sqlite_ledger(file: SqliteFile, *, is_running: Callable[[Holder], bool] = is_running) -> SqlLedger:
    """Return the ledger in an open file; `is_running` tells of a holder on this machine."""

    def is_gone(holder: Holder, wanted_by: Holder) -> bool | None:
        return not is_running(holder) if holder.host == wanted_by.host else None

    return SqlLedger(file, is_gone=is_gone)
