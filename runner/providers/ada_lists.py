"""ADA's accounts and templates, read from its lists. Pure; between ADA's rows and the domain's values.

Every trap named here was seen in a capture of 155 templates (reference/ada-api.md §6, §7).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any, TypeVar

from runner.providers.interface import Account
from runner.template import Button, ButtonKind, HeaderKind, Template

Row = Mapping[str, Any]
_Kind = TypeVar("_Kind", HeaderKind, ButtonKind)

#: What `headerType` may hold when a template has no header: JSON null and these.
_NO_HEADER = {"", "NULL", "NONE"}


def digits(text: object) -> str:
    """Return the ASCII digits of `text`, to compare numbers however they are written."""
    return re.sub(r"[^0-9]", "", str(text))


def rows_of(document: object) -> list[Row] | None:
    """Return the rows of a list's answer; None when it is no list. JSON null is a list without rows."""
    data = document.get("data", ...) if isinstance(document, dict) else ...
    if data is None:
        return []
    return [row for row in data if isinstance(row, dict)] if isinstance(data, list) else None


def missing_rows(document: object, count: int) -> int:
    """Return how many rows the provider says it has beyond the `count` read (§3: lists come in pages)."""
    total = document.get("totalRecord") if isinstance(document, dict) else None
    return max(total - count, 0) if isinstance(total, int) else 0


def find_account(rows: Iterable[Row], sender: str) -> Account | None:
    """Return the WhatsApp account whose number is `sender` (digits), None when there is none."""
    for row in rows:
        on_whatsapp = str(row.get("platform") or "WA").upper() == "WA"
        if on_whatsapp and digits(row.get("accountNo")) == sender and _text(row, "id"):
            return Account(
                id=_text(row, "id"), number=sender, name=_text(row, "name"), warning=_account_warning(row)
            )
    return None


def _account_warning(row: Row) -> str | None:
    """Say what is wrong with an account; a status that is not there says nothing."""
    wanted = {"status": "VERIFIED", "coreAppStatus": "CONNECTED"}
    found = {key: _text(row, key).upper() for key in wanted}
    wrong = [
        f"{key} is {found[key]}, not {wanted[key]}" for key in wanted if found[key] not in {"", wanted[key]}
    ]
    return f"sends may fail: the sender's {' and its '.join(wrong)}" if wrong else None


def read_template(row: Row) -> Template | None:
    """Return one template; None for a row that names none.

    Placeholders are counted in `body`: `bodyParameters` is only a sample, and null in some that have them. A
    media header's URL is signed and expires, so it stays out: it would make every plan stale.
    """
    name, language = _text(row, "name"), _text(row, "language")
    if not name or not language:
        return None
    kind = _header_kind(row)
    return Template(
        id=_text(row, "id"),
        name=name,
        language=language,
        status=_status(row),
        category=_text(row, "category").upper(),
        body=_text(row, "body") or _text(row, "content"),
        header_kind=kind,
        header=_text(row, "header") if kind is HeaderKind.TEXT else "",
        footer=_text(row, "footer"),
        buttons=tuple(_button(button) for button in _objects(row, "buttons")),
        is_carousel=bool(row.get("carouselCards")) or _text(row, "type").lower() == "carousel",
    )


def _status(row: Row) -> str:
    """Return the provider's word in upper case; a draft is never sendable, whatever its status says."""
    return "DRAFT" if row.get("isDraft") is True else _text(row, "status").upper()


def _header_kind(row: Row) -> HeaderKind:
    """Read `headerType`, which has four ways to say that there is no header (one is TEXT with no text)."""
    word = _text(row, "headerType").upper()
    if word in _NO_HEADER or (word == "TEXT" and not _text(row, "header")):
        return HeaderKind.NONE
    return _kind(HeaderKind, word.lower(), HeaderKind.UNKNOWN)


def _button(row: Row) -> Button:
    kind = _kind(ButtonKind, _text(row, "type").upper(), ButtonKind.UNKNOWN)
    return Button(kind=kind, text=_text(row, "text"), url=_text(row, "url"))


def _kind(kinds: type[_Kind], word: str, unknown: _Kind) -> _Kind:
    """Return the member whose value is `word`; a word this version does not know is `unknown`."""
    return next((kind for kind in kinds if kind.value == word), unknown)


def _objects(row: Row, key: str) -> list[Row]:
    value = row.get(key)
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []


def _text(row: Row, key: str) -> str:
    value = row.get(key)
    return value if isinstance(value, str) else ""
