"""A run says that it is alive, and hears of a stop also while it sends nothing."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from runner.departing import Clock
from runner.halting import Halt, StopCause
from runner.ledger.interface import CampaignStopped, LockToken
from runner.ledger.journal import LedgerThread

#: How often, in seconds; a lock on another host is stale after 120.
HEARTBEAT = 20.0


@asynccontextmanager
async def heartbeat(
    ledger: LedgerThread, token: LockToken, campaign: str, clock: Clock, halt: Halt
) -> AsyncIterator[None]:
    """Renew the lock, and pull the halt when a person has stopped the campaign, while the block lasts."""

    async def beat() -> None:
        while True:
            await clock.sleep(HEARTBEAT)
            await ledger.call(lambda book: book.heartbeat(token, clock.now()))
            # Who sends meets a stop at the next intent; who pauses would not.
            stop = await ledger.call(lambda book: book.standing_stop(campaign))
            if stop is not None:
                halt.pull(StopCause.STOPPED, CampaignStopped(stop).detail)

    beating = asyncio.ensure_future(beat())
    try:
        yield
    finally:
        beating.cancel()
        await asyncio.gather(beating, return_exceptions=True)
