"""One `runner apply` of a simulated world: it may die between any two steps, or freeze and come back late."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any

from runner.applying import Apply, Report, apply_plan
from runner.errors import LedgerError, Refusal
from runner.halting import Halt
from runner.ledger.interface import Holder, Ledger
from runner.ledger.sqlite import sqlite_ledger
from runner.ledger.sqlite_file import open_file
from runner.plan import Plan
from runner.schedule import OnWindowClose, Schedule
from runner.sending import Limits
from runner.sharing import Share
from tests.simulation.door import Line
from tests.simulation.mishaps import RATE
from tests.test_checking import CAMPAIGN, TODAY

if TYPE_CHECKING:
    from tests.simulation.world import World


class Killed(Exception):  # noqa: N818 - it happens to a process
    """The process is dead: nothing that it still wants to do is done."""


class Process:
    """One `runner apply`: its own connection to the ledger, its own clock, and its end."""

    def __init__(self, world: World, plan: Plan) -> None:
        world.processes += 1
        self.world = world
        self.plan = plan
        self.holder = Holder(
            owner="simulation",
            host="one machine" if world.is_one_machine else f"machine {world.processes}",
            pid=world.processes,
        )
        self.halt = Halt()
        self.dead = False
        world.running.add(world.processes)
        #: A process follows a clock that does not jump; how wrong it is was decided when it began.
        self._clock_error = world.began_wrong[self.holder.pid] = world.clock_error()
        self._ledger: Ledger = sqlite_ledger(
            open_file(world.ledger_file, busy_seconds=5.0), is_running=world.is_running
        )
        self._turn = asyncio.Lock()
        self._thawed = asyncio.Event()
        self._thawed.set()
        self._task: asyncio.Task[Any] | None = None

    def now(self) -> float:
        """Return the time as this machine has it."""
        return self.world.now() + self._clock_error

    def _wall(self) -> float:
        """Return the time as this machine's wall clock has it, which may be set at any moment."""
        return self.world.now() + self.world.clock_error()

    def steady(self) -> float:
        """Return the time that all processes of a machine have."""
        return self.world.elapsed()

    async def sleep(self, seconds: float) -> None:
        """Wait."""
        await asyncio.sleep(seconds)
        if not self._thawed.is_set():
            await self._thawed.wait()

    async def call(self, work: Callable[[Ledger], Any]) -> Any:
        """Do `work` with the ledger, one after another, as the ledger's own thread does."""
        async with self._turn:
            await self.step(may_freeze=True)
            if self.world.commit_seconds:
                await asyncio.sleep(self.world.commit_seconds)
            if self.dead:
                raise Killed
            start, end = self.world.mishaps.full_disk
            if start <= self.world.now() - self.world.start < end:
                self.world.note_in_flight(self.plan, self._ledger)
                raise LedgerError("the disk is full")
            result = work(self._ledger)
            await self.step(may_freeze=True)
            return result

    async def reserve_slot(self, sender: str, interval: float, now: float) -> float:
        """Reserve the sender's next slot."""
        slot: float = await self.call(lambda ledger: ledger.reserve_slot(sender, interval, now))
        return slot

    async def claim_slot(self, sender: str, share: Share, interval: float, now: float) -> tuple[float, bool]:
        """Reserve the sender's next slot, if it is this run's turn."""
        claimed: tuple[float, bool] = await self.call(
            lambda ledger: ledger.claim_slot(sender, share, interval, now)
        )
        return claimed

    async def delay_sender(self, sender: str, seconds: float, now: float) -> None:
        """Push the sender's free slots."""
        await self.call(lambda ledger: ledger.delay_sender(sender, seconds, now))

    async def hold_sender(self, sender: str, seconds: float, now: float) -> None:
        """Free no slot before `now + seconds`."""
        await self.call(lambda ledger: ledger.hold_sender(sender, seconds, now))

    async def step(self, *, may_freeze: bool = False) -> None:
        """Pass a point at which this process may die or freeze."""
        if self.dead:
            raise Killed
        self.world.steps += 1
        if self.world.steps in self.world.mishaps.kills:
            self.world.note_in_flight(self.plan, self._ledger)
            self._end()
            if self._task is not None:
                asyncio.get_running_loop().call_soon(self._task.cancel)
            raise Killed
        if may_freeze and (seconds := self.world.mishaps.freezes.pop(self.world.steps, None)):
            self._thawed.clear()
            asyncio.get_running_loop().call_later(seconds, self._thawed.set)
            self.world.note_in_flight(self.plan, self._ledger)
        if not self._thawed.is_set():
            await self._thawed.wait()

    async def apply(self) -> Report | None:
        """Apply the plan; None when it was killed, refused, or ended with an error of the ledger."""
        self._task = asyncio.ensure_future(apply_plan(self._arguments()))
        try:
            return await self._task
        except (Killed, Refusal, LedgerError, asyncio.CancelledError):
            return None
        finally:
            self._end()
            with suppress(LedgerError):
                self._ledger.close()

    def _end(self) -> None:
        self.dead = True
        self.world.running.discard(self.holder.pid)

    def _arguments(self) -> Apply:
        world = self.world

        async def today(moved: int) -> Any:
            now = datetime.fromtimestamp(self.now(), timezone.utc)
            campaign = replace(CAMPAIGN, name=self.plan.campaign, schedule=_schedule(world))
            return replace(TODAY, now=now, moved=moved, campaign=campaign)

        return Apply(
            plan=self.plan,
            tables=world.tables[self.plan.campaign],
            ledger=self,  # type: ignore[arg-type]
            carrier=Line(world.door, self.step, self.now, by=self.holder.pid),
            clock=self,
            holder=self.holder,
            halt=self.halt,
            limits=Limits(
                max_in_flight=world.max_in_flight,
                canary=world.canary,
                deadline=world.zoned.deadline if world.zoned else None,
            ),
            hours=world.zoned.opened(self.now, self._wall) if world.zoned else None,
            watcher=_Silent(),
            today=today,
            gate=world.gate,
            rate=RATE,
        )


def _schedule(world: World) -> Schedule:
    if world.zoned is None:
        return Schedule()
    on_close = OnWindowClose.WAIT if world.zoned.waits else OnWindowClose.STOP
    return Schedule(window=world.zoned.window, on_window_close=on_close)


class _Silent:
    """A watcher that agrees to everything."""

    def compared(self, comparisons: object) -> None:
        """See nothing."""

    def confirmed(self, tally: object) -> bool:
        """Agree."""
        return True

    def began(self, run: int, tally: object) -> None:
        """See nothing."""

    def happened(self, event: object, tally: object) -> None:
        """See nothing."""

    def paused(self, pause: object) -> None:
        """See nothing."""
