"""Rows -> recipients and rejections: one DuckDB pipeline, each gate one named predicate.

Three passes, each from one Parquet file to the next, so that memory stays bounded at any number of rows:

1. read: every row's phone is read, every variable rendered, and the gates that need only the row are judged;
2. meet: rows with the same phone meet; the first that could be sent wins, the others are `duplicate_phone`;
3. part: recipients and rejections are written, each row in exactly one of them, in the order of the rows.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from runner.campaign import FREQUENCY_CAP, MIN_DISTANCE, Campaign, Holdout, RecipientColumns
from runner.control_group import HOLDOUT, held_out_sql
from runner.delivery import FORGOTTEN
from runner.errors import PlanFileError, SegmentError
from runner.forgotten import Forgotten
from runner.phone import heads_sql, reading_sql
from runner.plan import REASONS
from runner.plan_file import RECIPIENTS, REJECTIONS
from runner.private_parquet import write_parquet
from runner.rendering import RenderedColumns
from runner.screening_lists import MEMORY, Lists, load_forgotten, load_lists, pipeline, read_heads
from runner.sql_text import quote_identifier, quote_literal
from runner.zone_gate import BAD_TIMEZONE, NO_WINDOW, Hours, calling_codes_of, with_zones, without_zones

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

#: From this many rows on, meeting rows of the same phone in memory is worth more of it.
_MANY_ROWS = 2_000_000
_MORE_MEMORY = "1GB"
#: Added to a row's number when its variables are bad, so that a row that could be sent comes first.
_LATER = 1 << 40
_ALREADY_SENT = "already_sent"
#: Names that the pipeline gives to columns of its own.
_OWN_NAMES = re.compile(r"_row|file_row_number|_phone(_.*)?|_pr_.*|__.*", re.IGNORECASE)
#: The phone of a row that was read, as digits in a BIGINT; NULL where it has none that may be sent to.
READ_PHONE = "_phone"
#: What the first pass leaves for the others.
_READ = "read.parquet"


@dataclass(frozen=True, slots=True, kw_only=True)
class Screened:
    """What became of the rows; the two tables are in `folder`, `notes` are for the plan's reader.

    `variants` is how many recipients get which variant, those that anybody gets.
    """

    folder: Path
    to_send: int
    already_sent: int
    rejected: Mapping[str, int]
    notes: tuple[str, ...] = ()
    variants: Mapping[str, int] = field(default_factory=dict)


def screen(
    rows: Path,
    *,
    row_count: int,
    campaign: Campaign,
    column_types: Mapping[str, str],
    message: RenderedColumns,
    lists: Lists,
    hours: Hours | None = None,
) -> Screened:
    """Screen the Parquet file `rows` and write both tables beside it; `hours` is None without a window.

    Errors: SegmentError when a suppression list cannot be read, or a column has a name of the pipeline's own.
    """
    _check_names(column_types)
    folder = rows.parent
    with pipeline(folder, memory=_MORE_MEMORY if row_count > _MANY_ROWS else MEMORY) as connection:
        unread = load_lists(connection, lists, region=campaign.recipient.region)
        reading = _reading(
            connection, rows, campaign.recipient, column_types[campaign.recipient.phone], hours
        )
        _read(connection, reading, folder / _READ, campaign, column_types, message)
        _meet(connection, folder / _READ)
        _part(connection, folder, campaign.holdout)
        return _count(connection, folder, unread)


def _check_names(columns: Iterable[str]) -> None:
    taken = sorted(name for name in columns if _OWN_NAMES.fullmatch(name))
    if taken:
        raise SegmentError(
            f"the query's column `{taken[0]}` has a name that runner gives to columns of its own",
            hint=f'give it another name in the query: "{taken[0]}" AS my_column',
        )


def find_rows(tables: Path, phone: str) -> list[dict[str, Any]]:
    """Return what the tables say of one phone: row number, verdict (`to_send` or a reason), detail, variant.

    PlanFileError when they are no such tables: a file may have been sealed anew with others.
    """
    import duckdb

    with pipeline(tables) as connection:
        recipients = quote_literal(str(tables / RECIPIENTS))
        rejections = quote_literal(str(tables / REJECTIONS))
        sql = f"""
            SELECT row, 'to_send' AS verdict, NULL AS detail, variant FROM {recipients} WHERE phone = $phone
            UNION ALL SELECT row, reason, detail, NULL FROM {rejections} WHERE phone = $phone ORDER BY row
        """
        try:
            found = connection.execute(sql, {"phone": phone}).fetchall()
        except duckdb.Error as error:
            raise PlanFileError(
                "the plan's tables are not those that `runner plan` writes",
                hint="make it again with `runner plan`",
            ) from error
    keys = ("row", "verdict", "detail", "variant")
    return [dict(zip(keys, values, strict=True)) for values in found]


def count_forgotten(tables: Path, forgotten: Forgotten) -> int:
    """Return how many of a plan's recipients, and of its control group, were forgotten."""
    with pipeline(tables) as connection:
        load_forgotten(connection, forgotten)
        recipients = quote_literal(str(tables / RECIPIENTS))
        rejections = quote_literal(str(tables / REJECTIONS))
        held_out = f"SELECT phone FROM {rejections} WHERE reason = '{HOLDOUT}'"
        people = f"SELECT phone FROM {recipients} UNION ALL {held_out}"
        found = connection.execute(f"SELECT count(*) FROM ({people}) WHERE is_forgotten(phone)").fetchone()
        return int((found or (0,))[0])


def _read(
    connection: DuckDBPyConnection,
    reading: str,
    target: Path,
    campaign: Campaign,
    column_types: Mapping[str, str],
    message: RenderedColumns,
) -> None:
    """First pass: one row in, one row out, with its phone, its values and the gates it fails by itself."""
    recipient = campaign.recipient
    sql = f"""
        SELECT
            _row AS row,
            CAST({quote_identifier(recipient.id)} AS VARCHAR) AS recipient_id,
            CAST({quote_identifier(recipient.phone)} AS VARCHAR) AS written,
            coalesce(_phone, _phone_valid) AS phone,
            {_gates(recipient.consent, column_types[recipient.consent])} AS reason,
            {message.bad_variable} AS bad,
            _phone_zones AS zones,
            {message.body} AS body,
            {message.header} AS header,
            {message.media_url} AS media,
            {message.buttons} AS buttons,
            {message.variant} AS variant
        FROM {message.over(reading)}
    """
    write_parquet(connection, sql, target)


def _reading(
    connection: DuckDBPyConnection,
    rows: Path,
    recipient: RecipientColumns,
    phone_type: str,
    hours: Hours | None,
) -> str:
    """Return SQL of the rows, numbered from 0, with their phones read, and their time zones for a window."""
    file = f"read_parquet({quote_literal(str(rows))}, file_row_number=true)"
    source = f"(SELECT *, file_row_number AS _row FROM {file})"
    column, region, style = recipient.phone, recipient.region, recipient.phone_style
    sql = heads_sql(source, column=column, column_type=phone_type, region=region, style=style)
    heads = read_heads(connection, sql)
    sql = reading_sql(source, column=column, column_type=phone_type, region=region, style=style, heads=heads)
    if hours is None:
        return without_zones(f"({sql})")
    codes = calling_codes_of(heads, region)
    zoned = with_zones(connection, f"({sql})", hours=hours, codes=codes, column=recipient.timezone)
    # A join keeps the order of the rows, or not, as DuckDB finds quicker.
    return f"(FROM {zoned} ORDER BY _row)"


def _gates(consent: str, consent_type: str) -> str:
    """Return the first gate, of those that need no other row, that a row fails; NULL when it passes all."""
    return f"""
        CASE
            WHEN _phone_reason IS NOT NULL THEN _phone_reason
            WHEN is_forgotten(_phone) THEN '{FORGOTTEN}'
            WHEN NOT {_agrees(consent, consent_type)} THEN 'no_consent'
            WHEN _phone IN (SELECT phone FROM suppressed) THEN 'suppressed'
            WHEN _phone IN (SELECT phone FROM opted_out) THEN 'opted_out'
            {_capped(FREQUENCY_CAP)}
            {_capped(MIN_DISTANCE)}
            ELSE _phone_late
        END
    """


def _capped(rule: str) -> str:
    """Return the branch for who has had enough messages; who has this very one is counted apart."""
    return f"""
            WHEN _phone IN (SELECT phone FROM capped WHERE rule = '{rule}')
                AND _phone NOT IN (SELECT phone FROM taken) THEN '{rule}'
    """.strip()


def _agrees(consent: str, consent_type: str) -> str:
    """Return the predicate that consent was given: true, 1, or a text that plainly says so; nothing else."""
    column = quote_identifier(consent)
    if consent_type == "BOOLEAN":
        return f"coalesce({column}, false)"
    text = f"lower(trim(CAST({column} AS VARCHAR)))"
    return f"coalesce({text} IN ('true', 't', 'yes', 'y', '1', '1.0'), false)"


def _meet(connection: DuckDBPyConnection, read: Path) -> None:
    """Second pass: of the rows with one phone, the first that could be sent wins."""
    connection.execute(
        f"""
        CREATE TABLE winners AS
        SELECT phone, min(row + CASE WHEN bad IS NULL THEN 0 ELSE {_LATER} END) % {_LATER} AS winner
        FROM {quote_literal(str(read))}
        WHERE reason IS NULL
        GROUP BY phone
        HAVING count(*) > 1
        """
    )


def _part(connection: DuckDBPyConnection, folder: Path, holdout: Holdout | None) -> None:
    """Third pass: each row goes into exactly one of the two tables.

    Only who would get the message is drawn for the control group: the two are then alike in all else.
    """
    held_out = held_out_sql(holdout, "phone") if holdout else "false"
    judged = f"""
        SELECT rows.*,
            CASE
                WHEN reason IS NOT NULL THEN reason
                WHEN winner <> row THEN 'duplicate_phone'
                WHEN bad IS NOT NULL THEN 'bad_variable'
                WHEN phone IN (SELECT phone FROM taken) THEN '{_ALREADY_SENT}'
                WHEN {held_out} THEN '{HOLDOUT}'
            END AS verdict
        FROM {quote_literal(str(folder / _READ))} AS rows LEFT JOIN winners USING (phone)
    """
    recipients = f"""
        SELECT row, recipient_id, CAST(phone AS VARCHAR) AS phone, body, header, media, buttons,
            zones, variant
        FROM ({judged}) WHERE verdict IS NULL
    """
    # A rejection of a forgotten person does not write the person down again.
    rejections = f"""
        SELECT row,
            CASE WHEN verdict <> '{FORGOTTEN}' THEN recipient_id END AS recipient_id,
            CASE WHEN verdict <> '{FORGOTTEN}' THEN CAST(phone AS VARCHAR) END AS phone,
            CASE WHEN verdict <> '{FORGOTTEN}' THEN written END AS written,
            verdict AS reason,
            CASE
                WHEN verdict = 'bad_variable' THEN bad
                WHEN verdict IN ('{BAD_TIMEZONE}', '{NO_WINDOW}') THEN zones
            END AS detail
        FROM ({judged}) WHERE verdict IS NOT NULL
    """
    for name, sql in ((RECIPIENTS, recipients), (REJECTIONS, rejections)):
        write_parquet(connection, sql, folder / name)


def _count(connection: DuckDBPyConnection, folder: Path, notes: tuple[str, ...]) -> Screened:
    recipients = quote_literal(str(folder / RECIPIENTS))
    rejections = quote_literal(str(folder / REJECTIONS))
    shares = dict(connection.execute(f"SELECT variant, count(*) FROM {recipients} GROUP BY ALL").fetchall())
    found = connection.execute(f"SELECT reason, count(*) FROM {rejections} GROUP BY ALL").fetchall()
    counts = dict(found)
    return Screened(
        folder=folder,
        to_send=sum(shares.values()),
        already_sent=counts.pop(_ALREADY_SENT, 0),
        rejected={reason: counts[reason] for reason in REASONS if reason in counts},
        notes=notes,
        variants={name: count for name, count in shares.items() if name is not None},
    )
