"""The run log: one JSON line per event of a run, in a file of its own; phones masked, bodies never."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime, timezone
from pathlib import Path
from typing import IO, Any

from runner import quick_json

#: A line is on its way to the file within so many seconds of the next one; the ledger is the durable record.
_FLUSH_EVERY = 0.2
_BUFFER = 64 * 1024


class RunLog:
    """An open run log. Each line has `at` (UTC), `action`, and the event's own keys."""

    def __init__(self, stream: IO[bytes]) -> None:
        self._stream = stream
        self._flushed_at = 0.0
        self._second = -1
        self._rendered = ""

    def write(self, at: float, action: str, **keys: Any) -> None:  # noqa: ANN401 - JSON values
        """Append one event; `at` in epoch seconds."""
        line: Mapping[str, Any] = {"at": self._moment(at), "action": action, **keys}
        self._stream.write(quick_json.encode(line) + b"\n")
        if not 0 <= at - self._flushed_at < _FLUSH_EVERY:
            self._stream.flush()
            self._flushed_at = at

    def _moment(self, at: float) -> str:
        """Render a moment; the seconds are rendered once, as many events may fall into one."""
        second, millisecond = divmod(int(at * 1000), 1000)
        if second != self._second:
            self._second = second
            self._rendered = f"{datetime.fromtimestamp(second, timezone.utc):%Y-%m-%dT%H:%M:%S}"
        return f"{self._rendered}.{millisecond:03d}+00:00"


@contextmanager
def open_run_log(path: Path) -> Iterator[RunLog]:
    """Open the run log at `path` for appending (mode 0600)."""
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    with os.fdopen(descriptor, "ab", buffering=_BUFFER) as stream:
        yield RunLog(stream)
