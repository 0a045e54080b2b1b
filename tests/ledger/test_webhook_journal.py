"""runner.ledger.webhook_journal: webhooks that come together share a commit, and each hears how it went."""

import asyncio

import pytest

from runner.errors import LedgerError
from runner.ledger.webhook_journal import WebhookJournal
from runner.ledger.webhooks import Webhook, WebhookKind


class Thread:
    """A ledger's thread that writes when it is let to, and keeps what it was given."""

    def __init__(self):
        self.commits = []
        self.failure = None
        self.open = asyncio.Event()
        self.open.set()

    async def call(self, work):
        await self.open.wait()
        await asyncio.sleep(0)
        if self.failure:
            raise self.failure
        return work(self)


def keep(thread, webhooks, now):
    thread.commits.append((now, len(webhooks)))


def webhook():
    return Webhook(kind=WebhookKind.STATUS, phone="6281")


def run(steps):
    async def whole():
        thread, kept = Thread(), []
        return await steps(thread, WebhookJournal(thread, keep, lambda: 7.0, lambda: kept.append(1)), kept)

    return asyncio.run(whole())


def test_those_that_come_while_one_commit_waits_share_the_next():
    async def steps(thread, journal, kept):
        thread.open.clear()
        first = asyncio.ensure_future(journal.add(webhook()))
        await asyncio.sleep(0.01)
        others = [asyncio.ensure_future(journal.add(webhook())) for _ in range(20)]
        await asyncio.sleep(0.01)
        assert not first.done()
        thread.open.set()
        await asyncio.gather(first, *others)
        return thread.commits, len(kept)

    assert run(steps) == ([(7.0, 1), (7.0, 20)], 2)


def test_a_commit_takes_five_hundred_at_most():
    async def steps(thread, journal, _):
        await asyncio.gather(*(journal.add(webhook()) for _ in range(1_200)))
        return [count for _, count in thread.commits]

    assert run(steps) == [500, 500, 200]


def test_a_failure_is_told_to_all_that_waited_and_the_next_one_is_tried():
    async def steps(thread, journal, kept):
        thread.failure = LedgerError("the disk is full")
        told = await asyncio.gather(*(journal.add(webhook()) for _ in range(3)), return_exceptions=True)
        assert kept == []
        thread.failure = None
        await journal.add(webhook())
        return [str(each) for each in told], thread.commits

    assert run(steps) == (["the disk is full"] * 3, [(7.0, 1)])


def test_one_that_goes_away_leaves_the_others_their_answer():
    async def steps(thread, journal, _):
        thread.open.clear()
        waiting = [asyncio.ensure_future(journal.add(webhook())) for _ in range(3)]
        await asyncio.sleep(0.01)
        waiting[0].cancel()
        thread.open.set()
        await asyncio.gather(*waiting[1:])
        with pytest.raises(asyncio.CancelledError):
            await waiting[0]
        return thread.commits

    assert run(steps) == [(7.0, 3)]
