"""Send deliveries: slot -> intent -> send -> outcome, each at most once and each with an account.

The engine knows deliveries, a journal, a carrier, a pace and a clock, and never who runs it. The order of the
four steps is the product's promise: the intent is durable before the first byte is written, so after a kill
an intent without an outcome is `unknown`, and an `unknown` is never sent again by itself. Only what provably
was not sent (`retry`) is tried again, here, within bounds.
"""

from __future__ import annotations

import asyncio
import random
from collections import deque
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import NamedTuple, Protocol

from runner.breaking import Breaker, BreakerSettings
from runner.campaign import Canary, Limit
from runner.delivery import FORGOTTEN, Answer, Delivery, Message, Outcome, without_person
from runner.departing import Clock, Departure, Pace
from runner.errors import LedgerError
from runner.halting import Halt, Pause, StopCause
from runner.ledger.interface import CampaignStopped
from runner.masking import mask_phone
from runner.open_hours import OpenHours
from runner.tally import Tally, failures_exceeded, unknowns_exceeded
from runner.turnstile import Turnstile

#: With so few deliveries left of a batch the next one is fetched, so that nobody has to wait for it.
_RUNNING_LOW = 200

#: What a send comes to whose person's window closed between the intent and the slot: nothing was sent.
_LATE = Answer(outcome=Outcome.RETRY, rule="window_closed")


class Journal(Protocol):
    """The durable record of intents and outcomes."""

    async def intend(self, delivery: Delivery) -> bool | str:
        """Return once the intent to send is on disk; False when the delivery has an account: do not send it.

        The rule of a cap when the person has reached it: then it is recorded as refused, not to be sent.
        CampaignStopped when a person has stopped the campaign; then nothing was recorded.
        """
        ...

    def settle(self, delivery: Delivery, answer: Answer) -> asyncio.Future[None]:
        """Begin to record what the send came to; what is returned is done once that is on disk.

        Many may share it. No intent given afterwards is on disk before it.
        """
        ...

    async def finished(self) -> None:
        """Return once nothing that was given is still on its way to the disk."""
        ...


class Carrier(Protocol):
    """Whoever carries a message. It never repeats a send, and reports an expected failure as an Answer."""

    async def send(
        self, phone: str, message: Message, tag: str, on_departure: Callable[[float], None]
    ) -> Answer:
        """Send once. `on_departure` is called with the time (epoch seconds) at which the request left."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What bounds a run.

    `attempts` per delivery in this run; backoff in seconds, doubling, `first_backoff` to `longest_backoff`;
    `breaker` says when a sender that answers nothing but errors pauses, and gives up. From `deadline` on
    (epoch seconds) nobody gets the message any more.
    """

    max_in_flight: int = 256
    max_failed: Limit | None = None
    max_unknown: Limit | None = None
    canary: Canary | None = None
    attempts: int = 8
    first_backoff: float = 1.0
    longest_backoff: float = 30.0
    breaker: BreakerSettings = field(default_factory=BreakerSettings)
    deadline: float | None = None


class Event(NamedTuple):
    """One send and its outcome, as the run log and the progress see it."""

    at: float
    delivery: Delivery
    attempt: int
    answer: Answer


@dataclass(frozen=True, slots=True, kw_only=True)
class Equipment:
    """What a run works with; all of it passed in.

    `gate` names the rule by which a delivery may no longer be sent (a fresh opt-out), or None. `hours` puts
    off whoever's window is closed; None where there is no window.
    """

    journal: Journal
    carrier: Carrier
    pace: Pace
    clock: Clock
    halt: Halt
    limits: Limits
    on_event: Callable[[Event], None]
    on_pause: Callable[[Pause], None] = lambda _: None
    gate: Callable[[Delivery], str | None] = lambda _: None
    hours: OpenHours | None = None
    jitter: random.Random = field(default_factory=random.Random)


async def send_all(batches: AsyncIterator[Sequence[Delivery]], tally: Tally, equipment: Equipment) -> None:
    """Send all `batches`, keeping `tally`; return when all have had their turn or the halt was pulled.

    Errors: LedgerError when an intent or outcome cannot be recorded; what is in flight is still awaited.
    """
    run = _Run(batches, tally, equipment)
    workers = [run.work() for _ in range(equipment.limits.max_in_flight)]
    results = await asyncio.gather(*workers, return_exceptions=True)
    for result in (*results, *await run.errors_of_recording()):
        if isinstance(result, BaseException):
            raise result


_Sent = tuple[Delivery, int, Answer]
"""What was sent, at which attempt, and what that came to."""


class _Run:
    """One run's moving parts: the source of deliveries, the tally, and the turnstile."""

    def __init__(
        self, batches: AsyncIterator[Sequence[Delivery]], tally: Tally, equipment: Equipment
    ) -> None:
        self._batches = batches
        self._fetching = asyncio.Lock()
        self._fetched: deque[Delivery] = deque()
        self._is_last = False
        self._tally = tally
        self._with = equipment
        self._recording: dict[asyncio.Future[None], list[_Sent]] = {}
        self._errors: list[BaseException] = []
        self._turnstile = Turnstile(
            breaker=Breaker(settings=equipment.limits.breaker),
            pace=equipment.pace,
            clock=equipment.clock,
            halt=equipment.halt,
            on_pause=equipment.on_pause,
        )

    async def work(self) -> None:
        """Carry deliveries one after another until there are none, or the halt is pulled."""
        try:
            while not self._with.halt.is_pulled:
                if self._has_to_fetch() and not await self._fetch():
                    return
                await self._carry(self._fetched.popleft())
        except BaseException:
            self._with.halt.pull(StopCause.ERROR, "an error stopped the run")
            raise

    async def errors_of_recording(self) -> list[BaseException]:
        """Wait until every outcome is on disk, or cannot be; return what went wrong."""
        while self._recording:
            await asyncio.wait(self._recording)
        return self._errors

    def _has_to_fetch(self) -> bool:
        """Tell whether to fetch the next batch now: one worker does, before the last of this one has gone."""
        return not self._fetched or (self._is_running_low() and not self._fetching.locked())

    def _is_running_low(self) -> bool:
        return len(self._fetched) <= _RUNNING_LOW and not self._is_last

    async def _fetch(self) -> bool:
        """Fetch the next batch, unless another worker has; False when there is nobody left."""
        async with self._fetching:
            while self._is_running_low():
                batch = await anext(self._batches, None)
                self._is_last = batch is None
                self._fetched.extend(batch or ())
        return bool(self._fetched)

    async def _carry(self, delivery: Delivery) -> None:
        barred = self._with.gate(delivery)
        if barred is not None:
            await self._refuse(delivery, barred)
            return
        for attempt in range(1, self._with.limits.attempts + 1):
            if self._is_late(delivery):
                return
            answer = await self._send_once(delivery, attempt)
            if answer is None or answer.outcome is not Outcome.RETRY or answer.stops:
                return
            await self._back_off(attempt, answer)

    async def _refuse(self, delivery: Delivery, rule: str) -> None:
        """Close the account of someone who may no longer be messaged; nothing is sent.

        That of a forgotten person is closed without writing the person down again.
        """
        answer = Answer(outcome=Outcome.REFUSED, rule=rule)
        if rule == FORGOTTEN:
            delivery = without_person(delivery, self._with.jitter.getrandbits(52))
        recorded = await self._intend(delivery)
        if recorded is True:
            await self._with.journal.settle(delivery, answer)
            self._bar(delivery, answer)
        elif recorded:
            self._bar(delivery, replace(answer, rule=recorded))

    def _bar(self, delivery: Delivery, answer: Answer) -> None:
        self._tally.barred += 1
        self._account(delivery, 0, answer)

    async def _send_once(self, delivery: Delivery, attempt: int) -> Answer | None:
        """Slot, intent, send, outcome. None when nothing was sent: the run stopped, or a gate closed."""
        is_late = None if self._with.hours is None else partial(self._is_late, delivery)
        turn = await self._turnstile.pass_through(is_late)
        if turn is None:
            return None
        # Asked again: a turn may be minutes away, and nothing may stand between the answer and the intent.
        barred = self._with.gate(delivery)
        if barred is not None:
            self._turnstile.give_back(turn)
            await self._refuse(delivery, barred)
            return None
        if self._is_late(delivery):
            self._turnstile.give_back(turn)
            return None
        recorded = await self._intend(delivery)
        if recorded is not True:
            if recorded:
                self._turnstile.give_back(turn)
                self._bar(delivery, Answer(outcome=Outcome.REFUSED, rule=recorded))
            return None
        try:
            kept = await self._kept_at_the_door(delivery, turn.departure)
            if kept is not None:
                self._turnstile.give_back(turn)
                await self._keep(delivery, attempt, kept)
                return None
            answer = await self._leave(delivery, turn.departure)
        finally:
            turn.departure.give_up()
        recording = self._record(delivery, attempt, answer)
        # What may stop the run is accounted for before anybody else leaves here. What was accepted is not
        # waited for: the next intent is on disk no sooner, so that a kill still leaves one unknown at most.
        if answer.outcome is not Outcome.ACCEPTED:
            await asyncio.wait([recording])
        self._turnstile.hear(turn, answer)
        return answer

    async def _kept_at_the_door(self, delivery: Delivery, departure: Departure) -> Answer | None:
        """Wait for the slot; return why the delivery may not leave after all, None when it may.

        Asked at the very moment: the slot may have been lost to another, the clock set, the process frozen.
        """
        await self._with.pace.wait_to_leave(departure)
        barred = self._with.gate(delivery)
        if barred is not None:
            return Answer(outcome=Outcome.REFUSED, rule=barred)
        return _LATE if self._is_late(delivery) else None

    async def _keep(self, delivery: Delivery, attempt: int, answer: Answer) -> None:
        """Record that nothing was sent of a delivery whose intent is on disk."""
        await self._with.journal.settle(delivery, answer)
        if answer is _LATE:
            self._account(delivery, attempt, answer)
        else:
            self._bar(delivery, answer)

    def _record(self, delivery: Delivery, attempt: int, answer: Answer) -> asyncio.Future[None]:
        """Have the outcome recorded, and account for it when it is; return what is done then."""
        recording = self._with.journal.settle(delivery, answer)
        together = self._recording.get(recording)
        if together is None:
            self._recording[recording] = together = []
            recording.add_done_callback(self._recorded)
        together.append((delivery, attempt, answer))
        return recording

    def _recorded(self, recording: asyncio.Future[None]) -> None:
        together = self._recording.pop(recording)
        try:
            recording.result()
            for delivery, attempt, answer in together:
                self._account(delivery, attempt, answer)
        except BaseException as error:  # noqa: BLE001 - send_all raises it: nobody else would hear of it
            self._errors.append(error)
            self._with.halt.pull(StopCause.ERROR, "an error stopped the run")

    def _is_late(self, delivery: Delivery) -> bool:
        """Tell whether the window of this person is closed now; then the delivery is put off."""
        return self._with.hours is not None and self._with.hours.turns_away(delivery)

    async def _intend(self, delivery: Delivery) -> bool | str:
        """Record the intent; False when a person has stopped the campaign, and with it this run.

        The rule of a cap that the person has reached: then it is recorded as refused by it.
        """
        try:
            recorded = await self._with.journal.intend(delivery)
        except CampaignStopped as stopped:
            self._with.halt.pull(StopCause.STOPPED, stopped.detail)
            return False
        if not recorded:
            raise LedgerError(
                f"{mask_phone(delivery.key.phone)} has an account under another plan: nothing was sent to it",
                hint="make the plan again: the ledger moved while this one was applied",
            )
        return recorded

    async def _leave(self, delivery: Delivery, departure: Departure) -> Answer:
        note = partial(self._with.pace.left, departure)
        key = delivery.key
        return await self._with.carrier.send(key.phone, delivery.message, str(key), note)

    def _account(self, delivery: Delivery, attempt: int, answer: Answer) -> None:
        now = self._with.clock.now()
        match answer.outcome:
            case Outcome.ACCEPTED:
                self._tally.accepted += 1
            case Outcome.REFUSED:
                self._tally.refused += 1
            case Outcome.UNKNOWN:
                self._tally.unknown += 1
            case Outcome.RETRY:
                pass
        self._with.on_event(Event(at=now, delivery=delivery, attempt=attempt, answer=answer))
        self._judge(answer)

    def _judge(self, answer: Answer) -> None:
        """Pull the halt when the provider or a guard says that going on is wrong."""
        if answer.stops:
            self._with.halt.pull(StopCause.PROVIDER, answer.detail or answer.rule)
        limits, tally = self._with.limits, self._tally
        exceeded = failures_exceeded(tally, limits.max_failed) or unknowns_exceeded(tally, limits.max_unknown)
        if exceeded:
            self._with.halt.pull(StopCause.GUARD, exceeded)

    async def _back_off(self, attempt: int, answer: Answer) -> None:
        limits = self._with.limits
        if answer.retry_after is not None:
            await self._with.pace.back_off(min(answer.retry_after, limits.longest_backoff))
        wait = min(limits.longest_backoff, limits.first_backoff * 2 ** (attempt - 1))
        await self._with.halt.or_until(self._with.clock.sleep(wait * self._with.jitter.uniform(0.5, 1.0)))
