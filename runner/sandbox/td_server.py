"""Treasure Data's API as an aiohttp application, and the sandbox's own paths under /sandbox.

The REST API (/v3), Trino (/v1/statement) and the calls of Audience Studio share one port. The shapes are
those of reference/treasure-data.md §1.5 and §2.3.
"""

from __future__ import annotations

import asyncio
import base64
import json
import random
import re
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from datetime import datetime, timezone
from typing import Any
from urllib.parse import urlsplit

from aiohttp import web

from runner.errors import RunnerError
from runner.sandbox.ada_server import host_check
from runner.sandbox.td_answers import Answer, document, failure, reset, send
from runner.sandbox.td_errors import SqlError, TableError
from runner.sandbox.td_faults import RETRY_AFTER_KINDS, TdFault, TdFaultKind, TdFaultPlan, parse_td_fault
from runner.sandbox.td_job_routes import JobRoutes
from runner.sandbox.td_jobs import JobDesk, shown
from runner.sandbox.td_routes import Handler, Route
from runner.sandbox.td_settings import TdSandboxSettings
from runner.sandbox.td_table_routes import TableRoutes
from runner.sandbox.td_tables import TableStore
from runner.sandbox.td_trino import TrinoRoutes

Raw = Callable[[web.Request], Awaitable[web.StreamResponse]]

_FORMAT = 1
_LARGEST_BODY = 64 * 1024 * 1024
_KEY = re.compile(r"TD1 +(\S+)")


class TdServer:
    """One sandbox: its state, and the application that serves it. Close it when the application is gone."""

    def __init__(self, settings: TdSandboxSettings) -> None:
        self._settings = settings
        self._allows = host_check(settings.host)
        self._tables = TableStore(settings.data, settings.store)
        self._calls: Counter[tuple[str, str, str]] = Counter()
        self._faults = TdFaultPlan(settings.faults, random.Random(settings.seed))  # noqa: S311 - repeatable
        self._desk = JobDesk(
            self._tables,
            folder=self._tables.work.path,
            seconds=settings.job_seconds,
            now=lambda: datetime.now(timezone.utc),
            strike=self._strike_job,
        )

    def application(self) -> web.Application:
        """Return the application with every path on it."""
        application = web.Application(middlewares=[self._guard], client_max_size=_LARGEST_BODY)
        for route in self.routes():
            served = self._served(route)
            application.router.add_route(route.method, route.path, served)
            # pytd's query engines end the address with a slash, and td-client begins the path with one.
            application.router.add_route(route.method, f"/{route.path}", served)
        self._add_audiences(application)
        own = {
            ("GET", "/sandbox/jobs.json"): self._list_jobs,
            ("GET", "/sandbox/jobs/{id}"): self._show_job,
            ("GET", "/sandbox/calls.json"): self._list_calls,
            ("GET", "/sandbox/faults"): self._list_faults,
            ("POST", "/sandbox/faults"): self._set_faults,
            ("POST", "/sandbox/reset"): self._reset,
        }
        for (method, path), handler in own.items():
            application.router.add_route(method, path, self._plain(handler))
        return application

    def routes(self) -> list[Route]:
        """Return the paths of Treasure Data, without those of Audience Studio."""
        parts = (
            JobRoutes(self._desk, self._tables),
            TableRoutes(self._tables, self._desk, lambda: int(time.time())),
            TrinoRoutes(self._desk),
        )
        return [route for part in parts for route in part.routes()]

    def close(self) -> None:
        """Stop what runs, and delete what is on its way, results too."""
        self._desk.close()
        self._tables.work.close()

    def _strike_job(self) -> TdFault | None:
        return self._faults.strike_job()

    def _add_audiences(self, application: web.Application) -> None:
        from runner.sandbox.td_audiences import audience_routes

        for definition in audience_routes(self._settings.audiences, self._count):
            handler = _answering(definition.handler)
            route = Route(method=definition.method, path=definition.path, call="audience", handler=handler)
            application.router.add_route(definition.method, definition.path, self._served(route))

    def _count(self, database: str, sql: str) -> int:
        """Return how many rows a query has; it blocks. Errors: SqlError."""
        return self._desk.engine().count_query(database, sql, int(time.time()))

    @web.middleware
    async def _guard(self, request: web.Request, handler: Raw) -> web.StreamResponse:
        """Keep out other sites' pages, and answer aiohttp's own refusals in Treasure Data's words."""
        host = request.headers.get("Host", "")
        origin = request.headers.get("Origin")
        foreign = origin is not None and request.method != "GET" and urlsplit(origin).netloc != host
        if foreign or not self._allows(host):
            return await send(request, failure(403, "This host or origin is not served"))
        try:
            return await handler(request)
        except web.HTTPException as refusal:
            return await send(request, failure(refusal.status, f"Resource not found: {request.path}"))

    def _served(self, route: Route) -> Raw:
        """Return a handler that counts the call, asks for the key, and has the faults."""

        async def serve(request: web.Request) -> web.StreamResponse:
            self._calls[request.method, request.path, route.call] += 1
            fault = self._faults.strike_call(route.call)
            if fault is not None:
                return await _struck(request, route, fault)
            if not self._knows(request):
                return await send(request, failure(401, "Authentication failed"))
            return await send(request, await _answered(request, route))

        return serve

    def _plain(self, handler: Handler) -> Raw:
        async def serve(request: web.Request) -> web.StreamResponse:
            return await send(request, await handler(request))

        return serve

    def _knows(self, request: web.Request) -> bool:
        key = _api_key(request)
        return key in self._settings.keys if self._settings.keys else bool(key)

    async def _list_jobs(self, request: web.Request) -> Answer:
        jobs = [self._job(job_id, str(request.url.origin())) for job_id in self._desk.jobs]
        return document({"format": _FORMAT, "jobs": jobs})

    async def _show_job(self, request: web.Request) -> Answer:
        job_id = request.match_info["id"]
        if job_id not in self._desk.jobs:
            return failure(404, "There is no such job")
        return document({"format": _FORMAT, **self._job(job_id, str(request.url.origin()))})

    def _job(self, job_id: str, origin: str) -> dict[str, Any]:
        job = self._desk.jobs[job_id]
        asked = job.request
        return {
            **shown(job, origin),
            "sql": asked.query,
            "domain_key": asked.domain_key,
            "scheduled_time": asked.scheduled,
            "fault": None if job.fault is None else str(job.fault),
        }

    async def _list_calls(self, request: web.Request) -> Answer:
        calls = [
            {"method": method, "path": path, "call": call, "count": count}
            for (method, path, call), count in self._calls.items()
        ]
        return document({"format": _FORMAT, "total": sum(self._calls.values()), "calls": calls})

    async def _list_faults(self, request: web.Request) -> Answer:
        return document({"format": _FORMAT, "faults": [str(fault) for fault in self._faults.faults]})

    async def _set_faults(self, request: web.Request) -> Answer:
        try:
            texts = json.loads(await request.read())["faults"]
            faults = [parse_td_fault(text) for text in texts]
        except RunnerError as error:
            return document({"format": _FORMAT, "error": error.message, "hint": error.hint}, status=400)
        except (ValueError, TypeError, LookupError, AttributeError):
            problem = {"error": "The body is no fault list", "hint": 'Send {"faults": ["500:@job_status"]}.'}
            return document({"format": _FORMAT, **problem}, status=400)
        self._faults = TdFaultPlan(faults, random.Random(self._settings.seed))  # noqa: S311 - repeatable
        return await self._list_faults(request)

    async def _reset(self, request: web.Request) -> Answer:
        """Forget jobs, calls and the count of faults; what was written to tables stays."""
        self._desk.forget()
        self._calls.clear()
        self._faults = TdFaultPlan(self._faults.faults, random.Random(self._settings.seed))  # noqa: S311
        return document({"format": _FORMAT})


def _api_key(request: web.Request) -> str:
    """Return the key of a request: TD1, Basic (user = key), or the user that Trino names."""
    authorization = request.headers.get("Authorization", "")
    if match := _KEY.fullmatch(authorization.strip()):
        return match.group(1)
    if authorization.startswith("Basic "):
        try:
            return base64.b64decode(authorization[6:]).decode().partition(":")[0]
        except ValueError:
            return ""
    return request.headers.get("X-Trino-User", "")


def _answering(handler: Any) -> Handler:  # noqa: ANN401 - aiohttp's type of a handler
    """Return a handler of aiohttp as one that gives an Answer."""

    async def answer(request: web.Request) -> Answer:
        try:
            response = await handler(request)
        except web.HTTPException as refusal:
            response = refusal
        body = response.body if isinstance(response.body, bytes) else b""
        kind = response.headers.get("Content-Type", "application/json")
        return Answer(status=response.status, body=body, content_type=kind)

    return answer


async def _answered(request: web.Request, route: Route) -> Answer:
    try:
        return await route.handler(request)
    except TableError as error:
        return failure(error.status, error.message)
    except SqlError as error:
        return failure(422, error.message)


async def _struck(request: web.Request, route: Route, fault: TdFault) -> web.StreamResponse:
    """Answer a call that a fault strikes."""
    kind = fault.kind
    if kind is TdFaultKind.DROP:
        await asyncio.sleep(fault.seconds or 0.0)
        return await reset(request)
    answer = await _answered(request, route) if fault.accepted else None
    if kind in {TdFaultKind.RESET_BEFORE, TdFaultKind.RESET_AFTER}:
        return await reset(request)
    if answer is None or kind not in {TdFaultKind.SLOW, TdFaultKind.TRUNCATED}:
        return await send(request, _refusal(fault))
    if kind is TdFaultKind.SLOW:
        await asyncio.sleep(fault.seconds or 0.0)
    return await send(request, answer, truncated=kind is TdFaultKind.TRUNCATED)


def _refusal(fault: TdFault) -> Answer:
    if fault.kind is TdFaultKind.HTML_502:
        page = b"<html><head><title>502 Bad Gateway</title></head><body>502 Bad Gateway</body></html>"
        return Answer(status=502, body=page, content_type="text/html")
    retry = fault.seconds is not None and fault.kind in RETRY_AFTER_KINDS
    headers = (("Retry-After", f"{fault.seconds:g}"),) if retry else ()
    return failure(int(fault.kind.value), "The sandbox was told to answer so", headers=headers)
