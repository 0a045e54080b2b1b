"""`runner calendar`: the coming occurrences, from files alone, with sizes from plans and the ledger."""

from datetime import datetime, timedelta, timezone

import pytest

from tests.conftest import CAMPAIGN, people

HOURLY = CAMPAIGN + 'schedule: {cron: "0 * * * *", timezone: Asia/Jakarta}\n'


@pytest.fixture
def hourly(project):
    return project.campaign(HOURLY, "campaigns/promo.yml")


def test_occurrences_are_listed_without_keys_and_without_a_ledger(hourly, project, run, monkeypatch):
    monkeypatch.delenv("ADA_API_KEY")
    document = run("calendar", "--days", "2", "--json").json
    assert document["format"] == 1
    assert len(document["occurrences"]) == 48
    first = document["occurrences"][0]
    moment = datetime.fromisoformat(first["at"].replace("Z", "+00:00"))
    assert first["campaign"] == "promo"
    assert (moment.minute, moment.tzinfo) == (0, timezone.utc)
    assert timedelta(0) < moment - datetime.now(timezone.utc) <= timedelta(hours=1)
    assert (first["messages"], first["messages_from"]) == (None, None)
    assert not (project.root / ".runner/ledger.db").exists()


def test_thirty_days_are_shown_unless_it_is_told_otherwise(hourly, run):
    assert len(run("calendar", "--json").json["occurrences"]) == 720


def test_text_is_readable_in_a_pipe(hourly, run):
    result = run("calendar", "--days", "1")
    assert (result.code, result.err) == (0, "")
    assert "\x1b[" not in result.out
    assert "60110000001 at 5/s, hours of Asia/Jakarta" in result.out
    assert "Asia/Jakarta  promo" in result.out


def test_files_and_folders_can_be_named(hourly, project, run):
    project.campaign(HOURLY.replace("campaign: promo", "campaign: other"), "elsewhere/other.yml")
    document = run("calendar", "elsewhere", "--days", "1", "--json").json
    assert {one["campaign"] for one in document["occurrences"]} == {"other"}


def test_a_project_without_the_folder_says_what_to_name(project, run):
    result = run("calendar")
    assert result.code == 1
    assert "campaigns" in result.err


def test_campaigns_that_are_not_sound_are_an_error(hourly, project, run):
    project.campaign("campagn: x\n", "campaigns/bad.yml")
    result = run("calendar")
    assert (result.code, result.out) == (1, "")
    assert "did you mean" in result.err


def test_a_campaign_without_a_time_is_named(hourly, project, run):
    project.campaign(CAMPAIGN.replace("campaign: promo", "campaign: other"), "campaigns/other.yml")
    assert run("calendar", "--days", "1", "--json").json["unscheduled"] == ["other"]


def test_sizes_are_those_of_a_plan_that_waits_and_then_of_what_was_sent(project, sandbox, run):
    project.campaign(
        CAMPAIGN + 'schedule: {cron: "* * * * *", timezone: Asia/Jakarta}\n', "campaigns/promo.yml"
    )
    project.people(people(3))
    moment = datetime.now(timezone.utc).replace(second=0, microsecond=0)
    run("plan", "campaigns", "--occurrence", moment.isoformat(), "--json")
    planned = run("calendar", "--days", "1", "--json").json["occurrences"]
    assert (planned[5]["messages"], planned[5]["messages_from"]) == (3, "plan")
    applied = run("apply", "--auto-approve")
    assert applied.code == 0, applied.err
    sent = run("calendar", "--days", "1", "--json").json["occurrences"]
    assert (sent[5]["messages"], sent[5]["messages_from"]) == (3, "ledger")


def test_a_plan_that_cannot_be_read_tells_no_size(hourly, project, run):
    project.write(".runner/plans/promo.once.c0ffee.plan", "damaged")
    result = run("calendar", "--days", "1", "--json")
    assert result.code == 0
    assert result.json["occurrences"][0]["messages"] is None
    assert "a plan tells no size" in result.err


def test_a_ledger_that_cannot_be_read_tells_no_size(hourly, project, run):
    project.write(".runner/ledger.db", "no database at all, and longer than a header of one" * 20)
    result = run("calendar", "--days", "1", "--json")
    assert result.code == 0
    assert len(result.json["occurrences"]) == 24
    assert "without the ledger" in result.err


@pytest.mark.parametrize("days", ["0", "367", "x"])
def test_days_are_from_one_to_a_year(hourly, run, days):
    result = run("calendar", "--days", days)
    assert result.code == 1
    assert "--days" in result.err
