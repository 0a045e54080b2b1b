"""How the parts of the Treasure Data sandbox offer their paths to its server."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from aiohttp import web

from runner.sandbox.td_answers import Answer

Handler = Callable[[web.Request], Awaitable[Answer]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """One path. `call` is the name that a fault knows it by (td_faults.CALLS)."""

    method: str
    path: str
    call: str
    handler: Handler


async def fields(request: web.Request) -> dict[str, str]:
    """Return the fields of a POST: multipart as td-client sends it, a form, or JSON as the docs show."""
    if request.content_type == "application/json":
        try:
            value = await request.json()
        except ValueError:
            return {}
        return {str(key): str(item) for key, item in value.items()} if isinstance(value, dict) else {}
    posted: dict[str, Any] = dict(await request.post())
    return {key: value for key, value in posted.items() if isinstance(value, str)}


def whole_number(text: str, default: int) -> int:
    """Read a number that a client sent; `default` where it is none."""
    digits = text.strip()
    return int(digits) if digits.lstrip("-").isdecimal() and len(digits) < 13 else default
