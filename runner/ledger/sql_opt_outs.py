"""What a SQL ledger keeps of opt-outs: who asked not to be messaged any more."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence

from runner.ledger.store import Store
from runner.ledger.webhooks import OptOut

#: How many opt-outs one transaction writes at most.
_AT_ONCE = 1000


class OptOuts:
    """The opt-outs of a SQL ledger."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def opted_out(self) -> Iterator[list[str]]:
        """Yield the phones that opted out."""
        for batch in self._store.batches("opted_out"):
            yield [phone for (phone,) in batch]

    def opted_out_after(self, number: int) -> list[tuple[int, str]]:
        """Return the opt-outs numbered above `number`."""
        return [(found, phone) for found, phone in self._store.rows("opted_out_after", number=number)]

    def opt_out(self, phone: str) -> OptOut | None:
        """Return the opt-out of one phone, or None."""
        found = self._store.row("opt_out", phone=phone)
        if found is None:
            return None
        at, source, detail = found
        return OptOut(phone=phone, at=at, source=source, detail=detail)

    def add_opt_outs(self, opt_outs: Sequence[OptOut]) -> None:
        """Keep opt-outs; of a phone that opted out before, the first stays."""
        for start in range(0, len(opt_outs), _AT_ONCE):
            with self._store.transaction():
                self.write(opt_outs[start : start + _AT_ONCE])

    def write(self, opt_outs: Sequence[OptOut]) -> None:
        """Keep opt-outs inside a transaction. In the order of phones, so that no two wait for each other."""
        listed = sorted((each.phone, each.at, each.source, each.detail) for each in _first_of_each(opt_outs))
        if listed:
            self._store.run("add_opt_outs", {"opt_outs": json.dumps(listed)})


def _first_of_each(opt_outs: Sequence[OptOut]) -> list[OptOut]:
    first: dict[str, OptOut] = {}
    for each in opt_outs:
        first.setdefault(each.phone, each)
    return list(first.values())
