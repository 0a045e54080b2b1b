"""`runner tick`: whatever is due is planned, approved, sent and recorded once, over a real sandbox."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from contextlib import closing
from datetime import datetime, timedelta, timezone

import pytest

from runner.ledger import open_ledger
from tests.cli.test_apply import JAKARTA, closed_window
from tests.cli.test_git import git
from tests.cli.test_telling import receiver
from tests.conftest import CAMPAIGN, RUNNER_YML, mobiles, people

__all__ = ["receiver"]


def due(minutes=5, **more):
    """Return a schedule that fired some minutes ago."""
    at = datetime.now(timezone.utc) - timedelta(minutes=minutes)
    keys = {"at": f"{at:%Y-%m-%dT%H:%M}", "timezone": "UTC", **more}
    return f"schedule: {{{', '.join(f'{key}: {value}' for key, value in keys.items())}}}\n"


@pytest.fixture
def watched(project):
    """Return a function that lets campaigns have been known for three hours."""

    def watch(*names):
        with closing(open_ledger("sqlite:///.runner/ledger.db", root=project.root)) as ledger:
            for name in names or ("promo",):
                ledger.watch(name, time.time() - 3 * 3600)

    return watch


@pytest.fixture
def tick(project, sandbox, run):
    """Tick the project, and return the JSON document."""

    def tick(*arguments):
        result = run("tick", "--json", *(arguments or ("promo.yml",)))
        document = result.json
        assert (document["format"], document["exit_code"]) == (1, result.code)
        return {**document, "err": result.err}

    return tick


def firing_of(document):
    (entry,) = document["campaigns"]
    (firing,) = entry["firings"]
    return firing


def test_a_new_campaign_fires_from_now_on_and_never_further_back(project, tick, sandbox):
    project.campaign(CAMPAIGN + due())
    for _ in range(2):
        (entry,) = tick()["campaigns"]
        assert (entry["firings"], entry["next_at"], entry["exit_code"]) == ([], None, 0)
    assert sandbox.accepted() == []


def test_an_approved_campaign_is_sent_once_and_not_again_when_the_segment_grows(
    project, tick, watched, run, sandbox
):
    project.campaign(CAMPAIGN + due())
    watched()
    run("approve", "promo.yml", "--auto-approve")
    firing = firing_of(tick())
    assert (firing["occurrence"], firing["outcome"], firing["state"]) == ("once", "finished", "finished")
    assert (firing["to_send"], firing["run"]["accepted"], firing["exit_code"]) == (2, 2, 0)
    assert "approved" in firing["detail"]
    project.people(people(5))
    (entry,) = tick()["campaigns"]
    assert entry["firings"] == []
    assert sorted(sandbox.accepted()) == mobiles(2)
    (shown,) = run("status", "--json").json["firings"]
    assert (shown["campaign"], shown["state"]) == ("promo", "finished")


def test_an_unapproved_one_is_planned_waits_with_exit_0_and_goes_on_once_it_is_approved(
    project, tick, watched, run, sandbox, receiver, monkeypatch
):
    monkeypatch.setenv("RUNNER_NOTIFY_URLS", f"json://127.0.0.1:{receiver.port}")
    project.campaign(CAMPAIGN + due() + "notify: {on: [planned, waiting, started, finished]}\n")
    watched()
    for _ in range(3):
        document = tick()
        firing = firing_of(document)
        assert (firing["outcome"], firing["detail"]) == ("waiting", "nobody has approved it")
        assert document["exit_code"] == 0
    assert sandbox.accepted() == []
    told = [json.loads(body) for _, body in receiver.posts]
    assert [each["title"] for each in told] == ["promo once: planned", "promo once: waiting for approval"]
    assert told[1]["message"] == (
        "2 rows = 2 to send + 0 already sent + 0 rejected\n"
        "nobody has approved it\n"
        "next: runner approve promo.yml"
    )
    run("approve", "promo.yml", "--auto-approve")
    assert firing_of(tick())["outcome"] == "finished"
    assert sorted(sandbox.accepted()) == mobiles(2)
    assert [json.loads(body)["title"] for _, body in receiver.posts[2:]] == [
        "promo once: started",
        "promo once: finished",
    ]


def test_an_edit_after_the_approval_waits(project, tick, watched, run, sandbox):
    project.campaign(CAMPAIGN + due())
    watched()
    run("approve", "promo.yml", "--auto-approve")
    project.campaign(CAMPAIGN.replace("LEBARAN25", "LEBARAN30") + due())
    firing = firing_of(tick())
    assert firing["outcome"] == "waiting"
    assert firing["detail"].startswith("edited since ")
    assert sandbox.accepted() == []


def test_a_template_that_was_edited_at_the_provider_waits(
    project, tick, watched, run, sandbox, other_sandbox, monkeypatch
):
    project.campaign(CAMPAIGN + due())
    watched()
    run("approve", "promo.yml", "--auto-approve")
    monkeypatch.setenv("ADA_API_URL", other_sandbox.url)
    assert firing_of(tick())["outcome"] == "waiting"


def test_a_merge_to_the_default_branch_approves_where_the_project_says_so(
    project, tick, watched, sandbox, tmp_path_factory
):
    project.campaign(CAMPAIGN + due())
    text = RUNNER_YML % {"url": sandbox.url, "rate": "unlimited"}
    project.write("runner.yml", text + "approval: {by: default_branch}\n")
    project.write(".gitignore", ".runner\n")
    remote = tmp_path_factory.mktemp("remote")
    git(remote, "init", "--quiet", "--bare", "--initial-branch=main")
    git(project.root, "init", "--quiet", "--initial-branch=main")
    git(project.root, "remote", "add", "origin", str(remote))
    git(project.root, "add", ".")
    git(project.root, "commit", "--quiet", "-m", "first")
    watched()
    firing = firing_of(tick())
    assert (firing["outcome"], firing["detail"]) == ("waiting", "origin/main is not known here: fetch it")
    git(project.root, "push", "--quiet", "origin", "main")
    firing = firing_of(tick())
    assert (firing["outcome"], firing["detail"]) == ("finished", "merged to origin/main")
    assert len(sandbox.accepted()) == 2


def test_one_that_is_late_is_missed_recorded_and_shown(project, tick, watched, run, sandbox):
    project.campaign(CAMPAIGN + due(minutes=90))
    watched()
    firing = firing_of(tick())
    assert (firing["outcome"], firing["exit_code"]) == ("missed", 0)
    assert run("status").out.splitlines()[-1].startswith("missed: promo once, due ")
    (shown,) = run("status", "--json").json["firings"]
    assert shown["detail"] == firing["detail"] == "90 minutes late (schedule.missed is run_once)"


def test_while_everybodys_window_is_closed_it_is_planned_once_rests_and_is_no_error(
    project, tick, watched, run, sandbox, receiver, monkeypatch
):
    monkeypatch.setenv("RUNNER_NOTIFY_URLS", f"json://127.0.0.1:{receiver.port}")
    window, opens = closed_window()
    project.campaign(CAMPAIGN + due(window=f"'{window}'") + "notify: {on: [planned, stopped, failed]}\n")
    watched()
    run("approve", "promo.yml", "--auto-approve")
    for _ in range(2):
        firing = firing_of(tick())
        assert (firing["outcome"], firing["state"], firing["exit_code"]) == ("paused", "due", 0)
        until = opens.astimezone(timezone.utc)
        assert firing["detail"] == f"outside everybody's window, until {until:%Y-%m-%d %H:%M} UTC"
        assert (firing["opens_at"], firing["run"]) == (f"{until:%Y-%m-%dT%H:%M:%SZ}", None)
        for plan in (project.root / ".runner/plans").iterdir():
            plan.unlink()
    assert [json.loads(body)["title"] for _, body in receiver.posts] == ["promo once: planned"]
    assert sandbox.accepted() == []
    assert run("tick", "promo.yml", "--sandbox", "--json").code == 0


def test_who_is_left_when_the_windows_close_rests_until_the_next_one_and_nobody_is_told(
    project, tick, watched, run, sandbox, receiver, monkeypatch
):
    monkeypatch.setenv("RUNNER_NOTIFY_URLS", f"json://127.0.0.1:{receiver.port}")
    now = datetime.now(JAKARTA)
    window = f"'{now - timedelta(hours=1):%H:%M}-{now + timedelta(hours=1):%H:%M}'"
    zones = "CASE id WHEN 'c1' THEN 'Asia/Jayapura' END AS zone"
    text = CAMPAIGN.replace("SELECT *", f"SELECT *, {zones}")
    text = text.replace("consent: consent", "consent: consent, timezone: zone")
    project.campaign(text + due(window=window) + "notify: {on: [started, stopped, failed]}\n")
    watched()
    run("approve", "promo.yml", "--auto-approve")
    firing = firing_of(tick())
    assert (firing["outcome"], firing["state"], firing["exit_code"]) == ("paused", "started", 0)
    entry = firing["run"]
    assert (entry["accepted"], entry["remaining"], entry["exit_code"]) == (1, 1, 5)
    assert firing["opens_at"] == entry["next_at"] is not None
    again = firing_of(tick())
    assert (again["outcome"], again["run"], again["opens_at"]) == ("paused", None, entry["next_at"])
    assert [json.loads(body)["title"] for _, body in receiver.posts] == ["promo once: started"]
    # A tick that meets closed windows anew, as after a kill, is told to wait by the apply itself.
    with closing(open_ledger("sqlite:///.runner/ledger.db", root=project.root)) as ledger:
        ledger._store._connection.execute("UPDATE firings SET opens_at = NULL")
    again = firing_of(tick())
    assert (again["outcome"], again["exit_code"], again["run"]["exit_code"]) == ("paused", 0, 4)
    assert again["opens_at"] == entry["next_at"]
    assert len(receiver.posts) == 1
    assert len(list((project.root / ".runner/plans").iterdir())) == 1


def test_growth_over_the_guard_is_refused_and_told(project, tick, watched, run, sandbox):
    now = datetime.now(timezone.utc).replace(second=0, microsecond=0)
    last, new = now - timedelta(hours=1), now - timedelta(minutes=2)
    text = CAMPAIGN + f"schedule: {{cron: '{new.minute} * * * *', timezone: UTC}}\n"
    project.campaign(text + "guards: {max_growth: 50%}\n")
    run("approve", "promo.yml", "--auto-approve")
    watched()
    with closing(open_ledger("sqlite:///.runner/ledger.db", root=project.root)) as ledger:
        ledger.register_plan(
            digest="d",
            campaign="promo",
            occurrence=f"{last:%Y-%m-%dT%H:%MZ}",
            to_send=1,
            created_at=last.timestamp(),
        )
        ledger._store._connection.execute("UPDATE watched SET noted_until = ?", [last.timestamp() + 60])
    document = tick()
    firing = firing_of(document)
    assert (document["exit_code"], firing["outcome"], firing["state"]) == (4, "failed", "due")
    assert f"max_growth 50% (found 2 after 1 of {last:%Y-%m-%dT%H:%MZ} (+100.0%))" in document["err"]
    assert sandbox.accepted() == []


def test_a_broken_file_keeps_no_other_from_running_and_is_the_exit_code(project, tick, watched, run, sandbox):
    project.campaign(CAMPAIGN + due(), name="campaigns/promo.yml")
    project.campaign("campaign: [\n", name="campaigns/bad.yml")
    twin = CAMPAIGN.replace("campaign: promo", "campaign: twin") + due()
    for name in ("a", "b"):
        project.campaign(twin, name=f"campaigns/{name}.yml")
    watched()
    run("approve", "campaigns/promo.yml", "--auto-approve")
    document = tick("campaigns")
    assert document["exit_code"] == 1
    assert [error["message"].partition(":")[0] for error in document["errors"]] == [
        "campaigns/bad.yml",
        "campaigns/b.yml",
    ]
    assert firing_of(document)["outcome"] == "finished"


def test_campaigns_are_looked_for_in_their_folder(project, run, sandbox):
    assert "there is no folder campaigns in the project" in run("tick").err
    project.campaign(CAMPAIGN + due(), name="campaigns/promo.yml")
    result = run("tick")
    assert (result.code, result.out) == (0, "nothing is due\n")


def test_a_campaign_without_a_schedule_is_left_alone(project, tick):
    assert tick()["campaigns"] == []


def test_a_dry_run_shows_what_is_due_and_changes_nothing(project, tick, watched, run, sandbox):
    project.campaign(CAMPAIGN + due())
    watched()
    for _ in range(2):
        firing = firing_of(tick("promo.yml", "--dry-run"))
        assert (firing["occurrence"], firing["state"], firing["outcome"]) == ("once", "due", None)
    assert run("tick", "promo.yml", "--dry-run").out == "promo once: due\n"
    assert run("status", "--json").json["firings"] == []
    assert not list((project.root / ".runner/plans").glob("*"))


def test_a_rehearsal_ticks_apart(project, run, watched, sandbox):
    project.campaign(CAMPAIGN + due())
    watched()
    with closing(open_ledger("sqlite:///.runner/sandbox/ledger.db", root=project.root)) as ledger:
        ledger.watch("promo", time.time() - 3600)
    assert run("approve", "promo.yml", "--auto-approve", "--sandbox").code == 0
    result = run("tick", "promo.yml", "--sandbox", "--json")
    assert result.json["campaigns"][0]["firings"][0]["outcome"] == "finished"
    assert sandbox.accepted() == []
    assert run("status", "--json").json["firings"] == []


def start_tick(project, *arguments):
    return subprocess.Popen(
        [sys.executable, "-m", "runner", "tick", "--json", *arguments],
        cwd=project.root,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def test_several_campaigns_run_in_processes_and_one_that_fails_keeps_no_other(project, watched, run, sandbox):
    for name in ("one", "two", "bad"):
        text = CAMPAIGN.replace("campaign: promo", f"campaign: {name}") + due()
        text = text.replace("people.csv", "nobody.csv") if name == "bad" else text
        project.campaign(text, name=f"campaigns/{name}.yml")
    watched("one", "two", "bad")
    run("approve", "campaigns", "--auto-approve")
    process = start_tick(project)
    out, err = process.communicate(timeout=60)
    document = json.loads(out)
    assert process.returncode == document["exit_code"] == 1, err
    found = {each["campaign"]: each["firings"][0]["outcome"] for each in document["campaigns"]}
    assert found == {"one": "finished", "two": "finished", "bad": "failed"}
    assert sorted(sandbox.accepted()) == sorted(mobiles(2) * 2)


def test_two_ticks_at_once_send_to_nobody_twice(project, watched, run, sandbox):
    project.campaign(CAMPAIGN + due())
    project.people(people(300))
    watched()
    run("approve", "promo.yml", "--auto-approve")
    ticks = [start_tick(project, "promo.yml") for _ in range(3)]
    entries = [json.loads(each.communicate(timeout=60)[0])["campaigns"][0] for each in ticks]
    assert [each.returncode for each in ticks] == [0, 0, 0]
    done = [each for each in entries if each["firings"]]
    assert len(done) == 1
    assert sorted(sandbox.accepted()) == mobiles(300)


def test_a_tick_that_was_killed_is_resumed_by_the_next_one(project, tick, watched, run, sandbox):
    project.campaign(CAMPAIGN + due())
    project.people(people(400))
    project.write("runner.yml", RUNNER_YML % {"url": sandbox.url, "rate": "100/s"})
    watched()
    run("approve", "promo.yml", "--auto-approve")
    process = start_tick(project, "promo.yml")
    deadline = time.monotonic() + 30
    while len(sandbox.accepted()) < 20:
        assert time.monotonic() < deadline
        time.sleep(0.05)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    project.write("runner.yml", RUNNER_YML % {"url": sandbox.url, "rate": "unlimited"})
    for plan in (project.root / ".runner/plans").iterdir():
        plan.unlink()
    firing = firing_of(tick())
    assert firing["outcome"] == "finished"
    sent = sandbox.accepted()
    assert len(sent) == len(set(sent))
    (occurrence,) = run("status", "--json").json["occurrences"]
    assert occurrence["all_plans"]["accepted"] + occurrence["all_plans"]["unknown"] == 400
    assert firing["run"]["refused"] == 0


def test_sigterm_ends_all_processes_after_what_is_in_flight(project, watched, run, sandbox):
    project.people(people(400))
    project.write("runner.yml", RUNNER_YML % {"url": sandbox.url, "rate": "50/s"})
    for name in ("one", "two"):
        project.campaign(
            CAMPAIGN.replace("campaign: promo", f"campaign: {name}") + due(), name=f"campaigns/{name}.yml"
        )
    watched("one", "two")
    run("approve", "campaigns", "--auto-approve")
    process = start_tick(project)
    deadline = time.monotonic() + 30
    while len(sandbox.accepted()) < 5:
        assert time.monotonic() < deadline
        time.sleep(0.05)
    os.kill(process.pid, signal.SIGTERM)
    out, err = process.communicate(timeout=30)
    assert process.returncode == 130, err
    for entry in json.loads(out)["campaigns"]:
        assert entry["exit_code"] == 130
        for firing in entry["firings"]:
            assert (firing["outcome"], firing["run"]["unknown"]) == ("paused", 0)
