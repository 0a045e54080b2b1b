"""`runner sandbox`: the provider's API on this machine, for rehearsal: nothing reaches a phone."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from runner.cli import output
from runner.errors import UsageError

if TYPE_CHECKING:
    from runner.sandbox.serving import RunningSandbox
    from runner.sandbox.settings import SandboxSettings

_OVER_LIMIT = ("429", "400", "accept")
_ANSWERS = ("200", "201", "bare-array", "no-id")


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
@click.option("--seed", type=int, default=0, show_default=True, help="Fixes every random choice.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON line with its URLs when ready.")
def command(as_json: bool, **options: Any) -> None:  # noqa: ANN401 - click's options by name
    """Serve ADA's API on this machine until Ctrl-C. It never de-duplicates, so that a double send shows.

    Point a project at it with ADA_API_URL, and any ADA_API_KEY of three dot-separated parts. Faults: see
    docs/sandbox.md.
    """
    from runner.sandbox.serving import serve

    serve(_settings(options), lambda running: _ready(running, as_json=as_json))


def _settings(options: Mapping[str, Any]) -> SandboxSettings:
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
    )
    return _with_project(settings, options["senders"])


def _with_project(settings: SandboxSettings, senders: tuple[str, ...]) -> SandboxSettings:
    """Take senders and templates from the project around, where there is one and nothing else was said."""
    from runner.project_file import find_project_root, load_project

    if senders:
        settings = replace(settings, senders=senders)
    try:
        project = load_project(find_project_root(Path.cwd()))
    except UsageError:
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


def _ready(running: RunningSandbox, *, as_json: bool) -> None:
    if as_json:
        urls = {
            "url": running.url,
            "page": running.page_url,
            "messages": running.messages_url,
            "stats": running.stats_url,
        }
        output.show(json.dumps({"format": output.FORMAT, **urls}))
        return
    output.show(f"ADA sandbox at {running.url} (nothing reaches a phone)")
    output.show(f"  export ADA_API_URL={running.url} ADA_API_KEY=a.b.c")
    output.show(f"  what arrived: {running.page_url}")
