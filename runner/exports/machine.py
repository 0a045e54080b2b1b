"""What cron and systemd share: a machine that keeps its disk, a command, and a file with its environment."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from runner.campaign import Campaign
from runner.errors import UsageError
from runner.exports.unattended import secrets_of, settings_of
from runner.project import Project

_ENVIRONMENT = """\
# The environment of `runner tick`: fill in what is needed, and keep this file to yourself (mode 0600).
# Both a shell and systemd read it: put every value between single quotes.
{lines}
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Machine:
    """`command` runs `runner` (absolute), in the folder `root`; `environment` is the file of its secrets.

    A tick comes `every` so many minutes, a divisor of 60.
    """

    root: Path
    command: tuple[str, ...]
    environment: Path
    every: int

    def __post_init__(self) -> None:
        """Check that all can stand in one line of a file. UsageError where a path cannot."""
        for text in (str(self.root), *self.command, str(self.environment)):
            if not text.isprintable():
                raise UsageError(f"the path {text!r} cannot be written in one line", hint="rename the folder")


def environment_text(campaigns: Sequence[Campaign], project: Project) -> str:
    """Return the file of the environment, every value empty."""
    names = [*settings_of(campaigns, project), *secrets_of(campaigns, project)]
    return _ENVIRONMENT.format(lines="\n".join(f"{name}=''" for name in names))
