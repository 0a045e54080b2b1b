"""The segment source `treasure_data`: a query or a table of Treasure Data, run there as a job.

Only the result travels. The SQL that runs is the one that was reviewed: one SELECT, checked before anything
is asked, with its parameters bound as literals.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

from runner.campaign import Segment
from runner.errors import SegmentError
from runner.project import Project
from runner.segments.column_choice import choose_columns
from runner.segments.interface import Fetched, Remote
from runner.segments.private_file import private_file
from runner.treasure_data.account import Account
from runner.treasure_data.arrow_columns import is_number
from runner.treasure_data.binding import bind
from runner.treasure_data.jobs import FinishedJob, Query, Surroundings, finished_job
from runner.treasure_data.row_stream import Column, write_rows
from runner.treasure_data.select_check import DIALECTS, check_select


def fetch(
    segment: Segment,
    *,
    project: Project,
    columns: Sequence[str],
    target: Path,
    occurrence_at: datetime | None = None,
    remote: Remote | None = None,
) -> Fetched:
    """Run the query or read the table in Treasure Data, and keep `columns` of its rows in `target`.

    TD_SCHEDULED_TIME() is `occurrence_at`. Errors: SegmentError, TreasureDataError, UsageError (no key).
    """
    remote = required(remote)
    if segment.database is None:
        raise SegmentError("segment: has no database", hint="add `database: ...`")
    sql = segment.query or select_of_table(segment, columns)
    check_select(sql, segment.engine)
    query = Query(
        campaign=remote.campaign,
        engine=segment.engine,
        database=segment.database,
        sql=bind(sql, segment.params, DIALECTS[segment.engine]),
        scheduled_at=occurrence_at,
    )
    return run_query(query, project=project, columns=columns, target=target, remote=remote)


def run_query(
    query: Query, *, project: Project, columns: Sequence[str], target: Path, remote: Remote
) -> Fetched:
    """Run a checked query as a job, and keep `columns` of its rows in `target`, in the job's order."""
    account = remote.account()
    around = Surroundings(
        folder=project.state / "jobs",
        now=time.time,
        sleep=time.sleep,
        tell=remote.tell,
        session=remote.session,
    )
    check_select(query.sql, query.engine)
    with private_file(target) as output, finished_job(account, query, around) as job:
        remote.tell(f"job {job.id} is done; its rows are coming" + (f" ({job.url})" if job.url else ""))
        rows = _keep(account, job, columns, output, remote.phone)
        output.replace(target)
    return Fetched(
        rows=rows,
        column_types=_types(target),
        sql=query.sql,
        job_id=job.id,
        facts={"job": job.url or job.id, "database": query.database, "engine": query.engine},
        notes=_notes(job),
    )


def required(remote: Remote | None) -> Remote:
    """Return `remote`; a caller that has none has made a mistake."""
    if remote is None:
        raise SegmentError("this source needs Treasure Data", hint="use `runner plan`")
    return remote


def select_of_table(segment: Segment, columns: Sequence[str]) -> str:
    """Return the SELECT of the table's columns; a name that is qualified already stays as it is.

    An activation names its table sometimes with its database and sometimes without (§4.3).
    """
    mark = "`" if segment.engine == "hive" else '"'
    parts = (segment.table or "").split(".")
    if not all(parts) or len(parts) > 2:
        raise SegmentError(
            f"segment: {segment.table!r} is no table", hint="write `table` or `database.table`"
        )
    names = ", ".join(quoted(name, mark) for name in dict.fromkeys(columns))
    return f"SELECT {names}\nFROM {'.'.join(quoted(part, mark) for part in parts)}"


def quoted(name: str, mark: str) -> str:
    """Return an identifier in the engine's quotes."""
    return f"{mark}{name.replace(mark, mark * 2)}{mark}"


def _keep(account: Account, job: FinishedJob, columns: Sequence[str], output: Path, phone: str | None) -> int:
    names = list(dict.fromkeys(columns))
    places = choose_columns(names, [name for name, _ in job.columns])
    wanted = [
        Column(name=name, place=place, kind=job.columns[place][1])
        for name, place in zip(names, places, strict=True)
    ]
    for column in wanted:
        if column.name == phone and is_number(column.kind):
            raise SegmentError(
                f"segment query: the phone column `{phone}` is {column.kind}: "
                "a number has lost its + and its leading zeros",
                hint=f"keep phones as text; if the digits begin with the country code: "
                f"CAST({phone} AS varchar) AS {phone}",
            )
    return write_rows(account, job, wanted, output)


def _notes(job: FinishedJob) -> tuple[str, ...]:
    if job.resumed_after is None:
        return ()
    minutes = job.resumed_after / 60
    return (f"the rows are those of job {job.id}, which a plan that broke off began {minutes:.0f} min ago",)


def _types(path: Path) -> dict[str, str]:
    """Return each column's type as DuckDB, which screens the rows, reads it."""
    import duckdb

    with duckdb.connect(":memory:") as connection:
        described = connection.execute("DESCRIBE FROM read_parquet(?)", [str(path)])
        return {name: kind for name, kind, *_ in described.fetchall()}
