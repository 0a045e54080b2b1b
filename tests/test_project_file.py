"""runner.yml -> Project."""

from __future__ import annotations

from datetime import time

import pytest

from runner.campaign import PhoneStyle
from runner.errors import FileProblems, UsageError
from runner.project import Rate
from runner.project_file import find_project_root, is_loopback, load_project, parse_rate
from runner.window import Window

# DESIGN §3's example.
SAMPLE = """\
data: data                              # what duckdb segments may read
state: .runner                          # plans, ledger, run logs (mode 0700)
ledger: sqlite:///.runner/ledger.db     # or postgresql://...
providers:
  ada:
    url: https://bmpapi.bmp.ada-asia.my # required, ADA names it; ADA_API_URL in the environment wins
    sender: "60110000001"
    rate: 5/s                           # N/s; `unlimited` only for a provider on loopback
suppression: [lists/never.csv]          # one phone a line; never messaged
window: "08:00-21:00"                   # default for every campaign
"""
LEAST = 'providers: {ada: {sender: "60110000001"}}\n'


@pytest.fixture
def load(tmp_path):
    (tmp_path / "lists").mkdir()
    (tmp_path / "lists" / "never.csv").write_text("phone\n")

    def load_text(text):
        (tmp_path / "runner.yml").write_text(text, encoding="utf-8")
        return load_project(tmp_path)

    return load_text


def problems(load, text):
    with pytest.raises(FileProblems) as caught:
        load(text)
    return [str(problem).split("runner.yml:")[1] for problem in caught.value.problems]


def test_the_sample_of_the_design_loads(load, tmp_path):
    project = load(SAMPLE)
    ada = project.providers["ada"]
    assert project.root == tmp_path.resolve()
    assert (project.data, project.state) == (tmp_path / "data", tmp_path / ".runner")
    assert project.ledger == "sqlite:///.runner/ledger.db"
    assert (ada.name, ada.url, ada.sender) == ("ada", "https://bmpapi.bmp.ada-asia.my", "60110000001")
    assert ada.rate == Rate(per_second=5.0)
    assert project.suppression == (tmp_path / "lists" / "never.csv",)
    assert project.window == Window(opens=time(8), closes=time(21))


def test_what_is_left_out_has_a_default(load, tmp_path):
    project = load(LEAST)
    ada = project.providers["ada"]
    assert (project.data, project.state) == (tmp_path / "data", tmp_path / ".runner")
    assert project.ledger == "sqlite:///.runner/ledger.db"
    assert (project.window, project.timezone, project.suppression, project.sandbox_templates) == (
        None,
        None,
        (),
        None,
    )
    assert (project.plan_expires_hours, project.query_memory_mb, project.query_seconds) == (72.0, 1024, 300.0)
    assert (ada.url, ada.rate, ada.max_in_flight, ada.read_timeout, ada.options) == (
        None,
        Rate(per_second=5.0),
        256,
        60.0,
        {},
    )


def test_everything_that_can_be_set_is_taken_over(load, tmp_path):
    project = load(
        "data: in/here\nstate: var\ntimezone: Asia/Jakarta\nplan: {expires_hours: 1.5}\n"
        "query: {memory_mb: 512, seconds: 9}\nsandbox: {templates: t.json}\nproviders:\n  ada:\n"
        "    {url: 'http://127.0.0.1:8000', sender: '60110000001', rate: unlimited, max_in_flight: 4,\n"
        "     read_timeout: 2, text_header: template_data, channel: LIVECHAT, tag: false}\n"
    )
    ada = project.providers["ada"]
    assert (project.data, project.state) == (tmp_path / "in/here", tmp_path / "var")
    assert (project.ledger, project.timezone) == ("sqlite:///var/ledger.db", "Asia/Jakarta")
    assert (project.plan_expires_hours, project.query_memory_mb, project.query_seconds) == (1.5, 512, 9.0)
    assert project.sandbox_templates == tmp_path / "t.json"
    assert (ada.rate, ada.max_in_flight, ada.read_timeout) == (Rate(per_second=None), 4, 2.0)
    assert ada.options == {"text_header": "template_data", "channel": "LIVECHAT", "tag": False}


def test_history_names_queries_of_sends_made_elsewhere(load, tmp_path):
    (tmp_path / "sms.sql").write_text("SELECT phone, sent_at FROM sms")
    one, two = load(
        LEAST + "history:\n"
        "  - {source: duckdb, query: SELECT 1, region: ID, phone_style: national}\n"
        "  - {source: treasure_data, database: crm, query_file: sms.sql}\n"
    ).history
    assert (one.segment.source, one.segment.query) == ("duckdb", "SELECT 1")
    assert (one.region, one.phone_style) == ("ID", PhoneStyle.NATIONAL)
    assert (two.segment.database, two.segment.query) == ("crm", "SELECT phone, sent_at FROM sms")
    assert (two.region, two.phone_style) == (None, None)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "1:1: found an empty file, expected keys and values, such as `key: value`"),
        ("data: data\n", "1:1: providers: found nothing, expected a mapping with keys such as `ada`"),
        (
            "providers: {}\n",
            "1:12: providers: found an empty mapping, expected a mapping with keys such as `ada`",
        ),
        ("provider: {ada: {}}\n", "1:1: provider: found an unknown key, expected one of "),
        (LEAST + "data: ../x\n", '2:7: data: found "../x", expected a path below its folder, without `..`'),
        (LEAST + "state: /tmp\n", '2:8: state: found "/tmp", expected a path below'),
        (LEAST + "suppression: [a.csv]\n", "2:15: suppression[0]: found a file that does not exist"),
        (LEAST + f"suppression: [{'a' * 300}]\n", "2:15: suppression[0]: found a file that does not exist"),
        (LEAST + "history: x\n", '2:10: history: found "x", expected a list'),
        (LEAST + "history: [{query: SELECT 1}]\n", "2:11: history[0].source: found nothing, expected"),
        (
            LEAST + "history: [{source: duckdb}]\n",
            "2:11: history[0]: found neither `query`, `query_file` nor `table`, expected `query`,",
        ),
        (
            LEAST + "history: [{source: duckdb, table: crm.sms}]\n",
            "history[0].table: found `table`, expected no such key for the source `duckdb`",
        ),
        (
            LEAST + "history: [{source: treasure_data, query: SELECT 1}]\n",
            "history[0].database: found nothing, expected a database such as crm",
        ),
        (
            LEAST + "history: [{source: duckdb, query_file: gone.sql}]\n",
            "history[0].query_file: found a file that cannot be read",
        ),
        (
            LEAST + "history: [{source: duckdb, query: SELECT 1, region: XX}]\n",
            'history[0].region: found "XX", expected the two capital letters of a country',
        ),
        (LEAST + "window: 08:00-08:00\n", "2:9: window: found a window of no length"),
        (LEAST + "window: 8-20\n", '2:9: window: found "8-20", expected hours as HH:MM-HH:MM'),
        (
            LEAST + "timezone: Jakarta\n",
            '2:11: timezone: found "Jakarta", expected a time zone such as Asia/Jakarta',
        ),
        (LEAST + "ledger: mysql://x/y\n", '2:9: ledger: found "mysql://x/y", expected sqlite:/// and a path'),
        (LEAST + "ledger: postgresql://u:pw@h/d\n", "2:9: ledger: found a value that looks like a secret"),
        (
            LEAST + "plan: {expires_hours: 0}\n",
            "2:23: plan.expires_hours: found the number 0, expected a number above 0",
        ),
        (
            "providers: {ada: {sender: 60110000001}}\n",
            "1:27: providers.ada.sender: found the number 6011****001",
        ),
        ("providers: {ada: {sender: '+60110000001'}}\n", "1:27: providers.ada.sender: found "),
        ("providers: {ada: {sender: '60110000001', rate: 5}}\n", 'in quotes: "5"'),
        ("providers: {ada: {sender: '60110000001', rate: 0/s}}\n", '1:48: providers.ada.rate: found "0/s"'),
        (
            "providers: {ada: {sender: '60110000001', url: 'http://ada.example.com'}}\n",
            "found an address without TLS",
        ),
        (
            "providers: {ada: {sender: '60110000001', url: 'http://localhost@evil.com'}}\n",
            "an address without TLS",
        ),
        (
            "providers: {ada: {sender: '60110000001', url: 'ftp://x'}}\n",
            "expected an address that starts with https://",
        ),
        (
            "providers: {ada: {sender: '60110000001', api_key: abc}}\n",
            "1:42: providers.ada.api_key: found a key for a",
        ),
        (
            LEAST + "# key: eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIx.c2ln\n",
            "2:8: found something that looks like a secret",
        ),
    ],
)
def test_a_problem_says_where_it_is_what_was_found_and_what_was_expected(load, text, problem):
    [line] = problems(load, text)
    assert problem in line


def test_no_secret_is_repeated_in_a_problem(load):
    lines = "\n".join(
        problems(
            load,
            "providers:\n  ada:\n    sender: eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIx.c2ln\n    token: hunter22\n"
            "ledger: postgresql://me:hunter22@db/x\neyJhbGciOiJIUzI1NiJ9: x\n",
        )
    )
    assert "eyJ" not in lines
    assert "hunter22" not in lines
    assert lines.count("\n") == 3


def test_paths_that_leave_the_project_through_a_link_are_refused(load, tmp_path, tmp_path_factory):
    (tmp_path / "link").symlink_to(tmp_path_factory.mktemp("outside"))
    [line] = problems(load, LEAST + "data: link/data\n")
    assert "2:7: data: found a path that leads out of the project" in line


def test_a_ring_of_links_is_a_problem_and_no_traceback(load, tmp_path):
    (tmp_path / "ring").symlink_to(tmp_path / "ring")
    lines = problems(load, LEAST + "suppression: [ring, ring/x]\n")
    assert [line.split(": found")[0] for line in lines] == ["2:15: suppression[0]", "2:21: suppression[1]"]


def test_the_root_is_the_nearest_folder_with_a_runner_yml(tmp_path):
    inner = tmp_path / "a" / "campaigns"
    inner.mkdir(parents=True)
    (tmp_path / "runner.yml").write_text(LEAST)
    assert find_project_root(inner) == tmp_path.resolve()
    (tmp_path / "a" / "runner.yml").write_text(LEAST)
    assert find_project_root(inner / "x.yml") == (tmp_path / "a").resolve()


def test_without_a_runner_yml_there_is_no_project(tmp_path):
    with pytest.raises(UsageError, match=r"no runner\.yml") as caught:
        find_project_root(tmp_path)
    assert caught.value.hint


@pytest.mark.parametrize(
    ("url", "local"),
    [
        ("http://127.0.0.1:8080/x", True),
        ("http://127.8.9.1", True),
        ("http://[::1]:80", True),
        ("http://localhost", True),
        ("HTTP://LOCALHOST:1", True),
        ("https://ada.example.com", False),
        ("http://localhost.evil.com", False),
        ("http://localhost@evil.com", False),
        ("http://127.0.0.1.nip.io", False),
        ("http://0.0.0.0", False),
        ("http://10.0.0.1", False),
        ("http://evil.com\\@localhost", False),
        ("http://[::1", False),
        ("localhost", False),
        ("", False),
    ],
)
def test_only_an_address_on_this_machine_is_loopback(url, local):
    assert is_loopback(url) is local


@pytest.mark.parametrize(
    ("text", "rate"), [("5/s", 5.0), ("0.5/s", 0.5), ("1000/s", 1000.0), ("unlimited", None)]
)
def test_a_rate_is_a_number_a_second_or_unlimited(text, rate):
    assert parse_rate(text) == Rate(per_second=rate)


@pytest.mark.parametrize(
    "text", ["5", "0/s", "0.0/s", "-1/s", "5/m", "5 /s", "nan/s", "1_0/s", "５/s", "", "/s", "1e9/s"]
)
def test_what_is_no_rate_is_refused(text):
    with pytest.raises(UsageError, match="is not a rate"):
        parse_rate(text)
