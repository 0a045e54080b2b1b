"""`runner receipts list --unmatched`: webhooks without a delivery, phones masked."""

from contextlib import closing

from runner.delivery import ReceiptStatus
from runner.ledger import open_ledger
from runner.ledger.webhooks import Webhook, WebhookKind, WebhookVerdict
from tests.conftest import mobiles


def keep(project, *reasons):
    """Keep one webhook for each reason; None leaves it waiting."""
    with closing(open_ledger("sqlite:///.runner/ledger.db", root=project.root)) as ledger:
        for number, reason in enumerate(reasons):
            phone = mobiles(1, start=number)[0]
            told = Webhook(
                kind=WebhookKind.STATUS, phone=phone, message_id=f"id{number}", status=ReceiptStatus.READ
            )
            ledger.add_webhooks([told], 1_780_000_000.0)
            if reason is not None:
                (kept,) = ledger.open_webhooks([phone], 1)
                ledger.settle_webhooks([WebhookVerdict(number=kept.number, verdict=reason)], 1_780_000_001.0)


def test_before_the_first_webhook_there_is_nothing(project, run):
    result = run("receipts", "list", "--unmatched")
    assert (result.code, result.out) == (0, "0 webhooks without a delivery, 0 not matched yet\n")


def test_each_is_listed_with_its_reason_and_a_masked_phone(project, run):
    keep(project, "no_delivery", "several_ids", None)
    document = run("receipts", "list", "--unmatched", "--json").json
    assert (document["unmatched"], document["waiting"]) == (2, 1)
    assert document["by_reason"] == {"no_delivery": 1, "several_ids": 1}
    assert document["listed"][0] == {
        "received_at": "2026-05-28T20:26:40Z",
        "phone": "6281****0001",
        "status": "read",
        "message_id": "id1",
        "reason": "several_ids",
    }
    text = run("receipts", "list", "--unmatched").out
    assert "more than one message id fits the one delivery" in text
    assert mobiles(2)[1] not in text


def test_of_very_many_the_latest_are_listed(project, run):
    keep(project, *["no_delivery"] * 102)
    assert "... and 2 earlier ones" in run("receipts", "list", "--unmatched").out


def test_what_to_list_has_to_be_said(project, run):
    result = run("receipts", "list")
    assert result.code == 1
    assert "receipts list --unmatched" in result.err
