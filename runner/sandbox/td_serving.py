"""Run a Treasure Data sandbox: in a thread for rehearsals and tests, or beside ADA's in the foreground."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import Future
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass

from aiohttp import web

from runner.errors import UsageError
from runner.sandbox.serving import RunningSandbox, serving, stop_signal
from runner.sandbox.settings import SandboxSettings
from runner.sandbox.td_server import TdServer
from runner.sandbox.td_settings import TdSandboxSettings

_STOP_SECONDS = 0.2
_JOIN_SECONDS = 10.0


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
    started: Future[tuple[RunningTdSandbox, Callable[[], None]]] = Future()
    thread = threading.Thread(target=_run_thread, args=(settings, started), name="td-sandbox", daemon=True)
    thread.start()
    running, stop = started.result()
    try:
        yield running
    finally:
        stop()
        thread.join(_JOIN_SECONDS)


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
    try:
        await runner.setup()
        site = web.TCPSite(runner, settings.host, settings.port)
        try:
            await site.start()
        except OSError as problem:
            raise UsageError(
                f"The Treasure Data sandbox cannot listen on {settings.host} port {settings.port}: "
                f"{problem.strerror}",
                hint="Choose another port, or 0 for any that is free.",
            ) from problem
        yield RunningTdSandbox(url=_url(runner))
    finally:
        await runner.cleanup()
        server.close()


def _url(runner: web.AppRunner) -> str:
    host, port = runner.addresses[0][:2]
    everywhere = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 - named, not bound
    name = everywhere.get(host, host)
    return f"http://[{name}]:{port}" if ":" in name else f"http://{name}:{port}"


def _run_thread(
    settings: TdSandboxSettings, started: Future[tuple[RunningTdSandbox, Callable[[], None]]]
) -> None:
    asyncio.run(_run(settings, started))


async def _run(
    settings: TdSandboxSettings, started: Future[tuple[RunningTdSandbox, Callable[[], None]]]
) -> None:
    loop = asyncio.get_running_loop()
    stopped = asyncio.Event()
    async with AsyncExitStack() as stack:
        try:
            running = await stack.enter_async_context(td_serving(settings))
        except BaseException as problem:  # noqa: BLE001 - the caller waits for it in another thread
            started.set_exception(problem)
            return
        started.set_result((running, lambda: _stop(loop, stopped)))
        await stopped.wait()


def _stop(loop: asyncio.AbstractEventLoop, stopped: asyncio.Event) -> None:
    loop.call_soon_threadsafe(stopped.set)
