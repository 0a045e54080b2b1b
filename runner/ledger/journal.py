"""The async face of a ledger: one thread owns it, and intents and outcomes are committed in groups.

A durable commit waits for the disk. All intents and outcomes that come up while one commit waits go into the
next one together, so that hundreds of sends a second share a few dozen commits a second, each delivery still
durable before its first byte.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TypeVar

from runner.campaign import Cap
from runner.delivery import Answer, Delivery
from runner.ledger import open_ledger
from runner.ledger.interface import CampaignStopped, Intent, Ledger, LockToken, Settlement
from runner.sharing import Share

Result = TypeVar("Result")


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

    async def claim_slot(self, sender: str, share: Share, interval: float, now: float) -> tuple[float, bool]:
        """Reserve the sender's next slot for a run: return it and True; or when to claim again, and False."""
        return await self.call(lambda ledger: ledger.claim_slot(sender, share, interval, now))

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


class _Group:
    """Intents and outcomes that are committed together; `done` says so, or why not, to all that wait.

    One future for all is cheaper than one for each. Who waits is cancelled with all others, when a run
    is ended at once, or not at all: so nobody minds that to cancel one of them cancels the future.
    """

    __slots__ = ("done", "intents", "outcomes", "recorded", "stopped")

    def __init__(self) -> None:
        self.intents: list[Intent] = []
        self.outcomes: list[Settlement] = []
        self.recorded: list[bool | str] = []
        self.stopped: CampaignStopped | None = None
        self.done: asyncio.Future[None] = asyncio.get_running_loop().create_future()


class GroupCommit:
    """The journal of one run: whoever waits for an intent or outcome goes on once it is on disk."""

    def __init__(
        self,
        thread: LedgerThread,
        token: LockToken,
        run: int,
        now: Callable[[], float],
        caps: Sequence[Cap] = (),
    ) -> None:
        self._thread = thread
        self._caps = caps
        self._token = token
        self._run = run
        self._now = now
        self._gathering: _Group | None = None
        self._committing: asyncio.Task[None] | None = None

    async def intend(self, delivery: Delivery) -> bool | str:
        """Record the intent to send; False when the delivery has an account already. CampaignStopped.

        The rule of a cap when the person has reached it: then the delivery is refused by it.
        """
        group = self._group()
        place = len(group.intents)
        key, recipient = delivery.key, delivery.recipient_id
        group.intents.append(Intent(key=key, recipient_id=recipient, run=self._run, variant=delivery.variant))
        await group.done
        if group.stopped is not None:
            raise group.stopped
        return group.recorded[place]

    def settle(self, delivery: Delivery, answer: Answer) -> asyncio.Future[None]:
        """Begin to record what the send came to; what is returned is done once that is on disk."""
        group = self._group()
        group.outcomes.append(
            Settlement(key=delivery.key, run=self._run, answer=answer, variant=delivery.variant)
        )
        return group.done

    async def finished(self) -> None:
        """Return once nothing that was given is still on its way to the disk."""
        while self._committing is not None:
            await asyncio.wait([self._committing])

    def _group(self) -> _Group:
        """Return the group that is gathering, and see to it that it will be committed."""
        if self._gathering is None:
            self._gathering = _Group()
        if self._committing is None:
            self._committing = asyncio.ensure_future(self._commit_all())
        return self._gathering

    async def _commit_all(self) -> None:
        while (group := self._gathering) is not None:
            self._gathering = None
            await self._commit(group)
        self._committing = None

    async def _commit(self, group: _Group) -> None:
        now = self._now()
        try:
            group.recorded = await self._thread.call(
                lambda ledger: ledger.commit(self._token, group.intents, group.outcomes, now, caps=self._caps)
            )
        except CampaignStopped as stopped:
            # The outcomes are on disk; only who wanted to begin something has to hear of it.
            group.stopped = stopped
        except Exception as error:  # noqa: BLE001 - whatever it was, each waiting send has to hear of it
            if not group.done.done():
                group.done.set_exception(error)
            return
        if not group.done.done():
            group.done.set_result(None)
