"""What a SQL ledger writes of receipts: how far the provider says that messages got."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import groupby

from runner import quick_json
from runner.delivery import Answer, Outcome, ReceiptStatus, State
from runner.ledger import sql_rows as rows
from runner.ledger.interface import ImportedFile, Receipt
from runner.ledger.sql_audit import Audit
from runner.ledger.sql_deliveries import Changes, Deliveries
from runner.ledger.sql_opt_outs import OptOuts
from runner.ledger.store import Row, Store
from runner.ledger.webhooks import OptOut
from runner.opt_out import says_opted_out

#: How many receipts one transaction records: a run that sends meanwhile must not wait for long.
_AT_ONCE = 1000

_RULE = "receipt"
#: A delivery with a receipt was sent, whatever we know of it otherwise.
_SENT = Answer(outcome=Outcome.ACCEPTED, rule=_RULE, detail="the provider sent a receipt for it")
_NOT_KNOWN_AS_SENT = (State.UNKNOWN.value, State.RETRY.value)


@dataclass(slots=True, kw_only=True)
class _Standing:
    """Where one delivery stands while receipts are gone through.

    `row` is (phone, plan, run, rule, variant).
    """

    occurrence_id: int
    plan_id: int
    row: Row
    state: str
    receipt: ReceiptStatus | None
    is_settled: bool = False


class _Moves:
    """What a group of receipts moves, gone through in their order."""

    def __init__(self, standing: dict[int, _Standing]) -> None:
        self._standing = standing
        self.settling: list[tuple[_Standing, Receipt]] = []
        self.further: list[Receipt] = []
        self.changes: Changes = Counter()

    def is_moved_by(self, receipt: Receipt) -> bool:
        """Note what one receipt moves; tell whether it moves anything."""
        here = self._standing.get(receipt.delivery)
        if here is None:
            return False
        settles = here.state in _NOT_KNOWN_AS_SENT and not here.is_settled
        if settles:
            self.settling.append((here, receipt))
            here.is_settled = True
        goes_further = receipt.status.is_further_than(here.receipt)
        if goes_further:
            self.further.append(receipt)
            self._count(here, receipt.status)
            here.receipt = receipt.status
        return settles or goes_further

    def _count(self, here: _Standing, status: ReceiptStatus) -> None:
        """Count a delivery at its furthest receipt only."""
        variant = here.row[-1] or ""
        if here.receipt is not None:
            self.changes[here.plan_id, here.receipt.value, "", variant] -= 1
        self.changes[here.plan_id, status.value, "", variant] += 1


class Receipts:
    """The receipts of a SQL ledger."""

    def __init__(self, store: Store, deliveries: Deliveries, opt_outs: OptOuts) -> None:
        self._store = store
        self._deliveries = deliveries
        self._audit = Audit(store)
        self._opt_outs = opt_outs

    def record_receipts(
        self, receipts: Sequence[Receipt], now: float, *, imported: ImportedFile | None = None
    ) -> int:
        """Record what the provider told of deliveries; return how many of the receipts moved something.

        They are recorded in transactions of 1,000: after an error some may be on disk, and move nothing when
        they come again. The audit log has `imported` from the first of them on.
        """
        moved = 0
        for start in range(0, len(receipts), _AT_ONCE):
            noted = imported if start == 0 else None
            moved += self._record(receipts[start : start + _AT_ONCE], now, noted)
        return moved

    def _record(self, receipts: Sequence[Receipt], now: float, imported: ImportedFile | None) -> int:
        listed = _listed(receipts)
        with self._store.transaction():
            self._store.hold([found[0] for found in self._store.rows("occurrences_of", receipts=listed)])
            standing = self._standing(listed)
            moves = _Moves(standing)
            moved = sum(moves.is_moved_by(each) for each in receipts)
            self._settle(moves.settling, now)
            self._write(moves.further, listed if len(moves.further) == len(receipts) else None)
            self._opt_outs.write(_opt_outs(receipts, standing))
            self._deliveries.count(moves.changes)
            if imported is not None:
                file = {"file_sha256": imported.digest, **imported.counts}
                self._audit.append("receipts_imported", at=now, actor=imported.by, details=file)
        return moved

    def _standing(self, listed: str) -> dict[int, _Standing]:
        found = {}
        for number, occurrence_id, phone, plan_id, run, state, rule, receipt, variant in self._store.rows(
            "receipted", receipts=listed
        ):
            found[number] = _Standing(
                occurrence_id=occurrence_id,
                plan_id=plan_id,
                row=(phone, plan_id, run, rule, variant),
                state=state,
                receipt=ReceiptStatus(receipt) if receipt is not None else None,
            )
        return found

    def _settle(self, settling: Sequence[tuple[_Standing, Receipt]], now: float) -> None:
        """Make deliveries `accepted` that were not known as sent."""

        def place(pair: tuple[_Standing, Receipt]) -> tuple[int, str, str, int]:
            here, receipt = pair
            return here.occurrence_id, here.state, receipt.source, here.row[2]

        for (occurrence_id, state, source), some in groupby(
            sorted(settling, key=place), lambda pair: place(pair)[:3]
        ):
            found = [here.row for here, _ in some]
            self._deliveries.move(occurrence_id, found, State(state), _SENT, now)
            by, note = f"receipt ({source})", _SENT.detail or ""
            self._deliveries.trace(occurrence_id, found, to=State.ACCEPTED, by=by, note=note, now=now)

    def _write(self, further: Sequence[Receipt], listed: str | None) -> None:
        """Add receipts, and keep the furthest of each delivery; `listed` are they, where that is known."""
        if not further:
            return
        listed = listed or _listed(further)
        furthest = {each.delivery: each for each in further}
        latest = listed if len(furthest) == len(further) else _listed(furthest.values())
        self._store.run("add_receipts", {"receipts": listed})
        self._store.run("set_receipts", {"receipts": latest})


def _listed(receipts: Iterable[Receipt]) -> str:
    """Return receipts as the statements take them."""
    return quick_json.encode([rows.receipt(each) for each in receipts]).decode()


def _opt_outs(receipts: Sequence[Receipt], standing: dict[int, _Standing]) -> list[OptOut]:
    """Return whom receipts of failure show as having stopped messages of this business."""
    return [
        OptOut(
            phone=str(standing[each.delivery].row[0]),
            at=each.at,
            source=f"receipt ({each.source})",
            detail=each.detail or each.code,
        )
        for each in receipts
        if each.status is ReceiptStatus.FAILED
        and each.delivery in standing
        and says_opted_out(each.code, each.detail)
    ]
