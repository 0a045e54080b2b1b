"""What every ledger promises of people to be forgotten: nothing of them stays but a hash, and all counts."""

from __future__ import annotations

import json
from itertools import chain

import pytest

from runner.audit_chain import check
from runner.delivery import State, is_forgotten
from runner.errors import UsageError
from runner.ledger.interface import Erased
from runner.ledger.liveness import this_process

NOW = 1_780_000_000.0
PHONE, OTHER = "6281230000001", "6281230000002"


@pytest.fixture
def me():
    return this_process("ada")


def phones(ledger):
    return {phone for batch in ledger.taken("lebaran", "once") for phone in batch}


def audit(ledger):
    found = list(chain.from_iterable(ledger.audit()))
    assert check(found, origin=ledger.identity()).fault is None
    return [(each.event, json.loads(each.details)) for each in found]


def test_nobody_is_forgotten_at_first(ledger):
    assert (ledger.last_forgotten(), list(ledger.forgotten()), ledger.forget_proof()) == (0, [], None)


def test_the_hash_of_a_person_is_kept_once(ledger, me, open_again):
    assert ledger.forget("hash-1", "proof", me, NOW) is True
    first = ledger.last_forgotten()
    assert ledger.forget("hash-1", "proof", me, NOW) is False
    assert ledger.last_forgotten() == first > 0
    assert ledger.forget("hash-2", "proof", me, NOW) is True

    reader = open_again(read_only=True)
    assert reader.last_forgotten() > first
    assert list(chain.from_iterable(reader.forgotten())) == ["hash-1", "hash-2"]
    assert reader.forget_proof() == "proof"
    assert audit(ledger) == [("forgotten", {"host": me.host})] * 2


def test_another_key_is_refused_and_changes_nothing(ledger, me):
    ledger.forget("hash-1", "proof", me, NOW)

    with pytest.raises(UsageError, match="not the key by which people were forgotten"):
        ledger.forget("hash-2", "another proof", me, NOW)

    assert list(chain.from_iterable(ledger.forgotten())) == ["hash-1"]
    assert ledger.forget_proof() == "proof"
    assert len(audit(ledger)) == 1


def test_whoever_is_erased_is_in_no_answer_any_more_and_still_counts(applying, resolve, me):
    ledger = applying.ledger
    applying.send("unknown", PHONE, OTHER)
    resolve(ledger, None, State.ACCEPTED)
    before = ledger.counts("plan-1")
    (history,) = ledger.history(PHONE)
    run = history.delivery.run

    erased = ledger.erase(PHONE, me, NOW)

    assert erased == Erased(deliveries=1, events=2, resolutions=1)
    assert ledger.history(PHONE) == []
    assert ledger.counts("plan-1") == before
    assert OTHER in phones(ledger)
    (left,) = phones(ledger) - {OTHER}
    assert is_forgotten(left)
    found = [each for batch in ledger.events(run, 0, 1 << 40) for each in batch]
    assert len(found) == 4
    erased_events = [each for each in found if each.key.phone == left]
    assert [(each.event, each.recipient_id, each.message_id, each.detail) for each in erased_events] == [
        ("unknown", "", None, None),
        ("accepted", "", None, None),
    ]
    assert all(each.detail for each in found if each.key.phone == OTHER)
    assert audit(ledger)[-1] == (
        "erased",
        {"deliveries": 1, "events": 2, "resolutions": 1, "held_out": 0, "host": me.host},
    )
    assert all(PHONE not in str(entry) for entry in audit(ledger))


def test_a_person_is_erased_from_every_campaign(ledger, begin, me):
    begin(ledger).send("accepted", PHONE)
    begin(ledger, "plan-2", occurrence="2026-03-20T10:00Z").send("refused", PHONE)
    begin(ledger, "plan-3", campaign="other").send("retry", PHONE)

    assert ledger.erase(PHONE, me, NOW) == Erased(deliveries=3, events=3, resolutions=0)
    assert ledger.history(PHONE) == []


def test_two_people_of_one_occurrence_can_be_erased(applying, me):
    applying.send("accepted", PHONE, OTHER)

    assert applying.ledger.erase(PHONE, me, NOW).deliveries == 1
    assert applying.ledger.erase(OTHER, me, NOW).deliveries == 1
    assert len(phones(applying.ledger)) == 2


def test_erasing_again_or_a_stranger_changes_nothing_and_is_not_noted(applying, me):
    applying.send("accepted", PHONE)
    applying.ledger.erase(PHONE, me, NOW)
    noted = audit(applying.ledger)

    for phone in (PHONE, OTHER):
        assert applying.ledger.erase(phone, me, NOW) == Erased(deliveries=0, events=0, resolutions=0)
    assert audit(applying.ledger) == noted


def test_a_message_in_flight_is_waited_for(ledger, me):
    token = ledger.acquire("lebaran/once", me, NOW)
    ledger.register_plan(digest="p", campaign="lebaran", occurrence="once", to_send=1, created_at=NOW)
    from tests.ledger.conftest import Applying

    run = ledger.begin_run(token, "p", me, NOW)
    going_on = Applying(ledger=ledger, token=token, run=run, campaign="lebaran", occurrence="once")
    going_on.intend(PHONE)

    assert ledger.applying(me, NOW) == ["lebaran/once"]
    assert ledger.erase(PHONE, me, NOW) is None
    assert len(ledger.history(PHONE)) == 1
    assert ledger.erase(OTHER, me, NOW) is not None

    going_on.settle("accepted", PHONE)
    assert ledger.erase(PHONE, me, NOW).deliveries == 1


def test_what_a_killed_run_left_in_flight_is_erased_and_becomes_unknown_like_any(applying, begin, me):
    ledger = applying.ledger
    applying.intend(PHONE, OTHER)
    ledger.release(applying.token)

    assert ledger.applying(me, NOW) == []
    assert ledger.erase(PHONE, me, NOW).deliveries == 1

    again = begin(ledger)
    assert ledger.settle_interrupted(again.token, "lebaran", "once", NOW) == 2
    assert ledger.counts("plan-1").unknown == 2
    assert len(ledger.unknowns("lebaran", "once", 10)) == 2
    assert ledger.resolve("lebaran", "once", None, to=State.REFUSED, by="ada", note="", now=NOW) == 2


def test_planning_and_receipts_take_what_stands_in_a_phones_place(applying, me):
    applying.send("accepted", PHONE)
    applying.ledger.erase(PHONE, me, NOW)

    (recent,) = chain.from_iterable(applying.ledger.recent(0))
    (opened,) = chain.from_iterable(applying.ledger.deliveries_between(0, 2 * NOW))
    for phone in (*phones(applying.ledger), recent[0], opened.phone):
        assert int(phone) < 0


def test_the_ledger_can_be_wiped_while_nobody_else_uses_it(applying, me):
    applying.send("accepted", PHONE)
    applying.ledger.erase(PHONE, me, NOW)

    assert applying.ledger.wipe() is True
    assert applying.ledger.counts("plan-1").accepted == 1
