"""One POST, sent at most once, and the exact moment it left: the sending half of the plumbing (aiohttp).

Why aiohttp never repeats a POST here (read in aiohttp 3.14.5, `ClientSession._request`; tests/providers count
the requests at byte level): `retry_persistent_connection` is only true for IDEMPOTENT_METHODS, which leaves
POST out; redirects are off; no middleware is installed. `trust_env` stays off, because with it every request
reads the proxy settings and netrc in a thread (measured: 330 -> 1,100 us a request) and a netrc entry for the
host makes the request fail beside an Authorization header; `route` reads the same settings once.
"""

from __future__ import annotations

import asyncio
import ssl
import zlib
from collections.abc import Callable, Mapping
from typing import Any

import aiohttp
from aiohttp.abc import AbstractStreamWriter
from yarl import URL

from runner.providers.deadlines import Deadlines
from runner.providers.http import CONNECT_SECONDS, Failure, FailureKind, HttpAnswer, HttpResult, read_document
from runner.providers.http_route import route
from runner.providers.interface import OnDeparture

#: The most of an answer that is read, in bytes; a send's answer is a few hundred.
MAX_ANSWER = 64 * 1024

#: Idle connections are dropped after this many seconds, before common servers (5 s in Node) drop them: a
#: request that meets a closing connection has an unknown outcome.
_IDLE_SECONDS = 4.0

#: Errors of aiohttp, most specific first.
_KINDS: tuple[tuple[type[BaseException], FailureKind], ...] = (
    (aiohttp.ClientConnectorDNSError, FailureKind.DNS),
    (aiohttp.ClientProxyConnectionError, FailureKind.PROXY),
    (aiohttp.ClientHttpProxyError, FailureKind.PROXY),
    (aiohttp.ClientSSLError, FailureKind.TLS),
    (aiohttp.ConnectionTimeoutError, FailureKind.CONNECT_TIMEOUT),
    (aiohttp.ClientConnectorError, FailureKind.CONNECT),
    (asyncio.TimeoutError, FailureKind.TIMEOUT),
    (aiohttp.ClientResponseError, FailureKind.MALFORMED),
    (aiohttp.ClientPayloadError, FailureKind.MALFORMED),
)


class _StampedBody(aiohttp.BytesPayload):
    """A request body that knows when it was written, and refuses a connection that cannot be trusted.

    aiohttp holds the headers back and writes them together with the body, so that until this body is written
    no byte has left. (A TraceConfig tells the same for 40 us more a request, and cannot refuse.)
    """

    def __init__(self, body: bytes, now: Callable[[], float], on_departure: OnDeparture | None) -> None:
        super().__init__(body, content_type="application/json")
        self.departed_at: float | None = None
        self.withdrawn = False
        self._now = now
        self._on_departure = on_departure

    async def write_with_length(self, writer: AbstractStreamWriter, content_length: int | None) -> None:
        """Write the body unless it was withdrawn, or the connection is closing or already holds an answer."""
        transport = writer.transport
        if self.withdrawn or transport is None or transport.is_closing() or _spoiled(writer):
            raise aiohttp.ClientConnectionResetError("Nothing was written")
        # From here to the socket there is no await: what is noted as left has left.
        self.departed_at = self._now()
        await super().write_with_length(writer, content_length)
        if self._on_departure is not None:
            self._on_departure(self.departed_at)


def _spoiled(writer: AbstractStreamWriter) -> bool:
    """Tell whether bytes came before the question: they would be taken for this request's answer."""
    protocol = getattr(writer, "protocol", None)
    return bool(getattr(protocol, "should_close", False))


class Poster:
    """Posts JSON to one URL over at most `max_in_flight` connections. Made and closed inside one event loop.

    `now` is the wall clock (epoch seconds).
    """

    def __init__(
        self,
        url: str,
        headers: Mapping[str, str],
        *,
        max_in_flight: int,
        read_timeout: float,
        now: Callable[[], float],
    ) -> None:
        self._url = URL(url)
        self._now = now
        path = route(url)
        self._proxy = URL(path.proxy) if path.proxy else None
        # Given with each request, never to the session: aiohttp sends a session's headers to a proxy too, and
        # so hands it the key. Answers are asked for unpacked: nothing is gained on a few hundred bytes.
        self._headers = {"Accept": "application/json", "Accept-Encoding": "identity", **headers}
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(
                limit=max_in_flight, keepalive_timeout=_IDLE_SECONDS, ssl=_trust(url, path.ca_bundle)
            ),
            cookie_jar=aiohttp.DummyCookieJar(),
            auto_decompress=False,
            timeout=aiohttp.ClientTimeout(total=None, sock_connect=CONNECT_SECONDS),
        )
        # One deadline a send, connecting included. One for each silence, or for the wait for a connection,
        # would cost a tenth of the engine's speed, and the send's own ends both.
        self._deadlines = Deadlines(read_timeout)

    async def close(self) -> None:
        """Close every connection."""
        self._deadlines.close()
        await self._session.close()

    async def post(
        self, body: bytes, on_departure: OnDeparture | None = None
    ) -> tuple[HttpResult, float | None]:
        """Post once. Return what came back, and when the request left (None: no byte of it was written)."""
        payload = _StampedBody(body, self._now, on_departure)
        deadline = self._deadlines.begin()
        try:
            result = await self._exchange(payload)
        except asyncio.CancelledError:
            payload.withdrawn = True
            if not deadline.is_the_cause():
                raise
            result = _failure(asyncio.TimeoutError(), written=payload.departed_at is not None)
        except (aiohttp.ClientError, asyncio.TimeoutError, OSError) as error:
            payload.withdrawn = True
            result = _failure(error, written=payload.departed_at is not None)
        finally:
            self._deadlines.end(deadline)
        return result, payload.departed_at

    async def _exchange(self, payload: _StampedBody) -> HttpResult:
        """Send and read the answer; an answer to a request that was not written is somebody else's."""
        response = await self._session.post(
            self._url, data=payload, headers=self._headers, allow_redirects=False, proxy=self._proxy
        )
        try:
            if payload.departed_at is None:
                payload.withdrawn = True
                response.close()
                return Failure(kind=FailureKind.CLOSED, written=False, detail="an answer before the question")
            return HttpAnswer(
                status=response.status,
                document=await _read(response),
                retry_after=response.headers.get("Retry-After"),
            )
        except BaseException:
            response.close()
            raise


async def _read(response: aiohttp.ClientResponse) -> object:
    """Return the answer's JSON, None when there is none within MAX_ANSWER bytes, packed or unpacked."""
    packing = response.headers.get("Content-Encoding")
    if response.content_length is not None and response.content_length <= MAX_ANSWER:
        return read_document(_unpacked(await response.read(), packing))
    body = bytearray()
    async for chunk in response.content.iter_any():
        body += chunk
        if len(body) > MAX_ANSWER:
            response.close()
            return None
    return read_document(_unpacked(bytes(body), packing))


def _unpacked(body: bytes, packing: str | None) -> bytes:
    """Unpack what was packed although nobody asked; empty for what is too long, or packed otherwise.

    aiohttp would unpack the whole, at once: 60 KB of it can be 60 MB, for each connection.
    """
    if packing is None or packing.lower() == "identity":
        return body
    if packing.lower() not in {"gzip", "x-gzip", "deflate"}:
        return b""
    try:
        plain = zlib.decompressobj(zlib.MAX_WBITS | 32).decompress(body, MAX_ANSWER + 1)
    except zlib.error as error:
        raise aiohttp.ClientPayloadError("damaged packing") from error
    return plain if len(plain) <= MAX_ANSWER else b""


def _failure(error: BaseException, *, written: bool) -> Failure:
    """Name an error of aiohttp. Its own text may hold addresses with a proxy's password, and is left out."""
    kind = next((kind for cause, kind in _KINDS if isinstance(error, cause)), FailureKind.CLOSED)
    reason = getattr(getattr(error, "os_error", error), "strerror", None)
    status = f"status {error.status}" if isinstance(error, aiohttp.ClientHttpProxyError) else None
    detail = ": ".join(part for part in (kind.value, reason or status) if part)
    return Failure(kind=kind, written=written, detail=detail)


def _trust(url: str, ca_bundle: str) -> Any:  # noqa: ANN401 - aiohttp takes True or a context here
    """Return the TLS context that trusts what the other half of the provider trusts."""
    if not url.startswith("https:"):
        return True
    context = ssl.create_default_context(cafile=ca_bundle)
    context.set_alpn_protocols(["http/1.1"])
    return context
