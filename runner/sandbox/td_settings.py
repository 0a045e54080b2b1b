"""What a Treasure Data sandbox is told to be, as values. The CLI imports it, so it stays light."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path

from runner.errors import UsageError
from runner.sandbox.td_faults import TdFault


@dataclass(frozen=True, slots=True, kw_only=True)
class TdSandboxSettings:
    """One Treasure Data sandbox.

    `port` 0 takes a free one. Each folder within `data` is a database, each CSV, Parquet or JSON Lines file
    in it a table; `data` is only read. What clients write is kept in `store`. `audiences` is a JSON file of
    parent segments. `seed` fixes every random choice. `keys` are the API keys it takes; without any, every
    key that is not empty. A job runs for `job_seconds` before it succeeds.
    """

    host: str = "127.0.0.1"
    port: int = 0
    data: Path
    store: Path
    audiences: Path | None = None
    faults: tuple[TdFault, ...] = ()
    seed: int = 0
    keys: tuple[str, ...] = ()
    job_seconds: float = 0.0

    def __post_init__(self) -> None:
        """Refuse what cannot be served."""
        if not (math.isfinite(self.job_seconds) and self.job_seconds >= 0):
            raise UsageError(
                f"A job of the Treasure Data sandbox cannot take {self.job_seconds:g} seconds",
                hint="Give a number of seconds, 0 or more.",
            )
