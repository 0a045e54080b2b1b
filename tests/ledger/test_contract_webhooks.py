"""What every ledger promises of webhooks and opt-outs: kept before they are answered, settled once."""

from __future__ import annotations

from itertools import chain

import pytest

from runner.delivery import Answer, Outcome, ReceiptStatus, State
from runner.ledger.interface import Receipt, Settlement
from runner.ledger.webhooks import KeptWebhook, OptOut, Webhook, WebhookKind, WebhookVerdict

NOW = 1_780_000_000.0


def status(phone="6281", **told):
    values = {"kind": WebhookKind.STATUS, "status": ReceiptStatus.SENT, "phone": phone, **told}
    return Webhook(**values)


def stop(phone, word="stop"):
    return Webhook(kind=WebhookKind.STOP, phone=phone, detail=word, opts_out=True)


def numbers(found):
    return [each.number for each in found]


def phones(found):
    return [each.phone for each in found]


def test_a_webhook_is_kept_as_it_came_and_is_due_at_once(ledger, open_again):
    whole = status(
        message_id="a", tag="x/once/6281", sender="6011", at="2026-01-02 03:04:05", code="7", detail="é 停止"
    )
    ledger.add_webhooks([whole, status("6282")], NOW)

    first, second = open_again().due_webhooks(NOW, 10)

    assert first == KeptWebhook(
        number=first.number,
        received_at=NOW,
        message_id="a",
        tag="x/once/6281",
        sender="6011",
        phone="6281",
        status=ReceiptStatus.SENT,
        at="2026-01-02 03:04:05",
        code="7",
        detail="é 停止",
        verdict=None,
    )
    assert (second.phone, second.message_id, second.number > first.number) == ("6282", None, True)
    assert ledger.unsettled_webhooks() == {"waiting": 2}


def test_a_settled_webhook_is_never_due_or_open_again(ledger):
    ledger.add_webhooks([status("1"), status("2")], NOW)
    first, second = ledger.due_webhooks(NOW, 10)

    ledger.settle_webhooks(
        [WebhookVerdict(number=first.number, verdict="matched", delivery=7, is_settled=True)], NOW + 1
    )
    ledger.settle_webhooks([WebhookVerdict(number=first.number, verdict="no_delivery", due_at=NOW)], NOW + 2)

    assert ledger.due_webhooks(NOW + 9, 10) == [second]
    assert ledger.open_webhooks(["1", "2"], 10) == [second]
    assert ledger.unsettled_webhooks() == {"waiting": 1}


def test_an_open_webhook_is_due_again_when_it_was_said_and_is_listed_with_its_reason(ledger):
    ledger.add_webhooks([status("1"), status("2"), status("3")], NOW)
    first, second, _ = ledger.due_webhooks(NOW, 10)

    ledger.settle_webhooks(
        [
            WebhookVerdict(number=second.number, verdict="in_flight", due_at=NOW + 5),
            WebhookVerdict(number=first.number, verdict="no_delivery"),
        ],
        NOW + 1,
    )

    assert phones(ledger.due_webhooks(NOW + 4, 10)) == ["3"]
    assert phones(ledger.due_webhooks(NOW + 5, 10)) == ["3", "2"]
    assert ledger.unsettled_webhooks() == {"in_flight": 1, "no_delivery": 1, "waiting": 1}
    assert [(each.phone, each.verdict) for each in ledger.unmatched_webhooks(10)] == [
        ("2", "in_flight"), ("1", "no_delivery"),
    ]  # fmt: skip
    assert phones(ledger.unmatched_webhooks(1)) == ["2"]


def test_those_due_longest_come_first_and_only_so_many(ledger):
    for seconds in (3, 1, 2):
        ledger.add_webhooks([status(str(seconds))], NOW + seconds)

    assert phones(ledger.due_webhooks(NOW + 9, 2)) == ["1", "2"]


def test_open_webhooks_are_found_by_thousands_of_phones(ledger):
    everybody = [f"62{number:08d}" for number in range(2500)]
    ledger.add_webhooks([status(phone) for phone in everybody], NOW)

    assert len(ledger.open_webhooks(everybody, 10_000)) == 2500
    assert len(ledger.open_webhooks(everybody, 1700)) == 1700


def test_a_stop_is_kept_and_is_an_opt_out_in_the_same_transaction(ledger, open_again):
    ledger.add_webhooks([status("1"), stop("2", "berhenti"), stop("2"), stop("3")], NOW)

    again = open_again()
    assert phones(again.due_webhooks(NOW, 10)) == ["1"]
    assert sorted(chain(*again.opted_out())) == ["2", "3"]
    assert again.opt_out("2") == OptOut(phone="2", at=NOW, source="webhook (stop)", detail="berhenti")
    assert again.opt_out("1") is None


def test_phones_are_erased_with_their_tags_and_opt_outs_and_no_others(ledger):
    tagged = [
        status(None, tag=f"promo/once/{phone}", message_id="m") for phone in ("62811", "628111", "162811")
    ]
    ledger.add_webhooks([status("62811"), stop("62811"), stop("62812"), *tagged], NOW)

    ledger.erase_webhooks(["62811"])

    left = ledger.due_webhooks(NOW, 10)
    assert [each.tag for each in left] == ["promo/once/628111", "promo/once/162811"]
    assert list(chain(*ledger.opted_out())) == ["62812"]


def test_an_opt_out_without_a_phone_is_kept_as_a_webhook_alone(ledger):
    ledger.add_webhooks([status(None, message_id="a", status=ReceiptStatus.FAILED, opts_out=True)], NOW)

    assert list(chain(*ledger.opted_out())) == []
    assert numbers(ledger.due_webhooks(NOW, 10))


def test_the_first_opt_out_of_a_phone_stays(ledger):
    for at in (NOW, NOW + 5):
        ledger.add_opt_outs([OptOut(phone="1", at=at, source="a person", detail=None)])

    assert ledger.opt_out("1").at == NOW


def test_new_opt_outs_are_told_by_their_numbers(ledger):
    ledger.add_opt_outs([OptOut(phone="1", at=NOW, source="x"), OptOut(phone="2", at=NOW, source="x")])
    (last, _) = ledger.opted_out_after(-5000)[-1]
    ledger.add_opt_outs([OptOut(phone="3", at=NOW, source="x")])

    assert [phone for _, phone in ledger.opted_out_after(-5000)] == ["1", "2", "3"]
    assert [phone for _, phone in ledger.opted_out_after(last)] == ["3"]


def test_thousands_may_opt_out_at_once(ledger):
    ledger.add_opt_outs([OptOut(phone=f"62{n:08d}", at=NOW, source="x") for n in range(2500)])

    assert len(list(chain(*ledger.opted_out()))) == 2500


def test_a_refusal_that_says_opted_out_opts_out_and_no_other_does(applying):
    applying.intend("1", "2", "3")
    told = {
        "1": Answer(outcome=Outcome.REFUSED, rule="refused", code="131050"),
        "2": Answer(outcome=Outcome.REFUSED, rule="refused_inside", code="1", detail="(#131050) stopped"),
        "3": Answer(outcome=Outcome.REFUSED, rule="refused", code="131026"),
    }
    outcomes = [
        Settlement(key=applying.key(phone), run=applying.run, answer=answer) for phone, answer in told.items()
    ]
    applying.ledger.commit(applying.token, [], outcomes, NOW)

    assert sorted(chain(*applying.ledger.opted_out())) == ["1", "2"]
    assert applying.ledger.opt_out("2") == OptOut(
        phone="2", at=NOW, source="refused", detail="(#131050) stopped"
    )


@pytest.mark.parametrize(
    ("told", "expected"),
    [
        ({"status": ReceiptStatus.FAILED, "code": "131050"}, ["1"]),
        ({"status": ReceiptStatus.FAILED, "detail": "error 131050"}, ["1"]),
        ({"status": ReceiptStatus.FAILED, "code": "131026"}, []),
        ({"status": ReceiptStatus.READ, "code": "131050"}, []),
    ],
)
def test_a_failed_receipt_that_says_opted_out_opts_out_whom_the_message_was_for(applying, told, expected):
    applying.send("accepted", "1")
    ((delivery,),) = applying.ledger.deliveries_between(0, 2 * NOW)
    values = {"at": NOW, "message_id": None, "code": None, "detail": None, "source": "import", **told}

    applying.ledger.record_receipts([Receipt(delivery=delivery.delivery, **values)], NOW)

    assert list(chain(*applying.ledger.opted_out())) == expected


# Which deliveries a webhook may be about


def test_the_deliveries_of_some_phones_are_found_over_all_campaigns(ledger, begin):
    begin(ledger).send("accepted", "1", "2")
    begin(ledger, "plan-2", campaign="other").send("unknown", "1", "3", now=NOW + 9)

    found = list(chain(*ledger.deliveries_to(["1", "3", "9"], NOW)))

    assert sorted((each.phone, each.campaign, each.state.value) for each in found) == [
        ("1", "lebaran", "accepted"), ("1", "other", "unknown"), ("3", "other", "unknown"),
    ]  # fmt: skip
    assert [each.campaign for each in chain(*ledger.deliveries_to(["1"], NOW + 5))] == ["other"]


def test_occurrences_whose_runs_ended_long_ago_are_not_looked_at(ledger, begin):
    first = begin(ledger)
    first.send("accepted", "1")
    first.stop()

    assert list(chain(*ledger.deliveries_to(["1"], NOW)))
    assert list(chain(*ledger.deliveries_to(["1"], NOW + 1))) == []


def test_what_was_provably_not_sent_is_no_candidate_unless_a_person_said_so(applying, resolve):
    applying.send("retry", "1")
    applying.send("unknown", "2")
    resolve(applying.ledger, "2", State.RETRY)

    assert phones(chain(*applying.ledger.deliveries_to(["1", "2"], NOW))) == ["2"]


def test_thousands_of_phones_may_be_asked_for(applying):
    everybody = [f"62{number:08d}" for number in range(2500)]
    applying.send("accepted", *everybody)

    assert len(list(chain(*applying.ledger.deliveries_to(everybody, NOW)))) == 2500
