"""How a run is stopped on its way, and how it waits meanwhile; used by all that sends."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from dataclasses import dataclass
from enum import Enum
from typing import Any


class StopCause(Enum):
    """Why a run stopped before its end."""

    INTERRUPTED = "interrupted"
    STOPPED = "stopped"
    GUARD = "guard"
    PROVIDER = "provider"
    WINDOW = "window"
    ERROR = "error"


@dataclass(frozen=True, slots=True, kw_only=True)
class Stop:
    """A stop: why, a sentence for people, and from when it may go on (epoch seconds) if that is known."""

    cause: StopCause
    detail: str
    until: float | None = None


class PauseCause(Enum):
    """Why a run sends nothing for a while."""

    PROVIDER = "provider"
    CANARY = "canary"
    WINDOW = "window"


@dataclass(frozen=True, slots=True, kw_only=True)
class Pause:
    """A pause of a run: why, until when at the latest (epoch seconds), and one sentence for people."""

    cause: PauseCause
    until: float
    detail: str


class Halt:
    """The one switch that stops a run; the first stop counts."""

    def __init__(self) -> None:
        self.stop: Stop | None = None
        self._event = asyncio.Event()

    def pull(self, cause: StopCause, detail: str, *, until: float | None = None) -> None:
        """Stop: what is in flight is finished and recorded, nothing new is begun."""
        if self.stop is None:
            self.stop = Stop(cause=cause, detail=detail, until=until)
            self._event.set()

    @property
    def is_pulled(self) -> bool:
        """Tell whether nothing new may be begun."""
        return self.stop is not None

    async def wait(self) -> None:
        """Wait until pulled."""
        await self._event.wait()

    async def or_until(self, something: Coroutine[Any, Any, Any]) -> None:
        """Wait for `something`, but no longer than until pulled; then it is cancelled."""
        waited = asyncio.ensure_future(something)
        pulled = asyncio.ensure_future(self.wait())
        try:
            await asyncio.wait({waited, pulled}, return_when=asyncio.FIRST_COMPLETED)
            if waited.done():
                waited.result()
        finally:
            waited.cancel()
            pulled.cancel()
