"""runner.opting_out: opt-outs reach a running apply within a second; an unreadable ledger stops it."""

import asyncio

import pytest

from runner.errors import LedgerError
from runner.opting_out import opt_outs_followed
from tests.virtual_time import VirtualClock, run_virtually


class Ledger:
    """The opt-outs of a ledger, in memory."""

    def __init__(self):
        self.rows = []
        self.failure = None

    def opted_out_after(self, number):
        if self.failure:
            raise self.failure
        return [row for row in self.rows if row[0] > number]

    async def call(self, work):
        return work(self)


def followed(steps):
    ledger = Ledger()

    async def run():
        async with opt_outs_followed(ledger, VirtualClock()) as opted_out:
            return await steps(ledger, opted_out)

    return run_virtually(run())


def test_who_opted_out_before_the_run_is_known_from_its_start():
    ledger = Ledger()
    ledger.rows = [(1, "6281")]

    async def run():
        async with opt_outs_followed(ledger, VirtualClock()) as opted_out:
            return "6281" in opted_out, "6282" in opted_out

    assert run_virtually(run()) == (True, False)


def test_who_opts_out_meanwhile_is_known_within_a_second():
    async def steps(ledger, opted_out):
        await asyncio.sleep(10.3)
        ledger.rows.append((1, "6281"))
        await asyncio.sleep(1.0)
        return "6281" in opted_out

    assert followed(steps)


def test_one_that_is_committed_late_under_a_lower_number_is_known_too():
    async def steps(ledger, opted_out):
        ledger.rows.append((4000, "6281"))
        await asyncio.sleep(1.0)
        ledger.rows.append((3, "6282"))
        await asyncio.sleep(1.0)
        return "6282" in opted_out

    assert followed(steps)


def test_when_the_ledger_cannot_be_read_nobody_is_said_to_be_free_to_message():
    async def steps(ledger, opted_out):
        ledger.failure = LedgerError("the ledger is gone")
        await asyncio.sleep(1.0)
        return "6281" in opted_out

    with pytest.raises(LedgerError, match="is gone"):
        followed(steps)
