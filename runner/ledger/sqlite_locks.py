"""The locks of a SQLite ledger: who applies an occurrence, taken over only from a process that is gone."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from datetime import datetime, timezone

from runner.errors import Refusal
from runner.ledger import sqlite_rows as rows
from runner.ledger.interface import STALE_AFTER, Holder, LockLost, LockRecord, LockToken
from runner.ledger.sqlite_file import SqliteFile


class SqliteLocks:
    """The locks table; `is_running` tells whether a holder on this machine is still there."""

    def __init__(self, file: SqliteFile, is_running: Callable[[Holder], bool]) -> None:
        self._file = file
        self._is_running = is_running

    def acquire(self, name: str, holder: Holder, now: float) -> LockToken:
        """Take a lock that is free, or whose holder is gone; else raise Refusal, which says who holds it."""
        with self._file.transaction():
            held = self.holder_of(name)
            if held is not None and not self._is_stale(held, holder, now):
                raise Refusal(
                    f"{name} is being applied by {held.holder} since {_clock_time(held.started_at, now)}",
                    hint="wait until it has finished, or stop it: it records what is in flight first",
                )
            self._file.run("drop_stale_lock", {"name": name})
            number = self._file.run("add_lock", {"name": name, "now": now, **asdict(holder)}).lastrowid
        return LockToken(name=name, number=number or 0)

    def heartbeat(self, token: LockToken, now: float) -> None:
        """Say that the holder is alive; LockLost if the lock was taken over."""
        with self._file.transaction():
            self.check_held(token)
            self._file.run("beat", {"now": now, **asdict(token)})

    def release(self, token: LockToken) -> None:
        """Give the lock back; nothing happens if it was taken over."""
        with self._file.transaction():
            self._file.run("drop_lock", asdict(token))

    def check_held(self, token: LockToken) -> None:
        """Raise LockLost unless the token still fits; inside a transaction it holds to its end."""
        if self._file.row("lock_is_held", name=token.name, number=token.number) is None:
            raise LockLost(
                f"{token.name}: another process has taken over; this one recorded and sent nothing more",
                hint="look at `runner status`: the other process goes on with this plan",
            )

    def holder_of(self, name: str) -> LockRecord | None:
        """Return who holds a lock, or None."""
        found = self._file.row("lock", name=name)
        return rows.lock(found) if found else None

    def _is_stale(self, held: LockRecord, wanted_by: Holder, now: float) -> bool:
        if held.holder.host == wanted_by.host:
            return not self._is_running(held.holder)
        return now - held.heartbeat_at > STALE_AFTER


def _clock_time(at: float, now: float) -> str:
    """Render a moment for people: its hour, and its day unless that is today's (UTC)."""
    moment, today = (datetime.fromtimestamp(seconds, timezone.utc) for seconds in (at, now))
    return f"{moment:%H:%M} UTC" if moment.date() == today.date() else f"{moment:%Y-%m-%d %H:%M} UTC"
