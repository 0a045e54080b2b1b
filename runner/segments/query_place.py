"""Where in a query something stands, and how a piece of it is shown: in one harmless line, phones masked."""

from __future__ import annotations

import re

from runner.masking import mask_phone
from runner.problem_words import harmless

_DIGITS = re.compile(r"\d{7,}")
_LONGEST = 240


def place(sql: str, offset: int | None) -> str:
    """Return ` 3:14`, line and column (from 1, in characters) of a byte offset in the UTF-8 of `sql`.

    Without an offset, or with one outside the text, it is the empty text.
    """
    data = sql.encode()
    if offset is None or not 0 <= offset <= len(data):
        return ""
    before = data[:offset].decode(errors="replace")
    line = before.count("\n") + 1
    return f" {line}:{len(before) - (before.rfind(chr(10)) + 1) + 1}"


def one_line(text: str) -> str:
    """Return the first line of `text`, harmless to a terminal, long digit runs masked, at most 240 long."""
    lines = text.strip().splitlines() or [""]
    shown = harmless(_DIGITS.sub(lambda match: mask_phone(match.group()), lines[0]))
    return shown if len(shown) <= _LONGEST else shown[: _LONGEST - 1] + "…"
