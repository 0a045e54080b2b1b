"""`runner receipts listen`: from a sandbox's webhooks to status, and from a STOP to the next plan."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
import urllib.request
from contextlib import contextmanager

import pytest

from tests.conftest import RUNNER_YML, mobiles, people, sandbox_process

SECRET = "only-for-this-test-0123"


@contextmanager
def listener_process(root, *options, **environment):
    """Start `runner receipts listen` in `root`; give its URL; stop it at the end."""
    command = [sys.executable, "-m", "runner", "receipts", "listen", "--json", "--timezone", "UTC", *options]
    process = subprocess.Popen(
        command,
        cwd=root,
        env={**os.environ, **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        yield json.loads(process.stdout.readline())["url"], process
    finally:
        if process.returncode is None:
            process.send_signal(signal.SIGTERM)
            process.communicate(timeout=30)


def post(url, document):
    request = urllib.request.Request(url, data=json.dumps(document).encode(), method="POST")
    with urllib.request.urlopen(request, timeout=30) as answer:
        return answer.status


def until(holds, seconds=30.0):
    """Wait until something holds, and return it."""
    deadline = time.monotonic() + seconds
    while not (found := holds()):
        assert time.monotonic() < deadline, "it never came to hold"
        time.sleep(0.1)
    return found


@pytest.fixture
def told(project, monkeypatch):
    """A project whose sandbox tells a listener what becomes of messages."""
    monkeypatch.setenv("RUNNER_WEBHOOK_SECRET", SECRET)
    with listener_process(project.root) as (url, _):
        options = ("--limit", "none", "--webhook", f"{url}/webhooks/ada/{SECRET}")
        faults = ("--fault", f"reset-after-accept:@{mobiles(2)[1]}")
        with sandbox_process(project.root, *options, *faults) as sandbox:
            project.write("runner.yml", RUNNER_YML % {"url": sandbox.url, "rate": "unlimited"})
            monkeypatch.setenv("ADA_API_URL", sandbox.url)
            yield sandbox


def receipts(run):
    (occurrence,) = run("status", "--json").json["occurrences"]
    return occurrence


def test_webhooks_of_a_sandbox_reach_status_and_settle_what_was_unknown(project, run, told):
    project.people(people(10))
    applied = run("apply", "promo.yml", "--auto-approve", "--json")
    assert applied.json["runs"][0]["unknown"] == 1, applied.err

    got = until(
        lambda: (one := receipts(run)) and sum(one["receipts"].values()) == 10 and one["unknown"] == 0 and one
    )

    assert got["accepted"] == 10
    until(lambda: receipts(run)["receipts"] == {"sent": 0, "delivered": 5, "read": 5, "failed": 0})
    heading, line = run("status").out.splitlines()
    assert heading.split()[-6:] == ["sent", "delivered", "read", "failed", "last", "run"]
    assert line.split()[7:11] == ["0", "5", "5", "0"]
    assert run("receipts", "list", "--unmatched", "--json").json["unmatched"] == 0


def test_whoever_replies_stop_is_rejected_by_the_next_plan_and_kept_back_from_the_last(project, run, told):
    phone = mobiles(3)[2]
    project.people(people(3))
    assert run("plan", "promo.yml").code == 0
    post(f"{told.url}/sandbox/inbound", {"from": phone, "text": "Berhenti"})
    until(lambda: run("explain", f"+{phone}", "--json").json["opted_out"])

    applied = run("apply", "--auto-approve", "--json").json["runs"][0]

    assert applied["refused_by_rule"] == {"opted_out": 1}
    assert phone not in told.accepted()
    project.campaign(name="other.yml", **{"campaign: promo": "campaign: other"})
    (plan,) = run("plan", "other.yml", "--json").json["plans"]
    assert plan["rejected"] == {"opted_out": 1}
    shown = run("explain", f"+{phone}").out
    assert "opted out " in shown
    assert "by webhook (stop): berhenti" in shown
    assert "opted_out (asked not to be messaged)" in shown


def test_an_opt_out_stops_the_messages_of_a_running_apply(project, run, monkeypatch):
    everybody = mobiles(24)
    with listener_process(project.root) as (url, _), sandbox_process(project.root) as sandbox:
        project.write("runner.yml", RUNNER_YML % {"url": sandbox.url, "rate": "5/s"})
        monkeypatch.setenv("ADA_API_URL", sandbox.url)
        project.people(people(24))
        assert run("plan", "promo.yml").code == 0
        command = [sys.executable, "-m", "runner", "apply", "--auto-approve", "--json"]
        process = subprocess.Popen(command, cwd=project.root, stdout=subprocess.PIPE, text=True)
        until(lambda: sandbox.stats()["total"] >= 3)
        for phone in everybody[12:]:
            post(url, {"eventType": "Message", "data": {"custNo": phone, "text": "STOP"}})
        out, _ = process.communicate(timeout=60)
        accepted = set(sandbox.accepted())
    (applied,) = json.loads(out)["runs"]
    assert accepted == set(everybody[:12])
    assert (applied["accepted"], applied["refused_by_rule"]) == (12, {"opted_out": 12})


def test_what_comes_late_of_a_forgotten_person_is_not_kept(project, run, sandbox, plan, apply, monkeypatch):
    phone, other = mobiles(2)
    project.people(people(2))
    monkeypatch.setenv("RUNNER_FORGET_KEY", "k" * 32)
    plan()
    apply()
    (project.root / "data/people.csv").unlink()
    with listener_process(project.root) as (url, process):
        assert run("forget", phone, "--auto-approve").code == 0
        for number in (phone, other):
            data = {"id": f"late-{number}", "custNo": number, "status": "failed"}
            assert (
                post(url, {"eventType": "MessageStatus", "data": data, "tag1": f"promo/once/{number}"}) == 200
            )
            assert post(url, {"eventType": "Message", "data": {"custNo": number, "text": "stop"}}) == 200
        process.send_signal(signal.SIGTERM)
        _, err = process.communicate(timeout=30)
    assert "2 receipts, 2 stops" in err
    holding = [
        path for path in project.root.rglob("*") if path.is_file() and phone in path.read_text("latin-1")
    ]
    assert holding == []
    assert run("explain", f"+{other}", "--json").json["opted_out"]


def test_without_the_key_of_forgotten_people_it_does_not_listen(project, run, monkeypatch):
    monkeypatch.setenv("RUNNER_FORGET_KEY", "k" * 32)
    run("forget", mobiles(1)[0], "--auto-approve")
    monkeypatch.delenv("RUNNER_FORGET_KEY")
    result = run("receipts", "listen")
    assert result.code == 1
    assert "people were forgotten here, and RUNNER_FORGET_KEY is not set" in result.err


def test_it_says_what_came_in_without_a_phone_and_ends_well(project):
    with listener_process(project.root) as (url, process):
        data = {"id": "x", "custNo": mobiles(1)[0], "status": "delivered"}
        assert post(url, {"eventType": "MessageStatus", "data": data}) == 200
        assert post(url, {"eventType": "Conversation", "data": data}) == 200
        time.sleep(1)
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=30)
    assert process.returncode == 0, err
    assert "webhooks: 1 receipts, 0 stops, 1 other, 0 refused, 0 failed, 0 matched, 1 no_delivery" in err
    assert mobiles(1)[0] not in out + err


def test_for_people_it_says_where_it_listens_and_no_secret(project, run, monkeypatch):
    command = [sys.executable, "-m", "runner", "receipts", "listen"]
    environment = {**os.environ, "RUNNER_WEBHOOK_SECRET": SECRET}
    process = subprocess.Popen(
        command, cwd=project.root, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    lines = [process.stdout.readline() for _ in range(2)]
    process.send_signal(signal.SIGTERM)
    out, err = process.communicate(timeout=30)
    assert lines[0].startswith("listening for ADA's webhooks at http://127.0.0.1:")
    assert "--timezone says their zone" in lines[1]
    assert SECRET not in "".join(lines) + out + err


@pytest.mark.parametrize(
    ("options", "secret", "says"),
    [
        (["--host", "0.0.0.0"], "", "RUNNER_WEBHOOK_SECRET is not set"),
        (["--host", "example.com"], "", "RUNNER_WEBHOOK_SECRET is not set"),
        ([], "short", "found 5 characters, expected 16 to 200"),
        ([], "with/a slash in the middle", "is no good secret"),
        (["--timezone", "Asia/Nowhere"], "", "'Asia/Nowhere' is no time zone"),
        (["--port", "70000"], "", "70000"),
        (["--host", "192.0.2.1"], SECRET, "cannot listen on 192.0.2.1"),
    ],
)
def test_what_cannot_be_served_is_a_clear_error(project, run, monkeypatch, options, secret, says):
    monkeypatch.setenv("RUNNER_WEBHOOK_SECRET", secret)
    result = run("receipts", "listen", *options)
    assert result.code == 1
    assert says in result.err
    assert "Traceback" not in result.err
    assert not secret or secret not in result.err


def test_receipts_of_a_rehearsal_go_to_its_own_ledger(project, run):
    with listener_process(project.root, "--sandbox") as (url, _):
        data = {"id": "x", "custNo": mobiles(1)[0], "status": "delivered"}
        post(url, {"eventType": "MessageStatus", "data": data})
        until(lambda: run("receipts", "list", "--unmatched", "--sandbox", "--json").json["unmatched"])
    assert not (project.root / ".runner/ledger.db").exists()
