"""`runner receipts import`: what the provider reports, into the ledger; shown first, recorded on a yes."""

import stat
import sys
import time
from contextlib import closing
from datetime import datetime, timedelta, timezone

import click
import pytest

from runner.cli import receipts
from runner.delivery import Answer, DeliveryKey, Outcome
from runner.errors import LogError
from runner.ledger import open_ledger
from runner.ledger.interface import Holder, Intent, Settlement
from runner.ledger.lock_names import lock_name
from tests.conftest import mobiles

LEDGER = "sqlite:///.runner/ledger.db"
HEADER = "Mobile No,Status,Timestamp,Message ID,Customer\n"
NOW = time.time()


def fill(root, *, url=LEDGER, log=None):
    """Have five messages sent an hour ago: three accepted, with ids, and two unknown."""
    holder = Holder(owner="ada", host="here", pid=12)
    sent_at = NOW - 3600
    with closing(open_ledger(url, root=root)) as ledger:
        token = ledger.acquire(lock_name("promo", "once"), holder, sent_at)
        details = {"sender": "60110000001", "log": log or {}}
        plan = {"digest": "d1", "campaign": "promo", "occurrence": "once", "to_send": 5}
        ledger.register_plan(**plan, created_at=sent_at, details=details)
        run = ledger.begin_run(token, "d1", holder, sent_at)
        keys = [DeliveryKey(campaign="promo", occurrence="once", phone=phone) for phone in mobiles(5)]
        ledger.commit(token, [Intent(key=key, recipient_id="c", run=run) for key in keys], [], sent_at)
        settled = [Settlement(key=key, run=run, answer=answer(n)) for n, key in enumerate(keys)]
        ledger.commit(token, [], settled, sent_at + 1)
        ledger.end_run(run, 3, sent_at + 2)
        ledger.release(token)
    return run


def answer(number):
    if number < 3:
        return Answer(outcome=Outcome.ACCEPTED, rule="an id", message_id=f"id{number}", http_status=200)
    return Answer(outcome=Outcome.UNKNOWN, rule="time-out")


def minutes(number):
    """Return a time so long after sending, as a console in Jakarta shows it."""
    moment = datetime.fromtimestamp(NOW - 3600 + number * 60, timezone(timedelta(hours=7)))
    return moment.strftime("%Y-%m-%d %H:%M:%S")


def line(number, status, *, message_id="", at=1):
    return f"{mobiles(9)[number]},{status},{minutes(at)},{message_id},Ayu\n"


ROWS = (
    line(0, "Delivered", message_id="id0"),
    line(0, "Read", message_id="id0", at=2),
    line(1, "Failed"),
    line(3, "Delivered", message_id="new"),
    line(8, "Delivered"),
    line(2, "Queued"),
    "Ayu Lestari,Read,,,\n",
)


@pytest.fixture
def ledger(project):
    return fill(project.root)


@pytest.fixture
def imported(project, run):
    """Return a function that writes a report and imports it."""

    def call(*options, rows=ROWS, header=HEADER, zone=("--timezone", "Asia/Jakarta"), name="report.csv"):
        (project.root / name).write_text(header + "".join(rows), encoding="utf-8")
        return run("receipts", "import", name, *zone, *options)

    return call


def counts(project, url=LEDGER):
    with closing(open_ledger(url, root=project.root, read_only=True)) as ledger:
        return ledger.counts("d1")


def test_a_report_becomes_receipts_and_settles_what_was_unknown(project, ledger, imported):
    document = imported("--auto-approve", "--json").json
    assert document["format"] == 1
    names = ("lines", "matched", "unchanged", "unmatched", "ambiguous", "unreadable", "recorded")
    assert [document[name] for name in names] == [7, 4, 0, 1, 0, 2, 4]
    assert document["by_status"] == {"failed": 1, "delivered": 2, "read": 1}
    assert document["matched_by"] == {"message_id": 2, "phone": 2}
    assert (document["deliveries_moved"], document["unknown_settled"]) == (3, 1)
    assert document["unknown_statuses"] == {"Queued": 1}
    assert document["columns"]["phone"] == ["Mobile No"]
    after = counts(project)
    assert (after.accepted, after.unknown) == (4, 1)
    assert dict(after.receipts) == {"failed": 1, "delivered": 1, "read": 1}


def test_the_same_report_again_changes_nothing(project, ledger, imported):
    imported("--auto-approve")
    before = counts(project)
    again = imported("--auto-approve", "--json").json
    assert (again["matched"], again["unchanged"], again["recorded"]) == (0, 4, None)
    assert counts(project) == before
    assert imported("--auto-approve").out.endswith("nothing to record\n")


def test_a_preview_shows_all_and_records_nothing(project, ledger, imported):
    before = counts(project)
    result = imported("--preview")
    assert result.code == 0
    shown = result.out
    assert "report.csv: 7 lines below line 1 (comma-separated, utf-8)" in shown
    assert "matched             4  failed 1, delivered 2, read 1" in shown
    assert "settles             1  of them, unknown before" in shown
    assert 'statuses not known, left alone: "Queued" 1' in shown
    assert "1  no delivery to this phone in the time before it" in shown
    assert "a preview: nothing was recorded" in shown
    assert counts(project) == before


def test_no_phone_and_no_name_is_shown_whole(project, ledger, imported):
    for options in (["--preview"], ["--preview", "--json"]):
        result = imported(*options)
        assert "6281****0008" in result.out
        assert not any(phone in result.out + result.err for phone in mobiles(9))
        assert "Lestari" not in result.out + result.err


def test_without_a_person_and_without_a_yes_nothing_is_recorded(project, ledger, imported):
    before = counts(project)
    result = imported()
    assert result.code == 4
    assert "nobody is here to ask" in result.err
    assert "matched" in result.out
    assert counts(project) == before


@pytest.mark.parametrize(("typed", "code"), [("yes", 0), ("no", 4)])
def test_a_person_at_the_terminal_is_asked(project, ledger, imported, monkeypatch, typed, code):
    asked = []

    def prompt(text, **_):
        asked.append(text)
        return typed

    monkeypatch.setattr(sys.stdin, "isatty", lambda: True)
    monkeypatch.setattr(click, "prompt", prompt)
    assert imported().code == code
    assert asked == ["Record 4 receipts of 3 deliveries? Type yes to record"]
    assert counts(project).unknown == (1 if typed == "yes" else 2)


def test_lines_without_a_delivery_go_whole_into_a_private_file(project, ledger, imported):
    result = imported("--preview", "--unmatched", "left.csv")
    path = project.root / "left.csv"
    written = path.read_text()
    assert "3 lines without a delivery written to left.csv, phones whole" in result.out
    assert written.count("\n") == 4
    assert mobiles(9)[8] in written
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_a_long_list_is_cut_short(project, ledger, imported):
    result = imported("--preview", rows=[line(8, "Read", at=n) for n in range(30)])
    assert result.out.count("  line ") == 20
    assert "... and 10 more: --unmatched FILE writes them all" in result.out
    assert "an unknown" not in result.out


def test_many_statuses_that_are_not_known_are_cut_short_too(project, ledger, imported):
    shown = imported("--preview", rows=[line(n % 5, f"state {n:02d}") for n in range(30)]).out
    assert '"state 19" 1 and 10 more' in shown
    assert '"state 20" 1' not in shown


def test_a_mapping_is_saved_and_used_again(project, ledger, imported):
    header = "Customer,State of it,When,Ref,Note\n"
    rows = [f"{mobiles(1)[0]},terkirim,{minutes(1)},id0,x\n"]
    columns = ("phone=Customer", "status=State of it", "at=When", "message_id=Ref")
    options = [word for column in columns for word in ("--column", column)]
    first = imported(
        *options,
        "--status",
        "terkirim=delivered",
        "--save-mapping",
        "ada",
        "--preview",
        header=header,
        rows=rows,
    )
    assert first.code == 0, first.err
    saved = (project.root / "receipts/ada.yml").read_text()
    assert '  status: "State of it"\n' in saved
    assert 'timezone: "Asia/Jakarta"' in saved
    assert mobiles(1)[0] not in saved
    again = imported("--mapping", "ada", "--auto-approve", "--json", header=header, rows=rows, zone=())
    assert again.json["recorded"] == 1


def test_what_a_person_should_look_at_is_pointed_out(project, ledger, imported):
    rows = [line(0, "Read", message_id="wamid.1"), line(0, "Sent", message_id="wamid.2", at=90)]
    shown = imported("--preview", rows=rows).out
    assert "1 line of a time that has not come yet: is --timezone right?" in shown
    assert "no message id of the file is in the ledger" in shown
    assert "matched             1" in imported("--preview", "--column", "message_id=", rows=rows).out


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--timezone", "Jakarta"], "--timezone: 'Jakarta' is no time zone"),
        (["--encoding", "ebcdic"], "--encoding: 'ebcdic' is not known"),
        (["--window", "3"], "--window: found no time of at most 90 days"),
        (["--window", "9999d"], "--window: found no time"),
        (["--column", "phone"], "--column phone: found no field and header"),
        (["--mapping", "ada"], "there is no mapping 'ada'"),
        (["--save-mapping", "../x"], "'../x' is no name of a mapping"),
        (["--region", "XX"], "'XX' is no region"),
        (["--header-line", "90"], "no header is found in line 90"),
    ],
)
def test_what_cannot_be_meant_is_one_line(project, ledger, imported, options, message):
    result = imported(*options)
    assert result.code == 1
    assert message in result.err
    assert "Traceback" not in result.err


def test_without_a_zone_it_is_asked_for_and_an_encoding_and_a_window_may_be_said(project, ledger, imported):
    result = imported("--preview", zone=())
    assert (result.code, "in which time zone" in result.err) == (1, True)
    assert imported("--preview", "--encoding", "UTF-8", "--window", "30m").code == 0


def test_an_empty_ledger_matches_nothing_and_stays_uncreated(project, imported):
    result = imported("--auto-approve")
    assert (result.code, "nothing to record" in result.out) == (0, True)
    assert not (project.root / ".runner/ledger.db").exists()


def test_the_workspace_is_empty_afterwards(project, ledger, imported):
    imported("--auto-approve")
    assert list((project.root / ".runner/work").iterdir()) == []


def test_the_rehearsals_ledger_is_apart(project, run, imported):
    url = "sqlite:///.runner/sandbox/ledger.db"
    (project.root / ".runner/sandbox").mkdir(parents=True)
    fill(project.root, url=url)
    document = imported("--sandbox", "--json").json
    assert (document["recorded"], counts(project, url).unknown) == (4, 1)


def test_the_logs_of_the_runs_are_pushed(project, imported):
    run = fill(project.root, log={"csv": {"folder": "out"}})
    document = imported("--auto-approve", "--json").json
    assert [one["run"] for one in document["pushed"]] == [run]
    assert document["pushed"][0]["logs"][0]["rows"] == 10
    assert list((project.root / "out").rglob("*.csv"))


def test_a_log_that_fails_leaves_the_receipts_recorded_and_is_told(project, imported, monkeypatch):
    fill(project.root, log={"csv": {"folder": "out"}})

    def fail(*_):
        raise LogError("run 1 not wholly logged", hint="push later")
        yield

    monkeypatch.setattr(receipts, "push_logs_of", fail)
    result = imported("--auto-approve", "--json")
    assert result.code == result.json["exit_code"] == 1
    assert (result.json["recorded"], result.json["error"]["hint"]) == (4, "push later")
    assert "run 1 not wholly logged" in result.err
    assert counts(project).unknown == 1
