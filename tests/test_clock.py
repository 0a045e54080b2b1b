"""runner.clock: the wall clock's time, without its jumps."""

import asyncio
import time

import pytest

from runner.clock import SteadyClock, steady_seconds


def test_it_starts_as_the_wall_clock_stands():
    assert SteadyClock().now() == pytest.approx(time.time(), abs=0.5)


@pytest.mark.parametrize("jump", [-3600, 3600])
def test_a_jump_of_the_wall_clock_does_not_move_it(monkeypatch, jump):
    clock, real = SteadyClock(), time.time
    before = clock.now()
    monkeypatch.setattr(time, "time", lambda: real() + jump)
    assert clock.now() == pytest.approx(before, abs=1.0)


def test_it_goes_on_as_seconds_pass():
    clock = SteadyClock()
    before, steady = clock.now(), steady_seconds()
    asyncio.run(clock.sleep(0.01))
    assert clock.now() - before == pytest.approx(steady_seconds() - steady, abs=0.005)
    assert clock.now() - before >= 0.01


def test_a_system_without_such_a_clock_uses_pythons_own(monkeypatch):
    monkeypatch.setattr("runner.clock._STEADY", None)
    assert steady_seconds() == pytest.approx(time.monotonic(), abs=0.5)
