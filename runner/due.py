"""Which firings of a campaign are due, which of them may run, and which were missed.

Slots that have come are recorded first, so that whatever becomes of them, each is accounted for.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timezone

from runner.campaign import Campaign
from runner.ledger.firings import FiringReader, FiringRecord, FiringRows, FiringState
from runner.ledger.interface import Holder
from runner.punctuality import judge
from runner.schedule import Firing, Schedule, firing_at, firings


def note_due(campaign: Campaign, ledger: FiringRows, holder: Holder, now: datetime) -> list[FiringRecord]:
    """Record the firings that have come since the last look; return all that are open and due, in order.

    A campaign that is new to the ledger fires from now on.
    """
    since = ledger.watch(campaign.name, now.timestamp())
    come = list(firings(campaign.schedule, moment_of(since), now))
    ledger.note_firings(campaign.name, come, now.timestamp(), holder, now.timestamp())
    return [record for record in ledger.open_firings(campaign.name) if moment_of(record.due_at) <= now]


def would_be_due(campaign: Campaign, ledger: FiringReader, now: datetime) -> list[FiringRecord]:
    """Return what `note_due` would, and record nothing."""
    since = ledger.noted_until(campaign.name)
    known = [record for record in ledger.open_firings(campaign.name) if moment_of(record.due_at) <= now]
    come = [] if since is None else firings(campaign.schedule, moment_of(since), now)
    occurrences = {record.occurrence for record in ledger.last_firings(campaign.name, 1000)}
    new = [
        FiringRecord(
            campaign=campaign.name,
            occurrence=firing.occurrence,
            due_at=firing.due_at.timestamp(),
            state=FiringState.DUE,
            at=now.timestamp(),
            by="",
        )
        for firing in come
        if firing.due_at is not None and firing.occurrence not in occurrences
    ]
    return [*known, *new]


def sorted_out(
    schedule: Schedule, records: Sequence[FiringRecord], now: datetime, *, begun: frozenset[str]
) -> tuple[list[FiringRecord], list[tuple[FiringRecord, str]]]:
    """Return the firings that may run now, in order, and those that were missed, each with why.

    One of `begun`, of which something may have been sent, is gone on with until it expires.
    """
    fires = [record for record in records if _fires(schedule, record)]
    missed = [(each, "the schedule does not fire then any more") for each in records if each not in fires]
    started = [each for each in fires if each.state is FiringState.STARTED and each.occurrence in begun]
    expired = [each for each in started if each.expires_at is not None and each.expires_at <= now.timestamp()]
    missed += [(each, "it was begun, and what was left of it has expired") for each in expired]
    fresh = {each.occurrence: each for each in fires if each not in started}
    verdict = judge(schedule, map(_opened, fresh.values()), now)
    late = [fresh.pop(firing.occurrence) for firing in verdict.missed]
    missed += [(each, _late(schedule, each, now)) for each in late]
    runs = [*fresh.values(), *(each for each in started if each not in expired)]
    return sorted(runs, key=lambda each: each.due_at), missed


def rests(record: FiringRecord, now: datetime) -> bool:
    """Tell whether nothing is to be done about the firing yet: everybody's window is closed.

    One that waits for an approval does not rest: people may have edited or approved it.
    """
    is_closed = record.opens_at is not None and now.timestamp() < record.opens_at
    return is_closed and record.state is not FiringState.WAITING


def _fires(schedule: Schedule, record: FiringRecord) -> bool:
    found = firing_at(schedule, moment_of(record.due_at))
    return found is not None and found.occurrence == record.occurrence


def _opened(record: FiringRecord) -> Firing:
    """Return the firing as due when the first window opens: before that nobody could have sent it."""
    return Firing(occurrence=record.occurrence, due_at=moment_of(_opening(record)))


def _opening(record: FiringRecord) -> float:
    return max(record.due_at, record.opens_at or record.due_at)


def _late(schedule: Schedule, record: FiringRecord, now: datetime) -> str:
    late = int((now.timestamp() - _opening(record)) // 60)
    waited = f"; it waited: {record.detail}" if record.detail else ""
    return f"{late} minutes late (schedule.missed is {schedule.missed.value}){waited}"


def moment_of(at: float) -> datetime:
    """Return the instant (UTC) of epoch seconds."""
    return datetime.fromtimestamp(at, timezone.utc)
