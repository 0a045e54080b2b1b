"""The provider of a simulated world: what arrives at its door, when, and what it answers.

Each person has a fate that the seed decides, whatever the order of arrivals: some passing answers (429, 503,
a connection that never opens), then a last one. So an interrupted world can be compared with another.
What comes back is an HTTP answer or its absence; the product's own table says what it means.
"""

from __future__ import annotations

import asyncio
import random
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import Enum
from itertools import accumulate

from runner.delivery import Answer, Message
from runner.providers.ada_outcomes import to_answer
from runner.providers.http import Failure, FailureKind, HttpAnswer, HttpResult

#: How long the client waits for an answer, in seconds.
READ_TIMEOUT = 60.0
#: For how long the provider asks everybody to wait when it says so, in seconds.
WAIT = 2
#: How much longer the network may hold one message than another; the pace promises to carry 13 ms.
NETWORK = 0.012


class End(Enum):
    """How a person's last message ends: whether the provider takes it, and what the client sees."""

    ACCEPTED = (True, "id")
    REFUSED = (False, "400")
    ERROR_INSIDE = (False, "error in 200")
    BROKEN_BEFORE = (False, "reset")
    BROKEN_AFTER = (True, "reset")
    HTML_BEFORE = (False, "html 500")
    HTML_AFTER = (True, "html 200")
    LATE = (True, "late")
    NEVER = (False, "silence")
    NO_ID = (True, "no id")

    @property
    def is_taken(self) -> bool:
        """Tell whether the provider sends the message on."""
        return self.value[0]

    @property
    def is_told(self) -> bool:
        """Tell whether the client can know what became of it."""
        return self in {End.ACCEPTED, End.REFUSED, End.ERROR_INSIDE}


_WEIGHTS = {
    End.ACCEPTED: 80,
    End.REFUSED: 6,
    End.ERROR_INSIDE: 3,
    End.BROKEN_BEFORE: 2,
    End.BROKEN_AFTER: 2,
    End.HTML_BEFORE: 2,
    End.HTML_AFTER: 1,
    End.LATE: 2,
    End.NEVER: 1,
    End.NO_ID: 1,
}
_ENDS = tuple(_WEIGHTS)
_CUMULATED_WEIGHTS = tuple(accumulate(_WEIGHTS.values()))


#: How many passing answers come first: in a world of mishaps, and on a calm day.
_PASSING_COUNTS = (0, 1, 2, 4)
_TROUBLED = (80, 12, 6, 2)
_CALM = (96, 2, 1, 1)


@dataclass(kw_only=True)
class Fate:
    """What the provider does with one person's messages: passing answers first, then the end."""

    passing: list[str]
    end: End


@dataclass(kw_only=True)
class Storm:
    """A time in which the provider takes nothing from anybody: 429, 503 or a key that it does not know.

    In an outage it does not say so either: an error page, a reset, or nothing at all.
    """

    start: float
    end: float
    answer: str

    @property
    def is_outage(self) -> bool:
        """Tell whether nobody can know what became of a message."""
        return self.answer in {"html 500", "reset", "silence"}


@dataclass(kw_only=True)
class Arrival:
    """One request at the provider's door, by which process; `lost` to an outage."""

    at: float
    tag: str
    taken: bool
    by: int
    lost: bool


@dataclass
class Door:
    """The provider. `now` is the world's true time; `latency` is in seconds; `calm` tells of its day."""

    seed: int
    now: Callable[[], float]
    latency: float = 0.3
    storms: list[Storm] = field(default_factory=list)
    calm: bool = False
    arrivals: list[Arrival] = field(default_factory=list)
    #: How often the provider asked everybody to wait WAIT seconds.
    waits: int = 0
    _fates: dict[str, Fate] = field(default_factory=dict)
    _chance: dict[str, random.Random] = field(default_factory=dict)

    def fate(self, tag: str) -> Fate:
        """Return what the provider does with this delivery; the seed and the delivery alone decide."""
        if tag not in self._fates:
            chance = self._chance[tag] = random.Random(f"{self.seed}/{tag}")
            count = chance.choices(_PASSING_COUNTS, _CALM if self.calm else _TROUBLED)[0]
            passing = chance.choices(["429", "429 wait", "503", "never left"], k=count)
            end = chance.choices(_ENDS, cum_weights=_CUMULATED_WEIGHTS)[0]
            self._fates[tag] = Fate(passing=passing, end=end)
        return self._fates[tag]

    def taken(self) -> dict[str, int]:
        """Return how often each delivery was taken."""
        counts: dict[str, int] = defaultdict(int)
        for arrival in self.arrivals:
            counts[arrival.tag] += arrival.taken
        return counts

    async def receive(self, tag: str, by: int) -> HttpResult:
        """Take one request, or not; return what its sender sees. Nothing that the sender does stops it."""
        fate = self.fate(tag)
        chance = self._chance[tag]
        await asyncio.sleep(chance.uniform(0, NETWORK))
        storm = next((each for each in self.storms if each.start <= self.now() < each.end), None)
        passing = storm.answer if storm else fate.passing.pop(0) if fate.passing else None
        taken = passing is None and fate.end.is_taken
        self.waits += passing == "429 wait"
        lost = storm is not None and storm.is_outage
        self.arrivals.append(Arrival(at=self.now(), tag=tag, taken=taken, by=by, lost=lost))
        await asyncio.sleep(self.latency * chance.uniform(0.3, 2.0))
        if passing == "silence":
            await asyncio.sleep(READ_TIMEOUT * 5)
        return _PASSING[passing] if passing else await self._last_answer(fate.end, tag)

    async def _last_answer(self, end: End, tag: str) -> HttpResult:
        seen = end.value[1]
        if seen == "late":
            await asyncio.sleep(READ_TIMEOUT + 30)
        if seen == "silence":
            await asyncio.sleep(READ_TIMEOUT * 5)
        if seen == "id":
            return HttpAnswer(status=200, document={"status": 200, "data": [f"id of {tag}"]})
        return _LAST.get(seen, _RESET)


_RESET = Failure(kind=FailureKind.CLOSED, written=True)
_PASSING: dict[str, HttpResult] = {
    "429": HttpAnswer(status=429),
    "429 wait": HttpAnswer(status=429, retry_after=str(WAIT)),
    "503": HttpAnswer(status=503, document={"message": "busy"}),
    "401": HttpAnswer(status=401, document={"errorCode": "10203"}),
    "html 500": HttpAnswer(status=500),
    "reset": _RESET,
    "silence": _RESET,
}
_LAST: dict[str, HttpResult] = {
    "400": HttpAnswer(status=400, document={"errorCode": "1", "message": "no"}),
    "error in 200": HttpAnswer(status=200, document={"status": 400, "errorCode": "7"}),
    "html 500": HttpAnswer(status=500),
    "html 200": HttpAnswer(status=200),
    "no id": HttpAnswer(status=200, document={"status": 200, "data": []}),
}


class Line:
    """One process's line to the provider: it carries a message as the product's provider does.

    `step` is called wherever the process may die.
    """

    def __init__(self, door: Door, step: Callable[[], object], now: Callable[[], float], *, by: int) -> None:
        self._by = by
        self._door = door
        self._step = step
        self._now = now

    async def send(
        self, phone: str, message: Message, tag: str, on_departure: Callable[[float], None]
    ) -> Answer:
        """Send once; what goes wrong is an Answer."""
        await self._pass()
        if self._never_opens(tag):
            failure = Failure(kind=FailureKind.CONNECT, written=False)
            return to_answer(failure, departed_at=None, now=self._now())
        departed_at = self._now()
        on_departure(departed_at)
        exchange = asyncio.ensure_future(self._door.receive(tag, self._by))
        await self._pass()
        done, _ = await asyncio.wait({exchange}, timeout=READ_TIMEOUT)
        result: HttpResult = Failure(kind=FailureKind.TIMEOUT, written=True)
        if done:
            result = exchange.result()
        await self._pass()
        return to_answer(result, departed_at=departed_at, now=self._now())

    async def _pass(self) -> None:
        waiting = self._step()
        if waiting is not None:
            await waiting  # type: ignore[misc]

    def _never_opens(self, tag: str) -> bool:
        passing = self._door.fate(tag).passing
        if passing and passing[0] == "never left":
            passing.pop(0)
            return True
        return False
