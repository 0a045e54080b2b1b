"""What a SQL ledger keeps of the provider's webhooks, from their arrival to a delivery's account."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence

from runner import quick_json
from runner.delivery import ReceiptStatus
from runner.ledger import sql_rows as rows
from runner.ledger.records import OpenDelivery
from runner.ledger.sql_opt_outs import OptOuts
from runner.ledger.sql_reading import Reading
from runner.ledger.store import Row, Store
from runner.ledger.webhooks import KeptWebhook, OptOut, Webhook, WebhookVerdict

#: How many phones one query asks for.
_PHONES_AT_ONCE = 1000


class Webhooks:
    """The webhooks of a SQL ledger."""

    def __init__(self, store: Store, reading: Reading, opt_outs: OptOuts) -> None:
        self._store = store
        self._reading = reading
        self._opt_outs = opt_outs

    def add_webhooks(self, webhooks: Sequence[Webhook], now: float) -> None:
        """Keep webhooks in their order, and the opt-outs that they say, all or nothing."""
        listed = quick_json.encode([_entry(each) for each in webhooks]).decode()
        stopped = [
            OptOut(phone=each.phone, at=now, source=f"webhook ({each.kind.value})", detail=each.detail)
            for each in webhooks
            if each.opts_out and each.phone
        ]
        with self._store.transaction():
            self._store.run("add_webhooks", {"webhooks": listed, "now": now})
            self._opt_outs.write(stopped)

    def settle_webhooks(self, verdicts: Sequence[WebhookVerdict], now: float) -> None:
        """Note what came of webhooks; one that is settled stays as it is."""
        listed = json.dumps(
            [
                (each.number, each.verdict, each.delivery, each.due_at, now if each.is_settled else None)
                for each in sorted(verdicts, key=lambda each: each.number)
            ]
        )
        with self._store.transaction():
            self._store.run("settle_webhooks", {"verdicts": listed})

    def erase_webhooks(self, phones: Sequence[str]) -> None:
        """Erase what webhooks said of these phones, and their opt-outs."""
        with self._store.transaction():
            for phone in phones:
                self._store.run("erase_webhooks", {"phone": phone})
                self._store.run("erase_opt_outs", {"phone": phone})

    def due_webhooks(self, now: float, limit: int) -> list[KeptWebhook]:
        """Return webhooks that are to be matched by now."""
        return [_kept(row) for row in self._store.rows("due_webhooks", now=now, limit=limit)]

    def open_webhooks(self, phones: Sequence[str], limit: int) -> list[KeptWebhook]:
        """Return webhooks of these phones that are not settled."""
        found: list[KeptWebhook] = []
        for some in _parts(phones):
            left = limit - len(found)
            found += [_kept(row) for row in self._store.rows("open_webhooks", phones=some, limit=left)]
        return found

    def unmatched_webhooks(self, limit: int) -> list[KeptWebhook]:
        """Return the latest webhooks that were matched with nothing."""
        return [_kept(row) for row in self._store.rows("unmatched_webhooks", limit=limit)]

    def unsettled_webhooks(self) -> Mapping[str, int]:
        """Count what is not settled by its verdict."""
        return dict(self._store.rows("unsettled_webhooks"))

    def deliveries_to(self, phones: Sequence[str], since: float) -> Iterator[list[OpenDelivery]]:
        """Yield deliveries to these phones that were intended since then."""
        for some in _parts(phones):
            found = self._store.rows("deliveries_to_phones", phones=some, since=since)
            yield [rows.open_delivery(row, self._reading.sender_of(row[3])) for row in found]


def _parts(phones: Sequence[str]) -> Iterator[str]:
    for start in range(0, len(phones), _PHONES_AT_ONCE):
        yield json.dumps(phones[start : start + _PHONES_AT_ONCE])


def _entry(webhook: Webhook) -> tuple[str | None, ...]:
    """Return a webhook's entry in `add_webhooks`."""
    status = webhook.status.value if webhook.status else None
    return (
        webhook.kind.value,
        webhook.message_id,
        webhook.tag,
        webhook.sender,
        webhook.phone,
        status,
        webhook.at,
        webhook.code,
        webhook.detail,
    )


def _kept(row: Row) -> KeptWebhook:
    """Read a row of `due_webhooks`, `open_webhooks` or `unmatched_webhooks`."""
    number, received_at, message_id, tag, sender, phone, status, at, code, detail, verdict = row
    return KeptWebhook(
        number=number,
        received_at=received_at,
        message_id=message_id,
        tag=tag,
        sender=sender,
        phone=phone,
        status=ReceiptStatus(status),
        at=at,
        code=code,
        detail=detail,
        verdict=verdict,
    )
