"""`runner export github-actions | cron | systemd`: write what runs `runner tick` every few minutes."""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from runner.cli import output
from runner.cli.campaigns import load_sound_campaigns
from runner.cli.workplace import user_name
from runner.errors import UsageError

if TYPE_CHECKING:
    from runner.campaign import Campaign
    from runner.exports.machine import Machine
    from runner.project import Project

_CAMPAIGNS = "campaigns"
_ENVIRONMENT = "tick.env"
#: Divisors of an hour; a firing that is found within 15 minutes is on time. GitHub starts none below 5.
_EVERY = ("1", "2", "3", "4", "5", "6", "10", "12", "15")
_GITHUB_EVERY = ("5", "6", "10", "12", "15")


def check_wheel(wheel: Path | None) -> None:
    """Raise UsageError for a file that is no wheel by its name."""
    if wheel is not None and wheel.suffix != ".whl":
        raise UsageError(f"{wheel} is not a wheel", hint="build one with `python -m build --wheel`")


def _options(every: Sequence[str], default: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Return what adds the options that the three share; the command gets the project and its campaigns."""

    def add(command: Callable[..., Any]) -> Callable[..., Any]:
        @click.argument("paths", nargs=-1, type=click.Path(path_type=Path), metavar="[PATH]...")
        @click.option(
            "--every",
            type=click.Choice(every),
            default=default,
            show_default=True,
            help="Minutes from tick to tick.",
        )
        @click.option("--force", is_flag=True, help="Replace the files of an earlier export.")
        @click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
        @functools.wraps(command)
        def with_project(paths: tuple[Path, ...], every: str, **options: Any) -> Any:  # noqa: ANN401 - passed on
            from runner.project_file import find_project_root, load_project

            project = load_project(find_project_root(Path.cwd()))
            campaigns = load_sound_campaigns(paths or [project.root / _CAMPAIGNS], project)
            return command(project, campaigns, every=int(every), **options)

        return with_project

    return add


@click.command(name="github-actions")
@_options(_GITHUB_EVERY, "10")
@click.option(
    "--wheel",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    help="Install the product from this wheel, copied in; default: from the package index.",
)
def github_actions(
    project: Project,
    campaigns: Sequence[Campaign],
    every: int,
    wheel: Path | None,
    force: bool,
    as_json: bool,
) -> None:
    """Write a workflow of GitHub Actions that runs `runner tick`. Nothing is sent.

    PATH is a campaign file or a folder of them; default: the project's folder `campaigns`. What they need is
    installed by the workflow. Its secrets are set at GitHub; the ledger has to be in PostgreSQL.
    """
    from runner.exports import github_actions as exporter
    from runner.exports.marked_files import write_marked
    from runner.exports.unattended import secrets_of, settings_of

    check_wheel(wheel)
    root = project.root
    repository = next((folder for folder in (root, *root.parents) if (folder / ".git").exists()), root)
    options = exporter.Options(repository=repository, every=every, wheel=wheel)
    files = exporter.export_files(campaigns, project, options)
    write_marked(files, force=force)
    _tell(campaigns, list(files), as_json=as_json)
    names = ", ".join(secrets_of(campaigns, project))
    output.say(f"next: set the repository's secrets, as far as you use them: {names}")
    if variables := settings_of(campaigns, project):
        output.say(f"      and its variables: {', '.join(variables)}")


def _machine_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options of an export for a machine that keeps its disk."""

    @click.option("-o", "--out", type=click.Path(path_type=Path), help="Folder; default: the command's name.")
    @click.option(
        "--env-file",
        type=click.Path(path_type=Path),
        help=f"Where the secrets are, mode 0600; default: {_ENVIRONMENT} in the state folder.",
    )
    @functools.wraps(command)
    def with_machine(
        project: Project,
        campaigns: Sequence[Campaign],
        every: int,
        env_file: Path | None,
        **options: Any,  # noqa: ANN401 - passed on
    ) -> Any:  # noqa: ANN401
        from runner.exports.machine import Machine

        machine = Machine(
            root=project.root,
            command=_this_runner(),
            environment=(env_file or project.state / _ENVIRONMENT).absolute(),
            every=every,
        )
        return command(project, campaigns, machine, **options)

    return with_machine


@click.command(name="cron")
@_options(_EVERY, "5")
@_machine_options
def cron(
    project: Project,
    campaigns: Sequence[Campaign],
    machine: Machine,
    out: Path | None,
    force: bool,
    as_json: bool,
) -> None:
    """Write a line for a crontab that runs `runner tick`. Nothing is sent.

    Its secrets are in a file of this machine, which is written once, empty, for you to fill in.
    """
    from runner.exports.crontab import crontab_text
    from runner.exports.marked_files import write_marked

    path = (out or Path("cron")).absolute() / "runner-tick.cron"
    write_marked({path: crontab_text(machine, str(path)).encode()}, force=force)
    files = [path, *_environment(campaigns, project, machine)]
    _tell(campaigns, files, as_json=as_json)
    output.say(f"next: fill in {output.shown(machine.environment)}, and add the line to your crontab")


@click.command(name="systemd")
@_options(_EVERY, "5")
@_machine_options
def systemd(
    project: Project,
    campaigns: Sequence[Campaign],
    machine: Machine,
    out: Path | None,
    force: bool,
    as_json: bool,
) -> None:
    """Write a service and a timer of systemd that run `runner tick`. Nothing is sent.

    Its secrets are in a file of this machine, which is written once, empty, for you to fill in.
    """
    from runner.exports.marked_files import write_marked
    from runner.exports.systemd import TIMER, unit_texts

    folder = (out or Path("systemd")).absolute()
    units = unit_texts(machine, user=user_name(), writable=_writable(project))
    files = {folder / name: text.encode() for name, text in units.items()}
    write_marked(files, force=force)
    _tell(campaigns, [*files, *_environment(campaigns, project, machine)], as_json=as_json)
    output.say(f"next: fill in {output.shown(machine.environment)}, and as root:")
    output.say(f"      cp {output.shown(folder)}/runner-tick.* /etc/systemd/system/")
    output.say(f"      systemctl daemon-reload && systemctl enable --now {TIMER}")


def _this_runner() -> tuple[str, ...]:
    """Return the command by which this very product is run, with absolute paths."""
    script = Path(sys.executable).with_name("runner")
    return (str(script),) if script.is_file() else (sys.executable, "-m", "runner")


def _writable(project: Project) -> tuple[Path, ...]:
    """Return the folders that a tick writes: the project's own, and that of a ledger elsewhere."""
    scheme, _, path = project.ledger.partition(":///")
    ledger = (project.root / path).parent
    is_elsewhere = scheme == "sqlite" and not ledger.is_relative_to(project.root)
    return (project.root, ledger) if is_elsewhere else (project.root,)


def _environment(campaigns: Sequence[Campaign], project: Project, machine: Machine) -> list[Path]:
    """Write the file for the secrets where there is none; what a person filled in stays."""
    from runner.exports.machine import environment_text
    from runner.exports.marked_files import write_private_once

    is_new = write_private_once(machine.environment, environment_text(campaigns, project))
    if not is_new and machine.environment.stat().st_mode & 0o077:
        output.say(f"runner: others may read {output.shown(machine.environment)}: chmod 0600 it")
    return [machine.environment] if is_new else []


def _tell(campaigns: Sequence[Campaign], files: Sequence[Path], *, as_json: bool) -> None:
    from runner.exports.unattended import remarks

    for remark in remarks(campaigns):
        output.say(f"runner: {remark}")
    names = [output.shown(path) for path in files]
    if as_json:
        output.show_json({"campaigns": [campaign.name for campaign in campaigns], "files": names})
        return
    for name in names:
        output.show(name)
