"""A message template as the provider holds it: its parts, its placeholders, and how it is filled. No I/O."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum

#: Limits of the filled text, in characters (reference/whatsapp-rules.md §5).
BODY_LIMIT = 1024
TEXT_HEADER_LIMIT = 60
URL_LIMIT = 2000

_PLACEHOLDER = re.compile(r"\{\{\s*(\d+)\s*\}\}")


class HeaderKind(Enum):
    """What a template's header is. UNKNOWN is a kind a newer provider has added; it cannot be filled."""

    NONE = "none"
    TEXT = "text"
    IMAGE = "image"
    VIDEO = "video"
    DOCUMENT = "document"
    UNKNOWN = "unknown"

    @property
    def is_media(self) -> bool:
        """Tell whether a send must carry a media URL."""
        return self in {HeaderKind.IMAGE, HeaderKind.VIDEO, HeaderKind.DOCUMENT}


class ButtonKind(Enum):
    """What a template's button does. UNKNOWN is a kind a newer provider has added."""

    QUICK_REPLY = "QUICK_REPLY"
    URL = "URL"
    PHONE_NUMBER = "PHONE_NUMBER"
    FLOW = "FLOW"
    CATALOG = "CATALOG"
    COPY_CODE = "COPY_CODE"
    UNKNOWN = "UNKNOWN"


@dataclass(frozen=True, slots=True, kw_only=True)
class Button:
    """One button; `url` may hold a placeholder that a send fills."""

    kind: ButtonKind
    text: str
    url: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Template:
    """One template in one language, as the provider's list describes it.

    `status` is the provider's word; only `APPROVED` may be sent. `header` is the text of a text header.
    `is_carousel` marks a template of cards, which cannot be filled.
    """

    id: str
    name: str
    language: str
    status: str
    category: str
    body: str
    header_kind: HeaderKind = HeaderKind.NONE
    header: str = ""
    footer: str = ""
    buttons: tuple[Button, ...] = ()
    is_carousel: bool = False

    @property
    def is_sendable(self) -> bool:
        """Tell whether the provider would send it now."""
        return self.status == "APPROVED"


def placeholders(text: str) -> tuple[int, ...]:
    """Return the distinct placeholder numbers of `text`, ascending: `{{2}} {{1}} {{2}}` -> (1, 2)."""
    return tuple(sorted({int(number) for number in _PLACEHOLDER.findall(text)}))


def literal_parts(text: str) -> tuple[str | int, ...]:
    """Split `text` into literals and placeholder numbers, in order: `Hi {{1}}!` -> ("Hi ", 1, "!")."""
    parts: list[str | int] = []
    for index, part in enumerate(_PLACEHOLDER.split(text)):
        if index % 2:
            parts.append(int(part))
        elif part:
            parts.append(part)
    return tuple(parts)


def fill(text: str, values: Sequence[str]) -> str:
    """Fill placeholders by position: `values[0]` replaces `{{1}}`. Values are never read as placeholders."""
    return _PLACEHOLDER.sub(lambda match: values[int(match.group(1)) - 1], text)
