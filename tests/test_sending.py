"""runner.sending: slot -> intent -> send -> outcome, on virtual time."""

import asyncio
import random
from dataclasses import replace
from datetime import datetime, time
from functools import partial
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest

from runner.breaking import BreakerSettings
from runner.campaign import Limit
from runner.delivery import Answer, Delivery, DeliveryKey, Outcome, TextMessage, is_forgotten
from runner.departing import Pace
from runner.errors import ExitCode, LedgerError
from runner.halting import Halt, PauseCause, Stop, StopCause
from runner.ledger.interface import CampaignStopped, StopRecord
from runner.open_hours import OpenHours
from runner.pacing import PaceState
from runner.sending import Equipment, Limits, send_all
from runner.sharing import Share
from runner.tally import Tally, exit_code_of
from runner.window import LAST_CALL, Window
from tests.virtual_time import VirtualClock, run_virtually

ACCEPTED = Answer(outcome=Outcome.ACCEPTED, rule="accepted", message_id="m")
REFUSED = Answer(outcome=Outcome.REFUSED, rule="refused")
RETRY = Answer(outcome=Outcome.RETRY, rule="rate limit")
UNKNOWN = Answer(outcome=Outcome.UNKNOWN, rule="time-out")


def deliveries(count):
    return [
        Delivery(
            key=DeliveryKey(campaign="promo", occurrence="once", phone=f"62812{n:08d}"),
            recipient_id=str(n),
            message=TextMessage(text="Halo"),
        )
        for n in range(count)
    ]


class Row:
    """A pace row in memory."""

    def __init__(self):
        self.state = PaceState(tat=0.0, seen_at=0.0)

    async def reserve_slot(self, sender, interval, now):
        slot, self.state = self.state.reserved(now, interval)
        return slot

    async def claim_slot(self, sender, share, interval, now):
        return await self.reserve_slot(sender, interval, now), True

    async def delay_sender(self, sender, seconds, now):
        self.state = self.state.delayed(now, seconds)

    async def hold_sender(self, sender, seconds, now):
        self.state = self.state.held(now, seconds)


class World:
    """A journal and a carrier in one, which records the order of everything."""

    def __init__(self, answers=None, latency=0.3, taken=()):
        self.answers = answers or (lambda phone, attempt: ACCEPTED)
        self.latency = latency
        self.taken = set(taken)
        self.clock = VirtualClock()
        self.log = []
        self.arrivals = []
        self.attempts = {}
        self.halt = Halt()
        self.way = 0.0
        self.pauses = []
        self.ended_at = None
        self.stopped_at = None
        self.row = Row()
        self.on_intent = lambda: None
        self.later = {}

    def at(self, later, call):
        """Call with each value at its second."""
        self.later = {seconds: partial(call, value) for seconds, value in later.items()}

    async def intend(self, delivery):
        await asyncio.sleep(0.002)
        if self.stopped_at is not None and self.seconds() >= self.stopped_at:
            raise CampaignStopped(StopRecord(campaign="promo", by="ada", note="", at=self.clock.start))
        self.log.append(("intent", delivery.key.phone))
        self.on_intent()
        return delivery.key.phone not in self.taken

    def settle(self, delivery, answer):
        async def recorded():
            await asyncio.sleep(0.002)
            self.log.append((answer.outcome.value, delivery.key.phone))

        return asyncio.ensure_future(recorded())

    async def send(self, phone, message, tag, on_departure):
        self.log.append(("send", phone))
        await asyncio.sleep(self.way)
        on_departure(self.clock.now())
        self.arrivals.append(self.clock.now())
        attempt = self.attempts[phone] = self.attempts.get(phone, 0) + 1
        await asyncio.sleep(self.latency)
        answer = self.answers(phone, attempt)
        if isinstance(answer, BaseException):
            raise answer
        return answer

    def seconds(self):
        """Return how far the world's time is, in seconds from its start."""
        return self.clock.now() - self.clock.start

    def outage(self, start, end, answer):
        """Answer everything that arrives from `start` to `end` (seconds) with `answer`."""

        def during(phone, attempt):
            return answer if start <= self.seconds() - self.latency < end else ACCEPTED

        self.answers = during

    def send_all(
        self,
        count,
        *,
        rate=5.0,
        gate=lambda _: None,
        events=None,
        hours=None,
        zones="",
        others=None,
        **limits,
    ):
        """Send to `count` people; the even ones are in `zones`, the odd ones in `others`."""
        tally = Tally(to_send=count)

        async def source():
            places = (zones, zones if others is None else others)
            everybody = [
                replace(delivery, zones=places[number % 2])
                for number, delivery in enumerate(deliveries(count))
            ]
            for start in range(0, count, 7):
                yield everybody[start : start + 7]

        async def run():
            self.halt = Halt()
            equipment = Equipment(
                journal=self,
                carrier=self,
                pace=Pace(sender="s", share=Share(run=1), rate=rate, row=self.row, clock=self.clock),
                clock=self.clock,
                halt=self.halt,
                limits=Limits(**limits),
                on_event=(events if events is not None else []).append,
                on_pause=self.pauses.append,
                gate=gate,
                hours=hours,
                jitter=random.Random(1),
            )
            for seconds, call in self.later.items():
                asyncio.get_running_loop().call_later(seconds, call)
            if (stop_at := getattr(self, "stop_at", None)) is not None:
                asyncio.get_running_loop().call_later(
                    stop_at, self.halt.pull, StopCause.INTERRUPTED, "SIGINT received"
                )
            await send_all(source(), tally, equipment)
            self.ended_at = self.seconds()

        run_virtually(run())
        return tally


def test_every_delivery_is_intended_before_it_is_sent_and_settled_after():
    world = World()
    world.send_all(20)
    for phone in {phone for _, phone in world.log}:
        assert [what for what, whose in world.log if whose == phone] == ["intent", "send", "accepted"]


def test_every_delivery_gets_its_account():
    kinds = [ACCEPTED, REFUSED, UNKNOWN]
    tally = World(answers=lambda phone, _: kinds[int(phone) % 3]).send_all(30)
    assert (tally.accepted, tally.refused, tally.unknown, tally.remaining) == (10, 10, 10, 0)


@pytest.mark.parametrize("latency", [0.01, 0.3, 3.0])
def test_no_second_holds_more_than_the_rate_and_98_percent_of_it_is_used(latency):
    world = World(latency=latency)
    world.send_all(200)
    arrivals = sorted(world.arrivals)
    assert min(late - early for early, late in zip(arrivals, arrivals[5:], strict=False)) > 1.0
    assert (len(arrivals) - 1) / (arrivals[-1] - arrivals[0]) >= 0.98 * 5


def others_have_the_slots(world, until):
    """Let every slot before `until` (seconds) be another run's."""

    async def claim_slot(sender, share, interval, now):
        if world.seconds() < until:
            return now + interval / 2, False
        return await world.row.reserve_slot(sender, interval, now), True

    world.row.claim_slot = claim_slot


def test_while_the_slots_are_other_runs_nothing_leaves_and_then_all_goes_on():
    world = World()
    others_have_the_slots(world, until=3.0)
    tally = world.send_all(20)
    assert tally.accepted == 20
    assert 3.0 <= min(world.arrivals) - world.clock.start < 3.3


def test_who_waits_for_other_runs_to_have_had_their_turn_stops_at_once():
    world = World()
    world.stop_at = 3.0
    others_have_the_slots(world, until=100.0)
    tally = world.send_all(20)
    assert (tally.remaining, world.arrivals) == (20, [])
    assert world.ended_at < 3.2


def test_a_steady_way_to_the_socket_costs_nothing_of_the_rate():
    world = World()
    world.way = 0.012
    world.send_all(200)
    arrivals = sorted(world.arrivals)[20:]
    assert min(late - early for early, late in zip(arrivals, arrivals[5:], strict=False)) > 1.0
    assert (len(arrivals) - 1) / (arrivals[-1] - arrivals[0]) >= 0.98 * 5


def test_only_what_was_refused_for_now_is_sent_again():
    world = World(answers=lambda _, attempt: RETRY if attempt < 3 else ACCEPTED)
    tally = world.send_all(3)
    assert tally.accepted == 3
    assert set(world.attempts.values()) == {3}
    world = World(answers=lambda *_: UNKNOWN)
    assert world.send_all(3).unknown == 3
    assert set(world.attempts.values()) == {1}


def test_each_attempt_has_an_intent_of_its_own():
    world = World(answers=lambda _, attempt: RETRY if attempt == 1 else ACCEPTED)
    world.send_all(1)
    assert [what for what, _ in world.log] == ["intent", "send", "retry", "intent", "send", "accepted"]


def test_a_delivery_that_is_refused_for_now_too_often_remains():
    tally = World(answers=lambda *_: RETRY).send_all(1, attempts=3)
    assert (tally.known, tally.remaining) == (0, 1)


def test_a_provider_that_takes_nothing_for_long_stops_the_run():
    world = World(answers=lambda *_: RETRY)
    tally = world.send_all(1000)
    assert world.halt.stop is not None
    assert world.halt.stop.cause is StopCause.PROVIDER
    assert tally.remaining == 1000
    assert len(world.arrivals) < 60 * 5 + 50


@pytest.mark.parametrize("answer", [UNKNOWN, RETRY], ids=["unknown", "busy"])
def test_an_outage_pauses_the_sender_and_it_goes_on_after_it(answer):
    world = World(latency=1.0)
    world.outage(5, 100, answer)
    tally = world.send_all(500, max_in_flight=16)
    in_the_outage = [at - world.clock.start for at in world.arrivals if 5 <= at - world.clock.start < 100]
    assert len(in_the_outage) <= 8 + 16 + 3
    assert tally.unknown == (len(in_the_outage) if answer is UNKNOWN else 0)
    assert (tally.remaining, world.halt.stop) == (0, None)
    assert [pause.cause for pause in world.pauses] == [PauseCause.PROVIDER] * len(world.pauses)
    assert 1 <= len(world.pauses) <= 4


def test_while_the_sender_pauses_one_message_at_a_time_tries_after_longer_and_longer_waits():
    world = World(answers=lambda *_: UNKNOWN, latency=1.0)
    tally = world.send_all(1000, max_in_flight=64)
    arrivals = sorted(world.arrivals)
    gaps = [late - early for early, late in pairwise(arrivals) if late - early > 5]
    assert gaps == pytest.approx([16, 31, 61, 121, 241, 301, 301, 301], abs=3)
    assert tally.unknown == len(arrivals) <= 8 + 64 + 8
    assert world.halt.stop is not None
    assert world.halt.stop.cause is StopCause.PROVIDER
    assert "8 times in a row, then to 8 single tries (time-out)" in world.halt.stop.detail
    assert exit_code_of(tally, world.halt.stop) is ExitCode.STOPPED


def test_a_pause_says_until_when_it_lasts():
    world = World(answers=lambda *_: UNKNOWN, latency=1.0)
    world.send_all(100, max_in_flight=1, breaker=BreakerSettings(trip_after=2, probes=1))
    (pause,) = world.pauses
    assert pause.until - world.clock.start == pytest.approx(2 * 1.0 + 15, abs=0.5)
    assert "time-out" in pause.detail


def test_refusals_of_persons_never_pause_the_sender():
    world = World(answers=lambda *_: REFUSED)
    world.send_all(100)
    assert world.pauses == []
    assert world.ended_at < 22


def test_a_pause_holds_up_to_a_stop_and_no_longer():
    world = World(answers=lambda *_: UNKNOWN, latency=1.0)
    world.stop_at = 10.0
    world.send_all(1000, max_in_flight=8)
    assert world.ended_at < 11.5
    assert world.halt.stop.cause is StopCause.INTERRUPTED


def test_a_person_who_stops_the_campaign_lets_nothing_new_leave():
    world = World(latency=2.0)
    world.stopped_at = 3.0
    tally = world.send_all(100)
    intents = [phone for what, phone in world.log if what == "intent"]
    assert 0 < tally.accepted == len(intents) == len(world.arrivals) < 100
    assert world.halt.stop.cause is StopCause.STOPPED
    assert "ada stopped promo" in world.halt.stop.detail
    assert "`runner resume promo` lifts it" in world.halt.stop.detail
    assert exit_code_of(tally, world.halt.stop) is ExitCode.STOPPED


def test_whom_a_gate_bars_while_a_person_has_stopped_the_campaign_stays_without_an_account():
    world = World()
    world.stopped_at = 0.0
    assert world.send_all(20, gate=lambda _: "suppressed").remaining == 20


def test_a_stop_does_not_wait_for_those_who_stand_in_line():
    world = World(latency=0.3)
    world.stop_at = 3.0
    world.send_all(1000, max_in_flight=128)
    assert world.ended_at < 4.0


def test_a_wait_asked_for_by_the_provider_holds_the_whole_sender():
    wait = Answer(outcome=Outcome.RETRY, rule="rate limit", retry_after=20.0)
    world = World(answers=lambda phone, attempt: wait if (phone[-1], attempt) == ("0", 1) else ACCEPTED)
    world.send_all(8)
    arrivals = sorted(world.arrivals)
    assert max(late - early for early, late in pairwise(arrivals)) > 18


def test_a_bad_token_stops_the_run_with_nothing_lost():
    bad = Answer(outcome=Outcome.RETRY, rule="bad token", stops=True, detail="the key is not accepted")
    world = World(answers=lambda *_: bad)
    tally = world.send_all(50)
    assert world.halt.stop == Stop(cause=StopCause.PROVIDER, detail="the key is not accepted")
    assert tally.remaining == 50


def test_max_failed_stops_the_run_once_100_outcomes_are_known():
    world = World(answers=lambda *_: REFUSED)
    tally = world.send_all(500, max_failed=Limit(share=0.05))
    assert world.halt.stop is not None
    assert world.halt.stop.cause is StopCause.GUARD
    assert 100 <= tally.refused < 140


def test_max_failed_lets_a_run_below_it_finish():
    world = World(answers=lambda phone, _: REFUSED if int(phone) % 50 == 0 else ACCEPTED)
    assert world.send_all(200, max_failed=Limit(share=0.05)).remaining == 0
    assert world.halt.stop is None


def test_max_failed_as_a_count_stops_at_once():
    world = World(answers=lambda *_: REFUSED)
    assert world.send_all(50, max_failed=Limit(count=2), max_in_flight=1).refused == 3


def test_max_unknown_stops_the_run_once_100_outcomes_are_known():
    world = World(answers=lambda phone, _: UNKNOWN if int(phone) % 4 == 0 else ACCEPTED)
    tally = world.send_all(500, max_unknown=Limit(share=0.1))
    assert world.halt.stop is not None
    assert world.halt.stop.cause is StopCause.GUARD
    assert world.halt.stop.detail.startswith("guards.max_unknown is 10%: ")
    assert 100 <= tally.known < 110


def test_max_unknown_as_a_count_stops_at_once():
    world = World(answers=lambda *_: UNKNOWN)
    assert world.send_all(50, max_unknown=Limit(count=2), max_in_flight=1).unknown == 3


def test_a_stop_finishes_what_is_in_flight_and_begins_nothing_new():
    world = World(latency=2.0)
    world.stop_at = 3.0
    tally = world.send_all(100)
    intents = [phone for what, phone in world.log if what == "intent"]
    assert 0 < tally.accepted == len(intents) < 100
    assert exit_code_of(tally, world.halt.stop) is ExitCode.INTERRUPTED


def test_a_stop_ends_a_long_wait_between_attempts():
    world = World(answers=lambda *_: RETRY)
    world.stop_at = 4.0
    world.send_all(1, first_backoff=1000.0, longest_backoff=1000.0)
    assert world.halt.stop is not None


class ZonedWorld(World):
    """People in Jakarta, whose window closes `closes` seconds after the start; the wall clock may err."""

    def __init__(self, closes, **options):
        super().__init__(**options)
        # The world begins at 15:00 in Jakarta.
        self.closing = self.clock.start + closes
        local = datetime.fromtimestamp(self.closing, ZoneInfo("Asia/Jakarta"))
        assert local.second == 0
        self.wall_error = 0.0
        self.hours = OpenHours(
            Window(opens=time(8), closes=local.time()),
            waits=False,
            steady=self.clock.now,
            wall=lambda: self.clock.now() + self.wall_error,
        )


def test_nothing_leaves_once_the_window_is_about_to_close_and_everybody_else_is_put_off():
    world = ZonedWorld(closes=60)
    tally = world.send_all(1000, hours=world.hours, zones="Asia/Jakarta")
    assert world.closing - 11 < max(world.arrivals) < world.closing - LAST_CALL.total_seconds()
    assert tally.accepted == len(world.arrivals)
    assert len(world.hours.take_put_off()) == tally.remaining
    assert world.hours.take_put_off() == {}
    assert world.halt.stop is None


def test_whoever_is_put_off_takes_no_slot_of_the_sender():
    world = ZonedWorld(closes=60)
    world.send_all(1000, hours=world.hours, zones="Asia/Jakarta")
    assert world.ended_at < 60


def test_people_in_a_zone_whose_window_is_closed_let_the_others_go_first():
    world = ZonedWorld(closes=3600)
    tally = world.send_all(40, hours=world.hours, zones="Asia/Jakarta", others="Asia/Tokyo")
    assert {int(phone) % 2 for what, phone in world.log if what == "send"} == {0}
    assert (tally.accepted, len(world.hours.take_put_off())) == (20, 20)


def test_a_slot_that_comes_after_the_closing_is_given_back():
    world = ZonedWorld(closes=60)
    world.row.state = replace(world.row.state, tat=100.0)
    tally = world.send_all(1, hours=world.hours, zones="Asia/Jakarta")
    assert (world.log, tally.remaining) == ([], 1)


def test_a_window_that_closes_between_the_intent_and_the_slot_keeps_the_message_back():
    world = ZonedWorld(closes=60)
    world.on_intent = lambda: setattr(world, "wall_error", 3600.0)
    tally = world.send_all(3, hours=world.hours, zones="Asia/Jakarta", max_in_flight=1)
    assert [what for what, _ in world.log] == ["intent", "retry"]
    assert (tally.remaining, len(world.hours.take_put_off()), world.pauses) == (3, 3, [])


@pytest.mark.parametrize("error", [3600.0, -12 * 3600.0])
def test_a_wall_clock_that_is_set_never_opens_a_window(error):
    world = ZonedWorld(closes=60)
    world.at({10.0: error, 30.0: 0.0}, lambda value: setattr(world, "wall_error", value))
    world.send_all(1000, hours=world.hours, zones="Asia/Jakarta")
    assert all(at < world.clock.start + 10 for at in world.arrivals)


def test_without_a_window_no_clock_is_asked():
    world = World()
    assert world.send_all(5, hours=None).accepted == 5


def test_a_gate_at_send_time_only_shrinks_the_list():
    events = []
    world = World()
    barred = lambda delivery: "suppressed" if delivery.recipient_id == "2" else None  # noqa: E731
    tally = world.send_all(5, gate=barred, events=events)
    assert (tally.accepted, tally.refused, len(world.arrivals)) == (4, 1, 4)
    assert {event.answer.rule for event in events} == {"accepted", "suppressed"}


def test_a_gate_that_shuts_while_many_wait_for_their_slots_keeps_back_all_that_have_not_left():
    world = World()
    barred = lambda _: "opted_out" if world.clock.now() > world.clock.start + 2 else None  # noqa: E731
    tally = world.send_all(60, gate=barred)
    assert max(world.arrivals) <= world.clock.start + 2.2
    assert (tally.accepted, tally.refused, tally.remaining) == (
        len(world.arrivals),
        60 - len(world.arrivals),
        0,
    )
    assert tally.barred == tally.refused


def test_who_is_barred_between_two_attempts_is_not_tried_again():
    world = World(answers=lambda phone, attempt: RETRY)
    barred = lambda _: "opted_out" if world.arrivals else None  # noqa: E731
    tally = world.send_all(1, gate=barred)
    assert (tally.refused, len(world.arrivals)) == (1, 1)


def test_who_is_barred_after_the_intent_does_not_leave_and_has_an_account():
    world = World()
    barred = lambda delivery: "expired" if ("intent", delivery.key.phone) in world.log else None  # noqa: E731
    tally = world.send_all(3, gate=barred, max_failed=Limit(count=1))
    assert (tally.refused, tally.barred, tally.remaining, world.arrivals) == (3, 3, 0, [])
    assert [what for what, _ in world.log].count("refused") == 3


def test_whom_a_gate_keeps_back_is_no_failure_of_the_provider():
    world = World()
    tally = world.send_all(200, gate=lambda _: "suppressed", max_failed=Limit(share=0.05))
    assert (tally.refused, tally.barred, world.halt.stop) == (200, 200, None)


def test_a_delivery_with_an_account_under_another_plan_is_never_sent():
    world = World(taken={"6281200000003"})
    with pytest.raises(LedgerError, match=r"6281\*\*\*\*0003 has an account under another plan"):
        world.send_all(10)
    assert ("send", "6281200000003") not in world.log


def test_an_error_of_the_journal_stops_the_run_and_is_told():
    world = World()

    async def full():
        raise LedgerError("the disk is full")

    world.settle = lambda *_: asyncio.ensure_future(full())
    with pytest.raises(LedgerError, match="disk is full"):
        world.send_all(1000)
    assert len(world.arrivals) < 50


def test_latency_is_hidden_without_a_rate():
    world = World(latency=1.0)
    started = world.clock.start
    world.send_all(320, rate=None, max_in_flight=32)
    assert max(world.arrivals) - started < 11


def test_the_gate_is_asked_again_when_the_turn_has_come():
    world, events, late = World(), [], deliveries(12)[10].key.phone

    def forgotten_on_the_way(delivery):
        return "forgotten" if delivery.key.phone == late and len(world.arrivals) >= 5 else None

    tally = world.send_all(12, gate=forgotten_on_the_way, events=events, max_in_flight=12)

    assert (tally.accepted, tally.refused, tally.barred, tally.remaining) == (11, 1, 1, 0)
    assert ("send", late) not in world.log


def test_a_forgotten_persons_account_is_closed_without_writing_them_down():
    world, events, somebody = World(), [], deliveries(3)[1].key.phone
    tally = world.send_all(
        3, gate=lambda each: "forgotten" if each.key.phone == somebody else None, events=events
    )
    assert (tally.accepted, tally.refused) == (2, 1)
    assert all(phone != somebody for _, phone in world.log)
    (closed,) = [event for event in events if event.answer.rule == "forgotten"]
    assert (closed.delivery.recipient_id, closed.attempt) == ("", 0)
    assert int(closed.delivery.key.phone) < 0
    assert is_forgotten(closed.delivery.key.phone)
