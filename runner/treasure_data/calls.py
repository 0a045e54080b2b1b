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
from typing import Any, Protocol, TypeVar
from urllib.parse import urlsplit

import urllib3
from tdclient.errors import APIError

from runner.errors import RunnerError
from runner.treasure_data.account import Account
from runner.treasure_data.client import cause_of, open_client, where_of

#: How long one request is made again before it is given up, in seconds.
PATIENCE = 120.0

_FIRST_WAIT, _LONGEST_WAIT = 1.0, 30.0
_REDIRECT, _REFUSAL, _TOO_MANY, _FAULT = 300, 400, 429, 500
#: Refusals that pass: a request that came too slowly, too many of them.
_PASSING = frozenset({408, _TOO_MANY})
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


Result = TypeVar("Result")


class Waiting(Protocol):
    """How to wait: `now` in epoch seconds, `jitter` a random number from 0 to 1, `tell` for people."""

    @property
    def now(self) -> Callable[[], float]: ...  # noqa: D102 - as above

    @property
    def sleep(self) -> Callable[[float], None]: ...  # noqa: D102

    @property
    def jitter(self) -> Callable[[], float]: ...  # noqa: D102

    @property
    def tell(self) -> Callable[[str], None]: ...  # noqa: D102


@dataclass(slots=True)
class _Heard:
    """The last answer as it came: `status` is None when none came, `broken` why: td-client drops it."""

    status: int | None = None
    retry_after: str | None = None
    broken: BaseException | None = None

    def forget(self) -> None:
        """Have heard nothing yet."""
        self.status = self.retry_after = self.broken = None


class Refused(Exception):  # noqa: N818 - an answer, which the caller puts into words
    """Treasure Data said no, and would say so again; `error` is td-client's."""

    def __init__(self, status: int, text: str, error: Exception) -> None:
        super().__init__(text)
        self.status = status
        self.text = text
        self.error = error


class Calls:
    """The calls of one errand to one account. `failure` is the error of a request that is given up."""

    def __init__(self, account: Account, waiting: Waiting, failure: type[RunnerError]) -> None:
        self._account = account
        self._waiting = waiting
        self._failure = failure
        self._heard = _Heard()
        self.client = open_client(account)
        _listen(self.client.api, self._heard)

    @property
    def credentials(self) -> str:
        """Return where the key comes from and where it is used, in words."""
        return f"the key ({self._account.key_source}) and the site ({where_of(self._account)})"

    def call(self, doing: str, request: Callable[[Any], Result]) -> Result:
        """Make `request` of the td-client until it is through; `doing` names it for people.

        Raises Refused for an answer that stays the same, `failure` when PATIENCE is over.
        """
        began = self._waiting.now()
        attempt = 0
        while True:
            self._heard.forget()
            try:
                return request(self.client)
            except _ERRORS as error:
                self._pause(doing, error, attempt, began)
            attempt += 1

    @property
    def refused_with(self) -> int | None:
        """The status of the last answer, None where none came or it was a good one."""
        status = self._heard.status
        return status if status is not None and status >= _REFUSAL else None

    @property
    def may_pass(self) -> bool:
        """Tell whether what was done last may end differently when it is done again."""
        return self._heard.status is None or _may_pass(self._heard.status)

    def pause(self, doing: str, attempt: int) -> None:
        """Wait before something larger than one request is done once more, the `attempt`-th time (from 0)."""
        wait = self._wait(attempt)
        self._waiting.tell(f"{doing}; again in {wait:.1f} s")
        self._waiting.sleep(wait)

    def _pause(self, doing: str, error: Exception, attempt: int, began: float) -> None:
        status = self._heard.status
        if status is not None and not _may_pass(status):
            raise Refused(status, self._words(error), error) from error
        wait = self._wait(attempt)
        if self._waiting.now() + wait - began > PATIENCE:
            raise self._gave_up(doing, error, wait) from error
        self._waiting.tell(f"{doing}: {self._what(error)}; again in {wait:.1f} s")
        self._waiting.sleep(wait)

    def _wait(self, attempt: int) -> float:
        """Return the seconds to wait: what the answer asked for, else twice as long each time, spread out."""
        asked = _seconds(self._heard.retry_after, self._waiting.now())
        if asked is not None:
            # An answer of 0 again and again would make this a loop without a pause.
            return max(asked, _FIRST_WAIT)
        longest = min(_LONGEST_WAIT, _FIRST_WAIT * 2.0**attempt)
        return longest * (0.5 + self._waiting.jitter() / 2)

    def _gave_up(self, doing: str, error: Exception, wait: float) -> RunnerError:
        hint = "try again later"
        if self._heard.retry_after:
            hint = f"Treasure Data asks to wait {wait:.0f} s"
        elif self._heard.status is None:
            hint += f"; is {urlsplit(self._account.api).netloc} reachable from here, and the right site?"
        return self._failure(f"{doing}: {self._what(error)}", hint=hint)

    def _what(self, error: Exception) -> str:
        status = self._heard.status
        if status is None:
            return f"no answer of Treasure Data ({cause_of(self._heard.broken or error)})"
        if status == _TOO_MANY:
            return f"Treasure Data asks to slow down ({status})"
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
        try:
            response = send(*arguments, **{**options, "retries": False})
        except Exception as error:
            heard.broken = error
            raise
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
