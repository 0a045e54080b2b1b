"""What a ledger keeps of control groups, as a value and as Protocols: who got no message, for comparison.

Times are epoch seconds (UTC); phones are digits with country code. Any method may raise LedgerError.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

from runner.delivery import DeliveryKey
from runner.ledger.records import LockToken


@dataclass(frozen=True, slots=True, kw_only=True)
class HeldOut:
    """One person held out of one occurrence; `number` is unique among all who are, `plan` is a digest."""

    number: int
    key: DeliveryKey
    recipient_id: str
    plan: str
    run: int
    at: float


class HeldOutReader(Protocol):
    """What can be asked of control groups."""

    def held_out(self, run: int, first: int, last: int) -> Iterator[list[HeldOut]]:
        """Yield whom a run held out, numbered `first` to `last`, in batches of at most 10,000."""
        ...

    def held_out_of(self, phone: str) -> list[HeldOut]:
        """Return the occurrences that a phone was held out of, oldest first."""
        ...


class HeldOutRows(Protocol):
    """How control groups are recorded; each method is one durable transaction."""

    def hold_out(self, token: LockToken, run: int, people: Sequence[tuple[str, str]], now: float) -> int:
        """Record people, (phone, recipient id), as held out of the run's occurrence; return how many are new.

        Once more is harmless: who was held out before stays as it is. LockLost if the lock was taken over.
        """
        ...

    def cut_held_out(self, target: str, run: int, size: int, now: float) -> None:
        """Put whom the run held out, if in no batch of `target` yet, into batches of at most `size`."""
        ...
