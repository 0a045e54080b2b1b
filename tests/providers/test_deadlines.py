"""runner.providers.deadlines: many sends, one timer, each ended in its own time."""

import asyncio
import sys

import pytest

from runner.providers.deadlines import Deadlines
from tests.virtual_time import run_virtually


async def sent(deadlines, seconds):
    """Wait like a send; return what ended it."""
    deadline = deadlines.begin()
    try:
        await asyncio.sleep(seconds)
    except asyncio.CancelledError:
        if not deadline.is_the_cause():
            raise
        return "deadline"
    finally:
        deadlines.end(deadline)
    return "answer"


async def begun_at(deadlines, start, seconds):
    await asyncio.sleep(start)
    began = asyncio.get_running_loop().time()
    return await sent(deadlines, seconds), asyncio.get_running_loop().time() - began


def test_each_send_is_ended_when_its_own_time_is_over():
    async def sends():
        deadlines = Deadlines(10.0)
        return await asyncio.gather(*(begun_at(deadlines, start, 60.0) for start in (0, 1, 1, 9.5, 25)))

    for ended_by, seconds in run_virtually(sends()):
        assert ended_by == "deadline"
        assert seconds == pytest.approx(10.0, abs=0.01)


def test_a_send_that_is_answered_in_time_is_not_ended():
    async def sends():
        deadlines = Deadlines(10.0)
        return await asyncio.gather(
            *(begun_at(deadlines, start, wait) for start, wait in ((0, 9.9), (5, 20), (6, 1)))
        )

    ended = run_virtually(sends())
    assert [by for by, _ in ended] == ["answer", "deadline", "answer"]
    assert ended[1][1] == pytest.approx(10.0, abs=0.01)


def test_a_send_that_somebody_else_cancels_is_cancelled():
    async def sends():
        task = asyncio.ensure_future(sent(Deadlines(10.0), 60.0))
        await asyncio.sleep(1)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        return task.cancelled()

    assert run_virtually(sends())


@pytest.mark.skipif(sys.version_info < (3, 11), reason="a task counts who cancels it from Python 3.11 on")
def test_a_send_cancelled_by_both_is_cancelled():
    async def sends():
        deadlines = Deadlines(10.0)
        task = asyncio.ensure_future(sent(deadlines, 60.0))
        await asyncio.sleep(1)
        next(iter(deadlines._running)).ring()
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        return task.cancelled()

    assert run_virtually(sends())


def test_what_is_closed_rings_no_more():
    async def sends():
        deadlines = Deadlines(10.0)
        task = asyncio.ensure_future(sent(deadlines, 60.0))
        await asyncio.sleep(1)
        deadlines.close()
        return await task

    assert run_virtually(sends()) == "answer"
