"""Who of a plan is still to be sent to, batch by batch; used by applying.

Without a window that is everybody without an account, in the plan's order. With one it goes in rounds: in a
round come those whose window is open, first those whose window closes first; whoever is not in time comes in
another round, after a pause if nobody's window is open. People are read from the plan's table by their time
zones, so that no more than a batch of them is in memory.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timezone
from functools import partial
from pathlib import Path

from runner.capping import ReachedCaps
from runner.delivery import Delivery, DeliveryKey, State
from runner.departing import Clock
from runner.halting import Halt, Pause, PauseCause, StopCause
from runner.ledger.interface import LedgerReader
from runner.ledger.journal import LedgerThread
from runner.number_zones import BETWEEN
from runner.open_hours import OpenHours
from runner.plan import Plan
from runner.recipients import people_by_zones, read_deliveries, read_phones
from runner.schedule import in_zone

#: How often a run that waits for a window looks at the clocks again, in seconds: they may have been set.
LOOK_AGAIN = 60.0


class _Part:
    """The people of a round whose window opens and closes together: their zones, and who is next of them."""

    def __init__(self, zones: frozenset[str], batches: Iterator[list[Delivery]]) -> None:
        self.zones = zones
        self.batches = batches


@dataclass(slots=True, kw_only=True)
class Pending:
    """The people of one apply that are still to be sent to. `hours` is None where no window holds.

    `reached` is asked about everybody who comes. `is_over` tells that it is too late for everybody: then all
    come at once, to have their account closed.
    """

    plan: Plan
    tables: Path
    ledger: LedgerThread
    clock: Clock
    halt: Halt
    hours: OpenHours | None
    reached: ReachedCaps
    is_over: Callable[[], bool]
    on_pause: Callable[[Pause], None]
    #: The zones of which not everybody had their turn in the last round.
    _unfinished: frozenset[str] = field(default=frozenset(), init=False)
    _put_off: dict[DeliveryKey, str] = field(default_factory=dict, init=False)

    async def batches(
        self, *, but: frozenset[DeliveryKey] = frozenset()
    ) -> AsyncGenerator[list[Delivery], None]:
        """Yield one round: the deliveries without an account that may go now, `but` those."""
        if self.hours is None:
            for batch in read_deliveries(self.tables, self.plan):
                yield await self._open_ones(batch, but)
            return
        parts = self._parts(self.hours)
        self._unfinished = frozenset[str]().union(*(part.zones for part in parts))
        while (part := self._next_part(self.hours, parts)) is not None:
            people = next(part.batches, None)
            if people is None:
                parts.remove(part)
                self._unfinished -= part.zones
            elif people:
                yield await self._open_ones(people, but)
            else:
                await asyncio.sleep(0)  # a long way to the next of them: others go on meanwhile

    async def come_again(self) -> bool:
        """Tell whether there is to be another round, once a window is open for those who were not in time.

        Where a run does not wait for that, it is stopped.
        """
        if self.hours is None or self.halt.is_pulled:
            return False
        self.take_put_off()
        late, self._put_off = self._unfinished | frozenset(self._put_off.values()), {}
        people = await self.people(late) if late else {}
        if not people:
            return False
        if not self.hours.waits and not self._may_go(self.hours, people):
            until = min(map(self.hours.opens_at, people))
            self.halt.pull(StopCause.WINDOW, _closed(self.hours, people), until=until)
        await self._wait(self.hours, people)
        return not self.halt.is_pulled

    def take_put_off(self) -> frozenset[DeliveryKey]:
        """Return the deliveries of this round that were not in time so far."""
        self._put_off |= {} if self.hours is None else self.hours.take_put_off()
        return frozenset(self._put_off)

    async def all_people(self, *, is_new: bool) -> dict[str, int]:
        """Return how many people without an account are in each set of time zones; all in a new plan."""
        everybody = {BETWEEN.join(zones): count for zones, count in people_by_zones(self.tables).items()}
        return everybody if is_new else await self.people(frozenset(everybody))

    async def people(self, zones: frozenset[str]) -> dict[str, int]:
        """Return how many people without an account are in each of `zones`, those with none left out."""
        counts: dict[str, int] = {}
        for batch in read_phones(self.tables, zones):
            states = await self._states([phone for phone, _ in batch])
            for phone, place in batch:
                if states.get(phone, State.RETRY) is State.RETRY:
                    counts[place] = counts.get(place, 0) + 1
        return counts

    def _parts(self, hours: OpenHours) -> list[_Part]:
        """Divide everybody by whether their window is open, and when that changes."""
        together: dict[tuple[bool, float], set[str]] = {}
        for zones in map(BETWEEN.join, people_by_zones(self.tables)):
            together.setdefault((hours.is_open(zones), hours.changes_at(zones)), set()).add(zones)
        groups = map(frozenset, together.values())
        return [_Part(zones, read_deliveries(self.tables, self.plan, zones)) for zones in groups]

    def _next_part(self, hours: OpenHours, parts: Sequence[_Part]) -> _Part | None:
        """Return whose turn it is: of those whose window is open, whose window closes first."""
        is_over = self.is_over()
        open_ones = [part for part in parts if is_over or any(map(hours.is_open, part.zones))]
        return min(open_ones, key=lambda part: min(map(hours.changes_at, part.zones)), default=None)

    async def _open_ones(self, batch: Sequence[Delivery], but: frozenset[DeliveryKey]) -> list[Delivery]:
        """Return the deliveries of a batch that have no account yet: others were sent by an earlier run.

        Which of those have reached a cap is asked, and known to `reached`.
        """
        states = await self._states([delivery.key.phone for delivery in batch])
        is_open = [each for each in batch if states.get(each.key.phone, State.RETRY) is State.RETRY]
        keys = [each.key for each in is_open]
        await self.ledger.call(partial(self.reached.ask, keys=keys, now=self.clock.now()))
        return [each for each in is_open if each.key not in but] if but else is_open

    async def _states(self, phones: Sequence[str]) -> dict[str, State]:
        return await self.ledger.call(partial(_states, plan=self.plan, phones=phones))

    def _may_go(self, hours: OpenHours, people: Iterable[str]) -> bool:
        return self.is_over() or any(map(hours.is_open, people))

    async def _wait(self, hours: OpenHours, people: dict[str, int]) -> None:
        """Wait until a window of those people is open, or the run is stopped; say so, and until when."""
        said = None
        while not self.halt.is_pulled and not self._may_go(hours, people):
            seconds = min(map(hours.opens_in, people))
            until = self.clock.now() + seconds
            if said is None or abs(until - said) > LOOK_AGAIN:
                said = until
                self.on_pause(Pause(cause=PauseCause.WINDOW, until=until, detail=_closed(hours, people)))
            await self.halt.or_until(self.clock.sleep(min(LOOK_AGAIN, seconds)))


def _states(ledger: LedgerReader, *, plan: Plan, phones: Sequence[str]) -> dict[str, State]:
    return ledger.states(plan.campaign, plan.occurrence, phones)


def _closed(hours: OpenHours, people: dict[str, int]) -> str:
    """Say who waits, and when the next window opens."""
    first = min(people, key=hours.opens_in)
    zone = first.split(BETWEEN)[0]
    opens = in_zone(datetime.fromtimestamp(hours.opens_at(first), timezone.utc), zone)
    count = sum(people.values())
    left = f"{count:,} {'person' if count == 1 else 'people'}"
    closed = f"the window {hours.window} is closed for all who are left, {left}"
    return f"{closed}; it opens {opens:%Y-%m-%d %H:%M} {zone}"
