"""The listener for ADA's webhooks: an HTTP server that answers once a webhook is on disk, and matches later.

What comes in: POST and PUT, on any path. With a secret, it is the path's last element or in a header. Bodies,
slow clients and connections are bounded. Two threads own two connections to the ledger: one keeps webhooks,
the other matches what was kept, from the last run too.
"""

from __future__ import annotations

import asyncio
import hmac
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Protocol, cast

from aiohttp import web

from runner import quick_json
from runner.errors import LedgerError
from runner.ledger.interface import Ledger
from runner.ledger.journal import LedgerThread, ledger_thread
from runner.ledger.webhook_journal import WebhookJournal
from runner.ledger.webhooks import Webhook, WebhookKind
from runner.listening import listen, url_of
from runner.receipts.keeping import ForgottenPeople, Keeper
from runner.receipts.reading import pipeline
from runner.receipts.settling import AT_ONCE, Settler
from runner.receipts.webhook import NoWebhookError, read_webhook

#: Where a proxy may put the secret.
SECRET_HEADER = "X-Webhook-Secret"  # noqa: S105 - a header's name
#: No webhook of ADA's is nearly as long, in bytes.
LARGEST_BODY = 64 * 1024
#: Seconds within which a connection has to come to its first request, and a request to the end of its body.
PATIENCE = 10.0
_KEEP_ALIVE = 75.0
_MOST_CONNECTIONS = 1_000
#: Between two batches of matching, so that webhooks gather; and after the ledger could not be used: seconds.
_GATHERING = 0.5
_AFTER_FAILURE = 5.0
#: After so many failures in a row the listener ends: whoever restarts it opens the ledger anew.
_MOST_FAILURES = 6
#: So often it is looked whether an open webhook has fallen due, in seconds.
_LOOK_AGAIN = 1.0
_STOP_SECONDS = 5.0

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class Clock(Protocol):
    """The time and the waiting, passed in."""

    def now(self) -> float:
        """Return the time in epoch seconds."""
        ...

    async def sleep(self, seconds: float) -> None:
        """Wait."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class ListenerSettings:
    """Where to listen, and for whom. `port` 0 takes a free one; `allows(host)` judges a Host header.

    `timezone` is that of times without an offset; None takes the time of arrival instead. `forgotten` are
    the people of whom nothing is kept.
    """

    ledger: str
    root: Path
    scratch: Path
    forgotten: ForgottenPeople
    host: str = "127.0.0.1"
    port: int = 0
    secret: str | None = field(default=None, repr=False)
    timezone: str | None = None
    allows: Callable[[str], bool] = lambda _: True


@dataclass(slots=True)
class Listener:
    """A listener that answers at `url`.

    `arrived` counts webhooks: `receipts`, `stops`, `other` (nothing to keep), `refused` (none, or without the
    secret), `failed` (not kept, as the ledger could not be used). `settled` counts what came of them by
    matching. `failures` are the ledger's since they were last looked at. `matching` ends only by an error:
    the ledger could not be used for half a minute, or a bug.
    """

    url: str
    arrived: Counter[str]
    settled: Counter[str]
    failures: list[LedgerError]
    matching: asyncio.Task[None]


class WebhookServer:
    """The handlers. `keep` returns once a webhook is on disk."""

    def __init__(self, settings: ListenerSettings, keep: Callable[[Webhook], Awaitable[None]]) -> None:
        self._settings = settings
        self._secret = settings.secret.encode() if settings.secret else None
        self._keep = keep
        self.arrived: Counter[str] = Counter()
        self.failures: list[LedgerError] = []
        self._silent: dict[object, asyncio.TimerHandle] = {}

    def application(self) -> web.Application:
        """Return the application."""
        application = web.Application(client_max_size=LARGEST_BODY)
        for method in ("POST", "PUT"):
            application.router.add_route(method, "/{path:.*}", self._receive)
        return application

    def connected(self, protocol: asyncio.Protocol, connections: int) -> None:
        """Take a new connection, of `connections`; one too many is cut, or one that says nothing whole."""
        wait = PATIENCE if connections < _MOST_CONNECTIONS else 0.0
        loop = asyncio.get_running_loop()
        self._silent[protocol] = loop.call_later(wait, self._cut, protocol)

    def _cut(self, protocol: asyncio.Protocol) -> None:
        del self._silent[protocol]
        transport = cast("web.RequestHandler", protocol).transport
        if transport is not None:
            transport.abort()

    async def _receive(self, request: web.Request) -> web.StreamResponse:
        if (cut := self._silent.pop(request.protocol, None)) is not None:
            cut.cancel()
        if not self._is_known(request):
            return self._refused(401)
        try:
            raw = await asyncio.wait_for(request.read(), PATIENCE)
            webhook = read_webhook(quick_json.decode(raw))
        except (asyncio.TimeoutError, TimeoutError):
            return self._refused(408)
        except web.HTTPRequestEntityTooLarge:
            return self._refused(413)
        except (NoWebhookError, ValueError, RecursionError):
            return self._refused(400)
        if webhook is None:
            self.arrived["other"] += 1
            return web.Response(text="ok")
        return await self._kept(webhook)

    async def _kept(self, webhook: Webhook) -> web.Response:
        try:
            await self._keep(webhook)
        except LedgerError as failure:
            self.failures[:] = [failure]
            self.arrived["failed"] += 1
            return web.Response(status=503, text="not kept, send it again", headers={"Retry-After": "30"})
        self.arrived["receipts" if webhook.kind is WebhookKind.STATUS else "stops"] += 1
        return web.Response(text="ok")

    def _refused(self, status: int) -> web.Response:
        """Answer what is no webhook, and end the connection: what follows on it is not worth reading."""
        self.arrived["refused"] += 1
        response = web.Response(status=status, text="not taken")
        response.force_close()
        return response

    def _is_known(self, request: web.Request) -> bool:
        if self._secret is None:
            # Pages of other sites, open in a browser on this machine, could reach it without a secret.
            return "Origin" not in request.headers and self._settings.allows(request.headers.get("Host", ""))
        last = request.path.rpartition("/")[2]
        given = request.headers.get(SECRET_HEADER) or last
        return hmac.compare_digest(given.encode("utf-8", "replace"), self._secret)


@asynccontextmanager
async def listening(settings: ListenerSettings, clock: Clock) -> AsyncIterator[Listener]:
    """Listen, keep and match for as long as the block lasts. Errors: LedgerError at its start."""
    kept, stopping = asyncio.Event(), asyncio.Event()
    async with (
        ledger_thread(settings.ledger, settings.root) as book,
        ledger_thread(settings.ledger, settings.root) as deliveries,
    ):
        await book.call(settings.forgotten.renew)
        keeper = Keeper(settings.forgotten)
        server = WebhookServer(settings, WebhookJournal(book, keeper.keep, clock.now, kept.set).add)
        with pipeline(settings.scratch) as connection:
            matcher = _Matcher(
                settler=Settler(connection, settings.timezone),
                ledger=deliveries,
                clock=clock,
                kept=kept,
                stopping=stopping,
                failures=server.failures,
            )
            async with _serving(server, settings) as url:
                matching = asyncio.ensure_future(matcher.match_always())
                try:
                    yield Listener(
                        url=url,
                        arrived=server.arrived,
                        settled=matcher.settler.counts,
                        failures=server.failures,
                        matching=matching,
                    )
                finally:
                    stopping.set()
                    kept.set()
                    await asyncio.gather(matching, return_exceptions=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Matcher:
    """The loop that matches what was kept, in batches, with a ledger of its own, until `stopping` is set."""

    settler: Settler
    ledger: LedgerThread
    clock: Clock
    kept: asyncio.Event
    stopping: asyncio.Event
    failures: list[LedgerError]

    async def match_always(self) -> None:
        """Match what is due now, then whenever something was kept, and what falls due meanwhile.

        Errors: LedgerError, once it came several times in a row.
        """
        failed = 0
        while not self.stopping.is_set():
            self.kept.clear()
            try:
                due = await self.ledger.call(partial(self._settle, now=self.clock.now()))
            except LedgerError as failure:
                self.failures[:] = [failure]
                failed += 1
                if failed == _MOST_FAILURES:
                    raise
                await self._wait_for(self.stopping, _AFTER_FAILURE)
                continue
            failed = 0
            if due < AT_ONCE:
                await self._pause()

    def _settle(self, ledger: Ledger, *, now: float) -> int:
        return self.settler.settle_due(ledger, now)

    async def _pause(self) -> None:
        """Wait until something was kept, and a little longer, so that more comes with it."""
        if not self.kept.is_set():
            await self._wait_for(self.kept, _LOOK_AGAIN)
        if not self.stopping.is_set():
            await self._wait_for(self.stopping, _GATHERING)

    async def _wait_for(self, event: asyncio.Event, seconds: float) -> None:
        sleeping = asyncio.ensure_future(self.clock.sleep(seconds))
        happening = asyncio.ensure_future(event.wait())
        try:
            await asyncio.wait({sleeping, happening}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            sleeping.cancel()
            happening.cancel()


@asynccontextmanager
async def _serving(server: WebhookServer, settings: ListenerSettings) -> AsyncIterator[str]:
    """Serve while the block lasts; give the URL. What is being answered at its end is answered."""
    runner = web.AppRunner(
        server.application(), access_log=None, keepalive_timeout=_KEEP_ALIVE, shutdown_timeout=_STOP_SECONDS
    )
    await runner.setup()

    def connect() -> asyncio.Protocol:
        protocol = cast("Callable[[], asyncio.Protocol]", runner.server)()
        server.connected(protocol, len(runner.server.connections) if runner.server else 0)
        return protocol

    try:
        listener = await listen(connect, settings.host, settings.port, name="the listener for webhooks")
        try:
            yield url_of(listener)
        finally:
            listener.close()
    finally:
        await runner.cleanup()
