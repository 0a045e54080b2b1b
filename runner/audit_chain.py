"""The audit log as a chain: each entry's hash covers the entry and the hash before it. Pure.

Whoever edits, removes, inserts or re-orders entries breaks the chain, and `check` says where. Entries cut off
at the end leave a whole chain: the ledger's other tables tell of them, and a head that was noted elsewhere.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Head:
    """Where a chain ends: its last entry's number and hash; 0 and the ledger's identity before the first."""

    number: int
    hash: str

    def __str__(self) -> str:
        """Render as `--head` takes it: `12:3f0c...`."""
        return f"{self.number}:{self.hash}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One thing that was done: what (`event`), when (epoch seconds), by whom, and its details as JSON text.

    `previous` is the hash of the entry before, `hash` that of this one.
    """

    number: int
    at: float
    event: str
    actor: str
    details: str
    previous: str
    hash: str


@dataclass(frozen=True, slots=True)
class Deed:
    """What has an entry, as another table shows: the entry's event, and the run it is about, if any."""

    event: str
    run: int | None = None

    def __str__(self) -> str:
        """Render for people: `plan_applied of run 3`."""
        return self.event if self.run is None else f"{self.event} of run {self.run}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """The first thing wrong with a chain: at which number, and what, for people."""

    number: int
    what: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Checked:
    """A chain that was gone through: the head it is sound up to, and its first fault if it has one."""

    head: Head
    fault: Fault | None = None


def chained(head: Head, *, at: float, event: str, actor: str, details: Mapping[str, object]) -> Entry:
    """Return the entry that follows `head`; `details` are JSON values."""
    number, by, at = head.number + 1, _storable(actor), float(at)
    text = json.dumps(details, sort_keys=True, separators=(",", ":"))
    digest = hash_of(number=number, at=at, event=event, actor=by, details=text, previous=head.hash)
    return Entry(number=number, at=at, event=event, actor=by, details=text, previous=head.hash, hash=digest)


def hash_of(*, number: int, at: float, event: str, actor: str, details: str, previous: str) -> str:
    """Return the SHA-256 (hex) of an entry in its one canonical writing: a JSON list in ASCII.

    What was edited into a value of another kind is written as Python shows it, so that it differs too.
    """
    content = [number, at, event, actor, details, previous]
    canonical = json.dumps(content, ensure_ascii=True, separators=(",", ":"), default=repr)
    return hashlib.sha256(canonical.encode("ascii")).hexdigest()


def check(
    entries: Iterable[Entry], *, origin: str, known: Iterable[Head] = (), deeds: Iterable[Deed] = ()
) -> Checked:
    """Go through all entries in the order of their numbers, up to the first fault.

    `origin` is the ledger's identity. `known` are heads that were noted elsewhere: all have to be in it.
    `deeds` are what the ledger's other tables show, read before the entries: each has to have its entry.
    """
    noted = {head.number: head for head in known}
    open_deeds = Counter(deeds)
    at = Head(number=0, hash=origin)
    for entry in entries:
        fault = _fault(at, entry) or _contradiction(entry.number, entry.hash, noted)
        if fault is not None:
            return Checked(head=at, fault=fault)
        at = Head(number=entry.number, hash=entry.hash)
        open_deeds[_deed(entry)] -= 1
    fault = _cut_off(at, noted) or _contradiction(0, origin, noted) or _untold(at, open_deeds)
    return Checked(head=at, fault=fault)


def _fault(before: Head, entry: Entry) -> Fault | None:
    """Return what is wrong with an entry that comes after `before`."""
    wanted = before.number + 1
    if entry.number != wanted:
        return Fault(number=wanted, what=f"entry {wanted} is missing: {entry.number} comes in its place")
    content = hash_of(
        number=entry.number,
        at=entry.at,
        event=entry.event,
        actor=entry.actor,
        details=entry.details,
        previous=entry.previous,
    )
    if content != entry.hash:
        return Fault(number=wanted, what=f"entry {wanted} was edited: its hash is not that of its content")
    if entry.previous != before.hash:
        what = f"entry {wanted} does not follow the one before it: one of the two was replaced or moved"
        return Fault(number=wanted, what=what)
    return None


def _contradiction(number: int, found: str, noted: Mapping[int, Head]) -> Fault | None:
    """Return what is wrong when a head that was noted has another hash than the chain."""
    if number not in noted or noted[number].hash == found:
        return None
    return Fault(
        number=number, what=f"entry {number} is not the one that was noted: the log was written anew"
    )


def _cut_off(end: Head, noted: Mapping[int, Head]) -> Fault | None:
    """Return what is wrong when a head that was noted lies past the chain's end."""
    last = max(noted, default=0)
    if last <= end.number:
        return None
    missing = f"entry {last} is" if last == end.number + 1 else f"entries {end.number + 1} to {last} are"
    return Fault(number=end.number + 1, what=f"{missing} missing at the end: the log was cut off")


def _deed(entry: Entry) -> Deed:
    details = json.loads(entry.details)
    return Deed(entry.event, details.get("run") if isinstance(details, dict) else None)


def _untold(end: Head, deeds: Counter[Deed]) -> Fault | None:
    """Return what is wrong when something that was done has no entry."""
    untold = [str(deed) for deed, count in deeds.items() if count > 0]
    if not untold:
        return None
    more = f" and {len(untold) - 1} more" if len(untold) > 1 else ""
    what = f"there is no entry of {untold[0]}{more}, which the ledger shows: the log was cut off"
    return Fault(number=end.number + 1, what=what)


def _storable(text: str) -> str:
    """Return a text as every database gives it back: without NUL, and without halves of surrogate pairs."""
    return text.encode("utf-8", "replace").decode("utf-8").replace("\0", "")
