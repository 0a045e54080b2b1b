"""What a log takes of a run: its events, and its control group; for what pushes logs and what forgets people.

Each is cut into batches of its own, numbered and kept under a target of its own in the ledger.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Protocol, TypeVar

from runner.ledger.held_out import HeldOut
from runner.ledger.interface import Event, LogBatch
from runner.logs.interface import Batch, LoggedRun
from runner.logs.rows import held_out_id, rows_of, rows_of_held_out

Told = TypeVar("Told", Event, HeldOut)


class StreamLedger(Protocol):
    """What a stream needs of a ledger to be read."""

    def events(self, run: int, first: int, last: int) -> Iterator[list[Event]]: ...  # noqa: D102 - see
    def held_out(self, run: int, first: int, last: int) -> Iterator[list[HeldOut]]: ...  # noqa: D102 - interface


class CutLedger(Protocol):
    """What a stream needs of a ledger to be cut."""

    def cut_log(self, target: str, run: int, size: int, now: float) -> None: ...  # noqa: D102 - see interface
    def cut_held_out(self, target: str, run: int, size: int, now: float) -> None: ...  # noqa: D102


@dataclass(frozen=True, slots=True, kw_only=True)
class Stream:
    """The events of runs, or their control groups."""

    of_control_group: bool

    def target(self, log: str) -> str:
        """Return the name under which the ledger keeps which batches are in a log."""
        return f"{log} control group" if self.of_control_group else log

    def cut(self, ledger: CutLedger, log: str, run: int, size: int, now: float) -> None:
        """Put what is in no batch of the log yet into batches of at most `size`."""
        cut = ledger.cut_held_out if self.of_control_group else ledger.cut_log
        cut(self.target(log), run, size, now)

    def batch(
        self, ledger: StreamLedger, run: LoggedRun, cut: LogBatch, *, without: str | None = None
    ) -> Batch:
        """Return a batch as it is pushed, or as it is once the phone `without` is forgotten."""
        between = (run.run, cut.first, cut.last)
        if self.of_control_group:
            held_out = _without(ledger.held_out(*between), without)
            rows = rows_of_held_out(run, held_out)
        else:
            rows = rows_of(run, _without(ledger.events(*between), without))
        return Batch(run=run, number=cut.number, rows=rows, of_control_group=self.of_control_group)

    def row_id(self, ledger: str, number: int) -> str:
        """Return the `event_id` of the row with this number."""
        return held_out_id(ledger, number) if self.of_control_group else f"{ledger}-{number}"


EVENTS = Stream(of_control_group=False)
CONTROL_GROUP = Stream(of_control_group=True)
STREAMS = (EVENTS, CONTROL_GROUP)


def _without(batches: Iterator[list[Told]], phone: str | None) -> Iterator[Told]:
    """Yield what is told, that of one phone as it will be once the ledger has erased the person."""
    for batch in batches:
        for each in batch:
            yield replace(each, key=replace(each.key, phone="-0")) if each.key.phone == phone else each
