"""Ticks of several campaigns at a time, each in a process: none waits for, or falls with, another."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from threading import Semaphore
from types import FrameType
from typing import Any

from runner.cli import output
from runner.errors import ExitCode


class TickProcess:
    """A `runner tick` of one campaign file; its stderr is ours."""

    def __init__(self, path: Path, *flags: str) -> None:
        self.path = path
        # In a session of its own: Ctrl-C at the terminal reaches it once, by us.
        self._process = subprocess.Popen(  # noqa: S603 - this program, a path of the command line
            [sys.executable, "-m", "runner", "tick", "--json", *flags, "--", str(path)],
            stdout=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )

    @property
    def is_over(self) -> bool:
        """Tell whether it has ended."""
        return self._process.poll() is not None

    def stop(self) -> None:
        """Have it finish what is in flight, record it, and end; a second time ends it at once."""
        if not self.is_over:
            self._process.send_signal(signal.SIGTERM)

    def entries(self) -> list[dict[str, Any]]:
        """Wait for its end; return its campaigns' entries, one that says so when it left none."""
        said, _ = self._process.communicate()
        code = self._process.returncode
        try:
            document: dict[str, Any] = json.loads(said)
            entries: list[dict[str, Any]] = document["campaigns"]
        except (ValueError, KeyError, TypeError):
            entries = []
        return entries or [self._fallen(code)]

    def _fallen(self, code: int) -> dict[str, Any]:
        is_stopped = code in {ExitCode.INTERRUPTED, -signal.SIGTERM, -signal.SIGINT}
        message = "interrupted" if is_stopped else f"its process ended with {code}, without a result"
        output.say(f"runner: {output.shown(self.path)}: {message}")
        return {
            "campaign": None,
            "path": str(self.path),
            "next_at": None,
            "passed_over": None,
            "error": {"message": message, "hint": "the next tick goes on"},
            "firings": [],
            "exit_code": int(ExitCode.INTERRUPTED if is_stopped else ExitCode.ERROR),
        }


def tick_in_processes(paths: Sequence[Path], parallel: int) -> list[dict[str, Any]]:
    """Tick the files, at most `parallel` at a time; return all entries, in the order of the files."""
    from concurrent.futures import ThreadPoolExecutor

    running: list[TickProcess] = []
    stopped: list[int] = []
    slots = Semaphore(parallel)

    def tick(path: Path) -> list[dict[str, Any]]:
        with slots:
            if stopped:
                return []
            running.append(TickProcess(path))
            return running[-1].entries()

    with _passed_on(running, stopped), ThreadPoolExecutor(max_workers=parallel) as pool:
        return [entry for entries in pool.map(tick, paths) for entry in entries]


@contextmanager
def _passed_on(running: Sequence[TickProcess], stopped: list[int]) -> Iterator[None]:
    """Pass Ctrl-C and SIGTERM on to all that run, and start no others."""

    def stop(number: int, _: FrameType | None) -> None:
        stopped.append(number)
        for process in list(running):
            process.stop()

    before = {number: signal.signal(number, stop) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
