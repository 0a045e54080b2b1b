"""`runner tick`: plan and apply whatever is due, once, and exit."""

from __future__ import annotations

import signal
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from datetime import datetime, timezone
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from runner.campaign import Campaign
from runner.cli import output
from runner.cli.scheduled import Scheduled, load_scheduled, next_due, with_work
from runner.cli.telling import open_notifier
from runner.cli.workplace import Workplace, open_workplace, user_name
from runner.errors import ExitCode, RunnerError, gravest

if TYPE_CHECKING:
    from runner.ledger.firings import FiringRecord
    from runner.ledger.interface import Holder
    from runner.notifying import Notifier
    from runner.ticking import Result


@click.command(name="tick")
@click.argument("paths", nargs=-1, type=click.Path(path_type=Path), metavar="[PATH]...")
@click.option("--dry-run", is_flag=True, help="Show what is due; record, plan and send nothing.")
@click.option(
    "--parallel",
    type=click.IntRange(1, 64),
    default=8,
    show_default=True,
    help="How many campaigns run at a time, each in a process.",
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
@click.option("--sandbox", is_flag=True, help="Rehearse: send to the sandbox, apart from the real ledger.")
def command(paths: tuple[Path, ...], dry_run: bool, parallel: int, as_json: bool, sandbox: bool) -> int:
    """Plan and apply whatever is due of the campaigns at PATH (`campaigns` if not given), and exit.

    What is approved (`runner approve`, or a merge) is sent; of the rest people are told, and it waits. Each
    firing happens once, however many machines tick, and however often.
    """
    with open_workplace(sandbox=sandbox and not dry_run, rehearsal=sandbox) as workplace:
        now = datetime.now(timezone.utc)
        scheduled = load_scheduled(paths, workplace)
        for error in scheduled.errors:
            output.report(error)
        entries = _look(workplace, scheduled, now) if dry_run else _tick(workplace, scheduled, now, parallel)
    codes = [ExitCode(entry["exit_code"]) for entry in entries]
    exit_code = gravest([*codes, *(error.exit_code for error in scheduled.errors)])
    if as_json:
        errors = [{"message": error.message, "hint": error.hint} for error in scheduled.errors]
        at = f"{now:%Y-%m-%dT%H:%M:%SZ}"
        output.show_json({"at": at, "campaigns": entries, "errors": errors, "exit_code": int(exit_code)})
        return exit_code
    for entry in entries:
        _show(entry)
    if not any(entry["firings"] or entry["passed_over"] for entry in entries):
        output.show("nothing is due")
    return exit_code


def _tick(workplace: Workplace, scheduled: Scheduled, now: datetime, parallel: int) -> list[dict[str, Any]]:
    from runner.cli.desk import ledger_of
    from runner.cli.tick_processes import tick_in_processes
    from runner.ledger.liveness import this_process

    holder = this_process(user_name())
    with ledger_of(workplace) as ledger:
        work = {campaign.name for _, campaign, _ in with_work(scheduled, ledger, holder, now)}
    busy = [(path, campaign) for path, campaign in scheduled.campaigns if campaign.name in work]
    if len(busy) > 1 and parallel > 1 and not workplace.rehearsal:
        done = tick_in_processes([path for path, _ in busy], parallel)
    else:
        done = _one_after_another(workplace, [campaign for _, campaign in busy], holder)
    idle = [_entry(campaign, now, []) for _, campaign in scheduled.campaigns if campaign.name not in work]
    return [*done, *idle]


def _one_after_another(
    workplace: Workplace, campaigns: Sequence[Campaign], holder: Holder
) -> list[dict[str, Any]]:
    """Tick each campaign in this process; what goes wrong with one is its own."""
    entries: list[dict[str, Any]] = []
    with _given_up_by_sigterm(), open_notifier(workplace) as notifier:
        for campaign in campaigns:
            entries.append(_tick_one(workplace, campaign, holder, notifier))
            if entries[-1]["exit_code"] == ExitCode.INTERRUPTED:
                break
    return entries


@contextmanager
def _given_up_by_sigterm() -> Iterator[None]:
    """Give a plan that is being made up at once, as Ctrl-C does; an apply has handlers of its own."""
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _tick_one(workplace: Workplace, campaign: Campaign, holder: Holder, notifier: Notifier) -> dict[str, Any]:
    from runner.cli.desk import CampaignDesk, ledger_of
    from runner.ledger.interface import LockHeld
    from runner.ticking import Tick, tick_campaign

    tick = Tick(
        campaign=campaign,
        desk=CampaignDesk(workplace, campaign, notifier),
        ledger=lambda: ledger_of(workplace),
        holder=holder,
        now=lambda: datetime.now(timezone.utc),
        rehearsal=workplace.rehearsal,
    )
    try:
        return _entry(campaign, tick.now(), tick_campaign(tick))
    except LockHeld as held:
        output.say(f"{campaign.name}: passed over: {held.by} runs it")
        return {**_entry(campaign, tick.now(), []), "passed_over": held.by}
    except RunnerError as error:
        output.report(error)
        failed = {"message": error.message, "hint": error.hint}
        return {**_entry(campaign, tick.now(), []), "error": failed, "exit_code": int(error.exit_code)}


def _look(workplace: Workplace, scheduled: Scheduled, now: datetime) -> list[dict[str, Any]]:
    """Return what is due, without a record of it; what was done of it is null."""
    from runner.due import would_be_due
    from runner.ledger import open_ledger

    ledger = open_ledger(workplace.project.ledger, root=workplace.project.root, read_only=True)
    with closing(ledger):
        due = [(campaign, would_be_due(campaign, ledger, now)) for _, campaign in scheduled.campaigns]
    return [
        {**_entry(campaign, now, []), "firings": [_firing_document(record) for record in records]}
        for campaign, records in due
    ]


def _entry(campaign: Campaign, now: datetime, results: Sequence[Result]) -> dict[str, Any]:
    following = next_due(campaign, now)
    return {
        "campaign": campaign.name,
        "path": str(campaign.path),
        "next_at": f"{following:%Y-%m-%dT%H:%M:%SZ}" if following else None,
        "passed_over": None,
        "error": None,
        "firings": [_result_document(result) for result in results],
        "exit_code": int(gravest([result.exit_code for result in results])),
    }


def _result_document(result: Result) -> dict[str, Any]:
    return {
        **_firing_document(result.record),
        "outcome": result.outcome.value,
        "detail": result.detail,
        "exit_code": int(result.exit_code),
        "run": None if result.run is None else dict(result.run),
    }


def _firing_document(record: FiringRecord) -> dict[str, Any]:
    from runner.reports.firing import firing_document

    return {
        **firing_document(record),
        "outcome": None,
        "exit_code": 0,
        "run": None,
    }


def _show(entry: dict[str, Any]) -> None:
    for firing in entry["firings"]:
        said = firing["outcome"] or firing["state"]
        detail = f": {firing['detail']}" if firing["detail"] else ""
        output.show(f"{entry['campaign']} {firing['occurrence']}: {said}{detail}")
