"""`runner log push`: bring the rows of runs to the logs of their campaigns, once more if need be."""

from __future__ import annotations

import random
import time
from contextlib import closing
from typing import TYPE_CHECKING, Any

import click

from runner.cli import output
from runner.cli.td_options import td_options
from runner.cli.workplace import TdFlags, Workplace, open_workplace
from runner.notice import LOG

if TYPE_CHECKING:
    from runner.ledger.interface import Ledger
    from runner.logs.interface import LogTools
    from runner.notifying import Notifier
    from runner.plan import Plan
    from runner.pushing import Pushed


@click.group(name="log")
def command() -> None:
    """Bring the rows of runs to Treasure Data tables and files (docs/log.md)."""


@command.command(name="push")
@click.argument("run", required=False, type=click.IntRange(min=1))
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
@click.option("--sandbox", is_flag=True, help="Push the rehearsals' runs, to the sandbox.")
@td_options
def push(run: int | None, as_json: bool, sandbox: bool, td: TdFlags) -> None:
    """Push what is not in the logs yet, of every run; of RUN (its number) push all of it once more.

    It is harmless to repeat: a batch that was pushed before lands in the same place under the same name.
    """
    from runner.cli.telling import open_notifier
    from runner.ledger import open_ledger

    with (
        open_workplace(sandbox=sandbox, td=td) as workplace,
        open_notifier(workplace) as notifier,
        closing(open_ledger(workplace.project.ledger, root=workplace.project.root)) as ledger,
    ):
        pushed = _push(workplace, ledger, run, notifier)
    if as_json:
        output.show_json({"runs": [pushed_document(each) for each in pushed if each.rows or run]})
    else:
        _show(pushed, run)


def _push(workplace: Workplace, ledger: Ledger, run: int | None, notifier: Notifier) -> list[Pushed]:
    """Push one run, or all; people are told of each occurrence whose log fails, once."""
    from runner.cli.telling import wanted_events
    from runner.pushing import NotWhollyLogged, push_all, push_run
    from runner.reports.notices import log_failed

    tools = log_tools(workplace)
    try:
        pushed = push_all(ledger, tools) if run is None else [push_run(ledger, run, tools, again=True)]
    except NotWhollyLogged as error:
        for number in error.runs:
            record = ledger.run_record(number)
            plan = ledger.plan_record(record.digest) if record else None
            if plan is not None:
                wanted = wanted_events(plan.details.get("notify"), workplace)
                notifier.tell(log_failed(plan.campaign, plan.occurrence, error), wanted)
        raise
    for each in pushed:
        if each.rows:
            notifier.over(each.campaign, each.occurrence, LOG)
    return pushed


def log_tools(workplace: Workplace) -> LogTools:
    """Return what logs work with here. In a rehearsal, files go below its own state folder."""
    from runner.logs.interface import LogTools

    project = workplace.project
    return LogTools(
        folder=project.state if workplace.rehearsal else project.root,
        account=workplace.account,
        now=workplace.clock.now,
        sleep=time.sleep,
        jitter=random.random,
        tell=output.say,
        makes_databases=workplace.rehearsal,
    )


def push_applied(workplace: Workplace, plan: Plan) -> list[dict[str, Any]]:
    """Push what an apply of `plan` added to its campaign's logs, and say so; return what was pushed.

    On a connection of its own, so that Ctrl-C ends it. Errors: LogError, LedgerError, UsageError; the rows
    are kept, and `runner log push` takes them up.
    """
    from runner.ledger import open_ledger
    from runner.pushing import push_plan

    ledger = open_ledger(workplace.project.ledger, root=workplace.project.root)
    with closing(ledger):
        pushed = [each for each in push_plan(ledger, plan.digest, log_tools(workplace)) if each.rows]
    for each in pushed:
        for line in pushed_lines(each):
            output.say(f"  log: {line}")
    return [log for each in pushed for log in pushed_document(each)["logs"]]


def pushed_document(pushed: Pushed) -> dict[str, Any]:
    """Return what was pushed of a run, for a JSON document."""
    return {
        "run": pushed.run,
        "campaign": pushed.campaign,
        "occurrence": pushed.occurrence,
        "logs": [{"log": log.name, "rows": log.rows, "batches": log.batches} for log in pushed.logs],
    }


def pushed_lines(pushed: Pushed) -> list[str]:
    """Return what was pushed of a run, for people."""
    return [f"run {pushed.run}: {log.rows:,} rows to {log.name}" for log in pushed.logs]


def _show(pushed: list[Pushed], run: int | None) -> None:
    lines = [line for each in pushed if each.rows or run for line in pushed_lines(each)]
    for line in lines:
        output.show(line)
    if run is not None and not lines:
        output.show(f"the campaign of run {run} has no `log`")
    elif not lines:
        output.show("nothing to push")
