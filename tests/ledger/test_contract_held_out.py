"""What every ledger promises of control groups: recorded once, counted, told, and forgotten like anybody."""

from __future__ import annotations

import pytest

from runner.delivery import is_forgotten
from runner.ledger.interface import LockLost, LockToken
from runner.ledger.liveness import this_process

NOW = 1_780_000_000.0
ALL = (0, 1 << 40)
A, B, C = ("6281230000001", "c1"), ("6281230000002", "c2"), ("6281230000003", "c3")


def hold_out(applying, *people, now=NOW):
    return applying.ledger.hold_out(applying.token, applying.run, people, now)


def held_out(ledger, run, first=0, last=1 << 40):
    return [each for batch in ledger.held_out(run, first, last) for each in batch]


def test_whoever_is_held_out_is_kept_and_counted_once(applying):
    assert hold_out(applying, A, B) == 2
    assert hold_out(applying, B, C, now=NOW + 1) == 1
    assert applying.ledger.counts("plan-1").held_out == 3
    found = held_out(applying.ledger, applying.run)
    assert [(each.key.phone, each.recipient_id, each.at) for each in found] == [
        (*A, NOW),
        (*B, NOW),
        (*C, NOW + 1),
    ]
    assert {(each.key.campaign, each.key.occurrence, each.plan, each.run) for each in found} == {
        ("lebaran", "once", "plan-1", applying.run)
    }


def test_nobody_is_held_out_of_nothing(applying):
    assert hold_out(applying) == 0
    assert applying.ledger.counts("plan-1").held_out == 0


def test_a_control_group_is_no_delivery(applying):
    hold_out(applying, A)
    ledger = applying.ledger
    assert list(ledger.taken("lebaran", "once")) == []
    assert list(ledger.recent(0.0)) == []
    assert ledger.states("lebaran", "once", [A[0]]) == {}
    assert ledger.history(A[0]) == []
    assert applying.intend(A[0]) == [True]


def test_a_second_plan_keeps_whom_the_first_held_out_as_it_is(ledger, begin, applying):
    hold_out(applying, A)
    applying.stop()
    second = begin(ledger, "plan-2")
    assert hold_out(second, A, B) == 1
    (occurrence,) = ledger.summary("lebaran")
    assert (occurrence.counts.held_out, occurrence.total.held_out) == (1, 2)


def test_every_occurrence_that_a_phone_was_held_out_of_is_told(ledger, begin, applying):
    other = begin(ledger, "plan-2", campaign="other")
    hold_out(applying, A)
    hold_out(other, A, B, now=NOW + 1)
    told = [(each.key.campaign, each.recipient_id, each.at) for each in ledger.held_out_of(A[0])]
    assert told == [("lebaran", "c1", NOW), ("other", "c1", NOW + 1)]
    assert ledger.held_out_of(C[0]) == []


def test_whose_lock_was_taken_over_records_nobody(applying):
    lost = LockToken(name=applying.token.name, number=applying.token.number + 9)
    with pytest.raises(LockLost):
        applying.ledger.hold_out(lost, applying.run, [A], NOW)
    assert applying.ledger.counts("plan-1").held_out == 0


def test_a_control_group_is_cut_for_a_log_once_and_apart_from_events(applying):
    ledger, run = applying.ledger, applying.run
    hold_out(applying, A, B, C)
    applying.send("accepted", "6281230000009")
    ledger.cut_held_out("csv:x control group", run, 2, NOW)
    ledger.cut_held_out("csv:x control group", run, 2, NOW)
    cut = ledger.log_batches("csv:x control group", run)
    assert [(each.number, each.rows, each.pushed_at) for each in cut] == [(1, 2, None), (2, 1, None)]
    phones = [[each.key.phone for each in held_out(ledger, run, each.first, each.last)] for each in cut]
    assert phones == [[A[0], B[0]], [C[0]]]
    ledger.mark_logged("csv:x control group", run, 2, NOW)
    assert [each.pushed_at for each in ledger.log_batches("csv:x control group", run)] == [None, NOW]
    assert ledger.log_batches("csv:x", run) == []


def test_whoever_is_erased_stays_in_the_count_and_in_no_answer(applying):
    ledger = applying.ledger
    hold_out(applying, A, B)
    erased = ledger.erase(A[0], this_process("ada"), NOW)
    assert (erased.held_out, erased.deliveries) == (1, 0)
    assert ledger.held_out_of(A[0]) == []
    assert ledger.counts("plan-1").held_out == 2
    nobody, somebody = held_out(ledger, applying.run)
    assert is_forgotten(nobody.key.phone)
    assert (nobody.recipient_id, somebody.recipient_id) == ("", "c2")
