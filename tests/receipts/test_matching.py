"""Rows and deliveries: by id, else by phone, sender and time; one candidate or none."""

import pytest

from runner.delivery import ReceiptStatus, State
from tests.receipts.conftest import SENT_AT, delivery, phone

HEADER = "Phone,Status,Time,Message ID,From,Campaign"
SOON = "2026-03-20 10:03"


def row(number, status="delivered", at=SOON, message_id="", sender="", campaign=""):
    return f"{phone(number)},{status},{at},{message_id},{sender},{campaign}"


def unknown(number, **changes):
    return delivery(number, message_id=None, state=State.UNKNOWN, **changes)


def test_a_message_id_finds_its_delivery_however_late(verdicts):
    late = row(1, at="2026-04-18 10:03", message_id="id1")
    accounts, receipts, _ = verdicts(HEADER, [late], delivery(1), delivery(2))
    assert (accounts.matched, accounts.matched_by) == (1, {"message_id": 1})
    assert receipts[0].delivery == 1


def test_a_message_id_that_went_to_another_phone_finds_nothing(verdicts):
    _, _, unplaced = verdicts(HEADER, [row(2, message_id="id1")], delivery(1), delivery(2))
    assert unplaced == {2: "other_phone"}


def test_a_message_id_finds_its_delivery_though_the_phone_is_not_readable(verdicts):
    accounts, _, _ = verdicts(HEADER, [f"6.28E+12,read,{SOON},id1,,"], delivery(1))
    assert accounts.matched == 1


def test_a_message_id_of_two_deliveries_is_ambiguous(verdicts):
    accounts, _, unplaced = verdicts(
        HEADER, [row(1, message_id="x")], delivery(1, message_id="x"), delivery(2, message_id="x")
    )
    assert accounts.ambiguous == 1
    assert unplaced == {2: "several_deliveries"}


def test_without_an_id_the_one_delivery_of_the_phone_in_time_is_found(verdicts):
    accounts, receipts, _ = verdicts(HEADER, [row(1)], delivery(1), delivery(2))
    assert (accounts.matched, accounts.matched_by) == (1, {"phone": 1})
    assert (receipts[0].delivery, receipts[0].status) == (1, ReceiptStatus.DELIVERED)


@pytest.mark.parametrize(
    ("at", "matched"),
    [
        ("2026-03-20 09:56", 1),
        ("2026-03-20 09:54", 0),
        ("2026-03-23 09:59", 1),
        ("2026-03-23 10:01", 0),
        ("2026-03-20", 1),
        ("2026-03-19", 0),
    ],
)
def test_the_time_window_begins_at_the_intent_with_some_leave_for_clocks(verdicts, at, matched):
    accounts, _, _ = verdicts(HEADER, [row(1, at=at)], delivery(1))
    assert (accounts.matched, accounts.unmatched) == (matched, 1 - matched)


def test_two_deliveries_of_a_phone_in_time_are_ambiguous_and_neither_is_chosen(verdicts):
    again = delivery(7, phone=phone(1), occurrence="next", intent_at=SENT_AT - 3600)
    accounts, receipts, unplaced = verdicts(HEADER, [row(1)], delivery(1), again)
    assert (accounts.ambiguous, receipts, unplaced) == (1, [], {2: "several_deliveries"})


def test_a_shorter_window_leaves_the_older_one_out(verdicts):
    again = delivery(7, phone=phone(1), occurrence="next", intent_at=SENT_AT - 3600)
    accounts, _, _ = verdicts(HEADER, [row(1)], delivery(1), again, window=600.0)
    assert accounts.matched == 1


@pytest.mark.parametrize(
    ("sender", "matched"),
    [("60110000001", 1), ("+60 11-0000 001", 1), ("60110000002", 0), ("Toko Ayu", 1), ("", 1)],
)
def test_a_sender_that_is_a_number_must_be_the_deliverys(verdicts, sender, matched):
    accounts, _, _ = verdicts(HEADER, [row(1, sender=sender)], delivery(1))
    assert accounts.matched == matched


def test_a_delivery_whose_plan_did_not_say_its_sender_may_have_any(verdicts):
    accounts, _, _ = verdicts(HEADER, [row(1, sender="60110000002")], delivery(1, sender=""))
    assert accounts.matched == 1


def test_a_sender_tells_two_deliveries_apart(verdicts):
    other = delivery(7, phone=phone(1), campaign="other", sender="60110000002")
    _, receipts, _ = verdicts(HEADER, [row(1, sender="60110000002")], delivery(1), other)
    assert [one.delivery for one in receipts] == [7]


@pytest.mark.parametrize(
    ("campaign", "found"), [("other", [7]), ("promo", [1]), ("third", []), ("Lebaran Blast 1", [])]
)
def test_a_campaign_that_the_ledger_knows_tells_two_deliveries_apart(verdicts, campaign, found):
    other = delivery(7, phone=phone(1), campaign="other")
    third = delivery(8, campaign="third")
    _, receipts, _ = verdicts(HEADER, [row(1, campaign=campaign)], delivery(1), other, third)
    assert [one.delivery for one in receipts] == found


def test_a_row_with_an_id_settles_an_unknown_delivery_that_has_none(verdicts):
    accounts, receipts, _ = verdicts(HEADER, [row(1, message_id="new")], unknown(1))
    assert (accounts.matched, accounts.settles) == (1, 1)
    assert (receipts[0].delivery, receipts[0].message_id) == (1, "new")


def test_a_row_with_another_id_is_not_a_delivery_that_has_its_own(verdicts):
    _, _, unplaced = verdicts(HEADER, [row(1, message_id="new")], delivery(1))
    assert unplaced == {2: "no_delivery"}


def test_two_ids_for_one_unknown_delivery_are_ambiguous_and_a_row_without_one_is_not(verdicts):
    rows = [row(1, message_id="a"), row(1, message_id="b"), row(1)]
    accounts, _, unplaced = verdicts(HEADER, rows, unknown(1))
    assert unplaced == {2: "several_ids", 3: "several_ids"}
    assert (accounts.matched, accounts.settles) == (1, 1)


@pytest.mark.parametrize(
    ("state", "matched", "settles"),
    [(State.INTENT, 1, 0), (State.UNKNOWN, 1, 1), (State.RETRY, 1, 1), (State.REFUSED, 0, 0)],
)
def test_what_may_have_been_sent_can_have_a_receipt(verdicts, state, matched, settles):
    accounts, _, _ = verdicts(HEADER, [row(1)], delivery(1, message_id=None, state=state))
    assert (accounts.matched, accounts.settles) == (matched, settles)


def test_several_rows_of_one_message_move_it_in_the_order_of_their_times(verdicts):
    rows = [
        row(1, "read", "2026-03-20 10:09"),
        row(1, "sent", "2026-03-20 10:01"),
        row(1, "delivered", "2026-03-20 10:02"),
        row(1, "delivered", "2026-03-20 10:02"),
        row(1, "sent", "2026-03-20 10:10"),
    ]
    accounts, receipts, _ = verdicts(HEADER, rows, delivery(1))
    assert (accounts.matched, accounts.unchanged, accounts.moves) == (3, 2, 1)
    assert [one.status.value for one in receipts] == ["sent", "delivered", "read"]


def test_what_the_ledger_knows_already_is_unchanged(verdicts):
    known = delivery(1, receipt=ReceiptStatus.DELIVERED)
    rows = [row(1, "sent"), row(1, "failed"), row(1, "delivered"), row(1, "read")]
    accounts, receipts, _ = verdicts(HEADER, rows, known)
    assert (accounts.unchanged, accounts.matched) == (3, 1)
    assert [one.status for one in receipts] == [ReceiptStatus.READ]


def test_an_id_nobody_knows_without_a_phone_is_unmatched_and_without_both_unreadable(verdicts):
    rows = [f"read,{SOON},zzz", f"read,{SOON},", f"read,{SOON},id1"]
    accounts, _, unplaced = verdicts("Status,Time,Message ID", rows, delivery(1))
    assert (accounts.matched, unplaced) == (1, {2: "unknown_id", 3: "missing_phone"})


def test_a_national_phone_needs_a_region(verdicts):
    local = f"0{phone(1)[2:]},read,{SOON},,,"
    assert verdicts(HEADER, [local], delivery(1))[2] == {2: "invalid_phone"}
    assert verdicts(HEADER, [local], delivery(1), region="ID")[0].matched == 1


def test_a_phone_that_reads_in_two_ways_is_not_guessed(verdicts):
    _, _, unplaced = verdicts(HEADER, [f"819012345678,read,{SOON},,,"], delivery(1), region="ID")
    assert unplaced == {2: "ambiguous_phone"}
