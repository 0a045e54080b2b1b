"""runner.receipts.webhook: ADA's webhooks in every shape they are known in, and what is kept of them."""

import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runner.delivery import ReceiptStatus
from runner.ledger.webhooks import Webhook, WebhookKind
from runner.receipts.webhook import NoWebhookError, read_webhook

ID = "7c1f0f0e-0000-4000-8000-000000000001"


def status(event="MessageStatus", **data):
    """Return a status webhook; `None` leaves a key out."""
    whole = {
        "id": ID,
        "custNo": "60120000002",
        "custName": "Aina",
        "timestamp": "2024-01-02 03:04:05",
        **data,
    }
    return {
        "eventType": event,
        "platform": "WA",
        "accountNo": "60110000001",
        "accountName": "Shop",
        "data": {key: value for key, value in whole.items() if value is not None},
    }


def message(text, outside=None, **inside):
    data = {"id": "x", "custNo": "60120000002", "custName": "Aina", "type": "text", "text": text, **inside}
    whole = {"eventType": "Message", "platform": "WA", "accountNo": "60110000001", "data": data}
    return {**whole, **(outside or {})}


def test_a_status_is_kept_whole_but_for_the_name():
    assert read_webhook(status(status="delivered")) == Webhook(
        kind=WebhookKind.STATUS,
        message_id=ID,
        sender="60110000001",
        phone="60120000002",
        status=ReceiptStatus.DELIVERED,
        at="2024-01-02 03:04:05",
    )


@pytest.mark.parametrize("event", ["MessageStatus", "messageStatus", "MESSAGESTATUS", "message_status"])
def test_the_type_of_an_event_is_read_in_any_case(event):
    assert read_webhook(status(event, status="read")).status is ReceiptStatus.READ


@pytest.mark.parametrize(
    ("told", "detail"),
    [
        ({"status": "coreapp return error", "detailError": "template_name (x) does not exist in en "},
         "template_name (x) does not exist in en"),
        ({"status": "failed", "message": "Message undeliverable"}, "Message undeliverable"),
        ({"status": "failed", "detailError": "", "message": "b"}, "b"),
        ({"status": "failed", "detailError": "a", "message": "b"}, "a"),
        ({"status": "invalid contact (failed)"}, "invalid contact (failed)"),
        ({"status": "exploded"}, "exploded"),
    ],
)  # fmt: skip
def test_whatever_is_not_sent_delivered_or_read_is_a_failure_with_its_reason(told, detail):
    found = read_webhook(status(**told))
    assert (found.status, found.detail) == (ReceiptStatus.FAILED, detail)


def test_characters_that_no_database_keeps_are_left_out():
    found = read_webhook(status(status="failed", id="a\0b", message="x\ud800y"))
    assert (found.message_id, found.detail) == ("ab", "x?y")


def test_a_phone_in_a_reason_is_masked():
    found = read_webhook(status(status="failed", message="Customer +60 12-000 0002 left"))
    assert found.detail == "Customer 6012****002 left"


@pytest.mark.parametrize(
    "told", [{"message": "131050 stopped"}, {"errorCode": 131050}, {"code": "131050", "message": "no"}]
)
def test_the_providers_opt_out_error_opts_the_person_out(told):
    assert read_webhook(status(status="failed", **told)).opts_out
    assert not read_webhook(status(status="delivered", **told)).opts_out


def test_our_key_is_found_wherever_it_comes_back():
    key = "lebaran/2026-11-23T02:00Z/60120000002"
    for place in ({"tag1": key}, {"ref": {"client": [1, key]}}):
        assert read_webhook(status(status="sent", **place)).tag == key
    assert read_webhook({**status(status="sent"), "tag1": key}).tag == key
    assert read_webhook(status(status="sent", tag1="their own tag")).tag is None


def test_a_key_of_another_phone_is_not_believed():
    """People choose their own names, and a webhook names them."""
    key = "lebaran/2026-11-23T02:00Z/60120000003"
    for place in ({"custName": key}, {"tag1": key}):
        assert read_webhook(status(status="failed", **place)).tag is None


def test_without_a_phone_only_a_tag_is_believed():
    key = "lebaran/2026-11-23T02:00Z/60120000002"
    assert read_webhook(status(status="sent", custNo=None, custName=key)).tag is None
    assert read_webhook(status(status="sent", custNo=None, tag1=key)).tag == key
    assert read_webhook(status(status="sent", custNo=None, tags={"first": [key]})).tag == key


def test_our_key_is_not_looked_for_without_end():
    assert read_webhook(status(status="sent", many=["x"] * 5_000)).tag is None


@pytest.mark.parametrize("number", ["+60 12-000 0002", 60120000002, "0060120000002"])
def test_a_phone_is_kept_as_digits(number):
    assert read_webhook(status(status="sent", custNo=number)).phone == "60120000002"


@pytest.mark.parametrize("number", [None, "", "Aina", "9" * 30, 12, {"a": 1}, True])
def test_what_is_no_phone_is_none(number):
    assert read_webhook(status(status="sent", custNo=number)).phone is None


@pytest.mark.parametrize(
    "document",
    [
        None, [], "x", 1, {}, {"eventType": 1}, {"data": {}}, status(), status(status=""),
        status(status={"a": 1}),
        status(status="sent", id=None, custNo=None), {"eventType": "MessageStatus", "data": "x"},
    ],
)  # fmt: skip
def test_a_document_that_says_nothing_of_a_message_is_no_webhook(document):
    with pytest.raises(NoWebhookError):
        read_webhook(document)


def test_a_message_that_says_stop_is_kept_as_its_word_alone():
    found = read_webhook(message(" Berhenti! "))
    assert (found.kind, found.phone, found.detail, found.opts_out) == (
        WebhookKind.STOP, "60120000002", "berhenti", True,
    )  # fmt: skip


@pytest.mark.parametrize(
    "document",
    [
        {"eventType": "message", "fromNo": "60120000002", "fromName": "Aina", "type": "text", "text": "STOP"},
        message("", {"text": "STOP"}),
        message({"body": "STOP"}),
        message(None, payload="stop"),
        message(None, button={"text": "Stop promotions", "payload": "x"}),
    ],
)
def test_a_stop_is_found_in_both_shapes_of_a_message_and_in_a_pressed_button(document):
    assert read_webhook(document).phone == "60120000002"


def test_what_data_says_comes_before_its_copy():
    assert read_webhook(message("STOP", {"fromNo": "60129999999", "text": "hi"})).phone == "60120000002"


@pytest.mark.parametrize("document", [message("When do you open?"), message(None), status("Conversation")])
def test_nothing_is_kept_of_any_other_message_or_of_a_conversation(document):
    assert read_webhook(document) is None


values = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.text(string.printable, max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=9), inner, max_size=3),
    max_leaves=9,
)
KEYS = ("id", "custNo", "status", "timestamp", "text", "tag1", "detailError", "message", "code", "button")


@given(
    event=st.sampled_from(["MessageStatus", "Message", "Conversation", ""]) | values,
    data=st.dictionaries(st.sampled_from(KEYS), values) | values,
)
def test_any_json_is_a_webhook_or_none_and_never_an_error_of_another_kind(event, data):
    try:
        found = read_webhook({"eventType": event, "data": data})
    except NoWebhookError:
        return
    assert found is None or found.kind in WebhookKind
