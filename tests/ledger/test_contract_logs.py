"""What every ledger promises of runs, of events, and of the batches that logs take."""

from __future__ import annotations

from itertools import chain, pairwise

from runner.delivery import ReceiptStatus, State
from runner.ledger.interface import LogBatch, Receipt

NOW = 1_780_000_000.0
TARGET = "treasure_data:crm.whatsapp_log"


def cut(applying, size=100, target=TARGET, now=NOW):
    applying.ledger.cut_log(target, applying.run, size, now)
    return applying.ledger.log_batches(target, applying.run)


def events_of(applying, batch):
    return list(chain(*applying.ledger.events(batch.run, batch.first, batch.last)))


def test_a_ledger_has_one_identity_for_ever_and_no_other_has_it(ledger, open_again, tmp_path):
    from runner.ledger import open_ledger

    other = open_ledger("sqlite:///other.db", root=tmp_path)
    assert open_again().identity() == ledger.identity() != other.identity()
    assert len(ledger.identity()) == len(bytes.fromhex(ledger.identity())) * 2 == 32
    other.close()


def test_runs_are_listed_in_order_and_found_by_number(ledger, begin, ada):
    first = begin(ledger)
    first.stop(exit_code=130)
    second = begin(ledger, "plan-2", campaign="other")

    assert [(run.id, run.digest, run.exit_code) for run in ledger.runs()] == [
        (first.run, "plan-1", 130), (second.run, "plan-2", None),
    ]  # fmt: skip
    assert ledger.run_record(second.run) == ledger.runs()[1]
    assert ledger.run_record(second.run).holder == ada
    assert ledger.run_record(99) is None


def test_details_are_kept_with_a_plan_as_they_were_first(ledger):
    key = {"campaign": "lebaran", "occurrence": "once", "to_send": 5, "created_at": NOW}
    details = {"sender": "601", "log": {"csv": {"folder": "logs"}}, "source": None, "note": "\0 é 😀 \ud800"}

    ledger.register_plan(digest="d", **key, details=details)
    ledger.register_plan(digest="d", **key, details={"sender": "other"})

    assert ledger.plan_record("d").details == details
    assert ledger.register_plan(digest="e", **key).details == {}


def test_events_tell_what_became_of_the_deliveries_of_a_run(applying):
    applying.intend("1", now=NOW)
    applying.settle("refused", "1", now=NOW + 2)
    (batch,) = cut(applying)

    (event,) = events_of(applying, batch)

    assert (event.key, event.recipient_id, event.plan) == (applying.key("1"), "id-1", "plan-1")
    assert (event.run, event.attempt, event.intent_at, event.at) == (applying.run, 1, NOW, NOW + 2)
    assert (event.event, event.rule, event.http_status) == ("refused", "4xx", 400)
    assert (event.code, event.detail, event.message_id) == ("131026", "no user", None)


def test_events_come_in_batches_of_ten_thousand_in_the_order_of_what_happened(applying):
    phones = [f"62{number:08d}" for number in range(10_005)]
    applying.send("accepted", *reversed(phones))
    (batch,) = cut(applying, size=20_000)

    found = list(applying.ledger.events(batch.run, batch.first, batch.last))

    assert [len(each) for each in found] == [10_000, 5]
    assert [event.key.phone for event in chain(*found)] == phones[::-1]


def test_a_cut_puts_every_event_into_one_batch_of_at_most_the_size(applying):
    applying.send("accepted", *map(str, range(25)))

    batches = cut(applying, size=10, now=NOW + 3)

    assert [(batch.number, batch.rows, batch.pushed_at) for batch in batches] == [
        (1, 10, None), (2, 10, None), (3, 5, None),
    ]  # fmt: skip
    assert [len(events_of(applying, batch)) for batch in batches] == [10, 10, 5]
    assert all(before.last < after.first for before, after in pairwise(batches))


def test_what_is_cut_never_changes_and_what_comes_later_goes_into_later_batches(applying, resolve):
    applying.send("unknown", "1", "2")
    (first,) = cut(applying, size=10)
    applying.send("accepted", "3")
    resolve(applying.ledger, "2", State.REFUSED)
    number = next(iter(applying.ledger.deliveries_between(0, NOW + 1)))[0].delivery
    told = Receipt(
        delivery=number,
        status=ReceiptStatus.READ,
        at=NOW,
        message_id=None,
        code=None,
        detail=None,
        source="import",
    )
    applying.ledger.record_receipts([told], NOW)

    batches = cut(applying, size=3)

    assert batches[0] == first
    assert [batch.rows for batch in batches] == [2, 3, 1]
    later = list(chain(*(events_of(applying, batch) for batch in batches[1:])))
    assert [(event.key.phone, event.event) for event in later] == [
        ("3", "accepted"), ("2", "refused"), ("1", "accepted"), ("1", "read"),
    ]  # fmt: skip
    assert cut(applying, size=3) == batches


def test_each_target_and_each_run_has_its_own_batches(ledger, begin):
    first, second = begin(ledger), begin(ledger, "plan-2", campaign="other")
    first.send("accepted", "1", "2")
    second.send("accepted", "3")
    first.send("accepted", "4")

    (lebaran,), (other,) = cut(first), cut(second)
    (parquet,) = cut(first, target="parquet:logs")

    assert [event.key.phone for event in events_of(first, lebaran)] == ["1", "2", "4"]
    assert [event.key.phone for event in events_of(second, other)] == ["3"]
    assert (lebaran.rows, parquet.rows, other.rows) == (3, 3, 1)


def test_a_batch_is_marked_once_it_is_where_it_belongs(applying):
    applying.send("accepted", "1", "2")
    cut(applying, size=1)

    applying.ledger.mark_logged(TARGET, applying.run, 2, NOW + 5)
    applying.ledger.mark_logged(TARGET, applying.run, 2, NOW + 9)

    assert [batch.pushed_at for batch in applying.ledger.log_batches(TARGET, applying.run)] == [None, NOW + 5]


def test_a_run_without_events_and_one_that_is_not_there_have_no_batches(applying):
    assert cut(applying) == []
    applying.ledger.cut_log(TARGET, 99, 10, NOW)
    assert applying.ledger.log_batches(TARGET, 99) == []


def test_an_event_keeps_the_recipient_and_run_of_its_attempt(ledger, begin):
    first = begin(ledger)
    first.send("retry", "1")
    (batch,) = cut(first)
    before = events_of(first, batch)
    first.stop()
    second = begin(ledger, "plan-2")
    second.send("accepted", "1")

    assert events_of(first, batch) == before
    assert batch == LogBatch(run=first.run, number=1, first=1, last=1, rows=1, pushed_at=None)
    assert [(event.run, event.plan, event.attempt) for event in ledger.history("1")[0].events] == [
        (first.run, "plan-1", 1), (second.run, "plan-2", 2),
    ]  # fmt: skip
