"""Records -> rows in DuckDB: whose message, which status, when; a record that cannot be read keeps its line.

Two tables are left for matching: `rows`, one row per record with what could be read, and `words`, the
report's statuses. A row with a `fault` takes no part in anything but the account.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from runner.delivery import ReceiptStatus
from runner.errors import UsageError
from runner.phone import heads_sql, reading_sql
from runner.problem_words import show_text
from runner.receipts.csv_file import Batch, Layout, read_records
from runner.receipts.mapping import ColumnMapping, DateOrder
from runner.receipts.text_file import TextFile
from runner.receipts.times import check_times, day_only_sql, instant_sql, split_sql
from runner.receipts.words import FIELDS, STATUSES, plain
from runner.sql_text import quote_identifier, quote_literal

if TYPE_CHECKING:
    import pyarrow as pa
    from duckdb import DuckDBPyConnection

#: Which status goes further than which, from 1.
RANKS = {status: place for place, status in enumerate(ReceiptStatus, start=1)}
#: A column with more different words than this holds no statuses.
MOST_WORDS = 200

#: Bounds of the import; what does not fit is spilled to the workspace.
_MEMORY = "400MB"
#: No message id or campaign is longer, in characters; a longer text is none.
_MAX_ID = 200
_MAX_CODE = 50
_MAX_DETAIL = 200
_RAW = "records.parquet"


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """What was read: how many records, and which statuses the product does not know, with their counts."""

    lines: int
    unknown_words: Mapping[str, int]
    date_order: DateOrder | None


@contextmanager
def pipeline(folder: Path) -> Iterator[DuckDBPyConnection]:
    """Open a DuckDB of its own, bounded in memory, spilling into the private `folder`."""
    import duckdb

    config: dict[str, str | bool | int | float | list[str]] = {
        "memory_limit": _MEMORY,
        "temp_directory": str(folder / "spill"),
        "autoinstall_known_extensions": "false",
        "preserve_insertion_order": "false",
    }
    with duckdb.connect(config=config) as connection:
        yield connection


def read_rows(
    connection: DuckDBPyConnection,
    text: TextFile,
    layout: Layout,
    columns: Mapping[str, tuple[int, ...]],
    mapping: ColumnMapping,
    folder: Path,
) -> Reading:
    """Read every record below the header into the tables `rows` and `words`.

    Errors: ReceiptsFileError for a file that is no table, UsageError where times or statuses cannot be told.
    """
    raw = folder / _RAW
    lines = _keep_records(text, layout, columns, raw)
    unknown = _load_words(connection, raw, mapping, f"{text.name}:{layout.header_line}")
    connection.execute(f"CREATE TABLE split AS {split_sql(_cells(raw), 'at')}")
    order = check_times(connection, "split", order=mapping.date_order, timezone=mapping.timezone)
    _load_rows(connection, mapping, order)
    connection.execute("DROP TABLE split")
    raw.unlink()
    return Reading(lines=lines, unknown_words=unknown, date_order=order)


def read_told(connection: DuckDBPyConnection, told: pa.Table, timezone: str | None) -> None:
    """Read what was told one by one into the tables `rows` and `words`, as the lines of a report are read.

    `told` has `line`, `received` (epoch seconds) and FIELDS, texts; a status is the value of a ReceiptStatus.
    A time that cannot be read (without `timezone`, one that has no offset), or that would be after its
    arrival, is that of its arrival.
    """
    import pyarrow as pa

    columns = [[status.value for status in RANKS]] * 2 + [list(RANKS.values())]
    words = pa.table(dict(zip(("word", "meaning", "rank"), columns, strict=True)))
    for name, table in (("told", told), ("words", words)):
        connection.register("batch", table)
        connection.execute(f"CREATE TABLE {name} AS FROM batch")
        connection.unregister("batch")
    cells = f"(SELECT line, CAST(NULL AS VARCHAR) AS fault, {_named(FIELDS)} FROM told)"
    connection.execute(f"CREATE TABLE split AS {split_sql(cells, 'at')}")
    if timezone is None:
        connection.execute("UPDATE split SET _time = NULL WHERE _time.zone = ''")
    _load_rows(connection, ColumnMapping(timezone=timezone), None)
    connection.execute(
        """
        UPDATE rows SET moment = least(coalesce(moment, received), received),
            fault = nullif(fault, 'unreadable_time')
        FROM told WHERE told.line = rows.line
        """
    )
    connection.execute("DROP TABLE split")


def _named(columns: Sequence[str]) -> str:
    return ", ".join(quote_identifier(name) for name in columns)


def _keep_records(text: TextFile, layout: Layout, columns: Mapping[str, tuple[int, ...]], raw: Path) -> int:
    """Write the wanted cells of every record to the Parquet file `raw`; return how many records there are."""
    import pyarrow.parquet as pq

    count = 0
    with pq.ParquetWriter(raw, _schema()) as writer:
        raw.chmod(0o600)
        for batch in read_records(text, layout):
            writer.write_table(_table(batch, columns, len(layout.header)))
            count += len(batch.lines)
    return count


def _schema() -> pa.Schema:
    import pyarrow as pa

    texts = [pa.field(name, pa.string()) for name in ("fault", *FIELDS)]
    return pa.schema([pa.field("line", pa.int64()), *texts])


def _table(batch: Batch, columns: Mapping[str, tuple[int, ...]], width: int) -> pa.Table:
    import pyarrow as pa

    empty: list[str] = [""] * width
    faults = [None if record and len(record) == width else _fault(record, width) for record in batch.records]
    whole = [
        record if record and len(record) >= width else (record or empty) + empty for record in batch.records
    ]
    arrays: dict[str, Any] = {
        "line": pa.array(batch.lines, pa.int64()),
        "fault": pa.array(faults, pa.string()),
    }
    for name in FIELDS:
        cells = [[record[place] for record in whole] for place in columns.get(name, ())]
        arrays[name] = pa.array(_joined(cells, len(whole)), pa.string())
    return pa.table(arrays, schema=_schema())


def _fault(record: list[str] | None, width: int) -> str | None:
    """Return what is wrong with a record; one that lacks cells lacks the last, which were empty."""
    if record is None:
        return "broken_quotes"
    return "too_many_cells" if any(record[width:]) else None


def _joined(columns: list[list[str]], rows: int) -> Sequence[str | None]:
    """Return one column: none, one, or a date and a time joined."""
    if not columns:
        return [None] * rows
    if len(columns) == 1:
        return columns[0]
    return [" ".join(part for part in parts if part) for parts in zip(*columns, strict=True)]


def _cells(raw: Path) -> str:
    """Return SQL of the records, cells trimmed; an empty one is NULL, a spreadsheet's `="628"` is 628."""

    def cell(name: str) -> str:
        text = f"trim({name}, ' \t\r\n\u00a0\u3000')"
        formula = f"CASE WHEN starts_with({text}, '=\"') AND ends_with({text}, '\"')"
        return f"nullif({formula} THEN substr({text}, 3, length({text}) - 3) ELSE {text} END, '') AS {name}"

    cells = ", ".join(cell(quote_identifier(name)) for name in FIELDS)
    return f"(SELECT line, fault, {cells} FROM read_parquet({quote_literal(str(raw))}))"


def _load_words(
    connection: DuckDBPyConnection, raw: Path, mapping: ColumnMapping, where: str
) -> dict[str, int]:
    """Make the table `words` of the known statuses; return the unknown ones and their counts."""
    import pyarrow as pa

    counted = f"""
        SELECT status, count(*) AS lines FROM {_cells(raw)}
        WHERE fault IS NULL AND status IS NOT NULL GROUP BY status ORDER BY lines DESC, status
    """
    found = connection.execute(f"{counted} LIMIT {MOST_WORDS + 1}").fetchall()
    if len(found) > MOST_WORDS:
        raise UsageError(
            f"{where}: the column of the status holds more than {MOST_WORDS} different texts",
            hint='name the right one with --column status="..."',
        )
    known = STATUSES | {plain(word): status for word, status in mapping.statuses.items()}
    meant = {word: known.get(plain(word)) for word, _ in found}
    words = [(word, status.value, RANKS[status]) for word, status in meant.items() if status is not None]
    columns = list(zip(*words, strict=True)) or [(), (), ()]
    types = (pa.string(), pa.string(), pa.int32())
    arrays = [pa.array(column, kind) for column, kind in zip(columns, types, strict=True)]
    connection.register("word_list", pa.table(arrays, names=["word", "meaning", "rank"]))
    connection.execute("CREATE TABLE words AS FROM word_list")
    connection.unregister("word_list")
    unknown: Counter[str] = Counter()
    for word, lines in found:
        if meant[word] is None:
            unknown[show_text(word)] += lines
    return dict(unknown)


def _load_rows(connection: DuckDBPyConnection, mapping: ColumnMapping, order: DateOrder | None) -> None:
    """Make the table `rows` of the table `split`: phones, times and statuses read."""
    options: dict[str, Any] = {"column": "phone", "column_type": "VARCHAR", "region": mapping.region}
    found = connection.execute(heads_sql("split", **options)).fetchall()
    heads = [head for (head,) in found if head is not None]
    reading = reading_sql("split", **options, heads=heads)
    instant = instant_sql("at", order=order, timezone=mapping.timezone)
    connection.execute(
        f"""
        CREATE TABLE rows AS
        SELECT line, phone AS written, "at" AS written_at, status, meaning, rank,
            CASE WHEN _phone_other IS NULL THEN coalesce(_phone, _phone_valid) END AS phone,
            _phone_reason AS phone_reason,
            {instant} AS moment,
            {day_only_sql()} AS day_only,
            CASE WHEN length(message_id) <= {_MAX_ID} THEN message_id END AS message_id,
            {_sender_sql()} AS sender,
            CASE WHEN length(campaign) <= {_MAX_ID} THEN campaign END AS campaign,
            left({_harmless_sql("code")}, {_MAX_CODE}) AS code,
            left({_harmless_sql("detail")}, {_MAX_DETAIL}) AS detail,
            CASE
                WHEN fault IS NOT NULL THEN fault
                WHEN status IS NULL THEN 'missing_status'
                WHEN rank IS NULL THEN 'unknown_status'
            END AS fault
        FROM ({reading}) AS split LEFT JOIN words ON words.word = split.status
        """
    )
    connection.execute("UPDATE rows SET fault = 'unreadable_time' WHERE fault IS NULL AND moment IS NULL")


def _sender_sql() -> str:
    """Write the digits of a sender; a name says nothing of the number."""
    digits = "regexp_replace(sender, '[^0-9]', '', 'g')"
    return f"CASE WHEN regexp_full_match(sender, '[0-9+ ().-]{{5,40}}') THEN {digits} END"


def _harmless_sql(column: str) -> str:
    """Write a text of the provider's fit to keep: on one line, without long numbers, which may be phones."""
    visible = f"regexp_replace({column}, '[[:cntrl:]]+', ' ', 'g')"
    return f"regexp_replace({visible}, '[0-9]{{7,}}', '*******', 'g')"
