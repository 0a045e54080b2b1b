"""Who leaves next: one delivery at a time passes the breaker's pauses and takes its slot; used by sending.

Those who wait stand in line here, and not at the pace: so a halt lets all of them go at once, and a pause
reserves no slots that nobody will use.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import NamedTuple

from runner.breaking import Breaker
from runner.delivery import Answer, Outcome
from runner.departing import Clock, Departure, Pace
from runner.halting import Halt, Pause, PauseCause, StopCause


class Turn(NamedTuple):
    """A delivery's turn to leave; the answer to a probe decides whether the sender goes on."""

    departure: Departure
    is_probe: bool


class Turnstile:
    """The turnstile of one run."""

    def __init__(
        self,
        *,
        breaker: Breaker,
        pace: Pace,
        clock: Clock,
        halt: Halt,
        on_pause: Callable[[Pause], None],
    ) -> None:
        self._breaker = breaker
        self._pace = pace
        self._clock = clock
        self._halt = halt
        self._on_pause = on_pause
        self._line = asyncio.Lock()
        self._answered = asyncio.Event()

    async def pass_through(self, is_late: Callable[[], bool] | None = None) -> Turn | None:
        """Wait for a turn; None when the run stopped before it came, or it `is_late` for who waits."""
        async with self._line:
            while not self._is_stopped() and (not self._breaker.is_open or await self._may_go()):
                if is_late is not None and is_late():
                    break
                departure = await self._pace.take_turn()
                if departure is None:
                    continue
                if self._is_stopped():
                    break
                # While it waited for its slot, others may have been answered.
                if not self._breaker.is_open:
                    return Turn(departure=departure, is_probe=False)
                if self._breaker.wait(self._clock.steady()) == 0:
                    self._breaker = self._breaker.left()
                    return Turn(departure=departure, is_probe=True)
        return None

    def give_back(self, turn: Turn) -> None:
        """Take back a turn in which nobody leaves; another delivery is the probe then."""
        turn.departure.give_up()
        if turn.is_probe:
            self._breaker = self._breaker.stayed()
            self._answered.set()

    def hear(self, turn: Turn, answer: Answer) -> None:
        """Learn from an answer: pause, go on, or stop the run."""
        if answer.outcome is Outcome.ACCEPTED and not self._breaker.errors_in_a_row:
            return
        before, now = self._breaker, self._clock.steady()
        self._breaker = after = before.heard(answer, now, is_probe=turn.is_probe)
        if turn.is_probe:
            self._answered.set()
        if after.paused_until is None or after.paused_until == before.paused_until:
            return
        if after.gives_up:
            tries = f"{after.errors_in_a_row} times in a row, then to {after.failed_probes} single tries"
            detail = f"the provider answered nothing but errors: {tries} ({answer.rule})"
            self._halt.pull(StopCause.PROVIDER, detail)
            return
        self._on_pause(
            Pause(
                cause=PauseCause.PROVIDER,
                until=self._clock.now() + after.paused_until - now,
                detail=f"the provider answers nothing but errors ({answer.rule}): paused, then one tries",
            )
        )

    def _is_stopped(self) -> bool:
        return self._halt.is_pulled

    async def _may_go(self) -> bool:
        """Wait until something may leave; False when the run stopped."""
        while not self._halt.is_pulled:
            seconds = self._breaker.wait(self._clock.steady())
            if seconds == 0:
                return True
            if seconds is None:
                self._answered.clear()
                await self._halt.or_until(self._answered.wait())
            else:
                await self._halt.or_until(self._clock.sleep(seconds))
        return False
