"""What a variable's value may hold (reference/whatsapp-rules.md §5), as patterns and as one check of a text.

Part of rendering. Every pattern reads the same in Python's `re` and in DuckDB's RE2, so that a fixed text is
judged when a plan begins by the very rule that judges ten million rows.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

_SPACES = " \xa0\u1680\u2000-\u200a\u202f\u205f\u3000"
_BREAKS = r"\x09-\x0d\x85" + "\u2028\u2029"
_INVISIBLE = "\u200b-\u200d\u2060\ufeff"
#: C0 and C1 besides the breaks, DEL, and the marks that reorder text around them (U+202A-202E, U+2066-2069).
_CONTROLS = r"\x00-\x08\x0e-\x1f\x7f-\x84\x86-\x9f" + "\u202a-\u202e\u2066-\u2069"

#: What `trim` makes one space of: any run of whitespace, and any single one that is not a plain space.
UNTIDY = f"[{_BREAKS}{_SPACES}]{{2,}}|[{_BREAKS}{_SPACES[1:]}]"
#: A whole text with nothing to see in it: NULL's twin.
BLANK = f"[{_BREAKS}{_SPACES}{_INVISIBLE}]*"


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """A text that matches `pattern` anywhere breaks the rule; `reason` says so in a few words.

    With `inverted`, a text that does not match breaks it.
    """

    pattern: str
    reason: str
    inverted: bool = False

    def breaks(self, text: str) -> bool:
        """Tell whether `text` breaks this rule."""
        return (re.search(self.pattern, text) is None) == self.inverted


#: What the provider refuses in any value, whatever it fills.
TEXT_RULES = (
    Rule(pattern=f"[{_BREAKS}]", reason="contains a line break or a tab"),
    Rule(pattern=f"[{_CONTROLS}]", reason="contains a control character"),
    Rule(pattern=f"[{_SPACES}]{{5}}", reason="contains more than 4 spaces in a row"),
)
#: Matches where any of TEXT_RULES is broken; one scan settles the many rows that break none.
ANY_TEXT_RULE = "|".join([f"[{_BREAKS}{_CONTROLS}]", TEXT_RULES[2].pattern])

NO_SPACES = Rule(pattern=f"[{_SPACES}]", reason="contains a space")
HTTPS = Rule(pattern=r"^[Hh][Tt][Tt][Pp][Ss]://[^/?#]", reason="not an https:// URL", inverted=True)


def text_problem(text: str, rules: tuple[Rule, ...] = (), max_length: int | None = None) -> str | None:
    """Return what is wrong with a fixed `text`, None if it may be sent; `rules` come after TEXT_RULES."""
    if re.fullmatch(BLANK, text):
        return "blank"
    for rule in TEXT_RULES + rules:
        if rule.breaks(text):
            return rule.reason
    if max_length is not None and len(text) > max_length:
        return longer_than(max_length)
    return None


def longer_than(max_length: int) -> str:
    """Return the reason for a value over its limit, in characters."""
    return f"longer than {max_length} characters"
