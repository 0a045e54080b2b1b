"""A project -> the line of a crontab that runs `runner tick` every few minutes."""

from __future__ import annotations

import shlex

from runner.exports.machine import Machine
from runner.exports.marked_files import MARK

_TEXT = """\
{mark}cron`. Add it to your own crontab:
#     (crontab -l; cat {file}) | crontab -
# A tick plans and applies whatever is due, and ends. Ticks may overlap: the ledger lets a message leave once.
# What a tick says goes to the system's log, under the name runner-tick.
{schedule} {command}
"""


def crontab_text(machine: Machine, file: str) -> str:
    """Return the text of the crontab's part; `file` is its own name, for whoever adds it."""
    return _TEXT.format(
        mark=MARK,
        file=shlex.quote(file),
        schedule=f"*/{machine.every} * * * *" if machine.every > 1 else "* * * * *",
        command=_escaped(_command(machine)),
    )


def _command(machine: Machine) -> str:
    """Return one line for sh: the secrets come from a file, as arguments of a process can be seen by all."""
    environment = shlex.quote(str(machine.environment))
    tick = shlex.join([*machine.command, "tick"])
    inside = f"cd {shlex.quote(str(machine.root))} && set -a && . {environment} && set +a && {tick}"
    return f"{{ {inside}; }} 2>&1 | logger -t runner-tick"


def _escaped(command: str) -> str:
    """Return the command as cron takes it: a bare `%` would end it."""
    return command.replace("%", r"\%")
