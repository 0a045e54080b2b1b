"""What every ledger promises of locks and of the pace of senders."""

from __future__ import annotations

from dataclasses import replace

import pytest

from runner.errors import Refusal
from runner.ledger.interface import LockLost, LockToken
from runner.ledger.liveness import this_process
from runner.sharing import COUNTS_FOR, Share

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


# Who of a sender's runs takes the next slot


def claimed(ledger, run, *, weight=1, at=NOW, sender="s", spacing=0.2):
    """Claim a slot at a time of the ledger's; return the slot, in spacings after the first, or None."""
    slot, is_slot = ledger.claim_slot(sender, Share(run=run, weight=weight), spacing, at)
    return round((slot - NOW) / spacing, 1) if is_slot else None


def test_a_run_that_is_ahead_is_told_to_come_again_until_the_other_has_had_its_turn(
    ledger, open_again, pass_to
):
    pass_to(NOW)
    other = open_again()
    assert [claimed(ledger, 1, weight=2), claimed(other, 2), claimed(other, 2)] == [0, 1, None]
    assert [claimed(ledger, 1, weight=2), claimed(other, 2), claimed(ledger, 1, weight=2)] == [2, None, 3]
    assert [claimed(other, 2), claimed(other, 2)] == [4, None]
    # The runs of another sender are none of theirs.
    assert claimed(other, 2, sender="another") == 0


def test_who_is_told_to_come_again_is_told_when_and_a_slot_about_to_be_lost_is_anybodys(ledger, pass_to):
    pass_to(NOW)
    assert [claimed(ledger, 1), claimed(ledger, 2)] == [0, 1]
    assert [claimed(ledger, 1), claimed(ledger, 1)] == [2, 3]
    again, is_slot = ledger.claim_slot("s", Share(run=1), 0.2, NOW)
    assert (again, is_slot) == (pytest.approx(NOW + 0.5, abs=1e-5), False)
    # Half a spacing before the next slot is free.
    pass_to(NOW + 0.69)
    assert claimed(ledger, 1, at=NOW + 0.69) is None
    pass_to(NOW + 0.71)
    assert claimed(ledger, 1, at=NOW + 0.71) == 4


def test_a_run_that_came_no_more_does_not_count_and_begins_where_the_others_are(ledger, pass_to):
    pass_to(NOW)
    assert [claimed(ledger, 1), claimed(ledger, 2)] == [0, 1]
    later = NOW + 0.2 + COUNTS_FOR + 1
    pass_to(later)
    first = claimed(ledger, 1, at=later)
    assert [claimed(ledger, 1, at=later) for _ in range(3)] == pytest.approx([first + n for n in (1, 2, 3)])
    assert claimed(ledger, 2, at=later) == pytest.approx(first + 4)
    assert claimed(ledger, 1, at=later) == pytest.approx(first + 5)
