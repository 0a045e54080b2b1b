"""Run a sandbox: in a thread for `apply --sandbox` and tests, in the foreground for `runner sandbox`."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from functools import partial
from typing import cast

from aiohttp import web

from runner.listening import listen, url_of
from runner.sandbox.ada_server import AdaServer, host_check
from runner.sandbox.in_thread import in_thread
from runner.sandbox.quick_door import QuickDoor
from runner.sandbox.receiving import Sandbox
from runner.sandbox.settings import SandboxSettings
from runner.sandbox.webhooks import delivering

_STOP_SECONDS = 0.2


@dataclass(frozen=True, slots=True, kw_only=True)
class RunningSandbox:
    """A sandbox that answers. `url` is what `ADA_API_URL` is set to.

    `sandbox` is its state; it belongs to the sandbox's thread, so read its record only while no message is
    on its way.
    """

    url: str
    sandbox: Sandbox

    @property
    def page_url(self) -> str:
        """The page for people."""
        return f"{self.url}/sandbox"

    @property
    def messages_url(self) -> str:
        """What arrived, as JSON."""
        return f"{self.url}/sandbox/messages.json"

    @property
    def stats_url(self) -> str:
        """The counts alone, as JSON."""
        return f"{self.url}/sandbox/stats.json"


@contextmanager
def running_sandbox(settings: SandboxSettings) -> Iterator[RunningSandbox]:
    """Run a sandbox in its own thread while the block lasts; UsageError where it cannot start."""
    with in_thread(lambda: serving(settings), "sandbox") as running:
        yield running


def serve(settings: SandboxSettings, on_ready: Callable[[RunningSandbox], None]) -> None:
    """Run a sandbox in the foreground until SIGINT or SIGTERM; `on_ready` is called once it answers."""
    asyncio.run(_serve(settings, on_ready))


async def _serve(settings: SandboxSettings, on_ready: Callable[[RunningSandbox], None]) -> None:
    async with serving(settings) as running, stop_signal() as stopped:
        on_ready(running)
        await stopped.wait()


@asynccontextmanager
async def stop_signal() -> AsyncIterator[asyncio.Event]:
    """Yield what is set once SIGINT or SIGTERM comes."""
    stopped = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stopped.set)
    yield stopped


@asynccontextmanager
async def serving(settings: SandboxSettings) -> AsyncIterator[RunningSandbox]:
    """Run a sandbox in the running event loop for as long as the block lasts."""
    sandbox = Sandbox(settings)
    allows = host_check(settings.host)
    server = AdaServer(sandbox, allows=allows)
    runner = web.AppRunner(server.application(), access_log=None, shutdown_timeout=_STOP_SECONDS)
    doors: set[QuickDoor] = set()
    await runner.setup()
    try:
        # aiohttp's server is what makes its protocol for one connection.
        other = cast("Callable[[], asyncio.Protocol]", runner.server)
        opened = partial(QuickDoor, receive=sandbox.receive, allows=allows, other=other, doors=doors)
        listener = await listen(opened, settings.host, settings.port, name="The sandbox")
        try:
            async with delivering(sandbox.webhooks):
                yield RunningSandbox(url=url_of(listener), sandbox=sandbox)
        finally:
            listener.close()
            for door in tuple(doors):
                door.abort()
    finally:
        await runner.cleanup()
        sandbox.close()
