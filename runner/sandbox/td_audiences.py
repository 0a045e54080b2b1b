"""The read calls of Audience Studio that the Treasure Data sandbox answers (reference/treasure-data.md §4.1).

The parent segments come from a JSON file: a list of `id`, `name`, `age` (such as `3h`: how long ago its
tables were made), `folders` and `segments`; a segment has `rule`, and beside it the `sql` it stands for.
Whatever would write is answered with 405, and counted like every call.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

from aiohttp import web

from runner.errors import UsageError
from runner.sandbox.quantities import parse_duration
from runner.sandbox.td_errors import SqlError, TableError

_WRITES = ("POST", "PUT", "PATCH", "DELETE")


def audience_routes(audiences: Path | None, run_count: Callable[[str, str], int]) -> list[web.RouteDef]:
    """Return the routes of Audience Studio; without a file it has no parent segments.

    `run_count(database, sql)` counts rows, and blocks. UsageError for a file that holds no parent segments.
    """
    studio = _Studio(_read(audiences) if audiences else [], run_count)
    return [
        web.get("/audiences", studio.parents),
        web.get("/audiences/{id}", studio.parent),
        web.get("/audiences/{id}/segments", studio.segments),
        web.get("/audiences/{id}/folders", studio.folders),
        web.get("/audiences/{id}/segments/{segment}", studio.segment),
        web.post("/audiences/{id}/segments/query", studio.query),
        *(web.route(method, "/audiences{rest:.*}", _refuse) for method in _WRITES),
    ]


def _read(path: Path) -> list[dict[str, Any]]:
    try:
        parents = json.loads(path.read_text(encoding="utf-8"))
        for parent in parents:
            parse_duration(parent.get("age", "0s"))
            _ = parent["id"], parent["name"], [(each["id"], each["name"]) for each in parent["segments"]]
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as problem:
        raise UsageError(
            f"The sandbox's parent segments in {path.name} cannot be read: {type(problem).__name__}",
            hint="See campaigns/sandbox_audiences.json.",
        ) from problem
    found: list[dict[str, Any]] = parents
    return found


class _Studio:
    """Parent segments and what is asked of them."""

    def __init__(self, parents: list[dict[str, Any]], run_count: Callable[[str, str], int]) -> None:
        self._parents = {str(parent["id"]): parent for parent in parents}
        self._run_count = run_count

    async def parents(self, _: web.Request) -> web.Response:
        return web.json_response([self._shown(parent) for parent in self._parents.values()])

    async def parent(self, request: web.Request) -> web.Response:
        return web.json_response(self._shown(self._named(request)))

    async def segments(self, request: web.Request) -> web.Response:
        parent = self._named(request)
        return web.json_response([_segment(parent, each) for each in parent["segments"]])

    async def segment(self, request: web.Request) -> web.Response:
        parent = self._named(request)
        wanted = request.match_info["segment"]
        for each in parent["segments"]:
            if str(each["id"]) == wanted:
                return web.json_response(_segment(parent, {**each, "rule_in_list": True}))
        raise web.HTTPNotFound

    async def folders(self, request: web.Request) -> web.Response:
        return web.json_response(self._named(request).get("folders", []))

    async def query(self, request: web.Request) -> web.Response:
        """Return the SQL of a rule; without one, of the whole parent segment, as Audience Studio does."""
        parent = self._named(request)
        asked = await request.json()
        rule = asked.get("rule")
        if not rule:
            return web.json_response({"sql": f'select\n  a.*\nfrom "{_database(parent)}"."customers" a\n'})
        for each in parent["segments"]:
            if each.get("rule") == rule:
                return web.json_response({"sql": each["sql"]})
        raise web.HTTPUnprocessableEntity

    def _named(self, request: web.Request) -> dict[str, Any]:
        parent = self._parents.get(request.match_info["id"])
        if parent is None:
            raise web.HTTPNotFound
        return parent

    def _population(self, database: str) -> int | None:
        """Count a parent segment's people; None where its table is not there: the others are shown."""
        try:
            return self._run_count(database, f'SELECT * FROM "{database}"."customers"')
        except (SqlError, TableError):
            return None

    def _shown(self, parent: Mapping[str, Any]) -> dict[str, Any]:
        made = datetime.now(timezone.utc) - timedelta(seconds=parse_duration(parent.get("age", "0s")))
        return {
            "id": str(parent["id"]),
            "name": parent["name"],
            "population": self._population(_database(parent)),
            "matrixUpdatedAt": f"{made:%Y-%m-%dT%H:%M:%SZ}" if "age" in parent else None,
        }


def _database(parent: Mapping[str, Any]) -> str:
    return f"cdp_audience_{parent['id']}"


def _segment(parent: Mapping[str, Any], segment: Mapping[str, Any]) -> dict[str, Any]:
    """Return a segment as the API shows it; `rule_in_list: false` leaves its rule out, as lists may."""
    return {
        "id": str(segment["id"]),
        "audienceId": str(parent["id"]),
        "name": segment["name"],
        "kind": segment.get("kind", 0),
        "rule": segment.get("rule") if segment.get("rule_in_list", True) else {},
        "population": segment.get("population"),
        "segmentFolderId": segment.get("folder"),
    }


async def _refuse(_: web.Request) -> web.Response:
    """Refuse whatever would write."""
    raise web.HTTPMethodNotAllowed("", [])
