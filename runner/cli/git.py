"""Which commit a plan was made from, by asking git; a project outside git has none."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

from runner.plan import Git


def git_state(root: Path) -> Git | None:
    """Return the commit of the work tree at `root` and whether it has changes; None outside git."""
    git = shutil.which("git")
    if git is None:
        return None
    commit = _ask(git, root, "rev-parse", "HEAD")
    if commit is None:
        return None
    return Git(commit=commit, dirty=bool(_ask(git, root, "status", "--porcelain")))


def _ask(git: str, root: Path, *arguments: str) -> str | None:
    # The project's own hooks and configuration must not run while a plan is made from someone's branch.
    command = [git, "-c", "core.fsmonitor=false", "-c", "core.hooksPath=/dev/null", *arguments]
    try:
        result = subprocess.run(  # noqa: S603 - git by its full path, arguments of our own
            command, cwd=root, capture_output=True, text=True, timeout=10, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return result.stdout.strip() if result.returncode == 0 else None
