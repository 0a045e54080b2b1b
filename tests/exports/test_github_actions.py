"""The workflow of GitHub Actions, as GitHub's own schema and a reader of crons judge it."""

from __future__ import annotations

import itertools
import subprocess
import sys
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest
import yaml
from croniter import croniter

from runner.campaign_file import load_campaign
from runner.errors import UsageError
from runner.exports.github_actions import Options, export_files
from runner.project_file import load_project
from tests.conftest import CAMPAIGN, ProjectFolder

RUNNER_YML = """\
ledger: postgresql://runner@db.example.com/runner
providers: {ada: {sender: "60110000001"}}
"""
SCHEDULED = f'{CAMPAIGN}schedule: {{cron: "0 10 * * *", timezone: Asia/Jakarta}}\n'
SECRETS = ("ADA_API_KEY", "PGPASSWORD", "RUNNER_FORGET_KEY", "RUNNER_PLAN_KEY", "RUNNER_NOTIFY_URLS")


@pytest.fixture
def export(tmp_path):
    """Return a function that exports a project in `folder` of a repository: the files by name, as text."""

    def make(text=SCHEDULED, *, runner_yml=RUNNER_YML, folder=".", every=10, wheel=None):
        project = ProjectFolder(root=tmp_path / folder)
        project.write("runner.yml", runner_yml)
        path = project.write("campaigns/promo.yml", text)
        loaded = load_project(project.root)
        options = Options(repository=tmp_path, every=every, wheel=wheel)
        files = export_files([load_campaign(path, loaded)], loaded, options)
        return {str(name.relative_to(tmp_path)): data.decode() for name, data in files.items()}

    return make


@pytest.fixture
def workflow(export):
    def make(*arguments, **options):
        return yaml.safe_load(export(*arguments, **options)[".github/workflows/runner-tick.yml"])

    return make


def steps(workflow):
    return workflow["jobs"]["tick"]["steps"]


@pytest.mark.parametrize("folder", [".", "marketing", 'it\'s 100% "#new"'])
def test_the_workflow_is_what_githubs_schema_says(export, tmp_path, folder):
    path = tmp_path / "tick.yml"
    path.write_text(export(folder=folder)[".github/workflows/runner-tick.yml"], encoding="utf-8")
    checker = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", "vendor.github-workflows"]
    result = subprocess.run([*checker, str(path)], capture_output=True, text=True)
    assert result.returncode == 0, result.stdout
    assert steps(yaml.safe_load(path.read_text(encoding="utf-8")))[-1]["working-directory"] == folder


@pytest.mark.parametrize("every", [5, 6, 10, 12, 15])
def test_ticks_come_so_many_minutes_apart_and_never_at_the_full_hour(workflow, every):
    (schedule,) = workflow(every=every)[True]["schedule"]
    start = datetime(2026, 11, 30, tzinfo=timezone.utc)
    moments = croniter(schedule["cron"], start)
    found = [moments.get_next(datetime) for _ in range(3 * 60 // every)]
    assert {after - before for before, after in itertools.pairwise(found)} == {timedelta(minutes=every)}
    assert 0 not in {moment.minute for moment in found}


def test_it_ticks_with_the_secrets_of_the_repository_and_holds_none(export, workflow, monkeypatch):
    for name in SECRETS:
        monkeypatch.setenv(name, "hunter2hunter2")
    tick = steps(workflow())[-1]
    assert tick["run"] == "runner tick"
    secrets = {name: f"${{{{ secrets.{name} }}}}" for name in SECRETS}
    assert tick["env"] == {"ADA_API_URL": "${{ vars.ADA_API_URL }}", **secrets}
    assert all("hunter2" not in text for text in export().values())


def test_treasure_datas_key_is_there_where_a_campaign_asks_it(workflow):
    log = "log: {treasure_data: {database: crm, table: whatsapp_log}}\n"
    environment = steps(workflow(SCHEDULED + log))[-1]["env"]
    assert environment["TD_API_KEY"] == "${{ secrets.TD_API_KEY }}"
    assert environment["TD_SITE"] == "${{ vars.TD_SITE }}"
    known = f"{RUNNER_YML}treasure_data: {{site: jp01}}\n"
    assert "TD_SITE" not in steps(workflow(SCHEDULED + log, runner_yml=known))[-1]["env"]


def test_the_whole_history_is_checked_out_for_an_approval_by_merge(workflow):
    checkout = steps(workflow())[0]
    assert checkout["uses"].startswith("actions/checkout@")
    assert checkout["with"] == {"fetch-depth": 0, "persist-credentials": False}


def test_it_may_read_and_nothing_else(workflow):
    found = workflow()
    assert found["permissions"] == {}
    assert found["jobs"]["tick"]["permissions"] == {"contents": "read"}
    assert all("${{" not in step.get("run", "") for step in steps(found))


def test_the_actions_are_those_of_our_own_workflow(export):
    ours = Path(__file__).parents[2].joinpath(".github/workflows/campaigns.yml").read_text(encoding="utf-8")
    for line in export()[".github/workflows/runner-tick.yml"].splitlines():
        assert "uses:" not in line or line.strip() in ours


def test_it_installs_what_the_campaigns_need(export):
    def product(text):
        return export(text)[".github/runner-tick/requirements.txt"].splitlines()[1]

    assert product(SCHEDULED).startswith("campaign-runner[encryption,postgres]==")
    with_holidays = SCHEDULED.replace("timezone:", "holidays: ID, timezone:")
    assert product(with_holidays).startswith("campaign-runner[encryption,holidays,postgres]==")
    requirements = export(with_holidays)[".github/runner-tick/requirements.txt"]
    assert "holidays==" in requirements
    assert "cryptography==" in requirements


def test_a_wheel_is_copied_and_installed_from_its_folder(export, tmp_path):
    wheel = tmp_path / "campaign_runner-0.1.0-py3-none-any.whl"
    wheel.write_bytes(b"PK")
    files = export(wheel=wheel)
    assert files[f".github/runner-tick/{wheel.name}"] == "PK"
    assert f"./{wheel.name}[encryption,postgres]" in files[".github/runner-tick/requirements.txt"]


@pytest.mark.parametrize(
    ("ledger", "words"),
    [
        ("sqlite:///.runner/ledger.db", "a machine of GitHub's forgets its disk"),
        ("postgresql://u@h/d?password=hunter2", "holds a password"),
    ],
)
def test_a_ledger_that_would_be_lost_or_told_is_refused(export, ledger, words):
    with pytest.raises(UsageError, match=words) as caught:
        export(runner_yml=RUNNER_YML.replace("postgresql://runner@db.example.com/runner", ledger))
    assert "hunter2" not in f"{caught.value} {caught.value.hint}"


def test_a_log_that_would_be_lost_is_refused(export):
    with pytest.raises(UsageError, match="its csv log would be lost, as a machine of GitHub's"):
        export(f"{SCHEDULED}log: {{csv: {{folder: out}}}}\n")


def test_a_folder_that_github_would_read_as_an_expression_is_refused(export):
    with pytest.raises(UsageError, match="cannot be written into a workflow"):
        export(folder="${{ secrets.ADA_API_KEY }}")
