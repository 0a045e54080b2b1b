"""What the faults of both sandboxes share: how their names and occasions are written."""

from __future__ import annotations

import difflib
import random
import re
from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum
from typing import TypeVar

from runner.errors import UsageError

_NUMBERS = re.compile(r"#(\d+)(?:(-)(\d*))?")
_EVERY = re.compile(r"every=(\d+)")
_PERCENT = re.compile(r"(\d+(?:\.\d+)?)%")

Kind = TypeVar("Kind", bound=Enum)


@dataclass(frozen=True, slots=True, kw_only=True)
class Occasions:
    """At which occasions, numbered from 1, a fault strikes.

    At those from `first` to `last` (both included; None: without end), or at every `every`-th, or else with
    `probability`.
    """

    probability: float = 1.0
    first: int | None = None
    last: int | None = None
    every: int | None = None

    def include(self, number: int, chance: random.Random) -> bool:
        """Tell whether occasion `number` is one of them; `chance` decides where it is a matter of chance."""
        if self.first is not None:
            return number >= self.first and (self.last is None or number <= self.last)
        if self.every is not None:
            return number % self.every == 0
        return chance.random() < self.probability


ALWAYS = Occasions()


def parse_occasions(text: str) -> Occasions | None:
    """Read `10%`, `#12`, `#10-20`, `#100-` or `every=7`; None where it is none of them."""
    if match := _PERCENT.fullmatch(text):
        share = float(match.group(1)) / 100
        return Occasions(probability=share) if share <= 1 else None
    if match := _NUMBERS.fullmatch(text):
        first = int(match.group(1))
        endless = match.group(2) and not match.group(3)
        return Occasions(first=first, last=None if endless else int(match.group(3) or first))
    if (match := _EVERY.fullmatch(text)) and int(match.group(1)):
        return Occasions(every=int(match.group(1)))
    return None


def find_kind(kinds: type[Kind], name: str, text: str) -> Kind:
    """Return the one of `kinds` with this name; UsageError about the fault `text` where none has."""
    if name in (names := [kind.value for kind in kinds]):
        return kinds(name)
    raise UsageError(
        f"There is no fault {name!r} (in {text!r})",
        hint=f"{did_you_mean(name, names)}The faults: {', '.join(names)}.",
    )


def did_you_mean(name: str, names: Iterable[str]) -> str:
    """Ask which of `names` was meant, with a space behind the question; empty where none is near."""
    near = difflib.get_close_matches(name, names, n=1)
    return f"Did you mean {near[0]}? " if near else ""
