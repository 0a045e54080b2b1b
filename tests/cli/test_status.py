"""`runner status`: what became of every campaign's messages, as the ledger has it."""

import sqlite3
import time
from dataclasses import replace

from runner.ledger import open_ledger
from runner.ledger.liveness import this_process
from runner.ledger.lock_names import lock_name
from tests.cli.conftest import accounts
from tests.conftest import CAMPAIGN, mobiles, people


def test_before_the_first_message_nothing_was_sent_yet(project, run):
    result = run("status")
    assert (result.code, result.out) == (0, "nothing was sent yet\n")
    assert run("status", "--json").json == {"format": 1, "stops": [], "occurrences": [], "firings": []}
    assert not (project.root / ".runner/ledger.db").exists()


def test_it_needs_neither_key_nor_provider(project, run, monkeypatch):
    monkeypatch.delenv("ADA_API_KEY")
    assert run("status").code == 0


def test_each_occurrence_has_its_accounts(project, sandbox, run):
    project.campaign(CAMPAIGN.replace("campaign: promo", "campaign: other"), name="other.yml")
    sandbox.faults(f"400:@{mobiles(2)[1]}x1")
    run("apply", "promo.yml", "other.yml", "--auto-approve")
    document = run("status", "--json").json
    assert document["format"] == 1
    promo, other = document["occurrences"]
    assert (promo["campaign"], other["campaign"]) == ("promo", "other")
    assert accounts(promo) == (2, 1, 1, 0, 0)
    assert accounts(other) == (2, 2, 0, 0, 0)
    assert promo["refused_by_rule"] == {"refused": 1}
    assert (promo["last_run"]["run"], promo["last_run"]["exit_code"]) == (1, 3)
    assert promo["finished_at"].endswith("Z")
    assert promo["applied_by"] is None


def test_one_campaign_is_chosen_by_its_name(project, sandbox, run):
    project.campaign(CAMPAIGN.replace("campaign: promo", "campaign: other"), name="other.yml")
    run("apply", "promo.yml", "other.yml", "--auto-approve")
    (only,) = run("status", "other", "--json").json["occurrences"]
    assert only["campaign"] == "other"
    assert run("status", "nobody").out == "nothing was sent yet for nobody\n"


def test_the_text_is_one_line_for_each_occurrence(project, sandbox, run):
    run("apply", "promo.yml", "--auto-approve")
    heading, line = run("status").out.splitlines()
    assert heading.split() == (
        ["campaign", "occurrence", "to", "send", "accepted", "refused", "unknown", "remaining", "last", "run"]
    )
    assert line.split()[:9] == ["promo", "once", "2", "2", "0", "0", "0", "run", "1,"]


def test_all_plans_of_an_occurrence_are_added_up(project, sandbox, run):
    run("apply", "promo.yml", "--auto-approve")
    project.people(people(5))
    run("apply", "promo.yml", "--auto-approve")
    (found,) = run("status", "--json").json["occurrences"]
    assert accounts(found) == (3, 3, 0, 0, 0)
    assert found["all_plans"] == {"accepted": 5, "refused": 0, "unknown": 0}


def test_a_run_that_was_killed_is_called_so(project, sandbox, run):
    run("apply", "promo.yml", "--auto-approve")
    with sqlite3.connect(project.root / ".runner/ledger.db") as connection:
        connection.execute("UPDATE runs SET ended_at = NULL, exit_code = NULL")
    connection.close()
    assert "run 1 was killed" in run("status").out


def test_an_occurrence_that_is_being_applied_says_by_whom(project, sandbox, run):
    run("apply", "promo.yml", "--auto-approve")
    ledger = open_ledger("sqlite:///.runner/ledger.db", root=project.root)
    token = ledger.acquire(lock_name("promo", "once"), this_process("dewi"), time.time())
    assert "being applied by dewi@" in run("status").out
    assert run("status", "--json").json["occurrences"][0]["applied_by"].startswith("dewi@")
    ledger.release(token)
    ledger.close()


def test_a_lock_that_a_killed_process_left_is_nobodys(project, sandbox, run):
    run("apply", "promo.yml", "--auto-approve")
    ledger = open_ledger("sqlite:///.runner/ledger.db", root=project.root)
    gone = replace(this_process("dewi"), pid=2**22 - 1, process_started=1.0)
    ledger.acquire(lock_name("promo", "once"), gone, time.time())
    ledger.close()
    assert "being applied" not in run("status").out
    assert run("status", "--json").json["occurrences"][0]["applied_by"] is None
    assert run("stop", "promo", "--json").json["applied_by"] == []


def test_a_ledger_that_is_no_ledger_is_a_clear_error(project, run):
    project.write(".runner/ledger.db", "this is no database, but it is long enough to be looked at " * 30)
    result = run("status", "--json")
    assert result.code == 1
    assert "ledger.db" in result.json["error"]["message"]
    assert "Traceback" not in result.err
