"""One message to one phone in one occurrence, and what became of it. No I/O."""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import Enum

#: The gate, and the rule, by which a person who was forgotten is never messaged again.
FORGOTTEN = "forgotten"
#: What a number begins with that stands in the place of a forgotten person's phone; no phone does.
_NOBODY = "-"
#: Above every number that the ledger gives to a delivery: what replaces a phone before that is known.
_UNNUMBERED = 1 << 53


class Outcome(Enum):
    """What one send came to. Only RETRY may be sent again: it is proven that nothing was sent."""

    ACCEPTED = "accepted"
    REFUSED = "refused"
    RETRY = "retry"
    UNKNOWN = "unknown"


class State(Enum):
    """What the ledger holds of a delivery: an intent without an outcome yet, or the last outcome."""

    INTENT = "intent"
    ACCEPTED = "accepted"
    REFUSED = "refused"
    RETRY = "retry"
    UNKNOWN = "unknown"

    @property
    def is_final(self) -> bool:
        """Tell whether nothing more will be sent for it without a person's word."""
        return self in {State.ACCEPTED, State.REFUSED, State.UNKNOWN}


class ReceiptStatus(Enum):
    """What the provider tells later of a message it accepted, in the order of how far that goes.

    `failed` comes before `delivered`: a message may fail on one of a person's devices and reach another.
    """

    SENT = "sent"
    FAILED = "failed"
    DELIVERED = "delivered"
    READ = "read"

    def is_further_than(self, other: ReceiptStatus | None) -> bool:
        """Tell whether this goes further than `other`, None being nothing yet."""
        return other is None or _FURTHER[self] > _FURTHER[other]


_FURTHER = {status: place for place, status in enumerate(ReceiptStatus)}


@dataclass(frozen=True, slots=True, kw_only=True)
class DeliveryKey:
    """The identity of a delivery, unique for ever. `phone` is digits with country code, no `+`."""

    campaign: str
    occurrence: str
    phone: str

    def __str__(self) -> str:
        """Render as the tag that travels with the message, and may come back with a receipt."""
        return f"{self.campaign}/{self.occurrence}/{self.phone}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Media:
    """A media header's value: its kind in upper case (`IMAGE`), its public URL, and a file name if any."""

    kind: str
    url: str
    file_name: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class TemplateMessage:
    """A template filled for one person.

    `buttons` has one entry per button of the template, in its order: the value to fill, or None.
    `button_kinds` names each one's kind. `header` holds a text header's values.
    """

    name: str
    language: str
    body: tuple[str, ...] = ()
    header: tuple[str, ...] = ()
    media: Media | None = None
    buttons: tuple[str | None, ...] = ()
    button_kinds: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class TextMessage:
    """A free text; WhatsApp allows it only within 24 hours of the person's own message."""

    text: str


Message = TemplateMessage | TextMessage


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivery:
    """A message and its identity. `recipient_id` is the campaign's own key for the person, as text.

    `variant` is that of the campaign whose message it is, None in a campaign without.
    """

    key: DeliveryKey
    recipient_id: str
    message: Message
    variant: str | None = None


def is_forgotten(phone: str) -> bool:
    """Tell whether this stands in the place of a forgotten person's phone."""
    return phone.startswith(_NOBODY)


def without_person(delivery: Delivery, chance: int) -> Delivery:
    """Return a forgotten person's delivery as it may be recorded; `chance` is a random number of 52 bits."""
    key = replace(delivery.key, phone=f"{_NOBODY}{_UNNUMBERED + chance}")
    return replace(delivery, key=key, recipient_id="")


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What one send came to, and the evidence.

    `rule` names the row of the provider's table that decided. `stops` says that no further send can
    succeed until a person acts (a bad token). `retry_after` is in seconds, where the provider gave one.
    `departed_at` is when the request left (epoch seconds, the clock's), None if it never did.
    """

    outcome: Outcome
    rule: str
    message_id: str | None = None
    http_status: int | None = None
    code: str | None = None
    detail: str | None = None
    retry_after: float | None = None
    stops: bool = False
    departed_at: float | None = None
