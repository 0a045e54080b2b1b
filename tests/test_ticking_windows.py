"""Ticks of a campaign with a window: each person gets it in their own hours, once, by whichever tick."""

from __future__ import annotations

import asyncio
from collections import Counter
from contextlib import ExitStack, closing, contextmanager
from dataclasses import replace
from datetime import datetime, time, timedelta, timezone
from zoneinfo import ZoneInfo

import pytest

from runner.applying import Apply, apply_plan
from runner.delivery import EXPIRED, State
from runner.errors import ExitCode, Refusal
from runner.halting import Halt
from runner.ledger import open_ledger
from runner.ledger.interface import Holder
from runner.ledger.journal import ledger_thread
from runner.ledger.liveness import this_process
from runner.open_hours import OpenHours
from runner.plan import sealed
from runner.plan_times import times_of
from runner.reports.run_document import error_document, report_document
from runner.schedule import OnWindowClose, Schedule
from runner.sending import Limits
from runner.ticking import Outcome, Standing, Tick, tick_campaign
from runner.window import Window
from tests.test_applying import ACCEPTED, URL, Watcher
from tests.test_applying_windows import Clock
from tests.test_checking import CAMPAIGN, PLANNED, TODAY
from tests.test_recipients import row, table

#: A quarter to three in the night of Jakarta; a quarter to five in Tokyo; a quarter to three in the
#: afternoon of New York, the day before.
START = datetime(2027, 1, 14, 19, 45, tzinfo=timezone.utc)
JAKARTA, TOKYO, NEW_YORK, LONDON = "Asia/Jakarta", "Asia/Tokyo", "America/New_York", "Europe/London"
DAY = Window(opens=time(8), closes=time(20))
NIGHTLY = Schedule(cron="0 3 * * *", zone=JAKARTA, window=DAY)
ONE_NIGHT = replace(NIGHTLY, cron="0 3 15 1 *")
ADA = Holder(owner="ada", host="here", pid=1, process_started="b:1:1")


@pytest.fixture
def world_of(tmp_path):
    """Return a function that makes a world."""
    with ExitStack() as stack:
        yield lambda *zones, **options: stack.enter_context(closing(World(tmp_path, *zones, **options)))


class World:
    """A campaign whose people are in zones, ticked by a clock; what sends is the real thing."""

    def __init__(self, root, *zones, schedule=NIGHTLY, seconds=0.0, waits=False):
        on_close = OnWindowClose.WAIT if waits else OnWindowClose.STOP
        self.campaign = replace(CAMPAIGN, schedule=replace(schedule, on_window_close=on_close))
        self.root, self.seconds = root, seconds
        self.people = [row(number, zones=each) for number, each in enumerate(zones)]
        self.clock = Clock(START)
        self.is_approved, self.loses_plans, self.definition = True, False, "d1"
        self.plans, self.planned, self.applied, self.told, self.sent = {}, 0, [], [], []
        self.opened = open_ledger(URL, root=root)

    @property
    def now(self):
        return datetime.fromtimestamp(self.clock.now(), timezone.utc)

    @contextmanager
    def ledger(self):
        yield self.opened

    def close(self):
        self.opened.close()

    def tick(self, **options):
        if self.loses_plans:
            self.plans = {}
        work = {"campaign": self.campaign, "desk": self, "ledger": self.ledger, "holder": ADA}
        return tick_campaign(Tick(**work, now=lambda: self.now, **options))

    def ticks(self, hours, every=5):
        """Tick for some hours; return each outcome that differs from the one before, by its local time."""
        seen, last, until = [], None, self.now + timedelta(hours=hours)
        while self.now < until:
            at = f"{self.now.astimezone(ZoneInfo(JAKARTA)):%d %H:%M}"
            for result in self.tick():
                assert result.exit_code in {ExitCode.DONE, ExitCode.UNSETTLED}
                said = result.outcome.value
                seen += [(at, said)] if said != last else []
                last = said
            self.clock.time = max(self.clock.time, self.clock.time - self.clock.time % 60 + 60 * every)
        return seen

    # What a desk does

    def standing(self):
        return Standing(digest=self.definition, is_approved=self.is_approved, why="so it is")

    def plan(self, firing):
        self.planned += 1
        folder = self.root / f"plan-{self.planned}"
        folder.mkdir()
        with self.ledger() as ledger:
            known = ledger.states("promo", firing.occurrence, [each["phone"] for each in self.people])
        left = [each for each in self.people if known.get(each["phone"], State.RETRY) is State.RETRY]
        zones = Counter(tuple(each["zones"].split(",")) for each in left)
        schedule = self.campaign.schedule
        times = times_of(schedule, zones, now=self.now, due_at=firing.due_at, rate=1.0)
        plan = replace(
            PLANNED,
            occurrence=firing.occurrence,
            due_at=firing.due_at,
            to_send=len(left),
            rows=len(left),
            already_sent=0,
            rejected={},
            window=str(schedule.window),
            zone=JAKARTA,
            generation=self.planned,
            starts_at=times.starts_at,
            ends_at=times.ends_at,
            deadline=times.deadline,
            created_at=self.now,
            expires_at=times.starts_at + timedelta(hours=72),
        )
        plan = sealed(plan)
        table(folder, left)
        self.plans[plan.digest] = (plan, folder)
        return plan

    def kept_plan(self, digest):
        plan, _ = self.plans.get(digest, (None, None))
        return plan

    def apply(self, plan):
        self.applied.append(self.now)
        try:
            report = asyncio.run(self._apply(plan, self.plans[plan.digest][1]))
        except Refusal as error:
            return error.exit_code, {"run": None, **error_document(error)}
        return report.exit_code, report_document(report)

    async def _apply(self, plan, folder):
        clocks = {"steady": self.clock.now, "wall": self.clock.now}
        waits = self.campaign.schedule.on_window_close is OnWindowClose.WAIT
        deadline = plan.deadline.timestamp() if plan.deadline else None
        async with ledger_thread(URL, self.root) as ledger:
            apply = Apply(
                plan=plan,
                tables=folder,
                ledger=ledger,
                carrier=self,
                clock=self.clock,
                holder=this_process("tester"),
                halt=Halt(),
                limits=Limits(max_in_flight=1, deadline=deadline),
                watcher=Watcher(),
                today=self._today,
                gate=lambda _: None,
                rate=None,
                hours=OpenHours(DAY, waits=waits, **clocks),
            )
            return await apply_plan(apply)

    async def _today(self, moved):
        return replace(TODAY, now=self.now, campaign=self.campaign, moved=moved)

    async def send(self, phone, message, tag, on_departure):
        on_departure(self.clock.now())
        zones = next(each["zones"] for each in self.people if each["phone"] == phone)
        self.sent.append((phone, zones, self.now))
        self.clock.time += self.seconds
        return ACCEPTED

    def tell_planned(self, plan):
        pass

    def tell_waiting(self, record, plan, standing):
        self.told.append("waiting")

    def tell_missed(self, missed):
        self.told.append("missed")

    def tell_failed(self, record, error):
        self.told.append("failed")

    # What came of it

    def got_it(self, zone):
        """Return the local times in a zone at which its people got their message."""
        return [f"{at.astimezone(ZoneInfo(zone)):%d %H:%M}" for _, zones, at in self.sent if zones == zone]

    def check(self):
        """Nobody got it twice, and nobody outside their own hours."""
        phones = [phone for phone, _, _ in self.sent]
        assert len(phones) == len(set(phones))
        for _, zones, at in self.sent:
            assert all(DAY.holds(at.astimezone(ZoneInfo(zone)).time()) for zone in zones.split(","))

    def states(self):
        with self.ledger() as ledger:
            return [each.state.value for each in ledger.last_firings("promo", 9)]


@pytest.mark.parametrize("loses_plans", [False, True])
def test_each_gets_it_in_their_own_hours_by_the_tick_that_is_on_then(world_of, loses_plans):
    world = world_of(NEW_YORK, TOKYO, JAKARTA, LONDON, NEW_YORK, f"{JAKARTA},{TOKYO}")
    world.loses_plans = loses_plans
    seen = world.ticks(24)
    # Nobody waits for the campaign's own zone: it is afternoon in New York at 03:00 of Jakarta.
    assert seen == [("15 03:00", "paused"), ("15 15:00", "finished")]
    assert world.got_it(NEW_YORK) == ["14 15:00"] * 2
    assert world.got_it(TOKYO) == ["15 08:00"]
    assert world.got_it(JAKARTA) == world.got_it(f"{JAKARTA},{TOKYO}".split(",")[0]) == ["15 08:00"]
    assert world.got_it(LONDON) == ["15 08:00"]
    world.check()
    # One apply for each opening, and one plan for each apply where the plan file is gone.
    assert len(world.applied) == 4
    assert world.planned == (4 if loses_plans else 1)
    assert world.told == []


@pytest.mark.parametrize("loses_plans", [False, True])
def test_while_nobodys_window_is_open_it_is_planned_once_and_rests(world_of, loses_plans):
    world = world_of(JAKARTA, TOKYO)
    world.loses_plans = loses_plans
    world.ticks(0.5)
    (result,) = world.tick()
    assert (result.outcome, result.exit_code, result.run) == (Outcome.PAUSED, ExitCode.DONE, None)
    assert result.detail == "outside everybody's window, until 2027-01-15 06:00 Asia/Jakarta"
    assert (world.states(), world.planned, world.applied) == (["due"], 1, [])
    assert world.ticks(6) == [("15 03:15", "paused"), ("15 08:00", "finished")]
    assert (world.got_it(TOKYO), world.got_it(JAKARTA)) == (["15 08:00"], ["15 08:00"])
    assert len(world.applied) == 2
    assert world.planned == (3 if loses_plans else 1)


@pytest.mark.parametrize("loses_plans", [False, True])
def test_who_is_left_when_the_window_closes_goes_the_next_day(world_of, loses_plans):
    # An hour a message, from 08:00 in Jakarta: twelve a day.
    world = world_of(*[JAKARTA] * 15, schedule=ONE_NIGHT, seconds=3600)
    world.loses_plans = loses_plans
    seen = world.ticks(40)
    assert seen == [("15 03:00", "paused"), ("16 08:00", "finished")]
    days = Counter(each.partition(" ")[0] for each in world.got_it(JAKARTA))
    assert days == {"15": 12, "16": 3}
    world.check()
    assert world.told == []


def test_a_run_that_ends_with_its_windows_is_no_error_and_says_until_when(world_of):
    world = world_of(NEW_YORK, TOKYO)
    world.tick()
    world.clock.time += 15 * 60
    (result,) = world.tick()
    assert (result.outcome, result.exit_code) == (Outcome.PAUSED, ExitCode.DONE)
    assert (result.run["exit_code"], result.run["stop"]["cause"]) == (ExitCode.STOPPED, "window")
    assert result.run["next_at"] == "2027-01-14T23:00:00Z"
    assert datetime.fromtimestamp(result.record.opens_at, timezone.utc).hour == 23
    assert world.states() == ["started"]


def test_a_firing_killed_in_the_window_and_found_after_it_goes_on_at_the_next_opening(world_of):
    world = world_of(JAKARTA, JAKARTA, schedule=ONE_NIGHT)
    world.ticks(4)
    send, world.clock.time = world.send, datetime(2027, 1, 15, 1, tzinfo=timezone.utc).timestamp()

    async def killed(*arguments):
        raise KeyboardInterrupt

    world.send = killed
    with pytest.raises(KeyboardInterrupt):
        world.tick()
    world.send = send
    world.clock.time += 13 * 3600
    (result,) = world.tick()
    assert (result.outcome, result.exit_code) == (Outcome.PAUSED, ExitCode.DONE)
    assert result.run["error"]["message"].endswith("closed for everybody")
    assert result.detail == "outside everybody's window, until 2027-01-16 08:00 Asia/Jakarta"
    assert (world.planned, world.told) == (1, [])
    world.ticks(11.5)
    # Of the first one nobody knows what became of it.
    assert world.got_it(JAKARTA) == ["16 08:00"]


def test_one_that_nobody_looked_for_from_the_opening_until_past_its_grace_is_missed(world_of):
    world = world_of(JAKARTA)
    world.ticks(1)
    world.clock.time = datetime(2027, 1, 15, 2, 1, tzinfo=timezone.utc).timestamp()
    (result,) = world.tick()
    assert (result.outcome, world.told, world.sent) == (Outcome.MISSED, ["missed"], [])
    assert result.detail == (
        "61 minutes late (schedule.missed is run_once); it waited: "
        "outside everybody's window, until 2027-01-15 08:00 Asia/Jakarta"
    )


def test_an_approval_may_come_until_the_first_window_opens_and_as_long_as_the_grace_after(world_of):
    world = world_of(JAKARTA)
    world.is_approved = False
    assert world.ticks(5.9) == [("15 03:00", "waiting")]
    world.is_approved = True
    assert world.ticks(1) == [("15 08:40", "finished")]
    assert (world.planned, world.told) == (1, ["waiting"])


def test_approved_before_the_opening_it_rests_until_then(world_of):
    world = world_of(JAKARTA)
    world.is_approved = False
    world.ticks(2)
    world.is_approved = True
    assert world.ticks(4) == [("15 04:45", "paused"), ("15 08:00", "finished")]
    assert world.planned == 1


def test_one_edited_after_the_opening_stays_as_late_as_it_was(world_of):
    world = world_of(JAKARTA)
    world.is_approved = False
    world.ticks(5.5)
    world.definition, world.is_approved = "d2", False
    assert world.ticks(0.5) == [("15 08:15", "waiting")]
    world.is_approved = True
    assert world.ticks(0.1) == [("15 08:45", "finished")]


def test_with_wait_the_apply_waits_by_itself(world_of):
    world = world_of(TOKYO, JAKARTA, waits=True)
    assert world.ticks(3) == [("15 03:00", "finished")]
    assert (world.got_it(TOKYO), world.got_it(JAKARTA)) == (["15 08:00"], ["15 08:00"])


def test_a_rehearsal_does_not_wait_for_the_window(world_of):
    world = world_of(JAKARTA)
    world.apply = lambda plan: (ExitCode.DONE, {"run": 1, "next_at": None})
    world.tick(rehearsal=True)
    world.clock.time += 15 * 60
    assert [result.outcome for result in world.tick(rehearsal=True)] == [Outcome.FINISHED]


def test_what_becomes_stale_while_it_rests_is_accounted_for_at_the_opening(world_of):
    schedule = replace(NIGHTLY, expire_after=timedelta(hours=2))
    world = world_of(JAKARTA, schedule=schedule)
    assert world.ticks(6)[-1] == ("15 08:00", "finished")
    assert world.sent == []
    with world.ledger() as ledger:
        (record,) = ledger.last_firings("promo", 9)
        assert ledger.counts(record.plan).refused_by_rule == {EXPIRED: 1}
