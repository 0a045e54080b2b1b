from __future__ import annotations

import json

import pytest
import yaml

from runner.cli import export
from runner.plan import Git

RUNNER_YML = """\
ledger: postgresql://runner@db.example.com/runner
providers:
  ada: {sender: "60110000001", rate: "5/s"}
"""

VIP = """\
campaign: vip
segment: {source: treasure_data, database: crm, table: vips}
recipient: {id: id, phone: phone, region: ID, consent: consent}
template: {name: promo, language: id}
guards: {max_recipients: 100}
"""


@pytest.fixture
def vip(project, monkeypatch):
    monkeypatch.delenv("TD_SITE", raising=False)
    project.write("runner.yml", RUNNER_YML)
    return project.write("campaigns/vip.yml", VIP)


def test_a_project_is_written_and_the_next_step_is_said(vip, project, run):
    result = run("export", "td-workflow", "campaigns/vip.yml")
    assert result.code == 0, result.err
    assert result.out == "td-workflow/vip: 8 files\n"
    assert "README.md" in result.err
    assert (project.root / "td-workflow/vip/vip.dig").is_file()


@pytest.mark.parametrize(
    ("environment", "site"),
    [
        ({}, "us01"),
        ({"TDX_SITE": "jp01"}, "jp01"),
        ({"TD_SITE": "tokyo"}, "jp01"),
        ({"TD_API_SERVER": "https://api.eu01.treasuredata.com"}, "eu01"),
    ],
)
def test_the_workflow_asks_the_site_that_this_machine_would(
    vip, project, run, monkeypatch, environment, site
):
    monkeypatch.setenv("HOME", str(project.root))
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    assert run("export", "td-workflow", "campaigns/vip.yml").code == 0
    written = yaml.safe_load((project.root / "td-workflow/vip/vip.dig").read_text())
    assert written["+campaign"]["_env"]["TD_SITE"] == site


def test_the_site_of_td_conf_counts_too_and_an_unknown_one_is_refused(vip, project, run, monkeypatch):
    monkeypatch.setenv("HOME", str(project.root))
    project.write(".td/td.conf", "[account]\nendpoint = https://api.treasuredata.co.jp\n")
    assert run("export", "td-workflow", "campaigns/vip.yml").code == 0
    assert "jp01" in (project.root / "td-workflow/vip/vip.dig").read_text()
    monkeypatch.setenv("TD_SITE", "nowhere")
    refused = run("export", "td-workflow", "campaigns/vip.yml", "--force")
    assert refused.code == 1
    assert "there is no Treasure Data site 'nowhere'" in refused.err


def test_the_document_names_folder_and_files(vip, project, run):
    document = run("export", "td-workflow", "campaigns/vip.yml", "-o", "out", "--json").json
    assert document == {
        "format": 1,
        "campaign": "vip",
        "folder": "out",
        "files": [
            "README.md",
            "campaigns/vip.yml",
            "constraints.txt",
            "requirements.txt",
            "run_campaign.py",
            "runner.yml",
            "td_workflow.json",
            "vip.dig",
        ],
    }


def test_addresses_come_from_the_environment_and_keys_never_do(vip, project, run, monkeypatch):
    monkeypatch.setenv("ADA_API_URL", "https://ada.example.com")
    monkeypatch.setenv("TD_SITE", "jp01")
    monkeypatch.setenv("TD_API_KEY", f"1/{'a' * 40}")
    assert run("export", "td-workflow", "campaigns/vip.yml", "-o", "out", "--image", "a/b:1").code == 0
    task = yaml.safe_load((project.root / "out/vip.dig").read_text())["+campaign"]
    assert task["docker"] == {"image": "a/b:1"}
    assert task["_env"]["ADA_API_URL"] == "https://ada.example.com"
    assert task["_env"]["TD_SITE"] == "jp01"
    assert task["_env"]["TD_API_KEY"] == "${secret:td.apikey}"


def test_keys_that_are_set_here_are_passed_on_by_name(vip, project, run, monkeypatch):
    monkeypatch.setenv("RUNNER_FORGET_KEY", "f0" * 32)
    monkeypatch.setenv("RUNNER_PLAN_KEY", " ")
    assert run("export", "td-workflow", "campaigns/vip.yml", "-o", "out").code == 0
    environment = yaml.safe_load((project.root / "out/vip.dig").read_text())["+campaign"]["_env"]
    assert environment["RUNNER_FORGET_KEY"] == "${secret:runner.forget_key}"
    assert "RUNNER_PLAN_KEY" not in environment


@pytest.mark.parametrize(
    ("git", "is_told"),
    [(None, True), (Git(commit="c0", dirty=True), True), (Git(commit="c0", dirty=False), False)],
)
def test_what_is_not_a_commit_is_exported_and_said(vip, run, monkeypatch, git, is_told):
    monkeypatch.setattr(export, "git_state", lambda root: git)
    result = run("export", "td-workflow", "campaigns/vip.yml")
    assert result.code == 0
    assert ("not a commit of git" in result.err) == is_told


def test_a_second_export_needs_force(vip, project, run):
    arguments = ("export", "td-workflow", "campaigns/vip.yml", "-o", "out")
    run(*arguments)
    result = run(*arguments)
    assert (result.code, result.out) == (1, "")
    assert "not empty" in result.err
    assert "--force" in result.err
    assert run(*arguments, "--force", "--unsettled", "green").code == 0
    assert json.loads((project.root / "out/td_workflow.json").read_text())["unsettled"] == "green"


def test_a_refusal_writes_nothing(vip, project, run):
    project.write("campaigns/vip.yml", VIP.replace("guards: {max_recipients: 100}\n", ""))
    result = run("export", "td-workflow", "campaigns/vip.yml")
    assert (result.code, result.out) == (1, "")
    assert "max_recipients" in result.err
    assert not (project.root / "td-workflow").exists()


def test_one_campaign_is_exported_at_a_time(vip, project, run):
    project.write("campaigns/other.yml", VIP.replace("vip\n", "other\n"))
    result = run("export", "td-workflow", "campaigns")
    assert (result.code, result.out) == (1, "")
    assert "2 campaigns" in result.err


def test_a_wheel_is_a_wheel(vip, project, run):
    wheel = project.write("campaign_runner-0.1.0-py3-none-any.whl", "PK")
    assert run("export", "td-workflow", "campaigns/vip.yml", "--wheel", str(wheel)).code == 0
    first = (project.root / "td-workflow/vip/requirements.txt").read_text().splitlines()[0]
    assert first == f"./{wheel.name}[postgres]"
    result = run("export", "td-workflow", "campaigns/vip.yml", "--wheel", "runner.yml")
    assert "is not a wheel" in result.err
