"""Which webhooks are kept: those of everybody but the people who were forgotten. On the ledger's thread.

Receipts come for weeks, and their phones would stand in the ledger again. Who is forgotten between the look
at the ledger and the commit is found by looking again: whoever erases them later finds what was kept by then.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from runner.errors import LedgerError, UsageError
from runner.ledger.interface import Ledger
from runner.ledger.webhooks import Webhook


class ForgottenPeople(Protocol):
    """Who was forgotten, as of the last look at the ledger."""

    def bars(self, phone: str) -> bool:
        """Tell whether this phone was forgotten."""
        ...

    def renew(self, ledger: Ledger) -> None:
        """Look who was forgotten since. UsageError when that cannot be known by the key here."""
        ...


class Keeper:
    """Keeps webhooks in a ledger, but for those of forgotten people."""

    def __init__(self, forgotten: ForgottenPeople) -> None:
        self._forgotten = forgotten

    def keep(self, ledger: Ledger, webhooks: Sequence[Webhook], now: float) -> None:
        """Keep webhooks, all or none. LedgerError, also when it cannot be known who was forgotten."""
        self._renew(ledger)
        kept = [each for each in webhooks if not self._is_forgotten(each)]
        if not kept:
            return
        ledger.add_webhooks(kept, now)
        self._renew(ledger)
        late = {phone for each in kept if self._is_forgotten(each) for phone in _phones(each)}
        if late:
            ledger.erase_webhooks(sorted(late))

    def _renew(self, ledger: Ledger) -> None:
        try:
            self._forgotten.renew(ledger)
        except UsageError as error:
            raise LedgerError(error.message, hint=f"{error.hint}; then start the listener again") from error

    def _is_forgotten(self, webhook: Webhook) -> bool:
        return any(map(self._forgotten.bars, _phones(webhook)))


def _phones(webhook: Webhook) -> set[str]:
    tagged = webhook.tag.rpartition("/")[2] if webhook.tag else None
    return {phone for phone in (webhook.phone, tagged) if phone}
