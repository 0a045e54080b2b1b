"""runner.applying: from the lock to the last outcome, with a real ledger; a crash on the way is a pause."""

import asyncio
import os
import socket
import time
from dataclasses import replace
from datetime import datetime, timedelta, timezone

import pytest

from runner.applying import Apply, apply_plan
from runner.campaign import Canary, Cap, Limit
from runner.delivery import Answer, DeliveryKey, Outcome, ReceiptStatus, State
from runner.errors import ExitCode, LedgerError, Refusal
from runner.halting import Halt, PauseCause, StopCause
from runner.heartbeat import HEARTBEAT
from runner.ledger import open_ledger
from runner.ledger.interface import Holder, Intent, Receipt
from runner.ledger.journal import ledger_thread
from runner.ledger.liveness import this_process
from runner.ledger.lock_names import lock_name
from runner.plan import sealed
from runner.sending import Limits
from tests.test_checking import PLANNED, TODAY
from tests.test_recipients import rejections, row, table

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


class SkippingClock(Clock):
    """A clock whose waits pass at once, and in which the time they take is over then."""

    def __init__(self):
        self.skipped = 0.0

    def now(self):
        return time.time() + self.skipped

    async def sleep(self, seconds):
        if seconds == HEARTBEAT:
            await asyncio.sleep(seconds)
        self.skipped += seconds
        await asyncio.sleep(0)


class Watcher:
    def __init__(self, confirms=True):
        self.confirms = confirms
        self.pauses = []
        self.compared_with = []
        self.seen = []

    def compared(self, comparisons):
        self.seen.append("compared")
        self.compared_with = [comparison.what for comparison in comparisons]

    def confirmed(self, tally):
        self.seen.append(("asked", tally.remaining))
        return self.confirms

    def began(self, run, tally):
        self.seen.append(("began", run))

    def happened(self, event, tally):
        self.seen.append(event.answer.outcome)

    def paused(self, pause):
        self.pauses.append(pause)


class World:
    """A plan of `count` people, its ledger, and a carrier that answers as it is told."""

    def __init__(self, folder, count=3, held_out=0):
        self.folder = table(folder, [row(number) for number in range(count)])
        rejections(folder, [row(number) for number in range(count, count + held_out)])
        rejected = {"holdout": held_out} if held_out else {}
        rows = count + held_out
        plan = replace(PLANNED, to_send=count, rows=rows, already_sent=0, rejected=rejected)
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

    def apply(self, *, limits=None, gate=lambda _: None, holder=None, clock=None, caps=()):
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
                        clock=clock or Clock(),
                        holder=holder or this_process("tester"),
                        halt=self.halt,
                        limits=limits or Limits(max_in_flight=2),
                        watcher=self.watcher,
                        today=self.today,
                        gate=gate,
                        rate=None,
                        caps=caps,
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


def stop(world, campaign="promo"):
    return world.with_ledger(lambda ledger: ledger.stop(campaign, by="ada", note="why", now=time.time()))


def resume(world, campaign="promo"):
    world.with_ledger(lambda ledger: ledger.resume(campaign, by="grace", now=time.time()))


@pytest.mark.parametrize("campaign", ["promo", None])
def test_a_stopped_campaign_is_refused_until_the_stop_is_lifted(world, campaign):
    stop(world, campaign)
    with pytest.raises(Refusal, match=r"stop: ada stopped .* \(why\)") as refused:
        world.apply()
    assert refused.value.hint.startswith("lift it first: runner resume")
    assert (world.sent, world.watcher.seen) == ([], ["compared"])
    resume(world, campaign)
    assert accounts(world.apply()) == (3, 0, 0, 0)
    assert world.watcher.compared_with[-1] == "stop"


def test_a_stop_while_a_plan_is_applied_ends_the_run_and_the_next_apply_goes_on(tmp_path):
    world = World(tmp_path, count=30)

    def answer(number):
        if len(world.sent) == 5:
            stop(world)
        return ACCEPTED

    world.answers = answer
    report = world.apply(limits=Limits(max_in_flight=1))
    assert (report.stop.cause, report.exit_code) == (StopCause.STOPPED, ExitCode.STOPPED)
    assert accounts(report) == (5, 0, 0, 25)
    assert world.last_run().exit_code == ExitCode.STOPPED
    resume(world)
    world.answers = lambda _: ACCEPTED
    assert accounts(world.apply()) == (30, 0, 0, 0)


def test_a_stop_ends_a_run_that_pauses(tmp_path):
    world = World(tmp_path, count=30)
    busy = []

    def answer(number):
        busy.append(number)
        if len(busy) == 8:
            stop(world)
        return RETRY

    world.answers = answer
    report = world.apply(limits=Limits(max_in_flight=8))
    assert report.stop.cause is StopCause.STOPPED


CANARY = Canary(size=4, wait=timedelta(minutes=30), max_failed=Limit(count=1))


def with_canary(canary=CANARY, **limits):
    return Limits(max_in_flight=2, canary=canary, **limits)


def receipts(world, status, numbers):
    """Take in a receipt for some people's messages."""

    def record(ledger):
        opened = [each for batch in ledger.deliveries_between(0, time.time() + 1e6) for each in batch]
        wanted = {phone(number) for number in numbers}
        told = {"message_id": None, "code": None, "detail": None, "source": "test", "at": time.time()}
        found = [
            Receipt(delivery=each.delivery, status=status, **told) for each in opened if each.phone in wanted
        ]
        return ledger.record_receipts(found, time.time())

    assert world.with_ledger(record) == len(numbers)


class TellingClock(SkippingClock):
    """A clock that does something the first time a run waits for its canary."""

    def __init__(self, tell):
        super().__init__()
        self.tell = tell

    async def sleep(self, seconds):
        if seconds == 5.0 and self.tell is not None:
            tell, self.tell = self.tell, None
            tell()
        await super().sleep(seconds)


def test_a_canary_without_receipts_waits_its_time_and_then_the_others_go(tmp_path):
    world, clock = World(tmp_path, count=10), SkippingClock()
    report = world.apply(limits=with_canary(), clock=clock)
    assert accounts(report) == (10, 0, 0, 0)
    (pause,) = world.watcher.pauses
    assert pause.cause is PauseCause.CANARY
    assert 30 * 60 - 5 < pause.until - time.time() <= 30 * 60
    assert clock.skipped >= 30 * 60 - 5
    assert world.watcher.seen.count(Outcome.ACCEPTED) == 10


def test_a_canary_of_which_everything_is_known_waits_no_longer(tmp_path):
    world = World(tmp_path, count=10)
    clock = TellingClock(lambda: receipts(world, ReceiptStatus.DELIVERED, range(4)))
    assert accounts(world.apply(limits=with_canary(), clock=clock)) == (10, 0, 0, 0)
    assert clock.skipped < 60


def test_a_receipt_that_says_sent_does_not_end_the_wait_as_it_may_fail_yet(tmp_path):
    world = World(tmp_path, count=10)
    clock = TellingClock(lambda: receipts(world, ReceiptStatus.SENT, range(4)))
    assert accounts(world.apply(limits=with_canary(), clock=clock)) == (10, 0, 0, 0)
    assert clock.skipped >= 30 * 60 - 5


def test_a_canary_that_fails_by_receipts_stops_the_run_and_every_later_apply(tmp_path):
    world = World(tmp_path, count=10)
    clock = TellingClock(lambda: receipts(world, ReceiptStatus.FAILED, [1, 2]))
    report = world.apply(limits=with_canary(), clock=clock)
    assert (report.stop.cause, report.exit_code) == (StopCause.GUARD, ExitCode.STOPPED)
    assert report.stop.detail == (
        "guards.canary.max_failed is 1: 2 of 4 failed (0 refused, 2 by a failed receipt)"
    )
    assert (accounts(report), clock.skipped < 60) == ((4, 0, 0, 6), True)
    with pytest.raises(Refusal, match=r"canary: guards\.canary\.max_failed is 1: 2 of 4 failed"):
        world.apply(limits=with_canary(), clock=SkippingClock())
    assert len(world.sent) == 4


def test_refusals_and_failed_receipts_of_a_canary_add_up(tmp_path):
    world = World(tmp_path, count=10)
    world.answers = lambda number: REFUSED if number == phone(0) else ACCEPTED
    clock = TellingClock(lambda: receipts(world, ReceiptStatus.FAILED, [1]))
    report = world.apply(limits=with_canary(), clock=clock)
    assert "2 of 4 failed (1 refused, 1 by a failed receipt)" in report.stop.detail


def test_a_canary_that_was_refused_does_not_even_wait(tmp_path):
    world, clock = World(tmp_path, count=10), SkippingClock()
    world.answers = lambda _: REFUSED
    report = world.apply(limits=with_canary(), clock=clock)
    assert (accounts(report), world.watcher.pauses, clock.skipped < 5) == ((0, 4, 0, 6), [], True)


def test_whom_a_gate_keeps_back_is_no_part_of_the_canary(tmp_path):
    world, clock = World(tmp_path, count=10), SkippingClock()
    world.answers = lambda _: REFUSED
    barred = {phone(0), phone(2)}
    report = world.apply(
        limits=with_canary(),
        clock=clock,
        gate=lambda delivery: "suppressed" if delivery.key.phone in barred else None,
    )
    assert accounts(report) == (0, 6, 0, 4)
    assert sorted(world.sent) == [phone(number) for number in (1, 3, 4, 5)]


def test_a_plan_no_larger_than_its_canary_does_not_wait(tmp_path):
    world, clock = World(tmp_path, count=4), SkippingClock()
    world.answers = lambda _: REFUSED
    assert accounts(world.apply(limits=with_canary(), clock=clock)) == (0, 4, 0, 0)
    assert world.watcher.pauses == []


def test_a_run_that_ends_while_its_canary_waits_is_resumed_where_it_was(tmp_path):
    world = World(tmp_path, count=10)

    def die():
        raise ZeroDivisionError("a bug")

    with pytest.raises(ZeroDivisionError):
        world.apply(limits=with_canary(), clock=TellingClock(die))
    assert len(world.sent) == 4
    until = world.watcher.pauses[0].until
    world.watcher = Watcher()
    clock = SkippingClock()
    clock.skipped = 20 * 60
    report = world.apply(limits=with_canary(), clock=clock)
    assert accounts(report) == (10, 0, 0, 0)
    assert [pause.until for pause in world.watcher.pauses] == [pytest.approx(until)]
    assert clock.skipped == pytest.approx(30 * 60, abs=10)


def test_a_canary_that_has_passed_waits_no_second_time(tmp_path):
    world = World(tmp_path, count=10)
    world.answers = lambda number: BAD_TOKEN if number == phone(7) else ACCEPTED
    first = world.apply(limits=with_canary(), clock=SkippingClock())
    assert first.stop.cause is StopCause.PROVIDER
    world.answers, world.watcher = (lambda _: ACCEPTED), Watcher()
    clock = SkippingClock()
    assert accounts(world.apply(limits=with_canary(), clock=clock)) == (10, 0, 0, 0)
    assert (world.watcher.pauses, clock.skipped < 5) == ([], True)


def test_what_a_kill_left_of_a_canary_half_sent_is_sent_first(tmp_path):
    world = World(tmp_path, count=10)
    world.with_ledger(lambda ledger: killed_in_flight(ledger, world.plan))
    clock = SkippingClock()
    report = world.apply(limits=with_canary(), clock=clock)
    assert accounts(report) == (9, 0, 1, 0)
    assert len(world.watcher.pauses) == 1


def test_whom_of_a_canary_the_provider_refused_for_now_is_sent_before_the_others(tmp_path):
    world = World(tmp_path, count=10)
    world.answers = lambda number: BAD_TOKEN if number == phone(2) else ACCEPTED
    first = world.apply(limits=Limits(max_in_flight=1, canary=CANARY), clock=SkippingClock())
    assert (first.stop.cause, accounts(first)) == (StopCause.PROVIDER, (2, 0, 0, 8))
    world.answers, world.sent = (lambda _: REFUSED), []
    clock = SkippingClock()
    clock.skipped = 3600
    second = world.apply(limits=with_canary(), clock=clock)
    assert (sorted(world.sent), accounts(second)) == ([phone(2), phone(3)], (2, 2, 0, 6))


def test_of_a_canary_that_is_refused_for_now_too_often_the_others_wait_for_the_rest(tmp_path):
    world = World(tmp_path, count=10)
    world.answers = lambda number: RETRY if number == phone(2) else ACCEPTED
    limits = Limits(max_in_flight=2, canary=CANARY, attempts=3)
    report = world.apply(limits=limits, clock=SkippingClock())
    assert accounts(report) == (9, 0, 0, 1)
    assert world.sent.count(phone(2)) == 3
    assert len(world.watcher.pauses) == 1


def test_messages_that_fail_after_they_were_accepted_stop_the_run_and_every_later_apply(tmp_path):
    world = World(tmp_path, count=10)
    clock = SkippingClock()  # receipts are read again all the time

    async def send(phone, message, tag, on_departure):
        await asyncio.sleep(0.05)
        on_departure(time.time())
        world.sent.append(phone)
        if len(world.sent) == 4:
            receipts(world, ReceiptStatus.FAILED, [0, 1])
        return ACCEPTED

    world.send = send
    limits = Limits(max_in_flight=1, max_failed=Limit(count=1))
    report = world.apply(limits=limits, clock=clock)
    assert report.stop.cause is StopCause.GUARD
    assert report.stop.detail.startswith("guards.max_failed is 1: 2 of ")
    assert report.stop.detail.endswith(" failed (0 refused, 2 by a failed receipt)")
    assert report.exit_code is ExitCode.STOPPED
    sent = len(world.sent)
    assert sent < 10
    with pytest.raises(Refusal, match=r"guard: guards\.max_failed is 1: 2 of \d+ failed"):
        world.apply(limits=limits, clock=SkippingClock())
    assert len(world.sent) == sent


def test_too_many_unknown_stop_the_run_and_the_next_apply_until_they_are_settled(tmp_path):
    world = World(tmp_path, count=10)
    world.answers = lambda number: Answer(outcome=Outcome.UNKNOWN, rule="timed_out")
    limits = Limits(max_in_flight=1, max_unknown=Limit(count=1))
    report = world.apply(limits=limits)
    assert (report.stop.cause, accounts(report)) == (StopCause.GUARD, (0, 0, 2, 8))
    with pytest.raises(Refusal, match=r"guards\.max_unknown is 1: 2 of 2 are unknown") as refused:
        world.apply(limits=limits)
    assert refused.value.hint == "find out what became of them: runner resolve promo"
    settle = {"to": State.ACCEPTED, "by": "ada", "note": "", "now": time.time()}
    world.with_ledger(lambda ledger: ledger.resolve("promo", "once", None, **settle))
    world.answers = lambda _: ACCEPTED
    assert accounts(world.apply(limits=limits)) == (10, 0, 0, 0)


# Caps over all campaigns

DISTANCE = Cap(rule="min_distance", messages=1, per=timedelta(hours=24))


def send_by_another(world, *numbers):
    """Have another campaign send to these people."""

    def send(ledger):
        token = ledger.acquire(lock_name("other", "once"), GONE, time.time())
        made = {"campaign": "other", "occurrence": "once", "to_send": 9, "created_at": time.time()}
        ledger.register_plan(digest="another", **made)
        run = ledger.begin_run(token, "another", GONE, time.time())
        keys = [DeliveryKey(campaign="other", occurrence="once", phone=phone(number)) for number in numbers]
        ledger.commit(token, [Intent(key=key, recipient_id="", run=run) for key in keys], [], time.time())
        ledger.release(token)

    world.with_ledger(send)


def test_who_reached_a_cap_since_the_plan_is_kept_back_and_no_failure(world):
    send_by_another(world, 1)
    report = world.apply(caps=(DISTANCE,), limits=Limits(max_failed=Limit(count=0)))
    assert (world.sent, report.exit_code) == ([phone(0), phone(2)], ExitCode.UNSETTLED)
    assert report.counts.refused_by_rule == {"min_distance": 1}


def test_who_reaches_a_cap_while_the_run_lasts_is_kept_back(world):
    def answer(to):
        if to == phone(0):
            send_by_another(world, 2)
        return ACCEPTED

    world.answers = answer
    report = world.apply(caps=(DISTANCE,), limits=Limits(max_in_flight=1))
    assert world.sent == [phone(0), phone(1)]
    assert report.counts.refused_by_rule == {"min_distance": 1}


def test_who_reached_a_cap_is_no_part_of_the_canary(tmp_path):
    world = World(tmp_path, count=5)
    send_by_another(world, 0)
    limits = with_canary(replace(CANARY, size=2, wait=timedelta(0)))
    assert world.apply(caps=(DISTANCE,), limits=limits).counts.accepted == 4
    assert world.sent[:2] == [phone(1), phone(2)]


# The control group


def held_out(world):
    """Return whom the ledger holds out, by recipient."""

    def read(ledger):
        runs = [run.id for run in ledger.runs()]
        batches = [batch for run in runs for batch in ledger.held_out(run, 0, 1 << 40)]
        return [each.recipient_id for batch in batches for each in batch]

    return world.with_ledger(read)


def test_the_control_group_is_recorded_before_the_first_message_and_gets_none(tmp_path):
    world = World(tmp_path, count=2, held_out=2)
    recorded = []

    def answer(_):
        recorded.append(held_out(world))
        return ACCEPTED

    world.answers = answer
    report = world.apply()
    assert recorded == [["c2", "c3"]] * 2
    assert world.sent == [phone(0), phone(1)]
    assert (report.counts.held_out, accounts(report)) == (2, (2, 0, 0, 0))


def test_an_apply_that_goes_on_records_nobody_twice(tmp_path):
    world = World(tmp_path, count=3, held_out=2)
    world.answers = lambda to: BAD_TOKEN if to == phone(1) else ACCEPTED
    world.apply(limits=Limits(max_in_flight=1))
    world.answers = lambda _: ACCEPTED
    report = world.apply()
    assert (report.counts.held_out, report.counts.accepted) == (2, 3)
    assert held_out(world) == ["c3", "c4"]


def test_a_plan_that_is_all_control_group_is_recorded_and_finished(tmp_path):
    world = World(tmp_path, count=0, held_out=2)
    report = world.apply()
    assert (report.exit_code, report.counts.held_out, world.sent) == (ExitCode.DONE, 2, [])
    assert world.apply().run is None


def test_what_keeps_a_recipient_back_keeps_a_person_out_of_the_control_group(tmp_path):
    world = World(tmp_path, count=1, held_out=4)
    send_by_another(world, 2)
    barred = {phone(1): "opted_out", phone(3): "forgotten"}
    report = world.apply(gate=lambda delivery: barred.get(delivery.key.phone), caps=(DISTANCE,))
    assert held_out(world) == ["c4"]
    assert report.counts.held_out == 1
