"""runner.diagnosing: what doctor looks at, each check with its finding, whatever goes wrong in it."""

from __future__ import annotations

import base64
import json
import re
import threading
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest

from runner import diagnosing
from runner.diagnosing import Check, Reply, State, diagnose, fail, ok, skipped
from runner.errors import FileProblems, LedgerError, Position, Problem, UsageError
from runner.ledger import open_ledger
from runner.providers.interface import Account, TemplateList
from runner.template import HeaderKind, Template
from runner.treasure_data.account import Account as TdAccount
from runner.treasure_data.account import mask_key
from runner.treasure_data.audiences import ParentSegment

NOW = datetime(2026, 11, 24, 12, tzinfo=timezone.utc)
TD_KEY = "12/" + "a1" * 20
ACCOUNT = TdAccount(key=TD_KEY, key_source="TD_API_KEY", site="jp01", api="a", presto="p", cdp="c")


def made(*checks, **options):
    return {
        name: (finding.state.value, finding.found, finding.remedy)
        for name, finding in diagnose(checks, **options)
    }


def raising(error):
    def look():
        raise error

    return look


def seen(finding):
    return finding.state.value, finding.found


def test_each_check_has_its_finding_in_order():
    found = made(Check(name="b", look=lambda: ok("x")), Check(name="a", look=lambda: fail("y", "do z")))
    assert list(found.items()) == [("b", ("ok", "x", None)), ("a", ("fail", "y", "do z"))]


@pytest.mark.parametrize("first", [fail("x", None), skipped("x")])
def test_a_check_is_not_made_without_what_it_needs_nor_are_those_after_it(first):
    never = raising(AssertionError("was made"))
    found = made(
        Check(name="first", look=lambda: first),
        Check(name="second", look=never, needs=("other", "first")),
        Check(name="third", look=never, needs=("second",)),
    )
    assert found["second"] == ("skipped", "needs `first`", None)
    assert found["third"] == ("skipped", "needs `second`", None)


def test_a_warning_is_enough_for_what_needs_it():
    found = made(
        Check(name="first", look=lambda: diagnosing.warn("x", "y")),
        Check(name="second", look=lambda: ok("z"), needs=("first",)),
    )
    assert found["second"][0] == "ok"


def test_a_check_may_depend_on_what_an_earlier_one_has_found():
    kept = []

    def checks():
        yield Check(name="find", look=lambda: kept.append("it") or ok("found"))
        yield Check(name="use", look=lambda thing=kept[0]: ok(thing))

    assert [finding.found for _, finding in diagnose(checks())] == ["found", "it"]


PROBLEMS = [
    Problem(position=Position(file="x.yml", line=n, column=1), path="a", found="b", expected="c")
    for n in (1, 2)
]


@pytest.mark.parametrize(
    ("error", "found", "remedy"),
    [
        (UsageError("no\nkey", hint="set\nit"), "no key", "set it"),
        (LedgerError("locked"), "locked", None),
        (
            FileProblems(PROBLEMS),
            "x.yml:1:1: a: found b, expected c, and 1 more",
            "see all of them with `runner validate`",
        ),
        (
            FileProblems(PROBLEMS[:1]),
            "x.yml:1:1: a: found b, expected c",
            "see all of them with `runner validate`",
        ),
        (PermissionError(13, "Permission denied", "x"), "the system says: Permission denied", None),
        (OSError("no number"), "the system says: OSError", None),
    ],
)
def test_an_expected_failure_is_a_finding_of_one_line(error, found, remedy):
    assert made(Check(name="x", look=raising(error)))["x"] == ("fail", found, remedy)


def test_a_fault_of_the_check_itself_is_a_finding_without_its_text():
    state, found, remedy = made(Check(name="x", look=raising(RuntimeError(TD_KEY))))["x"]
    assert (state, found) == ("fail", "the check itself failed (RuntimeError)")
    assert "report it" in remedy


def test_a_check_that_hangs_is_left_alone_and_the_next_one_is_made():
    never = threading.Event()
    found = made(
        Check(name="hangs", look=lambda: never.wait(20) and ok("late")),
        Check(name="next", look=lambda: ok("x")),
        seconds=0.05,
    )
    never.set()
    assert found["hangs"][:2] == ("fail", "no result within 0.05 s")
    assert found["next"][0] == "ok"


@pytest.mark.parametrize(
    ("version", "state"), [((3, 9, 20), "fail"), ((3, 10, 0), "ok"), ((3, 13, 9), "ok"), ((3, 14, 0), "fail")]
)
def test_the_supported_pythons_are_well(version, state):
    assert diagnosing.python_version(version).state.value == state


def test_the_pythons_are_those_of_the_package():
    text = (Path(__file__).parent.parent / "pyproject.toml").read_text(encoding="utf-8")
    low, high = re.search(r'requires-python = ">=3\.(\d+),<3\.(\d+)"', text).groups()
    assert ((3, int(low)), (3, int(high) - 1)) == diagnosing.PYTHONS


PINS = [
    "click==8.5.1",
    "duckdb==2.0.0; python_version >= '3.11'",
    "duckdb==1.5.6; python_version < '3.11'",
    'psycopg[binary]==3.3.9; extra == "postgres"',
    "uvloop==0.23.0; sys_platform != 'win32'",
    "campaign-runner[postgres]; extra == 'dev'",
]
HERE = {"click": "8.5.1", "duckdb": "1.5.6", "psycopg": "3.3.9"}


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, ("ok", "3 packages as tested")),
        ({"psycopg": None}, ("ok", "2 packages as tested")),
        ({"click": None}, ("fail", "not installed: click")),
        ({"duckdb": "1.4.0"}, ("warn", "not the versions that were tested: duckdb 1.4.0")),
        ({"uvloop": "1"}, ("warn", "not the versions that were tested: uvloop 1")),
    ],
)
def test_packages_are_compared_with_the_pins(changes, expected):
    assert seen(diagnosing.packages(PINS, {**HERE, **changes}.get)) == expected


def test_a_product_that_is_not_installed_has_no_pins_to_compare():
    assert diagnosing.packages([], HERE.get).state is State.SKIPPED


GB = 1_000_000_000


@pytest.mark.parametrize(
    ("mode", "free", "state"),
    [(0o700, 5 * GB, "ok"), (0o700, GB // 2, "warn"), (0o700, GB // 20, "fail"), (0o755, 5 * GB, "warn")],
)
def test_the_state_folder_is_private_and_has_room(tmp_path, mode, free, state):
    tmp_path.chmod(mode)
    finding = diagnosing.state_folder(tmp_path, lambda folder: free)
    assert finding.state.value == state
    assert (finding.remedy is None) == (state == "ok")


def test_a_state_folder_that_cannot_be_written_fails(tmp_path, monkeypatch):
    monkeypatch.setattr(diagnosing.os, "access", lambda path, mode: False)
    assert "cannot be written" in diagnosing.state_folder(tmp_path, lambda folder: GB).found


def open_at(path, **options):
    return lambda: open_ledger(f"sqlite:///{path}", root=path.parent, **options)


def test_a_ledger_that_is_not_there_yet_is_well_and_is_not_made(tmp_path):
    path = tmp_path / "a/ledger.db"
    assert seen(diagnosing.ledger(path, 1, open_at(path, read_only=True))) == ("ok", "SQLite, no run yet")
    assert not path.parent.exists()


class Runs:
    def __init__(self, count):
        self.count = count
        self.is_closed = False

    def runs(self):
        return [None] * self.count

    def close(self):
        self.is_closed = True


@pytest.mark.parametrize(
    ("count", "found"), [(1, "PostgreSQL, schema 3, 1 run"), (1200, "PostgreSQL, schema 3, 1,200 runs")]
)
def test_a_ledger_tells_its_kind_schema_and_runs_and_is_closed(count, found):
    reader = Runs(count)
    assert seen(diagnosing.ledger(None, 3, lambda: reader)) == ("ok", found)
    assert reader.is_closed


def test_a_ledger_file_that_cannot_be_written_fails(tmp_path, monkeypatch):
    monkeypatch.setattr(diagnosing.os, "access", lambda path, mode: False)
    assert seen(diagnosing.ledger(tmp_path / "x.db", 1, lambda: Runs(1)))[0] == "fail"


def token(**claims):
    return f"h.{base64.urlsafe_b64encode(json.dumps(claims).encode()).decode().rstrip('=')}.s"


@pytest.mark.parametrize(
    ("key", "expected"),
    [
        (token(exp=(NOW + timedelta(days=7000)).timestamp()), ("ok", "set, expires on 2046-01-23")),
        (token(exp=(NOW + timedelta(days=3)).timestamp()), ("warn", "set, expires on 2026-11-27")),
        (token(exp=(NOW - timedelta(days=3)).timestamp()), ("fail", "expired on 2026-11-21")),
        (token(), ("ok", "set")),
        (token(exp="soon"), ("ok", "set")),
        (token(exp=1e30), ("ok", "set")),
        ("a.b.c", ("ok", "set")),
        ("nonsense", ("warn", "set, but not of the shape of ADA's keys (three parts with dots between)")),
        ("a..c", ("warn", "set, but not of the shape of ADA's keys (three parts with dots between)")),
    ],
)
def test_a_key_is_looked_at_and_never_shown(key, expected):
    finding = diagnosing.key_shape(key, NOW)
    assert seen(finding) == expected
    assert key not in f"{finding.found}{finding.remedy}".split()


def reply(*, status=200, date=NOW, began=0.0, ended=0.2):
    base = NOW.timestamp()
    return Reply(status=status, date=date, began=base + began, ended=base + ended)


@pytest.mark.parametrize(("status", "state"), [(200, "ok"), (400, "ok"), (404, "ok"), (503, "warn")])
def test_an_address_at_which_something_answers_is_reached(status, state):
    finding = diagnosing.address("https://ada.example.com/prod", lambda url: reply(status=status))
    assert finding.state.value == state
    assert finding.found.startswith("ada.example.com answers")


@pytest.mark.parametrize(
    ("here", "expected"),
    [
        (0, ("ok", "within 5 s of ada")),
        (5.9, ("ok", "within 5 s of ada")),
        (-5, ("ok", "within 5 s of ada")),
        (-60, ("warn", "60 s behind the clock of ada")),
        (61, ("warn", "60 s ahead of the clock of ada")),
        (-7200, ("warn", "7,200 s behind the clock of ada")),
    ],
)
def test_the_clock_is_compared_with_the_dates_of_answers(here, expected):
    assert seen(diagnosing.clock({"ada": reply(began=here, ended=here)})) == expected


def test_an_answer_that_took_long_says_nothing_against_the_clock():
    assert diagnosing.clock({"ada": reply(began=-30.0, ended=0.0)}).state is State.OK


def test_the_answer_that_is_farthest_off_is_named():
    replies = {"ada": reply(), "td": reply(began=100, ended=100)}
    assert diagnosing.clock(replies).found == "99 s ahead of the clock of td"


@pytest.mark.parametrize("replies", [{}, {"ada": reply(date=None)}])
def test_without_a_date_the_clock_is_not_compared(replies):
    assert diagnosing.clock(replies).state is State.SKIPPED


@pytest.mark.parametrize(("warning", "state"), [(None, "ok"), ("sends may fail: its status is X", "warn")])
def test_the_sender_is_masked_and_its_warning_told(warning, state):
    finding = diagnosing.sender(Account(id="1", number="60110000001", name="Shop", warning=warning))
    assert finding.state.value == state
    assert finding.found.startswith("key accepted, 6011****001 (Shop) is known")
    assert (warning or "known") in finding.found


def template(status):
    return Template(
        id="1",
        name="t",
        language="id",
        status=status,
        category="MARKETING",
        body="x",
        header_kind=HeaderKind.NONE,
    )


@pytest.mark.parametrize(
    ("statuses", "complete", "expected"),
    [
        (["APPROVED", "PAUSED"], True, ("ok", "2 read, 1 approved")),
        (["PAUSED"], True, ("warn", "1 read, 0 approved")),
        (["APPROVED"], False, ("warn", "1 read, 1 approved; the provider has more than it lists")),
    ],
)
def test_templates_are_counted(statuses, complete, expected):
    listing = TemplateList(templates=tuple(template(status) for status in statuses), complete=complete)
    assert seen(diagnosing.templates(listing)) == expected


def test_the_td_key_is_masked_and_its_source_named():
    finding = diagnosing.td_key(lambda: ACCOUNT, mask_key, [])
    assert seen(finding) == ("ok", "12/a1...a1 from TD_API_KEY, site jp01")


def test_a_missing_td_key_is_a_failure_only_where_a_campaign_needs_it():
    none = raising(UsageError("there is no Treasure Data key", hint="set TD_API_KEY"))
    finding = diagnosing.td_key(none, mask_key, [])
    assert seen(finding) == ("skipped", "there is no Treasure Data key; no campaign here needs one")
    found = made(Check(name="td key", look=lambda: diagnosing.td_key(none, mask_key, ["vip"])))
    assert found["td key"] == ("fail", "there is no Treasure Data key", "set TD_API_KEY")


@pytest.mark.parametrize(
    ("names", "found"), [(["a"], "key accepted, 1 database"), (["a", "b"], "key accepted, 2 databases")]
)
def test_an_accepted_td_key_tells_how_many_databases(names, found):
    assert seen(diagnosing.td_account(lambda: names)) == ("ok", found)


def test_a_database_that_is_not_there_is_told_with_a_near_one():
    assert diagnosing.td_database("crm", lambda: ["crm", "x"]).state is State.OK
    finding = diagnosing.td_database("crn", lambda: ["x", "crm"])
    assert finding.state is State.FAIL
    assert finding.remedy.startswith("did you mean crm?")
    assert diagnosing.td_database("crn", list).remedy.startswith("check the site")


def test_parent_segments_are_found_by_name_or_id():
    parents = [ParentSegment(id="287197", name="Customers SEA", population=1, updated_at=None)]

    def look(*wanted):
        return diagnosing.audience_studio(lambda: parents, wanted)

    assert look().state is State.SKIPPED
    assert look("Customers SEA", "287197").state is State.OK
    assert look("Customers SAE").remedy.startswith("did you mean 'Customers SEA'?")
    assert seen(look("zzz")) == ("fail", "no parent segment 'zzz'")


def test_a_log_table_is_there_or_will_be_made():
    assert diagnosing.table_log("t", lambda: ["t"]).found == "is there"
    assert diagnosing.table_log("t", list).found.startswith("not there yet")


def test_a_log_folder_can_be_written_or_made(tmp_path, monkeypatch):
    assert diagnosing.folder_log(tmp_path / "a/b").state is State.OK
    (tmp_path / "file").write_text("")
    assert "is no folder" in diagnosing.folder_log(tmp_path / "file/b").found
    monkeypatch.setattr(diagnosing.os, "access", lambda path, mode: False)
    assert "cannot be written" in diagnosing.folder_log(tmp_path).found


def test_files_are_opened_to_see_that_they_can_be_read(tmp_path):
    (tmp_path / "a").write_text("")
    assert diagnosing.readable([]).found == "0 files can be read"
    assert diagnosing.readable([tmp_path / "a"]).found == "1 file can be read"
    finding = diagnosing.readable([tmp_path / "a", tmp_path / "b"])
    assert seen(finding) == ("fail", f"{tmp_path / 'b'}: No such file or directory")


def test_the_way_out_is_told_and_no_service_is_asked_by_itself():
    ways = {"ada.example.com": "10.0.0.5", "td.example.com": "proxy proxy.example.com", "here": "127.0.0.1"}
    finding = diagnosing.egress(ways, None)
    assert seen(finding) == (
        "ok",
        "to ada.example.com from 10.0.0.5; to td.example.com from proxy proxy.example.com",
    )
    assert "--egress-url" in finding.remedy


def test_the_public_address_comes_from_the_service_that_was_named():
    finding = diagnosing.egress({"ada.example.com": "10.0.0.5"}, lambda: "203.0.113.7")
    assert finding.found == "203.0.113.7 outside (to ada.example.com from 10.0.0.5)"
    assert "allow" in finding.remedy


def test_on_this_machine_alone_there_is_no_way_out():
    assert diagnosing.egress({"127.0.0.1": "127.0.0.1"}, None).state is State.SKIPPED
