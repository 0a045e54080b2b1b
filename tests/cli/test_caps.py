"""Caps over all campaigns, sends made elsewhere and the control group, from the plan to the last look-up."""

import csv
import subprocess
import sys
from collections import Counter
from datetime import datetime, timedelta, timezone

import pyarrow.parquet as pq
import pytest

from runner.campaign import Holdout
from runner.control_group import is_held_out
from tests.cli.conftest import accounts
from tests.conftest import CAMPAIGN, RUNNER_YML, mobiles, people

DISTANCE = "guards: {min_distance: 24h}\n"
HALF = Holdout(parts=500_000, group="promo")
HELD_OUT = [phone for phone in mobiles(12) if is_held_out(HALF, phone)]
LOGS = "log: {csv: {folder: exports}, parquet: {folder: exports}}\n"


@pytest.fixture
def two_campaigns(project, sandbox):
    """Two campaigns to the same people, who are to get one message a day."""
    project.people(people(12))
    project.campaign(CAMPAIGN + DISTANCE)
    project.campaign(CAMPAIGN.replace("campaign: promo", "campaign: other") + DISTANCE, name="other.yml")


def runner(*arguments):
    return subprocess.Popen(
        [sys.executable, "-m", "runner", *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def test_who_got_a_message_of_another_campaign_today_is_rejected_and_says_why(two_campaigns, run):
    run("apply", "promo.yml", "--auto-approve")
    assert "had a message too short a while ago" in run("plan", "other.yml").out
    found = run("explain", mobiles(1)[0], "--json").json["plans"]
    assert {row["campaign"]: row["verdict"] for row in found} == {"promo": "to_send", "other": "min_distance"}


def test_two_campaigns_that_run_at_the_same_time_never_message_a_person_twice(
    project, two_campaigns, run, sandbox
):
    project.write("runner.yml", RUNNER_YML % {"url": sandbox.url, "rate": "60/s"})
    run("plan", "promo.yml", "other.yml")
    names = sorted(str(path) for path in (project.root / ".runner/plans").glob("*.plan"))
    processes = [runner("apply", name, "--auto-approve") for name in names]
    written = [process.communicate(timeout=60) for process in processes]
    assert {process.returncode for process in processes} <= {0, 3}, written
    assert Counter(sandbox.accepted()) == Counter(mobiles(12))
    documents = run("status", "--json").json["occurrences"]
    assert sum(each["accepted"] for each in documents) == 12
    assert sum(each["refused_by_rule"].get("min_distance", 0) for each in documents) == 12


# Sends made elsewhere


def sent_elsewhere(project, *rows):
    path = project.root / "data/sms.csv"
    with path.open("w", newline="") as stream:
        csv.writer(stream).writerows([("phone", "sent_at"), *rows])


def with_history(project, sandbox, query="SELECT phone, sent_at FROM 'data/sms.csv'"):
    entry = f'history: [{{source: duckdb, query: "{query}"}}]\n'
    project.write("runner.yml", RUNNER_YML % {"url": sandbox.url, "rate": "unlimited"} + entry)


def test_sends_made_elsewhere_count_when_a_plan_is_made(project, sandbox, plan):
    now = datetime.now(timezone.utc)
    recently, long_ago = (now - timedelta(hours=hours) for hours in (2, 30))
    project.campaign(CAMPAIGN + DISTANCE)
    sent_elsewhere(project, ("081230000000", recently.isoformat()), ("+6281230000001", long_ago.isoformat()))
    with_history(project, sandbox)
    made = plan()
    assert (made["to_send"], made["rejected"]) == (1, {"min_distance": 1})
    sent_elsewhere(project, ("nobody", recently.isoformat()), ("+6281230000001", "soon"))
    made = plan()
    assert made["to_send"] == 2
    assert any("history[0] of runner.yml: 2 of 2 rows have no valid phone" in note for note in made["notes"])


def test_a_history_query_without_its_columns_is_refused_in_one_line(project, sandbox, run):
    project.campaign(CAMPAIGN + DISTANCE)
    sent_elsewhere(project, ("081230000000", "2026-03-20"))
    with_history(project, sandbox, "SELECT phone, sent_at AS sent FROM 'data/sms.csv'")
    result = run("plan", "promo.yml")
    assert result.code == 1
    assert "history[0] of runner.yml: segment query: does not return `sent_at`; it returns" in result.err
    assert "did you mean `sent`?" in result.err
    assert "Traceback" not in result.err


# The control group


@pytest.fixture
def half(project, sandbox):
    """Twelve people, of whom about half are held out; logs go to files."""
    project.people(people(12))
    project.campaign(CAMPAIGN + "holdout: 50%\n" + LOGS)
    assert 2 <= len(HELD_OUT) <= 10


def log_rows(root):
    with_csv = []
    for path in sorted((root / "exports").glob("*.csv")):
        with path.open(encoding="utf-8", newline="") as stream:
            with_csv += list(csv.DictReader(stream))
    tables = [pq.read_table(path).to_pylist() for path in sorted((root / "exports").glob("*.parquet"))]
    return with_csv, [row for table in tables for row in table]


def test_a_control_group_gets_no_message_and_can_be_looked_up(project, half, plan, apply, run, sandbox):
    made = plan()
    assert made["rejected"] == {"holdout": len(HELD_OUT)}
    assert made["rows"] == made["to_send"] + len(HELD_OUT)
    entry = apply()
    assert accounts(entry)[:2] == (12 - len(HELD_OUT),) * 2
    assert entry["held_out"] == len(HELD_OUT)
    assert f"{len(HELD_OUT)} people are held out as the control group" in entry["err"]
    assert set(sandbox.accepted()) == set(mobiles(12)) - set(HELD_OUT)

    (occurrence,) = run("status", "--json").json["occurrences"]
    assert occurrence["held_out"] == len(HELD_OUT)
    assert "held out" in run("status").out
    document = run("explain", HELD_OUT[0], "--json").json
    (held,) = document["held_out"]
    assert (held["campaign"], held["occurrence"], document["messages"]) == ("promo", "once", [])
    assert "held out of promo once as its control group" in run("explain", HELD_OUT[0]).out

    for rows in log_rows(project.root):
        told = {row["phone"]: row["event"] for row in rows}
        assert told == dict.fromkeys(mobiles(12), "accepted") | dict.fromkeys(HELD_OUT, "held_out")
        assert len({row["event_id"] for row in rows}) == 12
        assert {row["rule"] for row in rows if row["event"] == "held_out"} == {"holdout"}


def test_the_same_people_stay_held_out_and_a_second_plan_sends_to_none_of_them(
    project, half, plan, apply, sandbox
):
    plan()
    apply()
    project.people(people(14))
    made = plan()
    assert made["already_sent"] == 12 - len(HELD_OUT)
    assert made["rejected"]["holdout"] >= len(HELD_OUT)
    apply()
    assert set(sandbox.accepted()).isdisjoint(HELD_OUT)


def test_a_forgotten_person_leaves_the_control_group_and_its_logs(
    project, half, plan, apply, run, monkeypatch
):
    monkeypatch.setenv("RUNNER_FORGET_KEY", "f0" * 32)
    plan()
    apply()
    before = run("status", "--json").json
    result = run("forget", HELD_OUT[0], "--auto-approve", "--json")
    assert result.code == 0, result.err
    assert (result.json["erased"]["held_out"], result.json["erased"]["log_files"]) == (1, 2)
    assert run("status", "--json").json == before
    for rows in log_rows(project.root):
        assert HELD_OUT[0] not in {row["phone"] for row in rows}
        assert len(rows) == 12
    assert plan()["rejected"]["forgotten"] == 1
    files = [path for path in project.root.rglob("*") if path.is_file() and "data" not in path.parts]
    assert [str(path) for path in files if HELD_OUT[0].encode() in path.read_bytes()] == []


def test_who_of_the_control_group_was_forgotten_since_makes_a_plan_stale(project, half, run, monkeypatch):
    monkeypatch.setenv("RUNNER_FORGET_KEY", "f0" * 32)
    run("plan", "promo.yml", "-o", "kept.plan")
    run("forget", HELD_OUT[0], "--auto-approve")
    result = run("apply", "kept.plan", "--auto-approve")
    assert result.code == 4
    assert "forgotten" in result.err


def test_a_run_that_stops_at_its_first_message_keeps_its_whole_control_group(half, plan, apply, run, sandbox):
    plan()
    sandbox.faults("401")
    assert apply()["remaining"] == 12 - len(HELD_OUT)
    (occurrence,) = run("status", "--json").json["occurrences"]
    assert (occurrence["held_out"], occurrence["accepted"]) == (len(HELD_OUT), 0)
