"""The sandbox's quick door: answers a plain `POST /message` itself and hands any other connection to aiohttp.

aiohttp's server alone carries about 5,000 messages a second on one core, and a benchmark of the send loop
must not measure its sandbox. So the one request that matters is read here, in its plainest form only;
whatever is unusual about a connection (another path, chunks, a query, a foreign host) moves it to aiohttp
with all its bytes, for good.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from typing import cast

from runner.sandbox.receiving import LARGEST_MESSAGE
from runner.sandbox.replies import Ending, Reply, end_badly

_LARGEST_HEAD = 16 * 1024
_LARGEST_BACKLOG = 4 * LARGEST_MESSAGE
_STARTS = (b"POST /message HTTP/1.1\r\n", b"POST /prod/message HTTP/1.1\r\n")
#: Headers that mean more than this door understands.
_UNUSUAL = frozenset({b"transfer-encoding", b"content-encoding", b"expect", b"upgrade"})


class Reading(Enum):
    """What a buffer that holds no whole plain message is."""

    INCOMPLETE = "incomplete"
    UNUSUAL = "unusual"


@dataclass(frozen=True, slots=True)
class Posted:
    """One whole plain `POST /message`, and the bytes behind it."""

    authorization: str | None
    host: str
    body: bytes
    rest: bytes


def read_posted(buffer: bytes) -> Posted | Reading:
    """Read the message at the start of `buffer`."""
    if not buffer.startswith(_STARTS):
        begun = any(start.startswith(buffer) for start in _STARTS)
        return Reading.INCOMPLETE if begun else Reading.UNUSUAL
    end = buffer.find(b"\r\n\r\n")
    if end < 0:
        return Reading.INCOMPLETE if len(buffer) <= _LARGEST_HEAD else Reading.UNUSUAL
    headers = _headers(buffer[:end])
    length = None if headers is None else _length(headers)
    if headers is None or length is None:
        return Reading.UNUSUAL
    body_end = end + 4 + length
    if len(buffer) < body_end:
        return Reading.INCOMPLETE
    authorization = headers.get(b"authorization")
    return Posted(
        None if authorization is None else authorization.decode("latin-1"),
        headers.get(b"host", b"").decode("latin-1"),
        buffer[end + 4 : body_end],
        buffer[body_end:],
    )


def _headers(head: bytes) -> dict[bytes, bytes] | None:
    """Return the headers by their lower-case names; None where one is unusual, folded, or there twice."""
    lines = head.split(b"\r\n")[1:]
    headers: dict[bytes, bytes] = {}
    for line in lines:
        name, colon, value = line.partition(b":")
        if not colon or not name or name[0] in b" \t" or name[-1] in b" \t":
            return None
        headers[name.lower()] = value.strip()
    if len(headers) != len(lines) or not _UNUSUAL.isdisjoint(headers):
        return None
    return headers if headers.get(b"connection", b"keep-alive").lower() == b"keep-alive" else None


def _length(headers: dict[bytes, bytes]) -> int | None:
    """Return the body's length; None where it is not said plainly, or is above what this door takes."""
    text = headers.get(b"content-length", b"")
    if not text.isdigit() or len(text) > len(str(LARGEST_MESSAGE)):
        return None
    return length if (length := int(text)) <= LARGEST_MESSAGE else None


class QuickDoor(asyncio.Protocol):
    """One connection: asyncio's interface, hence the base class.

    `receive(authorization, body)` judges a message; `allows(host)` says whether a Host header may be served
    here; `other()` makes the protocol that takes over; `doors` holds every open door, so that a stop can
    close them.
    """

    def __init__(
        self,
        *,
        receive: Callable[[str | None, bytes], Reply],
        allows: Callable[[str], bool],
        other: Callable[[], asyncio.Protocol],
        doors: set[QuickDoor],
    ) -> None:
        self._receive = receive
        self._allows = allows
        self._other = other
        self._doors = doors
        self._buffer = b""
        self._transport: asyncio.Transport | None = None
        self._answering: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin: asyncio calls this once."""
        self._transport = cast("asyncio.Transport", transport)
        self._doors.add(self)

    def connection_lost(self, exc: Exception | None) -> None:
        """End: an answer that still waits is dropped; its message stays in the record."""
        self._leave()
        self._transport = None

    def data_received(self, data: bytes) -> None:
        """Take bytes; while an answer waits, the next request does too."""
        self._buffer = self._buffer + data if self._buffer else data
        if self._answering is None:
            self._advance()
        elif len(self._buffer) > _LARGEST_BACKLOG:
            self.abort()

    def abort(self) -> None:
        """Cut the connection: the sandbox stops."""
        if self._transport is not None:
            self._transport.abort()

    def _advance(self) -> None:
        while self._buffer and self._transport is not None and self._answering is None:
            posted = read_posted(self._buffer)
            if posted is Reading.INCOMPLETE:
                return
            if isinstance(posted, Reading) or not self._allows(posted.host):
                self._hand_over(self._transport)
                return
            self._buffer = posted.rest
            self._answer(self._transport, self._receive(posted.authorization, posted.body))

    def _answer(self, transport: asyncio.Transport, reply: Reply) -> None:
        if reply.delay:
            loop = asyncio.get_running_loop()
            self._answering = loop.call_later(reply.delay, self._answer_late, transport, reply)
        else:
            self._answer_now(transport, reply)

    def _answer_late(self, transport: asyncio.Transport, reply: Reply) -> None:
        self._answering = None
        self._answer_now(transport, reply)
        self._advance()

    def _answer_now(self, transport: asyncio.Transport, reply: Reply) -> None:
        if reply.ending is Ending.ANSWER:
            transport.write(reply.to_http())
        else:
            self._break_off(transport, reply)

    def _break_off(self, transport: asyncio.Transport, reply: Reply) -> None:
        """End the connection within an exchange; what was sent behind the message is never read."""
        self._leave()
        self._transport = None
        self._buffer = b""
        end_badly(transport, reply)

    def _hand_over(self, transport: asyncio.Transport) -> None:
        self._leave()
        self._transport = None
        buffer, self._buffer = self._buffer, b""
        other = self._other()
        transport.set_protocol(other)
        other.connection_made(transport)
        other.data_received(buffer)

    def _leave(self) -> None:
        self._doors.discard(self)
        if self._answering is not None:
            self._answering.cancel()
            self._answering = None
