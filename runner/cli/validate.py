"""`runner validate`: check campaign files; every problem of every file, each at file:line:column."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import click

from runner.cli import output
from runner.cli.campaigns import load_campaigns
from runner.errors import ExitCode, FileProblems, Problem, UsageError


@click.command(name="validate")
@click.argument("paths", nargs=-1, required=True, type=click.Path(path_type=Path), metavar="PATH...")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
def command(paths: tuple[Path, ...], as_json: bool) -> int:
    """Check campaign files and folders of them. Nothing is queried and nothing is sent."""
    from runner.campaign_file import find_campaign_files
    from runner.project_file import find_project_root, load_project

    files = find_campaign_files(paths)
    try:
        project = load_project(find_project_root(files[0] if files else Path.cwd()))
        _, problems = load_campaigns(files, project)
    except FileProblems as error:
        problems = list(error.problems)
    if not files and not problems:
        where = ", ".join(map(output.shown, paths))
        raise UsageError(f"no campaign file in {where}", hint="name a campaign file, or a folder of them")
    _show(files, problems, as_json=as_json)
    return ExitCode.ERROR if problems else ExitCode.DONE


def _show(files: Sequence[Path], problems: Sequence[Problem], *, as_json: bool) -> None:
    if as_json:
        output.show_json({"files": len(files), "problems": [_document(problem) for problem in problems]})
        return
    for problem in problems:
        output.say(str(problem))
    if problems:
        output.say(f"{_count(problems, 'problem')} in {_count(files, 'file')}")
    else:
        output.show(f"{_count(files, 'campaign file')}: no problems")


def _count(things: Sequence[object], name: str) -> str:
    return f"{len(things)} {name}{'' if len(things) == 1 else 's'}"


def _document(problem: Problem) -> dict[str, object]:
    return {
        "file": problem.position.file,
        "line": problem.position.line,
        "column": problem.position.column,
        "path": problem.path,
        "found": problem.found,
        "expected": problem.expected,
        "hint": problem.hint,
    }
