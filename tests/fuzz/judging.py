"""The verdict on one input: only a RunnerError may come out, and soon."""

from __future__ import annotations

import resource
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from runner.errors import RunnerError

#: No input may take longer, in seconds; on a busy machine the usual few milliseconds become more.
LONGEST = 10.0

#: A target: reads an input, with a folder of its own to write files to.
Reader = Callable[[bytes, Path], None]


class HangError(BaseException):
    """An input took too long. No `except Exception` of the product may swallow it."""


def judge(reader: Reader, data: bytes, folder: Path, longest: float = LONGEST) -> bool:
    """Have `reader` read `data`; tell whether it was accepted.

    A RunnerError that says something is a refusal. Every other exception comes out, as does HangError.
    """
    refusal = None
    try:
        with _at_most(longest):
            reader(data, folder)
    except RunnerError as error:
        refusal = str(error)
    assert refusal is None or refusal.strip()
    return refusal is None


def peak_megabytes() -> float:
    """Return the most memory that this process has had so far."""
    unit = 1024**2 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / unit


@contextmanager
def _at_most(seconds: float) -> Iterator[None]:
    def stop(*_: object) -> None:
        raise HangError(f"more than {seconds} s")

    before = signal.signal(signal.SIGALRM, stop)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
