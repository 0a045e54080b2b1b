"""`runner plan`: show exactly who would get what, and freeze it in a plan file; sends nothing."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import click

from runner import plan_file
from runner.campaign import Campaign
from runner.cli import output
from runner.cli.campaigns import load_sound_campaigns
from runner.cli.git import git_state
from runner.cli.given import Given, given_options
from runner.cli.td_options import td_options
from runner.cli.workplace import TdFlags, Workplace, make_private, open_workplace, plan_key, versions
from runner.errors import ExitCode, Refusal, RunnerError, UsageError
from runner.parameters import parameter_names, with_parameters
from runner.plan import Plan
from runner.work_folder import work_folder

if TYPE_CHECKING:
    from runner.history import History
    from runner.ledger.interface import Ledger
    from runner.planning import Circumstances, Source
    from runner.segments.interface import Remote
    from runner.template import Template

#: TD Workflow's session: all its attempts have the same. An exported project sets it.
_SESSION_VARIABLE = "TD_SESSION_ID"


@click.command(name="plan")
@click.argument("paths", nargs=-1, required=True, type=click.Path(path_type=Path), metavar="CAMPAIGN...")
@click.option("-o", "--out", type=click.Path(path_type=Path), help="Write the plan to this file.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
@click.option("--markdown", is_flag=True, help="Print a pull-request comment; no personal data.")
@click.option("--detailed-exitcode", is_flag=True, help="Exit with 2 when there is something to send.")
@click.option("--sandbox", is_flag=True, help="Plan against the sandbox, apart from the real ledger.")
@given_options
@td_options
def command(
    paths: tuple[Path, ...],
    out: Path | None,
    as_json: bool,
    markdown: bool,
    detailed_exitcode: bool,
    sandbox: bool,
    given: Given,
    td: TdFlags,
) -> int:
    """Show exactly who would get what, and write a plan file. Nothing is sent.

    CAMPAIGN is a campaign file, or a folder of them.
    """
    planned: list[tuple[Plan, Path | None]] = []
    failures: list[tuple[Campaign, RunnerError]] = []
    with open_workplace(sandbox=sandbox, td=td) as workplace:
        campaigns = load_sound_campaigns(paths, workplace.project)
        given.check(campaigns)
        if out is not None and len(campaigns) != 1:
            raise UsageError("-o takes one campaign", hint="leave -o out: each plan then gets its own file")
        for campaign in campaigns:
            try:
                planned.append(plan_campaign(workplace, campaign, out, given))
            except RunnerError as error:
                failures.append((campaign, error))
                output.report(error, of=campaign.name)
                if markdown and not as_json:
                    output.show(_failure(campaign, error))
                continue
            if not as_json:
                _show(*planned[-1], markdown=markdown, sandbox=sandbox)
    if as_json:
        _show_json(planned, failures)
    return _exit_code(planned, failures, detailed=detailed_exitcode)


def plan_campaign(
    workplace: Workplace, campaign: Campaign, out: Path | None, given: Given
) -> tuple[Plan, Path | None]:
    """Make the plan of `campaign` and write its file; no file, but the plan, when it is over a guard.

    What is `given` may be for other campaigns too.
    """
    from runner.ledger import open_ledger
    from runner.planning import make_plan

    known = parameter_names(campaign.segment)
    parameters = {name: value for name, value in given.parameters.items() if name in known}
    campaign = with_parameters(campaign, parameters)
    key = plan_key()
    now = datetime.now(timezone.utc).replace(microsecond=0)
    templates = _templates(workplace, campaign)
    ledger = open_ledger(workplace.project.ledger, root=workplace.project.root, read_only=True)
    with closing(ledger), private_folder(workplace) as folder:
        plan = make_plan(
            campaign,
            source=_source(workplace, campaign, now),
            templates=templates,
            provider=workplace.provider_settings(campaign.provider),
            provider_is_local=workplace.is_local(campaign.provider),
            ledger=ledger,
            circumstances=replace(
                _circumstances(workplace, now, folder, ledger),
                history=_history(workplace, campaign, now),
                parameters=parameters,
                occurrence_at=given.occurrence_at,
            ),
        )
        if plan.exceeded:
            return plan, None
        target = out or workplace.plans / f"{plan.campaign}.{plan.occurrence}.{plan.digest[:12]}.plan"
        plan_file.write_plan(plan, folder, target, key)
    if out is None:
        _retire_older(target, plan)
    return plan, target


def _templates(workplace: Workplace, campaign: Campaign) -> Sequence[Template]:
    """Return the provider's templates; ProviderError where it did not list one that the campaign needs."""
    listing = workplace.provider(campaign.provider).templates()
    for message in campaign.messages:
        listing.require(message.template.name, message.template.language)
    return listing.templates


def _source(workplace: Workplace, campaign: Campaign, now: datetime) -> Source:
    from runner.segments import segment_source

    return partial(
        segment_source(campaign.segment.source),
        campaign.segment,
        project=workplace.project,
        remote=_remote(workplace, campaign, now),
    )


def _circumstances(workplace: Workplace, now: datetime, folder: Path, ledger: Ledger) -> Circumstances:
    """Return when, where and with what this project plans."""
    from runner.cli.forgotten import forgotten_people
    from runner.planning import Circumstances

    project = workplace.project
    return Circumstances(
        now=now,
        workspace=folder,
        expires_after=timedelta(hours=project.plan_expires_hours),
        git=git_state(project.root),
        versions=versions(),
        suppression=project.suppression,
        timezone=project.timezone,
        forgotten=forgotten_people(ledger),
    )


def _history(workplace: Workplace, campaign: Campaign, now: datetime) -> list[History]:
    """Return the queries of runner.yml for sends made elsewhere, ready to be run."""
    from runner.history import History
    from runner.segments import segment_source

    remote = replace(_remote(workplace, campaign, now), phone="phone")
    return [
        History(
            name=f"history[{index}] of runner.yml",
            fetch=partial(
                segment_source(entry.segment.source),
                entry.segment,
                project=workplace.project,
                remote=remote,
            ),
            region=entry.region or campaign.recipient.region,
            style=entry.phone_style,
        )
        for index, entry in enumerate(workplace.project.history)
    ]


def _remote(workplace: Workplace, campaign: Campaign, now: datetime) -> Remote:
    from runner.segments.interface import Remote

    return Remote(
        account=workplace.account,
        tell=output.say,
        campaign=campaign.name,
        now=now,
        phone=campaign.recipient.phone,
        session=os.environ.get(_SESSION_VARIABLE) or None,
    )


@contextmanager
def private_folder(workplace: Workplace) -> Iterator[Path]:
    """Give a private folder for intermediate files, gone afterwards."""
    make_private(workplace.workspace)
    with work_folder(workplace.workspace, "plan-") as folder:
        yield folder


class OverGuards(Refusal):
    """A plan that guards do not let pass: it was made, and not written."""

    def __init__(self, plan: Plan) -> None:
        super().__init__(_over_guards(plan), hint="see the guards in the plan above")
        self.plan = plan


def plan_and_show(workplace: Workplace, campaign: Campaign, given: Given) -> Path:
    """Plan a campaign that is to be applied at once, showing the plan on stderr; Refusal over a guard."""
    from runner.reports.terminal import plan_report

    plan, path = plan_campaign(workplace, campaign, None, given)
    output.show_rich(plan_report(plan), to_stderr=True)
    if path is None:
        raise OverGuards(plan)
    return path


def _over_guards(plan: Plan) -> str:
    names = ", ".join(f"{guard.name} {guard.limit} (found {guard.found})" for guard in plan.exceeded)
    return f"{plan.campaign}: refused by guard {names}: no plan was written"


def _retire_older(target: Path, plan: Plan) -> None:
    """Remove the plans that this one supersedes: they hold people's data and would be refused as stale."""
    for older in target.parent.glob(f"{plan.campaign}.{plan.occurrence}.*.plan"):
        if older != target:
            older.unlink(missing_ok=True)


def _show(plan: Plan, path: Path | None, *, markdown: bool, sandbox: bool) -> None:
    if markdown:
        from runner.reports.markdown import plan_markdown

        output.show(plan_markdown(plan))
    else:
        from runner.reports.terminal import plan_report

        output.show_rich(plan_report(plan))
    if path is None:
        output.say(f"runner: {_over_guards(plan)}")
    else:
        flag = "--sandbox " if sandbox else ""
        output.say(f"plan written; send it with: runner apply {flag}{output.shown(path)}")


def _failure(campaign: Campaign, error: RunnerError) -> str:
    from runner.reports.markdown import failure_markdown

    return failure_markdown(campaign.name, error)


def _show_json(
    planned: Sequence[tuple[Plan, Path | None]], failures: Sequence[tuple[Campaign, RunnerError]]
) -> None:
    from runner.reports.summary import plan_summary

    output.show_json(
        {
            "plans": [plan_summary(plan, str(path) if path else None) for plan, path in planned],
            "errors": [
                {"campaign": campaign.name, "message": error.message, "hint": error.hint}
                for campaign, error in failures
            ],
        }
    )


def _exit_code(
    planned: Sequence[tuple[Plan, Path | None]],
    failures: Sequence[tuple[Campaign, RunnerError]],
    *,
    detailed: bool,
) -> ExitCode:
    if failures:
        return ExitCode(max(error.exit_code for _, error in failures))
    if any(plan.exceeded for plan, _ in planned):
        return ExitCode.REFUSED
    if detailed and any(plan.to_send for plan, _ in planned):
        return ExitCode.CHANGES
    return ExitCode.DONE
