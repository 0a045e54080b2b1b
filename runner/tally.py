"""The accounts of a plan while it is sent: what they say of a run's end, and the guards on them."""

from __future__ import annotations

from dataclasses import dataclass

from runner.campaign import Limit
from runner.errors import ExitCode
from runner.halting import Stop, StopCause

#: A share of failures says something only once this many outcomes are known (DESIGN §3, `max_failed`).
ENOUGH_OUTCOMES = 100


@dataclass(slots=True, kw_only=True)
class Tally:
    """The accounts of a plan so far, however often it was resumed: to_send = their sum + remaining.

    `barred` are those among the refused whom a gate of ours kept from being sent to; `failed_later` those
    among the accepted of which a receipt says that they failed.
    """

    to_send: int
    accepted: int = 0
    refused: int = 0
    unknown: int = 0
    barred: int = 0
    failed_later: int = 0

    @property
    def known(self) -> int:
        """Return how many deliveries have their account."""
        return self.accepted + self.refused + self.unknown

    @property
    def remaining(self) -> int:
        """Return how many deliveries have no account yet; they may be sent by a later apply."""
        return self.to_send - self.known


def exit_code_of(tally: Tally, stop: Stop | None) -> ExitCode:
    """Return the exit code of a run that ended with `tally` (DESIGN §4, exit codes)."""
    if tally.remaining:
        interrupted = stop is not None and stop.cause is StopCause.INTERRUPTED
        return ExitCode.INTERRUPTED if interrupted else ExitCode.STOPPED
    return ExitCode.UNSETTLED if tally.refused or tally.unknown else ExitCode.DONE


def failures_exceeded(tally: Tally, limit: Limit | None) -> str | None:
    """Return what is wrong when more of a plan was refused, or failed later, than `limit` allows."""
    refused, known = tally.refused - tally.barred, tally.known - tally.barred
    failed = refused + tally.failed_later
    if not _is_exceeded(limit, failed, known):
        return None
    if not tally.failed_later:
        return f"guards.max_failed is {limit}: {refused} of {known} were refused"
    parts = f"{refused} refused, {tally.failed_later} by a failed receipt"
    return f"guards.max_failed is {limit}: {failed} of {known} failed ({parts})"


def unknowns_exceeded(tally: Tally, limit: Limit | None) -> str | None:
    """Return what is wrong when of more of a plan the outcome is unknown than `limit` allows."""
    known = tally.known - tally.barred
    if not _is_exceeded(limit, tally.unknown, known):
        return None
    return f"guards.max_unknown is {limit}: {tally.unknown} of {known} are unknown"


def _is_exceeded(limit: Limit | None, part: int, known: int) -> bool:
    if limit is None or (limit.share is not None and known < ENOUGH_OUTCOMES):
        return False
    return limit.exceeded(part, known)
