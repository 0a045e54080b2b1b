"""What can be asked of a SQL ledger."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict

from runner.delivery import DeliveryKey, State
from runner.ledger import sql_rows as rows
from runner.ledger.interface import (
    Counts,
    DeliveryHistory,
    DeliveryRecord,
    Event,
    LogBatch,
    OccurrenceSummary,
    OpenDelivery,
    PlanRecord,
    RunRecord,
)
from runner.ledger.lock_names import lock_name
from runner.ledger.sql_locks import SqlLocks
from runner.ledger.store import Store

#: How many phones one query asks for.
_PHONES_AT_ONCE = 1000


class Reading:
    """The questions of LedgerReader, which says what each is."""

    def __init__(self, store: Store, locks: SqlLocks) -> None:
        self._store = store
        self._locks = locks
        self._senders: dict[int, str] = {}

    def identity(self) -> str:
        """Return what tells this ledger from every other."""
        found = self._store.row("identity")
        return str(found[0]) if found else ""

    def generation(self, campaign: str, occurrence: str) -> int:
        """Return a number that grows with every run begun and every settlement by hand; 0 at first."""
        found = self._store.row("occurrence", campaign=campaign, occurrence=occurrence)
        return int(found[1]) if found else 0

    def occurrence_id(self, campaign: str, occurrence: str) -> int:
        """Return the occurrence's number; 0, which no occurrence has, when it was never applied."""
        found = self._store.row("occurrence", campaign=campaign, occurrence=occurrence)
        return int(found[0]) if found else 0

    def taken(
        self, campaign: str, occurrence: str, *, other_than_plan: str | None = None
    ) -> Iterator[list[str]]:
        """Yield the phones that may not be sent this occurrence again."""
        scope = {"occurrence_id": self.occurrence_id(campaign, occurrence)}
        if other_than_plan is None:
            found = self._store.batches("taken", **scope)
        else:
            found = self._store.batches("taken_by_others", digest=other_than_plan, **scope)
        for batch in found:
            yield [phone for (phone,) in batch]

    def recent(self, since: float) -> Iterator[list[tuple[str, int]]]:
        """Yield phones and how many messages they may have got since then."""
        for batch in self._store.batches("recent", since=since):
            yield [(phone, count) for phone, count in batch]

    def states(self, campaign: str, occurrence: str, phones: Sequence[str]) -> dict[str, State]:
        """Return where these phones' deliveries stand; a phone without one is left out."""
        occurrence_id = self.occurrence_id(campaign, occurrence)
        found: dict[str, State] = {}
        for start in range(0, len(phones), _PHONES_AT_ONCE):
            some = json.dumps(phones[start : start + _PHONES_AT_ONCE])
            listed = self._store.rows("states", occurrence_id=occurrence_id, phones=some)
            found.update((phone, State(state)) for phone, state in listed)
        return found

    def plan_record(self, digest: str) -> PlanRecord | None:
        """Return the plan, or None if it was never applied."""
        found = self._store.row("plan", digest=digest)
        return rows.plan(found) if found else None

    def runs(self) -> list[RunRecord]:
        """Return every run there ever was, in order."""
        return [rows.run(row) for row in self._store.rows("runs")]

    def run_record(self, run: int) -> RunRecord | None:
        """Return a run by its number, or None."""
        found = self._store.row("run_record", run=run)
        return rows.run(found) if found else None

    def counts(self, digest: str) -> Counts:
        """Return where the plan's deliveries stand."""
        return rows.counts(self._store.rows("plan_tallies", digest=digest))

    def last_outcome(self, digest: str) -> float | None:
        """Return when the plan's last outcome was recorded, None before the first."""
        ((at,),) = self._store.rows("last_outcome", digest=digest)
        return at if at is None else float(at)

    def summary(self, campaign: str | None = None) -> list[OccurrenceSummary]:
        """Return every occurrence ever applied, of one campaign or of all."""
        with self._store.snapshot():
            return [self._summarise(*row) for row in self._store.rows("occurrences", campaign=campaign)]

    def unknowns(self, campaign: str, occurrence: str, limit: int) -> list[DeliveryRecord]:
        """Return at most `limit` unknown deliveries, oldest first."""
        occurrence_id = self.occurrence_id(campaign, occurrence)
        found = self._store.rows("unknowns", occurrence_id=occurrence_id, limit=limit)
        return [rows.delivery(row) for row in found]

    def history(self, phone: str) -> list[DeliveryHistory]:
        """Return every delivery to one phone over all campaigns, oldest intent first."""
        with self._store.snapshot():
            return [
                DeliveryHistory(delivery=delivery, events=self._events_of(delivery.key))
                for delivery in map(rows.delivery, self._store.rows("deliveries_to", phone=phone))
            ]

    def events(self, run: int, first: int, last: int) -> Iterator[list[Event]]:
        """Yield a run's events numbered `first` to `last`, both included."""
        for batch in self._store.batches("events_between", run=run, first=first, last=last):
            yield [rows.event(row) for row in batch]

    def log_batches(self, target: str, run: int) -> list[LogBatch]:
        """Return what was cut of a run for one log."""
        return [rows.log_batch(row) for row in self._store.rows("log_batches", target=target, run=run)]

    def deliveries_between(self, since: float, until: float) -> Iterator[list[OpenDelivery]]:
        """Yield the deliveries intended from `since` until before `until`."""
        for batch in self._store.batches("deliveries_between", since=since, until=until):
            yield [rows.open_delivery(row, self.sender_of(row[3])) for row in batch]

    def sender_of(self, plan_id: int) -> str:
        """Return the sender of a plan by its number, empty where the plan did not say."""
        if plan_id not in self._senders:
            (found,) = self._store.rows("plan_details", plan_id=plan_id)
            self._senders[plan_id] = str(json.loads(found[0]).get("sender", ""))
        return self._senders[plan_id]

    def _events_of(self, key: DeliveryKey) -> tuple[Event, ...]:
        return tuple(rows.event(row) for row in self._store.rows("events_of", **asdict(key)))

    def _summarise(
        self, occurrence_id: int, campaign: str, occurrence: str, digest: str
    ) -> OccurrenceSummary:
        last_run = self._store.row("last_run", digest=digest)
        total = self._store.rows("occurrence_tallies", occurrence_id=occurrence_id)
        variants = self._store.rows("variant_tallies", occurrence_id=occurrence_id)
        return OccurrenceSummary(
            campaign=campaign,
            occurrence=occurrence,
            plan=rows.plan(self._store.rows("plan", digest=digest)[0]),
            counts=self.counts(digest),
            total=rows.counts(total),
            variants=rows.counts_by_variant(variants),
            last_run=rows.run(last_run) if last_run else None,
            lock=self._locks.holder_of(lock_name(campaign, occurrence)),
        )
