"""`runner export td-workflow`: write a project that runs a campaign in TD Workflow."""

from __future__ import annotations

import os
from datetime import datetime, timezone
from pathlib import Path

import click

from runner.campaign import Campaign
from runner.cli import output
from runner.cli.campaigns import load_sound_campaigns
from runner.cli.export_tick import check_wheel, cron, github_actions, systemd
from runner.cli.git import git_state
from runner.cli.workplace import URL_VARIABLE
from runner.errors import UsageError
from runner.project import Project


@click.group(name="export")
def command() -> None:
    """Write what runs campaigns elsewhere, or by themselves."""


for _export in (github_actions, cron, systemd):
    command.add_command(_export)


@command.command(name="td-workflow")
@click.argument("path", type=click.Path(path_type=Path), metavar="CAMPAIGN")
@click.option("-o", "--out", type=click.Path(path_type=Path), help="Folder; default td-workflow/<campaign>.")
@click.option("--image", help="Custom Script image of the task.")
@click.option("--notify-url", metavar="URL", help="POST to this address when the attempt is red; else mail.")
@click.option(
    "--unsettled",
    type=click.Choice(["green", "red"]),
    default="red",
    show_default=True,
    help="How an attempt ends that leaves unknown outcomes (exit code 3).",
)
@click.option(
    "--wheel",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    help="Install the product from this wheel, copied in; default: from the package index.",
)
@click.option("--force", is_flag=True, help="Replace the files of an earlier export.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
def td_workflow(
    path: Path,
    out: Path | None,
    image: str | None,
    notify_url: str | None,
    unsettled: str,
    wheel: Path | None,
    force: bool,
    as_json: bool,
) -> None:
    """Write a TD Workflow project that plans and applies CAMPAIGN in one task. Nothing is sent.

    It holds no secrets; its README says which ones to set.
    """
    from runner.exports import td_workflow as exporter
    from runner.exports.folder import write_folder
    from runner.project_file import find_project_root, load_project
    from runner.treasure_data.account import find_site

    check_wheel(wheel)
    project = load_project(find_project_root(Path.cwd()))
    campaign = _only_campaign(path, project)
    git = git_state(project.root)
    options = exporter.Options(
        image=image or exporter.IMAGE,
        unsettled=unsettled,
        notify_url=notify_url,
        ada_url=os.environ.get(URL_VARIABLE),
        td=exporter.TdPlace(*find_site(os.environ, home=Path.home(), project_site=project.td_site)),
        wheel=wheel,
        git=git,
        since=datetime.now(timezone.utc),
        passed_on=frozenset(name for name in exporter.OPTIONAL if os.environ.get(name, "").strip()),
    )
    folder = out or Path("td-workflow", campaign.name)
    files = exporter.export_files(campaign, project, options)
    private = exporter.private_files(project)
    write_folder(folder, files, manifest=exporter.MANIFEST, private=private, force=force)
    if git is None or git.dirty:
        output.say("runner: this is not a commit of git, so nobody can see later what was reviewed")
    _tell(campaign, folder, sorted(files), as_json=as_json)


def _tell(campaign: Campaign, folder: Path, files: list[str], *, as_json: bool) -> None:
    if as_json:
        output.show_json({"campaign": campaign.name, "folder": output.shown(folder), "files": files})
        return
    output.show(f"{output.shown(folder)}: {len(files)} files")
    output.say(f"next: read {output.shown(folder / 'README.md')}, push the project and set its secrets")


def _only_campaign(path: Path, project: Project) -> Campaign:
    campaigns = load_sound_campaigns([path], project)
    if len(campaigns) != 1:
        raise UsageError(f"{path} holds {len(campaigns)} campaigns", hint="export one campaign at a time")
    return campaigns[0]
