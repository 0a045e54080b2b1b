"""The circuit breaker of a sender that answers nothing but errors: when it pauses, tries, goes on, gives up.

A state and its transitions, pure: times are steady seconds, passed in. So many errors in a row open it, and
nothing leaves. After a pause one delivery goes, the probe. If the provider takes it, or refuses that person,
the sender goes on; else the next pause is twice as long. After so many probes in vain it gives up. An outage
so costs a handful of deliveries whose outcome is unknown, not the whole list.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from runner.delivery import Answer, Outcome


@dataclass(frozen=True, slots=True, kw_only=True)
class BreakerSettings:
    """`trip_after` errors in a row open it; pauses in seconds, doubling from first to longest.

    After `probes` probes in vain the run stops: with these pauses about 22 minutes after the first.
    """

    trip_after: int = 8
    first_pause: float = 15.0
    longest_pause: float = 300.0
    probes: int = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class Breaker:
    """Where the breaker stands.

    `paused_until` is None while the sender goes on; `is_probing` from a probe's departure to its answer.
    `failed_probes` are those of this opening.
    """

    settings: BreakerSettings = field(default_factory=BreakerSettings)
    errors_in_a_row: int = 0
    paused_until: float | None = None
    is_probing: bool = False
    failed_probes: int = 0

    @property
    def is_open(self) -> bool:
        """Tell whether only a probe may leave."""
        return self.paused_until is not None

    @property
    def gives_up(self) -> bool:
        """Tell whether so many probes were in vain that the run is to stop."""
        return self.failed_probes >= self.settings.probes

    def wait(self, now: float) -> float | None:
        """Return for how long nothing may leave, 0 for at once, None until the probe's answer."""
        if self.paused_until is None:
            return 0.0
        return None if self.is_probing else max(0.0, self.paused_until - now)

    def left(self) -> Breaker:
        """Return what it is after a delivery left that was let go; while open that was the probe."""
        return replace(self, is_probing=True) if self.is_open else self

    def stayed(self) -> Breaker:
        """Return what it is after the probe did not leave after all: another may."""
        return replace(self, is_probing=False)

    def heard(self, answer: Answer, now: float, *, is_probe: bool) -> Breaker:
        """Return what it is after an answer.

        While open only the probe's answer counts: the others are of deliveries that left before.
        """
        if self.is_open and not is_probe:
            return self
        if not is_error(answer):
            return Breaker(settings=self.settings) if self.errors_in_a_row else self
        if is_probe:
            return self._paused(now, self.errors_in_a_row, self.failed_probes + 1)
        row = self.errors_in_a_row + 1
        if row < self.settings.trip_after:
            return replace(self, errors_in_a_row=row)
        return self._paused(now, row, 0)

    def _paused(self, now: float, row: int, failed_probes: int) -> Breaker:
        pause = min(self.settings.longest_pause, self.settings.first_pause * 2**failed_probes)
        return Breaker(
            settings=self.settings,
            errors_in_a_row=row,
            paused_until=now + pause,
            failed_probes=failed_probes,
        )


def is_error(answer: Answer) -> bool:
    """Tell whether an answer says that the sender or its provider is in trouble, and not one person's number.

    A plain refusal (a 4xx) is a provider at work.
    """
    if answer.outcome is Outcome.REFUSED:
        return answer.http_status is not None and answer.http_status >= 500
    return answer.outcome in {Outcome.UNKNOWN, Outcome.RETRY}
