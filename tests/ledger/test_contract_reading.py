"""What every ledger answers: to planning, and to a person who asks and settles."""

from __future__ import annotations

from itertools import chain

import pytest

from runner.delivery import State
from runner.errors import UsageError
from runner.ledger.interface import Counts

NOW = 1_780_000_000.0

# What planning asks


def test_taken_phones_are_those_that_may_not_be_sent_again(applying):
    for phone, outcome in enumerate(["accepted", "refused", "unknown", "retry"]):
        applying.send(outcome, str(phone))
    applying.intend("4")

    assert list(applying.ledger.taken("lebaran", "once")) == [["0", "1", "2", "4"]]
    assert list(applying.ledger.taken("other", "once")) == []


def test_taken_phones_can_leave_out_those_of_one_plan(ledger, begin):
    first = begin(ledger)
    first.send("accepted", "1")
    first.send("retry", "2")
    first.stop()
    second = begin(ledger, "plan-2")
    second.send("accepted", "3")

    assert list(ledger.taken("lebaran", "once", other_than_plan="plan-2")) == [["1"]]
    assert list(ledger.taken("lebaran", "once", other_than_plan="plan-1")) == [["3"]]
    assert list(ledger.taken("lebaran", "once", other_than_plan="unheard of")) == [["1", "3"]]


def test_taken_and_recent_come_in_batches_of_ten_thousand(applying):
    phones = [f"62{number:08d}" for number in range(10_005)]
    applying.intend(*phones)

    taken = list(applying.ledger.taken("lebaran", "once"))
    assert [len(batch) for batch in taken] == [10_000, 5]
    assert list(chain(*taken)) == phones
    assert [len(batch) for batch in applying.ledger.recent(0.0)] == [10_000, 5]
    assert len(applying.ledger.states("lebaran", "once", phones)) == 10_005


def test_recent_counts_what_a_phone_may_have_got_since_then_over_all_campaigns(ledger, begin):
    early = begin(ledger)
    early.send("accepted", "1", now=NOW - 100)
    early.send("accepted", "2", "3", now=NOW)
    later = begin(ledger, "plan-2", campaign="other")
    later.send("unknown", "2", now=NOW + 1)
    later.send("refused", "3", now=NOW + 1)
    later.send("retry", "4", now=NOW + 1)
    later.intend("5", now=NOW + 1)

    assert dict(chain(*ledger.recent(NOW - 100))) == {"2": 2, "3": 1, "5": 1}


# What a person asks and settles


@pytest.mark.parametrize("to", [State.ACCEPTED, State.REFUSED, State.RETRY])
def test_a_person_settles_an_unknown_delivery_and_the_trace_stays(applying, to, resolve):
    applying.send("unknown", "6281", "6282")

    assert resolve(applying.ledger, "6281", to) == 1

    (history,) = applying.ledger.history("6281")
    assert (history.delivery.state, history.delivery.rule) == (to, "resolved by grace")
    first, second = history.events
    assert (first.event, first.rule) == ("unknown", "time-out")
    assert (second.event, second.detail, second.at) == (to.value, "asked them", NOW + 7)
    assert applying.state("6282") == "unknown"


def test_a_delivery_resolved_to_retry_may_be_sent_again(applying, resolve):
    applying.send("unknown", "6281")
    resolve(applying.ledger, "6281", State.RETRY)

    applying.send("accepted", "6281")

    assert applying.ledger.counts("plan-1") == Counts(accepted=1)
    assert [outcome.attempt for outcome in applying.ledger.history("6281")[0].events] == [1, 1, 2]


def test_all_unknown_deliveries_can_be_settled_at_once(applying, resolve):
    applying.send("unknown", "1", "2", "3")
    applying.send("accepted", "4")

    assert resolve(applying.ledger, None, State.REFUSED) == 3
    assert applying.ledger.counts("plan-1") == Counts(
        accepted=1, refused=3, refused_by_rule={"resolved by grace": 3}
    )


@pytest.mark.parametrize("outcome", ["accepted", "refused", "retry"])
def test_only_unknown_deliveries_can_be_settled_by_hand(applying, outcome, resolve):
    applying.send(outcome, "6281")
    applying.intend("6282")

    assert resolve(applying.ledger, "6281", State.RETRY) == 0
    assert resolve(applying.ledger, "6282", State.RETRY) == 0
    assert resolve(applying.ledger, "no such phone", State.RETRY) == 0
    assert resolve(applying.ledger, None, State.RETRY) == 0


@pytest.mark.parametrize("to", [State.INTENT, State.UNKNOWN])
def test_an_unknown_delivery_cannot_be_resolved_to_nothing_new(applying, to, resolve):
    with pytest.raises(UsageError, match="cannot be resolved to"):
        resolve(applying.ledger, None, to)


def test_unknown_deliveries_are_listed_oldest_first_up_to_a_limit(applying):
    applying.send("unknown", "9", "8", "7")
    applying.send("accepted", "6")

    assert [found.key.phone for found in applying.ledger.unknowns("lebaran", "once", 2)] == ["9", "8"]


def test_the_history_of_a_phone_holds_every_outcome_of_every_campaign(ledger, begin):
    first = begin(ledger)
    first.send("retry", "6281", now=NOW)
    first.send("retry", "6281", now=NOW + 1)
    first.send("accepted", "6281", "6282", now=NOW + 2)
    begin(ledger, "plan-2", campaign="other").send("refused", "6281", now=NOW + 3)

    lebaran, other = ledger.history("6281")
    assert [(each.attempt, each.event) for each in lebaran.events] == [
        (1, "retry"), (2, "retry"), (3, "accepted"),
    ]  # fmt: skip
    assert lebaran.delivery.key.campaign == "lebaran"
    assert (other.delivery.key.campaign, other.delivery.state) == ("other", State.REFUSED)
