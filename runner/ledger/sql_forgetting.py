"""What a SQL ledger forgets: a person's rows lose the person and stay in the accounts; a keyed hash stays.

The ledger never sees the key: it gets the hash, and a proof by which a wrong key is known.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict

from runner.delivery import State
from runner.errors import UsageError
from runner.ledger.interface import Erased, Holder
from runner.ledger.lock_names import lock_name
from runner.ledger.sql_audit import Audit
from runner.ledger.sql_locks import SqlLocks
from runner.ledger.store import Store


class Forgetting:
    """The forgotten people of a SQL ledger."""

    def __init__(self, store: Store, locks: SqlLocks) -> None:
        self._store = store
        self._locks = locks
        self._audit = Audit(store)

    def last_forgotten(self) -> int:
        """Return the number of whoever was forgotten last; 0 when nobody was."""
        ((number,),) = self._store.rows("last_forgotten")
        return int(number)

    def forgotten(self) -> Iterator[list[str]]:
        """Yield the keyed hashes of all forgotten people, in batches of at most 10,000."""
        for batch in self._store.batches("forgotten"):
            yield [keyed_hash for (keyed_hash,) in batch]

    def forget_proof(self) -> str | None:
        """Return what tells the right key from a wrong one; None when nobody was forgotten."""
        found = self._store.row("forget_proof")
        return str(found[0]) if found else None

    def applying(self, seen_by: Holder, now: float) -> list[str]:
        """Return the locks of the applies that are going on, as `seen_by` can tell."""
        return self._locks.held(seen_by, now)

    def forget(self, keyed_hash: str, proof: str, by: Holder, now: float) -> bool:
        """Keep a person's keyed hash; False when it is kept already. UsageError for another key's proof."""
        with self._store.transaction():
            self._store.run("set_forget_proof", {"proof": proof})
            if self.forget_proof() != proof:
                raise UsageError(
                    "this is not the key by which people were forgotten here: nothing was changed",
                    hint="set RUNNER_FORGET_KEY to the key of the first `runner forget` of this ledger",
                )
            added = self._store.changed("add_forgotten", {"keyed_hash": keyed_hash, "now": now})
            if added:
                self._audit.append("forgotten", at=now, actor=by.owner, details={"host": by.host})
        return bool(added)

    def erase(self, phone: str, by: Holder, now: float) -> Erased | None:
        """Erase the person from all deliveries to a phone; None, and nothing, while one is in flight."""
        with self._store.transaction():
            self._store.hold({row[0] for row in self._store.rows("occurrences_to", phone=phone)})
            if self._is_in_flight(phone, by, now):
                return None
            person = {"phone": phone}
            events = self._store.changed("erase_events", person)
            resolutions = self._store.changed("erase_resolutions", person)
            deliveries = self._store.changed("erase_deliveries", person)
            held_out = self._store.changed("erase_held_out", person)
            self._store.run("erase_webhooks", person)
            self._store.run("erase_opt_outs", person)
            erased = Erased(deliveries=deliveries, events=events, resolutions=resolutions, held_out=held_out)
            if deliveries or resolutions or held_out:
                details = {**asdict(erased), "host": by.host}
                self._audit.append("erased", at=now, actor=by.owner, details=details)
        return erased

    def wipe(self) -> bool:
        """Remove what is left of erased rows in the database's free space; False while others use it."""
        return self._store.wipe("wipe")

    def _is_in_flight(self, phone: str, by: Holder, now: float) -> bool:
        """Tell whether a run that goes on waits for the answer to a message to this phone."""
        found = self._store.rows("occurrences_to", phone=phone)
        waiting = {lock_name(row[1], row[2]) for row in found if row[3] == State.INTENT.value}
        return bool(waiting) and not waiting.isdisjoint(self._locks.held(by, now))
