"""Who has reached a cap over all campaigns while a run lasts: the ledger is asked with each batch.

The ledger has the last word, at the intent: two runs at once never both send to somebody who may get one
message. What is asked here comes before that: no slot of the sender's rate is spent on who has reached a cap.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence

from runner.campaign import Cap
from runner.delivery import DeliveryKey
from runner.ledger.interface import LedgerReader

#: Deliveries of older batches than these have had their turn, or meet the cap at their intent.
_BATCHES = 4


class ReachedCaps:
    """The people of the last batches who had reached a cap when their batch was read."""

    def __init__(self, caps: Sequence[Cap]) -> None:
        self._caps = caps
        self._reached: deque[dict[str, str]] = deque(maxlen=_BATCHES)

    def ask(self, ledger: LedgerReader, keys: Sequence[DeliveryKey], now: float) -> None:
        """Ask the ledger about a batch of one occurrence; nothing is asked without a cap."""
        if not self._caps or not keys:
            return
        phones = [key.phone for key in keys]
        reached = ledger.capped(keys[0].campaign, keys[0].occurrence, phones, self._caps, now)
        if reached:
            self._reached.append(reached)

    def rule(self, phone: str) -> str | None:
        """Return the rule of the cap that a phone has reached, None for all others."""
        for reached in self._reached:
            if phone in reached:
                return reached[phone]
        return None
