"""`runner stop` and `runner resume`: nothing new leaves until a person lifts the stop."""

import asyncio
import json

import pytest

from runner.clock import SteadyClock
from runner.heartbeat import HEARTBEAT
from tests.cli.conftest import accounts
from tests.conftest import CAMPAIGN, RUNNER_YML, people


@pytest.fixture
def dewi(monkeypatch):
    monkeypatch.setenv("LOGNAME", "dewi")
    return "dewi"


def test_a_stopped_campaign_is_refused_with_exit_4_until_the_stop_is_lifted(plan, apply, run, sandbox, dewi):
    plan()
    stopped = run("stop", "promo", "--note", "a wrong voucher")
    assert stopped.code == 0
    assert stopped.out.startswith("dewi stopped promo at ")
    assert stopped.out.endswith("(a wrong voucher); `runner resume promo` lifts it\n")
    entry = apply()
    assert entry["exit_code"] == 4
    assert "NOT  stop: dewi stopped promo at" in entry["err"]
    assert "lift it first: runner resume promo" in entry["err"]
    assert sandbox.stats()["total"] == 0
    assert run("resume", "promo").out == "promo: the stop is lifted\n"
    entry = apply()
    assert accounts(entry) == (2, 2, 0, 0, 0)
    assert "ok   stop: nobody has stopped it" in entry["err"]


def test_a_stop_of_all_stops_every_campaign_and_is_lifted_by_itself_alone(plan, apply, run, sandbox, dewi):
    plan()
    assert run("stop").out.startswith("dewi stopped every campaign at ")
    run("stop", "promo")
    resumed = run("resume")
    assert resumed.out == "every campaign: the stop is lifted\n"
    assert "still stands: dewi stopped promo at" in resumed.err
    assert apply()["exit_code"] == 4
    resumed = run("resume", "promo")
    assert "go on with `runner apply`" in resumed.err
    assert apply()["exit_code"] == 0


def test_to_lift_a_campaigns_own_stop_leaves_the_stop_of_all(plan, apply, run, sandbox):
    plan()
    run("stop")
    run("stop", "promo")
    assert "`runner resume` lifts it" in run("resume", "promo").err
    assert apply()["exit_code"] == 4


def test_status_shows_what_is_stopped_and_by_whom(project, plan, run, sandbox, dewi):
    plan()
    run("stop", "promo", "--note", "why")
    text = run("status").out.splitlines()
    assert text[0].startswith("stopped: dewi stopped promo at ")
    assert text[0].endswith("(why); `runner resume promo` lifts it")
    (stop,) = run("status", "--json").json["stops"]
    assert {key: stop[key] for key in ("campaign", "by", "note")} == {
        "campaign": "promo",
        "by": "dewi",
        "note": "why",
    }
    assert stop["at"].endswith("Z")
    assert run("status", "other", "--json").json["stops"] == []
    run("stop")
    (everything,) = run("status", "other", "--json").json["stops"]
    assert everything["campaign"] is None
    run("resume")
    run("resume", "promo")
    assert run("status", "--json").json["stops"] == []


def test_the_documents_say_what_was_done(plan, run, sandbox, dewi):
    plan()
    first = run("stop", "promo", "--json").json
    assert (first["format"], first["is_new"], first["applied_by"]) == (1, True, [])
    assert first["stop"]["campaign"] == "promo"
    second = run("stop", "promo", "--note", "again", "--json").json
    assert (second["is_new"], second["stop"]) == (False, first["stop"])
    assert run("stop", "promo").out.startswith("already stopped: dewi stopped promo")
    assert run("resume", "promo", "--json").json == {
        "format": 1,
        "campaign": "promo",
        "lifted": True,
        "stops": [],
    }
    assert run("resume", "--json").json["lifted"] is False
    assert run("resume", "promo").out == "promo: there was no stop to lift\n"


def test_a_slip_in_the_name_is_an_error_and_stops_nothing(project, plan, run, sandbox):
    plan()
    result = run("stop", "prommo")
    assert result.code == 1
    assert "no campaign 'prommo' was planned or applied here: nothing was stopped" in result.err
    assert 'Did you mean "promo"? `runner stop` without a name stops every campaign' in result.err
    assert run("status", "--json").json["stops"] == []


def test_a_campaign_that_was_applied_can_be_stopped_when_its_plan_is_gone(project, plan, apply, run, sandbox):
    plan()
    apply()
    for file in (project.root / ".runner/plans").iterdir():
        file.unlink()
    assert run("stop", "promo").code == 0


def test_rehearsals_are_stopped_apart(project, run, sandbox):
    run("plan", "promo.yml", "--sandbox")
    assert run("stop", "promo", "--sandbox").code == 0
    assert run("status", "--json").json["stops"] == []
    (stop,) = run("status", "--sandbox", "--json").json["stops"]
    assert stop["campaign"] == "promo"
    assert run("apply", "--sandbox").code == 4
    run("resume", "promo", "--sandbox")
    assert run("apply", "--sandbox").code == 0


def test_it_needs_neither_key_nor_provider(project, run, monkeypatch):
    monkeypatch.delenv("ADA_API_KEY")
    assert run("stop").code == 0
    assert run("resume").code == 0


def test_the_plan_shows_its_canary_and_a_rehearsal_does_not_wait_for_it(project, run, sandbox):
    project.campaign(CAMPAIGN + "guards: {canary: {size: 5, wait: 2h, max_failed: 10%}}\n")
    project.people(people(20))
    planned = run("plan", "promo.yml", "--sandbox", "--json").json["plans"][0]
    assert planned["guards"] == [
        {
            "name": "canary",
            "limit": "5 for at most 120 min, 10% failed",
            "found": "the first 5, then a wait",
            "exceeded": False,
        }
    ]
    result = run("apply", "--sandbox", "--json")
    assert (result.code, result.json["runs"][0]["accepted"]) == (0, 20)
    project.people(people(5))
    planned = run("plan", "promo.yml", "--sandbox", "--json").json["plans"][0]
    assert planned["guards"][0]["found"] == "all at once: no wait"


def test_a_canary_that_is_refused_stops_the_run_with_exit_5_and_the_next_one_with_exit_4(
    project, plan, apply, sandbox
):
    project.campaign(CAMPAIGN + "guards: {canary: {size: 5, wait: 2h, max_failed: 1}}\n")
    project.people(people(20))
    sandbox.faults("400")
    plan()
    entry = apply()
    assert (entry["exit_code"], accounts(entry)) == (5, (20, 0, 5, 0, 15))
    assert entry["stop"]["cause"] == "guard"
    assert entry["stop"]["detail"].startswith("guards.canary.max_failed is 1: 5 of 5 failed")
    entry = apply()
    assert entry["exit_code"] == 4
    assert "NOT  canary: guards.canary.max_failed is 1: 5 of 5 failed" in entry["err"]
    assert sandbox.stats()["total"] == 5


@pytest.fixture
def long_waits_pass_at_once(monkeypatch):
    """A clock on which waits of more than a second are over when they begin, but not those of heartbeats."""
    skipped, now, steady = [0.0], SteadyClock.now, SteadyClock.steady

    async def sleep(self, seconds):
        is_long = seconds > 1 and seconds != HEARTBEAT
        skipped[0] += seconds if is_long else 0
        await asyncio.sleep(0 if is_long else seconds)

    monkeypatch.setattr(SteadyClock, "now", lambda self: now(self) + skipped[0])
    monkeypatch.setattr(SteadyClock, "steady", lambda self: steady(self) + skipped[0])
    monkeypatch.setattr(SteadyClock, "sleep", sleep)


def test_a_canary_that_waits_says_until_when_also_in_the_run_log(
    project, plan, apply, sandbox, long_waits_pass_at_once
):
    project.campaign(CAMPAIGN + "guards: {canary: {size: 5, wait: 10m, max_failed: 1}}\n")
    project.people(people(20))
    plan()
    entry = apply()
    assert accounts(entry) == (20, 20, 0, 0, 0)
    waits = "promo: canary: 5 were sent; the others wait until it is known what became of them; until 20"
    assert waits in entry["err"]
    (log,) = (project.root / ".runner/runs").glob("*.jsonl")
    lines = [json.loads(line) for line in log.read_text(encoding="utf-8").splitlines()]
    (paused,) = [line for line in lines if line["action"] == "run_paused"]
    assert (paused["cause"], paused["detail"][:6]) == ("canary", "canary")
    assert paused["until"].endswith("+00:00")


def two_at_a_time(project, sandbox):
    """Let 60 people be sent to, with two requests in flight."""
    project.people(people(60))
    text = RUNNER_YML % {"url": sandbox.url, "rate": "unlimited"}
    project.write("runner.yml", text.replace("rate:", "max_in_flight: 2, rate:"))


def test_a_provider_that_is_down_on_the_way_costs_few_messages_and_the_run_says_that_it_pauses(
    project, plan, apply, sandbox, long_waits_pass_at_once
):
    two_at_a_time(project, sandbox)
    sandbox.faults("html502:#21-34")
    plan()
    entry = apply()
    assert accounts(entry) == (60, 46, 0, 14, 0)
    assert "promo: the provider answers nothing but errors (server_error): paused" in entry["err"]


def test_a_provider_that_stays_down_stops_the_run_with_exit_5(
    project, plan, apply, sandbox, long_waits_pass_at_once
):
    two_at_a_time(project, sandbox)
    sandbox.faults("html502")
    plan()
    entry = apply()
    assert entry["exit_code"] == 5
    assert entry["stop"]["cause"] == "provider"
    assert entry["stop"]["detail"].startswith("the provider answered nothing but errors: 8 times in a row")
