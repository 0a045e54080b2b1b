"""The async face of a ledger: one thread owns it, and intents and outcomes are committed in groups.

A durable commit waits for the disk. All intents and outcomes that come up while one commit waits go into the
next one together, so that hundreds of sends a second share a few dozen commits a second, each delivery still
durable before its first byte.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TypeVar

from runner.delivery import Answer, Delivery
from runner.ledger import open_ledger
from runner.ledger.interface import Intent, Ledger, LockToken, Settlement

Result = TypeVar("Result")

#: After a group this large the next one gathers for so many seconds: fewer, larger commits carry more. At a
#: provider's rate groups are of one or two, and nothing waits.
_CROWD = 4
_GATHERING = 0.004


class LedgerThread:
    """A ledger and the one thread that owns it."""

    def __init__(self, ledger: Ledger, thread: ThreadPoolExecutor) -> None:
        self._ledger = ledger
        self._thread = thread

    async def call(self, work: Callable[[Ledger], Result]) -> Result:
        """Do `work` with the ledger on its thread, and return its result."""
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._thread, work, self._ledger)

    async def reserve_slot(self, sender: str, interval: float, now: float) -> float:
        """Reserve the sender's next slot; epoch seconds."""
        return await self.call(lambda ledger: ledger.reserve_slot(sender, interval, now))

    async def delay_sender(self, sender: str, seconds: float, now: float) -> None:
        """Push the sender's free slots by `seconds`."""
        await self.call(lambda ledger: ledger.delay_sender(sender, seconds, now))

    async def hold_sender(self, sender: str, seconds: float, now: float) -> None:
        """Free no slot of the sender before `now + seconds`."""
        await self.call(lambda ledger: ledger.hold_sender(sender, seconds, now))


@asynccontextmanager
async def ledger_thread(url: str, root: Path) -> AsyncIterator[LedgerThread]:
    """Open the ledger at `url` on a thread of its own, for as long as the context lasts."""
    loop = asyncio.get_running_loop()
    with ThreadPoolExecutor(max_workers=1, thread_name_prefix="ledger") as thread:
        ledger: Ledger = await loop.run_in_executor(thread, lambda: open_ledger(url, root=root))
        try:
            yield LedgerThread(ledger, thread)
        finally:
            await loop.run_in_executor(thread, ledger.close)


class GroupCommit:
    """The journal of one run: each call returns once its intent or outcome is on disk."""

    def __init__(self, thread: LedgerThread, token: LockToken, run: int, now: Callable[[], float]) -> None:
        self._thread = thread
        self._token = token
        self._run = run
        self._now = now
        self._intents: list[tuple[Intent, asyncio.Future[bool]]] = []
        self._outcomes: list[tuple[Settlement, asyncio.Future[None]]] = []
        self._committing: asyncio.Task[None] | None = None

    async def intend(self, delivery: Delivery) -> bool:
        """Record the intent to send; False when the delivery has an account already."""
        intent = Intent(key=delivery.key, recipient_id=delivery.recipient_id, run=self._run)
        future: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        self._intents.append((intent, future))
        self._wake()
        return await future

    async def settle(self, delivery: Delivery, answer: Answer) -> None:
        """Record what the send came to."""
        settlement = Settlement(key=delivery.key, run=self._run, answer=answer)
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._outcomes.append((settlement, future))
        self._wake()
        await future

    def _wake(self) -> None:
        if self._committing is None:
            self._committing = asyncio.ensure_future(self._commit_all())

    async def _commit_all(self) -> None:
        while self._intents or self._outcomes:
            intents, self._intents = self._intents, []
            outcomes, self._outcomes = self._outcomes, []
            await self._commit(intents, outcomes)
            if len(intents) + len(outcomes) >= _CROWD:
                await asyncio.sleep(_GATHERING)
        self._committing = None

    async def _commit(
        self,
        intents: list[tuple[Intent, asyncio.Future[bool]]],
        outcomes: list[tuple[Settlement, asyncio.Future[None]]],
    ) -> None:
        wanted = [intent for intent, _ in intents]
        settled = [settlement for settlement, _ in outcomes]
        now = self._now()
        try:
            recorded = await self._thread.call(lambda led: led.commit(self._token, wanted, settled, now))
        except Exception as error:  # noqa: BLE001 - whatever it was, each waiting send has to hear of it
            for _, intended in intents:
                _fail(intended, error)
            for _, recorded_outcome in outcomes:
                _fail(recorded_outcome, error)
            return
        for (_, intended), is_recorded in zip(intents, recorded, strict=True):
            if not intended.done():
                intended.set_result(is_recorded)
        for _, recorded_outcome in outcomes:
            if not recorded_outcome.done():
                recorded_outcome.set_result(None)


def _fail(future: asyncio.Future[bool] | asyncio.Future[None], error: Exception) -> None:
    """Let a waiting send hear of the error, unless it was cancelled meanwhile."""
    if not future.done():
        future.set_exception(error)
