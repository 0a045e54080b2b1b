"""What a sandbox is told to be, as values. The CLI imports it, so it stays light."""

from __future__ import annotations

import math
import random
import re
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path

from runner.errors import UsageError
from runner.sandbox.faults import Fault
from runner.sandbox.quantities import parse_duration

_JITTER = re.compile(r"\s*(?:±|\+/?-)\s*")


class OverLimit(Enum):
    """What a message above the rate limit gets; the real answer is unknown (reference/ada-api.md §13)."""

    TOO_MANY = "429"
    BAD_REQUEST = "400"
    ACCEPT = "accept"


class UnknownSender(Enum):
    """What a message from a number that is no account gets; the real answer is unknown (§14)."""

    ACCEPT = "accept"
    REFUSE = "refuse"


class AnswerShape(Enum):
    """The shape of a success; §4.6 knows the envelope best, and none for certain."""

    ENVELOPE = "200"
    CREATED = "201"
    BARE_ARRAY = "bare-array"
    NO_ID = "no-id"


@dataclass(frozen=True, slots=True, kw_only=True)
class Latency:
    """How long an answer takes: `base` seconds, give or take up to `jitter` seconds, evenly spread."""

    base: float = 0.0
    jitter: float = 0.0

    def sample(self, chance: random.Random) -> float:
        """Return one answer's delay in seconds; `chance` gives the jitter."""
        if not self.jitter:
            return self.base
        return max(0.0, self.base + chance.uniform(-self.jitter, self.jitter))

    def __str__(self) -> str:
        """Render as `--latency` takes it."""
        base = f"{self.base * 1000:g}ms"
        return f"{base}±{self.jitter * 1000:g}ms" if self.jitter else base


@dataclass(frozen=True, slots=True, kw_only=True)
class SandboxSettings:
    """One sandbox.

    `port` 0 takes a free one. `senders` are the numbers of its accounts. `limit` is in messages a second,
    None for none. `retry_after` (seconds) goes with a 429 where given. `strict_templates` refuses an
    unknown template or a wrong count of values at once; ADA is known to accept such a message and fail it
    later (§4.7). `templates` is a JSON file with the project's templates, beside the shipped ones. `seed`
    fixes every random choice. `kept_messages` and `kept_bytes` bound how many whole messages stay in
    memory; phones and times always stay. `record_file` receives one JSON line for each arrival. `webhook` is
    the URL that is told what becomes of messages.
    """

    host: str = "127.0.0.1"
    port: int = 0
    senders: tuple[str, ...] = ("60110000001",)
    limit: float | None = 5.0
    over_limit: OverLimit = OverLimit.TOO_MANY
    retry_after: int | None = None
    latency: Latency = field(default_factory=Latency)
    faults: tuple[Fault, ...] = ()
    answer: AnswerShape = AnswerShape.ENVELOPE
    unknown_sender: UnknownSender = UnknownSender.ACCEPT
    strict_templates: bool = False
    templates: Path | None = None
    seed: int = 0
    kept_messages: int = 200_000
    kept_bytes: int = 128 * 1024 * 1024
    record_file: Path | None = None
    webhook: str | None = None

    def __post_init__(self) -> None:
        """Refuse what cannot be served."""
        if self.limit is not None and not (math.isfinite(self.limit) and self.limit > 0):
            raise UsageError(
                f"The sandbox's limit is {self.limit:g} messages a second",
                hint="Give a number above 0, or none for no limit.",
            )
        if self.webhook is not None and not self.webhook.startswith(("http://", "https://")):
            raise UsageError("The webhook is no URL", hint="Write it with http:// or https://.")
        if not self.senders:
            raise UsageError(
                "The sandbox has no sender number", hint="Name the number that the campaigns send from."
            )


def parse_latency(text: str) -> Latency:
    """Read `300ms`, `0.3s`, `300ms±20ms`, `300ms+-20ms` or `300+-20ms`; UsageError where it is none."""
    parts = _JITTER.split(text.strip())
    try:
        if len(parts) == 1:
            return Latency(base=parse_duration(parts[0]))
        first, jitter = parts
        unit = re.sub(r"[\d.\s]", "", jitter)
        base = first + unit if re.fullmatch(r"[\d.]+", first) else first
        return Latency(base=parse_duration(base), jitter=parse_duration(jitter))
    except ValueError:
        raise UsageError(
            f"The latency {text!r} is not a time", hint="Write it as 300ms, 0.3s or 300ms+-20ms."
        ) from None
