"""How many of a plan's messages failed after they were accepted, as receipts say; read while a run lasts.

Receipts come from everywhere: the listener for webhooks, or an import of a report on another machine.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from typing import Protocol, TypeVar

from runner.errors import LedgerError
from runner.ledger.interface import Counts, Ledger
from runner.tally import Tally

#: Between two readings, in seconds.
READ_EVERY = 5.0

Result = TypeVar("Result")


class Book(Protocol):
    """A ledger on its thread."""

    async def call(self, work: Callable[[Ledger], Result]) -> Result:
        """Do `work` with the ledger, and return its result."""
        ...


def failed_by_receipt(counts: Counts) -> int:
    """Return of how many of a plan's messages a receipt says that they failed."""
    return counts.receipts.get("failed", 0)


@asynccontextmanager
async def failed_receipts_followed(
    book: Book, digest: str, tally: Tally, sleep: Callable[[float], Awaitable[None]]
) -> AsyncIterator[None]:
    """Keep `tally.failed_later` of a plan (its digest) up to date for as long as the block lasts."""

    async def follow() -> None:
        while True:
            await sleep(READ_EVERY)
            with suppress(LedgerError):  # busy for a moment; an intent that cannot be written says so itself
                counts = await book.call(lambda ledger: ledger.counts(digest))
                tally.failed_later = failed_by_receipt(counts)

    following = asyncio.ensure_future(follow())
    try:
        yield
    finally:
        following.cancel()
        await asyncio.gather(following, return_exceptions=True)
