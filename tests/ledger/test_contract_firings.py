"""Approvals and firings: the same on every ledger."""

import json
from dataclasses import replace
from datetime import datetime, timezone

import pytest

from runner.ledger.firings import Approval, FiringState
from runner.ledger.interface import LockHeld, LockLost
from runner.ledger.lock_names import SERVE_LOCK, campaign_lock_name
from runner.schedule import Firing
from tests.ledger.conftest import NOW

GIT = {"commit": "abc", "dirty": False}


def firing(minutes, occurrence=None):
    due_at = datetime.fromtimestamp(NOW + 60 * minutes, timezone.utc)
    return Firing(occurrence=occurrence or f"{due_at:%Y-%m-%dT%H:%MZ}", due_at=due_at)


@pytest.fixture
def token(ledger, ada):
    return ledger.acquire(campaign_lock_name("lebaran"), ada, NOW)


@pytest.fixture
def note(ledger, ada):
    """Return a function that notes firings by their minutes from NOW."""

    def note(*firings, until=NOW):
        ledger.note_firings("lebaran", firings, until, ada, NOW)
        return ledger.open_firings("lebaran")

    return note


def test_the_last_approval_counts_until_it_is_revoked_and_each_is_audited(ledger, ada):
    assert ledger.approval("lebaran") is None
    first = Approval(campaign="lebaran", digest="d1", content={"file": {"a": [1, "é"]}}, by="ada", at=NOW)
    ledger.approve(first, ada)
    assert ledger.approval("lebaran") == first
    second = replace(first, digest="d2", at=NOW + 1, git=GIT)
    ledger.approve(second, ada)
    assert ledger.approval("lebaran") == second
    assert second.covers("d2")
    assert not second.covers("d1")
    assert ledger.revoke_approval("lebaran", ada, NOW + 2)
    revoked = ledger.approval("lebaran")
    assert revoked == replace(second, revoked_by="ada", revoked_at=NOW + 2)
    assert not revoked.covers("d2")
    assert not ledger.revoke_approval("lebaran", ada, NOW + 3)
    assert not ledger.revoke_approval("other", ada, NOW + 3)
    (batch,) = ledger.audit()
    assert [(entry.event, entry.actor) for entry in batch] == [
        ("definition_approved", "ada"),
        ("definition_approved", "ada"),
        ("approval_revoked", "ada"),
    ]
    assert json.loads(batch[1].details) == {
        "campaign": "lebaran",
        "definition": "d2",
        "git": GIT,
        "host": "here",
    }


def test_firings_count_from_the_first_approval_or_the_first_look_and_never_further_back(ledger, ada, note):
    assert ledger.noted_until("lebaran") is None
    assert ledger.watch("lebaran", NOW) == NOW
    assert ledger.watch("lebaran", NOW + 5) == NOW
    note(until=NOW + 60)
    note(until=NOW + 30)
    assert ledger.noted_until("lebaran") == NOW + 60
    ledger.approve(Approval(campaign="other", digest="d", content={}, by="ada", at=NOW + 9), ada)
    assert ledger.watch("other", NOW + 50) == NOW + 9


def test_a_slot_is_noted_once_and_a_closed_one_stays_closed(ledger, note, token):
    (record, later) = note(firing(0), firing(1))
    assert (record.state, record.due_at, later.due_at) == (FiringState.DUE, NOW, NOW + 60)
    assert note(firing(0)) == [record, later]
    for state in (FiringState.WAITING, FiringState.STARTED, FiringState.FINISHED):
        moved = replace(
            record,
            state=state,
            at=NOW + 1,
            detail="why",
            plan="p",
            definition="d",
            to_send=3,
            opens_at=NOW + 7,
            expires_at=NOW,
        )
        assert ledger.move_firings(token, [moved])
        assert ledger.last_firings("lebaran", 9)[-1] == moved
    assert not ledger.move_firings(token, [replace(record, state=FiringState.DUE)])
    assert note(firing(0)) == [later]
    assert ledger.firing_counts() == {("lebaran", FiringState.FINISHED): 1, ("lebaran", FiringState.DUE): 1}
    assert [each.due_at for each in ledger.last_firings(None, 9)] == [NOW + 60, NOW]
    assert ledger.last_firings("other", 9) == []


def test_a_missed_firing_that_was_put_to_a_later_time_is_due_again_and_a_finished_one_is_not(
    ledger, note, token
):
    (record,) = note(firing(0, "once"))
    ledger.move_firings(token, [replace(record, state=FiringState.MISSED, detail="late")])
    assert note(firing(0, "once")) == []
    (again,) = note(firing(8, "once"))
    ledger.move_firings(
        token, [replace(again, state=FiringState.WAITING, detail="nobody approved it", opens_at=NOW)]
    )
    (again,) = note(firing(9, "once"))
    assert (again.state, again.due_at, again.detail) == (FiringState.DUE, NOW + 540, "")
    assert again.opens_at is None
    for state in (FiringState.STARTED, FiringState.FINISHED):
        assert ledger.move_firings(token, [replace(again, state=state)])
        assert [each.due_at for each in note(firing(15, "once"))] in ([], [NOW + 540])
    assert note(firing(20, "once")) == []


def test_a_firing_is_moved_under_its_lock_alone(ledger, note, token, ada):
    (record,) = note(firing(0))
    with pytest.raises(LockHeld, match="firings of lebaran is being applied by ada@here pid 12") as caught:
        ledger.acquire(token.name, replace(ada, host="there"), NOW)
    assert caught.value.by.startswith("ada@here pid 12 since ")
    ledger.release(token)
    with pytest.raises(LockLost):
        ledger.move_firings(token, [replace(record, state=FiringState.MISSED)])
    assert ledger.open_firings("lebaran") == [record]


def test_locks_of_ticks_and_services_are_no_applies(ledger, token, ada, begin):
    ledger.acquire(SERVE_LOCK, ada, NOW)
    begin(ledger)
    assert ledger.applying(replace(ada, host="there"), NOW) == ["lebaran/once"]


def test_the_previous_size_is_of_the_greatest_plan_of_the_latest_earlier_occurrence(ledger, begin):
    assert ledger.previous_size("lebaran", "once") is None
    for digest, occurrence, to_send in (
        ("a", "2026-01-01T00:00Z", 7),
        ("b", "2026-01-02T00:00Z", 100),
        ("c", "2026-01-02T00:00Z", 40),
        ("d", "2026-01-04T00:00Z", 1),
    ):
        begin(ledger, digest, occurrence=occurrence, to_send=to_send).stop()
    begin(ledger, "e", campaign="other", to_send=5).stop()
    assert ledger.previous_size("lebaran", "2026-01-03T00:00Z") == ("2026-01-02T00:00Z", 100)
    assert ledger.previous_size("lebaran", "2026-01-01T00:00Z") is None
    assert ledger.previous_size("lebaran", "once") == ("2026-01-04T00:00Z", 1)
