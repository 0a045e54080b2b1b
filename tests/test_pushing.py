from __future__ import annotations

import csv
import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from runner.delivery import ReceiptStatus
from runner.errors import LogError, UsageError
from runner.pushing import push_all, push_plan, push_run
from tests.logs.conftest import Scripted, serving
from tests.logs.made_runs import NOW, OUTCOMES, Waits, begin, open_made, phones
from tests.logs.td_places import NAME, TD, account_at, rows_at, td_sandboxes

CSV = {"csv": {"folder": "exports"}}
PARQUET = {"parquet": {"folder": "exports"}}

#: A push in a process that is killed when its first batch is in the table, and not marked yet.
_KILLED = """
import os, signal, sys
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from runner.pushing import push_run
from tests.logs.made_runs import Waits, open_made
from tests.logs.td_places import account_at

class Dying:
    def __init__(self, ledger):
        self._ledger = ledger

    def __getattr__(self, name):
        return getattr(self._ledger, name)

    def mark_logged(self, *_):
        os.kill(os.getpid(), signal.SIGKILL)

root, url, run = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])
with closing(open_made(root)) as ledger:
    push_run(Dying(ledger), run, Waits().tools(root, account_at(url)))
"""


@pytest.fixture
def ledger(tmp_path):
    with closing(open_made(tmp_path)) as opened:
        yield opened


@pytest.fixture
def waits():
    return Waits()


@pytest.fixture
def td(tmp_path):
    """A function that starts a Treasure Data sandbox with faults, and returns its URL."""
    with td_sandboxes(tmp_path) as start:
        yield start


@pytest.fixture
def tools(tmp_path, waits):
    """Tools of a project at `tmp_path`, with the account of a sandbox."""
    return lambda url="http://127.0.0.1:9": waits.tools(tmp_path, account_at(url))


def csv_rows(root):
    found = []
    for path in sorted((root / "exports").glob("*.csv")):
        with path.open(encoding="utf-8", newline="") as stream:
            found += list(csv.DictReader(stream))
    return found


def test_a_run_of_hundreds_in_every_outcome_lands_row_for_row(ledger, td, tools):
    url = td()
    run = begin(ledger, log=TD)
    events = run.send_all(phones(400))
    assert push_run(ledger, run.run, tools(url)).rows == events
    found = rows_at(url)
    assert len({row["event_id"] for row in found}) == len(found) == events
    assert {row["event"] for row in found} == set(OUTCOMES)
    assert {row["phone"] for row in found} == set(phones(400))
    assert {row["ledger"] for row in found} == {ledger.identity()}
    assert {row["run"] for row in found} == {run.run}
    assert {row["attempt"] for row in found} == {1, 2}


def test_pushing_again_pushes_nothing_and_pushing_all_of_it_again_adds_nothing(ledger, td, tools):
    url = td()
    run = begin(ledger, log=TD)
    events = run.send_all(phones(50))
    push_run(ledger, run.run, tools(url))
    assert push_run(ledger, run.run, tools(url)).rows == 0
    assert push_run(ledger, run.run, tools(url), again=True).rows == events
    assert len(rows_at(url)) == events


def test_a_push_killed_before_it_is_marked_adds_nothing_when_it_is_repeated(ledger, td, tools, tmp_path):
    url = td()
    run = begin(ledger, log=TD)
    events = run.send_all(phones(50))
    command = [sys.executable, "-c", _KILLED, str(tmp_path), url, str(run.run)]
    killed = subprocess.run(command, cwd=Path(__file__).parents[1], timeout=60)
    assert killed.returncode == -signal.SIGKILL
    assert len(rows_at(url)) == events
    assert push_run(ledger, run.run, tools(url)).rows == events
    assert len(rows_at(url)) == events


def test_a_push_killed_between_cutting_and_pushing_pushes_the_same_batch_though_more_happened(
    ledger, tmp_path, tools, monkeypatch
):
    run = begin(ledger, log=CSV)
    run.send("accepted", *phones(5))
    with monkeypatch.context() as patch:
        patch.setattr("runner.logs.csv.CsvLog.push", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            push_run(ledger, run.run, tools())
    run.send("accepted", *phones(5, start=5))
    pushed = push_run(ledger, run.run, tools())
    assert [(log.rows, log.batches) for log in pushed.logs] == [(10, 2)]
    sizes = sorted(path.read_bytes().count(b"\r\n") - 1 for path in (tmp_path / "exports").iterdir())
    assert sizes == [5, 5]


def test_receipts_that_come_later_are_rows_of_later_batches(ledger, td, tools):
    url = td()
    run = begin(ledger, log=TD)
    run.send("accepted", *phones(10))
    push_run(ledger, run.run, tools(url))
    run.receive(ReceiptStatus.DELIVERED, *phones(4))
    assert push_run(ledger, run.run, tools(url)).rows == 4
    found = rows_at(url)
    assert [row["event"] for row in found] == ["accepted"] * 10 + ["delivered"] * 4
    assert {row["rule"] for row in found[10:]} == {"import"}


def test_a_big_run_is_cut_into_batches(ledger, tmp_path, tools, monkeypatch):
    monkeypatch.setattr("runner.pushing.BATCH_ROWS", 30)
    run = begin(ledger, log=CSV)
    run.send("accepted", *phones(100))
    (log,) = push_run(ledger, run.run, tools()).logs
    assert (log.rows, log.batches) == (100, 4)
    assert len({row["event_id"] for row in csv_rows(tmp_path)}) == 100


def test_one_log_that_fails_does_not_hold_up_the_others(ledger, td, tmp_path, tools):
    run = begin(ledger, log={**TD, **CSV, **PARQUET})
    run.send("accepted", *phones(5))
    with pytest.raises(LogError, match=f"run {run.run} not wholly logged: .*too large") as caught:
        push_run(ledger, run.run, tools(td("413@import")))
    assert f"`runner log push {run.run}`" in caught.value.hint
    assert len(csv_rows(tmp_path)) == 5
    assert len(list((tmp_path / "exports").glob("*.parquet"))) == 1


def test_what_failed_is_pushed_by_the_next_push_and_the_rest_is_not(ledger, td, tools):
    run = begin(ledger, log={**TD, **CSV})
    run.send("accepted", *phones(5))
    with pytest.raises(LogError):
        push_run(ledger, run.run, tools(td("413@import")))
    url = td()
    pushed = push_run(ledger, run.run, tools(url))
    assert {log.name: log.rows for log in pushed.logs} == {NAME: 5, "csv:exports": 0}
    assert len(rows_at(url)) == 5


def test_a_key_that_is_missing_fails_only_the_log_that_needs_one(ledger, tmp_path, waits):
    def no_key():
        raise UsageError("there is no key", hint="export TD_API_KEY=...")

    keyless = replace(waits.tools(tmp_path), account=no_key)
    run = begin(ledger, log={**TD, **CSV})
    run.send("accepted", *phones(5))
    with pytest.raises(LogError, match="there is no key") as caught:
        push_run(ledger, run.run, keyless)
    assert caught.value.hint.startswith("export TD_API_KEY=...; ")
    assert len(csv_rows(tmp_path)) == 5


def test_a_campaign_without_a_log_has_nothing_pushed(ledger, tools):
    run = begin(ledger)
    run.send("accepted", *phones(5))
    assert push_run(ledger, run.run, tools()).logs == ()


def test_a_run_without_events_needs_neither_table_nor_key(ledger, tools):
    run = begin(ledger, log=TD)
    (log,) = push_run(ledger, run.run, tools()).logs
    assert (log.rows, log.batches) == (0, 0)


def test_a_run_that_is_not_in_the_ledger_is_an_error(ledger, tools):
    with pytest.raises(UsageError, match="no run 77"):
        push_run(ledger, 77, tools())


def test_push_all_brings_every_run(ledger, tmp_path, tools):
    for campaign in ("promo", "other", "third"):
        begin(ledger, log=CSV if campaign != "other" else None, campaign=campaign).send(
            "accepted", *phones(3)
        )
    assert [pushed.rows for pushed in push_all(ledger, tools())] == [3, 0, 3]
    assert [pushed.rows for pushed in push_all(ledger, tools())] == [0, 0, 0]
    assert len(csv_rows(tmp_path)) == 6


def test_push_plan_brings_the_runs_of_one_plan(ledger, tmp_path, tools):
    first = begin(ledger, log=CSV)
    first.send("accepted", *phones(3))
    first.intend(*phones(2, start=3))
    push_run(ledger, first.run, tools())
    begin(ledger, log=CSV, campaign="other").send("accepted", *phones(3))
    # The first run was killed: what it left in flight is unknown now, and of the first run.
    ledger.settle_interrupted(first.token, "promo", "once", NOW + 50)
    ledger.release(first.token)
    second = begin(ledger, log=CSV)
    second.send("accepted", *phones(4, start=5))
    (digest,) = {each.digest for each in ledger.runs() if each.id == second.run}
    assert [(each.run, each.rows) for each in push_plan(ledger, digest, tools())] == [(1, 2), (3, 4)]
    assert {row["campaign"] for row in csv_rows(tmp_path)} == {"promo"}


def test_two_pushes_at_once_bring_each_row_once(ledger, td, tools, tmp_path):
    url = td()
    run = begin(ledger, log=TD)
    events = run.send_all(phones(200))

    def push(_):
        with closing(open_made(tmp_path)) as other:
            return push_run(other, run.run, tools(url)).complete

    with ThreadPoolExecutor(4) as pool:
        assert all(pool.map(push, range(4)))
    assert len(rows_at(url)) == events


def test_a_log_that_failed_is_not_waited_for_again_with_each_run(ledger, tmp_path, waits, tools):
    for campaign in ("promo", "other", "third"):
        begin(ledger, log={**TD, **CSV}, campaign=campaign).send("accepted", *phones(3))
    began = waits.at
    with pytest.raises(LogError, match=r"3 runs not wholly logged: .*no answer of Treasure Data") as caught:
        push_all(ledger, tools("http://127.0.0.1:9"))
    assert waits.at - began <= 120
    assert "`runner log push`" in caught.value.hint
    assert len(csv_rows(tmp_path)) == 9


def test_a_batch_keeps_its_import_id_and_its_bytes(ledger, tools):
    run = begin(ledger, log=TD)
    run.send("accepted", *phones(5))
    with serving(Scripted()) as server:
        push_run(ledger, run.run, tools(server.url))
        push_run(ledger, run.run, tools(server.url), again=True)
    imports = [request for request in server.requests if "/import_with_id/" in request[0]]
    assert len(imports) == 2
    assert imports[0] == imports[1]


def test_a_run_can_be_pushed_while_it_is_being_applied(ledger, tmp_path, tools):
    run = begin(ledger, log=CSV)
    run.send("accepted", *phones(3))
    with closing(open_made(tmp_path)) as other:
        assert push_run(other, run.run, tools()).rows == 3
        run.send("accepted", *phones(3, start=3))
        assert push_run(other, run.run, tools()).rows == 3
    assert len(csv_rows(tmp_path)) == 6
