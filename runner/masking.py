"""What may be shown of a person: phones and values, masked. Used wherever something is printed or logged."""

from __future__ import annotations

import re

from runner.delivery import FORGOTTEN, is_forgotten

_SHOWN = 4
_LEAST_HIDDEN = 4

#: What may be a phone within a text: seven digits or more, with what people write between them; no date.
_PHONE = re.compile(r"(?<![\d-])(?!\d{4}-\d\d-\d\d(?!\d))\+?\(?\d(?:[\s().\-/]*\d){6,}")

#: Control characters but tab and line feed; what breaks a line unseen; and what turns the direction of text.
UNSEEN = tuple(code for code in (*range(32), *range(127, 160)) if code not in (9, 10))
UNSEEN += (*range(0x2028, 0x202F), *range(0x2066, 0x206A))
_HARMLESS = {code: f"\\x{code:02x}" if code < 256 else f"\\u{code:04x}" for code in UNSEEN}


def harmless(text: str) -> str:
    """Return `text` with control characters and text-direction overrides made visible, for a terminal."""
    return text.translate(_HARMLESS)


def mask_phone(digits: str) -> str:
    """Mask a phone to its first and last four digits: `819012345678` -> `8190****5678`.

    A short number shows fewer of its last digits, so that at least four always stay hidden. What stands in
    the place of a forgotten person's phone is `forgotten`.
    """
    if is_forgotten(digits):
        return FORGOTTEN
    head = digits[:_SHOWN] if len(digits) > _SHOWN + _LEAST_HIDDEN else digits[:2]
    tail_length = max(0, min(_SHOWN, len(digits) - len(head) - _LEAST_HIDDEN))
    tail = digits[len(digits) - tail_length :]
    return f"{head}****{tail}"


def mask_phones_in(text: str) -> str:
    """Replace whatever may be a phone in a text by `****`: `asked +62 812-3000-0000` -> `asked ****`."""
    return _PHONE.sub("****", text)


def mask_value(value: str) -> str:
    """Mask a personal value but keep its shape: `Ayu 12,500` -> `A** **,***`.

    The first character stays, unless it is all there is; every other letter and digit becomes `*`;
    punctuation and emoji stay.
    """
    if sum(map(str.isalnum, value)) <= 1:
        return "".join("*" if char.isalnum() else char for char in value)
    return value[:1] + "".join("*" if char.isalnum() else char for char in value[1:])
