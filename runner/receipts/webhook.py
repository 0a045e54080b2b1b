"""ADA's webhooks -> what is kept of them (reference/ada-api.md §11). Pure; for listening.

Facts: the envelope, the three event types in any case, both dialects of failure, inbound messages in two
shapes. Readings, where the documents are silent: where the text of a button's reply is, and that our tag may
come back. Nothing of a person's message is kept but a stop word.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from runner.delivery import ReceiptStatus
from runner.ledger.webhooks import Webhook, WebhookKind
from runner.opt_out import says_opted_out, stop_word
from runner.providers.ada_outcomes import clean
from runner.receipts.words import STATUSES, plain

#: A delivery's key as we send it in `tag1`: campaign, occurrence, phone.
_TAG = re.compile(r"[a-z0-9_]{1,64}/[\w:.+-]{1,40}/\d{5,15}", re.ASCII)
#: Digits of a phone with its country code (E.164).
_PHONE = re.compile(r"[1-9][0-9]{4,14}")
_LONGEST_ID = 200
_LONGEST_TIME = 60
_LONGEST_CODE = 50
#: How many values of a payload are looked at for our tag.
_MOST_VALUES = 500


class NoWebhookError(ValueError):
    """A document that is no webhook of ADA's: it does not say what happened, or of which message."""


def read_webhook(document: object) -> Webhook | None:
    """Return what is to be kept of a webhook; None where nothing is: a message, the start of a conversation.

    Errors: NoWebhookError.
    """
    if not isinstance(document, dict) or not isinstance(document.get("eventType"), str):
        raise NoWebhookError("no eventType")
    data = document.get("data")
    inner: dict[str, Any] = data if isinstance(data, dict) else {}
    event = plain(document["eventType"])
    if event == "messagestatus":
        return _status(document, inner)
    return _message(document, inner) if event == "message" else None


def _status(document: dict[str, Any], data: dict[str, Any]) -> Webhook:
    message_id = _text(data.get("id"), _LONGEST_ID)
    phone = _digits(data.get("custNo"))
    word = _text(data.get("status"), _LONGEST_ID)
    tag = _tag(document, phone)
    if word is None or (message_id is None and phone is None and tag is None):
        raise NoWebhookError("a status without a message")
    # Whatever is not known as sent, delivered or read is a failure, in whichever words.
    status = STATUSES.get(plain(word), ReceiptStatus.FAILED)
    failed = status is ReceiptStatus.FAILED
    code = _first(data, ("errorCode", "code")) if failed else None
    detail = (_first(data, ("detailError", "message")) or word) if failed else None
    return Webhook(
        kind=WebhookKind.STATUS,
        message_id=message_id,
        tag=tag,
        sender=_digits(document.get("accountNo")),
        phone=phone,
        status=status,
        at=_text(data.get("timestamp"), _LONGEST_TIME) or _text(document.get("timestamp"), _LONGEST_TIME),
        code=clean(code, "")[:_LONGEST_CODE] if code else None,
        detail=clean(detail, "") if detail else None,
        opts_out=failed and says_opted_out(code, detail),
    )


def _message(document: dict[str, Any], data: dict[str, Any]) -> Webhook | None:
    """Return a person's stop, None for any other message: its text is not kept, nor who sent it."""
    word = next((word for text in _texts(document, data) if (word := stop_word(text))), None)
    phone = _digits(data.get("custNo")) or _digits(document.get("fromNo"))
    if word is None or phone is None:
        return None
    return Webhook(
        kind=WebhookKind.STOP,
        message_id=_text(data.get("id"), _LONGEST_ID),
        sender=_digits(document.get("accountNo")),
        phone=phone,
        at=_text(data.get("timestamp"), _LONGEST_TIME) or _text(document.get("timestamp"), _LONGEST_TIME),
        detail=word,
        opts_out=True,
    )


def _texts(document: dict[str, Any], data: dict[str, Any]) -> Iterator[str]:
    """Yield what a person may have written or pressed: `data` first, then the copy above it."""
    for place in (data, document):
        for value in (place.get("text"), place.get("payload"), place.get("button")):
            inner = value if isinstance(value, dict) else {"text": value}
            yield from (
                each for key in ("body", "text", "payload") if isinstance(each := inner.get(key), str)
            )


def _tag(document: dict[str, Any], phone: str | None) -> str | None:
    """Return our delivery key, if it stands anywhere in the payload and is of this phone.

    Where the payload has no phone, only a field named as a tag is believed: people choose their own names.
    """
    waiting: list[tuple[object, bool]] = [(document, False)]
    for _ in range(_MOST_VALUES):
        if not waiting:
            return None
        value, is_tag = waiting.pop()
        if isinstance(value, dict):
            waiting += [(inner, is_tag or _is_tag(key)) for key, inner in value.items()]
        elif isinstance(value, list):
            waiting += [(inner, is_tag) for inner in value]
        elif isinstance(value, str) and _TAG.fullmatch(value):
            theirs = value.rpartition("/")[2]
            if theirs == phone or (phone is None and is_tag):
                return value
    return None


def _is_tag(key: object) -> bool:
    return isinstance(key, str) and plain(key).startswith("tag")


def _first(data: dict[str, Any], keys: tuple[str, ...]) -> str | None:
    return next((text for key in keys if (text := _text(data.get(key), _LONGEST_ID * 10))), None)


def _text(value: object, longest: int) -> str | None:
    """Return a text, or a number as text, cut to `longest` characters; None for anything else."""
    if isinstance(value, bool) or not isinstance(value, (str, int, float)):
        return None
    # Half of a surrogate pair, which JSON can write, is no text that a database keeps.
    text = str(value).encode("utf-8", "replace").decode()
    return text.replace("\0", "").strip()[:longest] or None


def _digits(value: object) -> str | None:
    """Return the digits of a phone with its country code, None where there are none."""
    digits = re.sub(r"[^0-9]", "", _text(value, _LONGEST_TIME) or "").removeprefix("00")
    return digits if _PHONE.fullmatch(digits) else None
