"""What every log promises: the contract between pushing above and the kinds of log beside it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from runner.delivery import DeliveryKey

if TYPE_CHECKING:
    from runner.treasure_data.account import Account

#: One row of a log: a value for each column of `runner.logs.rows.COLUMNS`, in their order.
Row = tuple[str | int | float | None, ...]


class Happening(Protocol):
    """What a row is made of: one outcome or receipt of one delivery, as the ledger keeps it.

    Times are epoch seconds. `number` is unique in its ledger for ever.
    """

    @property
    def number(self) -> int: ...  # noqa: D102 - the class says it all
    @property
    def key(self) -> DeliveryKey: ...  # noqa: D102
    @property
    def recipient_id(self) -> str: ...  # noqa: D102
    @property
    def plan(self) -> str: ...  # noqa: D102
    @property
    def run(self) -> int: ...  # noqa: D102
    @property
    def attempt(self) -> int: ...  # noqa: D102
    @property
    def intent_at(self) -> float: ...  # noqa: D102
    @property
    def at(self) -> float: ...  # noqa: D102
    @property
    def event(self) -> str: ...  # noqa: D102
    @property
    def rule(self) -> str: ...  # noqa: D102
    @property
    def message_id(self) -> str | None: ...  # noqa: D102
    @property
    def http_status(self) -> int | None: ...  # noqa: D102
    @property
    def code(self) -> str | None: ...  # noqa: D102
    @property
    def detail(self) -> str | None: ...  # noqa: D102
    @property
    def variant(self) -> str | None: ...  # noqa: D102


class Withheld(Protocol):
    """A person of a control group, as the ledger keeps them: numbered apart from events."""

    @property
    def number(self) -> int: ...  # noqa: D102 - the class says it all
    @property
    def key(self) -> DeliveryKey: ...  # noqa: D102
    @property
    def recipient_id(self) -> str: ...  # noqa: D102
    @property
    def plan(self) -> str: ...  # noqa: D102
    @property
    def run(self) -> int: ...  # noqa: D102
    @property
    def at(self) -> float: ...  # noqa: D102


@dataclass(frozen=True, slots=True, kw_only=True)
class LoggedRun:
    """What all rows of a run share. `ledger` is its identity, `details` what it keeps of the plan."""

    ledger: str
    run: int
    campaign: str
    occurrence: str
    details: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """Rows that are pushed together. A batch that was cut once has the same number and rows for ever.

    The batches `of_control_group` are numbered apart from those of events.
    """

    run: LoggedRun
    number: int
    rows: Sequence[Row]
    of_control_group: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class LogTools:
    """What a log works with.

    `folder` is where relative folders start. `account` finds the Treasure Data account when it is asked for
    (UsageError when there is no key). `now` is in epoch seconds, `sleep` waits for seconds, `jitter` returns
    a random number from 0 to 1, `tell` shows a line of progress. `makes_databases` is for a rehearsal, whose
    Treasure Data starts empty.
    """

    folder: Path
    account: Callable[[], Account]
    now: Callable[[], float]
    sleep: Callable[[float], None]
    jitter: Callable[[], float]
    tell: Callable[[str], None]
    makes_databases: bool = False


class Log(Protocol):
    """One place that rows are pushed to."""

    @property
    def name(self) -> str:
        """Return the name under which the ledger keeps which batches are here, `treasure_data:crm.sent`."""
        ...

    def push(self, batch: Batch) -> None:
        """Write the batch, durably; once more is harmless. LogError when it cannot be written."""
        ...
