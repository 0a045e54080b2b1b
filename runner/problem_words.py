"""How problems in files speak: values, keys and paths in plain and harmless words, secrets never shown."""

from __future__ import annotations

import re
from collections.abc import Sequence
from difflib import get_close_matches

from runner.masking import mask_phone

KeyPath = tuple[str | int, ...]

_SHOWN = 40
_LONG_NUMBER = re.compile(r"(?<!\d)\d{9,}(?!\d)")

# A JSON web token (ADA's key is one), a bearer header, and Treasure Data's `account/40 hex`
# (reference/ada-api.md §2, reference/treasure-data.md).
_SECRET = re.compile(
    r"eyJ[A-Za-z0-9_-]{12,}(?:\.[A-Za-z0-9_-]*)*"
    r"|\b[Bb][Ee][Aa][Rr][Ee][Rr]\s+[A-Za-z0-9._~+/=-]{8,}"
    r"|\bTD1\s+\S{8,}"
    r"|(?<![\w/])\d{1,10}/[0-9a-fA-F]{40}(?![0-9a-zA-Z])"
    r"|\b[a-z][a-z0-9+.-]*://[^\s/:@]*:[^\s/@]+@"
)
_SECRET_KEY = re.compile(r"api[_-]?key|token|secret|passw(?:or)?d|credential|authorization", re.IGNORECASE)


def find_secrets(text: str) -> list[re.Match[str]]:
    """Return the parts of `text` that look like a secret: a token, an API key, a URL with a password."""
    return list(_SECRET.finditer(text))


def names_secret(key: str) -> bool:
    """Tell whether `key` is a name that people give to secrets."""
    return _SECRET_KEY.search(key) is not None


def harmless(text: str) -> str:
    """Return `text` with everything a terminal might obey, or an eye might miss, as an escape."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in text)


def show_text(text: str) -> str:
    """Return `text` harmless, without secrets, long numbers masked, and cut to 40 characters."""
    shown = _SECRET.sub("***", text)
    shown = _LONG_NUMBER.sub(lambda match: mask_phone(match.group()), shown)
    return harmless(shown if len(shown) <= _SHOWN else shown[: _SHOWN - 1] + "…")


def show_path(path: KeyPath) -> str:
    """Render a key path as a person would say it: `variables[1].format`."""
    shown = ""
    for part in path:
        if isinstance(part, int):
            shown += f"[{part}]"
        else:
            shown += ("." if shown else "") + show_text(part)
    return shown


def describe(value: object) -> str:
    """Say what a value is, in a few plain words: `the number 12`, `"foo"`, `a list`, `nothing`."""
    if value is None:
        return "nothing"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (int, float)):
        return f"the number {show_text(str(value))}"
    if isinstance(value, str):
        return f'"{show_text(value)}"' if value else "an empty text"
    if isinstance(value, list):
        return "a list" if value else "an empty list"
    return "a mapping" if value else "an empty mapping"


def listed(words: Sequence[str], last: str = "or") -> str:
    """Join words as a sentence does: `a, b or c`."""
    if len(words) < 2:
        return "".join(words)
    return f"{', '.join(words[:-1])} {last} {words[-1]}"


def did_you_mean(word: str, known: Sequence[str]) -> str | None:
    """Return the hint that names the known word nearest to `word`, None where none is near."""
    near = nearest(word, known)
    return None if near is None else f"did you mean `{near}`?"


def nearest(word: str, known: Sequence[str]) -> str | None:
    """Return the known word nearest to `word`: but for case, by its start (`IDN`: `ID`), by its letters."""
    folded = {name.casefold(): name for name in reversed(known)}
    plain = word[:_SHOWN].casefold()
    if plain in folded:
        return folded[plain]
    # Letters of two-letter codes say nothing: `UK` is as near to `UA` as to `GB`.
    short = [name for name in folded if len(name) <= 2 and len(plain) == 3 and plain.startswith(name)]
    near = short or get_close_matches(plain, [name for name in folded if len(name) > 2], n=1, cutoff=0.6)
    return folded[near[0]] if near else None
