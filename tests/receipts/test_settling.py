"""runner.receipts.settling: webhooks and deliveries, by the rules of a report, and for what comes early."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from runner.delivery import ReceiptStatus, State
from runner.ledger.webhooks import KeptWebhook
from runner.receipts.reading import pipeline
from runner.receipts.settling import Settler
from tests.receipts.conftest import JAKARTA, SENT_AT, delivery, phone

SENDER = "60110000001"


class Book:
    """A ledger in memory: its deliveries and webhooks, and what was recorded."""

    def __init__(self, *deliveries):
        self.deliveries = {each.delivery: each for each in deliveries}
        self.webhooks = {}
        self.open = {}
        self.recorded = []
        self.verdicts = {}

    def receive(
        self, number, *, status="delivered", at="2026-03-20 10:03:00", received=SENT_AT + 200, **told
    ):
        kept = KeptWebhook(
            number=len(self.webhooks) + 1,
            received_at=received,
            message_id=told.get("message_id"),
            tag=told.get("tag"),
            sender=told.get("sender", SENDER),
            phone=told.get("phone", phone(number) if number else None),
            status=ReceiptStatus(status),
            at=at,
            code=None,
            detail=told.get("detail"),
            verdict=None,
        )
        self.webhooks[kept.number] = kept
        self.open[kept.number] = received
        return kept.number

    def change(self, number, **changes):
        self.deliveries[number] = replace(self.deliveries[number], **changes)

    def due_webhooks(self, now, limit):
        due = sorted((due, number) for number, due in self.open.items() if due is not None and due <= now)
        return [self.webhooks[number] for _, number in due[:limit]]

    def open_webhooks(self, phones, limit):
        return [each for each in self.webhooks.values() if each.number in self.open and each.phone in phones]

    def deliveries_to(self, phones, since):
        yield [each for each in self.deliveries.values() if each.phone in phones and each.intent_at >= since]

    def deliveries_between(self, since, until):
        yield [each for each in self.deliveries.values() if since <= each.intent_at < until]

    def record_receipts(self, receipts, now):
        self.recorded += receipts
        return len(receipts)

    def settle_webhooks(self, verdicts, now):
        for each in verdicts:
            self.verdicts[each.number] = (each.verdict, each.delivery)
            self.webhooks[each.number] = replace(self.webhooks[each.number], verdict=each.verdict)
            if each.is_settled:
                del self.open[each.number]
            else:
                self.open[each.number] = each.due_at


@pytest.fixture
def settle(tmp_path):
    """Return a function that settles what is due, and tells the verdicts."""
    with pipeline(tmp_path) as connection:

        def settle(book, now=SENT_AT + 300, timezone=JAKARTA):
            Settler(connection, timezone).settle_due(book, now)
            return book.verdicts

        yield settle


def unknown(number, **changes):
    return delivery(number, message_id=None, state=State.UNKNOWN, **changes)


def in_flight(number, **changes):
    return delivery(number, message_id=None, state=State.INTENT, settled_at=None, **changes)


def test_a_message_id_finds_its_delivery(settle):
    book = Book(delivery(1), delivery(2))
    book.receive(1, message_id="id1")
    assert settle(book) == {1: ("matched", 1)}
    (receipt,) = book.recorded
    assert (receipt.status, receipt.source, receipt.message_id) == (ReceiptStatus.DELIVERED, "webhook", "id1")
    assert receipt.at == SENT_AT + 180


def test_nothing_due_is_nothing_done(settle):
    assert settle(Book(delivery(1))) == {}


def test_receipts_of_one_delivery_are_recorded_in_the_order_of_their_times(settle):
    book = Book(delivery(1))
    book.receive(1, status="read", at="2026-03-20 10:02:59", message_id="id1")
    book.receive(1, status="sent", at="2026-03-20 10:02:57", message_id="id1")
    book.receive(1, status="delivered", at="2026-03-20 10:02:57", message_id="id1")
    settle(book)
    assert [each.status.value for each in book.recorded] == ["sent", "delivered", "read"]


def test_an_unknown_delivery_is_settled_by_sender_phone_and_time(settle):
    book = Book(unknown(1), unknown(2))
    book.receive(1, message_id="its own")
    assert settle(book) == {1: ("matched", 1)}
    assert book.recorded[0].message_id == "its own"


@pytest.mark.parametrize(
    ("delivery", "told"),
    [
        (unknown(1, sender="60119999999"), {}),
        (unknown(1, intent_at=SENT_AT + 90_000), {}),
        (unknown(1, intent_at=SENT_AT - 4 * 86_400), {}),
        (delivery(1, message_id="another"), {}),
        (delivery(1, message_id=None, state=State.REFUSED), {}),
    ],
)
def test_a_delivery_that_cannot_be_meant_is_not_settled(settle, delivery, told):
    book = Book(delivery)
    book.receive(1, message_id="x", **told)
    assert settle(book) == {1: ("no_delivery", None)}
    assert book.recorded == []


def test_of_two_unknown_deliveries_neither_is_chosen(settle):
    book = Book(unknown(1), unknown(2, phone=phone(1), campaign="other"))
    book.receive(1, message_id="x")
    assert settle(book) == {1: ("several_deliveries", None)}


def test_an_older_unknown_delivery_may_be_meant_too_by_a_receipt_that_comes_late(settle):
    book = Book(unknown(1), unknown(2, phone=phone(1), campaign="other", intent_at=SENT_AT - 9 * 86_400))
    book.receive(1, message_id="x")
    assert settle(book) == {1: ("several_deliveries", None)}


def test_two_ids_that_fit_one_unknown_delivery_settle_nothing_whenever_they_come(settle):
    book = Book(unknown(1))
    book.receive(1, message_id="x")
    book.receive(1, message_id="y")
    assert settle(book) == {1: ("several_ids", None), 2: ("several_ids", None)}
    book.receive(1, message_id="x", status="read")
    assert settle(book) == dict.fromkeys((1, 2, 3), ("several_ids", None))
    assert book.recorded == []


def test_our_own_key_settles_where_two_deliveries_could_be_meant(settle):
    book = Book(unknown(1), unknown(2, phone=phone(1), campaign="other"))
    book.receive(1, message_id="x", tag=f"other/once/{phone(1)}")
    assert settle(book) == {1: ("matched", 2)}


def test_our_own_key_settles_a_receipt_without_a_phone(settle):
    book = Book(unknown(1))
    book.receive(None, message_id="x", tag=f"promo/once/{phone(1)}")
    assert settle(book) == {1: ("matched", 1)}


def test_our_own_key_never_moves_a_delivery_with_another_id(settle):
    book = Book(delivery(1))
    book.receive(1, message_id="x", tag=f"promo/once/{phone(1)}")
    assert settle(book) == {1: ("no_delivery", None)}


def test_a_receipt_that_comes_before_its_outcome_waits_for_it(settle):
    book = Book(in_flight(1))
    book.receive(1, message_id="id1")
    assert settle(book) == {1: ("in_flight", None)}
    book.change(1, state=State.ACCEPTED, message_id="id1")
    assert settle(book, now=SENT_AT + 331) == {1: ("matched", 1)}


def test_while_a_delivery_to_the_phone_is_under_way_no_unknown_one_is_settled(settle):
    book = Book(unknown(1), in_flight(2, phone=phone(1), campaign="other"))
    book.receive(1, message_id="id2")
    assert settle(book) == {1: ("in_flight", None)}
    book.change(2, state=State.ACCEPTED, message_id="id2")
    assert settle(book, now=SENT_AT + 331) == {1: ("matched", 2)}


def test_our_own_key_waits_too_for_the_outcome_of_its_delivery(settle):
    book = Book(in_flight(1), unknown(2, phone=phone(1), campaign="other"))
    book.receive(1, message_id="x", tag=f"promo/once/{phone(1)}")
    book.receive(1, message_id="y", tag=f"other/once/{phone(1)}")
    assert settle(book) == {1: ("in_flight", None), 2: ("matched", 2)}


def test_an_open_webhook_is_tried_again_after_ever_longer_times_and_at_last_never(settle):
    book = Book()
    number = book.receive(1, message_id="x", received=SENT_AT)
    tried = [SENT_AT]
    while (due := book.open[number]) is not None:
        if book.verdicts:
            tried.append(due)
        settle(book, now=tried[-1])
    waits = [late - early for early, late in pairwise(tried)]
    assert waits[0] == 2.0
    assert waits == sorted(waits)
    assert len(tried) < 12
    assert tried[-1] - SENT_AT > 40 * 86_400
    assert number in book.open


def test_a_receipt_without_a_phone_is_looked_up_by_its_id_in_the_last_days(settle):
    book = Book(delivery(1), delivery(2, intent_at=SENT_AT - 80 * 3600))
    book.receive(None, message_id="id1")
    book.receive(None, message_id="id2")
    assert settle(book) == {1: ("matched", 1), 2: ("unknown_id", None)}


def test_a_late_receipt_finds_its_delivery_at_its_second_try(settle):
    book = Book(delivery(1, intent_at=SENT_AT - 10 * 86_400))
    book.receive(1, message_id="id1")
    assert settle(book) == {1: ("no_delivery", None)}
    assert settle(book, now=SENT_AT + 1000) == {1: ("matched", 1)}


@pytest.mark.parametrize(
    ("at", "timezone", "moment"),
    [
        ("2026-03-20 10:01:00", JAKARTA, SENT_AT + 60),
        ("2026-03-20 03:01:00", "UTC", SENT_AT + 60),
        ("2026-03-20T10:01:00+07:00", "UTC", SENT_AT + 60),
        ("2026-03-20 10:01:00", None, SENT_AT + 200),
        ("2026-03-20T10:01:00+07:00", None, SENT_AT + 60),
        (str(int(SENT_AT) + 60), None, SENT_AT + 60),
        ("soon", JAKARTA, SENT_AT + 200),
        (None, JAKARTA, SENT_AT + 200),
        ("2026-03-20 12:01:00", JAKARTA, SENT_AT + 200),
    ],
)
def test_a_time_is_read_in_the_zone_of_the_setting_and_is_never_after_its_arrival(
    settle, at, timezone, moment
):
    book = Book(delivery(1))
    book.receive(1, message_id="id1", at=at)
    settle(book, timezone=timezone)
    assert book.recorded[0].at == moment


CASES = [
    (delivery(1), {"message_id": "id1"}),
    (delivery(1), {"message_id": "x"}),
    (delivery(1), {}),
    (unknown(1), {"message_id": "x"}),
    (unknown(1), {}),
    (unknown(1, sender="60119999999"), {}),
    (unknown(1, intent_at=SENT_AT - 80 * 3600), {}),
    (delivery(1, state=State.REFUSED, message_id=None), {}),
]


@pytest.mark.parametrize(("one", "told"), CASES)
def test_a_webhook_is_matched_as_the_same_line_of_a_report_is(settle, verdicts, one, told):
    book = Book(one)
    book.receive(1, **told)
    as_webhook = settle(book)[1][1]
    line = f"{phone(1)},delivered,2026-03-20 10:03:00,{told.get('message_id', '')},{SENDER}"
    _, receipts, _ = verdicts("Phone,Status,Time,Message ID,From", [line], one)
    assert as_webhook == (receipts[0].delivery if receipts else None)


#: What a delivery comes to, and what is known of it meanwhile.
FATES = st.sampled_from([State.ACCEPTED, State.UNKNOWN, State.REFUSED])
#: What happens, and to which delivery.
STEPS = st.lists(
    st.tuples(st.sampled_from(["settle", "outcome", "webhook"]), st.integers(0, 5)), min_size=4, max_size=14
)


@settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    fates=st.lists(FATES, min_size=1, max_size=6), steps=STEPS, ages=st.lists(st.integers(0, 20), min_size=6)
)
def test_in_whatever_order_things_happen_no_receipt_goes_to_another_delivery(settle, fates, steps, ages):
    """Two phones; each delivery has an id at the provider, which the ledger learns where it is accepted."""
    ours = [
        in_flight(n + 1, phone=phone(n % 2), campaign=f"c{n}", intent_at=SENT_AT - ages[n] * 86_400)
        for n in range(len(fates))
    ]
    book, now = Book(*ours), SENT_AT + 300
    for step, which in steps:
        number = which % len(fates) + 1
        fate = fates[number - 1]
        if step == "outcome":
            known = f"id{number}" if fate is State.ACCEPTED else book.deliveries[number].message_id
            book.change(number, state=fate, message_id=known)
        elif step == "webhook" and fate is not State.REFUSED:
            book.receive(None, phone=phone((number - 1) % 2), message_id=f"id{number}", received=now)
        now += 600
        settle(book, now)
        for told in book.recorded:
            book.change(told.delivery, state=State.ACCEPTED, message_id=told.message_id)
            assert told.message_id == f"id{told.delivery}"
