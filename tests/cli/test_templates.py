"""`runner templates list`: what the provider has, and what it needs to be filled."""

import json

from tests.conftest import TEMPLATES


def test_the_providers_templates_are_listed_with_what_they_need(sandbox, run):
    document = run("templates", "list", "--json").json
    assert (document["format"], document["complete"]) == (1, True)
    rows = {(row["name"], row["language"]): row for row in document["templates"]}
    promo = rows["promo", "id"]
    assert (promo["status"], promo["category"], promo["variables"]) == ("APPROVED", "MARKETING", 2)
    assert rows["paused_promo", "id"]["status"] == "PAUSED"
    assert rows["promo_image", "en"]["header"] == "image"
    assert rows["promo_image", "en"]["buttons"] == ["URL", "QUICK_REPLY", "QUICK_REPLY"]
    assert list(rows) == sorted(rows)


def test_the_text_has_one_line_for_each(sandbox, run):
    lines = run("templates", "list").out.splitlines()
    assert lines[0].split() == ["name", "language", "status", "category", "header", "variables", "buttons"]
    assert any(line.split()[:6] == ["promo", "id", "APPROVED", "MARKETING", "none", "2"] for line in lines)


def test_the_sandbox_lists_the_projects_own_without_any_key(project, run, monkeypatch):
    monkeypatch.delenv("ADA_API_KEY")
    names = {row["name"] for row in run("templates", "list", "--sandbox", "--json").json["templates"]}
    assert names >= {template["name"] for template in TEMPLATES}


def test_without_a_key_it_says_which_variable_to_set(project, sandbox, run, monkeypatch):
    monkeypatch.delenv("ADA_API_KEY")
    result = run("templates", "list")
    assert result.code == 1
    assert "ADA_API_KEY is not set" in result.err


def test_a_provider_that_runner_yml_does_not_name_is_an_error(sandbox, run):
    result = run("templates", "list", "--provider", "nobody")
    assert result.code == 1
    assert "runner.yml has no provider 'nobody'" in result.err


def test_a_file_of_templates_that_cannot_be_served_is_a_clear_error(project, run):
    project.write("templates.json", json.dumps([{"name": "evil\x1b[31m", "language": "en", "body": "x"}]))
    result = run("templates", "list", "--sandbox")
    assert result.code == 1
    assert "templates.json: template 1 has the name" in result.err
    assert "\x1b" not in result.err
