"""runner.audit_chain: whatever is done to a chain by hand is found, and said where."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runner.audit_chain import Head, chained, check

ORIGIN = "0f" * 16

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner, max_size=3),
    max_leaves=5,
)
contents = st.fixed_dictionaries(
    {
        "at": st.floats(min_value=0, max_value=4e9),
        "event": st.sampled_from(["plan_applied", "run_ended", "forgotten"]),
        "actor": st.text(max_size=8),
        "details": st.dictionaries(st.text(max_size=5), json_values, max_size=3),
    }
)


def chain_of(things):
    """Return the entries of a chain in which these things were done."""
    head, entries = Head(number=0, hash=ORIGIN), []
    for thing in things:
        entries.append(chained(head, **thing))
        head = head_of(entries)
    return entries


def head_of(entries):
    last = entries[-1]
    return Head(number=last.number, hash=last.hash)


chains = st.lists(contents, min_size=2, max_size=8).map(chain_of)


def fault_of(entries, *known, origin=ORIGIN):
    fault = check(entries, origin=origin, known=known).fault
    return None if fault is None else fault.number


@given(chains)
def test_a_chain_that_nobody_touched_is_sound_and_holds_every_head_that_was_noted(entries):
    heads = [Head(number=0, hash=ORIGIN), *(Head(number=each.number, hash=each.hash) for each in entries)]
    checked = check(entries, origin=ORIGIN, known=heads)
    assert (checked.fault, checked.head) == (None, head_of(entries))


def test_an_empty_chain_is_sound():
    assert check([], origin=ORIGIN).head == Head(number=0, hash=ORIGIN)


@given(chains, st.data())
def test_an_edited_entry_is_found_whatever_was_edited(entries, data):
    place = data.draw(st.integers(0, len(entries) - 1))
    field = data.draw(st.sampled_from(["at", "event", "actor", "details", "previous", "hash"]))
    before = getattr(entries[place], field)
    edited = before + 1 if field == "at" else f"{before}x"
    entries[place] = replace(entries[place], **{field: edited})
    assert fault_of(entries) == place + 1


@given(chains, st.data())
def test_an_entry_edited_with_its_hash_made_anew_is_found_at_the_next_one(entries, data):
    place = data.draw(st.integers(0, len(entries) - 2))
    before = Head(number=place, hash=entries[place - 1].hash if place else ORIGIN)
    entries[place] = chained(before, at=1.0, event="run_ended", actor="mallory", details={"edited": True})
    assert fault_of(entries) == place + 2


@given(chains, st.data())
def test_an_entry_missing_in_the_middle_is_found(entries, data):
    place = data.draw(st.integers(0, len(entries) - 2))
    del entries[place]
    assert fault_of(entries) == place + 1


@given(chains, st.data())
def test_entries_missing_in_the_middle_and_the_others_renumbered_are_found(entries, data):
    place = data.draw(st.integers(0, len(entries) - 2))
    del entries[place]
    assert fault_of([replace(each, number=n) for n, each in enumerate(entries, 1)]) == place + 1


@given(chains, st.data())
def test_entries_cut_off_at_the_end_are_found_by_the_head_that_was_noted(entries, data):
    head = head_of(entries)
    kept = entries[: data.draw(st.integers(0, len(entries) - 1))]
    assert fault_of(kept) is None
    assert fault_of(kept, head) == len(kept) + 1


@given(chains, st.data())
def test_a_whole_log_written_anew_is_found_by_the_head_that_was_noted(entries, data):
    place = data.draw(st.integers(0, len(entries) - 1))
    head = head_of(entries[: place + 1])
    anew = [{"at": 1.0, "event": "x", "actor": "mallory", "details": {}} for _ in entries]
    assert fault_of(chain_of(anew)) is None
    assert fault_of(chain_of(anew), head) == place + 1


@given(chains, st.data())
def test_entries_in_another_order_are_found(entries, data):
    order = data.draw(st.permutations(range(len(entries))))
    moved = [replace(entries[place], number=n) for n, place in enumerate(order, 1)]
    first = next((n for n, place in enumerate(order) if n != place), None)
    assert fault_of(moved) == (None if first is None else first + 1)


@given(chains, contents, st.data())
def test_an_inserted_entry_is_found(entries, thing, data):
    place = data.draw(st.integers(0, len(entries) - 1))
    before = Head(number=place, hash=entries[place - 1].hash if place else ORIGIN)
    later = [replace(each, number=each.number + 1) for each in entries[place:]]
    assert fault_of([*entries[:place], chained(before, **thing), *later]) == place + 2


@given(chains)
def test_a_chain_of_another_ledger_is_found(entries):
    assert fault_of(entries, origin="ab" * 16) == 1


@pytest.mark.parametrize("edited", [b"{}", None, 7])
def test_a_value_of_another_kind_is_an_edit_and_no_traceback(edited):
    entries = chain_of([{"at": 1.0, "event": "x", "actor": "ada", "details": {}}])
    assert fault_of([replace(entries[0], details=edited)]) == 1


def test_what_no_database_keeps_is_left_out_before_it_is_hashed():
    (entry,) = chain_of([{"at": 1, "event": "x", "actor": "a\0b\udc80", "details": {"note": "\0\udc80"}}])
    assert (entry.actor, entry.at) == ("ab?", 1.0)
    assert entry.details.isascii()
    assert "\0" not in entry.details
