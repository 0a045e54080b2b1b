"""ADA's API as an aiohttp application (reference/ada-api.md §15), and the sandbox's own pages under /sandbox.

Every path is served with and without `/prod`. Nothing is ever de-duplicated.
"""

from __future__ import annotations

import asyncio
import base64
import ipaddress
import re
import secrets
from collections.abc import Awaitable, Callable
from http import HTTPStatus
from itertools import islice
from typing import Any
from urllib.parse import urlsplit

from aiohttp import web

from runner.errors import RunnerError
from runner.sandbox import replies
from runner.sandbox.faults import parse_fault
from runner.sandbox.page import render_page
from runner.sandbox.receiving import LARGEST_MESSAGE, Sandbox
from runner.sandbox.record import parse_message
from runner.sandbox.replies import Code, Ending, Reply
from runner.sandbox.tokens import TokenVerdict, judge_authorization, judge_token

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

_FORMAT = 1
_PAGE_SIZE = 1000
_LARGEST_PAGE = 10_000
_PIXEL = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
)


class AdaServer:
    """The handlers of one sandbox. `allows(host)` says whether a Host header may be served."""

    def __init__(self, sandbox: Sandbox, *, allows: Callable[[str], bool]) -> None:
        self._sandbox = sandbox
        self._allows = allows

    def application(self) -> web.Application:
        """Return the application with every path on it."""
        application = web.Application(middlewares=[self._guard], client_max_size=LARGEST_MESSAGE)
        for prefix in ("", "/prod"):
            application.router.add_post(f"{prefix}/message", self._message)
            application.router.add_post(f"{prefix}/user/checkToken", self._check_token)
            application.router.add_get(f"{prefix}/account", self._accounts)
            application.router.add_get(f"{prefix}/account/{{account}}/template", self._templates)
            application.router.add_get(f"{prefix}/message/media/{{media}}", self._media)
        application.router.add_post(replies.REDIRECTED_PATH, self._message)
        application.router.add_get("/sandbox", self._page)
        application.router.add_get("/sandbox/messages.json", self._messages)
        application.router.add_get("/sandbox/stats.json", self._stats)
        application.router.add_post("/sandbox/reset", self._reset)
        application.router.add_post("/sandbox/inbound", self._inbound)
        application.router.add_get("/sandbox/faults", self._faults)
        application.router.add_post("/sandbox/faults", self._set_faults)
        return application

    @web.middleware
    async def _guard(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Keep out other sites' pages, and answer aiohttp's own refusals in ADA's envelope."""
        host = request.headers.get("Host", "")
        origin = request.headers.get("Origin")
        foreign = origin is not None and request.method != "GET" and urlsplit(origin).netloc != host
        if foreign or not self._allows(host):
            return _respond(replies.failure(403, Code.NOT_FOUND, "This host or origin is not served"))
        try:
            return await handler(request)
        except web.HTTPRequestEntityTooLarge:
            return _respond(replies.failure(413, Code.TOO_LARGE, "The body is too large"))
        except web.HTTPException as refusal:
            phrase = HTTPStatus(refusal.status).phrase
            return _respond(replies.failure(refusal.status, Code.NOT_FOUND, phrase))

    async def _message(self, request: web.Request) -> web.StreamResponse:
        raw = await request.read()
        redirected = request.path == replies.REDIRECTED_PATH
        reply = self._sandbox.receive(request.headers.get("Authorization"), raw, redirected=redirected)
        if reply.delay:
            await asyncio.sleep(reply.delay)
        if reply.ending is not Ending.ANSWER and request.transport is not None:
            # aiohttp finds the connection closed, and lets the response below go.
            replies.end_badly(request.transport, reply)
        return _respond(reply)

    async def _check_token(self, request: web.Request) -> web.StreamResponse:
        document = parse_message(await request.read()) or {}
        verdict = judge_token(str(document.get("accessToken", "")), self._sandbox.wall())
        if verdict is not TokenVerdict.GOOD:
            return _respond(replies.token_failure(verdict))
        return _json({"status": 200, "errorCode": 0, "message": "Success", "data": []})

    async def _accounts(self, request: web.Request) -> web.StreamResponse:
        if refusal := self._token_refusal(request):
            return refusal
        wanted = request.query.get("platform", "WA") == "WA"
        accounts = self._sandbox.catalog.accounts(str(request.url.origin())) if wanted else []
        return _json(
            {
                "status": 200,
                "message": "Success",
                "data": accounts,
                "pageNo": 0,
                "pageSize": 10,
                "pageTotal": 0,
                "totalRecord": len(accounts),
            }
        )

    async def _templates(self, request: web.Request) -> web.StreamResponse:
        if refusal := self._token_refusal(request):
            return refusal
        if not self._sandbox.catalog.has_account(request.match_info["account"]):
            return _respond(replies.failure(404, Code.NOT_FOUND, "There is no such account"))
        templates = self._sandbox.catalog.listing()
        return _json(
            {
                "status": 200,
                "message": "Success",
                "data": templates,
                "pageNo": 1,
                "pageSize": 200,
                "pageTotal": 1,
                "totalRecord": len(templates),
            }
        )

    async def _media(self, request: web.Request) -> web.StreamResponse:
        return web.Response(body=_PIXEL, content_type="image/png")

    def _token_refusal(self, request: web.Request) -> web.StreamResponse | None:
        verdict = judge_authorization(request.headers.get("Authorization"), self._sandbox.wall())
        return None if verdict is TokenVerdict.GOOD else _respond(replies.token_failure(verdict))

    async def _page(self, request: web.Request) -> web.StreamResponse:
        nonce = secrets.token_urlsafe(16)
        text = render_page(self._sandbox, nonce=nonce, show_phones=request.query.get("phones") == "shown")
        policy = (
            f"default-src 'none'; style-src 'nonce-{nonce}'; script-src 'nonce-{nonce}'; connect-src 'self'; "
            "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
        )
        headers = {
            "Content-Security-Policy": policy,
            "X-Content-Type-Options": "nosniff",
            "Referrer-Policy": "no-referrer",
            "Cache-Control": "no-store",
        }
        return web.Response(text=text, content_type="text/html", headers=headers)

    async def _messages(self, request: web.Request) -> web.StreamResponse:
        since, limit = _number(request, "since", 0), _number(request, "limit", _PAGE_SIZE)
        if since is None or limit is None or limit == 0:
            return _json({"format": _FORMAT, "error": "since and limit are whole numbers"}, status=400)
        record = self._sandbox.record
        size = min(limit, _LARGEST_PAGE)
        numbers = list(islice(record.numbers(since=since, to=request.query.get("to")), size + 1))
        page = numbers[:size]
        document = {
            **self._counts(),
            "duplicated": record.duplicated(),
            "next": page[-1] if len(numbers) > size else None,
            "messages": [record.message(number) for number in page],
        }
        return _json(document)

    async def _stats(self, request: web.Request) -> web.StreamResponse:
        return _json({**self._counts(), "series": list(self._sandbox.record.series)})

    async def _reset(self, request: web.Request) -> web.StreamResponse:
        self._sandbox.reset()
        return _json(self._counts())

    async def _inbound(self, request: web.Request) -> web.StreamResponse:
        """Have a person write to the first business number."""
        document = parse_message(await request.read()) or {}
        phone, text = document.get("from"), document.get("text")
        webhooks = self._sandbox.webhooks
        if webhooks is None or not isinstance(phone, str) or not isinstance(text, str):
            hint = 'Start the sandbox with --webhook, and send {"from": "628...", "text": "STOP"}.'
            return _json({"format": _FORMAT, "error": "Nobody is told of it", "hint": hint}, status=400)
        webhooks.tell_words_of(phone, self._sandbox.settings.senders[0], text)
        return _json({"format": _FORMAT})

    async def _faults(self, request: web.Request) -> web.StreamResponse:
        return _json({"format": _FORMAT, "faults": [str(fault) for fault in self._sandbox.faults.faults]})

    async def _set_faults(self, request: web.Request) -> web.StreamResponse:
        document = parse_message(await request.read())
        texts = None if document is None else document.get("faults")
        if not isinstance(texts, list) or not all(isinstance(text, str) for text in texts):
            problem = {"error": "The body is no fault list", "hint": 'Send {"faults": ["429:10%"]}.'}
            return _json({"format": _FORMAT, **problem}, status=400)
        try:
            self._sandbox.set_faults([parse_fault(text) for text in texts])
        except RunnerError as error:
            return _json({"format": _FORMAT, "error": error.message, "hint": error.hint}, status=400)
        return await self._faults(request)

    def _counts(self) -> dict[str, Any]:
        return {"format": _FORMAT, "limit": self._sandbox.settings.limit, **self._sandbox.record.counts()}


def host_check(bound: str) -> Callable[[str], bool]:
    """Return what says whether a Host header may be served by a sandbox bound to `bound`.

    A loopback sandbox answers to loopback names alone, so that no web page reaches it by a name that it
    re-points to 127.0.0.1. One bound elsewhere cannot know its names, and answers to all.
    """
    if not _is_loopback(bound):
        return lambda _: True
    own = re.compile(rf"(?:127\.0\.0\.1|localhost|\[::1\]|{re.escape(bound)})(?::\d+)?", re.IGNORECASE)
    return lambda host: own.fullmatch(host) is not None


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host.lower() == "localhost"


def _number(request: web.Request, name: str, default: int) -> int | None:
    text = request.query.get(name, str(default))
    return int(text) if re.fullmatch(r"\d{1,12}", text, re.ASCII) else None


def _json(document: dict[str, Any], *, status: int = 200) -> web.Response:
    return web.Response(
        body=replies.to_json(document), status=status, headers={"Content-Type": replies.JSON_TYPE}
    )


def _respond(reply: Reply) -> web.Response:
    headers = {"Content-Type": reply.content_type, **dict(reply.headers)}
    return web.Response(body=reply.body, status=reply.status, headers=headers)
