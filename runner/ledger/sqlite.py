"""The ledger in one SQLite file: the default, for one machine and any number of its processes.

Every delivery has one row, unique for ever; every write is one transaction that is on disk when it returns.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from runner.delivery import Answer, DeliveryKey, Outcome, State
from runner.errors import LedgerError, UsageError
from runner.ledger import sqlite_rows as rows
from runner.ledger.interface import (
    Counts,
    DeliveryHistory,
    DeliveryRecord,
    Holder,
    Intent,
    LockToken,
    OccurrenceSummary,
    OutcomeRecord,
    PlanRecord,
    Settlement,
    lock_name,
)
from runner.ledger.liveness import is_running
from runner.ledger.sqlite_file import SqliteFile, open_file, open_file_to_read
from runner.ledger.sqlite_locks import SqliteLocks
from runner.pacing import PaceState

#: How long a write waits for another process's, in seconds.
BUSY_SECONDS = 5.0
#: How many phones one query asks for.
_PHONES_AT_ONCE = 1000

_INTERRUPTED = Answer(
    outcome=Outcome.UNKNOWN, rule="interrupted", detail="the run ended before an answer was recorded"
)
_RESOLVABLE = {State.ACCEPTED, State.REFUSED, State.RETRY}

#: Changes of the counts, by (plan, state, rule); an intent has no rule yet.
_Tally = Counter[tuple[int, str, str]]


def open_url(url: str, root: Path, *, read_only: bool = False) -> SqliteLedger:
    """Open `sqlite:///path`: relative to `root`, or absolute after four slashes."""
    path = url.removeprefix("sqlite:///")
    if path in {url, ""}:
        raise LedgerError(
            f"ledger: found {url}, expected sqlite:/// and a path",
            hint="three slashes before a path relative to the project, four before an absolute one",
        )
    file = (root / path).absolute()
    if read_only:
        return SqliteLedger(open_file_to_read(file, busy_seconds=BUSY_SECONDS))
    return SqliteLedger(open_file(file, busy_seconds=BUSY_SECONDS))


@dataclass(frozen=True, slots=True, kw_only=True)
class _Scope:
    """What a run may write about."""

    plan_id: int
    occurrence_id: int
    campaign: str
    occurrence: str


class SqliteLedger:
    """A ledger in an open SQLite file. `is_running` tells whether a holder on this machine is still there."""

    def __init__(self, file: SqliteFile, *, is_running: Callable[[Holder], bool] = is_running) -> None:
        self._file = file
        self._locks = SqliteLocks(file, is_running)
        self._scopes: dict[int, _Scope] = {}

    def close(self) -> None:
        """Close the ledger."""
        self._file.close()

    # Reading

    def generation(self, campaign: str, occurrence: str) -> int:
        """Return a number that grows with every run begun and every settlement by hand; 0 at first."""
        found = self._file.row("occurrence", campaign=campaign, occurrence=occurrence)
        return int(found[1]) if found else 0

    def taken(
        self, campaign: str, occurrence: str, *, other_than_plan: str | None = None
    ) -> Iterator[list[str]]:
        """Yield the phones that may not be sent this occurrence again; see LedgerReader."""
        scope = {"occurrence_id": self._occurrence_id(campaign, occurrence)}
        if other_than_plan is None:
            found = self._file.batches("taken", **scope)
        else:
            found = self._file.batches("taken_by_others", digest=other_than_plan, **scope)
        for batch in found:
            yield [phone for (phone,) in batch]

    def recent(self, since: float) -> Iterator[list[tuple[str, int]]]:
        """Yield phones and how many messages they may have got since then; see LedgerReader."""
        for batch in self._file.batches("recent", since=since):
            yield [(phone, count) for phone, count in batch]

    def states(self, campaign: str, occurrence: str, phones: Sequence[str]) -> dict[str, State]:
        """Return where these phones' deliveries stand; a phone without one is left out."""
        occurrence_id = self._occurrence_id(campaign, occurrence)
        found: dict[str, State] = {}
        for start in range(0, len(phones), _PHONES_AT_ONCE):
            some = json.dumps(phones[start : start + _PHONES_AT_ONCE])
            listed = self._file.rows("states", occurrence_id=occurrence_id, phones=some)
            found.update((phone, State(state)) for phone, state in listed)
        return found

    def plan_record(self, digest: str) -> PlanRecord | None:
        """Return the plan, or None if it was never applied."""
        found = self._file.row("plan", digest=digest)
        return rows.plan(found) if found else None

    def counts(self, digest: str) -> Counts:
        """Return where the plan's deliveries stand."""
        return rows.counts(self._file.rows("plan_tallies", digest=digest))

    def summary(self, campaign: str | None = None) -> list[OccurrenceSummary]:
        """Return every occurrence ever applied, of one campaign or of all."""
        with self._file.snapshot():
            return [self._summarise(*row) for row in self._file.rows("occurrences", campaign=campaign)]

    def unknowns(self, campaign: str, occurrence: str, limit: int) -> list[DeliveryRecord]:
        """Return at most `limit` unknown deliveries, oldest first."""
        occurrence_id = self._occurrence_id(campaign, occurrence)
        found = self._file.rows("unknowns", occurrence_id=occurrence_id, limit=limit)
        return [rows.delivery(row) for row in found]

    def history(self, phone: str) -> list[DeliveryHistory]:
        """Return every delivery to one phone over all campaigns, oldest intent first."""
        with self._file.snapshot():
            return [
                DeliveryHistory(delivery=delivery, outcomes=self._outcomes(delivery.key))
                for delivery in map(rows.delivery, self._file.rows("deliveries_to", phone=phone))
            ]

    # Locks

    def acquire(self, name: str, holder: Holder, now: float) -> LockToken:
        """Take a lock that is free, or whose holder is gone; else raise Refusal, which says who holds it."""
        return self._locks.acquire(name, holder, now)

    def heartbeat(self, token: LockToken, now: float) -> None:
        """Say that the holder is alive; LockLost if the lock was taken over."""
        self._locks.heartbeat(token, now)

    def release(self, token: LockToken) -> None:
        """Give the lock back; nothing happens if it was taken over."""
        self._locks.release(token)

    # Plans and runs

    def register_plan(
        self, *, digest: str, campaign: str, occurrence: str, to_send: int, created_at: float
    ) -> PlanRecord:
        """Record a plan, and return it; a plan that is recorded already stays as it is."""
        key = {"campaign": campaign, "occurrence": occurrence}
        with self._file.transaction():
            self._file.run("add_occurrence", key)
            plan = {"digest": digest, "to_send": to_send, "created_at": created_at}
            self._file.run("add_plan", {**key, **plan})
            return rows.plan(self._file.rows("plan", digest=digest)[0])

    def finish_plan(self, token: LockToken, digest: str, now: float) -> None:
        """Record that the plan has nothing left to do."""
        with self._file.transaction():
            self._locks.check_held(token)
            self._file.run("mark_finished", {"digest": digest, "now": now})

    def begin_run(self, token: LockToken, digest: str, holder: Holder, now: float) -> int:
        """Record the start of a run of a registered plan, and return the run's number."""
        with self._file.transaction():
            self._locks.check_held(token)
            found = self._file.row("plan_ids", digest=digest)
            if found is None:
                raise LedgerError(f"plan {digest[:12]} is not in the ledger", hint="register the plan first")
            plan_id, occurrence_id = found
            self._file.run("move_generation", {"occurrence_id": occurrence_id})
            self._file.run("mark_applied", {"plan_id": plan_id, "now": now})
            run = self._file.run("add_run", {"plan_id": plan_id, "now": now, **asdict(holder)}).lastrowid
        return run or 0

    def end_run(self, run: int, exit_code: int, now: float) -> None:
        """Record the end of a run."""
        with self._file.transaction():
            self._file.run("mark_ended", {"run": run, "exit_code": int(exit_code), "now": now})

    # Deliveries

    def commit(
        self, token: LockToken, intents: Sequence[Intent], outcomes: Sequence[Settlement], now: float
    ) -> list[bool]:
        """Record outcomes, then intents, durably and all or nothing; see Ledger."""
        tally: _Tally = Counter()
        with self._file.transaction():
            self._locks.check_held(token)
            self._settle(outcomes, now, tally)
            recorded = self._intend_all(intents, now, tally)
            self._keep(tally)
        return recorded

    def settle_interrupted(self, token: LockToken, campaign: str, occurrence: str, now: float) -> int:
        """Make `unknown` what a killed run left in flight; return how many."""
        with self._file.transaction():
            self._locks.check_held(token)
            occurrence_id = self._occurrence_id(campaign, occurrence)
            left = self._file.rows("in_flight", occurrence_id=occurrence_id)
            self._move(occurrence_id, left, State.INTENT, _INTERRUPTED, now)
        return len(left)

    def resolve(
        self,
        campaign: str,
        occurrence: str,
        phone: str | None,
        *,
        to: State,
        by: str,
        note: str,
        now: float,
    ) -> int:
        """Settle one unknown delivery, or all (None), on a person's word; return how many."""
        if to not in _RESOLVABLE:
            raise UsageError(
                f"an unknown delivery cannot be resolved to {to.value}",
                hint="resolve it to accepted, refused, or retry (send again)",
            )
        answer = Answer(outcome=Outcome(to.value), rule=f"resolved by {by}", detail=note)
        with self._file.transaction():
            occurrence_id = self._occurrence_id(campaign, occurrence)
            found = self._file.rows("open_unknown", occurrence_id=occurrence_id, phone=phone)
            moved = self._move(occurrence_id, found, State.UNKNOWN, answer, now)
            trace = {"occurrence_id": occurrence_id, "outcome": to.value, "by": by, "note": note, "now": now}
            self._file.run_all("add_resolution", [{**trace, "phone": each} for each in moved])
            if moved:
                self._file.run("move_generation", {"occurrence_id": occurrence_id})
        return len(moved)

    # Pace

    def reserve_slot(self, sender: str, interval: float, now: float) -> float:
        """Reserve and return the next slot, at least `interval` seconds after the one reserved before."""
        with self._file.transaction():
            slot, state = self._pace(sender, now).reserved(now, interval)
            self._file.run("set_pace", {"sender": sender, **asdict(state)})
        return slot

    def delay_sender(self, sender: str, seconds: float, now: float) -> None:
        """Move every slot not reserved yet by `seconds`; delays add up."""
        with self._file.transaction():
            state = self._pace(sender, now).delayed(now, seconds)
            self._file.run("set_pace", {"sender": sender, **asdict(state)})

    def hold_sender(self, sender: str, seconds: float, now: float) -> None:
        """Free no slot before `now + seconds`; holds do not add up."""
        with self._file.transaction():
            state = self._pace(sender, now).held(now, seconds)
            self._file.run("set_pace", {"sender": sender, **asdict(state)})

    def _settle(self, outcomes: Sequence[Settlement], now: float, tally: _Tally) -> None:
        settled = []
        for settlement in outcomes:
            scope, answer = self._scope(settlement.run, settlement.key), settlement.answer
            settled.append(rows.settled(scope.occurrence_id, settlement.key.phone, settlement.run, answer))
            tally[scope.plan_id, State.INTENT.value, ""] -= 1
            tally[scope.plan_id, answer.outcome.value, answer.rule] += 1
        self._write_outcomes(settled, State.INTENT, now)

    def _write_outcomes(self, settled: Sequence[rows.Settled], before: State, now: float) -> None:
        if not settled:
            return
        group = {"settled": json.dumps(settled), "before": before.value, "now": now}
        if self._file.run("settle_deliveries", group).rowcount != len(settled):
            raise LedgerError(
                "an outcome came without an intent of its run; the whole group was left unrecorded",
                hint="run the same command again: what was in flight becomes unknown",
            )
        self._file.run("add_outcomes", group)

    def _intend_all(self, intents: Sequence[Intent], now: float, tally: _Tally) -> list[bool]:
        if not intents:
            return []
        scopes = [self._scope(intent.run, intent.key) for intent in intents]
        group = [
            (scope.occurrence_id, intent.key.phone, intent.recipient_id, scope.plan_id, intent.run)
            for scope, intent in zip(scopes, intents, strict=True)
        ]
        self._file.run("save", {})
        if self._add(group, now) == len(group):
            for scope in scopes:
                tally[scope.plan_id, State.INTENT.value, ""] += 1
            return [True] * len(group)
        # Some keys are taken, or are tried again. Which ones, only one by one tells.
        self._file.run("undo", {})
        recorded = []
        for scope, intent, entry in zip(scopes, intents, group, strict=True):
            recorded.append(bool(self._add([entry], now)) or self._intend_again(scope, intent, now, tally))
            tally[scope.plan_id, State.INTENT.value, ""] += recorded[-1]
        return recorded

    def _add(self, group: Sequence[rows.Intended], now: float) -> int:
        """Record first intents; return how many there are: fewer than asked for where keys are taken."""
        return self._file.run("add_deliveries", {"intents": json.dumps(group), "now": now}).rowcount

    def _intend_again(self, scope: _Scope, intent: Intent, now: float, tally: _Tally) -> bool:
        """Record the intent of another attempt, if the last one was refused for now."""
        row = {
            "occurrence_id": scope.occurrence_id,
            "phone": intent.key.phone,
            "recipient_id": intent.recipient_id,
            "plan_id": scope.plan_id,
            "run": intent.run,
            "now": now,
        }
        before = self._file.run("retriable", row).fetchone()
        if before is None:
            return False
        self._file.run("retry_delivery", row)
        tally[before[0], State.RETRY.value, before[1]] -= 1
        return True

    def _move(
        self, occurrence_id: int, found: Sequence[rows.Row], before: State, answer: Answer, now: float
    ) -> list[str]:
        """Settle rows of (phone, plan, run, rule) that no provider's answer settles; return their phones.

        The counts move with them.
        """
        tally: _Tally = Counter()
        moved = []
        for phone, plan_id, run, rule in found:
            moved.append(rows.settled(occurrence_id, phone, run, answer))
            tally[plan_id, before.value, rule] -= 1
            tally[plan_id, answer.outcome.value, answer.rule] += 1
        self._write_outcomes(moved, before, now)
        self._keep(tally)
        return [phone for phone, *_ in found]

    def _keep(self, tally: _Tally) -> None:
        changes = [(*counted, change) for counted, change in tally.items() if change]
        if changes:
            self._file.run("add_tallies", {"changes": json.dumps(changes)})

    def _scope(self, run: int, key: DeliveryKey) -> _Scope:
        """Return what a run may write about; a delivery of another occurrence is an error."""
        scope = self._scopes.get(run) or self._find_scope(run)
        if scope is None or (key.campaign, key.occurrence) != (scope.campaign, scope.occurrence):
            raise LedgerError(f"run {run} is no run of {lock_name(key.campaign, key.occurrence)}")
        return scope

    def _find_scope(self, run: int) -> _Scope | None:
        found = self._file.row("run_scope", run=run)
        if found is None:
            return None
        plan_id, occurrence_id, campaign, occurrence = found
        self._scopes[run] = _Scope(
            plan_id=plan_id, occurrence_id=occurrence_id, campaign=campaign, occurrence=occurrence
        )
        return self._scopes[run]

    def _pace(self, sender: str, now: float) -> PaceState:
        found = self._file.row("pace", sender=sender)
        return rows.pace(found) if found else PaceState(tat=now, seen_at=now)

    def _occurrence_id(self, campaign: str, occurrence: str) -> int:
        """Return the occurrence's number; 0, which no occurrence has, when it was never applied."""
        found = self._file.row("occurrence", campaign=campaign, occurrence=occurrence)
        return int(found[0]) if found else 0

    def _outcomes(self, key: DeliveryKey) -> tuple[OutcomeRecord, ...]:
        return tuple(rows.outcome(row) for row in self._file.rows("outcomes_of", **asdict(key)))

    def _summarise(
        self, occurrence_id: int, campaign: str, occurrence: str, digest: str
    ) -> OccurrenceSummary:
        last_run = self._file.row("last_run", digest=digest)
        total = self._file.rows("occurrence_tallies", occurrence_id=occurrence_id)
        return OccurrenceSummary(
            campaign=campaign,
            occurrence=occurrence,
            plan=rows.plan(self._file.rows("plan", digest=digest)[0]),
            counts=self.counts(digest),
            total=rows.counts(total),
            last_run=rows.run(last_run) if last_run else None,
            lock=self._locks.holder_of(lock_name(campaign, occurrence)),
        )
