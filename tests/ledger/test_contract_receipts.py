"""What every ledger promises of receipts: each delivery at its furthest, and an unknown one settled."""

from __future__ import annotations

from itertools import chain

import pytest

from runner.delivery import ReceiptStatus, State
from runner.ledger.interface import Counts, Receipt
from tests.ledger.conftest import Applying

NOW = 1_780_000_000.0


@pytest.fixture
def tell(ledger):
    """Return a function by which the provider tells of the deliveries to phones; it says how many moved."""

    def tell(*told, at=NOW + 50, **evidence):
        numbers = {each.phone: each.delivery for each in chain(*ledger.deliveries_between(0, 2 * NOW))}
        evidence = {"message_id": None, "code": None, "detail": None} | evidence
        receipts = [
            Receipt(delivery=numbers[phone], status=ReceiptStatus(status), at=at, source="import", **evidence)
            for phone, status in told
        ]
        return ledger.record_receipts(receipts, NOW + 60)

    return tell


def test_a_receipt_is_kept_counted_and_one_of_the_events(applying, tell):
    applying.send("accepted", "6281", "6282")

    assert tell(("6281", "delivered"), code="7", detail="on one device") == 1

    (history,) = applying.ledger.history("6281")
    assert (history.delivery.state, history.delivery.receipt) == (State.ACCEPTED, ReceiptStatus.DELIVERED)
    assert [each.event for each in history.events] == ["accepted", "delivered"]
    receipt = history.events[1]
    assert (receipt.at, receipt.rule, receipt.code, receipt.detail) == (
        NOW + 50, "import", "7", "on one device",
    )  # fmt: skip
    assert (receipt.message_id, receipt.run, receipt.attempt) == ("wamid.1", applying.run, 1)
    assert applying.ledger.counts("plan-1") == Counts(accepted=2, receipts={"delivered": 1})
    assert applying.ledger.summary()[0].total.receipts == {"delivered": 1}


def test_a_delivery_is_counted_once_at_the_furthest_that_was_told(applying, tell):
    applying.send("accepted", "1", "2")

    assert tell(("1", "sent"), ("1", "failed"), ("1", "delivered"), ("2", "sent"), ("1", "read")) == 5

    assert applying.ledger.counts("plan-1").receipts == {"read": 1, "sent": 1}


def test_the_same_receipt_again_or_one_that_goes_less_far_moves_nothing(applying, tell):
    applying.send("accepted", "1")

    assert tell(("1", "delivered"), ("1", "delivered"), ("1", "sent"), ("1", "failed")) == 1
    assert tell(("1", "delivered")) == 0

    assert len(applying.ledger.history("1")[0].events) == 2
    assert applying.ledger.counts("plan-1").receipts == {"delivered": 1}


@pytest.mark.parametrize("status", ["sent", "failed", "delivered", "read"])
def test_a_receipt_settles_an_unknown_delivery_and_makes_older_plans_stale(applying, tell, status):
    applying.send("unknown", "6281", "6282")
    before = applying.ledger.generation("lebaran", "once")

    assert tell(("6281", status), message_id="wamid.7") == 1

    (history,) = applying.ledger.history("6281")
    assert (history.delivery.state, history.delivery.rule) == (State.ACCEPTED, "receipt")
    assert [each.event for each in history.events] == ["unknown", "accepted", status]
    assert history.delivery.message_id == "wamid.7"
    assert applying.ledger.generation("lebaran", "once") == before + 1
    assert applying.ledger.counts("plan-1") == Counts(accepted=1, unknown=1, receipts={status: 1})


def test_several_receipts_settle_an_unknown_delivery_once(applying, tell):
    applying.send("unknown", "1", "2")

    assert tell(("1", "sent"), ("1", "read"), ("2", "sent")) == 3

    assert [each.event for each in applying.ledger.history("1")[0].events] == [
        "unknown", "accepted", "sent", "read",
    ]  # fmt: skip
    assert applying.ledger.counts("plan-1") == Counts(accepted=2, receipts={"read": 1, "sent": 1})


def test_a_delivery_to_be_sent_again_is_not_once_a_receipt_shows_that_it_was_sent(applying, tell):
    applying.send("retry", "1")

    tell(("1", "delivered"))

    assert applying.intend("1") == [False]
    assert applying.ledger.counts("plan-1") == Counts(accepted=1, receipts={"delivered": 1})


def test_a_receipt_that_overtook_its_answer_settles_the_delivery_when_it_is_told_again(applying, tell):
    applying.intend("1")
    assert tell(("1", "sent")) == 1
    applying.ledger.settle_interrupted(applying.token, "lebaran", "once", NOW)

    assert tell(("1", "sent")) == 1

    assert applying.ledger.counts("plan-1") == Counts(accepted=1, receipts={"sent": 1})


def test_the_count_of_a_receipt_moves_with_a_delivery_that_another_plan_sends_again(ledger, begin, tell):
    first = begin(ledger)
    first.intend("1")
    tell(("1", "sent"))
    first.settle("retry", "1")
    first.stop()
    second = begin(ledger, "plan-2")

    assert second.intend("1") == [True]

    assert ledger.counts("plan-1") == Counts()
    assert ledger.counts("plan-2") == Counts(in_flight=1, receipts={"sent": 1})


def test_receipts_of_several_occurrences_come_together(ledger, begin, tell):
    first = begin(ledger)
    first.send("unknown", "1")
    second = begin(ledger, "plan-2", campaign="other")
    second.send("unknown", "2")
    second.send("accepted", "3")

    assert tell(("3", "read"), ("2", "read"), ("1", "read")) == 3

    assert ledger.counts("plan-1") == Counts(accepted=1, receipts={"read": 1})
    assert ledger.counts("plan-2") == Counts(accepted=2, receipts={"read": 2})
    assert ledger.generation("lebaran", "once") == ledger.generation("other", "once") == 2


def test_a_receipt_of_no_delivery_moves_nothing(applying):
    stray = Receipt(
        delivery=77,
        status=ReceiptStatus.READ,
        at=NOW,
        message_id="x",
        code=None,
        detail=None,
        source="import",
    )

    assert applying.ledger.record_receipts([stray], NOW) == 0
    assert applying.ledger.record_receipts([], NOW) == 0


def test_thousands_of_receipts_may_come_at_once(applying, tell):
    phones = [f"62{number:08d}" for number in range(2500)]
    applying.send("accepted", *phones)

    assert tell(*((phone, "delivered") for phone in phones)) == 2500

    assert applying.ledger.counts("plan-1") == Counts(accepted=2500, receipts={"delivered": 2500})


# Which deliveries a receipt may be about


def test_deliveries_are_listed_by_the_time_of_their_intent_with_what_a_receipt_is_matched_by(ledger, ada):
    token = ledger.acquire("lebaran/once", ada, NOW)
    details = {"sender": "60110000001"}
    ledger.register_plan(
        digest="d", campaign="lebaran", occurrence="once", to_send=3, created_at=NOW, details=details
    )
    run = ledger.begin_run(token, "d", ada, NOW)
    applying = Applying(ledger=ledger, token=token, run=run, campaign="lebaran", occurrence="once")
    applying.send("accepted", "2", now=NOW + 2)
    applying.send("unknown", "1", now=NOW + 1)
    applying.intend("3", now=NOW + 3)

    listed = list(chain(*ledger.deliveries_between(NOW + 1, NOW + 3)))

    assert [(each.phone, each.state.value, each.message_id) for each in listed] == [
        ("1", "unknown", None), ("2", "accepted", "wamid.1"),
    ]  # fmt: skip
    first = listed[0]
    assert (first.campaign, first.occurrence, first.sender) == ("lebaran", "once", "60110000001")
    assert (first.intent_at, first.settled_at, first.receipt) == (NOW + 1, NOW + 1, None)


def test_deliveries_of_a_plan_without_details_have_no_sender(applying):
    applying.intend("1")

    assert [each.sender for each in chain(*applying.ledger.deliveries_between(0, NOW + 1))] == [""]


def test_deliveries_come_in_batches_of_ten_thousand(applying):
    applying.intend(*(f"62{number:08d}" for number in range(10_005)))

    assert [len(batch) for batch in applying.ledger.deliveries_between(NOW, NOW + 1)] == [10_000, 5]
