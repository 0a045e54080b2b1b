"""The async face of a ledger for webhooks: those that come up while one commit waits share the next one."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence

from runner.ledger.interface import Ledger
from runner.ledger.journal import LedgerThread
from runner.ledger.webhooks import Webhook

#: How many webhooks one commit takes at most: a run that sends meanwhile must not wait for long.
_AT_ONCE = 500


class _Group:
    """Webhooks that are committed together; `done` says so, or why not, to all that wait."""

    __slots__ = ("done", "webhooks")

    def __init__(self) -> None:
        self.webhooks: list[Webhook] = []
        self.done: asyncio.Future[None] = asyncio.get_running_loop().create_future()


Keep = Callable[[Ledger, Sequence[Webhook], float], None]
"""Keeps some webhooks, all or none, on the ledger's thread."""


class WebhookJournal:
    """Webhooks on their way into the ledger, by `keep`. `on_kept` is called after each commit."""

    def __init__(
        self,
        thread: LedgerThread,
        keep: Keep,
        now: Callable[[], float],
        on_kept: Callable[[], None] = lambda: None,
    ) -> None:
        self._thread = thread
        self._keep = keep
        self._now = now
        self._on_kept = on_kept
        self._gathering: list[_Group] = []
        self._committing: asyncio.Task[None] | None = None

    async def add(self, webhook: Webhook) -> None:
        """Keep one webhook; return once it is on disk. Errors: LedgerError; it may be on disk or not."""
        if not self._gathering or len(self._gathering[-1].webhooks) >= _AT_ONCE:
            self._gathering.append(_Group())
        group = self._gathering[-1]
        group.webhooks.append(webhook)
        if self._committing is None:
            self._committing = asyncio.ensure_future(self._commit_all())
        # Who asks may go away; the others of the group still wait.
        await asyncio.shield(group.done)

    async def _commit_all(self) -> None:
        while self._gathering:
            await self._commit(self._gathering.pop(0))
        self._committing = None

    async def _commit(self, group: _Group) -> None:
        now = self._now()
        try:
            await self._thread.call(lambda ledger: self._keep(ledger, group.webhooks, now))
        except Exception as error:  # noqa: BLE001 - whatever it was, each that waits has to hear of it
            group.done.set_exception(error)
        else:
            group.done.set_result(None)
            self._on_kept()
