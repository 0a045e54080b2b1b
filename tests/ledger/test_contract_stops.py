"""What every ledger promises of stops: once one stands, nothing new is begun."""

from contextlib import closing

import pytest

from runner.delivery import State
from runner.errors import ExitCode, LedgerError
from runner.ledger import store
from runner.ledger.interface import CampaignStopped, Holder, StopRecord
from runner.ledger.sqlite import sqlite_ledger
from runner.ledger.sqlite_file import open_file

NOW = 1_780_000_000.0


def stop(ledger, campaign="lebaran", now=NOW, note=""):
    return ledger.stop(campaign, by="ada", note=note, now=now)


def test_a_stop_stands_for_its_campaign_alone_and_says_who_when_and_why(ledger):
    found = stop(ledger, note="a wrong voucher")
    assert found == StopRecord(campaign="lebaran", by="ada", note="a wrong voucher", at=NOW)
    assert str(found) == "ada stopped lebaran at 2026-05-28 20:26 UTC (a wrong voucher)"
    assert ledger.standing_stop("lebaran") == found
    assert ledger.standing_stop("other") is None
    assert ledger.stops() == [found]


def test_a_stop_of_all_stands_for_every_campaign_behind_its_own(ledger):
    everybody = stop(ledger, None)
    assert str(everybody) == "ada stopped every campaign at 2026-05-28 20:26 UTC"
    own = stop(ledger)
    assert ledger.standing_stop("other") == everybody
    assert ledger.standing_stop("lebaran") == own
    assert ledger.stops() == [everybody, own]


def test_a_second_stop_leaves_the_first_as_it_is(ledger):
    first = stop(ledger, note="why")
    assert ledger.stop("lebaran", by="grace", note="because", now=NOW + 5) == first
    assert ledger.stops() == [first]


def test_what_stopped_it_lifts_it_and_nothing_else_does(ledger):
    stop(ledger)
    stop(ledger, None)
    assert ledger.resume("other", by="grace", now=NOW) is False
    assert ledger.resume(None, by="grace", now=NOW) is True
    assert [each.campaign for each in ledger.stops()] == ["lebaran"]
    assert ledger.resume("lebaran", by="grace", now=NOW) is True
    assert ledger.resume("lebaran", by="grace", now=NOW) is False
    assert (ledger.stops(), ledger.standing_stop("lebaran")) == ([], None)


def test_a_campaign_can_be_stopped_again_after_its_stop_was_lifted(ledger):
    stop(ledger)
    ledger.resume("lebaran", by="grace", now=NOW)
    assert stop(ledger, now=NOW + 9).at == NOW + 9


@pytest.mark.parametrize("campaign", ["lebaran", None])
def test_of_a_stopped_campaign_no_intent_is_recorded_and_every_outcome_is(applying, open_again, campaign):
    applying.intend("6281")
    stop(open_again(), campaign)
    settled, intent = applying.settlement("accepted", "6281"), applying.intent("6282")

    with pytest.raises(CampaignStopped, match="ada stopped") as stopped:
        applying.ledger.commit(applying.token, [intent], [settled], NOW)

    assert stopped.value.exit_code is ExitCode.STOPPED
    assert "runner resume" in stopped.value.hint
    states = applying.ledger.states("lebaran", "once", ["6281", "6282"])
    assert states == {"6281": State.ACCEPTED}
    assert applying.ledger.counts("plan-1").accepted == 1
    assert applying.ledger.counts("plan-1").in_flight == 0


def test_outcomes_alone_do_not_meet_a_stop(applying):
    applying.intend("6281")
    stop(applying.ledger)
    applying.settle("accepted", "6281")
    assert applying.state("6281") == "accepted"


def test_after_the_stop_is_lifted_intents_are_recorded_again(applying):
    stop(applying.ledger)
    with pytest.raises(CampaignStopped):
        applying.intend("6281")
    applying.ledger.resume("lebaran", by="grace", now=NOW)
    assert applying.intend("6281") == [True]


def test_another_campaign_goes_on(applying):
    stop(applying.ledger, "other")
    assert applying.intend("6281") == [True]


def test_a_stop_waits_for_a_group_under_way_and_the_next_group_meets_it(applying, impatient):
    """What has looked for a stop, and found none, records its intents before the stop stands."""
    with applying.ledger._store.transaction():
        assert applying.ledger.standing_stop("lebaran") is None
        with pytest.raises(LedgerError):
            stop(impatient)
    assert stop(impatient).at == NOW
    with pytest.raises(CampaignStopped):
        applying.intend("6281")


@pytest.fixture
def impatient(url, path, open_again):
    """The same ledger in another process's hands, which waits a moment only for what others hold."""
    if url.startswith("sqlite"):
        with closing(sqlite_ledger(open_file(path, busy_seconds=0.05))) as ledger:
            yield ledger
        return
    ledger = open_again()
    ledger._store._connection.execute("SET lock_timeout = '50ms'")
    yield ledger


def test_a_ledger_from_before_there_were_stops_keeps_all_it_holds(begin, open_again, monkeypatch):
    real = store.shipped_migrations
    with monkeypatch.context() as patch:
        for module in ("sqlite_file", "postgres_database"):
            patch.setattr(f"runner.ledger.{module}.shipped_migrations", lambda dialect: real(dialect)[:1])
        old = open_again()
        identity = old.identity()
        token = old.acquire("other/once", Holder(owner="ada", host="here", pid=1), NOW)
    ledger = open_again()
    assert ledger.identity() == identity
    ledger.heartbeat(token, NOW)
    applying = begin(ledger)
    applying.send("accepted", "6281")
    stop(ledger)
    with pytest.raises(CampaignStopped):
        applying.intend("6282")
    assert applying.state("6281") == "accepted"


def test_when_the_last_outcome_came_is_known(applying):
    assert applying.ledger.last_outcome("plan-1") is None
    applying.intend("6281")
    assert applying.ledger.last_outcome("plan-1") is None
    applying.settle("accepted", "6281", now=NOW + 3)
    applying.send("refused", "6282", now=NOW + 5)
    assert applying.ledger.last_outcome("plan-1") == NOW + 5
    assert applying.ledger.last_outcome("another") is None
