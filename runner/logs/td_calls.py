"""One request to Treasure Data's API, made again until it is through: what td-client does not do for writes.

td-client repeats no POST and no PUT, drops the headers of an answer, and the status of most errors
(reference/treasure-data.md §1.7); urllib3 below it repeats by its own clock. So each request goes out once,
its answer is overheard, and the waiting is done here, where it can be bounded and tested.
"""

from __future__ import annotations

import http.client
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timezone
from email.utils import parsedate_to_datetime
from typing import Any

import urllib3
from tdclient.errors import APIError

from runner.errors import LogError
from runner.logs.interface import LogTools
from runner.treasure_data.account import Account
from runner.treasure_data.client import open_client, where_of

#: How long one request is made again before its rows wait for the next push, in seconds.
PATIENCE = 120.0

_FIRST_WAIT, _LONGEST_WAIT = 1.0, 30.0
_REDIRECT, _REFUSAL, _FAULT = 300, 400, 500
#: Refusals that pass: a request that came too slowly, too many of them.
_PASSING = frozenset({408, 429})
_SHOWN = 200

#: What td-client lets out: its own errors, urllib3's, the system's, and what it stumbles over in an answer.
_ERRORS = (
    APIError,
    urllib3.exceptions.HTTPError,
    http.client.HTTPException,
    OSError,
    ValueError,
    TypeError,
)


@dataclass(slots=True)
class _Heard:
    """The last answer as it came; `status` is None when none came."""

    status: int | None = None
    retry_after: str | None = None


class Refused(Exception):  # noqa: N818 - an answer, which the caller puts into words
    """Treasure Data said no, and would say so again."""

    def __init__(self, status: int, text: str) -> None:
        super().__init__(text)
        self.status = status
        self.text = text


class Calls:
    """The calls of one push to one account."""

    def __init__(self, account: Account, tools: LogTools) -> None:
        self._account = account
        self._tools = tools
        self._heard = _Heard()
        self._client = open_client(account)
        _listen(self._client.api, self._heard)

    @property
    def credentials(self) -> str:
        """Return where the key comes from and where it is used, in words."""
        return f"the key ({self._account.key_source}) and the site ({where_of(self._account)})"

    def call(self, doing: str, request: Callable[[Any], object]) -> None:
        """Make `request` of the td-client until it is through; `doing` names it for people.

        Raises Refused for an answer that stays the same, LogError when PATIENCE is over.
        """
        began = self._tools.now()
        attempt = 0
        while (error := self._try(request)) is not None:
            status = self._heard.status
            if status is not None and not _may_pass(status):
                raise Refused(status, self._words(error)) from error
            wait = self._wait(attempt)
            if self._tools.now() + wait - began > PATIENCE:
                raise self._gave_up(doing, error, wait) from error
            self._tools.tell(f"{doing}: {self._what(error)}; again in {wait:.1f} s")
            self._tools.sleep(wait)
            attempt += 1

    def _try(self, request: Callable[[Any], object]) -> Exception | None:
        self._heard.status = self._heard.retry_after = None
        try:
            request(self._client)
        except _ERRORS as error:
            return error
        return None

    def _wait(self, attempt: int) -> float:
        """Return the seconds to wait: what the answer asked for, else twice as long each time, spread out."""
        asked = _seconds(self._heard.retry_after, self._tools.now())
        if asked is not None:
            # An answer of 0 again and again would make this a loop without a pause.
            return max(asked, _FIRST_WAIT)
        longest = min(_LONGEST_WAIT, _FIRST_WAIT * 2.0**attempt)
        return longest * (0.5 + self._tools.jitter() / 2)

    def _gave_up(self, doing: str, error: Exception, wait: float) -> LogError:
        hint = f"Treasure Data asks to wait {wait:.0f} s" if self._heard.retry_after else "try again later"
        return LogError(f"{doing}: {self._what(error)}", hint=hint)

    def _what(self, error: Exception) -> str:
        status = self._heard.status
        if status is None:
            return f"no answer of Treasure Data ({_cause(error)})"
        if status < _REFUSAL:
            return "an answer of Treasure Data that cannot be read"
        return f"Treasure Data answers {status}"

    def _words(self, error: Exception) -> str:
        """Return what the server said, in one line; never the key, should a server repeat it."""
        text = " ".join(str(error).split())
        return text.replace(self._account.key, "***")[:_SHOWN]


def _listen(api: Any, heard: _Heard) -> None:  # noqa: ANN401 - td-client has no types
    """Have each request of `api` go out once, and keep what td-client would drop of its answer."""
    send = api.send_request

    def send_once(*arguments: Any, **options: Any) -> Any:  # noqa: ANN401 - passed on
        response = send(*arguments, **{**options, "retries": False})
        heard.status, heard.retry_after = response.status, response.headers.get("Retry-After")
        return response

    api.send_request = send_once


def _may_pass(status: int) -> bool:
    """Tell whether another try may end differently: too many requests, a server's fault, a broken answer."""
    return status in _PASSING or status >= _FAULT or status < _REDIRECT


def _seconds(header: str | None, now: float) -> float | None:
    """Read a Retry-After header: seconds, or a date (RFC 9110 10.2.3); None for nothing, or nonsense."""
    if header is None:
        return None
    if header.strip().isdecimal():
        return float(header)
    try:
        moment = parsedate_to_datetime(header)
    except ValueError:
        return None
    # A date without a zone is in UTC, as all dates of HTTP are.
    moment = moment if moment.tzinfo else moment.replace(tzinfo=timezone.utc)
    return max(0.0, moment.timestamp() - now)


def _cause(error: BaseException) -> str:
    """Return the system's word for the innermost cause, or the error's name; no text of a library's own."""
    seen: BaseException | None = error
    reason = type(error).__name__
    while seen is not None:
        if isinstance(seen, OSError) and seen.strerror:
            reason = seen.strerror
        seen = seen.__cause__ or seen.__context__
    return reason
