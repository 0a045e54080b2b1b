"""`runner apply`: exactly what was planned, each person at most once; refused before anything leaves."""

import json
import os
import re
import signal
import sqlite3
import subprocess
import sys
import time
from collections import Counter
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from runner.ledger import sqlite
from tests.cli.conftest import accounts
from tests.conftest import CAMPAIGN, KEY, RUNNER_YML, TEMPLATES, mobiles, people

RUN = {
    "run",
    "campaign",
    "occurrence",
    "digest",
    "to_send",
    "accepted",
    "refused",
    "unknown",
    "remaining",
    "exit_code",
}


def runner_yml(project, sandbox, more="", rate="unlimited", **provider):
    text = RUNNER_YML % {"url": sandbox.url, "rate": rate}
    for key, value in provider.items():
        text = text.replace(f'rate: "{rate}"', f'rate: "{rate}", {key}: {value}')
    project.write("runner.yml", text + more)


def plan_files(project):
    return sorted((project.root / ".runner/plans").glob("*.plan"))


def ledger_rows(project, sql):
    with sqlite3.connect(f"file:{project.root}/.runner/ledger.db?mode=ro", uri=True) as connection:
        found = connection.execute(sql).fetchall()
    connection.close()
    return found


# What an apply does


def test_the_planned_people_get_their_message_and_the_accounts_say_so(plan, apply, sandbox):
    digest = plan()["digest"]
    entry = apply()
    assert set(entry) >= RUN
    assert (entry["run"], entry["campaign"], entry["occurrence"]) == (1, "promo", "once")
    assert (entry["digest"], entry["exit_code"]) == (digest, 0)
    assert accounts(entry) == (2, 2, 0, 0, 0)
    assert sorted(sandbox.accepted()) == mobiles(2)
    assert {tuple(message["body"]) for message in sandbox.messages()} == {
        ("Ayu 0", "LEBARAN25"),
        ("Ayu 1", "LEBARAN25"),
    }


def test_every_comparison_is_printed_before_the_first_message(plan, apply):
    plan()
    err = apply()["err"]
    for what in ("campaign file promo.yml", "template promo (id)", "sender 6011", "ledger", "age", "due"):
        assert f"  ok   {what}" in err
    assert err.index("ok   due") < err.index("send 2 messages")


def test_a_finished_plan_applied_again_sends_nothing_and_prints_its_accounts(plan, apply, sandbox, run):
    plan()
    apply()
    again = apply()
    assert accounts(again) == (2, 2, 0, 0, 0)
    assert (again["run"], again["exit_code"]) == (None, 0)
    assert sandbox.stats()["total"] == 2
    text = run("apply").err
    assert "nothing left to do" in text
    assert "2 to send = 2 accepted + 0 refused + 0 unknown + 0 remaining" in text


def test_a_new_plan_sends_only_to_the_people_that_the_query_has_added(project, plan, apply, sandbox):
    plan()
    apply()
    project.people(people(5))
    second = plan()
    assert (second["to_send"], second["already_sent"]) == (3, 2)
    assert accounts(apply())[:2] == (3, 3)
    assert Counter(sandbox.accepted()) == Counter(mobiles(5))


def test_rejections_stay_the_same_between_plans_and_only_the_sent_ones_move(project, plan, apply):
    project.people([*people(3), ("x", "081230000000", "twice", "true"), ("y", "1", "no", "true")])
    first = plan()
    apply()
    second = plan()
    assert first["rejected"] == second["rejected"] == {"duplicate_phone": 1, "invalid_phone": 1}
    assert (second["to_send"], second["already_sent"]) == (0, 3)


def test_a_plan_with_nobody_in_it_has_nothing_left_to_do(project, plan, apply, sandbox):
    project.people([])
    plan()
    assert accounts(apply()) == (0, 0, 0, 0, 0)
    assert sandbox.stats()["total"] == 0


def test_a_plan_file_is_applied_by_its_name(project, sandbox, run):
    run("plan", "promo.yml", "-o", "mine.plan")
    assert run("apply", "mine.plan", "--auto-approve").code == 0
    assert len(sandbox.accepted()) == 2


def test_without_a_pending_plan_there_is_nothing_to_apply(project, sandbox, run):
    result = run("apply", "--auto-approve")
    assert (result.code, result.out) == (0, "")
    assert "no pending plan: make one with `runner plan`" in result.err
    assert run("apply", "--json").json == {"format": 1, "runs": [], "exit_code": 0}


def test_without_arguments_every_pending_plan_is_applied(project, sandbox, run):
    project.campaign(CAMPAIGN.replace("campaign: promo", "campaign: other"), name="other.yml")
    run("plan", "promo.yml", "other.yml")
    document = run("apply", "--auto-approve", "--json").json
    assert [entry["accepted"] for entry in document["runs"]] == [2, 2]
    assert sandbox.stats()["accepted"] == 4


def test_a_campaign_file_that_has_no_plan_is_planned_shown_and_applied(project, apply, sandbox):
    entry = apply("promo.yml")
    assert accounts(entry) == (2, 2, 0, 0, 0)
    assert "2  rows in the segment" in entry["err"]


def test_a_folder_of_campaigns_is_planned_and_applied(project, sandbox, run):
    project.campaign(name="campaigns/a.yml")
    project.campaign(CAMPAIGN.replace("campaign: promo", "campaign: other"), name="campaigns/b.yml")
    document = run("apply", "campaigns", "--auto-approve", "--json").json
    assert [(entry["campaign"], entry["accepted"]) for entry in document["runs"]] == [
        ("promo", 2),
        ("other", 2),
    ]


def test_a_broken_campaign_file_among_several_stops_all_before_the_first_message(project, sandbox, run):
    project.write("broken.yml", "campaign: [")
    result = run("apply", "promo.yml", "broken.yml", "--auto-approve", "--json")
    assert result.code == 1
    assert "broken.yml:2:1" in result.json["error"]["message"]
    assert sandbox.stats()["total"] == 0


def test_a_campaign_over_a_guard_is_refused_and_the_others_are_applied(project, sandbox, run):
    project.campaign(CAMPAIGN + "guards: {max_recipients: 1}\n", name="a.yml")
    project.campaign(CAMPAIGN.replace("campaign: promo", "campaign: other"), name="b.yml")
    result = run("apply", "a.yml", "b.yml", "--auto-approve", "--json")
    refused, sent = result.json["runs"]
    assert (refused["run"], refused["campaign"], refused["occurrence"]) == (None, "promo", "once")
    assert (accounts(refused), len(refused["digest"]), refused["exit_code"]) == ((2, 0, 0, 0, 2), 64, 4)
    assert "max_recipients 1 (found 2)" in refused["error"]["message"]
    assert (sent["accepted"], sent["exit_code"], result.code) == (2, 0, 4)


def test_the_sandbox_flag_rehearses_apart_from_the_real_accounts(project, run, monkeypatch):
    monkeypatch.delenv("ADA_API_KEY")
    assert run("plan", "promo.yml", "--sandbox").code == 0
    result = run("apply", "--sandbox", "--json")
    assert result.json["runs"][0]["accepted"] == 2
    assert "to the sandbox" in result.err
    assert not (project.root / ".runner/ledger.db").exists()
    assert run("status", "--json").json["occurrences"] == []
    assert run("status", "--sandbox", "--json").json["occurrences"][0]["accepted"] == 2


def test_a_rehearsal_can_be_held_to_a_rate(project, run):
    project.people(people(7))
    run("plan", "promo.yml", "--sandbox")
    began = time.monotonic()
    assert run("apply", "--sandbox", "--rate", "10/s").code == 0
    assert time.monotonic() - began >= 0.6


def test_another_rate_is_for_a_provider_on_this_machine_only(project, run, monkeypatch, plan):
    plan()
    monkeypatch.setenv("ADA_API_URL", "https://example.com")
    result = run("apply", "--auto-approve", "--rate", "50/s")
    assert result.code == 1
    assert "the rate 50/s is for a provider on this machine only" in result.err


# Refused before anything is sent


def assert_refused(entry, sandbox, *words, code=4):
    assert entry["exit_code"] == code, entry["err"]
    for word in words:
        assert word in entry["err"]
    assert sandbox.stats()["total"] == 0
    assert accounts(entry)[1:4] == (0, 0, 0)


def test_a_campaign_edited_after_its_plan_is_refused(project, plan, apply, sandbox):
    plan()
    project.campaign(CAMPAIGN.replace("LEBARAN25", "LEBARAN50"))
    entry = apply()
    assert_refused(entry, sandbox, "NOT  campaign file promo.yml: changed since the plan; runner plan")
    assert "changed since the plan" in entry["error"]["message"]
    assert entry["error"]["hint"] == "runner plan promo.yml"


def test_a_comment_added_to_the_campaign_changes_nothing(project, plan, apply):
    plan()
    project.campaign("# reviewed\n" + CAMPAIGN)
    assert apply()["accepted"] == 2


def test_a_query_file_edited_after_the_plan_is_refused(project, plan, apply, sandbox):
    project.write("people.sql", "SELECT * FROM 'data/people.csv'")
    project.campaign(CAMPAIGN.replace("query: SELECT * FROM 'data/people.csv'", "query_file: people.sql"))
    plan()
    project.write("people.sql", "SELECT * FROM 'data/people.csv' WHERE id = 'c1'")
    assert_refused(apply(), sandbox, "changed since the plan")


@pytest.mark.parametrize("change", ["campaign: [", None])
def test_a_campaign_broken_or_gone_after_its_plan_is_refused(project, plan, apply, sandbox, change):
    plan()
    if change is None:
        (project.root / "promo.yml").unlink()
    else:
        project.write("promo.yml", change)
    assert_refused(apply(), sandbox, "NOT  campaign file promo.yml")


def test_a_template_changed_since_the_plan_is_refused(plan, apply, sandbox, other_sandbox, monkeypatch):
    plan()
    other_sandbox.post("/sandbox/reset")
    monkeypatch.setenv("ADA_API_URL", other_sandbox.url)
    assert_refused(apply(), other_sandbox, "NOT  template promo (id): changed")


@pytest.mark.parametrize(
    ("templates", "found"),
    [
        ([{**TEMPLATES[0], "status": "PAUSED"}], "is PAUSED now"),
        ([], "template `promo` is not among"),
    ],
)
def test_a_template_paused_or_gone_since_the_plan_is_refused(
    project, plan, apply, start_sandbox, sandbox, templates, found
):
    plan()
    project.write("templates.json", json.dumps(templates))
    later = start_sandbox()
    assert_refused(apply(), later, f"NOT  template promo (id): {found}")


def test_another_sender_than_planned_is_refused(project, plan, apply, sandbox):
    plan()
    path = project.root / "runner.yml"
    path.write_text(path.read_text().replace("60110000001", "60110000002"))
    assert_refused(
        apply(), sandbox, "NOT  sender 60110000001 through ada: runner.yml now says 60110000002; plan again"
    )


def test_an_expired_plan_is_refused(project, sandbox, plan, apply):
    runner_yml(project, sandbox, "plan: {expires_hours: 0.0000001}\n")
    plan()
    assert_refused(apply(), sandbox, "NOT  age: valid until", "runner plan promo.yml")


def test_a_plan_that_is_not_due_is_refused_and_says_when_it_may_run(project, plan, apply, sandbox):
    project.campaign(CAMPAIGN + "schedule: {at: 2099-03-20T10:00, timezone: Asia/Jakarta}\n")
    plan()
    entry = apply()
    when = "2099-03-20 10:00 Asia/Jakarta (2099-03-20T03:00Z)"
    # A plan so far ahead has expired by then, but that is told when it happens.
    assert_refused(entry, sandbox, f"NOT  due: from {when}; apply again at or after {when}")
    assert when in entry["error"]["hint"]


def test_a_plan_that_is_due_goes(project, plan, apply):
    project.campaign(CAMPAIGN + "schedule: {at: 2020-03-20T10:00, timezone: Asia/Jakarta}\n")
    plan()
    entry = apply()
    assert "ok   due: from 2020-03-20 10:00 Asia/Jakarta" in entry["err"]
    assert entry["accepted"] == 2


#: Where all people of these tests are, by their numbers.
JAKARTA = ZoneInfo("Asia/Jakarta")


def closed_window():
    """Return a window of one hour that opens two hours from now in Jakarta, and the hour it opens."""
    opens = (datetime.now(JAKARTA) + timedelta(hours=2)).replace(minute=0, second=0, microsecond=0)
    return f"{opens:%H:%M}-{opens + timedelta(hours=1):%H:%M}", opens


def test_outside_the_window_nothing_is_sent_and_it_says_when_it_opens(project, plan, apply, sandbox):
    window, opens = closed_window()
    project.campaign(CAMPAIGN + f'schedule: {{timezone: UTC, window: "{window}"}}\n')
    summary = plan()
    assert datetime.fromisoformat(summary["starts_at"]) == opens
    (group,) = summary["windows"]
    assert (group["timezones"], group["people"]) == (["Asia/Jakarta"], 2)
    refused = apply()
    assert datetime.fromisoformat(refused["next_at"].replace("Z", "+00:00")) == opens
    assert_refused(
        refused,
        sandbox,
        f"NOT  window: {window} in each person's time zone, closed for everybody",
        f"apply again from {opens:%Y-%m-%d %H:%M} Asia/Jakarta ",
    )


def test_the_window_of_runner_yml_holds_for_campaigns_without_one(project, sandbox, plan, apply):
    window, _ = closed_window()
    runner_yml(project, sandbox, f'window: "{window}"\ntimezone: UTC\n')
    plan()
    assert_refused(apply(), sandbox, f"NOT  window: {window} in each person's time zone")


def test_inside_the_window_it_goes(project, plan, apply):
    now = datetime.now(JAKARTA)
    window = f"{now - timedelta(hours=1):%H:%M}-{now + timedelta(hours=2):%H:%M}"
    project.campaign(CAMPAIGN + f'schedule: {{window: "{window}"}}\n')
    plan()
    entry = apply()
    assert entry["accepted"] == 2
    assert f"ok   window: {window} in each person's time zone, open for 2 of 2 people" in entry["err"]


def test_people_whose_window_is_closed_wait_in_the_zones_that_their_rows_name(project, plan, apply):
    now = datetime.now(JAKARTA)
    window = f"{now - timedelta(hours=1):%H:%M}-{now + timedelta(hours=1):%H:%M}"
    zones = "CASE id WHEN 'c1' THEN 'Asia/Jayapura' WHEN 'c2' THEN 'Asia/Jakrta' END AS zone"
    project.people(people(4))
    schedule = f'schedule: {{window: "{window}"}}\n'
    text = CAMPAIGN.replace("SELECT *", f"SELECT *, {zones}").replace(
        "consent: consent", "consent: consent, timezone: zone"
    )
    assert "timezone: zone" in text
    project.campaign(text + schedule)
    assert plan()["rejected"] == {"bad_timezone": 1}
    entry = apply()
    assert (entry["accepted"], entry["remaining"], entry["exit_code"]) == (2, 1, 5)
    assert entry["stop"]["cause"] == "window"
    assert "Asia/Jayapura" in entry["stop"]["detail"]
    opens = (now - timedelta(hours=3)).replace(second=0, microsecond=0) + timedelta(days=1)
    assert datetime.fromisoformat(entry["next_at"].replace("Z", "+00:00")) == opens
    assert "open for 2 of 3 people; from " in entry["err"]
    assert "no window is open any more, with 1 left; apply stops then" in entry["err"]


def test_what_is_stale_is_not_sent_and_has_its_account(project, plan, apply, sandbox):
    project.campaign(CAMPAIGN + "schedule: {at: 2026-03-20T10:00, timezone: UTC, expire_after: 2d}\n")
    assert "schedule.expire_after is over" in plan()["notes"][0]
    entry = apply()
    assert (entry["refused_by_rule"], entry["remaining"]) == ({"expired": 2}, 0)
    assert entry["exit_code"] == 3


def test_a_rehearsal_does_not_wait_for_times(project, run):
    window, _ = closed_window()
    schedule = f'schedule: {{at: 2099-03-20T10:00, timezone: UTC, window: "{window}"}}\n'
    project.campaign(CAMPAIGN + schedule)
    run("plan", "promo.yml", "--sandbox")
    assert run("apply", "--sandbox", "--json").json["runs"][0]["accepted"] == 2


def test_a_plan_whose_people_got_the_message_by_another_plan_is_stale(project, sandbox, run):
    run("plan", "promo.yml", "-o", "first.plan")
    project.people(people(3))
    run("plan", "promo.yml", "-o", "second.plan")
    assert run("apply", "first.plan", "--auto-approve").code == 0
    result = run("apply", "second.plan", "--auto-approve", "--json")
    assert result.code == 4
    assert "NOT  ledger: 2 of its people have got the message by another plan" in result.err
    assert Counter(sandbox.accepted()) == Counter(mobiles(2))


# Damaged plans


def damage_truncate(path):
    path.write_bytes(path.read_bytes()[:-200])


def damage_flip(path):
    data = bytearray(path.read_bytes())
    data[data.index(b"PAR1") + 40] ^= 1
    path.write_bytes(bytes(data))


def damage_edit(path):
    import zipfile

    with zipfile.ZipFile(path) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    members["plan.json"] = members["plan.json"].replace(b'"60110000001"', b'"60110000002"')
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in members.items():
            archive.writestr(name, data)


def test_plan_files_cut_short_or_edited_are_refused_and_the_next_one_is_applied(project, sandbox, run):
    project.campaign(CAMPAIGN.replace("campaign: promo", "campaign: other"), name="other.yml")
    run("plan", "promo.yml", "-o", "0.plan")
    run("plan", "other.yml", "-o", "good.plan")
    damages = [damage_truncate, damage_flip, damage_edit]
    whole = (project.root / "0.plan").read_bytes()
    names = [f"{number}.plan" for number in range(len(damages))]
    for name, damage in zip(names, damages, strict=True):
        (project.root / name).write_bytes(whole)
        damage(project.root / name)
    result = run("apply", *names, "good.plan", "--auto-approve", "--json")
    *bad, good = result.json["runs"]
    assert "Traceback" not in result.err
    for name, entry in zip(names, bad, strict=True):
        assert entry["error"]["message"].startswith(f"{name}: ")
        assert "runner plan" in entry["error"]["hint"]
        assert (entry["run"], entry["exit_code"]) == (None, 1)
    assert (good["accepted"], good["exit_code"], result.code) == (2, 0, 1)
    assert {message["tag1"].split("/")[0] for message in sandbox.messages()} == {"other"}


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("nothing.plan", "nothing.plan: there is no such plan"),
        ("nothing.yml", "there is no file or folder nothing.yml"),
    ],
)
def test_a_path_that_leads_nowhere_is_an_error(project, sandbox, run, name, message):
    result = run("apply", name, "--auto-approve")
    assert result.code == 1
    assert message in result.err


def test_a_file_that_is_no_plan_at_all_is_an_error(project, sandbox, run):
    project.write("notes.txt", "hello")
    result = run("apply", "notes.txt", "--auto-approve")
    assert result.code == 1
    assert "notes.txt: is not a whole plan file" in result.err


# The key and the provider


def test_without_the_key_nothing_is_sent(plan, apply, sandbox, monkeypatch):
    plan()
    monkeypatch.delenv("ADA_API_KEY")
    assert_refused(apply(), sandbox, "ADA_API_KEY is not set", code=1)


def test_with_a_wrong_key_nothing_is_sent_and_the_key_is_not_shown(plan, apply, sandbox, monkeypatch):
    plan()
    monkeypatch.setenv("ADA_API_KEY", "wr0ng-s3cret")
    entry = apply()
    assert_refused(entry, sandbox, "key", code=1)
    assert "wr0ng" not in str(entry)


def test_a_key_that_expires_on_the_way_stops_the_run_and_loses_nobody(project, plan, apply, sandbox):
    project.people(people(60))
    runner_yml(project, sandbox, max_in_flight=1)
    plan()
    sandbox.faults("401:#11-")
    stopped = apply()
    assert stopped["exit_code"] == 5
    assert accounts(stopped) == (60, 10, 0, 0, 50)
    assert stopped["stop"]["cause"] == "provider"
    sandbox.faults()
    assert accounts(apply()) == (60, 60, 0, 0, 0)
    assert Counter(sandbox.accepted()) == Counter(mobiles(60))


def test_a_provider_that_is_down_at_apply_is_one_clear_line(plan, apply, sandbox, monkeypatch):
    plan()
    monkeypatch.setenv("ADA_API_URL", "http://127.0.0.1:9")
    assert_refused(apply(), sandbox, "no connection to 127.0.0.1:9: Connection refused", code=1)


# Outcomes


def test_refused_messages_end_with_exit_3_and_are_counted_by_rule(project, plan, apply, sandbox, run):
    project.people(people(5))
    sandbox.faults(f"400:@{mobiles(3)[2]}", f"error-in-200:@{mobiles(2)[1]}")
    plan()
    entry = apply()
    assert entry["exit_code"] == 3
    assert accounts(entry) == (5, 3, 2, 0, 0)
    assert entry["refused_by_rule"] == {"refused": 1, "refused_inside": 1}
    assert "refused by refused_inside: 1" in entry["err"]
    sandbox.faults()
    assert (plan()["to_send"], plan()["already_sent"]) == (0, 5)


def test_what_is_refused_for_now_is_tried_again_until_it_is_accepted(plan, apply, sandbox):
    sandbox.faults(f"429:@{mobiles(1)[0]}x1:0s", f"503:@{mobiles(2)[1]}x1:0s")
    plan()
    assert accounts(apply()) == (2, 2, 0, 0, 0)
    assert sandbox.stats()["total"] == 4
    assert Counter(sandbox.accepted()) == Counter(mobiles(2))


def test_an_answer_that_never_comes_is_unknown_and_never_sent_again(project, plan, apply, sandbox, run):
    sandbox.faults(f"reset-after-accept:@{mobiles(1)[0]}", f"html502:@{mobiles(2)[1]}:accepted")
    plan()
    entry = apply()
    assert entry["exit_code"] == 3
    assert accounts(entry) == (2, 0, 0, 2, 0)
    assert "see `runner resolve`" in entry["err"]
    sandbox.faults()
    assert plan()["to_send"] == 0
    assert accounts(apply()) == (0, 0, 0, 0, 0)
    assert sandbox.stats()["total"] == 2


def test_max_failed_stops_the_run_with_exit_5_and_the_rest_remains(project, plan, apply, sandbox):
    project.campaign(CAMPAIGN + "guards: {max_failed: 2}\n")
    project.people(people(30))
    runner_yml(project, sandbox, max_in_flight=1)
    sandbox.faults("400")
    plan()
    entry = apply()
    assert entry["exit_code"] == 5
    assert accounts(entry) == (30, 0, 3, 0, 27)
    assert entry["stop"] == {"cause": "guard", "detail": "guards.max_failed is 2: 3 of 3 were refused"}
    assert "the next `runner apply` says what it takes to go on" in entry["err"]


def test_a_frequency_cap_counts_over_all_campaigns(project, sandbox, run):
    capped = CAMPAIGN + "guards: {frequency_cap: {messages: 1, per: 7d}}\n"
    project.campaign(capped)
    project.campaign(capped.replace("campaign: promo", "campaign: other"), name="other.yml")
    assert run("apply", "promo.yml", "--auto-approve").code == 0
    (summary,) = run("plan", "other.yml", "--json").json["plans"]
    assert (summary["to_send"], summary["rejected"]) == (0, {"frequency_cap": 2})
    (own,) = run("plan", "promo.yml", "--json").json["plans"]
    assert (own["already_sent"], own["rejected"]) == (2, {})


def test_a_cap_reached_between_plan_and_apply_shrinks_the_list(project, sandbox, run):
    capped = CAMPAIGN + "guards: {frequency_cap: {messages: 1, per: 7d}}\n"
    project.campaign(capped)
    project.campaign(capped.replace("campaign: promo", "campaign: other"), name="other.yml")
    project.people(people(1))
    run("plan", "other.yml")
    run("apply", "promo.yml", "--auto-approve")
    project.people(people(1))
    (entry,) = run("apply", "--auto-approve", "--json", str(plan_files(project)[0])).json["runs"]
    assert entry["refused_by_rule"] == {"frequency_cap": 1}
    assert sandbox.stats()["total"] == 1


def test_whoever_got_on_a_never_list_since_the_plan_is_not_sent_to(project, plan, apply, sandbox):
    project.write("never.csv", "phone\n")
    runner_yml(project, sandbox, "suppression: [never.csv]\n")
    plan()
    project.write("never.csv", "phone\n+62 812-3000-0000\n")
    entry = apply()
    assert entry["exit_code"] == 3
    assert accounts(entry) == (2, 1, 1, 0, 0)
    assert entry["refused_by_rule"] == {"suppressed": 1}
    assert sandbox.accepted() == [mobiles(2)[1]]


# Confirmation


def test_without_a_terminal_only_auto_approve_is_a_yes(project, sandbox, plan, run):
    plan()
    result = run("apply", "--json")
    assert result.code == 4
    assert "use --auto-approve for machines" in result.err
    assert result.json["runs"][0]["error"]["message"] == "not confirmed: nothing was sent"
    assert sandbox.stats()["total"] == 0
    assert accounts(result.json["runs"][0]) == (2, 0, 0, 0, 2)


def at_a_terminal(cwd, *arguments, answer=None, press=None):
    """Run `runner` at a pseudo-terminal, and answer its question or press a key at it; return its screen."""
    import pty

    controller, terminal = pty.openpty()
    command = [sys.executable, "-m", "runner", *arguments]
    process = subprocess.Popen(
        command, cwd=cwd, stdin=terminal, stdout=terminal, stderr=terminal, start_new_session=True
    )
    os.close(terminal)
    screen = b""
    asked = False
    while True:
        try:
            chunk = os.read(controller, 65536)
        except OSError:
            break
        screen += chunk
        if not asked and b"Type yes to send" in screen:
            asked = True
            if press is not None:
                time.sleep(0.2)
                process.send_signal(press)
            else:
                os.write(controller, f"{answer}\n".encode())
    os.close(controller)
    return process.wait(30), re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", screen.decode(errors="replace"))


def test_a_person_who_types_yes_sends_and_sees_the_progress(project, sandbox, plan):
    plan()
    code, screen = at_a_terminal(project.root, "apply", answer="yes")
    assert code == 0, screen
    assert "promo: send 2 messages from 60110000001 through ada. Type yes to send" in screen
    assert "2/2 2 accepted, 0 refused, 0 unknown" in screen
    assert len(sandbox.accepted()) == 2


def test_a_person_who_types_anything_else_sends_nothing(project, sandbox, plan):
    plan()
    code, screen = at_a_terminal(project.root, "apply", answer="y")
    assert code == 4
    assert "not confirmed: nothing was sent" in screen
    assert sandbox.stats()["total"] == 0


def test_ctrl_c_at_the_question_ends_it_at_once(project, sandbox, plan):
    plan()
    code, screen = at_a_terminal(project.root, "apply", press=signal.SIGINT)
    assert code == 130
    assert "Traceback" not in screen
    assert "interrupted" in screen
    assert sandbox.stats()["total"] == 0


def test_a_process_of_its_own_says_nothing_but_our_lines(project, sandbox):
    command = [sys.executable, "-m", "runner", "apply", "promo.yml", "--auto-approve"]
    result = subprocess.run(command, cwd=project.root, capture_output=True, text=True, timeout=60)
    assert (result.returncode, result.stdout) == (0, "")
    *_, accounts_line, log_line, head_line = result.stderr.splitlines()
    assert accounts_line == "promo: 2 to send = 2 accepted + 0 refused + 0 unknown + 0 remaining"
    assert log_line == "  each message's outcome: .runner/runs/promo.once.1.jsonl"
    assert re.fullmatch(r"  audit head: 2:[0-9a-f]{64}", head_line)


def test_a_signal_that_comes_twice_at_once_is_one(project, sandbox, plan):
    """`timeout` signals a process, and then its group with the process in it."""
    sandbox.faults("slow-after-accept::1s")
    plan()
    command = [sys.executable, "-m", "runner", "apply", "--auto-approve", "--json"]
    process = subprocess.Popen(
        command, cwd=project.root, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    while sandbox.stats()["total"] < 2 and process.poll() is None:
        time.sleep(0.02)
    for number in (signal.SIGINT, signal.SIGINT, signal.SIGTERM):
        process.send_signal(number)
    out, err = process.communicate(timeout=20)
    assert accounts(json.loads(out)["runs"][0]) == (2, 2, 0, 0, 0), err
    assert "ended at once" not in err


def test_a_second_ctrl_c_ends_at_once_and_leaves_unknowns_not_losses(project, sandbox, plan, apply, run):
    sandbox.faults("drop::30s")
    plan()
    command = [sys.executable, "-m", "runner", "apply", "--auto-approve", "--json"]
    process = subprocess.Popen(
        command, cwd=project.root, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    while sandbox.stats()["total"] < 2 and process.poll() is None:
        time.sleep(0.02)
    for _ in range(2):
        process.send_signal(signal.SIGINT)
        time.sleep(0.5)
    out, err = process.communicate(timeout=20)
    assert process.returncode == 130, err
    assert "Traceback" not in err
    (entry,) = json.loads(out)["runs"]
    assert (entry["exit_code"], accounts(entry)) == (130, (2, 0, 0, 2, 0))
    (occurrence,) = run("status", "--json").json["occurrences"]
    assert (occurrence["unknown"], occurrence["last_run"]["exit_code"]) == (2, 130)
    sandbox.faults()
    assert accounts(apply()) == (2, 0, 0, 2, 0)
    assert sandbox.stats()["total"] == 2


# Resume


def test_a_stopped_run_is_resumed_and_the_accounts_are_those_of_the_whole_plan(project, plan, apply, sandbox):
    project.people(people(40))
    runner_yml(project, sandbox, max_in_flight=1)
    sandbox.faults("401:#16-")
    plan()
    first = apply()
    sandbox.faults()
    second = apply()
    assert (first["run"], second["run"]) == (1, 2)
    assert accounts(first) == (40, 15, 0, 0, 25)
    assert accounts(second) == (40, 40, 0, 0, 0)
    assert "send 25 messages" in second["err"]
    assert "(15 have their account already)" in second["err"]


# The ledger


def test_a_ledger_that_another_process_locks_is_one_clear_error(project, plan, apply, sandbox, monkeypatch):
    plan()
    apply()
    project.people(people(3))
    plan()
    monkeypatch.setattr(sqlite, "BUSY_SECONDS", 0.1)
    holder = sqlite3.connect(project.root / ".runner/ledger.db", isolation_level=None)
    holder.execute("BEGIN IMMEDIATE")
    entry = apply()
    holder.rollback()
    holder.close()
    assert entry["exit_code"] == 1
    assert "ledger" in entry["error"]["message"]
    assert "Traceback" not in entry["err"]
    assert sandbox.stats()["total"] == 2
    assert accounts(apply()) == (1, 1, 0, 0, 0)


def test_a_ledger_of_a_newer_version_is_refused_and_nothing_is_sent(project, plan, run, sandbox):
    plan()
    with sqlite3.connect(project.root / ".runner/ledger.db") as connection:
        connection.execute("CREATE TABLE schema_migrations (version INTEGER, name TEXT, applied_at REAL)")
        connection.execute("INSERT INTO schema_migrations VALUES (999, 'x', 0)")
    connection.close()
    result = run("apply", "--auto-approve", "--json")
    (entry,) = result.json["runs"]
    assert (result.code, entry["accepted"], entry["remaining"]) == (1, None, None)
    assert "of a newer version" in entry["error"]["message"]
    assert sandbox.stats()["total"] == 0


def test_a_ledger_that_cannot_be_written_is_refused_and_nothing_is_sent(project, sandbox, run):
    runner_yml(project, sandbox, "ledger: sqlite:////proc/version/ledger.db\n")
    result = run("apply", "promo.yml", "--auto-approve")
    assert result.code == 1
    assert "/proc/version/ledger.db: the ledger" in result.err
    assert "Traceback" not in result.err
    assert sandbox.stats()["total"] == 0


def test_a_state_folder_that_cannot_be_made_is_one_clear_error(project, sandbox, run):
    project.write(".runner", "a file, not a folder")
    result = run("plan", "promo.yml")
    assert result.code == 1
    assert ".runner: the state folder cannot be used" in result.err
    assert "Traceback" not in result.err


# What is left behind


def test_the_run_log_has_one_json_line_per_event_with_phones_masked(project, plan, apply, sandbox):
    sandbox.faults(f"400:@{mobiles(2)[1]}")
    plan()
    apply()
    (path,) = (project.root / ".runner/runs").glob("*.jsonl")
    assert path.name == "promo.once.1.jsonl"
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    assert [line["action"] for line in lines] == [
        "run_began",
        "message_settled",
        "message_settled",
        "run_ended",
    ]
    settled = {line["phone"]: line["outcome"] for line in lines if line["action"] == "message_settled"}
    assert settled == {"6281****0000": "accepted", "6281****0001": "refused"}
    assert all(datetime.fromisoformat(line["at"]).tzinfo for line in lines)
    assert (lines[-1]["accepted"], lines[-1]["refused"], lines[-1]["exit_code"]) == (1, 1, 3)


def test_what_a_run_leaves_is_for_its_owner_only(project, plan, apply):
    plan()
    apply()
    state = project.root / ".runner"
    assert {path.stat().st_mode & 0o777 for path in [state, *state.rglob("*")] if path.is_dir()} == {0o700}
    assert {path.stat().st_mode & 0o777 for path in state.rglob("*") if path.is_file()} == {0o600}


def test_intermediate_files_with_peoples_data_are_gone_afterwards(project, plan, apply):
    plan()
    apply()
    work = project.root / ".runner/work"
    assert not work.exists() or not list(work.iterdir())


def test_no_full_phone_and_no_key_is_in_any_output_or_log_of_a_whole_life(project, sandbox, run):
    phones = mobiles(6)
    project.people([*people(6), ("x", phones[0], "twice", "true"), ("y", phones[1] + "999", "bad", "true")])
    sandbox.faults(f"400:@{phones[2]}", f"reset-after-accept:@{phones[3]}", f"429:@{phones[4]}x1:0s")
    said = ""
    for arguments in (
        ["validate", "promo.yml"],
        ["plan", "promo.yml"],
        ["plan", "promo.yml", "--json"],
        ["plan", "promo.yml", "--markdown"],
        ["apply", "--auto-approve"],
        ["apply", "--json"],
        ["status"],
        ["status", "--json"],
        ["resolve", "promo"],
        ["resolve", "promo", "--json"],
        ["resolve", "promo", "--phone", phones[3], "--as", "send-again"],
        ["resolve", "promo", "--phone", phones[3][:5], "--as", "send-again"],
        ["explain", phones[3]],
        ["explain", phones[0], "--json"],
        ["explain", phones[0][:6]],
        ["plan", "promo.yml"],
        ["apply", "--auto-approve", "--json"],
        ["templates", "list"],
    ):
        result = run(*arguments)
        said += result.out + result.err
        assert "Traceback" not in result.err
    for path in (project.root / ".runner/runs").iterdir():
        said += path.read_text()
    assert not [phone for phone in phones if phone in said]
    assert not [phone[2:] for phone in phones if phone[2:] in said]
    assert KEY not in said
    for path in project.root.rglob("*"):
        assert not path.is_file() or KEY.encode() not in path.read_bytes(), path


def test_an_apply_without_uvloop_runs_on_pythons_own_event_loop(plan, apply, sandbox, monkeypatch):
    monkeypatch.setitem(sys.modules, "uvloop", None)
    plan()

    assert accounts(apply()) == (2, 2, 0, 0, 0)
    assert len(sandbox.accepted()) == 2


def test_a_firing_that_the_schedule_leaves_out_is_nothing_to_do(project, sandbox, run):
    schedule = 'schedule: {cron: "0 10 * * MON", timezone: Asia/Jakarta, exclude: [2026-11-16]}\n'
    project.campaign(CAMPAIGN + schedule)
    arguments = ("apply", "promo.yml", "--auto-approve", "--json", "--occurrence")
    result = run(*arguments, "2026-11-16T03:00Z")
    (entry,) = result.json["runs"]
    assert (result.code, entry["run"], entry["exit_code"]) == (0, None, 0)
    assert entry["left_out"].startswith("2026-11-16T03:00Z is left out: schedule.cron is 0 10 * * MON")
    assert "nothing to do" in result.err
    assert sandbox.accepted() == []
    # A moment at which it would not fire anyway is a mistake.
    refused = run(*arguments, "2026-11-17T03:00Z")
    assert refused.code == 4
    assert "does not fire" in refused.err
