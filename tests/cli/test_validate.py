"""`runner validate`: every problem of every file, each at file:line:column."""

import os
import subprocess
import sys
import time

import pytest

from tests.conftest import CAMPAIGN


def test_a_sound_campaign_has_no_problems(project, run):
    result = run("validate", "promo.yml")
    assert (result.code, result.out, result.err) == (0, "1 campaign file: no problems\n", "")
    assert run("validate", "promo.yml", "--json").json == {"format": 1, "files": 1, "problems": []}


def test_every_problem_of_every_file_is_listed_at_its_place(project, run):
    project.campaign(CAMPAIGN.replace("variables:", "varaibles:"), name="c/a.yml")
    twice_wrong = CAMPAIGN.replace("consent: consent}", "concent: x}").replace("name: promo,", "")
    project.campaign(twice_wrong, name="c/b.yml")
    result = run("validate", "c")
    assert (result.code, result.out) == (1, "")
    lines = result.err.splitlines()
    assert lines[0].startswith("c/a.yml:7:1: varaibles: ")
    assert "did you mean" in lines[0].lower()
    assert sum(line.startswith("c/b.yml:5:") for line in lines) >= 1
    assert sum(line.startswith("c/b.yml:6:") for line in lines) >= 1
    assert lines[-1] == f"{len(lines) - 1} problems in 2 files"


def test_json_has_each_problem_with_its_place_and_words(project, run):
    project.campaign(CAMPAIGN.replace("language: id}", "language: 5}"))
    result = run("validate", "promo.yml", "--json")
    assert result.code == 1
    (problem,) = result.json["problems"]
    assert (problem["file"], problem["line"], problem["path"]) == ("promo.yml", 6, "template.language")
    assert set(problem) == {"file", "line", "column", "path", "found", "expected", "hint"}


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "empty"),
        ("campaign: x\n\tsegment: y\n", "tab"),
        ("- a\n- b\n", "list"),
        ("campaign: 5\n", "5"),
    ],
)
def test_a_file_that_is_no_campaign_is_told_why(project, run, text, says):
    (project.root / "bad.yml").write_text(text)
    result = run("validate", "bad.yml")
    assert result.code == 1
    assert result.err.startswith("bad.yml:")
    assert says in result.err
    assert "Traceback" not in result.err


def test_two_campaigns_may_not_have_one_name(project, run):
    project.campaign(name="c/a.yml")
    project.campaign(name="c/b.yml")
    result = run("validate", "c")
    assert result.code == 1
    assert 'c/b.yml:1:1: campaign: found "promo", the name of c/a.yml' in result.err


def test_a_problem_of_runner_yml_is_listed_too(project, run):
    project.write("runner.yml", "providers: {ada: {sender: 5}}\nsupression: []\n")
    result = run("validate", "promo.yml", "--json")
    assert result.code == 1
    assert {problem["file"].rpartition("/")[2] for problem in result.json["problems"]} == {"runner.yml"}


def test_it_needs_neither_key_nor_data_nor_state(project, run, monkeypatch):
    monkeypatch.delenv("ADA_API_KEY")
    (project.root / "data/people.csv").unlink()
    assert run("validate", "promo.yml").code == 0
    assert not (project.root / ".runner").exists()


def test_files_are_found_from_another_folder(project, run, tmp_path_factory, monkeypatch):
    monkeypatch.chdir(tmp_path_factory.mktemp("elsewhere"))
    assert run("validate", str(project.root)).out == "1 campaign file: no problems\n"


def test_a_path_that_leads_nowhere_is_an_error(project, run):
    result = run("validate", "nowhere")
    assert result.code == 1
    assert "there is no file or folder nowhere" in result.err


def test_two_hundred_files_are_checked_in_one_go(project):
    for number in range(200):
        text = CAMPAIGN.replace("campaign: promo", f"campaign: promo_{number}")
        project.campaign(text, name=f"many/{number}.yml")
    began = time.monotonic()
    command = [sys.executable, "-m", "runner", "validate", "many"]
    result = subprocess.run(command, cwd=project.root, capture_output=True, text=True, env=os.environ)
    assert result.stdout == "200 campaign files: no problems\n"
    # A benchmark holds the figure (2 s on a quiet machine); this holds the order of it on a busy one.
    assert time.monotonic() - began < 20


@pytest.mark.parametrize("path", ["empty", "data"])
def test_a_folder_without_any_campaign_is_an_error(project, run, path):
    (project.root / "empty").mkdir()
    result = run("validate", path)
    assert result.code == 1
    assert f"no campaign file in {path}" in result.err
