"""Rows -> deliveries of the ledger: by message id, else by phone, sender and time; one candidate or none.

Works in the DuckDB of reading: makes the tables `deliveries`, of the ledger, and `verdicts`, one for each
row. A row is never given to the likelier of two deliveries.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from runner.delivery import ReceiptStatus, State
from runner.ledger.interface import OpenDelivery
from runner.receipts.reading import RANKS

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

#: A provider's clock may be so much behind ours, in seconds.
CLOCK_SKEW = 300.0
#: A message is delivered, or fails, within 30 days; by its id it is looked for that long before its receipt.
_ID_SECONDS = 40 * 86_400.0
_DAY = 86_400.0

#: What a receipt settles: nobody knew that it was sent, or a person thought that it was not.
_SETTLED = (State.UNKNOWN, State.RETRY)


@dataclass(frozen=True, slots=True, kw_only=True)
class Span:
    """From when to when deliveries are needed, in epoch seconds of their intents."""

    since: float
    until: float


def needed_span(connection: DuckDBPyConnection, window: float) -> Span | None:
    """Return which deliveries the rows can be about; None where no row can be read."""
    found = connection.execute(
        """
        SELECT min(moment), max(moment + CASE WHEN day_only THEN ? ELSE 0 END),
            bool_or(message_id IS NOT NULL)
        FROM rows WHERE fault IS NULL
        """,
        [_DAY],
    ).fetchone()
    if found is None or found[0] is None:
        return None
    earliest, latest, has_ids = found
    return Span(
        since=earliest - (max(window, _ID_SECONDS) if has_ids else window), until=latest + CLOCK_SKEW + 1
    )


def load_deliveries(connection: DuckDBPyConnection, batches: Iterable[list[OpenDelivery]]) -> int:
    """Make the table `deliveries` of the ledger's; return how many there are."""
    import pyarrow as pa

    connection.execute(
        """
        CREATE TABLE deliveries (delivery BIGINT, campaign VARCHAR, occurrence VARCHAR, sender VARCHAR,
            phone BIGINT, message_id VARCHAR, state VARCHAR, rank INTEGER, intent_at DOUBLE)
        """
    )
    states = {state: state.value for state in State}
    ranks: dict[ReceiptStatus | None, int] = {None: 0} | dict(RANKS.items())
    count = 0
    for batch in batches:
        count += len(batch)
        columns = {
            "delivery": pa.array([one.delivery for one in batch], pa.int64()),
            "campaign": pa.array([one.campaign for one in batch], pa.string()),
            "occurrence": pa.array([one.occurrence for one in batch], pa.string()),
            "sender": pa.array([one.sender for one in batch], pa.string()),
            "phone": pa.array([one.phone for one in batch], pa.string()),
            "message_id": pa.array([one.message_id for one in batch], pa.string()),
            "state": pa.array([states[one.state] for one in batch], pa.string()),
            "rank": pa.array([ranks[one.receipt] for one in batch], pa.int32()),
            "intent_at": pa.array([one.intent_at for one in batch], pa.float64()),
        }
        connection.register("batch", pa.table(columns))
        connection.execute(
            "INSERT INTO deliveries SELECT * REPLACE (CAST(phone AS BIGINT) AS phone) FROM batch"
        )
        connection.unregister("batch")
    return count


def match_rows(connection: DuckDBPyConnection, *, window: float) -> None:
    """Make the table `verdicts`: line, verdict, reason, delivery, matched_by and settles.

    Verdicts: matched (it tells something new), unchanged, unmatched, ambiguous, unreadable. `window` is how
    long after its intent, in seconds, a delivery is looked for by its phone.
    """
    connection.execute(f"CREATE TABLE by_id AS {_BY_ID}")
    values = {"window": window, "skew": CLOCK_SKEW, "day": _DAY}
    connection.execute(f"CREATE TABLE by_phone AS {_BY_PHONE}", values)
    connection.execute(f"CREATE TABLE found AS {_FOUND}")
    settled = ", ".join(f"'{state.value}'" for state in _SETTLED)
    connection.execute(f"CREATE TABLE verdicts AS {_VERDICTS % settled}")
    for table in ("by_id", "by_phone", "found"):
        connection.execute(f"DROP TABLE {table}")


# An id that two deliveries have, or that was another phone's, matches nothing.
_BY_ID = """
    SELECT rows.line, count(*) AS candidates, min(deliveries.delivery) AS delivery,
        bool_and(rows.phone IS NULL OR rows.phone = deliveries.phone) AS same_phone
    FROM rows JOIN deliveries ON deliveries.message_id = rows.message_id
    WHERE rows.fault IS NULL
    GROUP BY rows.line
"""

# A delivery with an id of its own is not that of a row with another id, and of a refused one there is no
# receipt. A campaign that the ledger knows must be the delivery's; any other text is the provider's own name
# and says nothing.
_BY_PHONE = """
    SELECT rows.line, count(*) AS candidates, min(deliveries.delivery) AS delivery,
        any_value(rows.message_id) AS message_id
    FROM rows
    JOIN deliveries ON deliveries.phone = rows.phone
        AND deliveries.intent_at >= rows.moment - $window
        AND deliveries.intent_at <= rows.moment + CASE WHEN rows.day_only THEN $day ELSE $skew END
        AND (rows.sender IS NULL OR deliveries.sender IN ('', rows.sender))
        AND (rows.message_id IS NULL OR deliveries.message_id IS NULL)
        AND deliveries.state <> 'refused'
    WHERE rows.fault IS NULL
        AND rows.line NOT IN (SELECT line FROM by_id)
        AND (
            rows.campaign IS NULL OR rows.campaign = deliveries.campaign
            OR rows.campaign NOT IN (SELECT DISTINCT campaign FROM deliveries)
        )
    GROUP BY rows.line
"""

# Two ids that fit one delivery without an id: at most one of them is its own.
_FOUND = """
    WITH claimed AS (
        SELECT delivery FROM by_phone
        WHERE candidates = 1 AND message_id IS NOT NULL
        GROUP BY delivery HAVING count(DISTINCT message_id) > 1
    )
    SELECT rows.line, rows.moment, rows.rank,
        CASE
            WHEN rows.fault IS NOT NULL THEN rows.fault
            WHEN by_id.candidates > 1 THEN 'several_deliveries'
            WHEN NOT by_id.same_phone THEN 'other_phone'
            WHEN by_id.line IS NOT NULL THEN NULL
            WHEN rows.phone IS NULL AND rows.written IS NULL AND rows.message_id IS NOT NULL THEN 'unknown_id'
            WHEN rows.phone IS NULL THEN coalesce(rows.phone_reason, 'ambiguous_phone')
            WHEN by_phone.line IS NULL THEN 'no_delivery'
            WHEN by_phone.candidates > 1 THEN 'several_deliveries'
            WHEN rows.message_id IS NOT NULL AND by_phone.delivery IN (SELECT delivery FROM claimed)
                THEN 'several_ids'
        END AS reason,
        coalesce(by_id.delivery, by_phone.delivery) AS delivery,
        CASE WHEN by_id.line IS NOT NULL THEN 'message_id' ELSE 'phone' END AS matched_by
    FROM rows LEFT JOIN by_id USING (line) LEFT JOIN by_phone USING (line)
"""

# The rows of one delivery are taken in the order of their times, as the ledger will get them.
_VERDICTS = """
    WITH known AS (
        SELECT found.*, deliveries.state,
            greatest(deliveries.rank, coalesce(max(found.rank) OVER earlier, 0)) AS known_rank
        FROM found JOIN deliveries USING (delivery)
        WHERE reason IS NULL
        WINDOW earlier AS (
            PARTITION BY delivery ORDER BY found.moment, found.rank, found.line
            ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING
        )
    )
    SELECT line, CASE WHEN rank > known_rank THEN 'matched' ELSE 'unchanged' END AS verdict,
        NULL AS reason, delivery, matched_by, state IN (%s) AND rank > known_rank AS settles
    FROM known
    UNION ALL
    SELECT line,
        CASE
            WHEN reason IN ('several_deliveries', 'several_ids') THEN 'ambiguous'
            WHEN reason IN ('no_delivery', 'unknown_id', 'other_phone') THEN 'unmatched'
            ELSE 'unreadable'
        END, reason, NULL, NULL, false
    FROM found WHERE reason IS NOT NULL
"""
