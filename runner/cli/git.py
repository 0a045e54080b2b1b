"""What git says: which commit a plan was made from, and whether files are merged to a branch."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path, PurePosixPath

from runner.plan import Git
from runner.project import MergedTo


def git_state(root: Path) -> Git | None:
    """Return the commit of the work tree at `root` and whether it has changes; None outside git."""
    commit = _ask(root, "rev-parse", "HEAD")
    if commit is None:
        return None
    return Git(commit=commit, dirty=bool(_ask(root, "status", "--porcelain")))


def why_not_merged(root: Path, files: Sequence[PurePosixPath], to: MergedTo) -> str | None:
    """Say why `files` (relative to `root`) are not as merged; None when they are. Nothing is fetched.

    Their bytes have to be those of HEAD, whatever git was told to overlook, and HEAD has to be on the branch
    as this clone knows it.
    """
    if _ask(root, "rev-parse", "HEAD") is None:
        return "the project is in no git repository with a commit"
    for file in files:
        if _committed(root, file) != (root / file).read_bytes():
            return f"{file} is not as committed"
    branch = f"refs/remotes/{to.remote}/{to.branch}"
    if _ask(root, "rev-parse", "--verify", "--quiet", f"{branch}^{{commit}}") is None:
        return f"{to} is not known here: fetch it"
    if _ask(root, "merge-base", "--is-ancestor", "HEAD", branch) is None:
        is_shallow = _ask(root, "rev-parse", "--is-shallow-repository") == "true"
        return f"HEAD is not in {to}" + (": this clone is shallow, and may not see it" if is_shallow else "")
    return None


def _committed(root: Path, file: PurePosixPath) -> bytes | None:
    """Return the bytes of a file as HEAD has them, None where it has none."""
    return _run(root, "cat-file", "blob", f"HEAD:./{file}")


def _ask(root: Path, *arguments: str) -> str | None:
    """Return what git answers; None when it says no, or is not there."""
    said = _run(root, *arguments)
    return None if said is None else said.decode("utf-8", "replace").strip()


def _run(root: Path, *arguments: str) -> bytes | None:
    git = shutil.which("git")
    if git is None:
        return None
    # The project's own hooks and configuration must not run while a plan is made from someone's branch.
    command = [git, "-c", "core.fsmonitor=false", "-c", "core.hooksPath=/dev/null", *arguments]
    try:
        result = subprocess.run(  # noqa: S603 - git by its full path, arguments of our own
            command, cwd=root, capture_output=True, timeout=10, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return result.stdout if result.returncode == 0 else None
