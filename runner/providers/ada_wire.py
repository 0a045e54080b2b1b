"""ADA's request bodies: a message as the JSON of `POST /message`. Pure; between the engine and ada.py.

Labels as in reference/ada-api.md: a FACT was seen in several clients or a capture, a READING is our choice
where that page says INFERRED or UNKNOWN.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any

from runner import quick_json
from runner.delivery import Message, TemplateMessage, TextMessage
from runner.errors import UsageError


class TextHeader(Enum):
    """Where the value of a text header's variable goes. READING: ADA's way is UNKNOWN (§4.2, §14.6)."""

    HEADER = "header"
    TEMPLATE_DATA = "template_data"


class UnsendableError(ValueError):
    """A message that ADA's flat request cannot carry; raised before anything is written."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AdaOptions:
    """The keys of `providers.ada` that only ADA knows.

    `channel` is sent as it is when set (two clients send one, three do not). `tag` tells whether our delivery
    key travels as `tag1`.
    """

    text_header: TextHeader = TextHeader.HEADER
    channel: str | None = None
    tag: bool = True


def read_options(options: Mapping[str, Any]) -> AdaOptions:
    """Read the options of runner.yml; raises UsageError for a key or value that ADA does not have."""
    unknown = sorted(set(options) - {"text_header", "channel", "tag"})
    if unknown:
        raise _bad_option(
            unknown[0], "found a key that this provider does not have", "text_header, channel, tag"
        )
    places = [place.value for place in TextHeader]
    text_header = options.get("text_header", TextHeader.HEADER.value)
    if text_header not in places:
        raise _bad_option("text_header", f"found {text_header!r}", " or ".join(places))
    channel = options.get("channel")
    if channel is not None and not (isinstance(channel, str) and channel):
        raise _bad_option("channel", f"found {channel!r}", "a text")
    tag = options.get("tag", True)
    if not isinstance(tag, bool):
        raise _bad_option("tag", f"found {tag!r}", "true or false")
    return AdaOptions(text_header=TextHeader(text_header), channel=channel, tag=tag)


def _bad_option(key: str, found: str, expected: str) -> UsageError:
    return UsageError(f"providers.ada.{key}: {found}", hint=f"expected {expected}")


def request_body(sender: str, phone: str, message: Message, tag: str, options: AdaOptions) -> bytes:
    """Return the body of one send. `sender` and `phone` are digits; raises UnsendableError."""
    # FACT (five clients): platform, from, to as a string of digits, type.
    body: dict[str, Any] = {"platform": "WA", "from": sender, "to": phone}
    if options.channel is not None:
        body["channel"] = options.channel
    if options.tag:
        # FACT (one client): its own message id. Nothing shows that a receipt brings it back.
        body["tag1"] = tag
    body.update(_text(message) if isinstance(message, TextMessage) else _template(message, options))
    return quick_json.encode(body)


def _text(message: TextMessage) -> dict[str, Any]:
    """FACT (four clients): `text` is a plain string."""
    return {"type": "text", "text": message.text}


def _template(message: TemplateMessage, options: AdaOptions) -> dict[str, Any]:
    """FACT: name and language, values as one flat list of strings; the rest is said at each part."""
    in_data = message.header if options.text_header is TextHeader.TEMPLATE_DATA else ()
    return {
        "type": "template",
        "templateName": message.name,
        "templateLang": message.language,
        # READING (low): a text header's values come before the body's, if they belong here at all.
        "templateData": [*in_data, *message.body],
        **_buttons(message),
        **_header(message, options),
    }


def _buttons(message: TemplateMessage) -> dict[str, Any]:
    """Return `templateButton` and, where a quick reply has one, `payload`: one entry per template button.

    FACT: the shape, captured on bulk sends, and `[]` on a plain one. READING: that a URL's value goes into
    its inner list, by analogy with the one-time code, and that `/message` takes `payload`.
    """
    if not message.buttons:
        return {"templateButton": []}
    pairs = list(zip(message.buttons, message.button_kinds, strict=True))
    replies = [value if kind == "QUICK_REPLY" else None for value, kind in pairs]
    fills = [None if kind == "QUICK_REPLY" else value for value, kind in pairs]
    parts: dict[str, Any] = {"templateButton": [[] if value is None else [value] for value in fills]}
    if any(reply is not None for reply in replies):
        parts["payload"] = [reply or "" for reply in replies]
    return parts


def _header(message: TemplateMessage, options: AdaOptions) -> dict[str, Any]:
    """Return a header's fields: a media header's URL, or the one value of a text header."""
    if message.media is not None:
        # FACT (a client and a capture): the URL in `header`; upper case is the newer client's.
        media = {"headerType": message.media.kind.upper(), "header": message.media.url}
        return media | ({"fileName": message.media.file_name} if message.media.file_name else {})
    if not message.header or options.text_header is TextHeader.TEMPLATE_DATA:
        return {}
    if len(message.header) > 1:
        raise UnsendableError(f"a text header takes one value, this message has {len(message.header)}")
    # READING: `header` holds the text for a text header; that this is the variable's value is a guess.
    return {"headerType": "TEXT", "header": message.header[0]}
