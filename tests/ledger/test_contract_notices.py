"""Both ledgers: which state people were told of is claimed once, from any number of places."""

import pytest

from runner.notice import Notice, NoticeEvent


def notice(event, cause="", *, campaign="promo", occurrence="once"):
    return Notice(event=event, campaign=campaign, occurrence=occurrence, cause=cause)


STARTED = notice(NoticeEvent.STARTED)
FAILED = notice(NoticeEvent.FAILED, "no connection")
STOPPED = notice(NoticeEvent.STOPPED, "guard")


def test_a_state_is_claimed_once_and_again_after_another(ledger):
    assert ledger.claim_notice(FAILED, 1.0)
    assert not ledger.claim_notice(FAILED, 2.0)
    assert ledger.claim_notice(STOPPED, 3.0)
    assert ledger.claim_notice(FAILED, 4.0)


def test_another_cause_is_another_state(ledger):
    assert ledger.claim_notice(FAILED, 1.0)
    assert ledger.claim_notice(notice(NoticeEvent.FAILED, "bad key"), 2.0)


@pytest.mark.parametrize("before", [FAILED, STOPPED, STARTED])
def test_a_run_that_goes_on_is_no_new_start(ledger, before):
    ledger.claim_notice(before, 1.0)
    assert not ledger.claim_notice(STARTED, 2.0)
    assert not ledger.claim_notice(before, 3.0)


def test_a_run_after_a_finished_one_is_a_new_start(ledger):
    ledger.claim_notice(notice(NoticeEvent.FINISHED, "abc"), 1.0)
    assert ledger.claim_notice(STARTED, 2.0)
    assert ledger.claim_notice(notice(NoticeEvent.FINISHED, "def"), 3.0)


def test_occurrences_campaigns_and_topics_are_apart(ledger):
    assert ledger.claim_notice(FAILED, 1.0)
    assert ledger.claim_notice(notice(NoticeEvent.LOG_FAILED), 1.0)
    assert ledger.claim_notice(notice(NoticeEvent.FAILED, "no connection", occurrence="x"), 1.0)
    assert ledger.claim_notice(notice(NoticeEvent.FAILED, "no connection", campaign="other"), 1.0)


def test_a_dropped_state_can_be_claimed_again(ledger):
    ledger.claim_notice(FAILED, 1.0)
    ledger.drop_notice("promo", "once", "run", STOPPED.state)
    assert not ledger.claim_notice(FAILED, 2.0)
    ledger.drop_notice("promo", "once", "run", FAILED.state)
    assert ledger.claim_notice(FAILED, 3.0)
    ledger.drop_notice("promo", "once", "run")
    assert ledger.claim_notice(FAILED, 4.0)
