"""When a message may leave: the async face of a sender's shared pace row; used by applying.

Each message takes a turn: it reserves the next slot of the sender in the ledger, where every process that
sends for this sender reserves, and waits until just before that slot. Then its intent is committed, and it
leaves exactly at the slot. A message that left later than the margin tolerates pushes the pace row: at
the provider's door no sliding second holds more than the limit.

Slots, and all else here, are in steady seconds: processes of one machine share that clock, whatever is done
to the wall clock between their starts. Only what others tell or are told is in epoch seconds.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Coroutine
from math import ceil
from typing import Any, Protocol

from runner.pacing import NETWORK_JITTER, Margin, has_lost_its_slot
from runner.sharing import Share

#: The longest an intent may need between the wait for its slot and the slot, in seconds.
_LONGEST_LEAD = 0.05
_SHORTEST_LEAD = 0.004
#: A message sets out before its slot by the shortest way to the socket of the last ones, in seconds, so that
#: it leaves at its slot and the margin is left for what varies. A few tell: the first opens a connection.
_WAYS_REMEMBERED = 50
_WAYS_NEEDED = 5
_LONGEST_WAY = 0.02
#: The rate is a number of messages in any one second.
_SECOND = 1.0


class Clock(Protocol):
    """The time and the waiting; passed in, so that a test or a simulation can own them."""

    def now(self) -> float:
        """Return the time in epoch seconds."""
        ...

    def steady(self) -> float:
        """Return seconds that only grow, the same for all processes of this machine."""
        ...

    async def sleep(self, seconds: float) -> None:
        """Wait."""
        ...


class PaceRow(Protocol):
    """The one pace of a sender, shared by every process."""

    async def reserve_slot(self, sender: str, interval: float, now: float) -> float:
        """Reserve the next slot, by the clock of `now`, at least `interval` after the last one reserved."""
        ...

    async def claim_slot(self, sender: str, share: Share, interval: float, now: float) -> tuple[float, bool]:
        """Reserve the next slot if it is this run's turn, and return it and True.

        Else return when to claim again, and False.
        """
        ...

    def delay_sender(self, sender: str, seconds: float, now: float) -> Coroutine[Any, Any, None]:
        """Push every slot not yet reserved by `seconds`."""
        ...

    async def hold_sender(self, sender: str, seconds: float, now: float) -> None:
        """Free no slot before `now + seconds`."""
        ...


class Departure:
    """One message's turn: the slot it reserved, and when it really left (None until it has); steady seconds.

    `set_out_at` is when it was to set out: before its slot, by what the way to the socket takes at least.
    """

    __slots__ = ("_is_over", "_on_leave", "_waiting", "left_at", "reserved_at", "set_out_at", "slot")

    def __init__(self, slot: float, reserved_at: float, on_leave: Callable[[Departure], None]) -> None:
        self.slot = slot
        self.reserved_at = reserved_at
        self.set_out_at = slot
        self.left_at: float | None = None
        self._on_leave = on_leave
        self._is_over = False
        self._waiting: asyncio.Event | None = None

    async def over(self) -> None:
        """Wait until the message has left, or never will."""
        if not self._is_over:
            self._waiting = self._waiting or asyncio.Event()
            await self._waiting.wait()

    def leave(self, at: float) -> None:
        """Note that the message left at `at` (steady seconds)."""
        self.left_at = at
        self.give_up()
        self._on_leave(self)

    def give_up(self) -> None:
        """Note that nothing will leave in this turn any more."""
        self._is_over = True
        if self._waiting is not None:
            self._waiting.set()


class Pace:
    """The pace of one run within this process: its `share` of the sender's slots.

    `rate` is the sender's messages a second, None for unlimited: then there is nothing to share.
    """

    def __init__(self, *, sender: str, share: Share, rate: float | None, row: PaceRow, clock: Clock) -> None:
        self._sender = sender
        self._share = share
        self._rate = rate
        self._row = row
        self._clock = clock
        self._margin = Margin()
        self._turn = asyncio.Lock()
        self._lead = _SHORTEST_LEAD
        self._recent: deque[Departure] = deque(maxlen=ceil(rate) if rate else 1)
        self._pushes: set[asyncio.Task[None]] = set()
        self._ways: deque[float] = deque(maxlen=_WAYS_REMEMBERED)

    async def take_turn(self) -> Departure | None:
        """Wait until just before the next free slot of the sender, and return it.

        None when that one was another run's: ask again, if there still is a message to send.
        """
        if self._rate is None:
            return Departure(0.0, 0.0, self._learn)
        async with self._turn:
            at, is_slot = await self._claim(self._rate)
            if not is_slot:
                await self._sleep_until(at)
                return None
            slot = at
            await self._sleep_until(slot - self._lead - self._shortest_way())
            return Departure(slot, self._clock.steady(), self._learn)

    async def wait_to_leave(self, departure: Departure) -> None:
        """Wait for the very slot; and, should an earlier message have left late, for its second to pass.

        A message that comes so late that it would crowd the next ones loses its slot and takes another. Its
        run has paid for the one it lost, and its intent is on disk: nobody's turn comes before it.
        """
        if self._rate is None:
            return
        self._learn_lead(self._clock.steady() - departure.reserved_at)
        earliest = await self._end_of_oldest_second()
        self._recent.append(departure)
        while has_lost_its_slot(self._clock.steady() - departure.slot, self._margin.interval(self._rate)):
            departure.slot = await self._reserve(self._rate)
        departure.set_out_at = max(departure.slot, earliest) - self._shortest_way()
        await self._sleep_until(departure.set_out_at)

    def left(self, departure: Departure, at: float) -> None:
        """Note that a message left at `at` (epoch seconds); without a rate that tells nothing."""
        if self._rate is not None:
            departure.leave(at - self._ahead())

    def _ahead(self) -> float:
        """Return by how much epoch seconds are ahead of the steady ones."""
        return self._clock.now() - self._clock.steady()

    def _shortest_way(self) -> float:
        """Return what the way from setting out to the socket took at least, of late; 0 until known."""
        return min(self._ways) if len(self._ways) >= _WAYS_NEEDED else 0.0

    async def _end_of_oldest_second(self) -> float:
        """Return when one more message may leave, as the last ones of this process really left."""
        if len(self._recent) < (self._recent.maxlen or 0):
            return 0.0
        oldest = self._recent[0]
        await oldest.over()
        return (oldest.left_at or oldest.slot) + _SECOND + NETWORK_JITTER

    def _learn(self, departure: Departure) -> None:
        """Learn from a message that has just left: how late it is, and what that asks of the next ones.

        The push reaches the shared row at once, before the slot one second on is reserved by anybody.
        """
        left_at = departure.left_at or departure.slot
        self._ways.append(min(_LONGEST_WAY, max(0.0, left_at - departure.set_out_at)))
        lateness = left_at - departure.slot
        spacing = self._margin.interval(self._rate) if self._rate else 0.0
        excess = self._margin.excess(lateness, spacing)
        self._margin.observe(lateness)
        if excess > 0:
            push = self._row.delay_sender(self._sender, excess, self._clock.steady())
            task = asyncio.ensure_future(push)
            self._pushes.add(task)
            task.add_done_callback(self._pushed)

    def _pushed(self, push: asyncio.Task[None]) -> None:
        """Forget a push that is done; a ledger that failed says so at the next slot or intent too."""
        self._pushes.discard(push)
        if not push.cancelled():
            push.exception()

    async def back_off(self, seconds: float) -> None:
        """Hold the sender's next slots: the provider asked everybody to wait."""
        await self._row.hold_sender(self._sender, seconds, self._clock.steady())

    async def _claim(self, rate: float) -> tuple[float, bool]:
        await self._all_pushed()
        spacing = self._margin.interval(rate)
        return await self._row.claim_slot(self._sender, self._share, spacing, self._clock.steady())

    async def _reserve(self, rate: float) -> float:
        await self._all_pushed()
        spacing = self._margin.interval(rate)
        return await self._row.reserve_slot(self._sender, spacing, self._clock.steady())

    async def _all_pushed(self) -> None:
        if self._pushes:
            await asyncio.gather(*self._pushes)

    def _learn_lead(self, needed: float) -> None:
        """Keep the lead just above what committing an intent takes, forgetting slowly."""
        wanted = needed * 1.5
        faded = self._lead * 0.9
        self._lead = min(_LONGEST_LEAD, max(_SHORTEST_LEAD, wanted, faded))

    async def _sleep_until(self, moment: float) -> None:
        """Wait for `moment`, never less: a loop whose timers count whole milliseconds may wake early."""
        while (wait := moment - self._clock.steady()) > 0:
            await self._clock.sleep(wait)
