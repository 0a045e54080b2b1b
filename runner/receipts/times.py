"""The times of a report: how they are written, as SQL, and what must be known to read them; for reading.

A date of numbers with the year at its end is read by the order of day and month that a person said, or that
the dates themselves show (a first number above 12 is a day). A time without an offset needs a time zone:
ADA gives none (reference/ada-api.md §11). Neither is ever guessed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from runner.errors import UsageError
from runner.receipts.mapping import DateOrder
from runner.sql_text import quote_identifier, quote_literal

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

_DATE = r"(\d{1,4})[-/.年] ?(\d{1,2})[-/.月] ?(\d{1,4})日?"
_CLOCK = r"(\d{1,2})[:.時](\d{1,2})(?:[:.分](\d{1,2})(?:[.,]\d{1,9})?秒?|分)?"
_HALF = r"(?: ?([AaPp])\.?[Mm]\.?)?"
_ZONE = r"(?: ?(Z|[A-Z]{3,4}|(?:UTC|GMT)?[+-]\d{2}:?(?:\d{2})?))?"
_PATTERN = rf"^{_DATE}(?:(?:T|,? +){_CLOCK}{_HALF}{_ZONE})?$"
_PARTS = ("first", "second", "third", "hour", "minute", "sec", "half", "zone")
#: `20 Mar 2026`, `20-Mar-26`, `Fri, 20 March 2026`: the day, the month's first three letters, the year.
_NAMED = r"^(?:[A-Za-z]{3,9},? )?(\d{1,2})[ -]([A-Za-z]{3})[a-z]*\.?,?[ -](\d{4})(.*)$"
#: English and Indonesian months by their first three letters.
_MONTHS = {
    "jan": 1, "feb": 2, "mar": 3, "apr": 4, "may": 5, "mei": 5, "jun": 6, "jul": 7, "aug": 8, "agu": 8,
    "agt": 8, "sep": 9, "oct": 10, "okt": 10, "nov": 11, "dec": 12, "des": 12,
}  # fmt: skip
#: Zone names that mean one thing in the countries this is used in, in hours before UTC.
_ZONE_HOURS = {"Z": 0, "UTC": 0, "GMT": 0, "WIB": 7, "WITA": 8, "WIT": 9, "SGT": 8, "MYT": 8, "JST": 9}
_EPOCH = r"^\d{10}(\.\d+)?$|^\d{13}$"
_YEARS = (2000, 2100)


def split_sql(relation: str, column: str) -> str:
    """Write a SELECT of `relation` and `_time`, what is written in a time `column`.

    `_time` is a struct of texts: first, second, third, hour, minute, sec, half, zone; empty where there are
    none.
    """
    text = quote_identifier(column)
    month = "CASE lower(_named.m) " + " ".join(f"WHEN '{m}' THEN '{n}'" for m, n in _MONTHS.items()) + " END"
    named = f"regexp_extract({text}, {quote_literal(_NAMED)}, ['d', 'm', 'y', 'rest'])"
    numbers = f"CASE WHEN _named.y <> '' THEN concat_ws('-', _named.y, {month}, _named.d) || _named.rest"
    parts = ", ".join(quote_literal(part) for part in _PARTS)
    return f"""
        SELECT * EXCLUDE (_named, _numbers),
            regexp_extract(_numbers, {quote_literal(_PATTERN)}, [{parts}]) AS _time
        FROM (
            SELECT *, {numbers} ELSE {text} END AS _numbers
            FROM (SELECT *, CASE WHEN regexp_matches({text}, '[A-Za-z]{{3}}') THEN {named} END AS _named
                FROM {relation})
        )
    """


def check_times(
    connection: DuckDBPyConnection, table: str, *, order: DateOrder | None, timezone: str | None
) -> DateOrder | None:
    """Return the order of day and month in a table from `split_sql`; UsageError where it cannot be known.

    UsageError too where a time needs a time zone and there is none. None: no date needs an order.
    """
    found = connection.execute(
        f"""
        SELECT count(*) FILTER (strlen(_time.first) < 4 AND strlen(_time.third) = 4) AS open,
            count(*) FILTER (strlen(_time.third) = 4 AND strlen(_time.first) < 4
                AND TRY_CAST(_time.first AS INTEGER) BETWEEN 13 AND 31) AS days_first,
            count(*) FILTER (strlen(_time.third) = 4 AND strlen(_time.first) < 4
                AND TRY_CAST(_time.second AS INTEGER) BETWEEN 13 AND 31) AS days_second,
            count(*) FILTER (_time.first <> '' AND strlen(_time.first) < 4 AND strlen(_time.third) < 4)
                AS short,
            count(*) FILTER (_time.first <> '' AND _time.zone = '') AS zoneless
        FROM {table}
        """
    ).fetchone()
    undecided, days_first, days_second, short, zoneless = found or (0, 0, 0, 0, 0)
    if zoneless and timezone is None:
        raise UsageError(
            f"{zoneless:,} times have no offset: in which time zone is the report?",
            hint="say it with --timezone Asia/Jakarta; the provider's console shows which it uses",
        )
    if order is not None:
        return order
    return _shown_order(undecided, days_first, days_second, short)


def _shown_order(undecided: int, days_first: int, days_second: int, short: int) -> DateOrder | None:
    if short:
        raise UsageError(
            f"{short:,} dates have a year of two digits: which number is what?",
            hint="say it with --date-order dmy, mdy or ymd",
        )
    if not undecided:
        return None
    if bool(days_first) is bool(days_second):
        why = "some begin with the day, some with the month" if days_first else "no day above 12 shows it"
        raise UsageError(
            f"{undecided:,} dates may be day/month or month/day: {why}",
            hint="say it with --date-order dmy or mdy",
        )
    return DateOrder.DMY if days_first else DateOrder.MDY


def instant_sql(column: str, *, order: DateOrder | None, timezone: str | None) -> str:
    """Write the epoch seconds of a time `column` that `split_sql` has split; NULL where it is no time.

    A date without a time of day is its midnight.
    """
    text = quote_identifier(column)
    local = f"TRY_CAST({_local_text(order)} AS TIMESTAMP)"
    zone = quote_literal(timezone or "UTC")
    in_zone = f"epoch(timezone({zone}, {local}))"
    instant = f"CASE WHEN _time.zone = '' THEN {in_zone} ELSE epoch({local}) - {_offset_sql()} END"
    first, last = (f"epoch(make_timestamp({year}, 1, 1, 0, 0, 0))" for year in _YEARS)
    epoch = f"TRY_CAST({text} AS DOUBLE) / CASE WHEN strlen({text}) = 13 THEN 1000 ELSE 1 END"
    either = f"CASE WHEN regexp_matches({text}, {quote_literal(_EPOCH)}) THEN {epoch} ELSE {instant} END"
    return f"list_filter([{either}], lambda one: one BETWEEN {first} AND {last})[1]"


def day_only_sql() -> str:
    """Write whether a split time is a date without a time of day."""
    return "(_time.first <> '' AND _time.hour = '')"


def _local_text(order: DateOrder | None) -> str:
    """Write the time as DuckDB reads it; NULL where the order has no place for what is written."""
    by_order = {
        DateOrder.YMD: ("_time.first", "_time.second", "_time.third"),
        DateOrder.DMY: ("_time.third", "_time.second", "_time.first"),
        DateOrder.MDY: ("_time.third", "_time.first", "_time.second"),
    }

    def date(parts: tuple[str, str, str]) -> str:
        year = f"CASE WHEN strlen({parts[0]}) = 2 THEN '20' || {parts[0]} ELSE {parts[0]} END"
        fits = f"strlen({parts[0]}) IN (2, 4) AND strlen({parts[1]}) <= 2 AND strlen({parts[2]}) <= 2"
        return f"CASE WHEN {fits} THEN concat_ws('-', {year}, {parts[1]}, {parts[2]}) END"

    day = f"CASE WHEN strlen(_time.first) = 4 THEN {date(by_order[DateOrder.YMD])}"
    if order is not None:
        day += f" ELSE {date(by_order[order])}"
    clock = (
        f"CASE WHEN _time.hour = '' THEN '0:00' ELSE {_hour_sql()} || ':' || lpad(_time.minute, 2, '0') END"
    )
    seconds = "CASE WHEN _time.sec = '' THEN '00' ELSE lpad(_time.sec, 2, '0') END"
    return f"({day} END) || ' ' || ({clock}) || ':' || ({seconds})"


def _hour_sql() -> str:
    """Write the hour of 24, NULL for an hour that a clock of 12 does not have."""
    hour = "TRY_CAST(_time.hour AS INTEGER)"
    afternoon = f"({hour} % 12 + CASE lower(_time.half) WHEN 'p' THEN 12 ELSE 0 END)"
    twelve = f"CASE WHEN {hour} BETWEEN 1 AND 12 THEN {afternoon} END"
    return f"CASE WHEN _time.half = '' THEN {hour} ELSE {twelve} END"


def _offset_sql() -> str:
    """Write the offset of a split time in seconds before UTC, NULL for a zone that is not known."""
    names = " ".join(f"WHEN '{name}' THEN {hours * 3600}" for name, hours in _ZONE_HOURS.items())
    digits = r"regexp_extract(_time.zone, '([+-])(\d{2}):?(\d{2})?$', ['sign', 'h', 'm'])"
    seconds = f"TRY_CAST({digits}.h AS INTEGER) * 3600 + coalesce(TRY_CAST({digits}.m AS INTEGER), 0) * 60"
    return f"CASE _time.zone {names} ELSE ({seconds}) * CASE {digits}.sign WHEN '-' THEN -1 ELSE 1 END END"
