"""The deadlines of many sends, on one timer: each has the same time, so they end in the order they began.

A timer for each send, as aiohttp sets one, costs a twentieth of the engine's speed, and hardly ever rings.
"""

from __future__ import annotations

import asyncio
import sys


class Deadline:
    """One send's deadline: the task that it ends, and when (the loop's seconds)."""

    __slots__ = ("at", "has_rung", "task")

    def __init__(self, task: asyncio.Task[object], at: float) -> None:
        self.task = task
        self.at = at
        self.has_rung = False

    def ring(self) -> None:
        """Cancel the task where it waits."""
        self.has_rung = True
        self.task.cancel()

    def is_the_cause(self) -> bool:
        """Tell a cancelled task whether this deadline did it, and nobody else; to be asked once."""
        if not self.has_rung:
            return False
        return sys.version_info < (3, 11) or self.task.uncancel() == 0


class Deadlines:
    """The deadlines of the sends under way, `seconds` after each began. For one event loop."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._loop = asyncio.get_running_loop()
        self._running: dict[Deadline, None] = {}
        self._timer: asyncio.TimerHandle | None = None

    def begin(self) -> Deadline:
        """Give the running task a deadline; it has to be ended, however the send ends."""
        task = asyncio.current_task(self._loop)
        if task is None:
            raise RuntimeError("a deadline is a task's")
        deadline = Deadline(task, self._loop.time() + self._seconds)
        self._running[deadline] = None
        if self._timer is None:
            self._timer = self._loop.call_at(deadline.at, self._ring)
        return deadline

    def end(self, deadline: Deadline) -> None:
        """Take a deadline back."""
        self._running.pop(deadline, None)

    def close(self) -> None:
        """Ring no more."""
        if self._timer is not None:
            self._timer.cancel()

    def _ring(self) -> None:
        """End the sends whose time has come, and see to the next."""
        self._timer = None
        now = self._loop.time()
        for deadline in list(self._running):
            if deadline.at > now:
                self._timer = self._loop.call_at(deadline.at, self._ring)
                break
            del self._running[deadline]
            deadline.ring()
