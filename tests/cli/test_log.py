from __future__ import annotations

from contextlib import closing

import pytest

from runner.ledger import open_ledger
from tests.logs.made_runs import begin, open_made, phones
from tests.logs.td_places import KEY, TD, rows_at, td_sandboxes

CSV = {"csv": {"folder": "exports"}}


@pytest.fixture
def made(project):
    """Return a function that makes a run in the project's ledger, and returns its number."""

    def make(log, *, campaign="promo", count=3, url=None):
        with closing(open_ledger(url, root=project.root) if url else open_made(project.root)) as ledger:
            run = begin(ledger, log=log, campaign=campaign)
            run.send("accepted", *phones(count))
            return run.run

    return make


@pytest.fixture
def td(project, monkeypatch):
    """Return a function that starts Treasure Data for this environment, and gives its URL."""
    with td_sandboxes(project.root) as start:

        def start_here(*faults):
            url = start(*faults)
            for name in ("TD_API_SERVER", "TD_PRESTO_API", "TD_CDP_API"):
                monkeypatch.setenv(name, url)
            monkeypatch.setenv("TD_API_KEY", KEY)
            return url

        yield start_here


@pytest.fixture
def no_key(project, monkeypatch, tmp_path):
    """An environment without any key."""
    monkeypatch.setenv("HOME", str(tmp_path))
    for name in ("TD_API_KEY", "TREASURE_DATA_API_KEY", "TDX_API_KEY", "TDX_PROFILE"):
        monkeypatch.delenv(name, raising=False)


def test_what_is_missing_of_every_run_is_pushed(made, td, run):
    url = td()
    made(TD)
    made(TD, campaign="other", count=4)
    result = run("log", "push")
    assert result.code == 0, result.err
    assert result.out.splitlines() == [
        "run 1: 3 rows to treasure_data:crm.whatsapp_log",
        "run 2: 4 rows to treasure_data:crm.whatsapp_log",
    ]
    assert len(rows_at(url)) == 7
    assert run("log", "push").out == "nothing to push\n"


def test_one_run_is_pushed_once_more_and_no_row_is_doubled(made, td, run):
    url = td()
    number = made(TD)
    run("log", "push")
    result = run("log", "push", str(number))
    assert (result.code, result.out) == (0, "run 1: 3 rows to treasure_data:crm.whatsapp_log\n")
    assert len(rows_at(url)) == 3


def test_the_document_names_runs_and_logs(made, run):
    made(CSV)
    made(None, campaign="other")
    assert run("log", "push", "--json").json == {
        "format": 1,
        "runs": [
            {
                "run": 1,
                "campaign": "promo",
                "occurrence": "once",
                "logs": [{"log": "csv:exports", "rows": 3, "batches": 1}],
            }
        ],
    }
    assert run("log", "push", "--json").json == {"format": 1, "runs": []}


def test_a_campaign_without_a_log_says_so(made, run):
    made(None)
    result = run("log", "push", "1")
    assert (result.code, result.out) == (0, "the campaign of run 1 has no `log`\n")
    assert run("log", "push", "1", "--json").json["runs"][0]["logs"] == []
    assert run("log", "push").out == "nothing to push\n"


def test_a_run_that_is_not_there_is_an_error(made, run):
    made(CSV)
    result = run("log", "push", "9")
    assert (result.code, result.out) == (1, "")
    assert "no run 9" in result.err


def test_a_key_that_is_missing_says_what_to_do_and_keeps_the_rows(made, no_key, run, monkeypatch):
    monkeypatch.delenv("TD_API_SERVER", raising=False)
    made(TD)
    result = run("log", "push", "--json")
    assert result.code == result.json["exit_code"] == 1
    assert "run 1 not wholly logged" in result.json["error"]["message"]
    assert "`runner log push 1`" in result.json["error"]["hint"]


def test_a_failed_push_is_an_error_that_the_next_push_mends(made, td, run):
    td("413@import")
    made(TD)
    result = run("log", "push")
    assert (result.code, result.out) == (1, "")
    assert "too large" in result.err
    url = td()
    assert run("log", "push").code == 0
    assert len(rows_at(url)) == 3


def test_phones_are_never_shown(made, td, run):
    td("422@import")
    made({**TD, **CSV})
    result = run("log", "push")
    assert phones(1)[0] not in result.out + result.err


def test_a_rehearsal_pushes_to_the_sandbox_and_below_its_own_folder(made, no_key, project, run):
    made({**TD, **CSV}, url="sqlite:///.runner/sandbox/ledger.db")
    result = run("log", "push", "--sandbox")
    assert result.code == 0, result.err
    assert "run 1: 3 rows to treasure_data:crm.whatsapp_log" in result.out
    assert len(list((project.root / ".runner/sandbox/exports").iterdir())) == 1
    assert not (project.root / "exports").exists()


def test_an_empty_ledger_has_nothing_to_push(project, run):
    assert run("log", "push").out == "nothing to push\n"
