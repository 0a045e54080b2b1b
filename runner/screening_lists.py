"""Who is not sent to, whatever their row says: the lists of screening, loaded into its DuckDB.

Never-message lists, opt-outs, who has the message, who had enough of them lately, and who was forgotten.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from runner.campaign import Cap
from runner.errors import SegmentError
from runner.forgotten import Forgotten, keyed_hash_sql, pads
from runner.phone import heads_sql, reading_sql, readings_sql
from runner.sql_text import quote_literal

if TYPE_CHECKING:
    import pyarrow as pa
    from duckdb import DuckDBPyConnection

#: Bounds of the pipeline; what does not fit is spilled to the workspace.
MEMORY = "400MB"


@dataclass(frozen=True, slots=True, kw_only=True)
class Lately:
    """One cap, the moment (epoch seconds) after which messages count, and what the ledger knows of them.

    That comes in batches of phones (digits) and how many messages each got.
    """

    cap: Cap
    since: float
    ledger: Iterable[list[tuple[str, int]]] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Lists:
    """Who is not sent to, whatever their row says.

    `suppression` are CSV files of phones; `opted_out` phones that asked not to be messaged; `taken` phones
    that have this message, both in batches of digits. `lately` has an entry for each cap, and `elsewhere`
    Parquet files of what was sent elsewhere (history.py). `forgotten` is None when nobody was.
    """

    suppression: Sequence[Path] = ()
    opted_out: Iterable[list[str]] = ()
    taken: Iterable[list[str]] = ()
    lately: Sequence[Lately] = ()
    elsewhere: Sequence[Path] = ()
    forgotten: Forgotten | None = None


def read_suppression(paths: Sequence[Path], *, region: str | None) -> frozenset[str]:
    """Return the phones of suppression lists as digits; both readings of an ambiguous one.

    Errors: SegmentError when a list is missing or is not a CSV of phones.
    """
    with pipeline(None) as connection:
        _load_suppression(connection, paths, region)
        return frozenset(str(phone) for (phone,) in connection.execute("FROM suppressed").fetchall())


@contextmanager
def pipeline(folder: Path | None, *, memory: str = MEMORY) -> Iterator[DuckDBPyConnection]:
    """Open a DuckDB of its own, bounded in memory, spilling into `folder`."""
    import duckdb

    config: dict[str, str | bool | int | float | list[str]] = {
        "memory_limit": memory,
        "autoinstall_known_extensions": "false",
    }
    if folder is not None:
        config["temp_directory"] = str(folder / "spill")
    with duckdb.connect(config=config) as connection:
        yield connection


def load_lists(connection: DuckDBPyConnection, lists: Lists, *, region: str | None) -> tuple[str, ...]:
    """Load the lists into tables of BIGINT phones; return what the plan's reader should know of them.

    `region` is the campaign's. Errors: SegmentError when a suppression list cannot be read.
    """
    import pyarrow as pa

    for table, batches in (("taken", lists.taken), ("opted_out", lists.opted_out)):
        connection.execute(f"CREATE TABLE {table} (phone BIGINT)")
        for batch in batches:
            _insert(connection, table, pa.table({"phone": pa.array(batch, pa.string())}))
    _load_caps(connection, lists)
    load_forgotten(connection, lists.forgotten)
    return _unread_note(_load_suppression(connection, lists.suppression, region))


def _load_caps(connection: DuckDBPyConnection, lists: Lists) -> None:
    """Make `capped`: by the rule of each cap, who has had as many messages as it allows."""
    import pyarrow as pa

    connection.execute("CREATE TABLE capped (rule VARCHAR, phone BIGINT)")
    for lately in lists.lately:
        connection.execute("CREATE OR REPLACE TABLE lately (phone BIGINT, messages BIGINT)")
        for pairs in lately.ledger:
            phones = pa.array([phone for phone, _ in pairs], pa.string())
            messages = pa.array([count for _, count in pairs], pa.int64())
            counted = pa.table({"phone": phones, "messages": messages})
            _insert(connection, "lately", counted, more=", messages")
        for path in lists.elsewhere:
            sends = f"{quote_literal(str(path))} WHERE sent_at > {lately.since!r}"
            connection.execute(f"INSERT INTO lately SELECT phone, count(*) FROM {sends} GROUP BY phone")
        full = "SELECT phone FROM lately GROUP BY phone HAVING sum(messages) >= ?"
        given = [lately.cap.rule, lately.cap.messages]
        connection.execute(f"INSERT INTO capped SELECT ?, phone FROM ({full})", given)
    connection.execute("DROP TABLE IF EXISTS lately")


def load_forgotten(connection: DuckDBPyConnection, forgotten: Forgotten | None) -> None:
    """Make `is_forgotten(phone)`. Where nobody was, no phone is hashed. The key stands in no SQL text."""
    if forgotten is None or not forgotten.hashes:
        connection.execute("CREATE MACRO is_forgotten(phone) AS false")
        return
    import pyarrow as pa

    connection.execute("CREATE TABLE pads (inner_pad BLOB, outer_pad BLOB)")
    connection.execute("INSERT INTO pads VALUES (?, ?)", list(pads(forgotten.key)))
    connection.register("hashes", pa.table({"hash": pa.array(sorted(forgotten.hashes), pa.string())}))
    connection.execute("CREATE TABLE forgotten AS FROM hashes")
    connection.unregister("hashes")
    hashed = keyed_hash_sql(
        "phone", inner="(SELECT inner_pad FROM pads)", outer="(SELECT outer_pad FROM pads)"
    )
    connection.execute(f"CREATE MACRO is_forgotten(phone) AS {hashed} IN (SELECT hash FROM forgotten)")


def _unread_note(lines: int) -> tuple[str, ...]:
    if not lines:
        return ()
    return (f"{lines} lines of the suppression lists are no valid phone, and suppress nobody",)


def _insert(connection: DuckDBPyConnection, table: str, batch: pa.Table, *, more: str = "") -> None:
    connection.register("batch", batch)
    connection.execute(f"INSERT INTO {table} SELECT CAST(phone AS BIGINT){more} FROM batch")
    connection.unregister("batch")


def _load_suppression(connection: DuckDBPyConnection, paths: Sequence[Path], region: str | None) -> int:
    """Read the first column of each list as phones, as the campaign's own column is read.

    A list may begin with a heading; any other line that is no phone is counted and returned.
    """
    connection.execute("CREATE TABLE lines (phone VARCHAR)")
    for path in paths:
        _load_lines(connection, path)
    column: dict[str, Any] = {"column": "phone", "column_type": "VARCHAR", "region": region}
    heads = read_heads(connection, heads_sql("lines", **column))
    connection.execute(f"CREATE TABLE lines_read AS {reading_sql('lines', **column, heads=heads)}")
    connection.execute(f"CREATE TABLE suppressed AS {readings_sql('FROM lines_read')}")
    unread = "SELECT count(*) FROM lines_read WHERE _phone_valid IS NULL AND _phone_reason <> 'missing_phone'"
    return int((connection.execute(unread).fetchone() or (0,))[0])


def _load_lines(connection: DuckDBPyConnection, path: Path) -> None:
    import duckdb

    # One column whatever the line holds: a phone never needs what follows the first comma, semicolon or tab.
    options = "header=false, columns={'line': 'VARCHAR'}, delim='\x1f', quote=''"
    file = f"read_csv({quote_literal(str(path))}, {options})"
    phone = "trim(split_part(translate(line, ';\t', ',,'), ',', 1), '\"\ufeff ')"
    numbered = f"SELECT {phone} AS phone, row_number() OVER () AS number FROM {file}"
    heading = r"number = 1 AND NOT regexp_matches(phone, '\p{Nd}')"
    try:
        connection.execute(f"INSERT INTO lines SELECT phone FROM ({numbered}) WHERE NOT ({heading})")
    except duckdb.Error as error:
        raise SegmentError(
            f"suppression list {path}: cannot be read as one phone a line",
            hint="correct the list or its name under `suppression:` in runner.yml",
        ) from error


def read_heads(connection: DuckDBPyConnection, sql: str) -> list[int]:
    """Return the heads that the numbers have: with few of them, reading compiles many times as fast."""
    return [head for (head,) in connection.execute(sql).fetchall() if head is not None]
