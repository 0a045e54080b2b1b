import threading
from contextlib import asynccontextmanager

import pytest

from runner.sandbox.in_thread import in_thread


def test_what_is_opened_lives_in_its_own_thread_until_the_block_ends():
    seen = []

    @asynccontextmanager
    async def opening():
        seen.append(threading.current_thread().name)
        yield "open"
        seen.append("closed")

    with in_thread(opening, "keeper") as opened:
        assert opened == "open"
        assert seen == ["keeper"]
    assert seen == ["keeper", "closed"]


def test_what_fails_while_it_opens_is_raised_to_whoever_asked():
    @asynccontextmanager
    async def opening():
        raise LookupError("no door")
        yield

    with pytest.raises(LookupError, match="no door"), in_thread(opening, "keeper"):
        pass
