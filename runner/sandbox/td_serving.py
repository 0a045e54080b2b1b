"""Run a Treasure Data sandbox: in a thread for rehearsals and tests, or beside ADA's in the foreground."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from typing import cast

from aiohttp import web

from runner.listening import listen, url_of
from runner.sandbox.in_thread import in_thread
from runner.sandbox.serving import RunningSandbox, serving, stop_signal
from runner.sandbox.settings import SandboxSettings
from runner.sandbox.td_server import TdServer
from runner.sandbox.td_settings import TdSandboxSettings

_STOP_SECONDS = 0.2


@dataclass(frozen=True, slots=True, kw_only=True)
class RunningTdSandbox:
    """A Treasure Data sandbox that answers. `url` is what `TD_API_SERVER` and `TD_PRESTO_API` are set to."""

    url: str

    @property
    def jobs_url(self) -> str:
        """The jobs that were issued, as JSON."""
        return f"{self.url}/sandbox/jobs.json"

    @property
    def calls_url(self) -> str:
        """The requests that came, counted, as JSON."""
        return f"{self.url}/sandbox/calls.json"

    @property
    def faults_url(self) -> str:
        """Where the faults are read (GET) and replaced (POST)."""
        return f"{self.url}/sandbox/faults"


@contextmanager
def running_td_sandbox(settings: TdSandboxSettings) -> Iterator[RunningTdSandbox]:
    """Run a sandbox in its own thread while the block lasts; UsageError where it cannot start."""
    with in_thread(lambda: td_serving(settings), "td-sandbox") as running:
        yield running


def serve_both(
    settings: SandboxSettings,
    td: TdSandboxSettings,
    on_ready: Callable[[RunningSandbox, RunningTdSandbox], None],
) -> None:
    """Run ADA's sandbox and Treasure Data's in the foreground until SIGINT or SIGTERM.

    `on_ready` is called once both answer. UsageError where one cannot start.
    """
    asyncio.run(_serve_both(settings, td, on_ready))


async def _serve_both(
    settings: SandboxSettings,
    td: TdSandboxSettings,
    on_ready: Callable[[RunningSandbox, RunningTdSandbox], None],
) -> None:
    async with serving(settings) as running, td_serving(td) as running_td, stop_signal() as stopped:
        on_ready(running, running_td)
        await stopped.wait()


@asynccontextmanager
async def td_serving(settings: TdSandboxSettings) -> AsyncIterator[RunningTdSandbox]:
    """Run a sandbox in the running event loop while the block lasts; UsageError where it cannot start."""
    server = TdServer(settings)
    runner = web.AppRunner(server.application(), access_log=None, shutdown_timeout=_STOP_SECONDS)
    await runner.setup()
    try:
        # aiohttp's server is what makes its protocol for one connection.
        door = cast("Callable[[], asyncio.Protocol]", runner.server)
        listener = await listen(door, settings.host, settings.port, name="The Treasure Data sandbox")
        try:
            yield RunningTdSandbox(url=url_of(listener))
        finally:
            listener.close()
    finally:
        await runner.cleanup()
        server.close()
