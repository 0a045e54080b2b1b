"""What counts as merged: real repositories, a real remote, and every way not to be merged."""

import subprocess
from pathlib import PurePosixPath

import pytest

from runner.cli.git import why_not_merged
from runner.project import MergedTo

MAIN = MergedTo(remote="origin", branch="main")
FILES = [PurePosixPath("runner.yml"), PurePosixPath("campaigns/x.yml")]


def git(folder, *arguments):
    who = ("-c", "user.name=ada", "-c", "user.email=ada@example.com", "-c", "commit.gpgsign=false")
    subprocess.run(["git", *who, *arguments], cwd=folder, check=True, capture_output=True)


@pytest.fixture
def clone(tmp_path):
    """A project in a folder of a clone, all of it merged to the remote's main branch."""
    git(tmp_path, "init", "--quiet", "--bare", "--initial-branch=main", "remote.git")
    git(tmp_path, "clone", "--quiet", "remote.git", "clone")
    root = tmp_path / "clone" / "project"
    (root / "campaigns").mkdir(parents=True)
    for file in FILES:
        (root / file).write_text("a: 1\n")
    git(root, "checkout", "--quiet", "-B", "main")
    git(root, "add", ".")
    git(root, "commit", "--quiet", "-m", "first")
    git(root, "push", "--quiet", "origin", "main")
    return root


def why(root):
    return why_not_merged(root, FILES, MAIN)


def test_what_is_on_the_remotes_branch_is_merged_also_from_an_older_commit_of_it(clone):
    assert why(clone) is None
    (clone / "other.txt").write_text("x")
    git(clone, "add", ".")
    git(clone, "commit", "--quiet", "-m", "second")
    git(clone, "push", "--quiet", "origin", "main")
    git(clone, "checkout", "--quiet", "HEAD~1")
    assert why(clone) is None


def test_other_files_may_be_dirty_but_not_these(clone):
    (clone / "notes.txt").write_text("x")
    assert why(clone) is None
    (clone / FILES[1]).write_text("a: 2\n")
    assert why(clone) == "campaigns/x.yml is not as committed"
    git(clone, "add", ".")
    assert why(clone) == "campaigns/x.yml is not as committed"


def test_a_change_that_git_was_told_to_overlook_is_found(clone):
    for flag in ("--assume-unchanged", "--skip-worktree"):
        git(clone, "update-index", flag, "campaigns/x.yml")
        (clone / FILES[1]).write_text("a: 2\n")
        assert why(clone) == "campaigns/x.yml is not as committed"


def test_an_ignored_or_untracked_file_is_not_merged(clone):
    (clone / ".gitignore").write_text("new.yml\n")
    (clone / "new.yml").write_text("a: 1\n")
    assert why_not_merged(clone, [PurePosixPath("new.yml")], MAIN) == "new.yml is not as committed"


def test_a_commit_that_was_not_pushed_or_is_on_another_branch_is_not_merged(clone):
    git(clone, "checkout", "--quiet", "-b", "feature")
    (clone / FILES[1]).write_text("a: 2\n")
    git(clone, "commit", "--quiet", "-am", "second")
    assert why(clone) == "HEAD is not in origin/main"
    git(clone, "push", "--quiet", "origin", "feature")
    assert why(clone) == "HEAD is not in origin/main"
    git(clone, "push", "--quiet", "origin", "feature:main")
    assert why(clone) is None


def test_without_the_branch_or_without_git_nothing_is_merged(clone, tmp_path):
    assert why_not_merged(clone, FILES, MergedTo(remote="origin", branch="live")) == (
        "origin/live is not known here: fetch it"
    )
    assert why(tmp_path) == "the project is in no git repository with a commit"


def test_a_shallow_clone_of_the_branchs_end_is_merged_and_one_that_cannot_see_says_so(clone, tmp_path):
    url = f"file://{tmp_path / 'remote.git'}"
    git(tmp_path, "clone", "--quiet", "--depth", "1", url, "shallow")
    shallow = tmp_path / "shallow/project"
    assert why(shallow) is None
    (clone / "other.txt").write_text("x")
    git(clone, "add", ".")
    git(clone, "commit", "--quiet", "-m", "second")
    git(clone, "push", "--quiet", "origin", "main")
    git(shallow, "fetch", "--quiet", "--depth", "1", "origin", "+main:refs/remotes/origin/main")
    assert why(shallow) == "HEAD is not in origin/main: this clone is shallow, and may not see it"


def test_hooks_and_helpers_of_the_repository_do_not_run(clone, tmp_path):
    trap = tmp_path / "trap"
    script = clone.parent / ".git/helper"
    script.write_text(f"#!/bin/sh\ntouch {trap}\n")
    script.chmod(0o755)
    git(clone, "config", "filter.trap.clean", str(script))
    git(clone, "config", "filter.trap.smudge", str(script))
    (clone / ".gitattributes").write_text("*.yml filter=trap\n")
    assert why(clone) is None
    assert not trap.exists()
