"""A project -> a workflow of GitHub Actions that runs `runner tick` every few minutes, and what it installs.

GitHub starts scheduled workflows on the default branch alone, often minutes late, and most often at the full
hour. A machine of theirs forgets its disk, and is taken away after six hours.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from runner.campaign import Campaign
from runner.errors import UsageError
from runner.exports.marked_files import MARK
from runner.exports.requirements import pins
from runner.exports.unattended import (
    ENCRYPTION,
    check_logs,
    check_shared_ledger,
    extras_of,
    secrets_of,
    settings_of,
)
from runner.project import Project

WORKFLOW = PurePosixPath(".github/workflows/runner-tick.yml")
#: What the workflow installs, beside the workflow.
FOLDER = PurePosixPath(".github/runner-tick")

_MARK = f"{MARK}github-actions`."
_MACHINE = "a machine of GitHub's"
#: Between the full hour and the first tick, in minutes: GitHub starts least on time at the full hour.
_OFFSET = 3
_TEXT = """\
{mark} Change the campaigns, and export again with --force: an edit here is lost.
# A tick plans and applies whatever is due, and ends. Ticks may overlap: the ledger lets a message leave once.
# One that GitHub ends after its six hours is gone on with by the next.
name: runner-tick

on:
  schedule:
    - cron: "{offset}-59/{every} * * * *"
  workflow_dispatch:

permissions: {{}}

jobs:
  tick:
    runs-on: ubuntu-24.04
    timeout-minutes: 350
    permissions:
      contents: read
    steps:
      # Whole, because an approval by merge asks git whether the commit is on the default branch.
      - uses: actions/checkout@11bd71901bbe5b1630ceea73d27597364c9af683 # v4.2.2
        with:
          fetch-depth: 0
          persist-credentials: false
      - uses: actions/setup-python@a26af69be951a213d495a4c3e4e4022e16d87065 # v5.6.0
        with:
          python-version: "3.12"
          cache: pip
          cache-dependency-path: {folder}/*.txt
      - name: Install runner
        working-directory: {folder}
        run: pip install --requirement requirements.txt --constraint constraints.txt
      - name: Tick
        working-directory: {project}
        run: runner tick
        env:
{environment}
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """`repository` is the folder that holds `.git`, around the project. A tick comes `every` so many minutes.

    `wheel` is the product's, to be copied in; None for the package index.
    """

    repository: Path
    every: int
    wheel: Path | None = None


def export_files(campaigns: Sequence[Campaign], project: Project, options: Options) -> dict[Path, bytes]:
    """Return the files of the export by their absolute path.

    Errors: UsageError when the ledger or a log would be lost, or a file would hold a secret.
    """
    check_shared_ledger(project.ledger, _MACHINE, "the workflow has it as the secret PGPASSWORD")
    for campaign in campaigns:
        check_logs(campaign, _MACHINE)
    wheel = options.wheel
    pinned = pins(wheel.name if wheel else None, extras_of(campaigns) | {ENCRYPTION})
    folder = options.repository / FOLDER
    return {
        options.repository / WORKFLOW: _workflow(campaigns, project, options).encode(),
        folder / "requirements.txt": _lines(pinned.requirements),
        folder / "constraints.txt": _lines(pinned.constraints),
        **({folder / wheel.name: wheel.read_bytes()} if wheel else {}),
    }


def _workflow(campaigns: Sequence[Campaign], project: Project, options: Options) -> str:
    secrets = {name: f"${{{{ secrets.{name} }}}}" for name in secrets_of(campaigns, project)}
    settings = {name: f"${{{{ vars.{name} }}}}" for name in settings_of(campaigns, project)}
    return _TEXT.format(
        mark=_MARK,
        offset=_OFFSET,
        every=options.every,
        folder=FOLDER,
        project=_quoted(project.root.relative_to(options.repository).as_posix()),
        environment="\n".join(
            f"          {name}: {value}" for name, value in {**settings, **secrets}.items()
        ),
    )


def _quoted(text: str) -> str:
    """Return a path as YAML takes it, whatever is in it. UsageError for what GitHub would take further."""
    if "${{" in text or not text.isprintable():
        raise UsageError(f"the path {text!r} cannot be written into a workflow", hint="rename the folder")
    if text.replace("/", "").replace("_", "").replace("-", "").replace(".", "").isalnum() or text == ".":
        return text
    return "'" + text.replace("'", "''") + "'"


def _lines(lines: Sequence[str]) -> bytes:
    return "".join(f"{line}\n" for line in (_MARK, *lines)).encode()
