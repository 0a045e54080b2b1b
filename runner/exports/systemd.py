"""A project -> the service and the timer of systemd that run `runner tick` every few minutes."""

from __future__ import annotations

import re
from pathlib import Path

from runner.exports.machine import Machine
from runner.exports.marked_files import MARK

SERVICE = "runner-tick.service"
TIMER = "runner-tick.timer"

_PLAIN = re.compile(r"[\w/.@+-]+")
_SERVICE = """\
{mark}systemd`. Change the project, and export again with --force: an edit here is lost.
# A tick plans and applies whatever is due, and ends. The next begins only after it: see docs/scheduling.md.
[Unit]
Description=runner: plan and apply whatever is due in {root}
After=network-online.target
Wants=network-online.target

[Service]
Type=oneshot
User={user}
WorkingDirectory={root}
EnvironmentFile={environment}
ExecStart={command} tick
# A stop finishes what is in flight: as long as the provider may take to answer. The tick passes it on to its
# processes; a second one would end them at once.
KillMode=mixed
TimeoutStopSec=120
UMask=0077
NoNewPrivileges=yes
ProtectSystem=strict
ReadWritePaths={writable}
PrivateTmp=yes
"""
_TIMER = """\
{mark}systemd`. Change the project, and export again with --force: an edit here is lost.
[Unit]
Description=runner: tick every {every} min

[Timer]
OnCalendar=*:0/{every}
AccuracySec=10s
# After the machine was off, tick at once: what was missed meanwhile is made up for, or recorded.
Persistent=true

[Install]
WantedBy=timers.target
"""


def unit_texts(machine: Machine, *, user: str, writable: tuple[Path, ...]) -> dict[str, str]:
    """Return the units by their name. `user` runs the ticks, `writable` are the folders they write."""
    service = _SERVICE.format(
        mark=MARK,
        root=_escaped(str(machine.root)),
        user=user,
        environment=_escaped(str(machine.environment)),
        command=_command(machine),
        writable=" ".join(_word(str(path)) for path in writable),
    )
    return {SERVICE: service, TIMER: _TIMER.format(mark=MARK, every=machine.every)}


def _command(machine: Machine) -> str:
    """Return the command; systemd starts none with a quote or a `$` in its name, but env does."""
    words = [*machine.command]
    if not _PLAIN.fullmatch(words[0]):
        words.insert(0, "/usr/bin/env")
    return " ".join(_word(word).replace("$", "$$") for word in words)


def _escaped(text: str) -> str:
    """Return a text in which systemd finds no specifier."""
    return text.replace("%", "%%")


def _word(text: str) -> str:
    """Return one word of a list, in quotes where it holds what would end it."""
    escaped = _escaped(text).replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"' if set(escaped) & set(" '\"\\;#") else escaped
