"""The run log: one JSON line per event of a run, in a file of its own; phones masked, bodies never."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterator, Mapping
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


def redact_run_log(path: Path, masked: str, message_ids: Collection[str]) -> int:
    """Take a person out of the lines of the run log at `path`; return how many lines that were.

    A line is about the person by one of `message_ids`, or, without any id, by the `masked` phone. Lines keep
    their lengths, and are written in place: an apply that goes on may be adding to the file.
    """
    wanted = masked.encode()
    count = 0
    with path.open("r+b") as stream:
        place = 0
        for line in stream:
            if wanted in line:
                changed = _redacted(line, masked, message_ids)
                if changed is not None:
                    os.pwrite(stream.fileno(), changed, place)
                    count += 1
            place += len(line)
        os.fsync(stream.fileno())
    return count


def _redacted(line: bytes, masked: str, message_ids: Collection[str]) -> bytes | None:
    """Return a line without its person, as long as before; None for a line about somebody else."""
    text = line.rstrip(b"\r\n")
    end = line[len(text) :]
    try:
        event = quick_json.decode(text)
    except ValueError:
        return b" " * len(text) + end  # cut short by a kill: nobody can say whom it was about
    if not isinstance(event, dict) or event.get("phone") != masked:
        return None
    if event.get("message_id") is not None and event["message_id"] not in message_ids:
        return None
    cleared = quick_json.encode({**event, "phone": None, "message_id": None, "detail": None})
    return cleared.ljust(len(text)) + end
