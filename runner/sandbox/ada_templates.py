"""The accounts and templates the sandbox lists, in ADA's shape with its traps (reference/ada-api.md §6, §7).

Templates are written simply, in templates.json beside this file and in a project's own JSON file, and
expanded here to the 26 keys that ADA's list shows.
"""

from __future__ import annotations

import itertools
import json
import re
import uuid
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta, timezone
from importlib import resources
from pathlib import Path
from typing import Any

from runner.errors import UsageError
from runner.template import Button, ButtonKind, HeaderKind, Template, placeholders

_IDS = uuid.UUID("5f0c1a3e-8d35-4c0e-9a35-6d1f0e6c7a10")
_WABA_ID = "100000000000001"
_NEWEST = datetime(2026, 4, 1, 15, 36, tzinfo=timezone.utc)
_MEDIA = ("IMAGE", "VIDEO", "DOCUMENT")
_HEADER_KINDS = ("TEXT", *_MEDIA)
_BUTTON_KINDS = tuple(kind.value for kind in ButtonKind if kind is not ButtonKind.UNKNOWN)
_KEYS = {"name", "language", "category", "status", "header", "body", "footer", "buttons", "samples"}
_NAME = re.compile(r"[a-z0-9_]{1,512}")

Raw = dict[str, Any]


class Catalog:
    """The sandbox's accounts (one for each sender) and templates (the same for each account)."""

    def __init__(self, *, senders: Sequence[str], templates: Path | None = None) -> None:
        self._accounts = {account_id(sender): sender for sender in senders}
        chosen = {(entry["name"], entry["language"]): entry for entry in _seeds()}
        for entry in [] if templates is None else read_templates(templates):
            chosen[entry["name"], entry["language"]] = entry
        self._raw = [_expand(entry, index) for index, entry in enumerate(chosen.values())]
        self._found = {(raw["name"], raw["language"]): _as_template(raw) for raw in self._raw}
        self._calls = itertools.count(1)

    def accounts(self, url: str) -> list[Raw]:
        """Return the accounts as `GET /account` lists them; `url` is the server's, for its media."""
        return [_account(sender, url) for sender in self._accounts.values()]

    def has_account(self, account: str) -> bool:
        """Tell whether `account` is an account's id."""
        return account in self._accounts

    def listing(self) -> list[Raw]:
        """Return the templates as the list shows them; a media header's URL is another at every call."""
        call = next(self._calls)
        return [_signed(raw, call) if raw["headerType"] in _MEDIA else dict(raw) for raw in self._raw]

    def find(self, name: str, language: str) -> Template | None:
        """Return the template by its name and language, None where there is none."""
        return self._found.get((name, language))


def split_values(template: Template, message: Mapping[str, Any]) -> dict[str, tuple[str, list[str]]]:
    """Return a template message's values by part (`header`, `body`), each with the text they fill.

    A text header's value is either in `header` beside `headerType` TEXT, or the first of `templateData`:
    neither is proven (§4.2), so both are read.
    """
    given = message.get("templateData")
    values = [value for value in given if isinstance(value, str)] if isinstance(given, list) else []
    header = message.get("header")
    if message.get("headerType") == "TEXT" and isinstance(header, str) and placeholders(template.header):
        values = [header, *values]
    in_header = value_places(template.header)
    return {"header": (template.header, values[:in_header]), "body": (template.body, values[in_header:])}


def value_places(text: str) -> int:
    """Return how many values `text` needs: its highest placeholder, for values are by position."""
    return max(placeholders(text), default=0)


def account_id(sender: str) -> str:
    """Return the id of the account that sends from `sender`: the same in every sandbox."""
    return str(uuid.uuid5(_IDS, f"account/{sender}"))


def read_templates(path: Path) -> list[Raw]:
    """Read a project's templates from a JSON list.

    Each is {name, language, body, category?, status?, header?, footer?, buttons?, samples?}. `header` is
    {kind: TEXT, text} or {kind: IMAGE | VIDEO | DOCUMENT, example?}; `buttons` are {kind, text, url?,
    phone?}; `samples` are example values of the body. UsageError says what is wrong, and where.
    """
    try:
        document = json.loads(path.read_text(encoding="utf-8-sig"))
    except OSError as problem:
        raise UsageError(
            f"The sandbox's templates {path} cannot be read: {problem.strerror}",
            hint="Correct `sandbox.templates` in runner.yml.",
        ) from problem
    except ValueError as problem:
        raise UsageError(
            f"The sandbox's templates {path} are not JSON: {problem}", hint="Write a JSON list of templates."
        ) from problem
    problems = [problem for problem in _problems(document) if problem]
    if problems:
        raise UsageError(
            f"The sandbox's templates {path}: {problems[0]}",
            hint="A template has name, language and body; the rest is optional.",
        )
    return list(document)


def _seeds() -> list[Raw]:
    text = resources.files("runner.sandbox").joinpath("templates.json").read_text(encoding="utf-8")
    return list(json.loads(text))


def _problems(document: Any) -> list[str | None]:  # noqa: ANN401 - any JSON value
    if not isinstance(document, list):
        return ["found no list, expected a list of templates"]
    return [_problem(entry, f"template {number}") for number, entry in enumerate(document, 1)]


def _problem(entry: Any, where: str) -> str | None:  # noqa: ANN401 - any JSON value
    """Return the first thing wrong with one template, None where nothing is."""
    if not isinstance(entry, dict):
        return f"{where} is not an object"
    if unknown := sorted(set(entry) - _KEYS):
        return f"{where} has the unknown key {unknown[0]!r}; the keys are {', '.join(sorted(_KEYS))}"
    return (
        _text_problem(entry, where)
        or _header_problem(entry.get("header"), where)
        or _buttons_problem(entry.get("buttons"), where)
    )


def _text_problem(entry: Raw, where: str) -> str | None:
    for key in ("name", "language", "body"):
        if not isinstance(entry.get(key), str) or not entry[key]:
            return f"{where} has no text as its {key!r}"
    if not _NAME.fullmatch(entry["name"]):
        return f"{where} has the name {entry['name']!r}; a name is of a-z, 0-9 and _"
    for key in ("category", "status", "footer"):
        if not isinstance(entry.get(key, ""), str):
            return f"{where}: {key!r} is not text"
    samples = entry.get("samples", [])
    if not isinstance(samples, list) or not all(isinstance(sample, str) for sample in samples):
        return f"{where}: 'samples' is not a list of texts"
    return None


def _header_problem(header: Any, where: str) -> str | None:  # noqa: ANN401 - any JSON value
    if header is None:
        return None
    if not isinstance(header, dict) or str(header.get("kind")).upper() not in _HEADER_KINDS:
        return f"{where}: the header's kind is none of {', '.join(_HEADER_KINDS)}"
    if header["kind"].upper() == "TEXT" and not isinstance(header.get("text"), str):
        return f"{where}: the header has no text"
    return None


def _buttons_problem(buttons: Any, where: str) -> str | None:  # noqa: ANN401 - any JSON value
    if buttons is None:
        return None
    if not isinstance(buttons, list):
        return f"{where}: 'buttons' is not a list"
    for number, button in enumerate(buttons, 1):
        if not isinstance(button, dict) or str(button.get("kind")).upper() not in _BUTTON_KINDS:
            return f"{where}: the kind of button {number} is none of {', '.join(_BUTTON_KINDS)}"
        if not isinstance(button.get("text"), str):
            return f"{where}: button {number} has no text"
    return None


def _expand(entry: Mapping[str, Any], index: int) -> Raw:
    """Expand a template to the 26 keys; `raw` in it replaces any of them, which is how a seed sets a trap."""
    name, language, body = entry["name"], entry["language"], entry["body"]
    header = entry.get("header") or {}
    kind = str(header.get("kind", "")).upper()
    count = len(placeholders(body))
    created = _NEWEST - timedelta(days=index, minutes=17 * index)
    raw = {
        "id": str(uuid.uuid5(_IDS, f"template/{name}/{language}")),
        "wabaId": _WABA_ID,
        "name": name,
        "content": body,
        "body": body,
        "header": header.get("text", "") if kind == "TEXT" else "",
        "headerType": kind,
        "footer": entry.get("footer", ""),
        "status": entry.get("status", "APPROVED"),
        "category": entry.get("category", "MARKETING"),
        "type": "",
        "isDraft": False,
        "language": language,
        "buttons": [_button(button) for button in entry.get("buttons") or []] or None,
        "carouselCards": None,
        "createdDate": f"{created:%d %b %Y %I:%M %p}",
        "bodyParameters": list(entry.get("samples") or [f"sample {n + 1}" for n in range(count)]) or None,
        "footerParameters": None,
        "addSecurityRecomendation": False,
        "codeExpiration": 0,
        "otpType": None,
        "buttonText": None,
        "headerExample": _header_example(header, kind),
        "hash": None,
        "packageName": None,
        "isCallPermissionRequest": False,
    }
    return {**raw, **entry.get("raw", {})}


def _header_example(header: Mapping[str, Any], kind: str) -> list[str] | None:
    if kind == "TEXT":
        return ["sample"] if placeholders(str(header.get("text", ""))) else None
    return [header["example"]] if header.get("example") else None


def _button(button: Mapping[str, Any]) -> Raw:
    return {
        "type": button["kind"].upper(),
        "text": button["text"],
        "url": button.get("url", ""),
        "phoneNumber": button.get("phone", ""),
        "example": "",
        "flow_id": button.get("flow_id"),
    }


def _signed(raw: Raw, call: int) -> Raw:
    """Give a media header a URL like Meta's: signed, soon expired, and another at every call."""
    signature = uuid.uuid5(_IDS, f"{raw['id']}/{call}").hex
    query = f"ccb=1-7&oh=01_{signature}&oe={call:08X}"
    url = f"https://scontent.whatsapp.net/v/t61.29466-34/{raw['id']}_n.bin?{query}"
    return {**raw, "header": url}


def _as_template(raw: Raw) -> Template:
    kind = raw["headerType"]
    is_text = kind == "TEXT" and bool(raw["header"])
    buttons = raw["buttons"] or []
    return Template(
        id=raw["id"],
        name=raw["name"],
        language=raw["language"],
        status=raw["status"],
        category=raw["category"],
        body=raw["body"],
        header_kind=HeaderKind(kind.lower()) if is_text or kind in _MEDIA else HeaderKind.NONE,
        header=raw["header"] if is_text else "",
        footer=raw["footer"],
        buttons=tuple(
            Button(kind=ButtonKind(b["type"]), text=b["text"], url=b["url"] or "") for b in buttons
        ),
    )


def _account(sender: str, url: str) -> Raw:
    media = uuid.uuid5(_IDS, f"profile/{sender}")
    return {
        "id": account_id(sender),
        "platform": "WA",
        "clientId": str(uuid.uuid5(_IDS, "client")),
        "clientName": "Sandbox",
        "name": "SANDBOX",
        "accountNo": sender,
        "cert": "",
        "registerType": "MANUAL",
        "status": "VERIFIED",
        "coreAppStatus": "CONNECTED",
        "webhookURL": "",
        "webhookMethod": "",
        "quota": "",
        "is_testing": False,
        "dataset_id": "",
        "profileImage": f"{url}/message/media/{media}",
        "about": "",
        "address": "",
        "description": "",
        "email": "",
    }
