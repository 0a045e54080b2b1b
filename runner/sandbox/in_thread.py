"""Keep something open in an event loop of its own thread, for whoever has no loop."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import AbstractAsyncContextManager, AsyncExitStack, contextmanager
from typing import Generic, TypeVar

T = TypeVar("T")
_JOIN_SECONDS = 10.0


@contextmanager
def in_thread(opening: Callable[[], AbstractAsyncContextManager[T]], name: str) -> Iterator[T]:
    """Keep open what `opening` opens, in a thread of this `name`, while the block lasts.

    What it raises while it opens is raised here.
    """
    keeper = _Keeper(opening)
    thread = threading.Thread(target=keeper.run, name=name, daemon=True)
    thread.start()
    opened, stop = keeper.started.result()
    try:
        yield opened
    finally:
        stop()
        thread.join(_JOIN_SECONDS)


class _Keeper(Generic[T]):
    def __init__(self, opening: Callable[[], AbstractAsyncContextManager[T]]) -> None:
        self._opening = opening
        self.started: Future[tuple[T, Callable[[], None]]] = Future()

    def run(self) -> None:
        asyncio.run(self._keep())

    async def _keep(self) -> None:
        loop = asyncio.get_running_loop()
        stopped = asyncio.Event()
        async with AsyncExitStack() as stack:
            try:
                opened = await stack.enter_async_context(self._opening())
            except BaseException as problem:  # noqa: BLE001 - the caller waits for it in another thread
                self.started.set_exception(problem)
                return
            self.started.set_result((opened, lambda: _stop(loop, stopped)))
            await stopped.wait()


def _stop(loop: asyncio.AbstractEventLoop, stopped: asyncio.Event) -> None:
    loop.call_soon_threadsafe(stopped.set)
