"""A log in a Treasure Data table: each batch is one or more stream imports (msgpack.gz), each with an id.

The id follows from what is imported, so that a push made twice lands once: Treasure Data drops a second
import with an id it knows (reference/treasure-data.md §2.3). pytd's own writers are not used: they turn
phones into numbers (§1.8). Sources of the calls: §1.5, §8.
"""

from __future__ import annotations

import gzip
import hashlib
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

from runner.errors import LogError
from runner.logs.interface import Batch, Log, LogTools, Row
from runner.logs.rows import COLUMNS, column_names

if TYPE_CHECKING:
    from runner.treasure_data.calls import Calls, Refused

#: The most one import carries before compression, in bytes. Treasure Data documents no limit; its own
#: collector goes to 32 MB (fluent-plugin-td, out_tdlog.rb). A smaller part is repeated at less cost.
PART_BYTES = 8 * 1024 * 1024

_FORMAT = "msgpack.gz"
_TD_TYPES = {str: "string", int: "long", float: "double"}
_UNAUTHORIZED, _FORBIDDEN, _NOT_FOUND, _CONFLICT, _TOO_LARGE = 401, 403, 404, 409, 413


def open_log(settings: Mapping[str, Any], tools: LogTools) -> Log:
    """Return the log in the table that `settings` names."""
    return TreasureDataLog(settings["database"], settings["table"], tools)


class TreasureDataLog:
    """A table of Treasure Data. It is made with the first push; its database is not, but in a rehearsal."""

    def __init__(self, database: str, table: str, tools: LogTools) -> None:
        self.name = f"treasure_data:{database}.{table}"
        self._database = database
        self._table = table
        self._tools = tools
        self._ready: Calls | None = None

    def push(self, batch: Batch) -> None:
        """Import the batch. The parts it is cut into follow from its rows alone, and so do their ids."""
        from runner.treasure_data.calls import Refused

        calls = self._calls()
        for part, body in enumerate(packed_parts(batch.rows)):
            request = partial(self._import, body=body, unique_id=import_id(batch, self.name, part))
            try:
                calls.call(f"importing into {self._place}", request)
            except Refused as refused:
                raise self._explained(calls, refused, len(body)) from refused

    def _import(self, client: Any, *, body: bytes, unique_id: str) -> None:  # noqa: ANN401 - td-client's
        client.import_data(self._database, self._table, _FORMAT, body, len(body), unique_id=unique_id)

    @property
    def _place(self) -> str:
        return f"{self._database}.{self._table}"

    def _calls(self) -> Calls:
        """Return the way to Treasure Data, with the table there; the first time costs one call."""
        if self._ready is None:
            from runner.treasure_data.calls import Calls

            calls = Calls(self._tools.account(), self._tools, LogError)
            self._make_table(calls)
            self._ready = calls
        return self._ready

    def _make_table(self, calls: Calls) -> None:
        """Make the table, unless it is there, or this key may make none and must hope that it is."""
        if self._tools.makes_databases:
            self._ask(calls, "create_database", self._database, settled={_CONFLICT})
        if self._ask(calls, "create_log_table", self._database, self._table, settled={_CONFLICT, _FORBIDDEN}):
            self._tools.tell(f"{self._place} is a new table")
            self._name_columns(calls)

    def _ask(self, calls: Calls, method: str, *names: str, settled: set[int]) -> bool:
        """Have something made; False for an answer that is as good: it is there, or need not be."""
        from runner.treasure_data.calls import Refused

        try:
            calls.call(f"making {'.'.join(names)}", lambda client: getattr(client, method)(*names))
        except Refused as refused:
            if refused.status in settled:
                return False
            raise self._not_made(calls, refused) from refused
        return True

    def _name_columns(self, calls: Calls) -> None:
        """Give a new table its columns: Treasure Data itself finds only those that hold a value."""
        from runner.treasure_data.calls import Refused

        schema = [[column.name, _TD_TYPES[column.type]] for column in COLUMNS if column.name != "time"]
        try:
            calls.call(
                f"naming the columns of {self._place}",
                lambda client: client.update_schema(self._database, self._table, schema),
            )
        except (Refused, LogError) as failure:
            self._tools.tell(f"{self._place}: its columns will come with the rows ({failure})")

    def _not_made(self, calls: Calls, refused: Refused) -> LogError:
        if refused.status == _NOT_FOUND:
            return LogError(
                f"Treasure Data has no database {self._database}",
                hint=f"make it with `td db:create {self._database}`; or check {calls.credentials}",
            )
        return self._explained(calls, refused, 0)

    def _explained(self, calls: Calls, refused: Refused, size: int) -> LogError:
        """Return an answer that stays the same, as what is wrong and what to do."""
        table = self._place
        known = {
            _UNAUTHORIZED: (
                "Treasure Data does not accept the key",
                f"check {calls.credentials}: a wrong site looks the same",
            ),
            _FORBIDDEN: (f"the key may not write to {table}", "use a key that may import into this database"),
            _NOT_FOUND: (
                f"Treasure Data has no table {table}, and the key may not make it",
                f"make it with a master key: `td table:create {self._database} {self._table}`",
            ),
            _CONFLICT: (
                # UNKNOWN: a second import with an id that is known is said to be dropped with a 200 (§2.3).
                f"Treasure Data answers an import into {table} with a conflict (409)",
                "see whether its rows are there: the run's number is in the column `run`",
            ),
            _TOO_LARGE: (
                f"an import of {size:,} bytes into {table} is too large",
                f"a proxy may have a limit of its own: allow {PART_BYTES // 1024 // 1024} MB",
            ),
        }
        message, hint = known.get(
            refused.status, (f"Treasure Data refuses rows for {table}: {refused.text}", "see docs/log.md")
        )
        return LogError(message, hint=hint)


def packed_parts(rows: Sequence[Row], limit: int = PART_BYTES) -> Iterator[bytes]:
    """Yield the rows as gzipped msgpack maps, at most `limit` bytes each before compression, always the same.

    A single row above the limit is a part of its own.
    """
    import msgpack

    names, packer = column_names(), msgpack.Packer()
    body = bytearray()
    for row in rows:
        record = packer.pack(dict(zip(names, row, strict=True)))
        if body and len(body) + len(record) > limit:
            yield gzip.compress(body, compresslevel=6, mtime=0)
            body.clear()
        body += record
    if body:
        yield gzip.compress(body, compresslevel=6, mtime=0)


def import_id(batch: Batch, target: str, part: int) -> str:
    """Return the id of one import, 32 hex digits: Treasure Data takes hex only (§2.3)."""
    run = batch.run
    words: tuple[str, ...] = (run.ledger, target, str(run.run), str(batch.number), str(part))
    if batch.of_control_group:
        words = (*words, "control group")
    return hashlib.sha256("\n".join(words).encode()).hexdigest()[:32]
