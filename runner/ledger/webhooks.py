"""What a ledger holds of the provider's webhooks and of opt-outs, as values and as Protocols.

Times are epoch seconds (UTC); phones are digits with country code. Any method may raise LedgerError.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Protocol

from runner.delivery import ReceiptStatus
from runner.ledger.records import OpenDelivery


class WebhookKind(Enum):
    """What a webhook that is kept tells: how far a message got, or that a person said stop."""

    STATUS = "status"
    STOP = "stop"


@dataclass(frozen=True, slots=True, kw_only=True)
class Webhook:
    """One webhook as it is kept. `at` is the time as it was written, `tag` our delivery key, if it came back.

    `opts_out` says that its phone is not to be messaged any more; `detail` then says why.
    """

    kind: WebhookKind
    message_id: str | None = None
    tag: str | None = None
    sender: str | None = None
    phone: str | None = None
    status: ReceiptStatus | None = None
    at: str | None = None
    code: str | None = None
    detail: str | None = None
    opts_out: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class KeptWebhook:
    """A status webhook in the ledger. `verdict` is None before it was first matched."""

    number: int
    received_at: float
    message_id: str | None
    tag: str | None
    sender: str | None
    phone: str | None
    status: ReceiptStatus
    at: str | None
    code: str | None
    detail: str | None
    verdict: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class WebhookVerdict:
    """What came of a kept webhook: settled with its delivery, or to be tried again at `due_at`, or not."""

    number: int
    verdict: str
    delivery: int | None = None
    due_at: float | None = None
    is_settled: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class OptOut:
    """A phone that is not to be messaged any more: since when, how we know, and what was said."""

    phone: str
    at: float
    source: str
    detail: str | None = None


class OptOutReader(Protocol):
    """Who asked not to be messaged."""

    def opted_out(self) -> Iterator[list[str]]:
        """Yield, in batches of at most 10,000, the phones that opted out.

        Take it to its end before writing.
        """
        ...

    def opted_out_after(self, number: int) -> list[tuple[int, str]]:
        """Return the opt-outs numbered above `number`, as (number, phone), in order.

        One that is committed late may have a lower number than one that was seen: ask from some way back.
        """
        ...

    def opt_out(self, phone: str) -> OptOut | None:
        """Return the opt-out of one phone, or None."""
        ...


class WebhookReader(Protocol):
    """The webhooks that are in no delivery's account."""

    def due_webhooks(self, now: float, limit: int) -> list[KeptWebhook]:
        """Return at most `limit` webhooks that are to be matched by now, those due longest first."""
        ...

    def open_webhooks(self, phones: Sequence[str], limit: int) -> list[KeptWebhook]:
        """Return at most `limit` webhooks of these phones that are not settled."""
        ...

    def unmatched_webhooks(self, limit: int) -> list[KeptWebhook]:
        """Return the latest webhooks that were matched with nothing."""
        ...

    def unsettled_webhooks(self) -> Mapping[str, int]:
        """Count what is not settled by its verdict; `waiting` is what was not looked at yet."""
        ...

    def deliveries_to(self, phones: Sequence[str], since: float) -> Iterator[list[OpenDelivery]]:
        """Yield deliveries to these phones that were intended since then, where a receipt may settle them.

        A delivery that the provider refused for now (`retry`) was provably not sent: it is left out, unless a
        person said that it may be sent again.
        """
        ...


class WebhookRows(Protocol):
    """The webhooks of a ledger open for writing; each method is one durable transaction."""

    def add_webhooks(self, webhooks: Sequence[Webhook], now: float) -> None:
        """Keep webhooks in their order, and the opt-outs that they say, all or nothing."""
        ...

    def settle_webhooks(self, verdicts: Sequence[WebhookVerdict], now: float) -> None:
        """Note what came of webhooks; one that is settled stays as it is."""
        ...

    def erase_webhooks(self, phones: Sequence[str]) -> None:
        """Erase what webhooks said of these phones, and their opt-outs."""
        ...

    def add_opt_outs(self, opt_outs: Sequence[OptOut]) -> None:
        """Keep opt-outs; of a phone that opted out before, the first stays."""
        ...
