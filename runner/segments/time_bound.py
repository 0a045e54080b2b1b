"""Runs a query on a thread of its own, so that no query, however it was written, outlasts its time."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future, wait
from concurrent.futures import TimeoutError as FutureTimeoutError
from threading import Thread
from typing import Protocol, TypeVar

Result = TypeVar("Result")

_PATIENCE = 2.0
_TICK = 0.05


class OutOfTimeError(Exception):
    """The work did not end within its time; its caller says so in words."""


class Connection(Protocol):
    """What is interrupted and closed: a database connection."""

    def interrupt(self) -> None:
        """Ask the running statement to end; it may take a while, or not listen at all."""

    def close(self) -> None:
        """Close the connection; waits for a running statement."""


def run_bounded(
    work: Callable[[], Result], connection: Connection, *, seconds: float, patience: float = _PATIENCE
) -> Result:
    """Return what `work` returns, raise what it raises, or OutOfTimeError after `seconds`.

    Work that is interrupted and still goes on for `patience` seconds (one call of a scalar function cannot be
    interrupted in DuckDB) is left behind on its daemon thread with its connection; it ends with the process.
    Ctrl-C interrupts the work too.
    """
    outcome: Future[Result] = Future()
    Thread(target=_settle, args=(outcome, work), name="segment query", daemon=True).start()
    try:
        return outcome.result(timeout=seconds)
    except FutureTimeoutError:
        raise OutOfTimeError from None
    finally:
        _end(outcome, connection, patience)


def _settle(outcome: Future[Result], work: Callable[[], Result]) -> None:
    try:
        result = work()
    except BaseException as error:  # noqa: BLE001 - the waiting thread raises it again
        outcome.set_exception(error)
    else:
        outcome.set_result(result)


def _end(outcome: Future[Result], connection: Connection, patience: float) -> None:
    """Close the connection once the work has ended, interrupting it for as long as it has not.

    One interrupt is not enough: between two statements it is lost.
    """
    for _ in range(round(patience / _TICK)):
        if outcome.done():
            break
        connection.interrupt()
        wait([outcome], timeout=_TICK)
    if outcome.done():
        connection.close()
