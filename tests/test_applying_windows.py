"""runner.applying and runner.pending with windows: nothing leaves outside, who waits goes later."""

import asyncio
from dataclasses import replace
from datetime import datetime, time, timedelta, timezone
from zoneinfo import ZoneInfo

import pytest

from runner.applying import Apply, apply_plan
from runner.campaign import Canary, Limit
from runner.delivery import Answer, Outcome, State
from runner.errors import ExitCode, Refusal
from runner.halting import Halt, PauseCause, StopCause
from runner.heartbeat import HEARTBEAT
from runner.ledger import open_ledger
from runner.ledger.journal import ledger_thread
from runner.ledger.liveness import this_process
from runner.open_hours import OpenHours
from runner.plan import sealed
from runner.schedule import OnWindowClose, Schedule
from runner.sending import Limits
from runner.window import Window
from tests.test_applying import ACCEPTED, URL, Watcher
from tests.test_checking import CAMPAIGN, PLANNED, TODAY
from tests.test_recipients import row, table

DAY = Window(opens=time(8), closes=time(20))
#: 15:00 in Jakarta, 17:00 in Jayapura; midnight in Los Angeles.
START = datetime(2027, 1, 15, 8, tzinfo=timezone.utc)
JAKARTA, JAYAPURA, LOS_ANGELES = "Asia/Jakarta", "Asia/Jayapura", "America/Los_Angeles"
BUSY = Answer(outcome=Outcome.RETRY, rule="busy")


class Clock:
    """A clock whose waits pass at once, and in which they are over then."""

    def __init__(self, start):
        self.time = start.timestamp()

    def now(self):
        return self.time

    def steady(self):
        return self.time

    async def sleep(self, seconds):
        if seconds == HEARTBEAT:
            await asyncio.sleep(seconds)
        self.time += seconds
        await asyncio.sleep(0)


class World:
    """A plan of people in zones, who get their messages one after another, `seconds` apart."""

    def __init__(self, folder, zones, *, seconds=0.0, start=START, window=DAY, deadline=None):
        self.rows = [row(number, zones=each) for number, each in enumerate(zones)]
        self.folder = table(folder, self.rows)
        self.clock = Clock(start)
        self.window = window
        self.seconds = seconds
        self.sent = []
        self.answers = lambda phone: ACCEPTED
        self.watcher = Watcher()
        plan = replace(PLANNED, to_send=len(zones), rows=len(zones), already_sent=0, rejected={})
        times = {"created_at": start, "expires_at": start + timedelta(days=9), "deadline": deadline}
        times["window"] = str(window)
        self.plan = sealed(replace(plan, **times))

    async def send(self, phone, message, tag, on_departure):
        on_departure(self.clock.now())
        zones = next(row["zones"] for row in self.rows if row["phone"] == phone)
        self.sent.append((zones, datetime.fromtimestamp(self.clock.now(), ZoneInfo(zones.split(",")[0]))))
        self.clock.time += self.seconds
        return self.answers(phone)

    async def today(self, moved):
        on_close = OnWindowClose.WAIT if self.waits else OnWindowClose.STOP
        campaign = replace(CAMPAIGN, schedule=Schedule(window=self.window, on_window_close=on_close))
        return replace(TODAY, now=datetime.fromtimestamp(self.clock.now(), timezone.utc), campaign=campaign)

    def apply(self, *, waits=False, gate=lambda _: None, rehearsal=False, **limits):
        self.waits = waits
        deadline = self.plan.deadline.timestamp() if self.plan.deadline else None
        clocks = {"steady": self.clock.now, "wall": self.clock.now}

        async def run():
            self.halt = Halt()
            async with ledger_thread(URL, self.folder) as ledger:
                return await apply_plan(
                    Apply(
                        plan=self.plan,
                        tables=self.folder,
                        ledger=ledger,
                        carrier=self,
                        clock=self.clock,
                        holder=this_process("tester"),
                        halt=self.halt,
                        limits=Limits(max_in_flight=1, deadline=deadline, **limits),
                        watcher=self.watcher,
                        today=self.today,
                        gate=gate,
                        rate=None,
                        hours=None if rehearsal else OpenHours(self.window, waits=waits, **clocks),
                        rehearsal=rehearsal,
                    )
                )

        return asyncio.run(run())

    def order(self):
        return [zones for zones, _ in self.sent]


def all_in_window(world):
    return all(world.window.holds(local.time()) for _, local in world.sent)


def test_whose_window_is_open_go_and_first_those_whose_window_closes_first(tmp_path):
    world = World(tmp_path, [LOS_ANGELES, JAKARTA, JAYAPURA, JAKARTA, JAYAPURA])
    report = world.apply()
    assert world.order() == [JAYAPURA, JAYAPURA, JAKARTA, JAKARTA]
    assert (report.exit_code, report.remaining) == (ExitCode.STOPPED, 1)
    assert report.stop.cause is StopCause.WINDOW
    assert report.stop.until == datetime(2027, 1, 15, 8, tzinfo=ZoneInfo(LOS_ANGELES)).timestamp()
    assert report.stop.detail == (
        "the window 08:00-20:00 is closed for all who are left, 1 person; "
        "it opens 2027-01-15 08:00 America/Los_Angeles"
    )


def test_a_stopped_apply_goes_on_when_it_is_called_again_in_the_window(tmp_path):
    world = World(tmp_path, [LOS_ANGELES, JAKARTA])
    world.apply()
    with pytest.raises(Refusal, match="closed for everybody") as refused:
        world.apply()
    assert refused.value.hint.startswith("apply again from 2027-01-15 08:00 America/Los_Angeles")
    assert refused.value.holds_until == datetime(2027, 1, 15, 8, tzinfo=ZoneInfo(LOS_ANGELES))
    world.clock.time += 9 * 3600
    assert world.apply().exit_code is ExitCode.DONE
    assert world.order() == [JAKARTA, LOS_ANGELES]
    assert all_in_window(world)


def test_an_apply_that_waits_pauses_until_the_next_window_opens_and_says_until_when(tmp_path):
    world = World(tmp_path, [LOS_ANGELES, JAKARTA])
    report = world.apply(waits=True)
    assert report.exit_code is ExitCode.DONE
    (pause,) = world.watcher.pauses
    assert pause.cause is PauseCause.WINDOW
    assert datetime.fromtimestamp(pause.until, ZoneInfo(LOS_ANGELES)).hour == 8
    assert world.order() == [JAKARTA, LOS_ANGELES]
    assert all_in_window(world)


def test_an_apply_that_waits_may_begin_when_everybodys_window_is_closed(tmp_path):
    world = World(tmp_path, [LOS_ANGELES] * 3)
    assert world.apply(waits=True).exit_code is ExitCode.DONE
    assert {(local.hour, local.minute) for _, local in world.sent} == {(8, 0)}


def test_who_is_not_done_when_the_window_closes_goes_the_next_day(tmp_path):
    # Five hours until it closes, an hour a message.
    world = World(tmp_path, [JAKARTA] * 20, seconds=3600)
    assert world.apply(waits=True).exit_code is ExitCode.DONE
    assert len(world.sent) == 20
    assert [local.hour for _, local in world.sent[:6]] == [15, 16, 17, 18, 19, 8]
    assert [local.day for _, local in world.sent] == [15] * 5 + [16] * 12 + [17] * 3
    assert all_in_window(world)


def test_who_is_in_several_zones_waits_for_all(tmp_path):
    both = f"{JAKARTA},{LOS_ANGELES}"
    world = World(tmp_path, [both])
    assert world.apply(waits=True).exit_code is ExitCode.DONE
    ((_, local),) = world.sent
    # 08:00 the next day in Jakarta is 17:00 in Los Angeles.
    assert (local.day, local.hour) == (16, 8)


def test_a_window_over_midnight_is_one_window(tmp_path):
    world = World(tmp_path, [JAKARTA] * 9, seconds=3600, window=Window(opens=time(22), closes=time(2)))
    assert world.apply(waits=True).exit_code is ExitCode.DONE
    assert [local.hour for _, local in world.sent] == [22, 23, 0, 1, 22, 23, 0, 1, 22]


def test_what_the_provider_refuses_for_now_is_not_waited_for(tmp_path):
    world = World(tmp_path, [JAKARTA, JAYAPURA])
    world.answers = lambda phone: BUSY
    report = world.apply(waits=True, attempts=2)
    assert (report.remaining, report.stop, len(world.sent)) == (2, None, 4)
    assert world.watcher.pauses == []


def test_a_run_is_stopped_while_it_waits(tmp_path):
    world = World(tmp_path, [LOS_ANGELES])
    world.watcher.paused = lambda pause: world.halt.pull(StopCause.INTERRUPTED, "SIGTERM received")
    assert world.apply(waits=True).exit_code is ExitCode.INTERRUPTED
    assert world.sent == []


def test_a_rehearsal_waits_for_no_window(tmp_path):
    world = World(tmp_path, [LOS_ANGELES, JAKARTA])
    assert world.apply(rehearsal=True).exit_code is ExitCode.DONE


def test_a_canary_takes_only_people_whose_window_is_open_and_waits_for_more_of_them(tmp_path):
    world = World(tmp_path, [LOS_ANGELES] * 4 + [JAKARTA] * 2)
    canary = Canary(size=3, wait=timedelta(minutes=5), max_failed=Limit(share=0.5))
    assert world.apply(waits=True, canary=canary).exit_code is ExitCode.DONE
    assert world.order() == [JAKARTA] * 2 + [LOS_ANGELES] * 4
    assert [pause.cause for pause in world.watcher.pauses] == [PauseCause.WINDOW, PauseCause.CANARY]
    assert all_in_window(world)


def test_a_canary_whose_windows_close_stops_with_the_rest(tmp_path):
    world = World(tmp_path, [LOS_ANGELES] * 4 + [JAKARTA] * 2)
    canary = Canary(size=3, wait=timedelta(minutes=5), max_failed=Limit(share=0.5))
    report = world.apply(canary=canary)
    assert (report.stop.cause, report.remaining) == (StopCause.WINDOW, 4)


# The deadline


def states(world):
    ledger = open_ledger(URL, root=world.folder)
    try:
        return ledger.states("promo", "once", [row["phone"] for row in world.rows])
    finally:
        ledger.close()


def test_whoever_is_not_reached_by_the_deadline_does_not_get_it_and_has_an_account(tmp_path):
    deadline = START + timedelta(hours=6)
    world = World(tmp_path, [LOS_ANGELES, JAKARTA, LOS_ANGELES], deadline=deadline)
    report = world.apply(waits=True, max_failed=Limit(count=0))
    assert world.order() == [JAKARTA]
    assert dict(report.counts.refused_by_rule) == {"expired": 2}
    # What our own gates keep back is no failure.
    assert (report.exit_code, report.remaining, report.stop) == (ExitCode.UNSETTLED, 0, None)
    assert sorted(state.value for state in states(world).values()) == ["accepted", "refused", "refused"]


def test_an_apply_after_the_deadline_sends_nothing_and_closes_every_account(tmp_path):
    world = World(tmp_path, [LOS_ANGELES, JAKARTA], deadline=START + timedelta(hours=1))
    world.clock.time += 3700
    report = world.apply()
    assert (world.sent, report.remaining) == ([], 0)
    assert set(states(world).values()) == {State.REFUSED}
    assert world.apply().exit_code is ExitCode.DONE


def test_the_deadline_holds_without_a_window_too(tmp_path):
    world = World(tmp_path, [JAKARTA] * 4, seconds=3600, deadline=START + timedelta(hours=2))
    report = world.apply(rehearsal=True)
    assert dict(report.counts.refused_by_rule) == {"expired": 2}
