"""`runner sandbox`: ADA's and Treasure Data's API on this machine, for rehearsal: nothing reaches a phone."""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from runner.cli import output
from runner.errors import UsageError

if TYPE_CHECKING:
    from runner.project import Project
    from runner.sandbox.serving import RunningSandbox
    from runner.sandbox.settings import SandboxSettings
    from runner.sandbox.td_serving import RunningTdSandbox
    from runner.sandbox.td_settings import TdSandboxSettings

_OVER_LIMIT = ("429", "400", "accept")
_ANSWERS = ("200", "201", "bare-array", "no-id")
_REHEARSALS = "sandbox"  # the folder of rehearsals within a project's state
_TD_KEY = f"1/{0:040d}"  # of the right shape; the sandbox takes any


@click.command(name="sandbox")
@click.option("--port", type=click.IntRange(0, 65535), default=0, help="The port; 0 takes a free one.")
@click.option("--latency", default="0ms", show_default=True, help="Time to answer: 300ms, 300ms+-20ms.")
@click.option("--fault", "faults", multiple=True, metavar="NAME[:WHEN][:ARG]", help="A fault; repeatable.")
@click.option("--limit", default="5", show_default=True, help="Messages a second, or `none`.")
@click.option(
    "--over-limit", type=click.Choice(_OVER_LIMIT), default="429", help="The answer over the limit."
)
@click.option("--answer", type=click.Choice(_ANSWERS), default="200", help="The shape of a success.")
@click.option("--strict-templates", is_flag=True, help="Refuse an unknown template at once.")
@click.option("--templates", type=click.Path(path_type=Path), help="A JSON file of templates to serve.")
@click.option("--sender", "senders", multiple=True, help="A business number it serves; repeatable.")
@click.option("--record", type=click.Path(path_type=Path), help="Append one JSON line per arrival to it.")
@click.option("--webhook", metavar="URL", help="Tell this URL what becomes of messages, as ADA does.")
@click.option("--seed", type=int, default=0, show_default=True, help="Fixes every random choice.")
@click.option("--td-port", type=click.IntRange(0, 65535), default=0, help="Treasure Data's port.")
@click.option(
    "--td-fault", "td_faults", multiple=True, metavar="NAME[@CALL][:WHEN][:ARG]", help="A fault; repeatable."
)
@click.option("--td-job-seconds", type=float, default=0.0, help="How long each of its jobs runs.")
@click.option("--no-td", is_flag=True, help="Serve ADA's API alone.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON line with its URLs when ready.")
def command(as_json: bool, no_td: bool, **options: Any) -> None:  # noqa: ANN401 - click's options by name
    """Serve ADA's and Treasure Data's API on this machine until Ctrl-C. Nothing reaches a phone.

    ADA's never de-duplicates, so that a double send shows. Treasure Data's has the project's data folder as
    its databases. Point a project at them with the variables it prints. Faults: see docs/sandbox.md.
    """
    from runner.sandbox.serving import serve

    project = _project()
    settings = _settings(options, project)
    if no_td:
        serve(settings, lambda running: _ready(running, None, as_json=as_json))
        return
    from runner.sandbox.td_serving import serve_both

    # Outside of a project nothing is kept.
    scratch = None if project else Path(tempfile.mkdtemp(prefix="runner-sandbox."))
    try:
        td = _td_settings(options, project, scratch or Path.cwd())
        serve_both(settings, td, lambda running, other: _ready(running, other, as_json=as_json))
    finally:
        if scratch is not None:
            shutil.rmtree(scratch, ignore_errors=True)


def _project() -> Project | None:
    """Return the project around, where there is one."""
    from runner.project_file import find_project_root, load_project

    try:
        return load_project(find_project_root(Path.cwd()))
    except UsageError:
        return None


def _td_settings(options: Mapping[str, Any], project: Project | None, scratch: Path) -> TdSandboxSettings:
    """Serve what a rehearsal works on: the same data, and the same store of what was written."""
    from runner.cli.workplace import td_sandbox_settings
    from runner.sandbox.td_faults import parse_td_fault
    from runner.sandbox.td_settings import TdSandboxSettings

    settings = TdSandboxSettings(data=Path.cwd() / "data", store=scratch)
    if project is not None:
        settings = td_sandbox_settings(replace(project, state=project.state / _REHEARSALS))
    return replace(
        settings,
        port=options["td_port"],
        faults=tuple(parse_td_fault(fault) for fault in options["td_faults"]),
        job_seconds=options["td_job_seconds"],
        seed=options["seed"],
    )


def _settings(options: Mapping[str, Any], project: Project | None) -> SandboxSettings:
    from runner.sandbox.faults import parse_fault
    from runner.sandbox.settings import AnswerShape, OverLimit, SandboxSettings, parse_latency

    settings = SandboxSettings(
        port=options["port"],
        latency=parse_latency(options["latency"]),
        faults=tuple(parse_fault(fault) for fault in options["faults"]),
        limit=_limit(options["limit"]),
        over_limit=OverLimit(options["over_limit"]),
        answer=AnswerShape(options["answer"]),
        strict_templates=options["strict_templates"],
        templates=options["templates"],
        record_file=options["record"],
        seed=options["seed"],
        webhook=options["webhook"],
    )
    return _with_project(settings, options["senders"], project)


def _with_project(
    settings: SandboxSettings, senders: tuple[str, ...], project: Project | None
) -> SandboxSettings:
    """Take senders and templates from the project around, where there is one and nothing else was said."""
    if senders:
        settings = replace(settings, senders=senders)
    if project is None:
        return settings
    own = tuple(provider.sender for provider in project.providers.values())
    return replace(
        settings,
        senders=senders or own or settings.senders,
        templates=settings.templates or project.sandbox_templates,
    )


def _limit(text: str) -> float | None:
    if text.lower() == "none":
        return None
    try:
        return float(text)
    except ValueError:
        raise UsageError(f"the limit {text!r} is not a number", hint="--limit 5, or --limit none") from None


def _ready(running: RunningSandbox, td: RunningTdSandbox | None, *, as_json: bool) -> None:
    if as_json:
        urls = {
            "url": running.url,
            "page": running.page_url,
            "messages": running.messages_url,
            "stats": running.stats_url,
            "td_url": td.url if td else None,
        }
        output.show(json.dumps({"format": output.FORMAT, **urls}))
        return
    output.show(f"ADA sandbox at {running.url} (nothing reaches a phone)")
    output.show(f"  export ADA_API_URL={running.url} ADA_API_KEY=a.b.c")
    output.show(f"  what arrived: {running.page_url}")
    if td is not None:
        output.show(f"Treasure Data sandbox at {td.url}")
        variables = "TD_API_SERVER", "TD_PRESTO_API", "TD_CDP_API"
        urls_set = " ".join(f"{variable}={td.url}" for variable in variables)
        output.show(f"  export {urls_set} TD_API_KEY={_TD_KEY}")
        output.show(f"  its jobs: {td.jobs_url}")
