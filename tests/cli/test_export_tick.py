"""`runner export github-actions | cron | systemd`, from the command line to the files."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import CAMPAIGN

SCHEDULED = f'{CAMPAIGN}schedule: {{cron: "0 10 * * *", timezone: Asia/Jakarta}}\n'
GUARDED = f"{SCHEDULED}guards: {{max_recipients: 50}}\n"
ENVIRONMENT = ["ADA_API_KEY", "RUNNER_FORGET_KEY", "RUNNER_PLAN_KEY", "RUNNER_NOTIFY_URLS"]


@pytest.fixture
def promo(project):
    return project.campaign(GUARDED, "campaigns/promo.yml")


def in_github(project):
    subprocess.run(["git", "init", "-q", str(project.root)], check=True)
    text = (project.root / "runner.yml").read_text()
    project.write("runner.yml", f"ledger: postgresql://runner@db.example.com/runner\n{text}")


def test_cron_writes_a_line_and_a_file_for_its_secrets(promo, project, run):
    result = run("export", "cron")
    assert result.code == 0, result.err
    assert result.out == "cron/runner-tick.cron\n.runner/tick.env\n"
    assert "fill in .runner/tick.env" in result.err
    line = (project.root / "cron/runner-tick.cron").read_text().splitlines()[-1]
    assert line.startswith("*/5 * * * * ")
    assert f"cd {project.root} &&" in line
    environment = project.root / ".runner/tick.env"
    assert environment.stat().st_mode & 0o777 == 0o600
    lines = [line for line in environment.read_text().splitlines() if not line.startswith("#")]
    assert lines == [f"{name}=''" for name in ENVIRONMENT]


def test_systemd_writes_units_for_the_runner_that_wrote_them(promo, project, run):
    document = run("export", "systemd", "--every", "10", "-o", "units", "--json").json
    assert document == {
        "format": 1,
        "campaigns": ["promo"],
        "files": ["units/runner-tick.service", "units/runner-tick.timer", ".runner/tick.env"],
    }
    service = (project.root / "units/runner-tick.service").read_text()
    assert f"\nExecStart={Path(sys.executable).with_name('runner')} tick\n" in service
    assert f"\nReadWritePaths={project.root}\n" in service
    assert "OnCalendar=*:0/10" in (project.root / "units/runner-tick.timer").read_text()


def test_a_ledger_elsewhere_can_be_written_too(promo, project, run, tmp_path_factory):
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    text = (project.root / "runner.yml").read_text()
    project.write("runner.yml", f"ledger: sqlite:///{elsewhere}/ledger.db\n{text}")
    assert run("export", "systemd").code == 0
    service = (project.root / "systemd/runner-tick.service").read_text()
    assert f"\nReadWritePaths={project.root} {elsewhere}\n" in service


@pytest.mark.parametrize("kind", ["cron", "systemd"])
def test_secrets_that_were_filled_in_stay_and_others_are_told_of(promo, project, run, kind):
    environment = project.write("secrets/my.env", "ADA_API_KEY='k'\n")
    environment.chmod(0o644)
    result = run("export", kind, "--env-file", "secrets/my.env")
    assert result.code == 0
    assert environment.read_text() == "ADA_API_KEY='k'\n"
    assert "others may read secrets/my.env: chmod 0600 it" in result.err
    assert not (project.root / ".runner/tick.env").exists()


def test_github_actions_writes_into_the_repository(promo, project, run):
    in_github(project)
    result = run("export", "github-actions")
    assert result.out.splitlines() == [
        ".github/workflows/runner-tick.yml",
        ".github/runner-tick/requirements.txt",
        ".github/runner-tick/constraints.txt",
    ]
    assert "RUNNER_NOTIFY_URLS" in result.err
    assert "ADA_API_URL" not in result.err


def test_a_project_within_a_repository_ticks_in_its_own_folder(project, run, monkeypatch):
    in_github(project)
    text = (project.root / "runner.yml").read_text()
    project.write("inner/runner.yml", text.replace("sandbox: {templates: templates.json}", ""))
    project.campaign(GUARDED, "inner/campaigns/promo.yml")
    monkeypatch.chdir(project.root / "inner")
    assert run("export", "github-actions").code == 0
    workflow = (project.root / ".github/workflows/runner-tick.yml").read_text()
    assert "working-directory: inner\n" in workflow


def test_github_actions_needs_a_ledger_that_is_not_forgotten(promo, project, run):
    result = run("export", "github-actions")
    assert (result.code, result.out) == (1, "")
    assert "forgets its disk" in result.err
    assert "postgresql://" in result.err
    assert not (project.root / ".github").exists()


def test_a_campaign_that_nothing_guards_is_told_of(project, run):
    project.campaign(SCHEDULED, "campaigns/promo.yml")
    assert "promo has no guards.max_recipients" in run("export", "cron").err


def test_a_second_export_needs_force_where_something_changed(promo, run):
    assert run("export", "cron").code == 0
    assert run("export", "cron").code == 0
    result = run("export", "cron", "--every", "10")
    assert (result.code, result.out) == (1, "")
    assert "--force" in result.err
    assert run("export", "cron", "--every", "10", "--force").code == 0


@pytest.mark.parametrize(
    ("kind", "every"), [("cron", "7"), ("systemd", "30"), ("github-actions", "1"), ("cron", "x")]
)
def test_minutes_divide_the_hour_and_keep_firings_on_time(promo, run, kind, every):
    result = run("export", kind, "--every", every)
    assert result.code == 1
    assert "--every" in result.err


def test_campaigns_that_are_not_sound_are_not_exported(project, run):
    project.campaign("campagn: x\n", "campaigns/bad.yml")
    result = run("export", "cron")
    assert (result.code, result.out) == (1, "")
    assert not (project.root / "cron").exists()


def test_a_wheel_is_a_wheel(promo, project, run):
    in_github(project)
    assert "is not a wheel" in run("export", "github-actions", "--wheel", "runner.yml").err
