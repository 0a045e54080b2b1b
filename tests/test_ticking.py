"""A tick: each slot runs once, waits for its approval, is resumed after a kill, is never silently lost."""

from __future__ import annotations

from contextlib import closing, contextmanager, suppress
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from types import SimpleNamespace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from runner.due import note_due, would_be_due
from runner.errors import ExitCode, ProviderError, Refusal
from runner.ledger import open_ledger
from runner.ledger.firings import FiringState
from runner.ledger.interface import Holder, LockHeld, LockLost
from runner.ledger.lock_names import campaign_lock_name, lock_name
from runner.schedule import Missed, Schedule
from runner.ticking import Outcome, Standing, Tick, tick_campaign
from tests.conftest import LEAST

START = datetime(2026, 11, 23, 2, 0, tzinfo=timezone.utc)
HOURLY = Schedule(cron="0 * * * *", zone="UTC")
ADA = Holder(owner="ada", host="here", pid=1, process_started="b:1:1")


class Killed(Exception):  # noqa: N818 - named after the event
    """Stands for a kill."""


class Desk:
    """A desk whose people are numbers; what it sends, it records in a real ledger."""

    def __init__(self, world):
        self.world = world
        self.told = []

    def standing(self):
        self.world.asked += 1
        if self.world.provider_is_down:
            raise ProviderError("the provider cannot be reached")
        why = "ada approved" if self.world.approved else "nobody approved"
        return Standing(digest=self.world.definition, is_approved=self.world.approved, why=why)

    def plan(self, firing):
        world = self.world
        world.planned.append(firing.occurrence)
        if world.is_over_guard:
            raise Refusal("refused by guard max_growth")
        with world.ledger() as ledger:
            sent = {phone for batch in ledger.taken("promo", firing.occurrence) for phone in batch}
        people = [phone for phone in world.people if phone not in sent]
        plan = SimpleNamespace(
            campaign="promo",
            occurrence=firing.occurrence,
            digest=f"plan-{len(world.planned)}",
            to_send=len(people),
            people=people,
            starts_at=world.now,
            expires_at=firing.due_at + timedelta(hours=72),
        )
        world.plans[plan.digest] = plan
        return plan

    def kept_plan(self, digest):
        return self.world.plans.get(digest)

    def apply(self, plan):
        return self.world.apply(plan)

    def tell_planned(self, plan):
        self.told.append(("planned", plan.occurrence))

    def tell_waiting(self, record, plan, standing):
        self.told.append(("waiting", record.occurrence))

    def tell_missed(self, missed):
        self.told.append(("missed", *(record.occurrence for record in missed)))

    def tell_failed(self, record, error):
        self.told.append(("failed", record.occurrence, error.message))


class World:
    """A campaign, its people, its clock and its ledger."""

    def __init__(self, root, campaign):
        self.root, self.campaign = root, campaign
        self.now = START
        self.people = ["1", "2", "3"]
        self.approved, self.definition = True, "d1"
        self.provider_is_down = self.is_over_guard = False
        self.ends = []
        self.asked = 0
        self.planned, self.plans, self.sent = [], {}, []
        self.desk = Desk(self)

    @contextmanager
    def ledger(self):
        with closing(open_ledger("sqlite:///ledger.db", root=self.root)) as ledger:
            yield ledger

    def tick(self, *, holder=ADA, **options):
        return tick_campaign(
            Tick(
                campaign=self.campaign,
                desk=self.desk,
                ledger=self.ledger,
                holder=holder,
                now=lambda: self.now,
                **options,
            )
        )

    def after(self, **time):
        self.now += timedelta(**time)
        return self

    def apply(self, plan):
        """Send to the plan's people; the next of `ends` says after how many, and how that ends."""
        count, code, cause = self.ends.pop(0) if self.ends else (99, ExitCode.DONE, None)
        if code is ExitCode.REFUSED:
            return code, {"run": None, "error": {"message": "refused", "hint": None}}
        now = self.now.timestamp()
        with self.ledger() as ledger:
            token = ledger.acquire(lock_name("promo", plan.occurrence), ADA, now)
            ledger.register_plan(
                digest=plan.digest,
                campaign="promo",
                occurrence=plan.occurrence,
                to_send=plan.to_send,
                created_at=now,
            )
            run = ledger.begin_run(token, plan.digest, ADA, now)
            self._send(ledger, token, run, plan, count)
            if cause == "killed":
                ledger.release(token)
                raise Killed
            if code is ExitCode.DONE:
                ledger.finish_plan(token, plan.digest, now)
            ledger.end_run(run, code, now)
            ledger.release(token)
        stop = {"cause": cause, "detail": f"{cause} stopped it"} if cause else None
        return code, {"run": run, "stop": stop}

    def _send(self, ledger, token, run, plan, count):
        from runner.delivery import DeliveryKey
        from runner.ledger.interface import Intent, Settlement
        from tests.ledger.conftest import ANSWERS

        for phone in plan.people:
            if count == 0:
                return
            key = DeliveryKey(campaign="promo", occurrence=plan.occurrence, phone=phone)
            states = ledger.states("promo", plan.occurrence, [phone])
            if states:
                continue
            count -= 1
            now = self.now.timestamp()
            assert ledger.commit(token, [Intent(key=key, recipient_id=phone, run=run)], [], now) == [True]
            self.sent.append((plan.occurrence, phone))
            ledger.commit(token, [], [Settlement(key=key, run=run, answer=ANSWERS["accepted"])], now)

    def states(self):
        with self.ledger() as ledger:
            return {each.occurrence: each.state.value for each in ledger.last_firings("promo", 999)}


@pytest.fixture
def world(tmp_path, load):
    campaign = replace(load(LEAST.replace("query: SELECT 1", "query: SELECT 2")), schedule=HOURLY)
    return World(tmp_path, campaign)


def outcomes(results):
    return [(result.record.occurrence[11:16], result.outcome.value) for result in results]


def test_a_campaign_fires_from_the_first_look_on_and_each_slot_once(world):
    assert world.tick() == []
    assert world.states() == {}
    results = world.after(minutes=61).tick()
    assert outcomes(results) == [("03:00", "finished")]
    assert results[0].exit_code is ExitCode.DONE
    assert world.tick() == []
    world.people.append("4")
    assert world.after(minutes=2).tick() == []
    assert [phone for _, phone in world.sent] == ["1", "2", "3"]
    assert world.desk.told == [("planned", "2026-11-23T03:00Z")]


def test_what_nobody_was_there_for_runs_once_or_is_missed_and_told(world):
    world.tick()
    results = world.after(hours=3, minutes=30).tick()
    assert outcomes(results) == [("03:00", "missed"), ("04:00", "missed"), ("05:00", "finished")]
    assert results[0].detail == "150 minutes late (schedule.missed is run_once)"
    assert world.desk.told[0] == ("missed", "2026-11-23T03:00Z", "2026-11-23T04:00Z")
    world.campaign = replace(world.campaign, schedule=replace(HOURLY, missed=Missed.SKIP))
    assert outcomes(world.after(hours=1).tick()) == [("06:00", "missed")]
    assert set(world.states().values()) == {"missed", "finished"}


def test_without_an_approval_it_plans_tells_and_waits_once_and_goes_on_within_its_grace(world):
    world.approved = False
    world.tick()
    results = world.after(minutes=60).tick()
    assert outcomes(results) == [("03:00", "waiting")]
    assert results[0].exit_code is ExitCode.DONE
    assert results[0].detail == "nobody approved"
    for _ in range(3):
        assert outcomes(world.after(minutes=5).tick()) == [("03:00", "waiting")]
    assert world.desk.told == [("planned", "2026-11-23T03:00Z"), ("waiting", "2026-11-23T03:00Z")]
    assert len(world.planned) == 1
    assert world.sent == []
    world.approved = True
    assert outcomes(world.after(minutes=30).tick()) == [("03:00", "finished")]
    assert len(world.planned) == 1
    assert len(world.sent) == 3


def test_an_edited_definition_is_planned_and_told_again(world):
    world.approved = False
    world.tick()
    world.after(minutes=60).tick()
    world.definition = "d2"
    world.tick()
    assert [event for event, _ in world.desk.told] == ["planned", "waiting"] * 2


def test_an_approval_that_comes_too_late_is_a_firing_missed(world):
    world.approved = False
    world.tick()
    world.after(minutes=60).tick()
    world.approved = True
    (result,) = [each for each in world.after(minutes=61).tick() if each.outcome is Outcome.MISSED]
    assert result.detail.endswith("it waited: nobody approved")
    assert all("T03:" not in occurrence for occurrence, _ in world.sent)


@pytest.mark.parametrize("is_plan_kept", [True, False])
def test_a_firing_that_was_killed_or_interrupted_is_resumed_from_its_plan_or_planned_again(
    world, is_plan_kept
):
    world.tick()
    world.ends = [(1, ExitCode.ERROR, "killed"), (1, ExitCode.INTERRUPTED, None)]
    with pytest.raises(Killed):
        world.after(minutes=60).tick()
    assert world.states() == {"2026-11-23T03:00Z": "started"}
    for _ in range(2):
        if not is_plan_kept:
            world.plans.clear()
        result = world.after(minutes=1).tick()[0]
    assert (result.outcome, result.record.state) == (Outcome.FINISHED, FiringState.FINISHED)
    assert [phone for _, phone in world.sent] == ["1", "2", "3"]
    assert len(world.planned) == (1 if is_plan_kept else 3)


def test_an_interruption_ends_the_tick_and_is_its_exit_code(world):
    world.tick()
    world.ends = [(1, ExitCode.INTERRUPTED, None)]
    world.campaign = replace(world.campaign, schedule=replace(HOURLY, cron="*/5 * * * *"))
    (result,) = world.after(minutes=10).tick()
    assert (result.outcome, result.exit_code) == (Outcome.PAUSED, ExitCode.INTERRUPTED)
    assert outcomes(world.tick()) == [("02:05", "finished"), ("02:10", "finished")]


def test_what_was_begun_is_resumed_past_its_grace_but_not_past_its_plan(world):
    world.tick()
    world.ends = [(1, ExitCode.STOPPED, "provider"), (1, ExitCode.STOPPED, "provider")]
    world.after(minutes=60).tick()
    assert ("03:00", "paused") in outcomes(world.after(hours=30).tick())
    assert ("2026-11-23T03:00Z", "2") in world.sent
    results = world.after(hours=45).tick()
    (expired,) = [each for each in results if each.record.occurrence == "2026-11-23T03:00Z"]
    assert expired.detail == "it was begun, and what was left of it has expired"
    assert ("2026-11-23T03:00Z", "3") not in world.sent


def test_a_refused_apply_leaves_the_firing_to_its_grace(world):
    world.tick()
    world.ends = [(0, ExitCode.REFUSED, None)]
    (result,) = world.after(minutes=60).tick()
    assert (result.outcome, result.exit_code) == (Outcome.FAILED, ExitCode.REFUSED)
    assert world.states() == {"2026-11-23T03:00Z": "due"}
    assert outcomes(world.after(minutes=1).tick()) == [("03:00", "finished")]


def test_a_plan_that_became_stale_is_made_anew(world):
    world.tick()
    world.ends = [(1, ExitCode.STOPPED, "window"), (0, ExitCode.REFUSED, None)]
    world.after(minutes=60).tick()
    assert outcomes(world.after(minutes=1).tick()) == [("03:00", "finished")]
    assert len(world.planned) == 2


def test_an_error_is_told_leaves_the_firing_open_and_is_the_exit_code(world):
    world.tick()
    world.provider_is_down = True
    (result,) = world.after(minutes=60).tick()
    assert (result.outcome, result.exit_code) == (Outcome.FAILED, ExitCode.ERROR)
    assert world.desk.told == [("failed", "2026-11-23T03:00Z", "the provider cannot be reached")]
    world.provider_is_down, world.is_over_guard = False, True
    (result,) = world.tick()
    assert (result.exit_code, result.record.state) == (ExitCode.REFUSED, FiringState.DUE)
    world.is_over_guard = False
    assert outcomes(world.tick()) == [("03:00", "finished")]


def test_a_guard_that_stops_a_run_stops_the_campaign_until_a_person_resumes(world):
    world.tick()
    world.ends = [(1, ExitCode.STOPPED, "guard")]
    world.after(minutes=60).tick()
    world.plans.clear()
    (result,) = world.after(minutes=1).tick()
    assert result.outcome is Outcome.PAUSED
    assert "ada (a tick) stopped promo" in result.detail
    assert "(guard stopped it)" in result.detail
    assert len(world.sent) == 1
    with world.ledger() as ledger:
        ledger.resume("promo", by="dewi", now=0.0)
    assert outcomes(world.tick()) == [("03:00", "finished")]
    assert len(world.sent) == 3


def test_a_stopped_campaign_waits_and_is_no_error(world):
    world.tick()
    with world.ledger() as ledger:
        ledger.stop("promo", by="dewi", note="", now=0.0)
    (result,) = world.after(minutes=60).tick()
    assert (result.outcome, result.exit_code) == (Outcome.PAUSED, ExitCode.DONE)
    assert result.detail.endswith("`runner resume promo` lifts it")
    assert world.planned == []


def test_what_a_person_applied_by_hand_is_finished_and_what_they_are_applying_is_left_to_them(world):
    world.tick()
    plan = world.after(minutes=60).desk.plan(
        SimpleNamespace(occurrence="2026-11-23T03:00Z", due_at=world.now)
    )
    with world.ledger() as ledger:
        token = ledger.acquire(
            lock_name("promo", plan.occurrence), replace(ADA, host="there"), world.now.timestamp()
        )
        assert world.tick()[0].detail == "somebody is applying it"
        ledger.release(token)
    world.apply(plan)
    world.people.append("4")
    assert outcomes(world.tick()) == [("03:00", "finished")]
    assert len(world.planned) == 1
    assert len(world.sent) == 3


def test_a_campaign_that_another_process_runs_is_left_to_it(world):
    world.tick()
    world.after(minutes=60)
    with world.ledger() as ledger:
        token = ledger.acquire(campaign_lock_name("promo"), replace(ADA, host="there"), world.now.timestamp())
        with pytest.raises(LockHeld):
            world.tick()
        assert world.planned == []
        ledger.release(token)
    assert outcomes(world.tick()) == [("03:00", "finished")]
    with world.ledger() as ledger:
        ledger.release(ledger.acquire(campaign_lock_name("promo"), ADA, world.now.timestamp()))


def test_who_lost_the_lock_while_planning_sends_nothing(world):
    world.tick()
    plan_of = world.desk.plan

    def slow_plan(firing):
        with world.ledger() as ledger:
            token = ledger.acquire(
                campaign_lock_name("promo"), replace(ADA, host="there"), world.now.timestamp() + 999
            )
            ledger.release(token)
        return plan_of(firing)

    world.desk.plan = slow_plan
    with pytest.raises(LockLost):
        world.after(minutes=60).tick()
    assert world.sent == []


def test_a_schedule_that_was_edited_withdraws_what_has_not_started(world):
    world.approved = False
    world.tick()
    world.after(minutes=60).tick()
    world.campaign = replace(world.campaign, schedule=replace(HOURLY, cron="30 * * * *"))
    assert outcomes(world.after(minutes=31).tick()) == [("03:00", "missed"), ("03:30", "waiting")]
    with world.ledger() as ledger:
        assert ledger.last_firings("promo", 9)[1].detail == "the schedule does not fire then any more"


def test_a_time_that_is_put_off_fires_then_once(world):
    def at(hour):
        return replace(world.campaign, schedule=Schedule(at=datetime(2026, 11, 23, hour, 0), zone="UTC"))

    world.campaign, world.approved = at(3), False
    world.tick()
    world.after(minutes=60).tick()
    world.campaign, world.approved = at(5), True
    assert [result.outcome for result in world.after(minutes=1).tick()] == [Outcome.MISSED]
    (result,) = world.after(hours=2).tick()
    assert (result.record.occurrence, result.outcome) == ("once", Outcome.FINISHED)
    world.campaign = at(7)
    assert world.after(hours=2).tick() == []
    assert len(world.sent) == 3


def test_a_look_shows_what_a_tick_would_find_and_records_nothing(world):
    with world.ledger() as ledger:
        assert would_be_due(world.campaign, ledger, world.now) == []
        assert ledger.noted_until("promo") is None
        note_due(world.campaign, ledger, ADA, world.now)
        seen = would_be_due(world.campaign, ledger, world.now + timedelta(hours=2))
        assert [record.occurrence[11:16] for record in seen] == ["03:00", "04:00"]
        assert ledger.open_firings("promo") == []


STEPS = st.lists(
    st.sampled_from(
        [
            "tick",
            "tick",
            "later",
            "much later",
            "kill",
            "interrupt",
            "approve",
            "revoke",
            "lose plans",
            "grow",
        ]
    ),
    max_size=25,
)


@settings(max_examples=15, deadline=None)
@given(steps=STEPS)
def test_whatever_happens_every_slot_has_one_account_and_nobody_gets_one_twice(tmp_path_factory, steps):
    from runner.campaign_file import load_campaign
    from runner.project import Project

    root = tmp_path_factory.mktemp("world")
    (root / "x.yml").write_text(LEAST)
    project = Project(root=root, data=root, state=root, ledger="", providers={"ada": None})
    world = World(root, replace(load_campaign(root / "x.yml", project), schedule=HOURLY))
    world.tick()
    closed = {}
    for step in [*steps, "much later", "tick"]:
        world.ends = {
            "kill": [(1, ExitCode.ERROR, "killed")],
            "interrupt": [(1, ExitCode.INTERRUPTED, None)],
        }.get(step, [])
        world.now += {"later": timedelta(minutes=20), "much later": timedelta(hours=4)}.get(step, timedelta())
        world.approved = {"approve": True, "revoke": False}.get(step, world.approved)
        world.plans = {} if step == "lose plans" else world.plans
        world.people += [str(len(world.people) + 1)] if step == "grow" else []
        if step in {"tick", "kill", "interrupt"}:
            with suppress(Killed):
                world.tick()
        states = world.states()
        for occurrence, state in closed.items():
            assert states[occurrence] == state
        closed |= {key: state for key, state in states.items() if state in {"finished", "missed"}}
    assert len(world.sent) == len(set(world.sent))
    slots = int((world.now - START) / timedelta(hours=1))
    assert len(world.states()) == slots
