"""Treasure Data's own SQL functions in DuckDB: macros, and what of them is worked out before a query runs.

Their behaviour is that of the public documents, as far as it goes (reference/treasure-data.md §7.1).
"""

from __future__ import annotations

import re
from datetime import datetime, timedelta, timezone
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from runner.sql_text import quote_literal

#: Short names of zones that Treasure Data takes and that a zone database does not have, or has fixed.
_ZONES = {
    "JST": "Asia/Tokyo",
    "PST": "America/Los_Angeles",
    "PDT": "America/Los_Angeles",
    "EST": "America/New_York",
    "EDT": "America/New_York",
    "KST": "Asia/Seoul",
    "IST": "Asia/Kolkata",
    "WIB": "Asia/Jakarta",
    "SGT": "Asia/Singapore",
    "GMT": "UTC",
}
_UNITS = {"s": "second", "m": "minute", "h": "hour", "d": "day", "w": "week", "M": "month", "q": "quarter"}
_UNITS |= {"y": "year"}
_FIXED = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800}
_MONTHS = {"M": 1, "q": 3, "y": 12}
_SPAN = re.compile(r"([+-]?\d+)([smhdwMqy])")
_JAVA_FORMAT = {
    "yyyy": "%Y",
    "yy": "%y",
    "MMMM": "%B",
    "MMM": "%b",
    "MM": "%m",
    "dd": "%d",
    "d": "%-d",
    "HH": "%H",
    "H": "%-H",
    "hh": "%I",
    "mm": "%M",
    "ss": "%S",
    "SSS": "%g",
    "a": "%p",
    "EEEE": "%A",
    "EEE": "%a",
    "E": "%a",
    "DDD": "%j",
}
_JAVA_TOKEN = re.compile(r"'((?:[^']|'')*)'|([A-Za-z])\2*|[^A-Za-z']+")

_ZONE_CASES = " ".join(f"WHEN '{short}' THEN '{name}'" for short, name in _ZONES.items())

_MACROS = f"""
CREATE MACRO td_zone(z) AS CASE
  WHEN z IS NULL THEN 'UTC'
  WHEN regexp_full_match(z, '[+-]\\d\\d:?00') THEN
    'Etc/GMT' || CASE left(z, 1) WHEN '+' THEN '-' ELSE '+' END || CAST(substr(z, 2, 2) AS INTEGER)
  ELSE CASE upper(z) {_ZONE_CASES} ELSE z END END;
CREATE MACRO td_local(t, z) AS timezone(td_zone(z), to_timestamp(t));
CREATE MACRO td_epoch(local, z) AS CAST(epoch(timezone(td_zone(z), local)) AS BIGINT);
CREATE MACRO td_parse(s, z) AS CASE
    WHEN regexp_full_match(CAST(s AS VARCHAR), '-?\\d+') THEN TRY_CAST(CAST(s AS VARCHAR) AS BIGINT)
    WHEN regexp_matches(CAST(s AS VARCHAR), '(Z|UTC|[+-]\\d\\d:?\\d\\d)$')
      THEN CAST(epoch(TRY_CAST(CAST(s AS VARCHAR) AS TIMESTAMPTZ)) AS BIGINT)
    ELSE td_epoch(TRY_CAST(CAST(s AS VARCHAR) AS TIMESTAMP), z) END;
CREATE MACRO td_time_parse(s, z) AS td_parse(s, z), (s) AS td_parse(s, 'UTC');
CREATE MACRO td_range(t, a, b, z) AS
  (a IS NULL OR t >= td_parse(a, z)) AND (b IS NULL OR t < td_parse(b, z));
CREATE MACRO td_time_range(t, a, b, z) AS td_range(t, a, b, z),
  (t, a, b) AS td_range(t, a, b, 'UTC'), (t, a) AS td_range(t, a, NULL, 'UTC');
CREATE MACRO td_number(d) AS CAST(regexp_extract(d, '^([+-]?\\d+)', 1) AS BIGINT);
CREATE MACRO td_shift(t, d) AS CASE right(d, 1)
    WHEN 's' THEN t + td_number(d) WHEN 'm' THEN t + 60 * td_number(d) WHEN 'h' THEN t + 3600 * td_number(d)
    WHEN 'd' THEN t + 86400 * td_number(d) WHEN 'w' THEN t + 604800 * td_number(d)
    WHEN 'M' THEN CAST(epoch(to_timestamp(t) + to_months(CAST(td_number(d) AS INTEGER))) AS BIGINT)
    WHEN 'y' THEN CAST(epoch(to_timestamp(t) + to_years(CAST(td_number(d) AS INTEGER))) AS BIGINT)
  END;
CREATE MACRO td_time_add(t, d, z) AS td_shift(td_parse(t, z), d),
  (t, d) AS td_shift(td_parse(t, 'UTC'), d);
CREATE MACRO td_trunc(u, t, z) AS td_epoch(CAST(date_trunc(u, td_local(t, z)) AS TIMESTAMP), z);
CREATE MACRO td_date_trunc(u, t, z) AS td_trunc(u, t, z), (u, t) AS td_trunc(u, t, 'UTC');
CREATE MACRO td_offset(t, z) AS
  CASE WHEN epoch(td_local(t, z)) < t THEN '-' ELSE '+' END
  || strftime(make_timestamp(CAST(abs(epoch(td_local(t, z)) - t) * 1000000 AS BIGINT)), '%H%M');
CREATE MACRO td_unit(f) AS CASE left(f, 1) WHEN 'y' THEN 'year' WHEN 'q' THEN 'quarter' WHEN 'M' THEN 'month'
  WHEN 'w' THEN 'week' WHEN 'd' THEN 'day' WHEN 'h' THEN 'hour' WHEN 'm' THEN 'minute' ELSE 'second' END;
CREATE MACRO td_length(f) AS CASE left(f, 1) WHEN 'y' THEN 4 WHEN 'q' THEN 7 WHEN 'M' THEN 7 WHEN 'w' THEN 10
  WHEN 'd' THEN 10 WHEN 'h' THEN 13 WHEN 'm' THEN 16 ELSE 19 END;
CREATE MACRO td_cut(t, f, z) AS
  strftime(CAST(date_trunc(td_unit(f), td_local(t, z)) AS TIMESTAMP), '%Y-%m-%d %H:%M:%S');
CREATE MACRO td_string(t, f, z) AS CASE WHEN ends_with(f, '!')
  THEN left(td_cut(t, f, z), td_length(f)) ELSE td_cut(t, f, z) || td_offset(t, z) END;
CREATE MACRO td_time_string(t, f, z) AS td_string(t, f, z), (t, f) AS td_string(t, f, 'UTC');
CREATE MACRO td_strftime(t, f, z) AS strftime(td_local(t, z), f);
CREATE MACRO td_md5(x) AS md5(CAST(x AS VARCHAR));
CREATE MACRO td_url_decode(x) AS url_decode(x);
CREATE MACRO td_first(x, y) AS arg_min(x, y);
CREATE MACRO td_last(x, y) AS arg_max(x, y);
"""


class TdFunctionError(Exception):
    """A function of Treasure Data was given what it, or this sandbox, cannot take."""


def macros(scheduled: int) -> str:
    """Return the statements that make the functions; `scheduled` is what TD_SCHEDULED_TIME() returns."""
    return f"{_MACROS}CREATE MACRO td_scheduled_time() AS CAST({scheduled} AS BIGINT);"


def interval_bounds(spec: str, zone: str, scheduled: int) -> tuple[int, int]:
    """Return the [from, to) of TD_INTERVAL in epoch seconds; TdFunctionError where `spec` is no interval.

    `-1d` is the whole day before, `-1d/now` reaches to the scheduled time, `-1d/-1w` starts from last week.
    """
    span, _, offset = spec.strip().partition("/")
    match = _SPAN.fullmatch(span)
    if match is None:
        raise TdFunctionError(f"TD_INTERVAL: invalid interval {spec!r}")
    count, unit = int(match.group(1)), match.group(2)
    base = _offset(offset.strip(), unit, datetime.fromtimestamp(scheduled, _zone(zone)))
    other = _shift(_floor(base, unit), count, unit)
    start, end = sorted((base, other))
    return int(start.timestamp()), int(end.timestamp())


def _offset(offset: str, unit: str, now: datetime) -> datetime:
    if not offset:
        return _floor(now, unit)
    if offset == "now":
        return now
    if match := _SPAN.fullmatch(offset):
        return _shift(_floor(now, match.group(2)), int(match.group(1)), match.group(2))
    try:
        return datetime.fromisoformat(offset).replace(tzinfo=now.tzinfo)
    except ValueError:
        raise TdFunctionError(f"TD_INTERVAL: invalid offset {offset!r}") from None


def _zone(name: str) -> ZoneInfo | timezone:
    if match := re.fullmatch(r"([+-])(\d\d):?(\d\d)", name):
        distance = timedelta(hours=int(match.group(2)), minutes=int(match.group(3)))
        return timezone(distance if match.group(1) == "+" else -distance)
    try:
        return ZoneInfo(_ZONES.get(name.upper(), name))
    except (ZoneInfoNotFoundError, ValueError):
        raise TdFunctionError(f"unknown time zone {name!r}") from None


def _floor(moment: datetime, unit: str) -> datetime:
    """Return the start of the unit that `moment` is in, on the clock of its zone."""
    order = ("month", "day", "hour", "minute", "second")
    keep = {"y": 0, "q": 1, "M": 1, "w": 2, "d": 2, "h": 3, "m": 4, "s": 5}[unit]
    reset = {name: 1 if name in {"month", "day"} else 0 for name in order[keep:]}
    floored = moment.replace(microsecond=0, **reset)  # type: ignore[arg-type]  # names of parts, all numbers
    if unit == "w":
        return floored - timedelta(days=floored.weekday())
    return floored.replace(month=(floored.month - 1) // 3 * 3 + 1) if unit == "q" else floored


def _shift(moment: datetime, count: int, unit: str) -> datetime:
    if unit in _FIXED:
        return moment + timedelta(seconds=count * _FIXED[unit])
    month = moment.year * 12 + moment.month - 1 + count * _MONTHS[unit]
    return moment.replace(year=month // 12, month=month % 12 + 1, day=1)


def time_format(pattern: str) -> str:
    """Return DuckDB's format for one of Java's, as TD_TIME_FORMAT takes it. Errors: TdFunctionError."""
    parts = []
    for match in _JAVA_TOKEN.finditer(pattern):
        token = match.group()
        if match.group(1) is not None:
            parts.append(match.group(1).replace("''", "'") or "'")
        elif match.group(2) is None:
            parts.append(token.replace("%", "%%"))
        elif token in _JAVA_FORMAT:
            parts.append(_JAVA_FORMAT[token])
        else:
            raise TdFunctionError(f"TD_TIME_FORMAT: this sandbox does not know {token!r} in {pattern!r}")
    return "".join(parts)


def bounds_sql(column: str, bounds: tuple[int, int]) -> str:
    """Return the condition that the SQL expression `column` lies within [from, to)."""
    return f"(({column}) >= {bounds[0]} AND ({column}) < {bounds[1]})"


def format_call(time_sql: str, pattern: str, zone: str) -> str:
    """Return TD_TIME_FORMAT as a call of DuckDB; `time_sql` and `zone` are SQL."""
    return f"td_strftime({time_sql}, {quote_literal(time_format(pattern))}, {zone})"
