"""What a SQL ledger knows of caps over all campaigns: who has had as many messages as one allows.

It looks each phone up in the few occurrences that ran lately: no index by phone has to be kept for it.
"""

from __future__ import annotations

import json
from collections.abc import Sequence

from runner.campaign import Cap
from runner.ledger.sql_reading import Reading
from runner.ledger.store import Store

#: How many phones one query asks for.
_PHONES_AT_ONCE = 1000


class Caps:
    """The caps of a SQL ledger's deliveries."""

    def __init__(self, store: Store, reading: Reading) -> None:
        self._store = store
        self._reading = reading
        self._known: tuple[int, float, list[int]] = (-1, 0.0, [])

    def capped(
        self, campaign: str, occurrence: str, phones: Sequence[str], caps: Sequence[Cap], now: float
    ) -> dict[str, str]:
        """Return which of the phones have reached a cap by other occurrences, and the first cap's rule."""
        return self.among(self._reading.occurrence_id(campaign, occurrence), phones, caps, now)

    def held(
        self, occurrence_id: int, phones: Sequence[str], caps: Sequence[Cap], now: float
    ) -> dict[str, str]:
        """Return the same inside a transaction; until it ends no other run that keeps a cap counts them."""
        if not caps or not phones:
            return {}
        self._store.rows("hold_phones", phones=json.dumps(phones))
        return self.among(occurrence_id, phones, caps, now)

    def among(
        self, occurrence_id: int, phones: Sequence[str], caps: Sequence[Cap], now: float
    ) -> dict[str, str]:
        """Return which of the phones have reached a cap by other occurrences than this one."""
        reached: dict[str, str] = {}
        for cap in caps:
            since = now - cap.per.total_seconds()
            others = [each for each in self._occurrences(since) if each != occurrence_id]
            for start in range(0, len(phones) if others else 0, _PHONES_AT_ONCE):
                some = json.dumps(phones[start : start + _PHONES_AT_ONCE])
                asked = {"phones": some, "occurrences": json.dumps(others), "since": since}
                for phone, messages in self._store.rows("sent_lately", **asked):
                    if messages >= cap.messages:
                        reached.setdefault(phone, cap.rule)
        return reached

    def _occurrences(self, since: float) -> list[int]:
        """Return the occurrences that ran after `since`, and maybe older ones.

        They are listed again only when a run has begun, or an earlier moment is asked for.
        """
        ((latest,),) = self._store.rows("latest_run")
        known, from_then, listed = self._known
        if latest != known or since < from_then:
            listed = [row[0] for row in self._store.rows("occurrences_since", since=since)]
            self._known = (latest, since, listed)
        return listed
