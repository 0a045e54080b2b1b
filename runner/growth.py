"""The guard `max_growth`: how much an occurrence may grow against the one before. Pure."""

from __future__ import annotations

from runner.campaign import Limit
from runner.plan import GuardCheck


def check_growth(limit: Limit, size: int, previous: tuple[str, int] | None) -> GuardCheck:
    """Compare an occurrence of `size` deliveries with the previous one, its name and its deliveries.

    Without a previous one there is nothing to judge, and the plan says so.
    """
    if previous is None:
        return _check(limit, "no earlier occurrence was sent: not judged", exceeded=False)
    occurrence, before = previous
    growth = f"{(size - before) / before:+.1%}" if before else "from nobody"
    found = f"{size} after {before} of {occurrence} ({growth})"
    return _check(limit, found, exceeded=limit.exceeded(size - before, before) or (size > 0 and not before))


def _check(limit: Limit, found: str, *, exceeded: bool) -> GuardCheck:
    return GuardCheck(name="max_growth", limit=str(limit), found=found, exceeded=exceeded)
