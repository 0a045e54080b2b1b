"""What every ledger promises, over every kind of ledger."""

from __future__ import annotations

import pytest

from runner.delivery import DeliveryKey, State
from runner.errors import LedgerError
from runner.ledger.interface import Counts, LockLost

NOW = 1_780_000_000.0
LOCK = "lebaran/once"

# Deliveries: at most once


def test_a_first_intent_is_recorded(applying):
    assert applying.intend("6281", "6282") == [True, True]
    assert applying.state("6281") == "intent"


@pytest.mark.parametrize("outcome", ["accepted", "refused", "unknown"])
def test_a_delivery_with_an_account_is_never_intended_again(applying, outcome):
    applying.send(outcome, "6281")

    assert applying.intend("6281", "6282") == [False, True]
    assert applying.state("6281") == outcome


def test_a_delivery_in_flight_is_not_intended_again(applying):
    assert applying.intend("6281", "6281") == [True, False]
    assert applying.intend("6281") == [False]


def test_what_was_refused_for_now_is_intended_again_and_counts_its_attempts(applying):
    applying.send("retry", "6281")

    assert applying.intend("6281", now=NOW + 5) == [True]

    delivery = applying.ledger.history("6281")[0].delivery
    assert (delivery.state, delivery.attempts, delivery.intent_at) == (State.INTENT, 2, NOW + 5)
    assert (delivery.settled_at, delivery.rule, delivery.http_status) == (None, None, None)


def test_a_retry_passes_to_the_plan_and_run_that_send_it_again(ledger, begin):
    first = begin(ledger)
    first.send("retry", "6281")
    first.stop()
    second = begin(ledger, "plan-2")
    second.send("accepted", "6281")

    delivery = ledger.history("6281")[0].delivery
    assert (delivery.plan, delivery.run, delivery.state) == ("plan-2", second.run, State.ACCEPTED)
    assert ledger.counts("plan-1") == Counts()
    assert ledger.counts("plan-2") == Counts(accepted=1)


def test_another_plan_of_the_occurrence_cannot_send_to_the_same_phone(ledger, begin):
    first = begin(ledger)
    first.send("accepted", "6281")
    first.stop()

    assert begin(ledger, "plan-2").intend("6281") == [False]


def test_the_same_phone_in_another_campaign_or_occurrence_is_another_delivery(ledger, begin):
    begin(ledger).send("accepted", "6281")

    assert begin(ledger, "plan-2", occurrence="2026-03-20T10:00Z").intend("6281") == [True]
    assert begin(ledger, "plan-3", campaign="other").intend("6281") == [True]


def test_outcomes_are_recorded_before_intents_so_one_group_may_hold_a_retry_and_its_next_attempt(applying):
    applying.intend("6281")
    settled, intent = applying.settlement("retry", "6281"), applying.intent("6281")

    assert applying.ledger.commit(applying.token, [intent], [settled], NOW) == [True]


@pytest.mark.parametrize("phone", ["6281", "6282"])
def test_an_outcome_without_an_intent_is_an_error_and_nothing_of_its_group_is_recorded(applying, phone):
    applying.send("accepted", "6281")
    group = [applying.settlement("refused", phone)]

    with pytest.raises(LedgerError, match="without an intent"):
        applying.ledger.commit(applying.token, [applying.intent("6283")], group, NOW)

    assert applying.ledger.states("lebaran", "once", ["6282", "6283"]) == {}
    assert applying.state("6281") == "accepted"
    assert applying.ledger.counts("plan-1") == Counts(accepted=1)


def test_an_outcome_of_another_run_is_an_error(ledger, begin):
    first = begin(ledger)
    first.intend("6281")
    first.stop()
    second = begin(ledger)

    with pytest.raises(LedgerError, match="without an intent"):
        second.settle("accepted", "6281")


def test_a_delivery_of_another_occurrence_than_the_run_is_an_error(applying):
    stranger = applying.intent("6281")._replace(
        key=DeliveryKey(campaign="lebaran", occurrence="x", phone="1")
    )

    with pytest.raises(LedgerError, match="no run of lebaran/x"):
        applying.ledger.commit(applying.token, [stranger], [], NOW)


def test_an_unknown_run_is_an_error(applying):
    with pytest.raises(LedgerError, match="run 99 is no run"):
        applying.ledger.commit(applying.token, [applying.intent("6281")._replace(run=99)], [], NOW)


def test_what_is_committed_is_seen_by_every_other_process(applying, open_again):
    applying.send("accepted", "6281")

    assert open_again().states("lebaran", "once", ["6281"]) == {"6281": State.ACCEPTED}


def test_a_message_id_and_the_evidence_are_kept(applying):
    applying.send("accepted", "6281", now=NOW + 1)
    applying.send("refused", "6282")

    accepted, refused = (applying.ledger.history(phone)[0].delivery for phone in ("6281", "6282"))
    assert (accepted.message_id, accepted.rule, accepted.http_status) == ("wamid.1", "an id", 200)
    assert (accepted.recipient_id, accepted.settled_at) == ("id-6281", NOW + 1)
    assert (refused.code, refused.detail) == ("131026", "no user")


# Fencing and recovery


def test_a_process_that_lost_its_lock_records_nothing(applying, ada):
    applying.ledger.release(applying.token)
    applying.ledger.acquire(LOCK, ada, NOW)

    with pytest.raises(LockLost, match="another process has taken over"):
        applying.intend("6281")
    with pytest.raises(LockLost):
        applying.ledger.begin_run(applying.token, "plan-1", ada, NOW)
    with pytest.raises(LockLost):
        applying.ledger.finish_plan(applying.token, "plan-1", NOW)
    with pytest.raises(LockLost):
        applying.ledger.settle_interrupted(applying.token, "lebaran", "once", NOW)
    with pytest.raises(LockLost):
        applying.ledger.heartbeat(applying.token, NOW)
    assert applying.ledger.states("lebaran", "once", ["6281"]) == {}


def test_what_a_killed_run_left_in_flight_becomes_unknown_and_stays_so(ledger, begin):
    killed = begin(ledger)
    killed.send("accepted", "6281")
    killed.intend("6282", "6283")
    ledger.release(killed.token)
    resumed = begin(ledger)

    assert ledger.settle_interrupted(resumed.token, "lebaran", "once", NOW + 9) == 2
    assert ledger.settle_interrupted(resumed.token, "lebaran", "once", NOW + 9) == 0
    assert resumed.intend("6281", "6282", "6283") == [False, False, False]
    assert ledger.counts("plan-1") == Counts(accepted=1, unknown=2)
    (outcome,) = ledger.history("6282")[0].events
    assert (outcome.event, outcome.rule, outcome.at) == ("unknown", "interrupted", NOW + 9)
    assert outcome.run == killed.run


def test_recovery_of_one_occurrence_leaves_the_others_alone(ledger, begin):
    begin(ledger).intend("6281")
    other = begin(ledger, "plan-2", campaign="other")

    assert ledger.settle_interrupted(other.token, "other", "once", NOW) == 0
    assert ledger.counts("plan-1") == Counts(in_flight=1)


# Plans, runs, counts


def test_a_plan_is_recorded_once_and_stays_as_it_is(ledger):
    first = ledger.register_plan(digest="d", campaign="lebaran", occurrence="once", to_send=5, created_at=NOW)
    again = ledger.register_plan(digest="d", campaign="lebaran", occurrence="once", to_send=9, created_at=0)

    assert again == first == ledger.plan_record("d")
    assert (first.to_send, first.created_at, first.first_applied_at, first.finished_at) == (
        5,
        NOW,
        None,
        None,
    )
    assert ledger.plan_record("unheard of") is None


def test_a_plan_knows_when_it_was_first_applied_and_first_finished(ledger, begin):
    first = begin(ledger)
    first.stop()
    second = begin(ledger, now=NOW + 60)
    ledger.finish_plan(second.token, "plan-1", NOW + 70)
    ledger.finish_plan(second.token, "plan-1", NOW + 80)

    record = ledger.plan_record("plan-1")
    assert (record.first_applied_at, record.finished_at) == (NOW, NOW + 70)


def test_a_run_of_a_plan_that_was_not_registered_is_an_error(ledger, ada):
    token = ledger.acquire(LOCK, ada, NOW)

    with pytest.raises(LedgerError, match="plan unheard of is not in the ledger"):
        ledger.begin_run(token, "unheard of", ada, NOW)


def test_counts_are_over_the_whole_plan_however_often_it_was_resumed(ledger, begin):
    first = begin(ledger)
    first.send("accepted", "1", "2", "3")
    first.send("refused", "4")
    first.send("retry", "5", "6")
    first.stop()
    second = begin(ledger)
    second.send("accepted", "5")
    second.send("unknown", "7")
    second.intend("8")

    counts = ledger.counts("plan-1")
    assert counts == Counts(
        accepted=4, refused=1, unknown=1, retry=1, in_flight=1, refused_by_rule={"4xx": 1}
    )
    assert ledger.counts("unheard of") == Counts()


def test_the_generation_grows_with_runs_and_settlements_by_hand_only(ledger, begin, resolve):
    assert ledger.generation("lebaran", "once") == 0
    applying = begin(ledger)
    assert ledger.generation("lebaran", "once") == 1
    applying.send("unknown", "6281")
    applying.stop()
    assert ledger.generation("lebaran", "once") == 1
    resolve(ledger, "6281", State.ACCEPTED)
    assert ledger.generation("lebaran", "once") == 2
    resolve(ledger, "6281", State.ACCEPTED)
    begin(ledger, "plan-2", campaign="other")
    assert ledger.generation("lebaran", "once") == 2
    begin(ledger)
    assert ledger.generation("lebaran", "once") == 3


def test_status_shows_the_latest_plan_and_run_and_who_holds_the_lock(ledger, begin, ada, pass_to):
    first = begin(ledger)
    first.send("accepted", "1")
    first.stop(exit_code=130)
    pass_to(NOW + 60)
    second = begin(ledger, "plan-2", to_send=3, now=NOW + 60)
    second.send("refused", "2")
    begin(ledger, "plan-3", campaign="other").stop()

    lebaran, other = ledger.summary()
    assert (lebaran.campaign, lebaran.occurrence) == ("lebaran", "once")
    assert (lebaran.plan.digest, lebaran.plan.to_send) == ("plan-2", 3)
    assert lebaran.counts == Counts(refused=1, refused_by_rule={"4xx": 1})
    assert lebaran.total == Counts(accepted=1, refused=1, refused_by_rule={"4xx": 1})
    assert (lebaran.last_run.id, lebaran.last_run.holder) == (second.run, ada)
    assert (lebaran.last_run.started_at, lebaran.last_run.ended_at) == (NOW + 60, None)
    assert (lebaran.lock.holder, lebaran.lock.started_at) == (ada, NOW + 60)
    assert (other.last_run.exit_code, other.lock) == (0, None)
    assert ledger.summary("other") == [other]


def test_status_of_a_plan_registered_but_never_run_has_no_run(ledger):
    ledger.register_plan(digest="d", campaign="lebaran", occurrence="once", to_send=5, created_at=NOW)

    assert ledger.summary()[0].last_run is None


def test_a_new_ledger_knows_nothing(ledger):
    assert ledger.summary() == []
    assert ledger.history("6281") == []
    assert ledger.unknowns("lebaran", "once", 5) == []
    assert list(ledger.taken("lebaran", "once")) == []
    assert list(ledger.recent(0.0)) == []
    assert ledger.states("lebaran", "once", ["6281"]) == {}
