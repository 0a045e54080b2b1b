"""What an HTTP exchange came to, as pure values: made by http_get and http_post, read by outcome tables."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from runner import quick_json

#: Seconds to open a connection: DNS, TCP, the proxy's CONNECT and TLS together.
CONNECT_SECONDS = 10.0


class FailureKind(Enum):
    """Why there is no whole answer."""

    DNS = "the host name was not found"
    CONNECT = "the connection was not opened"
    TLS = "no trusted TLS connection"
    PROXY = "the proxy opened no connection"
    CONNECT_TIMEOUT = "the connection was not opened in time"
    TIMEOUT = "no answer in time"
    CLOSED = "the connection was closed before the answer"
    MALFORMED = "the answer is not HTTP, or only half of one"
    UNSENDABLE = "the message cannot be written as a request"


@dataclass(frozen=True, slots=True, kw_only=True)
class HttpAnswer:
    """A whole answer. `document` is its JSON, None when the body is no JSON (or JSON's null), or too long.

    `retry_after` is that header as sent.
    """

    status: int
    document: object = None
    retry_after: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """No whole answer. `written` is False only when it is certain that no byte of the request was written."""

    kind: FailureKind
    written: bool
    detail: str = ""


HttpResult = HttpAnswer | Failure


def read_document(body: bytes) -> object:
    """Return the body's JSON; None when it is none, or is nested or numbered past what Python reads."""
    try:
        return quick_json.decode(body)
    except (ValueError, RecursionError):
        return None
