"""What every ledger promises of variants: deliveries and events keep theirs, and they are counted apart."""

from __future__ import annotations

from datetime import timedelta
from itertools import chain, takewhile

import pytest

from runner.campaign import Cap
from runner.delivery import ReceiptStatus, State
from runner.ledger import store
from runner.ledger.interface import Counts, Receipt

NOW = 1_780_000_000.0


def intend(applying, **variants):
    """Record intents, by variant -> phones."""
    intents = [
        applying.intent(phone)._replace(variant=variant)
        for variant, some in variants.items()
        for phone in some
    ]
    return applying.ledger.commit(applying.token, intents, [], NOW)


def settle(applying, outcome, variant, *phones):
    settled = [applying.settlement(outcome, phone)._replace(variant=variant) for phone in phones]
    applying.ledger.commit(applying.token, [], settled, NOW)


def tell(ledger, *told):
    numbers = {each.phone: each.delivery for each in chain(*ledger.deliveries_between(0, 2 * NOW))}
    receipts = [
        Receipt(
            delivery=numbers[phone],
            status=ReceiptStatus(status),
            at=NOW,
            message_id=None,
            code=None,
            detail=None,
            source="import",
        )
        for phone, status in told
    ]
    return ledger.record_receipts(receipts, NOW)


def variants_of(ledger):
    (summary,) = ledger.summary("lebaran")
    return summary.variants


def check_sums(ledger):
    """The counts of the variants add up to those of all."""
    (summary,) = ledger.summary("lebaran")
    for key in ("accepted", "refused", "unknown", "retry", "in_flight"):
        parts = sum(getattr(counts, key) for counts in summary.variants.values())
        assert parts == getattr(summary.total, key), key
    for status, count in summary.total.receipts.items():
        assert sum(counts.receipts.get(status, 0) for counts in summary.variants.values()) == count


def test_a_delivery_and_its_events_keep_the_variant(applying):
    intend(applying, warm=["1"])
    settle(applying, "accepted", "warm", "1")
    tell(applying.ledger, ("1", "read"))
    (history,) = applying.ledger.history("1")
    assert history.delivery.variant == "warm"
    assert [(event.event, event.variant) for event in history.events] == [
        ("accepted", "warm"),
        ("read", "warm"),
    ]


def test_without_variants_there_are_none(applying):
    applying.send("accepted", "1")
    (history,) = applying.ledger.history("1")
    assert (history.delivery.variant, history.events[0].variant) == (None, None)
    assert variants_of(applying.ledger) == {}


def test_deliveries_are_counted_by_variant_and_in_all(applying):
    intend(applying, plain=["1", "2", "3"], warm=["4", "5", "6"])
    assert variants_of(applying.ledger) == {"plain": Counts(in_flight=3), "warm": Counts(in_flight=3)}
    settle(applying, "accepted", "plain", "1", "2")
    settle(applying, "refused", "plain", "3")
    settle(applying, "accepted", "warm", "4")
    settle(applying, "unknown", "warm", "5")
    settle(applying, "retry", "warm", "6")
    tell(applying.ledger, ("1", "sent"), ("1", "read"), ("2", "delivered"), ("4", "failed"))
    assert variants_of(applying.ledger) == {
        "plain": Counts(
            accepted=2, refused=1, refused_by_rule={"4xx": 1}, receipts={"read": 1, "delivered": 1}
        ),
        "warm": Counts(accepted=1, unknown=1, retry=1, receipts={"failed": 1}),
    }
    assert applying.ledger.counts("plan-1").refused_by_rule == {"4xx": 1}
    check_sums(applying.ledger)


def test_a_rule_that_decided_in_several_variants_is_counted_once_over_all(applying):
    intend(applying, plain=["1"], warm=["2"])
    settle(applying, "refused", "plain", "1")
    settle(applying, "refused", "warm", "2")
    assert applying.ledger.counts("plan-1").refused_by_rule == {"4xx": 2}


def test_what_a_kill_a_person_and_a_receipt_settle_stays_with_its_variant(applying, resolve):
    ledger = applying.ledger
    intend(applying, plain=["1", "2"], warm=["3"])
    ledger.settle_interrupted(applying.token, "lebaran", "once", NOW)
    assert variants_of(ledger) == {"plain": Counts(unknown=2), "warm": Counts(unknown=1)}
    resolve(ledger, "1", State.REFUSED)
    tell(ledger, ("3", "delivered"))
    found = variants_of(ledger)
    assert (found["plain"].unknown, found["plain"].refused) == (1, 1)
    assert (found["warm"].accepted, found["warm"].receipts) == (1, {"delivered": 1})
    check_sums(ledger)


def test_a_retry_under_a_plan_with_other_weights_moves_to_the_variant_of_that_plan(ledger, begin):
    first = begin(ledger)
    intend(first, plain=["1"])
    settle(first, "retry", "plain", "1")
    first.stop()
    second = begin(ledger, "plan-2")
    assert intend(second, warm=["1"]) == [True]
    settle(second, "accepted", "warm", "1")
    (history,) = ledger.history("1")
    assert [(event.event, event.variant) for event in history.events] == [
        ("retry", "plain"),
        ("accepted", "warm"),
    ]
    assert history.delivery.variant == "warm"
    assert variants_of(ledger) == {"plain": Counts(), "warm": Counts(accepted=1)}
    check_sums(ledger)


def test_who_is_forgotten_still_counts_for_their_variant(applying, ada):
    intend(applying, plain=["1"], warm=["2"])
    settle(applying, "accepted", "plain", "1")
    settle(applying, "accepted", "warm", "2")
    applying.ledger.erase("1", ada, NOW)
    assert variants_of(applying.ledger)["plain"] == Counts(accepted=1)


@pytest.fixture
def old_ledger(open_again, monkeypatch):
    """The same ledger as it was before there were variants, with counts in it."""
    real = store.shipped_migrations
    tallies = "INSERT INTO tallies (plan_id, state, rule, deliveries)"
    with monkeypatch.context() as patch:
        for module in ("sqlite_file", "postgres_database"):
            patch.setattr(
                f"runner.ledger.{module}.shipped_migrations",
                lambda dialect: list(takewhile(lambda each: "variants" not in each.name, real(dialect))),
            )
        old = open_again()
        with old._store.transaction():
            for sql in (
                "INSERT INTO occurrences (campaign, occurrence) VALUES ('lebaran', 'once')",
                "INSERT INTO plans (digest, occurrence_id, to_send, created_at)"
                " SELECT 'plan-1', id, 3, 1 FROM occurrences",
                f"{tallies} SELECT id, 'refused', '4xx', 2 FROM plans",
                f"{tallies} SELECT id, 'accepted', 'an id', 1 FROM plans",
            ):
                old._store._connection.execute(sql)
        old.close()


def test_a_ledger_from_before_there_were_variants_keeps_its_counts(old_ledger, open_again, begin):
    ledger = open_again()
    assert ledger.counts("plan-1") == Counts(accepted=1, refused=2, refused_by_rule={"4xx": 2})
    assert variants_of(ledger) == {}
    applying = begin(ledger)
    intend(applying, warm=["1"])
    settle(applying, "refused", "warm", "1")
    assert ledger.counts("plan-1") == Counts(accepted=1, refused=3, refused_by_rule={"4xx": 3})


def test_an_intent_that_a_cap_refuses_is_counted_with_its_variant(ledger, begin, applying):
    begin(ledger, "plan-2", campaign="other").send("accepted", "1")
    cap = Cap(rule="min_distance", messages=1, per=timedelta(days=1))
    intents = [applying.intent(phone)._replace(variant="warm") for phone in "12"]
    assert ledger.commit(applying.token, intents, [], NOW, caps=[cap]) == ["min_distance", True]
    assert variants_of(ledger)["warm"] == Counts(refused=1, in_flight=1, refused_by_rule={"min_distance": 1})
    check_sums(ledger)


def test_a_control_group_is_of_no_variant(ledger, applying):
    ledger.hold_out(applying.token, applying.run, [("3", "c3")], NOW)
    intend(applying, warm=["1"])
    assert {name: counts.held_out for name, counts in variants_of(ledger).items()} == {"warm": 0}
    (summary,) = ledger.summary("lebaran")
    assert summary.total.held_out == 1
