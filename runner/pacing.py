"""How far apart a sender's messages leave, and why no second holds too many; used by ledger and applying.

The promise: at the provider's door no sliding second (both ends included) holds more than `rate` messages,
while 98 % of the rate is used. A message departs at its slot or later, never before; slots lie
g = (1 + m) / r apart, where r is the rate and m the margin. Of r + 1 messages, one has a slot at least
r * g = 1 + m seconds after another's. If that other one departs d seconds late, and the network may hold it
up to n longer than its follower, they arrive at least 1 + m - d - n apart. So while d + n < m, no r + 1
messages fit into a second, in whatever order they arrive. With n = NETWORK_JITTER, a message may be
d = m - n late; for all that it is later, the slots not reserved yet must move (`Margin.excess`). One that is
later than a whole spacing, as its process stood still on the way to the socket, takes a place among others,
which make room for one: they move by one spacing, however late it is.

That push is in time while the slot r places on is not reserved yet. As each process holds one slot at a time,
it is in time for up to r processes when a message is less than one spacing late. One that would leave later
than that has lost its slot, and takes another (`has_lost_its_slot`).

m follows the lateness measured, between LEAST_MARGIN (98.5 % of the rate) and MOST_MARGIN (98.1 %). A rate
that is no whole number is kept the same way: at most ceil(rate) messages in a second, and `rate` on average.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

LEAST_MARGIN = 0.015
MOST_MARGIN = 0.019

#: How much longer the network may hold one message than another before a second can hold both; seconds.
NETWORK_JITTER = 0.013

#: The widest spacing asked for holds for all processes of a sender this long: it must outlast the second that
#: the promise is about, or a hasty process would use up the margin of a jittery one; seconds.
_SHARED_SECONDS = 2.0

#: A clock that stands further back than this against the last time seen was set back; seconds. Less is a
#: process that read the clock, then waited for the ledger.
_CLOCK_SLACK = 10.0

#: After the clock was set back, nobody knows what the last second held: it has to pass.
_FRESH_START = 1.0

_LEAST_LATENESS = LEAST_MARGIN - NETWORK_JITTER
_MOST_LATENESS = MOST_MARGIN - NETWORK_JITTER
_TWO_A_SECOND = (1.0 + MOST_MARGIN) / 2
_FADING = 0.999
_HICCUP_WEIGHT = 0.125


def interval(rate: float, margin: float) -> float:
    """Return the spacing of slots in seconds, for `rate` messages a second and a margin (0.01 for 1 %)."""
    return (1.0 + margin) / rate


def next_slot(tat: float, now: float, spacing: float) -> tuple[float, float]:
    """Return the next free slot and the time from which the one after it is free (GCRA without a burst).

    `tat` is that time as it was before; all are epoch seconds, `spacing` is in seconds.
    """
    slot = max(tat, now)
    return slot, slot + spacing


@dataclass(frozen=True, slots=True, kw_only=True)
class PaceState:
    """One sender's pace, as its row in the ledger; times are epoch seconds.

    `tat` is when the next slot is free, `seen_at` the latest clock that reserved one. `widest` is the widest
    spacing (seconds) asked for of late; it holds for slots up to `widest_until`.
    """

    tat: float
    seen_at: float
    widest: float = 0.0
    widest_until: float = 0.0

    def reserved(self, now: float, spacing: float) -> tuple[float, PaceState]:
        """Return the slot reserved at `now` and the state after it; `spacing` is what the caller asks for."""
        state = self.anchored(now)
        slot, _ = next_slot(state.tat, now, spacing)
        if spacing < state.widest and slot <= state.widest_until:
            spacing, until = state.widest, state.widest_until
        else:
            until = slot + _SHARED_SECONDS
        _, tat = next_slot(state.tat, now, spacing)
        return slot, PaceState(tat=tat, seen_at=state.seen_at, widest=spacing, widest_until=until)

    def delayed(self, now: float, seconds: float) -> PaceState:
        """Return the state with every slot that is not reserved yet moved by `seconds`."""
        state = self.anchored(now)
        return replace(state, tat=max(state.tat, now) + seconds)

    def held(self, now: float, seconds: float) -> PaceState:
        """Return the state with no slot free before `now + seconds`; holding twice is holding once."""
        state = self.anchored(now)
        return replace(state, tat=max(state.tat, now + seconds))

    def anchored(self, now: float) -> PaceState:
        """Return the state as seen at `now`; after the clock was set back, what was to wait still waits."""
        if now >= self.seen_at - _CLOCK_SLACK:
            return self if now <= self.seen_at else replace(self, seen_at=now)
        wait = max(_FRESH_START, self.tat - self.seen_at)
        return PaceState(tat=now + wait, seen_at=now)


class Margin:
    """The margin of one process's spacing, following the lateness of its departures.

    It widens at once to a lateness that a margin can carry, by an eighth towards a larger one (a hiccup is
    pushed, not paid for ever after), and narrows slowly, by a thousandth a message.
    """

    __slots__ = ("_lateness",)

    def __init__(self) -> None:
        self._lateness = _LEAST_LATENESS

    @property
    def value(self) -> float:
        """Return the margin as a share: 0.01 for 1 %."""
        return self._lateness + NETWORK_JITTER

    @property
    def tolerance(self) -> float:
        """Return how late (seconds) a message may depart before the others have to be pushed."""
        return self._lateness

    def interval(self, rate: float) -> float:
        """Return the spacing of slots in seconds, for `rate` messages a second."""
        return interval(rate, self.value)

    def excess(self, lateness: float, spacing: float) -> float:
        """Return by how much the sender's pace must be pushed for one message so late; all in seconds."""
        return min(spacing, max(0.0, lateness - self.tolerance))

    def observe(self, lateness: float) -> None:
        """Learn from one departure `lateness` seconds after its slot."""
        faded = max(_LEAST_LATENESS, self._lateness * _FADING)
        if lateness > _MOST_LATENESS:
            self._lateness = faded + (_MOST_LATENESS - faded) * _HICCUP_WEIGHT
        else:
            self._lateness = max(faded, lateness)


def has_lost_its_slot(lateness: float, spacing: float) -> bool:
    """Tell whether a message about to leave `lateness` seconds after its slot must take another one.

    Within one spacing the push (`Margin.excess`) is in time; with fewer than two slots a second nothing but
    the margin is, because another process may hold the very next slot already.
    """
    return lateness > (spacing if spacing <= _TWO_A_SECOND else _LEAST_LATENESS)
