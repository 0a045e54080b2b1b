"""The audit log of a SQL ledger: who did what, each entry chained to the one before (runner/audit_chain.py).

An entry is written within the transaction of what it records, as its last statement. Appends wait for each
other to the end of their transactions, so that the chain never forks.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict

from runner.audit_chain import Entry, Head, chained
from runner.ledger.store import Row, Store


class Audit:
    """The table of the audit log; it keeps nothing in memory."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def append(self, event: str, *, at: float, actor: str, details: Mapping[str, object]) -> None:
        """Add an entry inside a transaction, as the last that it locks; `details` are JSON values."""
        self._store.run("lock_the_audit", {})
        entry = chained(self.audit_head(), at=at, event=event, actor=actor, details=details)
        self._store.run("add_audit", asdict(entry))

    def audit_head(self) -> Head:
        """Return where the chain ends."""
        found = self._store.row("audit_head")
        if found is not None:
            return Head(number=found[0], hash=found[1])
        identity = self._store.row("identity")
        return Head(number=0, hash=str(identity[0]) if identity else "")

    def audit(self) -> Iterator[list[Entry]]:
        """Yield all entries in the order of their numbers, in batches of at most 10,000."""
        for batch in self._store.batches("audit"):
            yield [_entry(row) for row in batch]


def _entry(row: Row) -> Entry:
    number, at, event, actor, details, previous, digest = row
    return Entry(
        number=number, at=at, event=event, actor=actor, details=details, previous=previous, hash=digest
    )
