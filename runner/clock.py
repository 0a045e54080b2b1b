"""The time by which a run paces and waits: the machine's, without the jumps of its wall clock.

A clock that is set back or forward while messages go out would let a second hold too many, or hold everything
up. So a run reads the wall clock once, and from then on counts by the machine's steady clock, which also goes
on while a laptop sleeps.
"""

from __future__ import annotations

import time

#: macOS counts sleep in its monotonic clock; Linux has a clock of its own for that.
_STEADY = getattr(time, "CLOCK_BOOTTIME", None) or getattr(time, "CLOCK_MONOTONIC", None)


def steady_seconds() -> float:
    """Return seconds that only grow, from a beginning that this machine's processes share till it reboots."""
    return time.monotonic() if _STEADY is None else time.clock_gettime(_STEADY)


class SteadyClock:
    """Epoch seconds as the wall clock had them when this clock was made, and steady from then on."""

    def __init__(self) -> None:
        self._offset = time.time() - steady_seconds()

    def now(self) -> float:
        """Return the time in epoch seconds."""
        return self._offset + steady_seconds()

    def steady(self) -> float:
        """Return seconds that only grow, the same for all processes of this machine."""
        return steady_seconds()

    async def sleep(self, seconds: float) -> None:
        """Wait."""
        import asyncio

        await asyncio.sleep(seconds)
