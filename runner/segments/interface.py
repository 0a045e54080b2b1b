"""What every segment source promises: the contract between planning above and the sources beside it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Protocol

from runner.campaign import Segment
from runner.project import Project
from runner.treasure_data.account import Account


@dataclass(frozen=True, slots=True, kw_only=True)
class Fetched:
    """What a source wrote: how many rows, each column's type as DuckDB reads it, by which SQL and job.

    `job_id` is the remote system's key for the query, None where nothing remote ran. `facts` is what the plan
    shows of the source, in order (`{"population": "12,345"}`); `notes` are sentences for its reader.
    """

    rows: int
    column_types: Mapping[str, str]
    sql: str
    job_id: str | None = None
    facts: Mapping[str, str] = field(default_factory=dict)
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Remote:
    """What a source that asks another system needs.

    `account` resolves the account when it is asked for (UsageError when there is no key); `tell` shows a line
    of progress; `campaign` is part of what a job is for; `phone` is the column with the phone. All attempts
    of a workflow's `session` share their jobs.
    """

    account: Callable[[], Account]
    tell: Callable[[str], None]
    campaign: str
    now: datetime
    phone: str | None = None
    session: str | None = None


class SegmentSource(Protocol):
    """A source's `fetch`: run the segment's query, read-only, and keep the wanted columns of its rows."""

    def __call__(
        self,
        segment: Segment,
        *,
        project: Project,
        columns: Sequence[str],
        target: Path,
        occurrence_at: datetime | None = None,
        remote: Remote | None = None,
    ) -> Fetched:
        """Write `columns`, by these names, of every row, in the query's order, to `target`.

        `target` becomes a Parquet file of mode 0600, whole or not at all; zero rows are a file with a schema.
        `occurrence_at` is the instant of the firing, for sources whose SQL can ask for it; `remote` is for
        those that ask another system. Errors: SegmentError, TreasureDataError, UsageError; one line.
        """
        ...
