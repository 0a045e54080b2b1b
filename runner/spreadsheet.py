"""Cells of a CSV file that a person may open in a spreadsheet: text that stays text."""

from __future__ import annotations

import re

#: What a spreadsheet would run; a phone such as +62 is harmless.
_FORMULA = re.compile(r"[=@\t\r]|[+-](?![\d ().+-]*$)")


def no_formula(cell: object) -> object:
    """Return `cell`, with an apostrophe in front where a spreadsheet would run it as a formula."""
    return f"'{cell}" if isinstance(cell, str) and _FORMULA.match(cell) else cell
