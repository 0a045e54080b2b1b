"""What may be shown of a person: phones and values, masked. Used wherever something is printed or logged."""

from __future__ import annotations

_SHOWN = 4
_LEAST_HIDDEN = 4


def mask_phone(digits: str) -> str:
    """Mask a phone to its first and last four digits: `819012345678` -> `8190****5678`.

    A short number shows fewer of its last digits, so that at least four always stay hidden.
    """
    head = digits[:_SHOWN] if len(digits) > _SHOWN + _LEAST_HIDDEN else digits[:2]
    tail_length = max(0, min(_SHOWN, len(digits) - len(head) - _LEAST_HIDDEN))
    tail = digits[len(digits) - tail_length :]
    return f"{head}****{tail}"


def mask_value(value: str) -> str:
    """Mask a personal value but keep its shape: `Ayu 12,500` -> `A** **,***`.

    The first character stays; every other letter and digit becomes `*`; punctuation and emoji stay.
    """
    return value[:1] + "".join("*" if char.isalnum() else char for char in value[1:])
