"""Whose turn a sender's next slot is: shares by weight, and no slot lost; used by ledger and departing.

Stride scheduling. Each run has passed a certain way: every slot it takes moves it on by one stride, which is
1 / weight. The next slot is for whoever has passed least; a run ahead of another is told to come again. So
over time slots are shared by weight, and nobody waits for ever: whoever has passed least is never told to.

No slot is lost to somebody who does not come. From half a spacing before it is free, a slot is anybody's:
whoever is behind and alive asks a whole spacing before. A run that was not seen for a while counts no more,
and begins where the others are when it comes back: nobody saves up slots.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from runner.pacing import PaceState

#: So long after its slot, or after it last asked, a run counts; seconds.
COUNTS_FOR = 1.5
#: Who was told to come again does so within this time, and is seen; and not sooner than that; seconds.
_LONGEST_NAP = 0.5
_SHORTEST_NAP = 0.02
#: Strides are fractions: what is passed counts as equal within this.
_ROUNDING = 1e-6


@dataclass(frozen=True, slots=True, kw_only=True)
class Share:
    """What a run claims of its sender's slots: `run` is its number in the ledger, `weight` at least 1."""

    run: int
    weight: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """How far a run has passed, in strides of weight 1, and when it was seen (or will be: at its slot)."""

    run: int
    passed: float
    seen_at: float

    def counts(self, now: float) -> bool:
        """Tell whether the run still wants slots, as far as one can know."""
        return now <= self.seen_at + COUNTS_FOR

    def is_ahead_of(self, others: Sequence[float]) -> bool:
        """Tell whether any of the others has passed less."""
        return self.passed > min(others, default=self.passed) + _ROUNDING


@dataclass(frozen=True, slots=True, kw_only=True)
class Ruling:
    """What becomes of a claim: a slot at `at`, or else the time to come again; and the state after it.

    `standing` is the run's own, None where it need not be written. `gone` are runs that count no more.
    """

    at: float
    is_slot: bool
    pace: PaceState
    standing: Standing | None
    gone: tuple[int, ...]


def rule(
    share: Share, standings: Sequence[Standing], pace: PaceState, *, now: float, spacing: float
) -> Ruling:
    """Rule on a claim at `now`, for slots `spacing` seconds apart; `standings` are all of the sender's."""
    anchored = pace.anchored(now)
    # After the clock was set back, or the machine began anew, no time of before says anything.
    was_set_back = anchored.seen_at < pace.seen_at
    counting = [] if was_set_back else [each for each in standings if each.counts(now)]
    gone = tuple({each.run for each in standings} - {each.run for each in counting})
    own = next((each for each in counting if each.run == share.run), None)
    others = [each.passed for each in counting if each.run != share.run]
    anybodys_at = anchored.tat - spacing / 2
    if own is not None and now < anybodys_at and own.is_ahead_of(others):
        nap = min(_LONGEST_NAP, max(_SHORTEST_NAP, anybodys_at - now))
        # To write that it was seen costs more than to read when.
        seen = replace(own, seen_at=now) if now > own.seen_at + _LONGEST_NAP / 2 else None
        return Ruling(at=now + nap, is_slot=False, pace=pace, standing=seen, gone=gone)
    slot, taken = anchored.reserved(now, spacing)
    passed = own.passed if own is not None else min(others, default=0.0)
    standing = Standing(run=share.run, passed=passed + 1 / share.weight, seen_at=slot)
    return Ruling(at=slot, is_slot=True, pace=taken, standing=standing, gone=gone)
