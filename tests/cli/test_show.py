"""`runner show`: a plan file again, as it was reviewed, or a clear word that it is damaged."""

import pytest


@pytest.fixture
def made(plan):
    return plan()


@pytest.fixture
def path(made):
    return made["path"]


def test_a_plan_is_shown_as_it_was_when_it_was_made(project, sandbox, run):
    shown = run("plan", "promo.yml", "-o", "my.plan")
    again = run("show", "my.plan")
    assert again.code == 0
    assert again.out == shown.out


def test_json_is_the_summary_that_plan_prints(made, run, path):
    assert run("show", path, "--json").json == {"format": 1, "plans": [made]}


def test_markdown_is_a_comment_for_a_pull_request(run, path):
    assert run("show", path, "--markdown").out.startswith("### `promo` · 2 to send\n")


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
