"""What goes wrong in a simulated world: drawn from its seed, and nothing else."""

from __future__ import annotations

import random
from dataclasses import dataclass, field

from tests.simulation.door import Storm
from tests.test_recipients import row

START = 1_800_000_000.0
RATE = 5.0


@dataclass(kw_only=True)
class Mishaps:
    """What goes wrong, and when. Times are seconds after the world's start, kills and freezes are steps."""

    kills: list[int] = field(default_factory=list)
    freezes: dict[int, float] = field(default_factory=dict)
    rival_after: float | None = None
    full_disk: tuple[float, float] = (-1.0, -1.0)
    jump: tuple[float, float] = (0.0, 0.0)
    stops: list[float] = field(default_factory=list)
    opt_out: tuple[float, frozenset[str]] = (0.0, frozenset())
    storms: list[Storm] = field(default_factory=list)
    #: When a person stops the campaign (all of them: None), and for how long.
    stopped: tuple[float, float, str | None] | None = None


def drawn(chance: random.Random, people: int) -> Mishaps:
    """Draw what goes wrong in a world of `people` deliveries; in three worlds of ten nobody is killed."""
    steps, seconds = 40 + people * 9, 2 + people / RATE
    mishaps = Mishaps(storms=_storms(chance, seconds))
    kills = chance.choices([0, 1, 2, 4], [30, 30, 25, 15])[0]
    mishaps.kills = [chance.randrange(1, steps) for _ in range(kills)]
    if chance.random() < 0.2:
        mishaps.freezes = {chance.randrange(1, steps): chance.choice([0.5, 5.0, 30.0, 300.0])}
    if chance.random() < 0.3:
        mishaps.rival_after = chance.uniform(0, seconds)
    if chance.random() < 0.15:
        full = chance.uniform(0, seconds)
        mishaps.full_disk = (full, full + chance.uniform(0.1, 5))
    if chance.random() < 0.15:
        mishaps.jump = (chance.uniform(0, seconds), chance.choice([-3600.0, -30.0, -2.0, 2.0, 30.0, 3600.0]))
    if chance.random() < 0.2:
        mishaps.stops = [chance.uniform(0, seconds)]
    if chance.random() < 0.25:
        phones = (row(number)["phone"] for number in range(people))
        mishaps.opt_out = (
            chance.uniform(0, seconds),
            frozenset(phone for phone in phones if chance.random() < 0.2),
        )
    return mishaps


def with_outage(chance: random.Random, mishaps: Mishaps, people: int) -> Mishaps:
    """Add an outage: a time in which the provider answers nothing that says what became of a message."""
    start = START + chance.uniform(0, people / RATE / 2)
    answer = chance.choice(["html 500", "reset", "silence"])
    mishaps.storms = [Storm(start=start, end=start + chance.uniform(5, 400), answer=answer)]
    return mishaps


def with_stop(chance: random.Random, mishaps: Mishaps, people: int) -> Mishaps:
    """Add a person who stops the campaign at any moment, and lifts the stop later."""
    at = chance.uniform(0, 2 + people / RATE)
    mishaps.stopped = (at, chance.uniform(0.5, 200), chance.choice(["promo", None]))
    return mishaps


def _storms(chance: random.Random, seconds: float) -> list[Storm]:
    storms = []
    for _ in range(chance.choices([0, 1, 2], [70, 20, 10])[0]):
        start = START + chance.uniform(0, seconds)
        answer = chance.choice(["429", "429 wait", "503", "401"])
        storms.append(Storm(start=start, end=start + chance.uniform(1, 40), answer=answer))
    return storms
