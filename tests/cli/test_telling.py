"""Commands tell people of changes of state: a local receiver gets each once, and no run is harmed."""

from __future__ import annotations

import json
import socket

import pytest

from tests.cli.conftest import accounts
from tests.conftest import CAMPAIGN
from tests.test_channels import receiver

__all__ = ["receiver"]

NOTIFY = "notify: {on: [started, stopped, failed, finished, log_failed]}\n"


@pytest.fixture
def told(receiver, monkeypatch, project):
    """Return the headlines that the receiver got so far."""
    monkeypatch.setenv("RUNNER_NOTIFY_URLS", f"json://127.0.0.1:{receiver.port}")
    project.campaign(CAMPAIGN + NOTIFY)

    def headlines():
        return [json.loads(body)["title"] for _, body in receiver.posts]

    return headlines


def test_an_apply_tells_of_its_start_and_its_end_with_the_balance(plan, apply, told, receiver):
    plan()
    assert accounts(apply()) == (2, 2, 0, 0, 0)
    assert told() == ["promo once: started", "promo once: finished"]
    last = json.loads(receiver.posts[-1][1])["message"]
    assert last == "2 to send = 2 accepted + 0 refused + 0 unknown + 0 remaining\nnext: runner status promo"


def test_a_plan_by_hand_and_a_finished_plan_tell_nobody(plan, apply, told, run):
    plan()
    assert told() == []
    apply()
    apply()
    assert len(told()) == 2


def test_the_projects_notify_holds_for_campaigns_without_their_own(plan, apply, told, project):
    text = (project.root / "runner.yml").read_text()
    project.write("runner.yml", text + "notify: {on: [finished]}\n")
    project.campaign(CAMPAIGN)
    plan()
    apply()
    assert told() == ["promo once: finished"]


def test_a_machine_that_is_refused_tells_once_and_a_person_at_the_terminal_is_not_doubled(
    plan, apply, told, run, sandbox
):
    plan()
    run("stop", "promo")
    assert apply()["exit_code"] == 4
    assert apply()["exit_code"] == 4
    assert run("apply").code == 4
    assert told() == ["promo once: failed"]


def test_a_log_that_fails_is_told_once_until_it_is_well_again(project, plan, apply, told, run):
    project.campaign(CAMPAIGN + NOTIFY + "log: {csv: {folder: exports}}\n")
    project.write("exports", "a file where the folder should be")
    plan()
    assert apply()["exit_code"] == 3
    assert told()[-1] == "promo once: log failed"
    assert run("log", "push").code == 1
    assert run("log", "push", "1").code == 1
    assert len(told()) == 3
    (project.root / "exports").unlink()
    assert run("log", "push").code == 0
    assert len(told()) == 3


def test_channels_that_fail_change_nothing_of_a_run(plan, apply, told, monkeypatch):
    with socket.create_server(("127.0.0.1", 0)) as free:
        closed = free.getsockname()[1]
    monkeypatch.setenv("RUNNER_NOTIFY_URLS", f"json://u:s3cr3t@127.0.0.1:{closed}/s3cr3t s3cr3t://x")
    plan()
    entry = apply()
    assert entry["exit_code"] == 0
    assert accounts(entry) == (2, 2, 0, 0, 0)
    assert "notify: promo once: finished: channel 1 (JSON) could not be reached" in entry["err"]
    assert "notify: promo once: finished: channel 2 is no address that apprise knows" in entry["err"]
    assert "s3cr3t" not in entry["err"]


def test_without_channels_that_is_said_once(plan, apply, told, monkeypatch):
    monkeypatch.delenv("RUNNER_NOTIFY_URLS")
    plan()
    entry = apply()
    assert entry["err"].count("notify: nobody was told: RUNNER_NOTIFY_URLS is not set") == 1


def test_a_rehearsal_tells_nobody_but_whoever_rehearses(told, run, project):
    run("plan", "promo.yml", "--sandbox")
    result = run("apply", "--sandbox", "--json")
    assert result.code == 0
    assert "notify: (a rehearsal: nobody is told) promo once: finished" in result.err
    assert told() == []


def test_doctor_counts_channels_and_shows_nothing_of_their_addresses(told, run, monkeypatch):
    def found():
        result = run("doctor", "promo.yml", "--json")
        assert "s3cr3t" not in result.out + result.err
        return next(check for check in result.json["checks"] if check["check"] == "notify")

    assert (found()["state"], found()["found"]) == ("ok", "1 channel: JSON")
    monkeypatch.setenv("RUNNER_NOTIFY_URLS", "json://u:s3cr3t@127.0.0.1 s3cr3t://")
    assert found()["state"] == "fail"
    assert found()["found"] == "RUNNER_NOTIFY_URLS: channel 2 of 2 is no address that apprise knows"
    monkeypatch.delenv("RUNNER_NOTIFY_URLS")
    assert found()["state"] == "warn"
