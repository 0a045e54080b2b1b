"""The ledger in PostgreSQL: for several machines that send together, with one truth and one clock for all."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from runner.errors import LedgerError
from runner.ledger.interface import Holder
from runner.ledger.liveness import is_beside, is_running
from runner.ledger.sql_ledger import SqlLedger
from runner.ledger.sqlite_file import empty_file

if TYPE_CHECKING:
    from runner.ledger.store import Store


def open_url(url: str, root: Path, *, read_only: bool = False) -> SqlLedger:
    """Open `postgresql://user@host/database`; the password comes from PGPASSWORD or ~/.pgpass.

    Open for reading only, a database without a ledger reads as an empty one. Errors: LedgerError.
    """
    try:
        from runner.ledger.postgres_address import read_address
        from runner.ledger.postgres_database import open_database, open_database_to_read
    except ImportError as error:
        raise LedgerError(
            "ledger: a PostgreSQL ledger needs psycopg, which is not installed",
            hint="install it with: pip install 'campaign-runner[postgres]'",
        ) from error
    address = read_address(url)
    if read_only:
        store: Store = open_database_to_read(address) or empty_file(root)
        return SqlLedger(store, is_gone=is_gone)
    return SqlLedger(open_database(address), is_gone=is_gone)


def is_gone(holder: Holder, wanted_by: Holder) -> bool | None:
    """Tell whether a lock's holder is gone; None for one that cannot be looked at from here.

    Machines and containers of one name share this ledger: only a process beside this one can be looked at.
    """
    return not is_running(holder) if is_beside(holder, wanted_by) else None
