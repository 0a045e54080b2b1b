"""An event loop on virtual time: whenever everybody waits, the clock jumps to the next thing to happen.

It does what asyncio's own loop does for tasks, futures and timers, and nothing for sockets and threads: a
simulated campaign is little else than turns of this loop.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Callable, Coroutine
from contextvars import Context, copy_context
from heapq import heappop, heappush
from itertools import count
from typing import Any, TypeVar

Result = TypeVar("Result")


class _Call(asyncio.TimerHandle):
    """Something to call: soon, or at a time; unless it is cancelled before."""

    __slots__ = ("arguments", "call", "context")

    def __init__(self, call: Callable[..., object], arguments: tuple[Any, ...], context: Context) -> None:
        self.call: Callable[..., object] | None = call
        self.arguments = arguments
        self.context = context

    def cancel(self) -> None:
        self.call = None

    def cancelled(self) -> bool:
        return self.call is None


class VirtualLoop(asyncio.AbstractEventLoop):
    """The loop. Whatever is due at one moment happens in the order in which it was asked for."""

    def __init__(self) -> None:
        self._now = 0.0
        self._soon: deque[_Call] = deque()
        self._later: list[tuple[float, int, _Call]] = []
        self._number = count()
        self._on_error: Callable[[asyncio.AbstractEventLoop, dict[str, Any]], object] | None = None

    def time(self) -> float:
        return self._now

    def run_until_complete(self, future: Any) -> Any:
        """Run until `future` is done; RuntimeError when everybody waits for something that never happens."""
        awaited = asyncio.ensure_future(future, loop=self)
        asyncio._set_running_loop(self)
        try:
            while not awaited.done():
                if not self._soon:
                    self._jump()
                due = self._soon.popleft()
                if due.call is not None:
                    self._make(due.call, due)
        finally:
            asyncio._set_running_loop(None)
        return awaited.result()

    def _jump(self) -> None:
        """Let the time pass until something is due."""
        if not self._later:
            raise RuntimeError("everybody waits for something that never happens")
        self._now = max(self._now, self._later[0][0])
        while self._later and self._later[0][0] <= self._now:
            self._soon.append(heappop(self._later)[2])

    def _make(self, call: Callable[..., object], due: _Call) -> None:
        try:
            due.context.run(call, *due.arguments)
        except (SystemExit, KeyboardInterrupt):
            raise
        except BaseException as error:  # noqa: BLE001 - as asyncio's loop does: the next one has its turn
            self.call_exception_handler({"message": "an error in a callback", "exception": error})

    def call_soon(
        self, callback: Callable[..., object], *args: Any, context: Context | None = None
    ) -> asyncio.Handle:
        due = _Call(callback, args, copy_context() if context is None else context)
        self._soon.append(due)
        return due

    def call_at(
        self, when: float, callback: Callable[..., object], *args: Any, context: Context | None = None
    ) -> asyncio.TimerHandle:
        due = _Call(callback, args, copy_context() if context is None else context)
        heappush(self._later, (when, next(self._number), due))
        return due

    def call_later(
        self, delay: float, callback: Callable[..., object], *args: Any, context: Context | None = None
    ) -> asyncio.TimerHandle:
        return self.call_at(self._now + delay, callback, *args, context=context)

    def create_future(self) -> asyncio.Future[Any]:
        return asyncio.Future(loop=self)

    def create_task(self, coro: Any, **options: Any) -> asyncio.Task[Any]:
        return asyncio.Task(coro, loop=self, **options)

    def set_exception_handler(
        self, handler: Callable[[asyncio.AbstractEventLoop, dict[str, Any]], object] | None
    ) -> None:
        self._on_error = handler

    def call_exception_handler(self, context: dict[str, Any]) -> None:
        (self._on_error or VirtualLoop.default_exception_handler)(self, context)

    def default_exception_handler(self, context: dict[str, Any]) -> None:
        logging.getLogger("asyncio").error(context["message"], exc_info=context.get("exception"))

    def get_debug(self) -> bool:
        return False

    def is_running(self) -> bool:
        return asyncio._get_running_loop() is self

    def is_closed(self) -> bool:
        return False


class VirtualClock:
    """Seconds since `start`, as the loop has them."""

    def __init__(self, start: float = 1_800_000_000.0) -> None:
        self.start = start

    def now(self) -> float:
        return self.start + asyncio.get_running_loop().time()

    def steady(self) -> float:
        return asyncio.get_running_loop().time()

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)


def run_virtually(coroutine: Coroutine[Any, Any, Result]) -> Result:
    """Run `coroutine` to its end in virtual time."""
    result: Result = VirtualLoop().run_until_complete(coroutine)
    return result
