"""The paths of databases, tables and imports (reference/treasure-data.md §1.5, §2.3)."""

from __future__ import annotations

import hashlib
import json
import re
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from aiohttp import web

from runner.sandbox.td_answers import Answer, document, failure
from runner.sandbox.td_errors import TableError
from runner.sandbox.td_jobs import JobDesk, JobRequest
from runner.sandbox.td_routes import Route, fields, whole_number
from runner.sandbox.td_tables import Column, TableFiles, TableStore

if TYPE_CHECKING:
    from runner.sandbox.td_engine import Ran
    from runner.sandbox.td_imports import BulkImport

_UNIQUE_ID = re.compile(r"[0-9a-f]+")
_LONGEST_NAME = 128
_TO_DUCKDB = {"string": "VARCHAR", "int": "INTEGER", "long": "BIGINT", "float": "FLOAT", "double": "DOUBLE"}
_FROM_DUCKDB = {"BIGINT": "long", "INTEGER": "int", "DOUBLE": "double", "FLOAT": "float", "HUGEINT": "long"}
_MOMENT = "1970-01-01 00:00:00 UTC"


class TableRoutes:
    """Answers what clients ask of databases and tables, and takes their imports.

    `now` is in epoch seconds. The handlers raise TableError and SqlError: the server answers them.
    """

    def __init__(self, tables: TableStore, desk: JobDesk, now: Callable[[], int]) -> None:
        self._tables = tables
        self._desk = desk
        self._now = now
        self._counted: dict[tuple[Any, ...], int] = {}
        self._bulk: dict[str, BulkImport] = {}

    def routes(self) -> list[Route]:
        """Return every path."""
        table = "{database}/{table}"
        paths = [
            ("GET", "/v3/database/list", "database_list", self._databases),
            ("POST", "/v3/database/create/{database}", "database_create", self._create_database),
            ("GET", "/v3/table/list/{database}", "table_list", self._list),
            ("GET", f"/v3/table/show/{table}", "table_show", self._show),
            ("GET", f"/v3/table/tail/{table}", "table_tail", self._tail),
            ("POST", f"/v3/table/create/{table}", "table_create", self._create),
            ("POST", f"/v3/table/create/{table}/log", "table_create", self._create),
            ("POST", f"/v3/table/delete/{table}", "table_delete", self._delete),
            ("POST", f"/v3/table/update-schema/{table}", "table_schema", self._schema),
            ("POST", f"/v3/table/append-schema/{table}", "table_schema", self._schema),
            ("PUT", f"/v3/table/import/{table}/{{format}}", "import", self._import),
            ("PUT", f"/v3/table/import_with_id/{table}/{{unique_id}}/{{format}}", "import", self._import),
            ("POST", f"/v3/bulk_import/create/{{name}}/{table}", "bulk_create", self._bulk_create),
            ("PUT", "/v3/bulk_import/upload_part/{name}/{part}", "bulk_upload", self._bulk_upload),
            ("GET", "/v3/bulk_import/show/{name}", "bulk_show", self._bulk_show),
            ("POST", "/v3/bulk_import/{act:freeze|unfreeze}/{name}", "bulk_freeze", self._bulk_freeze),
            ("POST", "/v3/bulk_import/perform/{name}", "bulk_perform", self._bulk_perform),
            ("POST", "/v3/bulk_import/commit/{name}", "bulk_commit", self._bulk_commit),
            ("POST", "/v3/bulk_import/delete/{name}", "bulk_delete", self._bulk_delete),
        ]
        return [Route(method=m, path=path, call=call, handler=handler) for m, path, call, handler in paths]

    async def _databases(self, request: web.Request) -> Answer:
        names = self._tables.databases()
        same = {"created_at": _MOMENT, "updated_at": _MOMENT, "organization": None}
        return document(
            {
                "databases": [
                    {"name": name, "count": 0, "permission": "administrator", **same} for name in names
                ]
            }
        )

    async def _create_database(self, request: web.Request) -> Answer:
        database = request.match_info["database"]
        self._tables.create_database(database)
        return document({"database": database})

    async def _list(self, request: web.Request) -> Answer:
        database = request.match_info["database"]
        names = self._tables.tables(database)
        tables = [await self._described(database, name) for name in names]
        return document({"database": database, "name": database, "tables": tables})

    async def _show(self, request: web.Request) -> Answer:
        database, table = _names(request)
        return document({"database": database, **await self._described(database, table)})

    async def _described(self, database: str, table: str) -> dict[str, Any]:
        files = self._tables.table(database, table)
        columns = await self._desk.in_thread(lambda: self._desk.engine().columns(database, table))
        return {
            "id": 1,
            "name": table,
            "type": "log",
            "count": await self._count(database, table, files),
            "estimated_storage_size": files.size,
            "schema": json.dumps(
                [
                    [column.name, _FROM_DUCKDB.get(column.kind, "string")]
                    for column in columns
                    if column.name != "time"
                ]
            ),
            "created_at": _MOMENT,
            "updated_at": _MOMENT,
            "counter_updated_at": None,
            "last_log_timestamp": None,
            "expire_days": None,
        }

    async def _count(self, database: str, table: str, files: TableFiles) -> int:
        """Return how many rows a table has; counted once for each state of its files."""
        state = (database, table, files.size, files.changed, len(files.written))
        if state not in self._counted:
            self._counted[state] = await self._desk.in_thread(
                lambda: self._desk.engine().count(database, table)
            )
        return self._counted[state]

    async def _tail(self, request: web.Request) -> Answer:
        """Return the youngest rows, as msgpack maps."""
        database, table = _names(request)
        count = whole_number(request.query.get("count", ""), 10)
        rows = await self._desk.in_thread(lambda: self._desk.engine().tail(database, table, count))
        return Answer(body=rows, content_type="application/octet-stream")

    async def _create(self, request: web.Request) -> Answer:
        database, table = _names(request)
        given = await fields(request)
        self._tables.create_table(database, table, _columns(given.get("schema", "[]")))
        return document({"database": database, "table": table, "type": "log"})

    async def _delete(self, request: web.Request) -> Answer:
        database, table = _names(request)
        self._tables.delete_table(database, table)
        return document({"database": database, "table": table, "type": "log"})

    async def _schema(self, request: web.Request) -> Answer:
        database, table = _names(request)
        given = await fields(request)
        files = self._tables.table(database, table)
        kept = files.declared if "append-schema" in request.path else ()
        added = _columns(given.get("schema", "[]"))
        new = {column.name: column for column in (*kept, *added)}
        self._tables.declare(database, table, tuple(new.values()))
        return document({"database": database, "table": table, "type": "log"})

    async def _import(self, request: web.Request) -> Answer:
        """Take records; with a unique id that was seen before, nothing is added (§2.3).

        UNKNOWN: for how long an id is remembered (here for ever), and the answer to one that is not
        hexadecimal (here 422).
        """
        database, table = _names(request)
        unique_id = request.match_info.get("unique_id") or uuid.uuid4().hex
        body = await self._received(request)
        try:
            _check_import(unique_id, request.match_info["format"])
            await self._desk.in_thread(lambda: self._add(database, table, body, unique_id))
        finally:
            body.unlink()
        return document(
            {"unique_id": unique_id, "database": database, "table": table, "md5_hex": "", "elapsed_time": 0.0}
        )

    def _add(self, database: str, table: str, body: Path, unique_id: str) -> int:
        from runner.sandbox.td_imports import import_records

        part = (
            unique_id if len(unique_id) <= _LONGEST_NAME else hashlib.sha256(unique_id.encode()).hexdigest()
        )
        return import_records(self._tables, database, table, body, part=part, now=self._now())

    async def _received(self, request: web.Request) -> Path:
        """Keep a body in a file: it may be larger than memory."""
        path = self._tables.work.path() / f"{uuid.uuid4().hex}.body"
        try:
            with path.open("wb") as file:
                async for chunk in request.content.iter_any():
                    file.write(chunk)
        except BaseException:
            # The client went away: half a body is nothing.
            path.unlink()
            raise
        return path

    async def _bulk_create(self, request: web.Request) -> Answer:
        from runner.sandbox.td_imports import BulkImport

        name = request.match_info["name"]
        database, table = _names(request)
        if name in self._bulk:
            return failure(409, f"Bulk import {name} has already been taken")
        self._tables.table(database, table)
        self._bulk[name] = BulkImport(name=name, database=database, table=table)
        return document({"name": name, "bulk_import": name})

    async def _bulk_upload(self, request: web.Request) -> Answer:
        session = self._bulk.get(request.match_info["name"])
        body = await self._received(request)
        if session is None or session.frozen:
            body.unlink()
            return _no_session() if session is None else failure(422, "Bulk import is frozen")
        former = session.parts.pop(request.match_info["part"], None)
        if former is not None:
            former.unlink()
        session.parts[request.match_info["part"]] = body
        return document({"name": session.name, "bulk_import": session.name})

    async def _bulk_show(self, request: web.Request) -> Answer:
        session = self._bulk.get(request.match_info["name"])
        return _no_session() if session is None else document(session.shown())

    async def _bulk_freeze(self, request: web.Request) -> Answer:
        session = self._bulk.get(request.match_info["name"])
        if session is None:
            return _no_session()
        session.frozen = request.match_info["act"] == "freeze"
        return document({"name": session.name, "bulk_import": session.name})

    async def _bulk_perform(self, request: web.Request) -> Answer:
        from runner.sandbox.td_imports import BulkStatus

        session = self._bulk.get(request.match_info["name"])
        if session is None:
            return _no_session()
        if session.job is not None:
            return failure(409, "Bulk import was performed before")
        session.status = BulkStatus.PERFORMING
        asked = JobRequest(kind="bulk_import_perform", database=session.database, query=session.name)
        job = self._desk.issue(asked, lambda _: self._perform(session))
        session.job = job.id
        return document({"name": session.name, "bulk_import": session.name, "job_id": int(job.id)})

    def _perform(self, session: BulkImport) -> Ran:
        from runner.sandbox.td_engine import Ran
        from runner.sandbox.td_imports import perform
        from runner.sandbox.td_sql import StatementKind

        perform(session, self._tables, self._now())
        return Ran(kind=StatementKind.INSERT, written=session.records)

    async def _bulk_commit(self, request: web.Request) -> Answer:
        from runner.sandbox.td_imports import BulkStatus, commit

        session = self._bulk.get(request.match_info["name"])
        if session is None:
            return _no_session()
        if session.status is not BulkStatus.READY:
            return failure(422, f"Bulk import is {session.status.value}, not ready")
        commit(session, self._tables)
        return document({"name": session.name, "bulk_import": session.name})

    async def _bulk_delete(self, request: web.Request) -> Answer:
        from runner.sandbox.td_imports import discard

        session = self._bulk.pop(request.match_info["name"], None)
        if session is None:
            return _no_session()
        discard(session)
        return document({"name": session.name, "bulk_import": session.name})


def _names(request: web.Request) -> tuple[str, str]:
    return request.match_info["database"].lower(), request.match_info["table"].lower()


def _check_import(unique_id: str, kind: str) -> None:
    if not _UNIQUE_ID.fullmatch(unique_id):
        raise TableError(422, "unique_id must match [0-9a-f]+")
    if kind not in {"msgpack.gz", "msgpack"}:
        raise TableError(422, "only msgpack.gz can be imported")


def _columns(schema: str) -> tuple[Column, ...]:
    """Read a schema as clients send it, [[name, type], ...]; TableError 422 where it is none."""
    try:
        pairs = [(str(column[0]).lower(), str(column[1])) for column in json.loads(schema)]
    except (ValueError, TypeError, LookupError):
        raise TableError(422, "Invalid schema") from None
    return tuple(
        Column(name=name, kind=_TO_DUCKDB.get(kind, "VARCHAR")) for name, kind in pairs if name != "time"
    )


def _no_session() -> Answer:
    return failure(404, "Resource not found: there is no such bulk import")
