"""`runner audit`: who did what, and whether anybody changed the record."""

import json
import re
import sqlite3
from contextlib import closing

import pytest

from tests.cli.conftest import accounts
from tests.conftest import mobiles, people


@pytest.fixture
def done(project, sandbox, plan, apply, run):
    """Two applies and a settlement: five entries. Return the heads that the applies left."""
    project.people(people(3))
    sandbox.faults(f"reset-before-accept:@{mobiles(1)[0]}")
    plan()
    first = apply()
    assert accounts(first) == (3, 2, 0, 1, 0)
    run("resolve", "promo", "--all", "--as", "accepted", "--note", "asked +62 812 3000 0000 herself")
    project.people(people(5))
    sandbox.faults()
    plan()
    return first["audit_head"], apply()["audit_head"]


@pytest.fixture
def tamper(project):
    """Return a function that runs SQL on the ledger's file behind the product's back."""

    def tamper(*statements):
        with closing(sqlite3.connect(project.root / ".runner/ledger.db", isolation_level=None)) as file:
            for statement in statements:
                file.execute(statement)

    return tamper


def test_what_nobody_touched_is_sound(done, run):
    result = run("audit", "verify", "--json")
    assert result.code == 0
    assert result.json == {
        "format": 1,
        "sound": True,
        "entries": 5,
        "head": done[1],
        "fault": None,
        "exit_code": 0,
    }
    heads = [word for head in done for word in ("--head", head)]
    text = run("audit", "verify", *heads)
    assert (text.code, text.out) == (0, f"sound: 5 entries, head {done[1]}\n")


def test_the_entries_say_who_did_what_and_no_phone(done, run):
    found = run("audit", "show", "--json").json
    assert found["head"] == done[1]
    entries = found["entries"]
    names = ["plan_applied", "run_ended", "settled_by_hand", "plan_applied", "run_ended"]
    assert [each["event"] for each in entries] == names
    assert entries[0]["details"]["to_send"] == 3
    assert entries[1]["details"]["exit_code"] == 3
    assert entries[2]["details"]["note"] == "asked **** herself"
    assert all(phone not in json.dumps(found) for phone in mobiles(5))
    lines = run("audit", "show").out.splitlines()
    assert len(lines) == 5
    assert re.match(r" +3  \d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ  \w+  settled_by_hand  campaign=promo ", lines[2])


def test_a_project_that_did_nothing_has_a_sound_empty_log(project, run):
    assert run("audit", "show").out == "nothing was done yet\n"
    assert run("audit", "verify", "--json").json["entries"] == 0


def test_every_apply_prints_and_logs_the_head_it_left(project, plan, sandbox, run):
    plan()
    result = run("apply", "--auto-approve")
    (printed,) = re.findall(r"audit head: (\d+:[0-9a-f]{64})", result.err)
    (log,) = (project.root / ".runner/runs").glob("*.jsonl")
    assert json.loads(log.read_text().splitlines()[-1])["audit_head"] == printed
    assert run("audit", "verify", "--head", printed).code == 0


@pytest.mark.parametrize(
    ("statement", "number", "said"),
    [
        ("UPDATE audit SET actor = 'nobody' WHERE number = 3", 3, "entry 3 was edited"),
        ("UPDATE audit SET details = CAST('{}' AS BLOB) WHERE number = 1", 1, "entry 1 was edited"),
        ("UPDATE audit SET at = 'soon' WHERE number = 2", 2, "entry 2 was edited"),
        ("DELETE FROM audit WHERE number = 2", 2, "entry 2 is missing"),
        ("DELETE FROM audit WHERE number > 3", 4, "entries 4 to 5 are missing at the end"),
        ("DELETE FROM audit", 1, "entries 1 to 5 are missing at the end"),
    ],
)
def test_a_ledger_file_changed_by_hand_is_found(done, run, tamper, statement, number, said):
    tamper(statement)
    result = run("audit", "verify", "--head", done[1], "--json")
    assert result.code == 1
    assert (result.json["sound"], result.json["fault"]["number"]) == (False, number)
    assert result.json["fault"]["what"].startswith(said)
    assert run("audit", "verify", "--head", done[1]).out.startswith(f"NOT sound: {said}")
    assert run("audit", "show").code == 0


@pytest.mark.parametrize(
    ("statement", "number", "said"),
    [
        ("DELETE FROM audit WHERE number = 5", 5, "there is no entry of run_ended of run 2, which"),
        (
            "DELETE FROM audit WHERE number > 3",
            4,
            "there is no entry of plan_applied of run 2 and 1 more, which",
        ),
        ("DELETE FROM audit", 1, "there is no entry of plan_applied of run 1 and 3 more, which"),
    ],
)
def test_a_log_cut_off_is_found_by_what_the_ledger_shows_besides(done, run, tamper, statement, number, said):
    tamper(statement)
    result = run("audit", "verify", "--json")
    assert result.code == 1
    assert result.json["fault"]["number"] == number
    assert result.json["fault"]["what"].startswith(said)


def test_people_forgotten_have_to_be_in_the_log(done, run, tamper, monkeypatch):
    monkeypatch.setenv("RUNNER_FORGET_KEY", "k" * 32)
    run("forget", mobiles(1)[0], "--auto-approve")
    assert run("audit", "verify").code == 0
    tamper("DELETE FROM audit WHERE number > 5")
    assert "there is no entry of forgotten, which the ledger shows" in run("audit", "verify").out


def test_two_entries_changed_for_each_other_are_found(done, run, tamper):
    tamper(
        "UPDATE audit SET number = 99 WHERE number = 2",
        "UPDATE audit SET number = 2 WHERE number = 3",
        "UPDATE audit SET number = 3 WHERE number = 99",
    )
    assert run("audit", "verify", "--json").json["fault"]["number"] == 2


@pytest.mark.parametrize("head", ["5", "5:zz", "x:0123", "5:abc", ""])
def test_a_head_that_is_none_is_an_error(project, run, head):
    result = run("audit", "verify", "--head", head)
    assert result.code == 1
    assert "is no head" in result.err


def test_an_imported_report_is_in_the_log(project, done, run, sandbox):
    from datetime import datetime, timezone

    at = datetime.now(timezone.utc).isoformat(timespec="seconds")
    project.write("report.csv", f"phone,status,time\n{mobiles(2)[1]},delivered,{at}\n")
    assert run("receipts", "import", "report.csv", "--auto-approve").code == 0
    entry = run("audit", "show", "--json").json["entries"][-1]
    assert entry["event"] == "receipts_imported"
    assert (entry["details"]["lines"], entry["details"]["matched"]) == (1, 1)
    assert len(entry["details"]["file_sha256"]) == 64
    assert run("audit", "verify").code == 0


def test_rehearsals_have_a_log_of_their_own(project, run):
    run("apply", "promo.yml", "--sandbox")
    assert run("audit", "verify", "--sandbox", "--json").json["entries"] == 2
    assert run("audit", "verify", "--json").json["entries"] == 0
    assert len(run("audit", "show", "--sandbox", "--json").json["entries"]) == 2
