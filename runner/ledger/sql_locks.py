"""The locks of a SQL ledger: who applies an occurrence, taken over only from a process that is gone.

Heartbeats go by the ledger's clock: a file's is the caller's, a database server's is its own.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from datetime import datetime, timezone

from runner.ledger import sql_rows as rows
from runner.ledger.interface import STALE_AFTER, Holder, LockHeld, LockLost, LockRecord, LockToken
from runner.ledger.sql_audit import Audit
from runner.ledger.store import Store


class SqlLocks:
    """The locks table.

    `is_gone` tells of a lock's holder, and of who wants it, whether the first is gone; None where only its
    heartbeat can tell.
    """

    def __init__(self, store: Store, is_gone: Callable[[Holder, Holder], bool | None]) -> None:
        self._store = store
        self._is_gone = is_gone
        self._audit = Audit(store)

    def acquire(self, name: str, holder: Holder, now: float) -> LockToken:
        """Take a lock that is free, or whose holder is gone; else raise LockHeld, which says who holds it."""
        with self._store.transaction():
            self._store.run("lock_the_locks", {})
            now = self._clock(now)
            held = self.holder_of(name)
            if held is not None and not self._is_stale(held, holder, now):
                raise LockHeld(name, held, _clock_time(held.started_at, now))
            self._store.run("drop_stale_lock", {"name": name})
            ((number,),) = self._store.rows("add_lock", name=name, now=now, **asdict(holder))
            if held is not None:
                taken = {"lock": name, "from": asdict(held.holder), "by": asdict(holder)}
                self._audit.append("lock_taken_over", at=now, actor=holder.owner, details=taken)
        return LockToken(name=name, number=int(number))

    def heartbeat(self, token: LockToken, now: float) -> None:
        """Say that the holder is alive; LockLost if the lock was taken over."""
        with self._store.transaction():
            self.check_held(token)
            self._store.run("beat", {"now": self._clock(now), **asdict(token)})

    def release(self, token: LockToken) -> None:
        """Give the lock back; nothing happens if it was taken over."""
        with self._store.transaction():
            self._store.run("drop_lock", asdict(token))

    def check_held(self, token: LockToken) -> None:
        """Raise LockLost unless the token still fits; inside a transaction it holds to its end."""
        if self._store.row("lock_is_held", name=token.name, number=token.number) is None:
            raise LockLost(
                f"{token.name}: another process has taken over; this one recorded and sent nothing more",
                hint="look at `runner status`: the other process goes on with this plan",
            )

    def held(self, seen_by: Holder, now: float) -> list[str]:
        """Return the names of the occurrences' locks whose holders run, as far as `seen_by` can tell."""
        now = self._clock(now)
        names = [name for (name,) in self._store.rows("held_locks")]
        records = [(name, self.holder_of(name)) for name in names]
        return [name for name, record in records if record and not self._is_stale(record, seen_by, now)]

    def holder_of(self, name: str) -> LockRecord | None:
        """Return who holds a lock, or None."""
        found = self._store.row("lock", name=name)
        return rows.lock(found) if found else None

    def _is_stale(self, held: LockRecord, wanted_by: Holder, now: float) -> bool:
        is_gone = self._is_gone(held.holder, wanted_by)
        return now - held.heartbeat_at > STALE_AFTER if is_gone is None else is_gone

    def _clock(self, now: float) -> float:
        """Return the time by which heartbeats go."""
        ((moment,),) = self._store.rows("clock", now=now)
        return float(moment)


def _clock_time(at: float, now: float) -> str:
    """Render a moment for people: its hour, and its day unless that is today's (UTC)."""
    moment, today = (datetime.fromtimestamp(seconds, timezone.utc) for seconds in (at, now))
    return f"{moment:%H:%M} UTC" if moment.date() == today.date() else f"{moment:%Y-%m-%d %H:%M} UTC"
