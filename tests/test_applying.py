"""runner.applying: from the lock to the last outcome, with a real ledger; a crash on the way is a pause."""

import asyncio
import os
import socket
import time
from dataclasses import replace
from datetime import datetime, timedelta, timezone

import pytest

from runner.applying import Apply, apply_plan
from runner.campaign import Limit
from runner.delivery import Answer, DeliveryKey, Outcome, State
from runner.errors import ExitCode, LedgerError, Refusal
from runner.ledger import open_ledger
from runner.ledger.interface import Holder, Intent, lock_name
from runner.ledger.journal import ledger_thread
from runner.ledger.liveness import this_process
from runner.plan import sealed
from runner.sending import Halt, Limits, StopCause
from tests.test_checking import PLANNED, TODAY
from tests.test_recipients import row, table

URL = "sqlite:///ledger.db"
NOW = datetime.now(timezone.utc)
GONE = Holder(owner="ada", host=socket.gethostname(), pid=2**22 + 1, process_started="never")

ACCEPTED = Answer(outcome=Outcome.ACCEPTED, rule="accepted", message_id="m")
REFUSED = Answer(outcome=Outcome.REFUSED, rule="refused")
RETRY = Answer(outcome=Outcome.RETRY, rule="busy")
BAD_TOKEN = Answer(outcome=Outcome.RETRY, rule="bad_token", stops=True, detail="the key is not accepted")


def phone(number):
    return row(number)["phone"]


class Clock:
    """The machine's clock, on which no wait lasts."""

    def now(self):
        return time.time()

    def steady(self):
        return time.monotonic()

    async def sleep(self, seconds):
        await asyncio.sleep(min(seconds, 0.001))


class Watcher:
    def __init__(self, confirms=True):
        self.confirms = confirms
        self.seen = []

    def compared(self, comparisons):
        self.seen.append("compared")

    def confirmed(self, tally):
        self.seen.append(("asked", tally.remaining))
        return self.confirms

    def began(self, run, tally):
        self.seen.append(("began", run))

    def happened(self, event, tally):
        self.seen.append(event.answer.outcome)


class World:
    """A plan of `count` people, its ledger, and a carrier that answers as it is told."""

    def __init__(self, folder, count=3):
        self.folder = table(folder, [row(number) for number in range(count)])
        plan = replace(PLANNED, to_send=count, rows=count, already_sent=0, rejected={})
        self.plan = sealed(replace(plan, created_at=NOW, expires_at=NOW + timedelta(days=1)))
        self.answers = lambda phone: ACCEPTED
        self.sent = []
        self.moved = None
        self.watcher = Watcher()
        self.halt = None

    async def send(self, phone, message, tag, on_departure):
        on_departure(time.time())
        self.sent.append(phone)
        answer = self.answers(phone)
        if isinstance(answer, Exception):
            raise answer
        return answer

    async def today(self, moved):
        self.moved = moved
        return replace(TODAY, now=datetime.now(timezone.utc))

    def apply(self, *, limits=None, gate=lambda _: None, holder=None, during=None):
        async def run():
            self.halt = Halt()
            async with ledger_thread(URL, self.folder) as ledger:
                self.ledger = ledger
                return await apply_plan(
                    Apply(
                        plan=self.plan,
                        tables=self.folder,
                        ledger=ledger,
                        carrier=self,
                        clock=Clock(),
                        holder=holder or this_process("tester"),
                        halt=self.halt,
                        limits=limits or Limits(max_in_flight=2),
                        watcher=self.watcher,
                        today=self.today,
                        gate=gate,
                        rate=None,
                    )
                )

        return asyncio.run(run())

    def with_ledger(self, work):
        ledger = open_ledger(URL, root=self.folder)
        try:
            return work(ledger)
        finally:
            ledger.close()

    def states(self):
        phones = [phone(number) for number in range(self.plan.to_send)]
        return self.with_ledger(lambda ledger: ledger.states("promo", "once", phones))

    def last_run(self):
        (occurrence,) = self.with_ledger(lambda ledger: ledger.summary("promo"))
        return occurrence.last_run


@pytest.fixture
def world(tmp_path):
    return World(tmp_path)


def accounts(report):
    counts = report.counts
    return (counts.accepted, counts.refused, counts.unknown, report.remaining)


def killed_in_flight(ledger, plan, number=0, holder=GONE):
    """Leave in the ledger what an apply leaves that was killed while a message was in flight."""
    token = ledger.acquire(lock_name("promo", "once"), holder, time.time())
    ledger.register_plan(
        digest=plan.digest, campaign="promo", occurrence="once", to_send=plan.to_send, created_at=0.0
    )
    run = ledger.begin_run(token, plan.digest, holder, time.time())
    key = DeliveryKey(campaign="promo", occurrence="once", phone=phone(number))
    ledger.commit(token, [Intent(key=key, recipient_id="c", run=run)], [], time.time())
    return token


def test_comparing_asking_and_running_come_in_this_order(world):
    report = world.apply()
    assert world.watcher.seen[:3] == ["compared", ("asked", 3), ("began", 1)]
    assert world.watcher.seen[3:] == [Outcome.ACCEPTED] * 3
    assert accounts(report) == (3, 0, 0, 0)
    assert (report.run, report.stop, report.exit_code) == (1, None, ExitCode.DONE)
    assert world.last_run().exit_code == 0


def test_a_finished_plan_neither_locks_nor_asks_nor_compares(world):
    world.apply()
    world.watcher = Watcher()
    token = world.with_ledger(
        lambda ledger: ledger.acquire(lock_name("promo", "once"), this_process("other"), time.time())
    )
    report = world.apply()
    assert token is not None
    assert world.watcher.seen == []
    assert (report.run, accounts(report)) == (None, (3, 0, 0, 0))


def test_a_person_who_does_not_confirm_leaves_no_run_and_no_lock(world):
    world.watcher = Watcher(confirms=False)
    with pytest.raises(Refusal, match="not confirmed: nothing was sent"):
        world.apply()
    assert world.sent == []
    assert world.with_ledger(lambda ledger: ledger.summary()) == []
    world.watcher = Watcher()
    assert accounts(world.apply()) == (3, 0, 0, 0)


def test_a_comparison_that_fails_refuses_before_anybody_is_asked(world):
    world.plan = sealed(replace(world.plan, sender="60119999999"))
    with pytest.raises(Refusal, match="refused, nothing was sent: sender 60119999999") as info:
        world.apply()
    assert info.value.hint == "plan again where you apply"
    assert world.watcher.seen == ["compared"]
    assert world.sent == []


def test_while_another_process_applies_it_is_refused(world):
    other = replace(this_process("dewi"), pid=os.getppid(), process_started=None)
    world.with_ledger(lambda ledger: ledger.acquire(lock_name("promo", "once"), other, time.time()))
    with pytest.raises(Refusal, match="promo/once is being applied by dewi@"):
        world.apply()
    assert (world.sent, world.watcher.seen) == ([], [])


def test_what_a_killed_run_left_in_flight_is_unknown_and_never_sent_again(world):
    world.with_ledger(lambda ledger: killed_in_flight(ledger, world.plan))
    report = world.apply()
    assert ("asked", 2) in world.watcher.seen
    assert sorted(world.sent) == [phone(1), phone(2)]
    assert accounts(report) == (2, 0, 1, 0)
    assert report.exit_code is ExitCode.UNSETTLED
    assert world.states()[phone(0)] is State.UNKNOWN


def test_a_plan_of_which_all_is_known_is_finished_without_asking(tmp_path):
    world = World(tmp_path, count=1)
    world.with_ledger(lambda ledger: killed_in_flight(ledger, world.plan))
    report = world.apply()
    assert (report.run, accounts(report), world.watcher.seen) == (None, (0, 0, 1, 0), [])
    record = world.with_ledger(lambda ledger: ledger.plan_record(world.plan.digest))
    assert record.finished_at is not None


def test_a_stopped_run_goes_on_with_what_is_left_and_what_was_refused_for_now(world):
    world.answers = lambda number: BAD_TOKEN if number == phone(1) else ACCEPTED
    first = world.apply(limits=Limits(max_in_flight=1))
    assert (first.stop.cause, first.exit_code) == (StopCause.PROVIDER, ExitCode.STOPPED)
    assert accounts(first) == (1, 0, 0, 2)
    assert world.states() == {phone(0): State.ACCEPTED, phone(1): State.RETRY}
    world.answers = lambda _: ACCEPTED
    second = world.apply()
    assert (second.run, accounts(second)) == (2, (3, 0, 0, 0))
    assert world.sent == [phone(0), phone(1), phone(1), phone(2)]


def test_a_gate_closes_the_account_of_whom_it_bars_without_sending(world):
    report = world.apply(gate=lambda delivery: "suppressed" if delivery.key.phone == phone(1) else None)
    assert accounts(report) == (2, 1, 0, 0)
    assert report.counts.refused_by_rule == {"suppressed": 1}
    assert phone(1) not in world.sent


def test_a_guard_stops_the_run_and_leaves_the_rest(world):
    world.answers = lambda _: REFUSED
    report = world.apply(limits=Limits(max_in_flight=1, max_failed=Limit(count=1)))
    assert (report.stop.cause, report.exit_code) == (StopCause.GUARD, ExitCode.STOPPED)
    assert accounts(report) == (0, 2, 0, 1)


def test_a_bug_in_the_carrier_ends_the_run_and_leaves_the_message_unknown(world):
    world.answers = lambda number: ZeroDivisionError("a bug") if number == phone(1) else ACCEPTED
    with pytest.raises(ZeroDivisionError):
        world.apply(limits=Limits(max_in_flight=1))
    assert world.last_run().exit_code == ExitCode.ERROR
    assert world.states()[phone(1)] is State.INTENT
    world.answers = lambda _: ACCEPTED
    assert accounts(world.apply()) == (2, 0, 1, 0)
    assert world.sent.count(phone(1)) == 1


def test_people_who_got_the_message_under_another_plan_are_counted_for_the_comparison(world):
    other = replace(world.plan, digest="f" * 64)
    world.with_ledger(lambda ledger: killed_in_flight(ledger, other, number=2))
    world.apply()
    assert world.moved == 1


def test_a_run_whose_lock_was_taken_over_records_and_sends_nothing_more(world):
    def steal(number):
        async def take():
            await world.ledger.call(
                lambda ledger: ledger._store.run("drop_stale_lock", {"name": lock_name("promo", "once")})
            )

        asyncio.get_running_loop().create_task(take())
        return ACCEPTED

    world.answers = steal
    with pytest.raises(LedgerError, match="another process has taken over"):
        world.apply(limits=Limits(max_in_flight=1))
    assert len(world.sent) <= 2


def test_a_run_says_that_it_is_alive(world):
    beats = []

    async def slowly(phone, message, tag, on_departure):
        on_departure(time.time())
        (found,) = await world.ledger.call(lambda ledger: ledger.summary("promo"))
        before = found.lock.heartbeat_at
        for _ in range(200):
            (found,) = await world.ledger.call(lambda ledger: ledger.summary("promo"))
            if found.lock.heartbeat_at > before:
                beats.append(found.lock.heartbeat_at)
                break
            await asyncio.sleep(0.005)
        return ACCEPTED

    world.send = slowly
    world.apply()
    assert len(beats) == 3
