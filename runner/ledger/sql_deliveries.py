"""What a SQL ledger writes of deliveries: intents, outcomes, settlements by hand, and the counts of them.

A group is written by a few statements, whatever its size: with each statement the ledger's thread gives the
interpreter away, and has to wait for it again.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import groupby
from operator import attrgetter

from runner import quick_json
from runner.campaign import Cap
from runner.delivery import Answer, DeliveryKey, Outcome, State
from runner.errors import LedgerError, UsageError
from runner.ledger import sql_rows as rows
from runner.ledger.interface import CampaignStopped, Intent, LockToken, Settlement, StopRecord
from runner.ledger.lock_names import lock_name
from runner.ledger.sql_audit import Audit
from runner.ledger.sql_caps import Caps
from runner.ledger.sql_locks import SqlLocks
from runner.ledger.sql_opt_outs import OptOuts
from runner.ledger.sql_reading import Reading
from runner.ledger.sql_stops import Stops
from runner.ledger.store import Row, Store
from runner.ledger.webhooks import OptOut
from runner.masking import mask_phones_in
from runner.opt_out import says_opted_out

_INTERRUPTED = Answer(
    outcome=Outcome.UNKNOWN, rule="interrupted", detail="the run ended before an answer was recorded"
)
_RESOLVABLE = {State.ACCEPTED, State.REFUSED, State.RETRY}

#: Changes of the counts, by (plan, state or receipt, rule, variant). Intents and receipts have no rule; the
#: variant is empty in a campaign without.
Changes = Counter[tuple[int, str, str, str]]

#: An intent as the statements take it: phone, recipient, variant.
_Entry = tuple[str, str, "str | None"]

_of_run = attrgetter("run")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Scope:
    """What a run may write about."""

    run: int
    plan_id: int
    occurrence_id: int
    campaign: str
    occurrence: str

    def covers(self, key: DeliveryKey) -> bool:
        """Tell whether the run may write about a delivery."""
        return key.campaign == self.campaign and key.occurrence == self.occurrence


class Deliveries:
    """The deliveries of a SQL ledger, as runs and persons change them."""

    def __init__(
        self, store: Store, locks: SqlLocks, reading: Reading, opt_outs: OptOuts, stops: Stops, caps: Caps
    ) -> None:
        self._store = store
        self._caps = caps
        self._opt_outs = opt_outs
        self._locks = locks
        self._reading = reading
        self._audit = Audit(store)
        self._stops = stops
        self._scopes: dict[int, _Scope] = {}

    def commit(
        self,
        token: LockToken,
        intents: Sequence[Intent],
        outcomes: Sequence[Settlement],
        now: float,
        *,
        caps: Sequence[Cap] = (),
    ) -> list[bool | str]:
        """Record outcomes, then intents, durably and all or nothing; see Ledger."""
        changes: Changes = Counter()
        recorded: list[bool | str] = []
        with self._store.transaction():
            self._locks.check_held(token)
            settled = [(self._scope(run), list(some)) for run, some in groupby(outcomes, _of_run)]
            intended = [(self._scope(run), list(some)) for run, some in groupby(intents, _of_run)]
            self._store.hold({scope.occurrence_id for scope, _ in [*settled, *intended]})
            for scope, answered in settled:
                self._settle(scope, answered, now, changes)
            stop = self._stop_of([scope for scope, _ in intended])
            for scope, wanted in intended if stop is None else ():
                recorded += self._intend(scope, wanted, now, changes, caps)
            self.count(changes)
        if stop is not None:
            raise CampaignStopped(stop)
        return recorded

    def settle_interrupted(self, token: LockToken, campaign: str, occurrence: str, now: float) -> int:
        """Make `unknown` what a killed run left in flight; return how many."""
        with self._store.transaction():
            self._locks.check_held(token)
            occurrence_id = self._reading.occurrence_id(campaign, occurrence)
            self._store.hold([occurrence_id])
            left = self._store.rows("in_flight", occurrence_id=occurrence_id)
            self.move(occurrence_id, left, State.INTENT, _INTERRUPTED, now)
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
        note = mask_phones_in(note)
        answer = Answer(outcome=Outcome(to.value), rule=f"resolved by {by}", detail=note)
        with self._store.transaction():
            occurrence_id = self._reading.occurrence_id(campaign, occurrence)
            self._store.hold([occurrence_id])
            found = self._store.rows("open_unknown", occurrence_id=occurrence_id, phone=phone)
            self.move(occurrence_id, found, State.UNKNOWN, answer, now)
            self.trace(occurrence_id, found, to=to, by=by, note=note, now=now)
            if found:
                settled = {"campaign": campaign, "occurrence": occurrence, "to": to.value}
                told = {"deliveries": len(found), "everyone": phone is None, "note": note}
                self._audit.append("settled_by_hand", at=now, actor=by, details=settled | told)
        return len(found)

    def move(
        self, occurrence_id: int, found: Sequence[Row], before: State, answer: Answer, now: float
    ) -> None:
        """Settle rows of (phone, plan, run, rule, variant), in the order of runs, that no answer settles.

        The counts move with them.
        """
        changes: Changes = Counter()
        for run, some in groupby(found, lambda row: row[2]):
            moved = []
            for phone, plan_id, _, rule, variant in some:
                moved.append(rows.settled(phone, answer))
                changes[plan_id, before.value, rule, variant or ""] -= 1
                changes[plan_id, answer.outcome.value, answer.rule, variant or ""] += 1
            self._write_outcomes(occurrence_id, run, moved, before, now)
        self.count(changes)

    def trace(
        self, occurrence_id: int, found: Sequence[Row], *, to: State, by: str, note: str, now: float
    ) -> None:
        """Record who settled deliveries, rows as in `move`; plans made before are stale by it."""
        if not found:
            return
        same = {"occurrence_id": occurrence_id, "outcome": to.value, "by": by, "note": note, "now": now}
        self._store.run_all("add_resolution", [{**same, "phone": row[0]} for row in found])
        self._store.run("move_generation", {"occurrence_id": occurrence_id})

    def count(self, changes: Changes) -> None:
        """Keep the counts with what was written."""
        listed = [(*counted, change) for counted, change in sorted(changes.items()) if change]
        if listed:
            self._store.run("add_tallies", {"changes": _listed(listed)})

    def _settle(self, scope: _Scope, outcomes: Sequence[Settlement], now: float, changes: Changes) -> None:
        _check_scope(scope, outcomes)
        settled = [rows.settled(each.key.phone, each.answer) for each in outcomes]
        self._opt_outs.write([_opt_out(each, now) for each in outcomes if _is_opted_out(each.answer)])
        self._write_outcomes(scope.occurrence_id, scope.run, settled, State.INTENT, now)
        pairs = zip(settled, outcomes, strict=True)
        came_to = Counter((entry[1], entry[2], each.variant or "") for entry, each in pairs)
        for (outcome, rule, variant), number in came_to.items():
            changes[scope.plan_id, State.INTENT.value, "", variant] -= number
            changes[scope.plan_id, outcome, rule, variant] += number

    def _write_outcomes(
        self, occurrence_id: int, run: int, settled: Sequence[rows.Settled], before: State, now: float
    ) -> None:
        listed = {"occurrence_id": occurrence_id, "settled": _listed(settled)}
        moved = self._store.changed(
            "settle_deliveries", {**listed, "run": run, "before": before.value, "now": now}
        )
        if moved != len(settled):
            raise LedgerError(
                "an outcome came without an intent of its run; the whole group was left unrecorded",
                hint="run the same command again: what was in flight becomes unknown",
            )
        self._store.run("add_outcomes", listed)

    def _intend(
        self, scope: _Scope, intents: Sequence[Intent], now: float, changes: Changes, caps: Sequence[Cap]
    ) -> list[bool | str]:
        """Record intents; tell for each whether it was: only one for a phone, if nothing is in its way.

        One whose person has reached a cap meanwhile is refused by it in the same stroke.
        """
        _check_scope(scope, intents)
        entries: list[_Entry] = [(each.key.phone, each.recipient_id, each.variant) for each in intents]
        standing = self._standing(scope, entries)
        new: list[_Entry] = []
        again: list[_Entry] = []
        recorded: list[bool | str] = []
        seen: set[str] = set()
        for entry in entries:
            phone = entry[0]
            before = standing.get(phone)
            may_be_sent = phone not in seen and (before is None or before[1] == State.RETRY.value)
            seen.add(phone)
            recorded.append(may_be_sent)
            if may_be_sent:
                (new if before is None else again).append(entry)
        self._write_intents(scope, new, again, now)
        _count_again(scope, [(standing[phone], variant or "") for phone, _, variant in again], changes)
        for variant, number in Counter(entry[2] or "" for entry in (*new, *again)).items():
            changes[scope.plan_id, State.INTENT.value, "", variant] += number
        return self._refuse_capped(scope, intents, recorded, caps, now, changes) if caps else recorded

    def _write_intents(
        self, scope: _Scope, new: Sequence[_Entry], again: Sequence[_Entry], now: float
    ) -> None:
        run = {"occurrence_id": scope.occurrence_id, "plan_id": scope.plan_id, "run": scope.run, "now": now}
        if new:
            self._store.run("add_deliveries", {**run, "intents": _listed(new)})
        if again:
            self._store.run("retry_deliveries", {**run, "intents": _listed(again)})

    def _refuse_capped(
        self,
        scope: _Scope,
        intents: Sequence[Intent],
        recorded: Sequence[bool | str],
        caps: Sequence[Cap],
        now: float,
        changes: Changes,
    ) -> list[bool | str]:
        """Settle the recorded intents of whoever has reached a cap; return what is said of each intent."""
        phones = [each.key.phone for each, is_new in zip(intents, recorded, strict=True) if is_new]
        reached = self._caps.held(scope.occurrence_id, phones, caps, now)
        if not reached:
            return [*recorded]
        refused = [
            Settlement(
                key=each.key, run=scope.run, answer=_refused_by(reached[each.key.phone]), variant=each.variant
            )
            for each, is_new in zip(intents, recorded, strict=True)
            if is_new and each.key.phone in reached
        ]
        self._settle(scope, refused, now, changes)
        return [
            is_new and reached.get(each.key.phone, True)
            for each, is_new in zip(intents, recorded, strict=True)
        ]

    def _stop_of(self, scopes: Sequence[_Scope]) -> StopRecord | None:
        """Return a stop that stands for any of `scopes`; it is looked up once a group, not once a message."""
        found = (self._stops.standing_stop(campaign) for campaign in {scope.campaign for scope in scopes})
        return next((stop for stop in found if stop is not None), None)

    def _standing(self, scope: _Scope, entries: Sequence[_Entry]) -> dict[str, Row]:
        """Return rows of (phone, state, plan, rule, receipt, variant) of deliveries that are there by now."""
        intents = _listed(entries)
        found = self._store.rows("standing", occurrence_id=scope.occurrence_id, intents=intents)
        return {row[0]: row for row in found}

    def _scope(self, run: int) -> _Scope:
        """Return what a run may write about."""
        if run not in self._scopes:
            found = self._store.row("run_scope", run=run)
            if found is None:
                raise LedgerError(f"run {run} is no run of this ledger", hint="begin the run first")
            plan_id, occurrence_id, campaign, occurrence = found
            self._scopes[run] = _Scope(
                run=run,
                plan_id=plan_id,
                occurrence_id=occurrence_id,
                campaign=campaign,
                occurrence=occurrence,
            )
        return self._scopes[run]


def _refused_by(rule: str) -> Answer:
    return Answer(outcome=Outcome.REFUSED, rule=rule)


def _is_opted_out(answer: Answer) -> bool:
    """Tell whether the provider refused because the person stopped messages of this business."""
    return answer.outcome is Outcome.REFUSED and says_opted_out(answer.code, answer.detail)


def _opt_out(settlement: Settlement, now: float) -> OptOut:
    answer = settlement.answer
    return OptOut(phone=settlement.key.phone, at=now, source="refused", detail=answer.detail or answer.code)


def _listed(entries: Sequence[object]) -> str:
    """Return a list as the statements take it."""
    return quick_json.encode(entries).decode()


def _check_scope(scope: _Scope, written: Iterable[Intent | Settlement]) -> None:
    """Raise LedgerError for a delivery of another occurrence than the run's."""
    for each in written:
        if not scope.covers(each.key):
            raise LedgerError(
                f"run {scope.run} is no run of {lock_name(each.key.campaign, each.key.occurrence)}"
            )


def _count_again(scope: _Scope, before: Iterable[tuple[Row, str]], changes: Changes) -> None:
    """Move the counts of deliveries that are sent again, maybe from those of another plan and variant."""
    for (_, state, plan_id, rule, receipt, variant), variant_now in before:
        changes[plan_id, state, rule, variant or ""] -= 1
        if receipt is not None:
            changes[plan_id, receipt, "", variant or ""] -= 1
            changes[scope.plan_id, receipt, "", variant_now] += 1
