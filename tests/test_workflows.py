"""The GitHub workflows and the pre-commit hook: sound by their schemas, safe, and doing what they say."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).resolve().parent.parent
WORKFLOWS = sorted((ROOT / ".github/workflows").glob("*.yml"))
BIN = Path(sys.executable).parent


def load(path):
    return yaml.safe_load(path.read_text(encoding="utf-8"))


def steps(path):
    return [step for job in load(path)["jobs"].values() for step in job["steps"]]


def step(name):
    return next(one for one in steps(ROOT / ".github/workflows/campaigns.yml") if one.get("name") == name)


def test_the_workflows_are_what_githubs_schema_says():
    command = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", "vendor.github-workflows"]
    result = subprocess.run([*command, *map(str, WORKFLOWS)], capture_output=True, text=True)
    assert len(WORKFLOWS) >= 2
    assert result.returncode == 0, result.stdout


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.stem)
def test_every_action_is_pinned_to_one_commit(path):
    used = re.findall(r"uses: (\S+) *(#.*)?", path.read_text(encoding="utf-8"))
    assert used
    for action, version in used:
        assert re.fullmatch(r"actions/[a-z-]+@[0-9a-f]{40}", action)
        assert re.fullmatch(r"# v\d+\.\d+\.\d+", version)


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.stem)
def test_nothing_of_a_pull_request_becomes_part_of_a_command(path):
    for one in steps(path):
        assert "${{" not in one.get("run", "")


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.stem)
def test_no_workflow_may_more_than_it_needs_or_knows_a_secret(path):
    text = path.read_text(encoding="utf-8")
    workflow = load(path)
    assert "secrets." not in text
    assert "pull_request_target" not in text
    assert "permissions" in workflow
    for job in workflow["jobs"].values():
        granted = {**workflow["permissions"], **job.get("permissions", {})}
        assert set(granted.items()) <= {("contents", "read"), ("pull-requests", "write")}
        assert job["timeout-minutes"]


def test_the_job_that_may_write_runs_nothing_of_the_branch():
    comment = load(ROOT / ".github/workflows/campaigns.yml")["jobs"]["comment"]
    assert comment["permissions"] == {"pull-requests": "write"}
    used = [one["uses"].partition("@")[0] for one in comment["steps"] if "uses" in one]
    assert used == ["actions/download-artifact"]


def test_ci_runs_every_supported_python():
    matrix = load(ROOT / ".github/workflows/ci.yml")["jobs"]["test"]["strategy"]["matrix"]
    text = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    assert matrix["python"] == re.findall(r"Python :: (3\.\d+)", text)


# The review of a campaign, run as it stands in the workflow


@pytest.fixture
def branch(tmp_path):
    """A clone of a project with the example campaigns, on a branch, and git within it."""
    for name in ("campaigns", "data", "lists"):
        shutil.copytree(ROOT / name, tmp_path / name, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "runner.yml", tmp_path)
    (tmp_path / ".gitignore").write_text(".runner/\n")

    def git(*arguments):
        options = ["-c", "user.name=t", "-c", "user.email=t@example.com", "-c", "commit.gpgsign=false"]
        result = subprocess.run(
            ["git", *options, *arguments], cwd=tmp_path, check=True, capture_output=True, text=True
        )
        return result.stdout.strip()

    git("init", "-q", "-b", "main")
    git("add", ".")
    git("commit", "-qm", "base")
    return tmp_path, git, git("rev-parse", "HEAD")


def review(root, base):
    """Run the workflow's own script; return its exit code, the summary, and what it said."""
    summary = root / ".runner-summary.md"
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith("ADA_")},
        "PATH": f"{BIN}:{os.environ['PATH']}",
        "BASE": base,
        "GITHUB_STEP_SUMMARY": str(summary),
    }
    script = step("Plan the campaigns that change")["run"]
    result = subprocess.run(
        ["bash", "-e", "-c", script], cwd=root, env=environment, capture_output=True, text=True, timeout=120
    )
    text = summary.read_text(encoding="utf-8") if summary.exists() else ""
    return result.returncode, text, result.stderr


def test_only_the_campaigns_that_a_branch_changes_are_planned_and_no_file_name_is_run(branch):
    root, git, base = branch
    path = root / "campaigns/order_update.yml"
    text = path.read_text(encoding="utf-8")
    path.write_text(text.replace("default: there", "default: you"), encoding="utf-8")
    hostile = root / "campaigns/$(touch pwned)`touch pwned`; touch pwned #.yml"
    hostile.write_text(text.replace("order_update_2026_11", "other"), encoding="utf-8")
    git("add", ".")
    git("commit", "-qm", "change")
    code, summary, said = review(root, base)
    assert code == 0, said
    assert sorted(re.findall(r"^### `(\w+)` · 1,711 to send$", summary, re.MULTILINE)) == [
        "order_update_2026_11",
        "other",
    ]
    assert not list(root.rglob("pwned"))


def test_a_plan_that_is_refused_fails_the_check_and_is_still_shown(branch):
    root, git, base = branch
    path = root / "campaigns/order_update.yml"
    path.write_text(path.read_text(encoding="utf-8").replace("2500", "10"), encoding="utf-8")
    git("commit", "-qam", "too few allowed")
    code, summary, _ = review(root, base)
    assert code == 4
    assert "refused by a guard" in summary


def test_a_branch_that_only_removes_a_campaign_has_nothing_to_plan(branch):
    root, git, base = branch
    git("rm", "-q", "campaigns/order_update.yml")
    git("commit", "-qm", "gone")
    assert review(root, base)[:2] == (0, "No campaign is left to plan.\n")


def test_a_change_of_what_campaigns_share_plans_them_all(branch):
    root, git, base = branch
    with (root / "lists/never.csv").open("a", encoding="utf-8") as stream:
        stream.write("+6591234567\n")
    git("commit", "-qam", "one more")
    code, summary, said = review(root, base)
    assert code == 0, said
    files = {path.stem for path in (root / "campaigns").glob("*.yml")}
    assert set(re.findall(r"`campaigns/(\w+)\.yml` · commit", summary)) == files
    assert len(re.findall(r"^### `", summary, re.MULTILINE)) == len(files) == 7


# The pre-commit hook


def test_the_hook_validates_campaign_files():
    (hook,) = load(ROOT / ".pre-commit-hooks.yaml")
    assert hook["id"] == "runner-validate"
    assert (hook["entry"], hook["language"]) == ("runner validate", "python")
    assert set(hook) <= {"id", "name", "description", "entry", "language", "files", "require_serial"}
    matches = re.compile(hook["files"]).search
    assert matches("campaigns/lebaran_promo.yml")
    assert matches("campaigns/2026/a.yaml")
    assert not matches("runner.yml")
    assert not matches("docs/campaigns/a.yml")


def test_the_hook_finds_a_problem_of_a_commit(branch):
    root, _, _ = branch
    (root / "campaigns/order_update.yml").write_text("campaign: 5\n", encoding="utf-8")
    (hook,) = load(ROOT / ".pre-commit-hooks.yaml")
    command = [str(BIN / "runner"), *hook["entry"].split()[1:], "campaigns/order_update.yml"]
    result = subprocess.run(command, cwd=root, capture_output=True, text=True)
    assert result.returncode == 1
    assert result.stderr.startswith("campaigns/order_update.yml:1:")
