"""What a TD Workflow task runs: install the product, apply one campaign, end green or red.

`runner export td-workflow` copies this file into the project that it writes, so it needs nothing but Python.
`main` is what `py>` calls (reference/treasure-data.md §3.5). Which campaign it is stands in td_workflow.json.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
SETTINGS = "td_workflow.json"

#: Seconds to wait before pip is tried once more, and how long one try may take.
_WAITS = (5.0, 20.0)
_PIP_SECONDS = 900.0
_TIMED_OUT = 124
_UNSETTLED = 3

#: exit code of `runner apply` -> what a person reads in the task's error (the README has the codes).
_REASONS = {
    1: "an error: its message stands above, in the task's log",
    2: "an error: its message stands above, in the task's log",
    3: "some messages have an unknown outcome, or the log is not complete: see `runner status`",
    4: "refused before anything was sent: the reason stands above, in the task's log",
    5: "the sending stopped at a guard or its window: a second attempt goes on where it stopped",
    130: "interrupted: a second attempt goes on where it stopped",
}


class CampaignError(Exception):
    """The attempt is red; the message is the one line that the console shows."""


def main(params: Mapping[str, Any] | None = None, session_time: str | None = None) -> None:
    """Plan and apply the campaign. CampaignError when the attempt is to be red.

    `params` are given to the campaign as `--param`. `session_time`, which digdag gives to every task, says
    which firing of a schedule this is, however late the attempt is: so a second one goes on with the same.
    """
    settings = json.loads((HERE / SETTINGS).read_text(encoding="utf-8"))
    sys.stderr.write(f"{settings['campaign']}, exported from: {settings['commit']}\n")
    _install()
    command = [sys.executable, "-m", "runner", "apply", settings["campaign"], "--auto-approve"]
    for name, value in (params or {}).items():
        command += ["--param", f"{name}={_written(value)}"]
    if settings["scheduled"] and session_time:
        command += ["--occurrence", _occurrence(session_time)]
    _end(_run(command), settings)


def _install() -> None:
    """Install what requirements.txt names; an index that does not answer is asked three times.

    Without root's rights pip itself installs for the user.
    """
    pip = [sys.executable, "-m", "pip", "install", "--quiet"]
    files = ["-r", "requirements.txt", "-c", "constraints.txt"]
    for wait in (*_WAITS, None):
        code = _run([*pip, *files], _PIP_SECONDS)
        if code == 0:
            return
        if wait is not None:
            time.sleep(wait)
    raise CampaignError(f"pip failed three times (exit {code}): nothing was sent; start the attempt again")


def _run(command: Sequence[str], seconds: float | None = None) -> int:
    """Run a command in the project's folder, its output in the task's log; return its exit code."""
    try:
        return subprocess.run(command, cwd=HERE, timeout=seconds, check=False).returncode  # noqa: S603 - no shell
    except subprocess.TimeoutExpired:
        return _TIMED_OUT


def _end(code: int, settings: Mapping[str, Any]) -> None:
    if code == 0:
        return
    reason = _REASONS.get(code, "it was killed: a second attempt goes on where it stopped")
    line = f"{settings['campaign']}: runner apply ended with {code}: {reason}"
    if code == _UNSETTLED and settings["unsettled"] == "green":
        sys.stderr.write(f"{line}\n")
        return
    raise CampaignError(line)


def _written(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _occurrence(session_time: str) -> str:
    """Return the session's moment as the ledger names occurrences: 2026-11-30T02:00Z."""
    moment = datetime.fromisoformat(session_time.replace("Z", "+00:00"))
    return f"{moment.astimezone(timezone.utc):%Y-%m-%dT%H:%MZ}"
