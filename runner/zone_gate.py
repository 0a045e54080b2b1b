"""The gates of a window: in which time zones a row's person is, and whether the window ever opens there.

A part of screening's first pass, which is left out where there is no window. The zones are the row's own,
where it names one, else all zones of its number.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from runner import phone_patterns as patterns
from runner.number_zones import BETWEEN, place_sql, zone_prefixes
from runner.sql_text import quote_identifier
from runner.window import Window, opens_at

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

#: The reasons that these gates give, each once: the zone in the row is none; no hour is in the window.
BAD_TIMEZONE, NO_WINDOW = "bad_timezone", "no_window"
#: The longest part of a row's own zone that a rejection keeps.
_KEPT = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class Hours:
    """The window of a plan, and the moment (UTC) from which on it is to open."""

    window: Window
    start: datetime


def calling_codes_of(heads: Collection[int], region: str | None) -> frozenset[int]:
    """Return the calling codes of numbers with these `heads` (see `phone.heads_sql`), and of the region."""
    found = {patterns.calling_code_of(str(head)) for head in heads}
    plan = patterns.plan_of_region(region) if region else None
    return frozenset(code for code in {*found, plan.code if plan else None} if code is not None)


def without_zones(relation: str) -> str:
    """Return SQL of the rows of `relation` whom no window binds: `_phone_zones` and `_phone_late` NULL."""
    return f"(SELECT *, CAST(NULL AS VARCHAR) AS _phone_zones, NULL AS _phone_late FROM {relation})"


def with_zones(
    connection: DuckDBPyConnection,
    relation: str,
    *,
    hours: Hours,
    codes: Collection[int],
    column: str | None,
) -> str:
    """Return SQL of the rows of `relation`, which has `_phone`, and two columns more.

    `_phone_zones` are the zones, joined by BETWEEN, or what the row has in the place of one; `_phone_late` is
    the gate that a row fails, NULL when it passes both. `codes` are the calling codes that the phones may
    have, `column` is the one with the row's own zone.
    """
    found = _placed(connection, relation, hours=hours, codes=codes, column=column)
    return f"""(
        SELECT * EXCLUDE (_phone_place, _phone_own_zone, _phone_known_zone, _phone_zones_said),
            CASE
                WHEN _phone_own_zone IS NULL THEN _phone_zones_said
                ELSE coalesce(_phone_known_zone, left(_phone_own_zone, {_KEPT}))
            END AS _phone_zones,
            CASE
                WHEN _phone_known_zone IS NOT NULL THEN NULL
                WHEN _phone_own_zone IS NOT NULL THEN '{BAD_TIMEZONE}'
                WHEN _phone_zones_said IS NULL THEN '{NO_WINDOW}'
                WHEN _phone_zones_said IN (SELECT zones FROM shut_zones) THEN '{NO_WINDOW}'
            END AS _phone_late
        FROM ({found})
    )"""


def _placed(
    connection: DuckDBPyConnection,
    relation: str,
    *,
    hours: Hours,
    codes: Collection[int],
    column: str | None,
) -> str:
    """Return SQL of the rows with the zone that each names, whether that is one, and its number's zones."""
    prefixes = zone_prefixes(codes)
    _load(connection, "zone_prefixes", {"prefix": list(prefixes), "zones": list(prefixes.values())})
    _load(connection, "shut_zones", {"zones": _never_open(set(prefixes.values()), hours)})
    lengths = sorted({len(prefix) for prefix in prefixes}, reverse=True)
    joins = [
        f"LEFT JOIN (SELECT * FROM zone_prefixes WHERE strlen(prefix) = {length}) AS __zone_{length}"
        f" ON left(_phone_place, {length}) = __zone_{length}.prefix"
        for length in lengths
    ]
    of_number = ", ".join([*(f"__zone_{length}.zones" for length in lengths), "NULL"])
    own, known = "NULL", "NULL"
    if column is not None:
        own, known = f"nullif(trim(CAST({quote_identifier(column)} AS VARCHAR)), '')", "__known.zone"
        joins.append("LEFT JOIN known_zones AS __known ON lower(_phone_own_zone) = __known.lower")
        _load_known(connection)
    place = place_sql("CAST(_phone AS VARCHAR)", codes)
    return f"""
        SELECT __rows.*, {known} AS _phone_known_zone, coalesce({of_number}) AS _phone_zones_said
        FROM (SELECT *, {place} AS _phone_place, {own} AS _phone_own_zone FROM {relation}) AS __rows
        {" ".join(joins)}
    """


def _never_open(zones: Collection[str], hours: Hours) -> list[str]:
    """Return those of the zones, joined, of which no hour is in the window of all."""
    several = (joined for joined in zones if BETWEEN in joined)
    return [one for one in several if opens_at(hours.window, one.split(BETWEEN), hours.start) is None]


def _load_known(connection: DuckDBPyConnection) -> None:
    from zoneinfo import available_timezones

    from runner.file_checks import zone_exists

    names = sorted(name for name in available_timezones() if zone_exists(name))
    _load(connection, "known_zones", {"lower": [name.lower() for name in names], "zone": names})


def _load(connection: DuckDBPyConnection, table: str, columns: Mapping[str, list[str]]) -> None:
    """Make a table of texts."""
    import pyarrow as pa

    arrays = {name: pa.array(values, pa.string()) for name, values in columns.items()}
    connection.register("texts", pa.table(arrays))
    connection.execute(f"CREATE TABLE {table} AS FROM texts")
    connection.unregister("texts")
