"""`runner calendar`: what fires in the coming days, how large, how busy each sender is, and what collides."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import TYPE_CHECKING

import click

from runner import plan_file
from runner.cli import output
from runner.cli.campaigns import load_sound_campaigns
from runner.cli.workplace import Workplace, open_workplace, plan_key
from runner.errors import LedgerError, RunnerError

if TYPE_CHECKING:
    from runner.calendar import KnownSize
    from runner.campaign import Campaign
    from runner.ledger.interface import Ledger
    from runner.plan import Plan

_CAMPAIGNS = "campaigns"


@click.command(name="calendar")
@click.argument("paths", nargs=-1, type=click.Path(path_type=Path), metavar="[PATH]...")
@click.option("--days", type=click.IntRange(1, 366), default=30, show_default=True, help="How far to look.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
@click.option("--sandbox", is_flag=True, help="Expect the sizes that rehearsals had.")
def command(paths: tuple[Path, ...], days: int, as_json: bool, sandbox: bool) -> None:
    """Show what fires in the coming days, how busy each sender is, and what collides.

    PATH is a campaign file or a folder of them; default: the project's folder `campaigns`. Sizes are those of
    waiting plans, or of the occurrence before; nothing is queried.
    """
    from runner.calendar import make_calendar
    from runner.reports.calendar import calendar_document, calendar_report

    with open_workplace(rehearsal=sandbox) as workplace:
        project = workplace.project
        campaigns = load_sound_campaigns(paths or [project.root / _CAMPAIGNS], project)
        now = datetime.now(timezone.utc)
        zone = _zone(campaigns, project.timezone)
        calendar = make_calendar(
            campaigns,
            project.providers,
            _sizes(workplace),
            since=now,
            until=now + timedelta(days=days),
            zone=zone,
        )
    unscheduled = [one.name for one in campaigns if one.schedule.at is None and one.schedule.cron is None]
    if as_json:
        output.show_json(calendar_document(calendar, unscheduled))
    else:
        output.show_rich(calendar_report(calendar, zone, unscheduled))


def _zone(campaigns: Iterable[Campaign], of_the_project: str | None) -> str:
    """Return whose hours the heat map shows: the project's, or those of all campaigns if they agree."""
    zones = {campaign.schedule.zone for campaign in campaigns}
    return of_the_project or (zones.pop() if len(zones) == 1 else None) or "UTC"


def _sizes(workplace: Workplace) -> Sequence[KnownSize]:
    """Return the sizes that the waiting plans and the ledger tell; what cannot be read tells none."""
    from runner.ledger import open_ledger

    try:
        ledger = open_ledger(workplace.project.ledger, root=workplace.project.root, read_only=True)
        with closing(ledger):
            return [*_of_plans(workplace, ledger), *_of_ledger(ledger)]
    except LedgerError as error:
        output.say(f"runner: without the ledger, sizes are those of plans only: {error.message}")
        return [*_of_plans(workplace, None)]


def _of_plans(workplace: Workplace, ledger: Ledger | None) -> Iterator[KnownSize]:
    from runner.calendar import KnownSize, SizeSource

    for plan in _plans(workplace):
        record = ledger.plan_record(plan.digest) if ledger else None
        if record is None or record.finished_at is None:
            yield KnownSize(
                campaign=plan.campaign,
                occurrence=plan.occurrence,
                messages=plan.to_send,
                source=SizeSource.PLAN,
                at=plan.created_at.timestamp(),
            )


def _plans(workplace: Workplace) -> Iterator[Plan]:
    for path in sorted(workplace.plans.glob("*.plan")):
        try:
            yield plan_file.read_plan(path, plan_key())
        except RunnerError as error:
            output.say(f"runner: a plan tells no size: {error.message}")


def _of_ledger(ledger: Ledger) -> Iterator[KnownSize]:
    from runner.calendar import KnownSize, SizeSource

    for summary in ledger.summary():
        total = summary.total
        sent = total.accepted + total.refused + total.unknown + total.retry + total.in_flight
        yield KnownSize(
            campaign=summary.campaign,
            occurrence=summary.occurrence,
            messages=max(sent, summary.plan.to_send),
            source=SizeSource.LEDGER,
            at=summary.plan.created_at,
        )
