"""Who opts out while a run lasts: the ledger's opt-outs, read again all the time; the gate at send time asks.

They come from everywhere: the listener for webhooks, an import of a report, another run on another machine.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Protocol

from runner.ledger.interface import Ledger
from runner.ledger.journal import LedgerThread

#: Between two readings, in seconds: a new opt-out counts within about a second.
READ_EVERY = 0.5
#: One that is committed late may have a lower number than one that was seen: so far back it is looked for.
_BACK = 5_000


class Clock(Protocol):
    """The waiting, passed in."""

    async def sleep(self, seconds: float) -> None:
        """Wait."""
        ...


class OptedOut:
    """The phones that may not be messaged any more, as of the last reading."""

    def __init__(self) -> None:
        self._phones: set[str] = set()
        self._last = 0
        self.failure: Exception | None = None

    def __contains__(self, phone: object) -> bool:
        """Tell whether a phone opted out. Raises what kept them from being read: then nobody knows."""
        if self.failure is not None:
            raise self.failure
        return phone in self._phones

    def read(self, ledger: Ledger) -> None:
        """Read what is new."""
        for number, phone in ledger.opted_out_after(self._last - _BACK):
            self._phones.add(phone)
            self._last = max(self._last, number)


@asynccontextmanager
async def opt_outs_followed(ledger: LedgerThread, clock: Clock) -> AsyncIterator[OptedOut]:
    """Give the opt-outs of a ledger, kept up to date for as long as the block lasts. Errors: LedgerError."""
    opted_out = OptedOut()
    await ledger.call(opted_out.read)

    async def follow() -> None:
        try:
            while True:
                await clock.sleep(READ_EVERY)
                await ledger.call(opted_out.read)
        except Exception as failure:  # noqa: BLE001 - whatever it was, the gate has to say so
            opted_out.failure = failure

    following = asyncio.ensure_future(follow())
    try:
        yield opted_out
    finally:
        following.cancel()
        await asyncio.gather(following, return_exceptions=True)
