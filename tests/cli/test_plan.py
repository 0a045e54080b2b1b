"""`runner plan`: who would get what, shown and frozen; every bad input named, nothing ever sent."""

import json
import sqlite3
import subprocess
import zipfile
from datetime import datetime, timedelta, timezone
from zoneinfo import ZoneInfo

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.conftest import CAMPAIGN, KEY, RUNNER_YML, mobiles, people

SUMMARY = {
    "campaign",
    "occurrence",
    "digest",
    "path",
    "rows",
    "to_send",
    "already_sent",
    "rejected",
    "duration_seconds",
}
MESS = [
    ("c1", "0812-3000-0001", "Ayu", "true"),
    ("c2", "+62 812 3000 0002", "Budi", "yes"),
    ("c3", "", "Citra", "true"),
    ("c4", "12345", "Dewi", "true"),
    ("c5", "021 5550 1234", "Eko", "true"),
    ("c6", "0812-3000-0006", "Fitri", "false"),
    ("c7", "6281230000001", "Ayu again", "true"),
]


def written_plans(project):
    return list(project.root.rglob("*.plan"))


def refused(result, *words, code=1):
    """Assert an expected failure: one clear message, no traceback, nothing on stdout but JSON."""
    assert result.code == code, result.err
    assert "Traceback" not in result.err
    for word in words:
        assert word in result.err
    return result


# What a plan says


def test_json_has_every_key_that_the_issue_names(project, sandbox, run):
    result = run("plan", "promo.yml", "--json")
    (summary,) = result.json["plans"]
    assert result.json["format"] == 1
    assert set(summary) >= SUMMARY
    assert (summary["rows"], summary["to_send"], summary["already_sent"]) == (2, 2, 0)
    assert summary["occurrence"] == "once"
    assert len(summary["digest"]) == 64


def test_every_row_has_one_account(project, plan):
    project.people(MESS)
    summary = plan()
    assert summary["rejected"] == {
        "missing_phone": 1,
        "invalid_phone": 1,
        "not_mobile": 1,
        "no_consent": 1,
        "duplicate_phone": 1,
    }
    assert summary["rows"] == 7 == summary["to_send"] + sum(summary["rejected"].values())


def test_a_plan_sends_nothing_and_writes_nothing_to_the_ledger(project, sandbox, run):
    assert run("plan", "promo.yml").code == 0
    assert sandbox.stats()["total"] == 0
    assert not (project.root / ".runner/ledger.db").exists()


def test_the_same_world_gives_the_same_digest_and_another_row_another_one(project, plan):
    first, second = plan(), plan()
    project.people(people(3))
    assert first["digest"] == second["digest"] != plan()["digest"]


def test_a_newer_plan_takes_the_place_of_the_older_one(project, plan):
    plan()
    project.people(people(3))
    newer = plan()["path"]
    assert written_plans(project) == [project.root / newer]


def test_the_text_shows_accounts_reasons_the_whole_message_and_times(project, sandbox, run):
    project.people(MESS)
    text = run("plan", "promo.yml").out
    assert "7  rows in the segment" in text
    assert "2  to send" in text
    assert "1 no_consent" in text
    assert "did not agree to messages" in text
    assert "Halo A**, pakai kode LEBARAN25 hari ini." in text
    assert "6281****0001" in text


def test_the_duration_is_that_of_the_senders_rate(project, sandbox, run):
    project.write("runner.yml", RUNNER_YML % {"url": sandbox.url, "rate": "5/s"})
    project.people(people(51))
    (summary,) = run("plan", "promo.yml", "--json").json["plans"]
    assert summary["duration_seconds"] == 10.0
    starts, ends = (datetime.fromisoformat(summary[key]) for key in ("starts_at", "ends_at"))
    assert ends - starts == timedelta(seconds=10)


def test_a_campaign_with_at_says_when_it_is_due(project, plan):
    project.campaign(CAMPAIGN + "schedule: {at: 2099-03-20T10:00, timezone: Asia/Jakarta}\n")
    summary = plan()
    assert summary["due_at"] == summary["starts_at"] == "2099-03-20T03:00:00+00:00"
    assert summary["occurrence"] == "once"


def test_a_campaign_with_cron_is_planned_for_its_next_firing(project, plan):
    project.campaign(CAMPAIGN + 'schedule: {cron: "0 10 * * MON", timezone: Asia/Jakarta}\n')
    due = datetime.fromisoformat(plan()["due_at"])
    local = due.astimezone(ZoneInfo("Asia/Jakarta"))
    assert (local.weekday(), local.hour, local.minute) == (0, 10, 0)
    assert timedelta(0) <= due - datetime.now(timezone.utc) <= timedelta(days=7)


WEEKLY = CAMPAIGN + 'schedule: {cron: "0 10 * * MON", timezone: Asia/Jakarta}\n'


def test_a_firing_that_has_passed_is_planned_by_its_moment(project, plan):
    project.campaign(WEEKLY)
    assert plan("--occurrence", "2026-11-16T10:00+07:00")["occurrence"] == "2026-11-16T03:00Z"


def test_a_moment_at_which_a_campaign_does_not_fire_is_refused(project, sandbox, run):
    project.campaign(WEEKLY)
    result = run("plan", "promo.yml", "--occurrence", "2026-11-16T04:00Z")
    refused(result, "does not fire at 2026-11-16T04:00:00Z", "0 10 * * MON", code=4)


@pytest.mark.parametrize(
    ("moment", "says"), [("monday", "is no moment"), ("2026-11-16T03:00", "has no time zone")]
)
def test_an_occurrence_that_is_no_moment_is_a_clear_error(project, sandbox, run, moment, says):
    project.campaign(WEEKLY)
    refused(run("plan", "promo.yml", "--occurrence", moment), says, "2026-11-30T02:00Z")


def test_an_occurrence_of_a_campaign_that_fires_once_is_a_clear_error(project, sandbox, run):
    refused(run("plan", "promo.yml", "--occurrence", "2026-11-16T03:00Z"), "fires once")


def test_a_plan_remembers_the_commit_and_whether_it_had_changes(project, plan):
    def git(*arguments):
        command = ["git", "-c", "user.name=t", "-c", "user.email=t@example.com", *arguments]
        subprocess.run(command, cwd=project.root, check=True, capture_output=True)

    git("init", "-q")
    git("add", "runner.yml", "promo.yml", "data", "templates.json")
    git("commit", "-qm", "first")
    project.write(".gitignore", ".runner\n")
    git("add", ".gitignore")
    git("commit", "-qm", "second")
    clean = plan()
    project.campaign(CAMPAIGN.replace("LEBARAN25", "LEBARAN26"))
    changed = plan()
    assert clean["git"]["commit"] == changed["git"]["commit"]
    assert (clean["git"]["dirty"], changed["git"]["dirty"]) == (False, True)


def test_phones_are_masked_in_every_output(project, sandbox, run):
    phones = mobiles(2)
    for arguments in ((), ("--json",), ("--markdown",)):
        result = run("plan", "promo.yml", *arguments)
        assert not any(phone in result.out + result.err for phone in phones)
        assert "6281****0000" in result.out


def test_the_plan_json_inside_the_file_holds_no_personal_data(project, plan):
    path = plan()["path"]
    with zipfile.ZipFile(path) as archive:
        text = archive.read("plan.json").decode()
    assert "Ayu" not in text
    assert not any(phone in text for phone in mobiles(2))


def test_the_plan_file_is_for_its_owner_only(project, plan):
    path = project.root / plan()["path"]
    assert path.stat().st_mode & 0o777 == 0o600
    assert path.parent.stat().st_mode & 0o777 == 0o700


# Options


def test_detailed_exitcode_is_2_with_something_to_send_and_0_without(project, sandbox, run):
    assert run("plan", "promo.yml").code == 0
    assert run("plan", "promo.yml", "--detailed-exitcode").code == 2
    project.people([])
    assert run("plan", "promo.yml", "--detailed-exitcode").code == 0


def test_out_writes_the_plan_there_and_nowhere_else(project, sandbox, run):
    result = run("plan", "promo.yml", "-o", "out/my.plan", "--json")
    assert result.json["plans"][0]["path"] == "out/my.plan"
    assert written_plans(project) == [project.root / "out/my.plan"]
    assert run("apply", "out/my.plan", "--auto-approve").code == 0
    assert len(sandbox.accepted()) == 2


def test_out_takes_one_campaign_only(project, sandbox, run):
    project.campaign(name="campaigns/a.yml")
    project.campaign(CAMPAIGN.replace("campaign: promo", "campaign: other"), name="campaigns/b.yml")
    refused(run("plan", "campaigns", "-o", "x.plan"), "-o takes one campaign")
    assert not written_plans(project)


def test_out_into_a_folder_that_is_a_file_is_a_clear_error(project, sandbox, run):
    result = run("plan", "promo.yml", "-o", "promo.yml/x.plan")
    refused(result, "promo.yml/x.plan: the plan cannot be written")


def test_a_folder_plans_all_of_its_campaigns(project, sandbox, run):
    project.campaign(name="campaigns/a.yml")
    project.campaign(CAMPAIGN.replace("campaign: promo", "campaign: other"), name="campaigns/deep/b.yml")
    plans = run("plan", "campaigns", "--json").json["plans"]
    assert [plan["campaign"] for plan in plans] == ["promo", "other"]
    assert len(written_plans(project)) == 2


def test_a_folder_without_a_campaign_is_an_error(project, sandbox, run):
    refused(run("plan", "data"), "there is no campaign file in data")


def test_one_campaign_that_fails_does_not_keep_the_others_from_their_plan(project, sandbox, run):
    project.campaign(CAMPAIGN.replace("people.csv", "nobody.csv"), name="campaigns/a.yml")
    project.campaign(CAMPAIGN.replace("campaign: promo", "campaign: other"), name="campaigns/b.yml")
    result = run("plan", "campaigns", "--json")
    assert result.code == 1
    assert [plan["campaign"] for plan in result.json["plans"]] == ["other"]
    (error,) = result.json["errors"]
    assert (error["campaign"], "nobody.csv" in error["message"]) == ("promo", True)
    assert "runner: promo: segment query: there is no data file" in result.err
    comment = run("plan", "campaigns", "--markdown").out
    assert "### `promo` · not planned\n\n> segment query" in comment
    assert "### `other` ·" in comment


def test_sandbox_plans_need_no_key_and_leave_the_real_accounts_alone(project, run, monkeypatch):
    monkeypatch.delenv("ADA_API_KEY")
    result = run("plan", "promo.yml", "--sandbox", "--json")
    assert result.code == 0, result.err
    assert "/.runner/sandbox/plans/" in result.json["plans"][0]["path"]
    assert not (project.root / ".runner/plans").exists()
    assert (project.root / ".runner").stat().st_mode & 0o777 == 0o700
    assert (project.root / ".runner/sandbox").stat().st_mode & 0o777 == 0o700


# The template and its variables


def test_a_template_that_is_not_there_asks_whether_a_near_one_was_meant(project, sandbox, run):
    project.campaign(CAMPAIGN.replace("{name: promo,", "{name: pormo,"))
    refused(run("plan", "promo.yml"), "template `pormo` is not among", "did you mean", "promo")
    assert not written_plans(project)


def test_a_template_in_another_language_only_says_which(project, sandbox, run):
    project.campaign(CAMPAIGN.replace("language: id", "language: en"))
    refused(run("plan", "promo.yml"), "`promo` is not there in the language `en`", "`id`")


def test_a_paused_template_cannot_be_planned(project, sandbox, run):
    project.campaign(CAMPAIGN.replace("{name: promo,", "{name: paused_promo,"))
    refused(run("plan", "promo.yml"), "its status is PAUSED, not APPROVED", "paused for its quality")
    assert not written_plans(project)


def test_too_few_variables_name_the_placeholder_that_nothing_fills(project, sandbox, run):
    project.campaign(CAMPAIGN.replace("  - text: LEBARAN25\n", ""))
    refused(run("plan", "promo.yml"), "has 2 placeholders", "nothing fills {{2}}")


def test_too_many_variables_are_counted(project, sandbox, run):
    project.campaign(CAMPAIGN + "  - text: one more\n")
    refused(run("plan", "promo.yml"), "has 2 placeholders and `variables` has 3: 1 too many")


# The segment


@pytest.mark.parametrize(
    "change",
    [("phone: phone", "phone: fone"), ("column: name", "column: nama"), ("consent: consent", "consent: ok")],
)
def test_a_column_that_the_query_does_not_return_is_named(project, sandbox, run, change):
    project.campaign(CAMPAIGN.replace(*change))
    refused(run("plan", "promo.yml"), f"`{change[1].split(': ')[1]}`", "hint:")
    assert not written_plans(project)


@pytest.mark.parametrize("column", ["PHONE", "Phone"])
def test_columns_are_found_whatever_their_case(project, plan, column):
    project.campaign(CAMPAIGN.replace("phone: phone", f"phone: {column}"))
    assert plan()["to_send"] == 2


@pytest.mark.parametrize(
    ("query", "says"),
    [
        ("SELECT 1; SELECT 2", "one statement"),
        ("DELETE FROM 'data/people.csv'", "DELETE"),
        ("SELECT * FROM '/etc/passwd'", "only files under the data folder"),
    ],
)
def test_a_query_that_is_not_one_harmless_select_is_refused_by_its_rule(project, sandbox, run, query, says):
    project.campaign(CAMPAIGN.replace("SELECT * FROM 'data/people.csv'", json.dumps(query)))
    result = refused(run("plan", "promo.yml"))
    assert says.lower() in result.err.lower()
    assert (project.root / "data/people.csv").exists()


def test_a_data_file_that_is_missing_is_named(project, sandbox, run):
    (project.root / "data/people.csv").unlink()
    refused(run("plan", "promo.yml"), "data/people.csv")


def test_a_data_file_that_is_corrupt_is_named(project, sandbox, run):
    project.write("data/people.parquet", "PAR1 this is no parquet file PAR1")
    project.campaign(CAMPAIGN.replace("people.csv", "people.parquet"))
    refused(run("plan", "promo.yml"), "data/people.parquet")


def test_zero_rows_are_a_plan_with_nothing_to_send_and_a_note(project, plan):
    project.people([])
    summary = plan()
    assert (summary["rows"], summary["to_send"]) == (0, 0)
    assert summary["notes"] == ["the segment query returned no rows"]


def test_every_row_rejected_is_a_plan_with_nothing_to_send_and_a_note(project, plan):
    project.people([("c1", "nothing", "Ayu", "true"), ("c2", "081230000001", "Budi", "no")])
    summary = plan()
    assert summary["to_send"] == 0
    assert summary["rejected"] == {"invalid_phone": 1, "no_consent": 1}
    assert summary["notes"] == ["every row was rejected: nobody is left to send to"]


def parquet(project, **columns):
    pq.write_table(pa.table(columns), project.root / "data/people.parquet")
    project.campaign(CAMPAIGN.replace("people.csv", "people.parquet"))


def test_names_of_every_kind_are_sent_as_they_are_or_rejected_for_their_reason(project, plan, apply, sandbox):
    good = ["Ayu 🌙👩‍👩‍👧", "محمد علي", "שָׁלוֹם", "山田 太郎", "O'Brien; DROP TABLE x", "{{1}} <b>|`"]
    bad = ["Ayu\nBudi", "Ayu\tBudi", "x" * 5000, "\u202egnp.exe", "a     b"]
    names = [*good, *bad]
    parquet(
        project,
        id=[f"c{n}" for n in range(len(names))],
        phone=mobiles(len(names)),
        name=names,
        consent=[True] * len(names),
    )
    summary = plan()
    assert (summary["to_send"], summary["rejected"]) == (len(good), {"bad_variable": len(bad)})
    assert apply()["accepted"] == len(good)
    values = [message["body"][0] for message in sandbox.messages()]
    assert sorted(values) == sorted(good)


@pytest.mark.parametrize(
    ("kind", "written"),
    [
        (pa.int64(), [6281230000001, 81230000002]),
        (pa.float64(), [6281230000001.0, 81230000002.0]),
    ],
)
def test_phones_as_numbers_are_read_to_the_last_digit(project, plan, apply, sandbox, kind, written):
    parquet(
        project,
        id=pa.array([1, 2]),
        phone=pa.array(written, kind),
        name=["Ayu", None],
        consent=[1, 1],
    )
    assert plan()["to_send"] == 2
    apply()
    assert sorted(sandbox.accepted()) == ["6281230000001", "6281230000002"]


# Guards


def test_over_max_recipients_the_plan_is_shown_and_refused_and_not_written(project, sandbox, run):
    project.campaign(CAMPAIGN + "guards: {max_recipients: 1}\n")
    result = refused(run("plan", "promo.yml"), "max_recipients 1 (found 2)", "no plan was written", code=4)
    assert "2  rows in the segment" in result.out
    assert not written_plans(project)


def test_over_max_rejected_the_plan_is_refused(project, sandbox, run):
    project.campaign(CAMPAIGN + "guards: {max_rejected: 30%}\n")
    project.people(MESS)
    result = run("plan", "promo.yml", "--json")
    (summary,) = result.json["plans"]
    assert result.code == 4
    assert summary["path"] is None
    assert summary["guards"] == [
        {"name": "max_rejected", "limit": "30%", "found": "5 (71.4%)", "exceeded": True}
    ]
    assert not written_plans(project)


def test_at_the_limit_a_guard_holds(project, plan):
    project.campaign(CAMPAIGN + "guards: {max_recipients: 2, max_rejected: 0%}\n")
    assert [guard["exceeded"] for guard in plan()["guards"]] == [False, False]


def test_a_plan_refused_by_a_guard_leaves_the_older_one_in_place(project, sandbox, run):
    project.campaign(CAMPAIGN + "guards: {max_recipients: 2}\n")
    assert run("plan", "promo.yml").code == 0
    project.people(people(3))
    assert run("plan", "promo.yml").code == 4
    assert len(written_plans(project)) == 1


# The provider


def test_a_missing_key_says_which_variable_to_set(project, sandbox, run, monkeypatch):
    monkeypatch.delenv("ADA_API_KEY")
    refused(run("plan", "promo.yml"), "ADA_API_KEY is not set", "--sandbox")


@pytest.mark.parametrize("key", ["wrong", "a.b"])
def test_a_wrong_key_is_told_and_never_shown(project, sandbox, run, monkeypatch, key):
    secret = f"{key}-s3cret"
    monkeypatch.setenv("ADA_API_KEY", secret)
    result = refused(run("plan", "promo.yml", "--json"), "key")
    assert secret not in result.out + result.err
    assert not written_plans(project)


def test_a_provider_that_is_down_is_one_clear_line(project, run):
    result = refused(run("plan", "promo.yml"), "no connection to 127.0.0.1:", "Connection refused", "hint:")
    assert KEY not in result.err
    assert not written_plans(project)


def test_a_sender_that_the_provider_does_not_know_is_told(project, sandbox, run):
    text = (RUNNER_YML % {"url": sandbox.url, "rate": "5/s"}).replace("60110000001", "60119999999")
    project.write("runner.yml", text)
    refused(run("plan", "promo.yml"), "no WhatsApp account with the number 6011****999")


def test_an_address_without_https_would_let_the_key_be_read(project, run, monkeypatch):
    monkeypatch.setenv("ADA_API_URL", "http://example.com")
    refused(run("plan", "promo.yml"), "without https")


# The ledger and the lists, as a plan reads them


def test_a_ledger_of_a_newer_version_is_refused_and_left_alone(project, sandbox, run):
    (project.root / ".runner").mkdir(mode=0o700)
    path = project.root / ".runner/ledger.db"
    with sqlite3.connect(path) as connection:
        connection.execute("CREATE TABLE schema_migrations (version INTEGER, name TEXT, applied_at REAL)")
        connection.execute("INSERT INTO schema_migrations VALUES (999, 'x', 0)")
    connection.close()
    before = path.read_bytes()
    refused(run("plan", "promo.yml"), "schema 999, of a newer version")
    assert path.read_bytes() == before


def test_a_suppression_list_that_is_no_text_is_named(project, sandbox, run):
    (project.root / "never.csv").write_bytes(b"\xff\xfe6\x002\x00\n\x00" * 3)
    project.write(
        "runner.yml", RUNNER_YML % {"url": sandbox.url, "rate": "5/s"} + "suppression: [never.csv]\n"
    )
    refused(run("plan", "promo.yml"), "never.csv")
    assert not written_plans(project)


def test_lines_of_a_list_that_are_no_phone_are_counted_in_a_note(project, sandbox, plan):
    project.write("never.csv", "phone\n081230000000\nAyu,081230000001\n12\n\n")
    project.write(
        "runner.yml", RUNNER_YML % {"url": sandbox.url, "rate": "5/s"} + "suppression: [never.csv]\n"
    )
    summary = plan()
    assert summary["rejected"] == {"suppressed": 1}
    assert summary["notes"] == ["2 lines of the suppression lists are no valid phone, and suppress nobody"]


# Markdown, as a comment under a pull request


def test_markdown_shows_counts_reasons_guards_and_samples(project, sandbox, run):
    project.people(MESS)
    project.campaign(CAMPAIGN + "guards: {max_rejected: 80%}\n")
    text = run("plan", "promo.yml", "--markdown").out
    assert "| **to send** | 2 |" in text
    assert "`no_consent`: did not agree to messages | 1 |" in text
    assert "| `max_rejected` | 80% | 5 (71.4%) | ok |" in text
    assert "Halo A**, pakai kode LEBARAN25 hari ini." in text
    assert "Ayu" not in text
    assert "Budi" not in text
