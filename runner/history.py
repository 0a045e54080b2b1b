"""Sends made elsewhere -> Parquet files of (phone, sent_at), which screening counts into the caps.

Each query of `history` in runner.yml is fetched as a segment is, and read here in a DuckDB of its own: phones
as the campaign's own are, moments as seconds since 1970. A row without both counts for nobody; that is noted.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from runner.campaign import PhoneStyle
from runner.errors import SegmentError
from runner.phone import heads_sql, reading_sql
from runner.private_parquet import write_parquet
from runner.screening_lists import pipeline, read_heads
from runner.sql_text import quote_literal

#: What a query of the history has to return.
COLUMNS = ("phone", "sent_at")
#: The first moment that a send may have, and the first that none may: 2000 and 2100 (UTC), in epoch seconds.
#: Milliseconds are no seconds, and a send in the year 9999 would hold a person back for ever.
_FIRST, _END = 946_684_800, 4_102_444_800


class Fetched(Protocol):
    """What a segment source returns."""

    @property
    def rows(self) -> int: ...  # noqa: D102
    @property
    def column_types(self) -> Mapping[str, str]: ...  # noqa: D102


class Fetch(Protocol):
    """A segment source, ready to run one query of the history."""

    def __call__(self, *, columns: Sequence[str], target: Path) -> Fetched:
        """Write the wanted columns of the query's rows to `target`, a Parquet file."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class History:
    """One entry of `history`; `region` and `style` are of its phones, `name` is for messages."""

    name: str
    fetch: Fetch
    region: str | None
    style: PhoneStyle | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Sends:
    """What was sent elsewhere: files of (phone BIGINT, sent_at DOUBLE), and notes for the plan's reader."""

    files: tuple[Path, ...] = ()
    notes: tuple[str, ...] = ()


def read_history(history: Sequence[History], *, folder: Path, since: float, zone: str | None) -> Sends:
    """Fetch every entry, and keep the sends after `since` (epoch seconds) in files in `folder`.

    Times without a zone are of `zone`, UTC without one. Errors: SegmentError, TreasureDataError, UsageError.
    """
    files, notes = [], []
    for number, entry in enumerate(history, start=1):
        rows, target = folder / f"history{number}.parquet", folder / f"sends{number}.parquet"
        try:
            fetched = entry.fetch(columns=COLUMNS, target=rows)
            unread = _read(rows, target, entry, fetched.column_types, since=since, zone=zone)
        except SegmentError as error:
            raise SegmentError(f"{entry.name}: {error.message}", hint=error.hint) from error
        files.append(target)
        if unread:
            notes.append(
                f"{entry.name}: {unread:,} of {fetched.rows:,} rows have no valid phone or no time "
                "that can be read, and count for nobody"
            )
    return Sends(files=tuple(files), notes=tuple(notes))


def _read(
    rows: Path, target: Path, entry: History, types: Mapping[str, str], *, since: float, zone: str | None
) -> int:
    """Write the sends of one entry to `target`; return how many of its rows cannot be read.

    Of an ambiguous number both readings count, as on a never-message list.
    """
    moment = _moment_sql(types["sent_at"])
    bounded = f"CASE WHEN _at >= {_FIRST} AND _at < {_END} THEN _at END"
    source = f"(SELECT phone, {bounded} AS sent_at FROM (SELECT phone, {moment} AS _at FROM {_file(rows)}))"
    column: dict[str, Any] = {"column": "phone", "column_type": types["phone"]}
    column |= {"region": entry.region, "style": entry.style}
    with pipeline(target.parent) as connection:
        connection.execute(f"SET TimeZone = {quote_literal(zone or 'UTC')}")
        heads = read_heads(connection, heads_sql(source, **column))
        reading = reading_sql(source, **column, heads=heads)
        read = target.with_suffix(".read.parquet")
        kept = f"SELECT _phone_valid AS valid, _phone_other AS other, sent_at FROM ({reading})"
        write_parquet(connection, kept, read)
        each = f"SELECT unnest([valid, other]) AS phone, sent_at FROM {_file(read)} WHERE sent_at > {since!r}"
        write_parquet(connection, f"SELECT * FROM ({each}) WHERE phone IS NOT NULL", target)
        unread = f"SELECT count(*) FROM {_file(read)} WHERE valid IS NULL OR sent_at IS NULL"
        return int((connection.execute(unread).fetchone() or (0,))[0])


def _file(path: Path) -> str:
    return quote_literal(str(path))


def _moment_sql(column_type: str) -> str:
    """Return `sent_at` as epoch seconds, NULL where it cannot be read; of a date the last moment counts."""
    if column_type.startswith("TIMESTAMP"):
        return "epoch(CAST(sent_at AS TIMESTAMPTZ))"
    if column_type == "DATE":
        return _end_of("sent_at")
    if column_type == "VARCHAR":
        text = "trim(sent_at)"
        return f"""
            CASE
                WHEN regexp_full_match({text}, '[0-9]+(\\.[0-9]+)?') THEN TRY_CAST({text} AS DOUBLE)
                WHEN regexp_full_match({text}, '[0-9]{{4}}-[0-9]{{2}}-[0-9]{{2}}')
                    THEN {_end_of(f"TRY_CAST({text} AS DATE)")}
                ELSE epoch(TRY_CAST({text} AS TIMESTAMPTZ))
            END
        """
    if column_type in _NUMBERS or column_type.startswith("DECIMAL"):
        return "CAST(sent_at AS DOUBLE)"
    raise SegmentError(
        f"the column `sent_at` is of the type {column_type}",
        hint="return a time, a date, a text of either, or seconds since 1970",
    )


_NUMBERS = frozenset(
    {"TINYINT", "SMALLINT", "INTEGER", "BIGINT", "UTINYINT", "USMALLINT", "UINTEGER", "UBIGINT"}
    | {"HUGEINT", "FLOAT", "DOUBLE"}
)


def _end_of(date: str) -> str:
    return f"epoch(CAST(CAST({date} AS TIMESTAMP) + INTERVAL 1 DAY AS TIMESTAMPTZ))"
