"""`runner forget`: a person is erased everywhere, counts stay, and they are never messaged again."""

import base64
import json
import random
import signal
import subprocess
import sys
import time
from contextlib import closing, suppress

import psycopg
import pyarrow.parquet as pq
import pytest

from runner.forgotten import keyed_hash
from runner.ledger import open_ledger
from tests.cli.conftest import accounts
from tests.conftest import CAMPAIGN, RUNNER_YML, mobiles, people
from tests.logs.td_places import td_sandboxes
from tests.postgres import drop, postgres_url

FORGET_KEY = "f0" * 32
PHONE = mobiles(2)[1]
LOGS = "log: {csv: {folder: exports}, parquet: {folder: exports}}\n"


@pytest.fixture
def key(monkeypatch):
    monkeypatch.setenv("RUNNER_FORGET_KEY", FORGET_KEY)
    return FORGET_KEY


@pytest.fixture
def sent(project, sandbox, plan, apply, key):
    """Four people who got their message, with logs in files."""
    project.campaign(CAMPAIGN + LOGS)
    project.people(people(4))
    plan()
    assert accounts(apply()) == (4, 4, 0, 0, 0)
    return apply


def cells(path):
    """Return all that a Parquet file says, as one text."""
    return json.dumps(pq.read_table(path).to_pylist(), default=str)


def places_of(root, *words):
    """Return every file of the project, the data apart, that holds one of the words; also inside Parquet."""
    found = []
    for path in sorted(root.rglob("*")):
        if not path.is_file() or path.is_relative_to(root / "data"):
            continue
        content = path.read_bytes()
        text = cells(path) if path.suffix == ".parquet" else ""
        if any(word.encode() in content or word in text for word in words):
            found.append(str(path.relative_to(root)))
    return found


def message_id_of(run, phone):
    (message,) = run("explain", phone, "--json").json["messages"]
    return message["message_id"]


def test_nothing_of_a_forgotten_person_is_left_on_disk_and_all_counts_stay(project, sent, plan, run, sandbox):
    words = (PHONE, message_id_of(run, PHONE))
    plan()
    places = places_of(project.root, *words)
    assert any(place.endswith("ledger.db") or "ledger.db-wal" in place for place in places)
    assert sum(place.startswith("exports/") for place in places) == 2
    assert sum(place.startswith(".runner/runs/") for place in places) == 1
    before = run("status", "--json").json

    result = run("forget", PHONE, "--auto-approve", "--json")

    assert result.code == 0, result.err
    document = result.json
    assert document["erased"] == {
        "deliveries": 1,
        "events": 1,
        "settlements": 0,
        "held_out": 0,
        "run_log_lines": 1,
        "log_files": 2,
    }
    assert (document["phone"], document["new"], document["wiped"]) == ("6281****0001", True, True)
    assert [name.split(".")[0] for name in document["plans"]] == ["promo"]
    assert places_of(project.root, *words) == []
    assert PHONE not in result.out + result.err
    assert run("status", "--json").json == before
    (log,) = (project.root / "exports").glob("*.parquet")
    rows = pq.read_table(log).to_pylist()
    assert [row["phone"] for row in rows].count(None) == 1
    assert [row["recipient_id"] for row in rows].count(None) == 1
    assert len(rows) == 4
    assert run("audit", "verify").code == 0
    entries = run("audit", "show", "--json").json["entries"]
    assert [each["event"] for each in entries[-2:]] == ["forgotten", "erased"]
    assert PHONE not in json.dumps(entries)


def test_the_next_plan_rejects_them_and_does_not_write_them_down_again(project, sent, plan, run, sandbox):
    run("forget", PHONE, "--auto-approve")
    project.people(people(6))

    summary = plan()

    assert summary["rejected"] == {"forgotten": 1}
    assert (summary["rows"], summary["to_send"], summary["already_sent"]) == (6, 2, 3)
    assert places_of(project.root, PHONE) == []
    assert accounts(sent()) == (2, 2, 0, 0, 0)
    assert sandbox.accepted().count(PHONE) == 1
    assert places_of(project.root, PHONE) == []


def test_explain_says_forgotten_and_nothing_else(sent, run):
    run("forget", PHONE, "--auto-approve")
    assert run("explain", PHONE).out == "6281****0001  forgotten\n"
    assert run("explain", PHONE, "--json").json == {
        "format": 1,
        "phone": "6281****0001",
        "forgotten": True,
    }
    assert run("explain", mobiles(1)[0], "--json").json["forgotten"] is False


def test_without_the_key_explain_says_that_it_cannot_tell(sent, run, monkeypatch):
    run("forget", PHONE, "--auto-approve")
    monkeypatch.delenv("RUNNER_FORGET_KEY")
    result = run("explain", mobiles(1)[0], "--json")
    assert result.code == 0
    assert result.json["forgotten"] is None
    assert len(result.json["messages"]) == 1
    assert "RUNNER_FORGET_KEY is not set" in result.err


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (None, "people were forgotten here, and RUNNER_FORGET_KEY is not set"),
        ("e1" * 32, "RUNNER_FORGET_KEY is not the key by which people were forgotten here"),
    ],
)
def test_without_the_right_key_plan_and_apply_refuse(
    project, sent, plan, run, sandbox, monkeypatch, value, message
):
    run("forget", PHONE, "--auto-approve")
    project.people(people(5))
    plan()
    monkeypatch.delenv("RUNNER_FORGET_KEY")
    if value is not None:
        monkeypatch.setenv("RUNNER_FORGET_KEY", value)

    planned, applied = run("plan", "promo.yml"), run("apply", "--auto-approve")

    assert planned.code == 1
    assert f"runner: {message}\n" in planned.err
    assert applied.code == 4
    assert f"runner: refused, nothing was sent: {message}\n" in applied.err
    assert sandbox.stats()["total"] == 4
    for told in (planned, applied):
        assert "Traceback" not in told.err
        assert value is None or value not in told.err


def test_another_key_forgets_nobody(sent, run, monkeypatch):
    run("forget", PHONE, "--auto-approve")
    monkeypatch.setenv("RUNNER_FORGET_KEY", "e1" * 32)
    result = run("forget", mobiles(1)[0], "--auto-approve")
    assert result.code == 1
    assert "not the key by which people were forgotten" in result.err
    monkeypatch.setenv("RUNNER_FORGET_KEY", FORGET_KEY)
    assert len(run("explain", mobiles(1)[0], "--json").json["messages"]) == 1


@pytest.mark.parametrize(
    ("value", "message"),
    [("", "is not set: nothing was erased"), ("short", "has 5 characters, and needs 32")],
)
def test_without_a_good_key_nothing_is_erased(sent, run, monkeypatch, value, message):
    monkeypatch.setenv("RUNNER_FORGET_KEY", value)
    result = run("forget", PHONE, "--auto-approve")
    assert result.code == 1
    assert message in result.err
    assert len(run("explain", PHONE, "--json").json["messages"]) == 1


def test_nobody_is_forgotten_without_a_yes(sent, run):
    result = run("forget", PHONE)
    assert result.code == 4
    assert "use --auto-approve for machines" in result.err
    assert run("explain", PHONE, "--json").json["forgotten"] is False


@pytest.mark.parametrize(("answer", "code"), [("yes", 0), ("y", 4), ("", 4)])
def test_at_a_terminal_a_person_types_yes(sent, run, monkeypatch, answer, code):
    monkeypatch.setattr(sys.stdin, "isatty", lambda: True)
    monkeypatch.setattr("click.prompt", lambda *_, **__: answer)
    assert run("forget", PHONE).code == code
    assert run("explain", PHONE, "--json").json["forgotten"] is (code == 0)


def test_the_key_is_stored_nowhere_and_the_hash_is(project, sent, run):
    run("forget", PHONE, "--auto-approve")
    assert places_of(project.root, FORGET_KEY) == []
    kept = keyed_hash(FORGET_KEY.encode(), PHONE)
    assert places_of(project.root, kept) == [".runner/ledger.db"]


def test_forgetting_again_is_harmless(project, sent, run):
    run("forget", PHONE, "--auto-approve")
    result = run("forget", f"+{PHONE}", "--auto-approve")
    assert result.code == 0
    assert result.out.splitlines()[0] == "6281****0001 is forgotten (and was before)"
    assert places_of(project.root, PHONE) == []


def test_somebody_who_never_got_a_message_can_be_forgotten(project, sandbox, plan, run, key):
    assert run("forget", PHONE, "--auto-approve").code == 0
    assert plan()["rejected"] == {"forgotten": 1}


def test_a_pending_plan_is_removed_with_a_word_and_its_copy_elsewhere_is_refused(
    project, sandbox, plan, run, key
):
    copy = project.root / "data" / "copy.plan"
    run("plan", "promo.yml", "-o", str(copy))
    summary = plan()
    result = run("forget", PHONE, "--auto-approve")
    assert f"plan promo.once.{summary['digest'][:12]}.plan removed: plan again" in result.out
    refused = run("apply", str(copy), "--auto-approve")
    assert refused.code == 4
    assert "1 of its people have been forgotten" in refused.err
    assert sandbox.stats()["total"] == 0


def test_an_encrypted_plan_without_the_person_stays_too(project, sandbox, plan, run, key, monkeypatch):
    monkeypatch.setenv("RUNNER_PLAN_KEY", base64.b64encode(bytes(range(32))).decode())
    plan()
    assert run("forget", mobiles(9)[8], "--auto-approve", "--json").json["plans"] == []
    assert run("forget", PHONE, "--auto-approve", "--json").json["plans"] != []


def test_without_the_key_of_encrypted_plans_nothing_is_erased(project, sandbox, plan, run, key, monkeypatch):
    monkeypatch.setenv("RUNNER_PLAN_KEY", base64.b64encode(bytes(range(32))).decode())
    plan()
    monkeypatch.delenv("RUNNER_PLAN_KEY")
    refused = run("forget", PHONE, "--auto-approve")
    assert refused.code == 4
    assert "is encrypted, and RUNNER_PLAN_KEY is not set: nothing was erased" in refused.err
    assert len(list((project.root / ".runner/plans").glob("*.plan"))) == 1
    assert run("explain", PHONE, "--json").json["forgotten"] is False


def test_a_plan_without_the_person_stays(project, sandbox, plan, run, key):
    plan()
    assert run("forget", mobiles(9)[8], "--auto-approve", "--json").json["plans"] == []
    assert len(list((project.root / ".runner/plans").glob("*.plan"))) == 1


def test_what_killed_processes_left_and_rehearsals_are_removed(project, sent, run):
    run("apply", "promo.yml", "--sandbox")
    state = project.root / ".runner"
    (log,) = (project.root / "exports").glob("*.csv")
    (log.parent / f".{log.name}.x1y2").write_text(PHONE)
    for name in (
        "work/tables-x.work/recipients.parquet",
        "work/webhooks.y.work/spill",
        "query-z.work/spill",
        "plans/.p.tmp",
    ):
        path = state / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(PHONE)
    assert (state / "sandbox").exists()
    run("forget", PHONE, "--auto-approve")
    assert places_of(project.root, PHONE) == []
    assert not (state / "sandbox").exists()


def test_a_rehearsal_forgets_in_its_own_ledger_only(project, run, key, monkeypatch):
    project.campaign(
        CAMPAIGN + LOGS.replace("parquet: {folder: exports}", "treasure_data: {database: crm, table: sent}")
    )
    applied = run("apply", "promo.yml", "--sandbox")
    assert applied.code == 0, applied.err
    assert run("explain", PHONE, "--sandbox", "--json").json["messages"]
    result = run("forget", PHONE, "--sandbox", "--json")
    assert result.code == 0, result.err
    assert places_of(project.root, PHONE) == []
    assert run("explain", PHONE, "--sandbox").out == "6281****0001  forgotten\n"
    assert run("explain", PHONE, "--json").json["forgotten"] is False
    planned = run("plan", "promo.yml", "--sandbox", "--json")
    assert planned.json["plans"][0]["rejected"] == {"forgotten": 1}
    assert run("audit", "verify", "--sandbox").code == 0


def test_a_never_message_list_that_names_them_is_named(project, sandbox, plan, run, key):
    project.write("never.csv", f"+{PHONE}\n")
    project.write(
        "runner.yml", RUNNER_YML % {"url": sandbox.url, "rate": "5/s"} + "suppression: [never.csv]\n"
    )
    result = run("forget", PHONE, "--auto-approve")
    assert "left in never.csv: take the line out" in result.out
    assert plan()["rejected"] == {"forgotten": 1}


def test_rows_at_treasure_data_are_deleted_by_a_statement_that_names_nobody(
    project, sandbox, plan, apply, run, key, monkeypatch
):
    project.campaign(CAMPAIGN + "log: {treasure_data: {database: crm, table: whatsapp_log}}\n")
    with td_sandboxes(project.root) as start:
        url = start()
        for name in ("TD_API_SERVER", "TD_PRESTO_API", "TD_CDP_API"):
            monkeypatch.setenv(name, url)
        monkeypatch.setenv("TD_API_KEY", "1/" + "0" * 40)
        plan()
        apply()
    with closing(open_ledger("sqlite:///.runner/ledger.db", root=project.root, read_only=True)) as ledger:
        (event,) = ledger.history(PHONE)[0].events
        identity = ledger.identity()

    result = run("forget", PHONE, "--auto-approve", "--json")

    (rows,) = result.json["treasure_data"]
    at = int(event.at)
    assert rows["table"] == "crm.whatsapp_log"
    assert rows["statement"] == (
        f"DELETE FROM crm.whatsapp_log WHERE time BETWEEN {at} AND {at} "
        f"AND event_id IN ('{identity}-{event.number}')"
    )
    assert rows["statement"] in result.err
    assert PHONE not in rows["statement"]


def test_a_running_apply_leaves_out_whoever_is_forgotten_meanwhile(project, sandbox, plan, run, key):
    count, victim = 60, mobiles(60)[55]
    project.people(people(count))
    project.write("runner.yml", RUNNER_YML % {"url": sandbox.url, "rate": "16/s"})
    plan()
    process = subprocess.Popen(
        [sys.executable, "-m", "runner", "apply", "--auto-approve", "--json"],
        cwd=project.root,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    try:
        wait_for(lambda: sandbox.stats()["total"] >= 3)
        early = sandbox.accepted()[0]
        first = run("forget", victim, "--auto-approve", "--json")
        second = run("forget", early, "--auto-approve", "--json")
        out, _ = process.communicate(timeout=60)
    finally:
        process.send_signal(signal.SIGKILL) if process.poll() is None else None
    assert (first.code, second.code) == (0, 0), first.err + second.err
    assert first.json["applying"] == ["promo/once"]
    assert first.json["wiped"] is False
    assert second.json["erased"]["deliveries"] == 1
    (entry,) = json.loads(out)["runs"]
    assert accounts(entry) == (60, 59, 1, 0, 0)
    assert entry["refused_by_rule"] == {"forgotten": 1}
    assert victim not in sandbox.accepted()
    for phone in (victim, early):
        assert run("forget", phone, "--auto-approve", "--json").json["wiped"] is True
        assert places_of(project.root, phone) == []
    assert run("audit", "verify", "--head", entry["audit_head"]).code == 0


def test_a_running_apply_that_lacks_the_key_stops(project, sandbox, plan, run, key, monkeypatch):
    project.people(people(60))
    project.write("runner.yml", RUNNER_YML % {"url": sandbox.url, "rate": "8/s"})
    plan()
    monkeypatch.delenv("RUNNER_FORGET_KEY")
    process = subprocess.Popen(
        [sys.executable, "-m", "runner", "apply", "--auto-approve", "--json"],
        cwd=project.root,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    wait_for(lambda: sandbox.stats()["total"] >= 3)
    monkeypatch.setenv("RUNNER_FORGET_KEY", FORGET_KEY)
    assert run("forget", mobiles(60)[55], "--auto-approve").code == 0
    out, _ = process.communicate(timeout=60)
    (entry,) = json.loads(out)["runs"]
    assert entry["exit_code"] == 5
    assert "RUNNER_FORGET_KEY is not set" in entry["stop"]["detail"]
    assert entry["remaining"] > 0
    assert mobiles(60)[55] not in sandbox.accepted()


def wait_for(holds, seconds=30):
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_a_forgetting_that_was_cut_off_already_bars_them_and_is_finished_by_the_next(
    project, sent, plan, run, monkeypatch
):
    monkeypatch.setattr("runner.forgetting._clear", lambda *_, **__: raise_(KeyboardInterrupt()))
    assert run("forget", PHONE, "--auto-approve").code == 130
    assert plan()["rejected"] == {"forgotten": 1}
    assert any(place.startswith(".runner/ledger.db") for place in places_of(project.root, PHONE))
    monkeypatch.undo()
    monkeypatch.setenv("RUNNER_FORGET_KEY", FORGET_KEY)
    monkeypatch.chdir(project.root)

    result = run("forget", PHONE, "--auto-approve", "--json")

    assert result.json["new"] is False
    assert (result.json["erased"]["deliveries"], result.json["erased"]["log_files"]) == (1, 2)
    assert places_of(project.root, PHONE) == []


def raise_(error):
    raise error


def test_a_log_pushed_after_the_forgetting_has_their_row_without_them(project, sent, run):
    run("forget", PHONE, "--auto-approve")
    before = {path: path.read_bytes() for path in (project.root / "exports").iterdir()}
    assert run("log", "push", "1").code == 0
    assert {path: path.read_bytes() for path in (project.root / "exports").iterdir()} == before


def test_a_ledger_in_postgresql_forgets_the_same_way(project, sandbox, plan, apply, run, key):
    url = postgres_url()
    try:
        more = f'ledger: "{url}"\n'
        project.write("runner.yml", RUNNER_YML % {"url": sandbox.url, "rate": "unlimited"} + more)
        project.campaign(CAMPAIGN + LOGS)
        plan()
        assert accounts(apply()) == (2, 2, 0, 0, 0)
        before = run("status", "--json").json

        document = run("forget", PHONE, "--auto-approve", "--json").json

        assert (document["erased"]["deliveries"], document["erased"]["log_files"]) == (1, 2)
        assert document["wiped"] is True
        assert run("status", "--json").json == before
        assert places_of(project.root, PHONE) == []
        assert plan()["rejected"] == {"forgotten": 1}
        assert run("explain", PHONE).out == "6281****0001  forgotten\n"
        with psycopg.connect(url) as asked:
            for table in ("deliveries", "events", "resolutions", "audit", "plans", "forgotten"):
                rows = asked.execute(f"SELECT to_jsonb(t)::text FROM {table} AS t").fetchall()
                assert all(PHONE not in text for (text,) in rows)
        assert run("audit", "verify").code == 0
    finally:
        drop(url)


def test_a_forgetting_killed_at_any_moment_is_finished_by_the_next(project, sandbox, plan, apply, run, key):
    project.campaign(CAMPAIGN + LOGS)
    project.people(people(8))
    plan()
    apply()
    before = run("status", "--json").json
    chance = random.Random(4)
    killed = 0
    for phone in mobiles(8):
        plan()
        command = [sys.executable, "-m", "runner", "forget", phone, "--auto-approve"]
        process = subprocess.Popen(
            command, cwd=project.root, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        with suppress(subprocess.TimeoutExpired):
            process.wait(chance.uniform(0.3, 1.6))
        killed += process.poll() is None
        process.kill()
        process.wait()

        result = run("forget", phone, "--auto-approve")

        assert result.code == 0, result.err
        assert places_of(project.root, phone) == []
        assert run("status", "--json").json == before
        assert run("audit", "verify").code == 0
    assert killed
    assert plan()["rejected"] == {"forgotten": 8}
