"""The canary of an apply: the first messages go ahead, and what became of them decides about the others.

Where it stands is read from the ledger alone, so a kill while it waits changes nothing: the next apply waits
for the same moment. Nothing beyond the canary is begun before it has passed; so once more than its size was
begun, it has.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from contextlib import aclosing
from dataclasses import dataclass
from enum import Enum

from runner.campaign import Canary
from runner.delivery import Delivery
from runner.departing import Clock
from runner.halting import Halt, Pause, PauseCause, StopCause
from runner.ledger.interface import Counts, LedgerReader

#: How often the ledger is asked for receipts, in seconds.
POLL = 5.0
#: The receipts that say what became of a message; a `sent` one may still be followed by `failed`.
_TELLING = ("failed", "delivered", "read")


class Verdict(Enum):
    """What a canary says: wait for it, go on with the others, or stop."""

    WAIT = "wait"
    GO_ON = "go on"
    STOP = "stop"


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """A canary and where it stands.

    `begun` messages are under way or have their account, those apart that a gate of ours kept back, or that
    were refused for now; `refused` of them were refused, `failed` have a failed receipt; of `awaited` ones no
    receipt says what became of them yet. `last_at` is when the last outcome was recorded (epoch seconds),
    None before the first.
    """

    canary: Canary
    begun: int
    refused: int
    failed: int
    awaited: int
    last_at: float | None

    @property
    def missing(self) -> int:
        """Return how many messages of the canary are still to be sent."""
        return max(0, self.canary.size - self.begun)

    @property
    def until(self) -> float:
        """Return when the wait is over at the latest (epoch seconds)."""
        return (self.last_at or 0.0) + self.canary.wait.total_seconds()

    @property
    def failure(self) -> str | None:
        """Return what is wrong when more of the canary failed than it allows."""
        failed = self.refused + self.failed
        if self.begun > self.canary.size or not self.canary.max_failed.exceeded(failed, self.begun):
            return None
        parts = f"{self.refused} refused, {self.failed} by a failed receipt"
        limit = f"guards.canary.max_failed is {self.canary.max_failed}"
        return f"{limit}: {failed} of {self.begun} failed ({parts})"

    def verdict(self, now: float) -> Verdict:
        """Return what the canary says at `now` (epoch seconds), after all of it has had its turn."""
        if self.begun > self.canary.size:
            return Verdict.GO_ON
        if self.failure:
            return Verdict.STOP
        return Verdict.WAIT if self.awaited and now < self.until else Verdict.GO_ON


def read_trial(canary: Canary, ledger: LedgerReader, digest: str, gate_rules: tuple[str, ...]) -> Trial:
    """Return where the canary of a plan (its digest) stands; `gate_rules` are those by which we kept back."""
    counts = ledger.counts(digest)
    barred = sum(counts.refused_by_rule.get(rule, 0) for rule in gate_rules)
    begun = _begun(counts) - barred
    told = sum(counts.receipts.get(status, 0) for status in _TELLING)
    return Trial(
        canary=canary,
        begun=begun,
        refused=counts.refused - barred,
        failed=counts.receipts.get("failed", 0),
        awaited=max(0, counts.accepted + counts.unknown - told),
        # Later on, when it would take long to tell, nobody asks any more.
        last_at=ledger.last_outcome(digest) if begun <= canary.size else None,
    )


def _begun(counts: Counts) -> int:
    return counts.accepted + counts.refused + counts.unknown + counts.in_flight


async def wait_for_canary(
    read: Callable[[], Awaitable[Trial]], clock: Clock, halt: Halt, on_pause: Callable[[Pause], None]
) -> None:
    """Return when the others may go; or pull the halt, when too many failed."""
    said = None
    while not halt.is_pulled:
        trial = await read()
        match trial.verdict(clock.now()):
            case Verdict.STOP:
                halt.pull(StopCause.GUARD, trial.failure or "")
            case Verdict.WAIT:
                if said != trial.until:
                    said = trial.until
                    on_pause(_pause(trial))
                await halt.or_until(clock.sleep(min(POLL, trial.until - clock.now())))
            case _:
                return


def _pause(trial: Trial) -> Pause:
    detail = f"canary: {trial.begun} were sent; the others wait until it is known what became of them"
    return Pause(cause=PauseCause.CANARY, until=trial.until, detail=detail)


async def first_of(
    batches: AsyncGenerator[list[Delivery], None], count: int, gate: Callable[[Delivery], str | None]
) -> list[Delivery]:
    """Return the first `count` deliveries that will be sent, and those before them that the gate bars."""
    first: list[Delivery] = []
    async with aclosing(batches):
        while count > 0 and (batch := await anext(batches, None)) is not None:
            for delivery in batch:
                if count == 0:
                    break
                first.append(delivery)
                count -= gate(delivery) is None
    return first


async def one_batch(deliveries: list[Delivery]) -> AsyncIterator[list[Delivery]]:
    """Yield some deliveries as the one batch there is."""
    yield deliveries
