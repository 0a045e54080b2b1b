"""A simulated world: real applies on a real ledger, on virtual time, with whatever can go wrong by one seed.

`live(seed)` lets campaigns be applied until every delivery has its account, with kills between any two steps,
frozen processes, rivals, storms, full disks, opt-outs, stops and clocks that jump; it returns the world, of
which promises.py asks what it kept.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

from runner.applying import Report
from runner.campaign import Canary, Limit
from runner.delivery import Delivery, State
from runner.errors import LedgerError
from runner.halting import StopCause
from runner.ledger import open_ledger
from runner.ledger.interface import STALE_AFTER, Holder, Ledger
from runner.plan import Plan, sealed
from tests.simulation.door import Door
from tests.simulation.hours import drawn_hours, with_hours
from tests.simulation.mishaps import START, Mishaps, drawn, with_outage, with_stop
from tests.simulation.process import Killed, Process
from tests.test_checking import PLANNED
from tests.test_recipients import row, table
from tests.virtual_time import run_virtually

#: After so many applies of one plan a world that has not come to its end is itself broken.
ROUNDS = 40
#: In this share of worlds the provider goes down while many people wait, or a person says stop.
OUTAGES = 0.03
PEOPLE_OF_AN_OUTAGE = 100
STOPS = 0.15
#: In this share of the worlds without frozen processes, wrong clocks and opt-outs, a canary goes ahead.
CANARIES = 0.3
CANARY = Canary(size=3, wait=timedelta(seconds=90), max_failed=Limit(share=1.0))


class World:
    """One seed's world; an `undisturbed` one has no mishaps, and the same fates.

    With a number of `people` it is a calm day: for size. Then two `priorities` are two campaigns.
    """

    #: Seconds since its life began: the clock of its loop, asked too often to be looked for each time.
    elapsed: Callable[[], float]

    def __init__(
        self,
        seed: int,
        folder: Path,
        *,
        people: int | None = None,
        undisturbed: bool = False,
        priorities: tuple[int, ...] = (1,),
    ) -> None:
        chance = random.Random(seed)
        self.seed = seed
        self.folder = folder
        self.people = people or chance.choice([1, 2, 5, 12, 25])
        self.max_in_flight = chance.choice([1, 3, 8, 16]) if people is None else 64
        events = random.Random(f"{seed}/events")
        outage = people is None and events.random() < OUTAGES
        if outage:
            self.people, self.max_in_flight = PEOPLE_OF_AN_OUTAGE, events.choice([1, 3, 8])
        self.commit_seconds = chance.choice([0.0005, 0.002, 0.004]) if people is None else 0.0
        mishaps = _mishaps(chance, events, self.people, outage=outage)
        is_plain = not (mishaps.freezes or mishaps.jump[1] or mishaps.opt_out[1])
        self.canary = CANARY if is_plain and events.random() < CANARIES else None
        is_busy = outage or self.canary is not None or people is not None
        self.zoned = None if is_busy else drawn_hours(seed, self.people)
        mishaps = with_hours(mishaps, self.zoned)
        #: When this world begins.
        self.start = START + (self.zoned.lag if self.zoned else 0.0)
        #: By how much the clock of each process was wrong when it began.
        self.began_wrong: dict[int, float] = {}
        second = chance.random() < 0.2 and not outage
        #: On one machine all see which processes run; of several, the clocks are those of one database.
        self.is_one_machine = chance.random() < 0.6
        self.mishaps = Mishaps() if undisturbed else mishaps
        if not self.is_one_machine:
            self.mishaps.jump = (0.0, 0.0)
        self.door = Door(
            seed, self.now, chance.uniform(0.02, 1.5), self.mishaps.storms, calm=people is not None
        )
        self.plans = [self._plan("promo", 0, priorities[0])]
        self.rows = {"promo": self._drawn_rows(0)}
        if (second and people is None) or len(priorities) > 1:
            self.plans.append(self._plan("second", 1000, priorities[-1]))
            self.rows["second"] = self._drawn_rows(1000)
        self.tables = {campaign: self._table(campaign, rows) for campaign, rows in self.rows.items()}
        self.steps = self.processes = 0
        self.running: set[int] = set()
        self.may_freeze = bool(self.mishaps.freezes)
        self.excused: set[str] = set()
        self.most_left_open = self.sent_again = 0
        self.opted_out_after, self.opted_out = self.mishaps.opt_out
        #: What a stop found: when it stood (true time), and what was under way then.
        self.stopped_from = self.stopped_until = 0.0
        self.stopped, self.under_way = list[str](), set[str]()
        self.reports: list[Report] = []
        #: Where the deliveries of each campaign stand when all is over.
        self.ended: dict[str, dict[str, State]] = {}

    @property
    def ledger_file(self) -> Path:
        """Where the ledger is."""
        return self.folder / "ledger.db"

    def is_running(self, holder: Holder) -> bool:
        """Tell whether a process still runs, as its machine knows."""
        return holder.pid in self.running

    def now(self) -> float:
        """Return the true time."""
        return self.start + self.elapsed()

    def clock_error(self) -> float:
        """Return by how much every machine's clock is wrong now."""
        at, seconds = self.mishaps.jump
        return seconds if self.now() - self.start >= at else 0.0

    def gate(self, delivery: Delivery) -> str | None:
        """Bar whoever has opted out by now."""
        at, phones = self.mishaps.opt_out
        out = delivery.key.phone in phones and self.now() - self.start >= at
        return "suppressed" if out else None

    def may_be_barred(self, phone: str) -> bool:
        """Tell whether the gate, or the deadline, may keep this person from getting the message."""
        return phone in self.opted_out or (self.zoned is not None and self.zoned.deadline is not None)

    def note_in_flight(self, plan: Plan, ledger: Ledger) -> None:
        """Note whose account a kill leaves open: these few may end as unknown."""
        states = self.states(plan, ledger)
        left_open = {phone for phone, state in states.items() if state is State.INTENT}
        self.most_left_open = max(self.most_left_open, len(left_open))
        self.excused |= left_open

    async def live(self) -> None:
        """Apply every plan until it is done; then once more, which has to change nothing."""
        loop = asyncio.get_running_loop()
        self.elapsed = loop.time
        loop.set_exception_handler(_ignore_the_dead)
        with closing(open_ledger("sqlite:///ledger.db", root=self.folder)) as ledger:
            await self._come_to_the_end(ledger)
            arrived = len(self.door.arrivals)
            self.mishaps = Mishaps()
            for plan in self.plans:
                await Process(self, plan).apply()
            self.sent_again = len(self.door.arrivals) - arrived
            await _end_everything()
            self.ended = {plan.campaign: self.states(plan, ledger) for plan in self.plans}

    async def _come_to_the_end(self, ledger: Ledger) -> None:
        chance = random.Random(f"{self.seed}/rounds")
        person = asyncio.ensure_future(self._stop_and_resume(ledger))
        for _ in range(ROUNDS):
            await asyncio.gather(*(self._round(plan) for plan in self.plans))
            if self._is_done(ledger):
                break
            await asyncio.sleep(chance.uniform(1.1 if self.is_one_machine else STALE_AFTER + 5, 300))
        await person

    def _is_done(self, ledger: Ledger) -> bool:
        """Tell whether every delivery of every plan has its account."""
        stand = [self.states(plan, ledger) for plan in self.plans]
        return all(
            len(states) == plan.to_send and all(state.is_final for state in states.values())
            for plan, states in zip(self.plans, stand, strict=True)
        )

    def states(self, plan: Plan, ledger: Ledger) -> dict[str, State]:
        """Return where the plan's deliveries stand."""
        phones = [row["phone"] for row in self.rows[plan.campaign]]
        return ledger.states(plan.campaign, plan.occurrence, phones)

    async def _round(self, plan: Plan) -> None:
        applies = [self._apply(plan, 0.0)]
        if self.mishaps.rival_after is not None:
            applies.append(self._apply(plan, self.mishaps.rival_after))
        self.reports += [report for report in await asyncio.gather(*applies) if report is not None]

    async def _apply(self, plan: Plan, after: float) -> Report | None:
        await asyncio.sleep(after)
        process = Process(self, plan)
        loop = asyncio.get_running_loop()
        for seconds in self.mishaps.stops:
            loop.call_later(seconds, process.halt.pull, StopCause.INTERRUPTED, "stopped")
        self.mishaps.stops = []
        return await process.apply()

    async def _stop_and_resume(self, ledger: Ledger) -> None:
        """Be the person who stops, and later lifts the stop."""
        if self.mishaps.stopped is None:
            return
        at, seconds, campaign = self.mishaps.stopped
        await asyncio.sleep(at)
        ledger.stop(campaign, by="a person", note="", now=self.now())
        self.stopped_from = self.now()
        self.stopped = [plan.campaign for plan in self.plans if campaign in {None, plan.campaign}]
        self.under_way = {
            f"{plan.campaign}/{plan.occurrence}/{phone}"
            for plan in self.plans
            for phone, state in self.states(plan, ledger).items()
            if state in {State.INTENT, State.UNKNOWN}
        }
        await asyncio.sleep(seconds)
        self.stopped_until = self.now()
        ledger.resume(campaign, by="a person", now=self.now())

    def tags(self, plan: Plan) -> list[str]:
        """Return the plan's deliveries, in its order."""
        return [f"{plan.campaign}/{plan.occurrence}/{row['phone']}" for row in self.rows[plan.campaign]]

    def _drawn_rows(self, first: int) -> list[dict[str, Any]]:
        zones = self.zoned.zones if self.zoned else (None,) * self.people
        return [row(first + number, zones=zones[number]) for number in range(self.people)]

    def _plan(self, campaign: str, first: int, priority: int) -> Plan:
        start = datetime.fromtimestamp(self.start, timezone.utc)
        plan = replace(PLANNED, campaign=campaign, to_send=self.people, rows=self.people, already_sent=0)
        return sealed(
            replace(
                plan,
                rejected={},
                priority=priority,
                due_at=None,
                window=str(self.zoned.window) if self.zoned else None,
                created_at=start - timedelta(hours=2),
                expires_at=start + timedelta(days=30),
                files={"recipients.parquet": f"{self.seed} {first}"},
            )
        )

    def _table(self, campaign: str, rows: list[dict[str, Any]]) -> Path:
        folder = self.folder / campaign
        folder.mkdir()
        return table(folder, rows)


def _mishaps(chance: random.Random, events: random.Random, people: int, *, outage: bool) -> Mishaps:
    mishaps = drawn(chance, people)
    if outage:
        mishaps = with_outage(events, mishaps, people)
    return with_stop(events, mishaps, people) if events.random() < STOPS else mishaps


def _ignore_the_dead(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    """Let what a dead process still wanted go by; show everything else."""
    if not isinstance(context.get("exception"), (Killed, LedgerError)):
        loop.default_exception_handler(context)


async def _end_everything() -> None:
    """End what is still under way: answers to processes that are long dead."""
    others = asyncio.all_tasks() - {asyncio.current_task()}
    for task in others:
        task.cancel()
    await asyncio.gather(*others, return_exceptions=True)


def live(
    seed: int,
    folder: Path,
    *,
    people: int | None = None,
    undisturbed: bool = False,
    priorities: tuple[int, ...] = (1,),
) -> World:
    """Return the world of `seed` after its life, in an empty `folder`."""
    world = World(seed, folder, people=people, undisturbed=undisturbed, priorities=priorities)
    run_virtually(world.live())
    return world
