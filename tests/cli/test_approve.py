"""`runner approve`: who approved which definition, when, and what changed since."""

import json
import subprocess

import pytest

from tests.cli.test_git import git
from tests.conftest import CAMPAIGN, RUNNER_YML

CRON = "schedule: {cron: '0 10 * * MON', timezone: Asia/Jakarta}\n"


@pytest.fixture
def approve(project, sandbox, run, monkeypatch):
    """Approve the project's campaign, and return its entry."""
    monkeypatch.setenv("LOGNAME", "dewi")
    project.campaign(CAMPAIGN + CRON)

    def approve(*arguments):
        result = run("approve", "promo.yml", "--json", *(arguments or ("--auto-approve",)))
        document = result.json
        assert document["exit_code"] == result.code
        (entry,) = document["campaigns"]
        return {**entry, "err": result.err, "code": result.code}

    return approve


def test_the_first_approval_shows_all_of_the_definition_and_the_next_one_what_changed(approve, project):
    first = approve()
    assert (first["code"], first["approved"], first["is_new"], first["last"]) == (0, True, True, None)
    assert "never approved before" in first["err"]
    assert '+ schedule.cron: "0 10 * * MON"' in first["err"]
    assert '+ template promo (id): body: "Halo {{1}}, pakai kode {{2}} hari ini."' in first["err"]
    assert "the next firing is at " in first["err"]
    again = approve()
    assert (again["is_new"], again["changes"], again["code"]) == (False, [], 0)
    assert "nothing changed" in again["err"]
    assert again["last"]["by"] == "dewi"
    project.campaign(CAMPAIGN.replace("LEBARAN25", "LEBARAN30") + CRON)
    third = approve()
    assert third["changes"] == [{"path": "variables[1].text", "before": "LEBARAN25", "after": "LEBARAN30"}]
    assert '~ variables[1].text: "LEBARAN25" -> "LEBARAN30"' in third["err"]
    assert third["last"]["definition"] == first["definition"] != third["definition"]


def test_a_query_of_several_lines_is_shown_as_a_diff_of_lines(approve, project):
    two_lines = CAMPAIGN.replace("query: SELECT *", "query: |\n    SELECT *\n   ")
    project.campaign(two_lines + CRON)
    approve()
    project.campaign(two_lines.replace("people.csv'", "people.csv' WHERE id <> 'x'") + CRON)
    assert "      -FROM 'data/people.csv'\n      +FROM 'data/people.csv' WHERE id <> 'x'" in approve()["err"]


def test_nobody_to_confirm_approves_nothing_with_exit_4(approve, run):
    entry = approve("--sandbox")
    assert (entry["code"], entry["approved"]) == (4, False)
    assert "Nobody is here to confirm: use --auto-approve for machines" in entry["err"]
    assert run("approve", "promo", "--revoke").code == 1


def test_a_file_that_does_not_validate_is_not_approved_nor_are_the_others(approve, project, run):
    project.campaign(CAMPAIGN + "schedule: {cron: '0 10 * * MOM'}\n", name="bad.yml")
    result = run("approve", "promo.yml", "bad.yml", "--auto-approve")
    assert result.code == 1
    assert "bad.yml:10:18: schedule.cron: found" in result.err
    assert run("audit", "show", "--json").json["entries"] == []


def test_a_template_that_may_not_be_sent_is_not_approved(approve, project, run):
    project.campaign(CAMPAIGN.replace("name: promo,", "name: paused_promo,") + CRON)
    result = run("approve", "promo.yml", "--auto-approve")
    assert result.code == 1
    assert "its status is PAUSED, not APPROVED" in result.err


def test_an_approval_is_audited_with_the_commit_and_can_be_revoked_by_name_or_file(approve, project, run):
    subprocess.run(["git", "init", "--quiet"], cwd=project.root, check=True)
    git(project.root, "add", ".")
    git(project.root, "commit", "--quiet", "-m", "first")
    entry = approve()
    result = run("approve", "promo", "--revoke", "--json")
    assert result.json["campaigns"] == [{"campaign": "promo", "revoked": True}]
    assert run("approve", "promo.yml", "--revoke").err == "promo: was revoked already\n"
    approved, revoked = run("audit", "show", "--json").json["entries"]
    assert (approved["event"], approved["actor"]) == ("definition_approved", "dewi")
    assert approved["details"]["definition"] == entry["definition"]
    assert len(approved["details"]["git"]["commit"]) == 40
    assert revoked["event"] == "approval_revoked"
    again = approve()
    assert again["is_new"]
    assert "dewi approved" in again["err"]
    assert "revoked by dewi" in again["err"]
    assert again["last"]["revoked_by"] == "dewi"


def test_to_revoke_what_nobody_approved_is_an_error(approve, run):
    result = run("approve", "prommo", "--revoke")
    assert (result.code, "nobody has approved 'prommo' here" in result.err) == (1, True)


def test_where_merges_approve_the_command_says_so(approve, project, run, sandbox):
    text = RUNNER_YML % {"url": sandbox.url, "rate": "unlimited"}
    project.write("runner.yml", text + "approval: {by: default_branch, branch: live}\n")
    result = run("approve", "promo.yml", "--auto-approve", "--json")
    assert (result.code, result.json["exit_code"]) == (1, 1)
    assert "a merge to origin/live approves" in json.dumps(result.json)


@pytest.mark.parametrize(
    ("schedule", "said"),
    [
        ("", "it has no schedule, so no tick sends it"),
        (
            "schedule: {at: 2020-01-01T10:00, timezone: Asia/Jakarta}\n",
            "its last firing has passed: no tick sends it any more",
        ),
    ],
)
def test_an_approval_that_no_tick_will_use_says_so(approve, project, schedule, said):
    project.campaign(CAMPAIGN + schedule)
    assert said in approve()["err"]


def test_rehearsals_are_approved_apart(approve, run):
    assert approve("--sandbox", "--auto-approve")["is_new"]
    assert approve()["is_new"]


def test_no_text_of_a_campaign_drives_the_terminal(approve, project):
    project.campaign(CAMPAIGN + 'description: "a\\u001b[2Jb"\n' + CRON)
    assert "\x1b" not in approve()["err"]
