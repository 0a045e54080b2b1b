"""What every ledger promises of locks and of the pace of senders."""

from __future__ import annotations

from dataclasses import replace

import pytest

from runner.errors import Refusal
from runner.ledger.interface import LockLost, LockToken
from runner.ledger.liveness import this_process

NOW = 1_780_000_000.0
LOCK = "lebaran/once"

# Locks


def test_a_lock_has_one_holder_and_the_refusal_says_who(ledger, ada):
    ledger.acquire(LOCK, ada, NOW)

    with pytest.raises(Refusal) as refused:
        ledger.acquire(LOCK, replace(ada, owner="grace", host="there", pid=13), NOW + 60)
    assert str(refused.value) == f"{LOCK} is being applied by ada@here pid 12 since 20:26 UTC"
    assert refused.value.hint


def test_the_refusal_names_the_day_when_that_was_not_today(ledger, ada, pass_to):
    ledger.acquire(LOCK, ada, NOW)
    pass_to(NOW - 86_400)

    with pytest.raises(Refusal, match="since 2026-05-28 20:26 UTC"):
        ledger.acquire(LOCK, replace(ada, host="there"), NOW - 86_400)


def test_a_released_lock_is_free_and_its_token_never_fits_again(ledger, ada):
    old = ledger.acquire(LOCK, ada, NOW)
    ledger.release(old)

    new = ledger.acquire(LOCK, ada, NOW)

    assert new.number > old.number
    ledger.release(old)
    ledger.heartbeat(new, NOW)
    with pytest.raises(LockLost):
        ledger.heartbeat(old, NOW)


def test_locks_of_different_names_do_not_meet(ledger, ada):
    assert ledger.acquire("a", ada, NOW) != ledger.acquire("b", ada, NOW)


def test_a_lock_of_a_process_that_is_gone_is_taken_over(ledger):
    me = this_process("ada")
    place = me.process_started.rpartition(":")[0]
    ledger.acquire(LOCK, replace(me, process_started=f"{place}:1"), NOW)

    assert ledger.acquire(LOCK, me, NOW).number == 2


def test_a_lock_of_a_process_that_runs_is_held_however_old_its_heartbeat(ledger, pass_to):
    ledger.acquire(LOCK, this_process("ada"), NOW)
    pass_to(NOW + 1_000_000)

    with pytest.raises(Refusal):
        ledger.acquire(LOCK, this_process("grace"), NOW + 1_000_000)


def test_a_lock_of_another_machine_is_taken_over_only_when_its_heart_stopped(ledger, ada, pass_to):
    token = ledger.acquire(LOCK, ada, NOW)
    pass_to(NOW + 100)
    ledger.heartbeat(token, NOW + 100)
    elsewhere = replace(ada, host="there")

    pass_to(NOW + 220)
    with pytest.raises(Refusal):
        ledger.acquire(LOCK, elsewhere, NOW + 220)
    pass_to(NOW + 221)
    assert ledger.acquire(LOCK, elsewhere, NOW + 221) == LockToken(name=LOCK, number=2)


# Pace


def test_slots_of_a_sender_are_shared_by_every_process(ledger, open_again):
    other = open_again()
    slots = [each.reserve_slot("60110000001", 0.2, NOW) for each in (ledger, other, ledger, other)]

    assert slots == pytest.approx([NOW, NOW + 0.2, NOW + 0.4, NOW + 0.6], abs=1e-5)
    assert other.reserve_slot("another sender", 0.2, NOW) == NOW


def test_a_delay_moves_the_next_slot_and_a_hold_only_if_it_lies_before(ledger):
    ledger.reserve_slot("s", 1.0, NOW)
    ledger.delay_sender("s", 0.5, NOW)
    assert ledger.reserve_slot("s", 1.0, NOW) == NOW + 1.5
    ledger.hold_sender("s", 1.0, NOW)
    assert ledger.reserve_slot("s", 1.0, NOW) == NOW + 2.5
    ledger.hold_sender("s", 10.0, NOW)
    ledger.hold_sender("s", 10.0, NOW)
    assert ledger.reserve_slot("s", 1.0, NOW) == NOW + 10


def test_a_sender_that_never_sent_can_be_delayed(ledger):
    ledger.delay_sender("s", 2.0, NOW)

    assert ledger.reserve_slot("s", 1.0, NOW) == NOW + 2
