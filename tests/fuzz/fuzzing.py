"""Many inputs for one target, in rounds, memory watched: most by plain edits, some by hypothesis.

Plain edits of sound files cost next to nothing beside the reading. Hypothesis costs ten times as much; it
thinks of what edits do not, and makes what it finds small.
"""

from __future__ import annotations

import base64
import random
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import hypothesis
from hypothesis import HealthCheck, Phase, given, settings

from tests.fuzz.inputs import edited
from tests.fuzz.judging import LONGEST, judge, peak_megabytes
from tests.fuzz.targets import Target

#: Inputs of a round: what hypothesis remembers of its own is forgotten after it.
_ROUND = 2_000
#: One of so many is hypothesis's, where plain edits make sense.
_ONE_IN = 20
_EDITS = 8
#: After its first rounds a process may not grow by more, in megabytes.
_GROWTH = 256.0
_WARM = 2


@dataclass(slots=True)
class Tally:
    """How many inputs were read, and how many of them were accepted."""

    inputs: int = 0
    accepted: int = 0
    seconds: float = 0.0


def fuzz(target: Target, *, inputs: int, seed: int, folder: Path, longest: float = LONGEST) -> Tally:
    """Read so many inputs; the first that is neither accepted nor refused comes out."""
    tally, started, warm = Tally(), time.monotonic(), 0.0

    def read(data: bytes) -> None:
        tally.inputs += 1
        tally.accepted += judge(target.reader, data, folder, longest)

    for number in range(1 + 2 * inputs // _ROUND):
        wanted = min(_ROUND, inputs - tally.inputs)
        if wanted <= 0:
            break
        chance = random.Random(f"{seed} {number}")
        by_hypothesis = -(-wanted // _ONE_IN) if target.words else wanted
        _think(target, by_hypothesis, chance.random(), read)
        for data in _plain(target, wanted - by_hypothesis, chance):
            _noted(data, read)
        warm = peak_megabytes() if number < _WARM else warm
        assert peak_megabytes() - warm < _GROWTH, "memory grows with the inputs"
    tally.seconds = time.monotonic() - started
    return tally


def _plain(target: Target, count: int, chance: random.Random) -> Iterator[bytes]:
    seeds = target.seeds()
    for _ in range(count):
        edits = [
            (chance.randrange(5), chance.randrange(1 << 16), _word(target, chance))
            for _ in range(chance.randrange(_EDITS))
        ]
        yield edited(chance.choice(seeds), edits)


def _word(target: Target, chance: random.Random) -> bytes:
    return chance.choice(target.words) if chance.random() < 0.7 else chance.randbytes(chance.randrange(8))


def _noted(data, read) -> None:
    try:
        read(data)
    except BaseException:
        print(f"--input {base64.b64encode(data).decode()}", file=sys.stderr)
        raise


def _think(target: Target, count: int, seed: float, read) -> None:
    @hypothesis.seed(seed)
    @settings(
        max_examples=count,
        database=None,
        deadline=None,
        suppress_health_check=list(HealthCheck),
        phases=(Phase.generate, Phase.shrink),
    )
    @given(target.inputs())
    def one(data: bytes) -> None:
        hypothesis.note(f"--input {base64.b64encode(data).decode()}")
        read(data)

    one()
