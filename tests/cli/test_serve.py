"""`runner serve`: firings on time, one leader, and pages that say how it is; over real processes."""

from __future__ import annotations

import json
import signal
import sqlite3
import subprocess
import sys
import time
import urllib.error
import urllib.request
from contextlib import ExitStack, closing, suppress
from datetime import datetime, timezone
from types import SimpleNamespace

import pytest

from runner.cli.scheduled import Scheduled, seconds_to_next
from tests.cli.test_apply import closed_window
from tests.cli.test_tick import due, watched
from tests.conftest import CAMPAIGN, LEAST, RUNNER_YML, mobiles, people

__all__ = ["watched"]


class Served:
    """A `runner serve` in a process of its own."""

    def __init__(self, root, *options):
        self.process = subprocess.Popen(
            [sys.executable, "-m", "runner", "serve", "--every", "1", "--json", *options],
            cwd=root,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        self.url = None
        with suppress(ValueError):  # one that is refused says so in a longer document
            self.url = json.loads(self.process.stdout.readline())["url"]

    def get(self, path, **headers):
        request = urllib.request.Request(self.url + path, headers=headers)
        try:
            with urllib.request.urlopen(request, timeout=10) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode()

    def health(self):
        status, body = self.get("/healthz")
        return status, json.loads(body)

    def wait(self, is_so, seconds=30):
        deadline = time.monotonic() + seconds
        while not is_so():
            assert time.monotonic() < deadline, self.health()
            time.sleep(0.05)

    def end(self, number=signal.SIGTERM):
        self.process.send_signal(number)
        _, err = self.process.communicate(timeout=30)
        return self.process.returncode, err


@pytest.fixture
def serve(project, sandbox):
    with ExitStack() as stack:

        def start(*options):
            served = Served(project.root, *options)
            stack.callback(_end, served.process)
            return served

        yield start


def _end(process):
    with suppress(ProcessLookupError):
        process.kill()
    process.communicate()


@pytest.fixture
def approved(project, run, watched):
    """Return a function that puts approved campaigns into their folder."""

    def approved(*names, schedule=None):
        for name in names:
            text = CAMPAIGN.replace("campaign: promo", f"campaign: {name}") + (schedule or due())
            project.campaign(text, name=f"campaigns/{name}.yml")
        watched(*names)
        assert run("approve", "campaigns", "--auto-approve").code == 0

    return approved


def test_it_sends_what_comes_due_reloads_files_and_shows_how_it_is(project, approved, serve, sandbox, run):
    approved("one")
    served = serve()
    served.wait(lambda: len(sandbox.accepted()) == 2)
    served.wait(lambda: 'runner_firings{campaign="one",state="finished"} 1.0' in served.get("/metrics")[1])
    status, health = served.health()
    assert (status, health["status"], health["leader"], health["led_by"]) == (200, "ok", True, None)
    assert health["last_tick_at"].endswith("Z")
    metrics = served.get("/metrics")[1]
    assert 'runner_deliveries{campaign="one",outcome="accepted"} 2.0' in metrics
    assert "runner_leader 1.0" in metrics
    assert not any(phone in metrics for phone in mobiles(2))
    approved("two")
    served.wait(lambda: len(sandbox.accepted()) == 4)
    project.campaign("campaign: [\n", name="campaigns/bad.yml")
    served.wait(lambda: "runner_broken_files 1.0" in served.get("/metrics")[1])
    assert served.get("/")[0] == 404
    assert served.get("/healthz", Host="evil.example")[0] == 403
    code, err = served.end()
    assert code == 0
    assert err.count("campaigns/bad.yml") == 1
    assert run("tick", "--json").json["campaigns"][0]["firings"] == []


def test_it_starts_no_tick_of_a_campaign_whose_firings_all_rest(project, approved, run, sandbox, monkeypatch):
    from runner.cli import service
    from runner.ledger.liveness import this_process
    from runner.project_file import load_project

    window, _ = closed_window()
    approved("one", schedule=due(window=f"'{window}'"))
    approved("two")
    assert run("tick", "campaigns/one.yml").code == 0
    started = []

    def stub(path, *flags):
        started.append(path.name)
        return SimpleNamespace(entries=list, stop=lambda: None)

    monkeypatch.setattr(service, "TickProcess", stub)
    monkeypatch.chdir(project.root)
    settings = service.Settings(paths=(), every=1, parallel=8, standby=False, sandbox=False)
    serving = service.Service(settings, load_project(project.root), this_process("ada"))
    token = serving.try_to_lead()
    serving.stop.wait = lambda seconds: serving.stop.set()
    serving.run(token)
    assert started == ["two.yml"]


def test_it_wakes_at_the_next_firing_and_at_its_interval_at_the_latest(load):
    now = datetime(2026, 11, 23, 2, 0, 50, tzinfo=timezone.utc)

    def seconds_to(*schedules, most=60):
        loaded = [
            (None, load(LEAST + f"schedule: {{{schedule}, timezone: UTC}}\n")) for schedule in schedules
        ]
        return seconds_to_next(Scheduled(campaigns=tuple(loaded), errors=()), now, most)

    assert seconds_to("cron: '1 * * * *'", "cron: '2 * * * *'") == 10
    assert seconds_to("cron: '1 * * * *'", most=5) == 5
    assert seconds_to("at: 2020-01-01T10:00") == 60
    assert seconds_to() == 60


def test_one_that_lost_its_lead_ends_with_4(project, approved, serve):
    approved("one")
    served = serve()
    served.wait(lambda: served.health()[1]["leader"])
    with closing(sqlite3.connect(project.root / ".runner/ledger.db")) as database:
        database.execute("DELETE FROM locks WHERE name = 'serve'")
        database.commit()
    _, err = served.process.communicate(timeout=30)
    assert served.process.returncode == 4
    assert "another service has taken the lead over" in err


def test_a_second_one_on_the_ledger_is_refused_and_told_who_leads(approved, serve):
    approved("one")
    first = serve()
    first.wait(lambda: first.health()[1]["leader"])
    second = serve()
    _, err = second.process.communicate(timeout=30)
    assert second.process.returncode == 4
    assert f"pid {first.process.pid} since " in err
    assert "this ledger is served already, by " in err
    assert "--standby" in err


def test_a_standby_takes_over_from_a_killed_leader_and_nobody_gets_a_message_twice(
    project, approved, serve, sandbox, run
):
    project.people(people(300))
    project.write("runner.yml", RUNNER_YML % {"url": sandbox.url, "rate": "100/s"})
    leader = serve()
    leader.wait(lambda: leader.health()[1]["reason"] == "there is no folder campaigns in the project")
    assert leader.health()[0] == 503
    standby = serve("--standby")
    standby.wait(lambda: standby.health()[1]["led_by"])
    status, health = standby.health()
    assert (status, health["leader"]) == (200, False)
    approved("one", "two")
    leader.wait(lambda: len(sandbox.accepted()) > 30)
    leader.process.kill()
    leader.process.communicate()
    standby.wait(lambda: standby.health()[1]["leader"])
    finished = 'runner_firings{campaign="%s",state="finished"} 1.0'
    for name in ("one", "two"):
        standby.wait(lambda name=name: finished % name in standby.get("/metrics")[1])
    assert sorted(sandbox.accepted()) == sorted(mobiles(300) * 2)
    events = [entry["event"] for entry in run("audit", "show", "--json").json["entries"]]
    assert events.count("lock_taken_over") == 1


def test_sigterm_records_what_is_in_flight_and_ends_with_130_when_something_is_left(
    project, approved, serve, sandbox, run
):
    project.people(people(600))
    project.write("runner.yml", RUNNER_YML % {"url": sandbox.url, "rate": "50/s"})
    approved("one")
    served = serve()
    served.wait(lambda: len(sandbox.accepted()) > 10)
    code, err = served.end()
    assert code == 130, err
    (occurrence,) = run("status", "--json").json["occurrences"]
    assert occurrence["unknown"] == 0
    assert occurrence["accepted"] == len(sandbox.accepted())
    assert occurrence["remaining"] > 0
    project.write("runner.yml", RUNNER_YML % {"url": sandbox.url, "rate": "unlimited"})
    assert run("tick").code == 0
    assert sorted(sandbox.accepted()) == mobiles(600)


def test_a_standby_that_is_stopped_ends_with_0(approved, serve):
    approved("one")
    leader = serve()
    leader.wait(lambda: leader.health()[1]["leader"])
    standby = serve("--standby")
    standby.wait(lambda: standby.health()[1]["led_by"])
    assert standby.end(signal.SIGINT)[0] == 0
