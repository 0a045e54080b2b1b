"""What every ledger promises of its audit log: an entry with each deed, in one chain that never forks."""

from __future__ import annotations

import json
from dataclasses import replace
from itertools import chain

import pytest

from runner.audit_chain import Head, check
from runner.delivery import ReceiptStatus, State
from runner.errors import LedgerError, Refusal
from runner.ledger.interface import ImportedFile, LockLost, Receipt
from runner.ledger.liveness import this_process

NOW = 1_780_000_000.0
LOCK = "lebaran/once"
DETAILS = {"context": {"git": {"commit": "abc", "dirty": True}}}


def entries(ledger):
    """Return the audit log, after checking that it is sound."""
    found = list(chain.from_iterable(ledger.audit()))
    checked = check(found, origin=ledger.identity(), known=[ledger.audit_head()])
    assert checked.fault is None
    return found


def events(ledger):
    return [each.event for each in entries(ledger)]


def last(ledger):
    entry = entries(ledger)[-1]
    return entry.event, entry.actor, json.loads(entry.details)


def test_a_new_ledger_has_an_empty_log_that_begins_at_its_identity(ledger):
    assert entries(ledger) == []
    assert ledger.audit_head() == Head(number=0, hash=ledger.identity())


def test_an_applied_plan_is_noted_with_who_where_and_from_which_commit(ledger, ada):
    token = ledger.acquire(LOCK, ada, NOW)
    ledger.register_plan(
        digest="plan-1", campaign="lebaran", occurrence="once", to_send=10, created_at=NOW, details=DETAILS
    )
    run = ledger.begin_run(token, "plan-1", ada, NOW + 1)

    (entry,) = entries(ledger)
    assert (entry.number, entry.at, entry.event, entry.actor) == (1, NOW + 1, "plan_applied", "ada")
    assert json.loads(entry.details) == {
        "run": run,
        "campaign": "lebaran",
        "occurrence": "once",
        "plan": "plan-1",
        "to_send": 10,
        "host": "here",
        "git": {"commit": "abc", "dirty": True},
    }


def test_a_run_that_ended_is_noted_with_its_exit_code_and_the_plans_accounts(applying):
    applying.send("accepted", "6281", "6282")
    applying.send("refused", "6283")
    applying.send("unknown", "6284")
    applying.stop(exit_code=3)

    assert last(applying.ledger) == (
        "run_ended",
        "ada",
        {"run": 1, "plan": "plan-1", "exit_code": 3, "accepted": 2, "refused": 1, "unknown": 1},
    )


def test_messages_add_nothing_to_the_log(applying):
    applying.send("accepted", *(f"62{n}" for n in range(100)))
    applying.ledger.settle_interrupted(applying.token, "lebaran", "once", NOW)

    assert events(applying.ledger) == ["plan_applied"]


def test_a_settlement_by_hand_is_noted_without_any_phone(applying, resolve):
    applying.send("unknown", "6281230000001", "6281230000002")
    ledger = applying.ledger
    ledger.resolve(
        "lebaran",
        "once",
        "6281230000001",
        to=State.ACCEPTED,
        by="grace",
        note="called +62 812-3000-0001 at 10:04",
        now=NOW,
    )

    assert last(ledger) == (
        "settled_by_hand",
        "grace",
        {
            "campaign": "lebaran",
            "occurrence": "once",
            "to": "accepted",
            "deliveries": 1,
            "everyone": False,
            "note": "called **** at 10:04",
        },
    )
    resolve(ledger, None, State.REFUSED)
    assert (last(ledger)[2]["deliveries"], last(ledger)[2]["everyone"]) == (1, True)
    assert all("6281230" not in each.details for each in entries(ledger))


def test_a_settlement_of_nobody_is_not_noted(applying, resolve):
    resolve(applying.ledger, None, State.ACCEPTED)

    assert events(applying.ledger) == ["plan_applied"]


def test_a_lock_taken_over_is_noted_and_one_that_was_free_or_refused_is_not(ledger):
    me = this_process("ada")
    place = me.process_started.rpartition(":")[0]
    gone = replace(me, process_started=f"{place}:1")
    ledger.acquire(LOCK, gone, NOW)
    assert events(ledger) == []

    ledger.acquire(LOCK, me, NOW)
    with pytest.raises(Refusal):
        ledger.acquire(LOCK, me, NOW)

    event, actor, details = last(ledger)
    assert (event, actor, details["lock"]) == ("lock_taken_over", "ada", LOCK)
    assert details["from"]["process_started"] == gone.process_started
    assert details["by"]["process_started"] == me.process_started
    assert len(entries(ledger)) == 1


def test_an_imported_file_is_noted_once_with_its_digest_and_counts(applying):
    applying.send("accepted", "6281", "6282")
    numbers = [each.delivery for each in chain(*applying.ledger.deliveries_between(0, 2 * NOW))]
    receipts = [
        Receipt(
            delivery=number,
            status=ReceiptStatus.READ,
            at=NOW,
            message_id=None,
            code=None,
            detail=None,
            source="import",
        )
        for number in numbers * 600
    ]
    imported = ImportedFile(digest="f" * 64, by="grace", counts={"lines": 1200, "matched": 2})

    assert applying.ledger.record_receipts(receipts, NOW, imported=imported) == 2
    applying.ledger.record_receipts(receipts, NOW)

    assert events(applying.ledger) == ["plan_applied", "receipts_imported"]
    assert last(applying.ledger) == (
        "receipts_imported",
        "grace",
        {"file_sha256": "f" * 64, "lines": 1200, "matched": 2},
    )


def test_what_failed_is_not_noted(applying, begin):
    ledger, old = applying.ledger, applying.token
    ledger.release(old)
    with pytest.raises(LockLost):
        ledger.begin_run(old, "plan-1", this_process("ada"), NOW)
    token = ledger.acquire(LOCK, this_process("ada"), NOW)
    with pytest.raises(LedgerError):
        ledger.begin_run(token, "no-such-plan", this_process("ada"), NOW)

    assert events(ledger) == ["plan_applied"]


def test_the_log_is_the_same_for_every_process(applying, open_again):
    applying.stop()
    other = open_again(read_only=True)

    assert entries(other) == entries(applying.ledger)
    assert other.audit_head().number == 2


def test_a_name_that_no_database_keeps_is_noted_as_one_that_it_keeps(applying):
    applying.send("unknown", "6281")
    applying.ledger.resolve("lebaran", "once", None, to=State.REFUSED, by="a\0b", note="n\0n", now=NOW)

    assert last(applying.ledger)[:2] == ("settled_by_hand", "ab")


def test_a_chain_that_many_processes_add_to_at_once_never_forks(url, ledger, tmp_path, run_together):
    script = """
import sys
from pathlib import Path
from runner.ledger import open_ledger
from runner.ledger.lock_names import lock_name
from runner.ledger.liveness import this_process
url, root, name = sys.argv[1:]
ledger, me = open_ledger(url, root=Path(root)), this_process(name)
for number in range(20):
    occurrence = f"{name}-{number}"
    token = ledger.acquire(lock_name("promo", occurrence), me, 1e9)
    plan = {"digest": occurrence, "campaign": "promo", "occurrence": occurrence}
    ledger.register_plan(**plan, to_send=1, created_at=1e9)
    run = ledger.begin_run(token, occurrence, me, 1e9)
    ledger.end_run(run, 0, 1e9)
    ledger.release(token)
"""
    run_together(script, *((url, tmp_path, name) for name in ("ada", "grace", "dewi")))

    found = entries(ledger)
    assert len(found) == 120
    assert {each.actor for each in found} == {"ada", "grace", "dewi"}
