"""Audience Studio's API, of which only reading calls are made: parent segments, segments, a rule's SQL.

Whatever is written to that API can erase a segment's rule (reference/treasure-data.md §4.1), so one small
function knows every request that may be made at all. The calls and their shapes: §4.1.
"""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from runner.errors import TreasureDataError
from runner.masking import harmless
from runner.treasure_data.account import Account, is_this_machine
from runner.treasure_data.client import said_in, where_of

if TYPE_CHECKING:
    import requests

#: All that is ever asked. The POST asks for the SQL of a rule, and changes nothing.
_READS = (
    ("GET", re.compile(r"/audiences")),
    ("GET", re.compile(r"/audiences/\d+/(?:segments|folders)")),
    ("GET", re.compile(r"/audiences/\d+/segments/\d+")),
    ("POST", re.compile(r"/audiences/\d+/segments/query")),
)
_TIMEOUT = (10.0, 60.0)
_TRIES = 4
_LONGEST_WAIT = 30.0
_LONGEST_REASON = 10_000
_LARGEST = 64 * 1024 * 1024
_OK, _TOO_MANY, _FAULT = 200, 429, 500
_WORDS = {
    401: "does not accept the key",
    403: "does not let this key read Audience Studio",
    404: "has no such thing",
    429: "asks to slow down",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class ParentSegment:
    """A parent segment; `updated_at` is when its tables were last made, None where it is not said."""

    id: str
    name: str
    population: int | None
    updated_at: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class AudienceSegment:
    """A segment of a parent. `kind` 0 is a batch segment, 1 realtime, 2 a stage of a funnel."""

    id: str
    name: str
    kind: int
    rule: Mapping[str, Any]
    population: int | None
    folder: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class _Answer:
    """What came of one request.

    `status` is None where there was no answer, and `why` then says what happened instead. `body` is None
    where it broke off. `wait` is what Retry-After says.
    """

    status: int | None
    body: bytes | None = None
    wait: str = ""
    why: str = ""

    @property
    def may_pass(self) -> bool:
        """Tell whether the same request may have a better answer in a moment."""
        if self.status is None or self.status == _OK:
            return self.body is None
        return self.status == _TOO_MANY or self.status >= _FAULT


class AudienceStudio:
    """Audience Studio, read with the account's key. `sleep` waits between tries, in seconds."""

    def __init__(self, account: Account, *, sleep: Callable[[float], None] = time.sleep) -> None:
        self._account = account
        self._sleep = sleep
        self._session: requests.Session | None = None

    def parents(self) -> list[ParentSegment]:
        """Return every parent segment that the key may see."""
        return [_parent(row) for row in _rows(self._read("GET", "/audiences"))]

    def segments(self, parent: str) -> list[AudienceSegment]:
        """Return every segment of a parent, by the parent's id."""
        return [_segment(row) for row in _rows(self._read("GET", f"/audiences/{parent}/segments"))]

    def segment(self, parent: str, segment: str) -> AudienceSegment:
        """Return one segment; a list is known to leave rules out (§4.1)."""
        rows = _rows([self._read("GET", f"/audiences/{parent}/segments/{segment}")])
        if not rows:
            raise self._misread(f"/audiences/{parent}/segments/{segment}")
        return _segment(rows[0])

    def folders(self, parent: str) -> dict[str, str]:
        """Return the path of each folder by its id; empty where the API does not tell (UNKNOWN)."""
        try:
            rows = _rows(self._read("GET", f"/audiences/{parent}/folders"))
        except TreasureDataError:
            return {}
        named = {str(row.get("id")): row for row in rows}
        return {key: _path(key, named) for key in named}

    def sql(self, parent: str, rule: Mapping[str, Any]) -> str:
        """Return the SQL of a rule."""
        path = f"/audiences/{parent}/segments/query"
        answer = self._read("POST", path, {"format": "sql", "rule": rule})
        sql = answer.get("sql") if isinstance(answer, dict) else None
        if not isinstance(sql, str) or not sql.strip():
            raise self._misread(path)
        return sql.strip().rstrip(";")

    def _read(self, method: str, path: str, document: object = None) -> Any:  # noqa: ANN401 - any JSON
        """Make one request that reads, again where the server could not take it; return the answer's JSON."""
        if not any(method == allowed and pattern.fullmatch(path) for allowed, pattern in _READS):
            raise TreasureDataError(f"Audience Studio is only read: {method} {path} is not made")
        for attempt in range(1, _TRIES + 1):
            answer = self._once(method, path, document)
            if not answer.may_pass or attempt == _TRIES:
                break
            self._sleep(_wait(answer, attempt))
        if answer.status != _OK:
            raise self._refused(path, answer)
        return self._document(answer, path)

    def _once(self, method: str, path: str, document: object) -> _Answer:
        import requests

        try:
            with self._opened().request(
                method,
                self._account.cdp + path,
                json=document,
                timeout=_TIMEOUT,
                allow_redirects=False,
                stream=True,
            ) as answer:
                return _Answer(
                    status=answer.status_code,
                    body=_body(answer),
                    wait=answer.headers.get("Retry-After", ""),
                )
        except requests.RequestException as error:
            return _Answer(status=None, why=type(error).__name__)

    def _opened(self) -> requests.Session:
        import requests

        if self._session is None:
            self._session = requests.Session()
            # Its own machine is never reached through a proxy, and a .netrc must not replace the key.
            self._session.trust_env = not is_this_machine(urlsplit(self._account.cdp).hostname or "")
            self._session.auth = _with_key(self._account.key)
            self._session.headers["Accept"] = "application/json, application/vnd.treasuredata.v1+json"
        return self._session

    def close(self) -> None:
        """Close the connections."""
        if self._session is not None:
            self._session.close()

    def _document(self, answer: _Answer, path: str) -> Any:  # noqa: ANN401 - any JSON
        if answer.body is None or len(answer.body) > _LARGEST:
            raise self._misread(path)
        try:
            return json.loads(answer.body)
        except (ValueError, RecursionError):
            raise self._misread(path) from None

    def _misread(self, path: str) -> TreasureDataError:
        return TreasureDataError(
            f"Audience Studio's answer to {path} cannot be read",
            hint=f"is TD_CDP_API or the site right ({where_of(self._account)})?",
        )

    def _refused(self, path: str, answer: _Answer) -> TreasureDataError:
        host, status = urlsplit(self._account.cdp).netloc, answer.status
        if status is None:
            return TreasureDataError(
                f"Audience Studio does not answer at {host} ({answer.why})", hint="is it reachable from here?"
            )
        said = _WORDS.get(status, "answers with an error" if status >= _FAULT else "says no")
        hint = f"check the key ({self._account.key_source}) and the site ({where_of(self._account)})"
        if status == _TOO_MANY or status >= _FAULT:
            hint = "try again later"
        reason = said_in(self._account, (answer.body or b"")[:_LONGEST_REASON].decode("utf-8", "replace"))
        told = f": {reason}" if reason else ""
        return TreasureDataError(f"Audience Studio {said} ({status} for {path}){told}", hint=hint)


def _with_key(key: str) -> Callable[[requests.PreparedRequest], requests.PreparedRequest]:
    """Return what puts the key on a request; requests then takes none from a .netrc."""

    def sign(request: requests.PreparedRequest) -> requests.PreparedRequest:
        request.headers["Authorization"] = f"TD1 {key}"
        return request

    return sign


def _body(answer: requests.Response) -> bytes | None:
    """Return an answer's body, cut off behind the first byte too many; None where it broke off."""
    import urllib3

    try:
        body: bytes = answer.raw.read(_LARGEST + 1, decode_content=True)
    except (urllib3.exceptions.HTTPError, OSError):
        return None
    return body


def _wait(answer: _Answer, attempt: int) -> float:
    return min(_LONGEST_WAIT, float(answer.wait) if answer.wait.isdecimal() else 2.0**attempt)


def _rows(answer: object) -> list[dict[str, Any]]:
    """Return the rows of a list, in each of the shapes that lists are known in (§4.1)."""
    if isinstance(answer, dict):
        answer = answer.get("data", [])
    found = []
    for row in answer if isinstance(answer, list) else []:
        inner = row.get("data", row) if isinstance(row, dict) else None
        if isinstance(inner, dict) and inner.get("id") is not None:
            attributes = inner.get("attributes")
            found.append({**inner, **(attributes if isinstance(attributes, dict) else {}), "id": inner["id"]})
    return found


def _parent(row: Mapping[str, Any]) -> ParentSegment:
    return ParentSegment(
        id=str(row["id"]),
        name=str(row.get("name") or ""),
        population=_count(row.get("population")),
        updated_at=_moment(row.get("matrixUpdatedAt")),
    )


def _segment(row: Mapping[str, Any]) -> AudienceSegment:
    folder, rule = row.get("segmentFolderId"), row.get("rule")
    return AudienceSegment(
        id=str(row["id"]),
        name=str(row.get("name") or ""),
        kind=_count(row.get("kind")) or 0,
        rule=rule if isinstance(rule, dict) else {},
        population=_count(row.get("population")),
        folder=None if folder is None else str(folder),
    )


def _count(value: object) -> int | None:
    text = str(value)
    return int(text) if text.isdecimal() else None


def _moment(value: object) -> datetime | None:
    try:
        moment = datetime.fromisoformat(str(value).replace(" UTC", "+00:00").replace("Z", "+00:00"))
    except ValueError:
        return None
    return moment if moment.tzinfo else moment.replace(tzinfo=timezone.utc)


def _path(folder: str, named: Mapping[str, Mapping[str, Any]]) -> str:
    """Return a folder's path from its parents; a ring of folders ends where it closes."""
    names: list[str] = []
    seen: set[str] = set()
    while folder in named and folder not in seen:
        seen.add(folder)
        names.insert(0, harmless(str(named[folder].get("name") or folder)))
        folder = str(named[folder].get("parentFolderId"))
    return "/".join(names)
