"""The run log: one JSON line per event of a run, in a file of its own; phones masked, bodies never."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime, timezone
from pathlib import Path
from typing import IO, Any

#: A line is on its way to the file within so many seconds of the next one; the ledger is the durable record.
_FLUSH_EVERY = 0.2

_encode = json.JSONEncoder(ensure_ascii=False).encode


class RunLog:
    """An open run log. Each line has `at` (UTC), `action`, and the event's own keys."""

    def __init__(self, stream: IO[str]) -> None:
        self._stream = stream
        self._flushed_at = 0.0

    def write(self, at: float, action: str, **keys: Any) -> None:  # noqa: ANN401 - JSON values
        """Append one event; `at` in epoch seconds."""
        moment = datetime.fromtimestamp(at, timezone.utc).isoformat(timespec="milliseconds")
        line: Mapping[str, Any] = {"at": moment, "action": action, **keys}
        self._stream.write(_encode(line) + "\n")
        if not 0 <= at - self._flushed_at < _FLUSH_EVERY:
            self._stream.flush()
            self._flushed_at = at


@contextmanager
def open_run_log(path: Path) -> Iterator[RunLog]:
    """Open the run log at `path` for appending (mode 0600)."""
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    with os.fdopen(descriptor, "a", encoding="utf-8") as stream:
        yield RunLog(stream)
