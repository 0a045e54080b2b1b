"""`runner show`: a plan file again, as it was reviewed, or a clear word that it is damaged."""

import json

import pytest

from ..conftest import CAMPAIGN


@pytest.fixture
def path(project, plan):
    return plan()["path"]


def test_a_plan_is_shown_as_it_was_when_it_was_made(project, sandbox, run):
    shown = run("plan", "promo.yml")
    again = run("show", *map(str, (project.root / ".runner/plans").glob("*.plan")))
    assert again.code == 0
    assert again.out == shown.out


def test_json_is_the_summary_that_plan_prints(plan, run, path):
    document = run("show", path, "--json").json
    assert document["format"] == 1
    assert document["plans"] == [plan()]


def test_markdown_is_the_comment_that_plan_prints(sandbox, run, path):
    assert run("show", path, "--markdown").out == run("plan", "promo.yml", "--markdown").out


def test_a_plan_is_shown_outside_its_project_and_without_its_key(run, path, tmp_path_factory, monkeypatch):
    monkeypatch.chdir(tmp_path_factory.mktemp("elsewhere"))
    monkeypatch.delenv("ADA_API_KEY")
    assert run("show", path).code == 0


def test_a_plan_that_was_edited_is_not_shown(project, run, path):
    data = bytearray((project.root / path).read_bytes())
    data[data.index(b'"to_send": 2') + 11] = ord("3")
    (project.root / path).write_bytes(data)
    result = run("show", path, "--json")
    assert result.code == 1
    assert "Traceback" not in result.err
    assert path in result.json["error"]["message"]
    assert "runner plan" in result.json["error"]["hint"]


@pytest.mark.parametrize("length", [0, 1, 30, 1000])
def test_a_plan_cut_short_is_not_shown(project, run, path, length):
    file = project.root / path
    file.write_bytes(file.read_bytes()[:length])
    result = run("show", path)
    assert result.code == 1
    assert "is not a whole plan file" in result.err


def test_a_plan_that_is_not_there_says_how_to_make_one(run, project):
    result = run("show", "no.plan")
    assert result.code == 1
    assert "no.plan: there is no such plan" in result.err
    assert "make one with `runner plan`" in result.err


def test_a_folder_is_no_plan(run, project):
    result = run("show", "data")
    assert result.code == 1
    assert "Traceback" not in result.err


def test_control_characters_of_a_campaign_do_not_reach_the_terminal(project, plan, run):
    project.campaign(CAMPAIGN.replace("text: LEBARAN25", "text: ok") + f"description: {json.dumps('x' * 60)}\n")
    shown = run("show", plan()["path"]).out
    assert "\x1b" not in shown
