"""What the sandbox tells of messages afterwards, as ADA's webhooks do (reference/ada-api.md §4.7 and §11).

Of each accepted message: sent, delivered, and of every other one read; of one with an unknown template, a
failure. Whoever writes to the business number is told of too. Times are UTC, and say no zone, as ADA's do.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from datetime import datetime, timezone
from typing import Any

import aiohttp

from runner.sandbox.ada_templates import Catalog
from runner.sandbox.replies import to_json

#: So many webhooks are on their way at once; one that is not taken is sent so often, after so many seconds.
_AT_ONCE = 16
_ATTEMPTS = 10
_AGAIN_AFTER = 0.5
_HEADERS = {"Content-Type": "application/json"}


class Webhooks:
    """The webhooks of one sandbox, on their way to `url`. Used from the sandbox's event loop."""

    def __init__(self, url: str, catalog: Catalog, wall: Callable[[], float]) -> None:
        self._url = url
        self._catalog = catalog
        self._wall = wall
        self._waiting: asyncio.Queue[dict[str, Any]] = asyncio.Queue()

    def tell_of(self, number: int, message: dict[str, Any], message_id: str) -> None:
        """Tell what becomes of an accepted message."""
        for told in self._statuses(number, message):
            data = {
                "id": message_id,
                "custNo": message["to"],
                "custName": "",
                "timestamp": self._now(),
                **told,
            }
            self._put("MessageStatus", message["from"], data)

    def tell_words_of(self, phone: str, sender: str, text: str) -> None:
        """Tell of a person's message to a business number."""
        data = {"id": f"in-{phone}", "custNo": phone, "custName": "", "type": "text", "text": text}
        self._put("Message", sender, {**data, "timestamp": self._now()})

    async def deliver(self) -> None:
        """Send what waits, for ever."""
        async with aiohttp.ClientSession(headers=_HEADERS) as session:
            await asyncio.gather(*(self._work(session) for _ in range(_AT_ONCE)))

    def _statuses(self, number: int, message: dict[str, Any]) -> Iterator[dict[str, str]]:
        name, language = message.get("templateName"), message.get("templateLang")
        if message["type"] == "template" and self._catalog.find(str(name), str(language)) is None:
            detail = f"template_name ({name}) does not exist in {language} "
            yield {"status": "coreapp return error", "detailError": detail}
            return
        yield {"status": "sent"}
        yield {"status": "delivered"}
        if number % 2 == 0:
            yield {"status": "read"}

    def _put(self, event: str, sender: str, data: dict[str, Any]) -> None:
        envelope = {"eventType": event, "platform": "WA", "accountNo": sender, "accountName": "Sandbox"}
        self._waiting.put_nowait({**envelope, "data": data})

    def _now(self) -> str:
        return datetime.fromtimestamp(self._wall(), timezone.utc).strftime("%Y-%m-%d %H:%M:%S")

    async def _work(self, session: aiohttp.ClientSession) -> None:
        while True:
            document = await self._waiting.get()
            for _ in range(_ATTEMPTS):
                if await self._is_taken(session, document):
                    break
                await asyncio.sleep(_AGAIN_AFTER)

    async def _is_taken(self, session: aiohttp.ClientSession, document: dict[str, Any]) -> bool:
        try:
            async with session.post(self._url, data=to_json(document)) as answer:
                return answer.status < 500
        except aiohttp.ClientError:
            return False


@asynccontextmanager
async def delivering(webhooks: Webhooks | None) -> AsyncIterator[None]:
    """Deliver webhooks, where there are any to deliver, for as long as the block lasts."""
    if webhooks is None:
        yield
        return
    task = asyncio.ensure_future(webhooks.deliver())
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
