"""Which of the firings that are open run, and which were missed. Pure; whoever starts campaigns asks it.

A firing is punctual when it is found within 15 minutes of its due time. Then it runs. One that is found
later was missed. A campaign that says `run_once` makes up for all that it missed by one run: that of the
latest firing, if it is within the grace. Whatever does not run is to be recorded as missed.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

from runner.schedule import Firing, Missed, Schedule

#: How late a firing may be found and still be on time: ticks are minutes apart.
PUNCTUAL = timedelta(minutes=15)


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """The open firings that run and those that were missed, both in the order of their due times."""

    runs: tuple[Firing, ...]
    missed: tuple[Firing, ...]


def judge(schedule: Schedule, open_firings: Iterable[Firing], now: datetime) -> Verdict:
    """Judge the firings that are neither done nor recorded as missed, at `now` (UTC).

    A firing of the future is left out. One without a due time runs. Of those that are late, the latest runs
    only when none is punctual: a punctual run makes up for what was missed before it.
    """
    due = sorted(
        (firing for firing in open_firings if _age(firing, now) >= timedelta(0)),
        key=lambda firing: _age(firing, now),
        reverse=True,
    )
    punctual = tuple(firing for firing in due if _age(firing, now) <= PUNCTUAL)
    late = tuple(firing for firing in due if _age(firing, now) > PUNCTUAL)
    if punctual or not late or schedule.missed is Missed.SKIP or _age(late[-1], now) > schedule.grace:
        return Verdict(runs=punctual, missed=late)
    return Verdict(runs=late[-1:], missed=late[:-1])


def _age(firing: Firing, now: datetime) -> timedelta:
    """Return how long the firing has been due; negative for one to come."""
    return now - (firing.due_at or now)
