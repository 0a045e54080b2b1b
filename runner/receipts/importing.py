"""Imports a report: what its lines say of which deliveries, shown first and then recorded in the ledger.

Nothing is written to the ledger before `record`. The account balances: `lines = matched + unchanged +
unmatched + ambiguous + unreadable`.
"""

from __future__ import annotations

import csv
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from runner.delivery import ReceiptStatus
from runner.errors import RunnerError
from runner.ledger.interface import ImportedFile, OpenDelivery, Receipt
from runner.plan_file import sha256_of_file
from runner.receipts.csv_file import Layout, find_layout
from runner.receipts.mapping import ColumnMapping, choose_columns, supplied
from runner.receipts.matching import load_deliveries, match_rows, needed_span
from runner.receipts.reading import Reading, pipeline, read_rows
from runner.receipts.text_file import ReceiptsFileError, TextFile, open_text
from runner.spreadsheet import no_formula
from runner.work_folder import work_folder

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

#: How receipts of an import are marked in the ledger.
SOURCE = "import"
#: How long after its intent a delivery is looked for by its phone, in seconds.
WINDOW = 72 * 3600.0

VERDICTS = ("matched", "unchanged", "unmatched", "ambiguous", "unreadable")
#: Why a line is in no delivery's account -> that, for people.
REASONS = {
    "no_delivery": "no delivery to this phone in the time before it",
    "unknown_id": "no delivery with this message id",
    "other_phone": "the delivery with this message id went to another phone",
    "several_deliveries": "more than one delivery fits",
    "several_ids": "more than one message id fits the one delivery",
    "broken_quotes": "its quotes are broken",
    "too_many_cells": "it has more cells than the header",
    "missing_status": "it has no status",
    "unknown_status": "its status is not known",
    "unreadable_time": "its time cannot be read",
    "missing_phone": "it has no phone",
    "invalid_phone": "its phone cannot be read",
    "ambiguous_phone": "its phone can be read in two ways",
}
_AT_ONCE = 10_000
_UNMATCHED = ("line", "reason", "phone", "status", "at", "message_id", "sender", "campaign", "code", "detail")


class Deliveries(Protocol):
    """What the import asks of a ledger."""

    def deliveries_between(self, since: float, until: float) -> Iterator[list[OpenDelivery]]:
        """Yield deliveries by the time of their intent."""
        ...


class ReceiptBook(Protocol):
    """What the import writes to a ledger."""

    def record_receipts(
        self, receipts: Sequence[Receipt], now: float, *, imported: ImportedFile | None = None
    ) -> int:
        """Record receipts, and once that this file was imported; return how many moved something."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Accounts:
    """What became of the lines, each counted once.

    `by_status` splits `matched`; `by_reason` splits unmatched, ambiguous and unreadable; `matched_by` says
    what found the deliveries of matched and unchanged lines. `moves` are deliveries that get further, and
    `settles` those of them that were unknown. `ahead` are lines whose time has not come yet; `foreign_ids`
    says that lines have message ids, and the ledger knows none of them.
    """

    lines: int
    matched: int
    unchanged: int
    unmatched: int
    ambiguous: int
    unreadable: int
    moves: int
    settles: int
    by_status: Mapping[str, int] = field(default_factory=dict)
    by_reason: Mapping[str, int] = field(default_factory=dict)
    matched_by: Mapping[str, int] = field(default_factory=dict)
    unknown_words: Mapping[str, int] = field(default_factory=dict)
    ahead: int = 0
    foreign_ids: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Unplaced:
    """A line without a delivery; `written` is its phone as it stands there, `phone` its digits."""

    line: int
    verdict: str
    reason: str
    phone: str | None
    written: str | None
    status: str | None
    at: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Import:
    """A report that was read and matched; nothing of it is recorded yet. Of no use once it is closed.

    `columns`: field -> its headers. `mapping` reads the next report of this kind in the same way.
    """

    file: TextFile
    layout: Layout
    columns: Mapping[str, tuple[str, ...]]
    mapping: ColumnMapping
    accounts: Accounts
    _connection: DuckDBPyConnection

    def unplaced(self, limit: int) -> list[Unplaced]:
        """Return the first lines that are unmatched, ambiguous or unreadable."""
        found = self._connection.execute(
            """
            SELECT line, verdict, reason, CAST(phone AS VARCHAR), written, status, moment
            FROM verdicts JOIN rows USING (line) WHERE reason IS NOT NULL ORDER BY line LIMIT ?
            """,
            [limit],
        ).fetchall()
        names = ("line", "verdict", "reason", "phone", "written", "status", "at")
        return [Unplaced(**dict(zip(names, row, strict=True))) for row in found]

    def write_unplaced(self, path: Path) -> None:
        """Write all those lines, phones whole, to the CSV file `path`, mode 0600. Errors: OSError.

        A cell that a spreadsheet would run as a formula begins with an apostrophe.
        """
        found = self._connection.execute(
            """
            SELECT line, reason, written, status, written_at, message_id, sender, campaign, code, detail
            FROM verdicts JOIN rows USING (line) WHERE reason IS NOT NULL ORDER BY line
            """
        )
        with _private(path) as stream:
            writer = csv.writer(stream)
            writer.writerow(_UNMATCHED)
            while batch := found.fetchmany(_AT_ONCE):
                writer.writerows([no_formula(cell) for cell in row] for row in batch)

    def receipts(self) -> Iterator[list[Receipt]]:
        """Yield what is new, those of one delivery in the order of their times."""
        found = self._connection.execute(
            """
            SELECT delivery, meaning, moment, message_id, code, detail
            FROM verdicts JOIN rows USING (line)
            WHERE verdict = 'matched' ORDER BY delivery, moment, rank, line
            """
        )
        statuses = {status.value: status for status in ReceiptStatus}
        while batch := found.fetchmany(_AT_ONCE):
            yield [
                Receipt(
                    delivery=delivery,
                    status=statuses[meaning],
                    at=at,
                    message_id=message_id,
                    code=code,
                    detail=detail,
                    source=SOURCE,
                )
                for delivery, meaning, at, message_id, code, detail in batch
            ]

    def occurrences(self) -> list[tuple[str, str]]:
        """Return the campaigns and occurrences of which something is new: their logs want to be pushed."""
        return self._connection.execute(
            """
            SELECT DISTINCT campaign, occurrence FROM verdicts JOIN deliveries USING (delivery)
            WHERE verdict = 'matched' ORDER BY ALL
            """
        ).fetchall()


@contextmanager
def open_import(
    path: Path,
    *,
    mapping: ColumnMapping,
    ledger: Deliveries,
    workspace: Path,
    now: float,
    window: float = WINDOW,
) -> Iterator[Import]:
    """Read and match the report at `path`; what is kept meanwhile lies in `workspace`, private, till the end.

    `window` is how long after its intent, in seconds, a delivery is looked for by its phone. Errors:
    ReceiptsFileError for a file that is no table; UsageError where a column, a time or a status must be told.
    """
    file = open_text(path, mapping.encoding)
    layout = find_layout(file, lambda header: supplied(header, mapping), mapping.header_line)
    columns = choose_columns(layout.header, mapping, f"{file.name}:{layout.header_line}")
    with work_folder(workspace, "receipts-") as folder, pipeline(folder) as connection, _explained(file.name):
        reading = read_rows(connection, file, layout, columns, mapping, folder)
        span = needed_span(connection, window)
        load_deliveries(connection, ledger.deliveries_between(span.since, span.until) if span else ())
        match_rows(connection, window=window)
        named = {name: tuple(layout.header[one] for one in places) for name, places in columns.items()}
        order = mapping.date_order or reading.date_order
        yield Import(
            file=file,
            layout=layout,
            columns=named,
            mapping=replace(mapping, columns={**named, **mapping.columns}, date_order=order),
            accounts=_account(connection, reading, now),
            _connection=connection,
        )


def record(prepared: Import, ledger: ReceiptBook, now: float, *, by: str) -> int:
    """Record what is new, in batches, each durable; return how many receipts moved something.

    The first batch notes in the audit log which file it was, and who (`by`) imported it. Cut off on the way,
    the same import goes on: what is recorded is unchanged then.
    """
    moved = 0
    imported: ImportedFile | None = _imported(prepared, by)
    for batch in prepared.receipts():
        moved += ledger.record_receipts(batch, now, imported=imported)
        imported = None
    return moved


def _imported(prepared: Import, by: str) -> ImportedFile:
    accounts = prepared.accounts
    verdicts = {name: getattr(accounts, name) for name in VERDICTS}
    counts = {"lines": accounts.lines, **verdicts, "unknown_settled": accounts.settles}
    return ImportedFile(digest=sha256_of_file(prepared.file.path), by=by, counts=counts)


def _account(connection: DuckDBPyConnection, reading: Reading, now: float) -> Accounts:
    def counts(select: str) -> dict[str, int]:
        return dict(connection.execute(select).fetchall())

    def one(select: str, *values: object) -> Any:  # noqa: ANN401 - a cell of any type
        return (connection.execute(select, list(values)).fetchone() or (0,))[0]

    verdicts = counts("SELECT verdict, count(*) FROM verdicts GROUP BY verdict")
    joined = "FROM verdicts JOIN rows USING (line)"
    by_status = counts(f"SELECT meaning, count(*) {joined} WHERE verdict = 'matched' GROUP BY meaning")
    by_reason = counts("SELECT reason, count(*) FROM verdicts WHERE reason IS NOT NULL GROUP BY reason")
    matched_by = counts(
        "SELECT matched_by, count(*) FROM verdicts WHERE matched_by IS NOT NULL GROUP BY matched_by"
    )
    with_ids = one("SELECT count(*) FROM rows WHERE message_id IS NOT NULL")
    return Accounts(
        lines=reading.lines,
        **{verdict: verdicts.get(verdict, 0) for verdict in VERDICTS},
        moves=one("SELECT count(DISTINCT delivery) FROM verdicts WHERE verdict = 'matched'"),
        settles=one("SELECT count(DISTINCT delivery) FROM verdicts WHERE settles"),
        by_status={
            status.value: by_status[status.value] for status in ReceiptStatus if status.value in by_status
        },
        by_reason={reason: by_reason[reason] for reason in REASONS if reason in by_reason},
        matched_by=matched_by,
        unknown_words=reading.unknown_words,
        ahead=one("SELECT count(*) FROM rows WHERE fault IS NULL AND moment > ?", now),
        foreign_ids=bool(with_ids) and "message_id" not in matched_by and "other_phone" not in by_reason,
    )


@contextmanager
def _explained(name: str) -> Iterator[None]:
    """Turn what DuckDB cannot do into one line; its own words may hold values of a row."""
    import duckdb

    try:
        yield
    except RunnerError:
        raise
    except (duckdb.Error, MemoryError) as error:
        raise ReceiptsFileError(
            f"{name}: cannot be taken in: {type(error).__name__}",
            hint="check the room on the disk of the state folder, and run it again",
        ) from None


@contextmanager
def _private(path: Path) -> Iterator[Any]:
    """Open a file to write that only the owner may read, also where it was there before."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8", newline="") as stream:
        os.fchmod(descriptor, 0o600)
        yield stream
