"""What PostgreSQL and libpq say when something is wrong, in one line with what to do; never a password."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import psycopg

from runner.errors import LedgerError
from runner.ledger.postgres_address import Address

_AGAIN = "wait until it has finished, then run the same command again"
_RIGHTS = "ask for the right to connect, and to create and write tables in the ledger's schema"
_SPACE = "free some space on the server, then run the same command again"
_LOGIN = "set PGPASSWORD, or put the password into ~/.pgpass; check the user in `ledger` of runner.yml"

#: How an SQLSTATE begins, what that means here, and what to do.
_STATES = (
    ("55P03", "is locked by another process", _AGAIN),
    ("40P01", "is locked by another process", _AGAIN),
    ("57014", "took too long to answer", "look at what the server is busy with, then try again"),
    ("53100", "cannot grow: the server's disk is full", _SPACE),
    ("53300", "has no connection left", "raise max_connections, or stop what else is connected"),
    ("25006", "is read-only", "check that the address is of the primary server, not of a copy"),
    ("42501", "may not be used by this user", _RIGHTS),
    ("28", "does not accept this user", _LOGIN),
    ("3D000", "has no such database", "create it, or check `ledger` in runner.yml"),
    ("3F000", "has no such schema", "create it, or check `ledger` in runner.yml"),
    ("42P07", "cannot be created: the schema holds other tables", "add ?schema=runner to `ledger`"),
    (
        "42P01",
        "was removed while it was in use",
        "restore the ledger from its backup before sending anything",
    ),
)

#: What libpq says (a part of its message, in lower case) before there is an SQLSTATE.
_CONNECTING = (
    ("password", "does not accept this user", _LOGIN),
    ("pg_hba.conf", "does not accept this user", _LOGIN),
    ("role", "does not know this user", _LOGIN),
    ("database", "has no such database", "create it, or check `ledger` in runner.yml"),
    ("too many", "has no connection left", "raise max_connections, or stop what else is connected"),
    ("starting up", "is starting up", "wait a moment, then run the same command again"),
)
_UNREACHED = "check that the server runs, and `ledger` in runner.yml"
_LOST = "run the same command again: what was in flight becomes unknown, and nothing is sent twice"

#: Mistakes of ours: a statement that does not fit the schema, or a value that does not fit its column.
_BUGS = (psycopg.IntegrityError, psycopg.DataError)


@contextmanager
def translated(address: Address, *, is_connecting: bool = False) -> Iterator[None]:
    """Turn what the server or libpq says into one LedgerError; a bug stays a bug."""
    try:
        yield
    except _BUGS:
        raise
    except psycopg.Error as error:
        meaning, hint = _explain(error, is_connecting=is_connecting)
        raise LedgerError(f"{address}: the ledger {meaning}", hint=hint) from error


def _explain(error: psycopg.Error, *, is_connecting: bool) -> tuple[str, str]:
    said = str(error).strip()
    for state, meaning, hint in _STATES:
        if (error.sqlstate or "").startswith(state):
            return meaning, hint
    if is_connecting:
        return _explain_connecting(said)
    if _is_lost(error):
        return "was lost: the connection to the server broke", _LOST
    reason = said.splitlines()[0] if said else type(error).__name__
    return f"cannot be used: {reason}", "check `ledger` in runner.yml, and the server's own log"


def _explain_connecting(said: str) -> tuple[str, str]:
    low = said.lower()
    # The address of the server comes first, and may hold any word.
    reason = low.rpartition("failed: ")[2]
    for part, meaning, hint in _CONNECTING:
        if part in reason:
            return meaning, hint
    return f"cannot be reached: {reason.splitlines()[0]}", _UNREACHED


def _is_lost(error: psycopg.Error) -> bool:
    state = error.sqlstate or ""
    return isinstance(error, psycopg.OperationalError) and (
        not state or state.startswith(("08", "57P", "25P03"))
    )
