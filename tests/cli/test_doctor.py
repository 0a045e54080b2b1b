"""`runner doctor`: what is there and what is not, each with its remedy; against real sandboxes."""

from __future__ import annotations

import socket
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from types import SimpleNamespace

import pytest

from runner.cli import doctor, probing
from runner.errors import RunnerError, TreasureDataError
from runner.ledger.sqlite_file import migrations
from tests.conftest import RUNNER_YML
from tests.sandbox.td import td_sandbox, write_table

VIP = """\
campaign: vip
segment: {source: treasure_data, database: crm, query_file: vip.sql}
recipient: {id: id, phone: phone, region: ID, consent: consent}
template: {name: promo, language: id}
log: {treasure_data: {database: crm, table: whatsapp_log}, csv: {folder: exports}}
"""

AUDIENCE = """\
campaign: audience
segment: {source: audience_studio, parent_segment: Customers, segment: all}
recipient: {id: id, phone: phone, region: ID, consent: consent}
template: {name: promo, language: id}
"""

TD_KEYS = ("TD_API_KEY", "TREASURE_DATA_API_KEY", "TDX_API_KEY", "TDX_PROFILE")
SECRET = "a1" * 20


@pytest.fixture(autouse=True)
def no_td(monkeypatch, tmp_path):
    """No key of Treasure Data, and no proxy."""
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    for name in (*TD_KEYS, "HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy", "ALL_PROXY", "TD_SITE"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def td(project, monkeypatch):
    """Treasure Data with one table, named by the environment."""
    write_table(project.root / "data", "crm/people.csv", "id,phone,consent\n1,+628123456789,true\n")
    with td_sandbox(project.root) as started:
        for name, value in started.environ.items():
            monkeypatch.setenv(name, value)
        yield started


@pytest.fixture
def vip(project):
    project.write("campaigns/vip.sql", "SELECT id, phone, consent FROM people")
    return project.write("campaigns/vip.yml", VIP)


@pytest.fixture
def checks(run):
    """Return a function that runs doctor: its exit code, and what was found by check."""

    def make(*arguments):
        result = run("doctor", "--json", *arguments)
        document = result.json
        assert (document["format"], document["exit_code"]) == (1, result.code)
        assert "Traceback" not in result.err
        found = {row["check"]: SimpleNamespace(**row) for row in document["checks"]}
        assert (result.code == 1) == any(row.state == "fail" for row in found.values())
        return result.code, found

    return make


def states(found):
    return {name: row.state for name, row in found.items()}


def test_all_that_a_campaign_of_treasure_data_needs_is_looked_at(sandbox, td, vip, checks):
    code, found = checks()
    assert code == 0, found
    assert states(found) == {
        "python": "ok",
        "packages": "ok",
        "project": "ok",
        "state": "ok",
        "ledger": "ok",
        "campaigns": "ok",
        "suppression": "ok",
        "ada key": "ok",
        "ada address": "ok",
        "ada sender": "ok",
        "ada templates": "ok",
        "td key": "ok",
        "td address": "ok",
        "td account": "ok",
        "td database crm": "ok",
        "audience studio": "skipped",
        "log vip treasure_data": "ok",
        "log vip csv": "ok",
        "notify": "skipped",
        "clock": "ok",
        "egress": "skipped",
    }
    assert found["clock"].found == "within 5 s of ada and td"
    assert found["ada sender"].found.startswith("key accepted, 6011****001")


def test_the_text_has_a_line_for_each_check_and_one_for_each_remedy(sandbox, run, monkeypatch):
    monkeypatch.delenv("ADA_API_KEY")
    result = run("doctor")
    lines = result.out.splitlines()
    assert result.code == 1
    assert lines[0].startswith("ok      python               Python 3.")
    place = next(index for index, line in enumerate(lines) if line.startswith("fail"))
    assert lines[place].split() == ["fail", "ada", "key", "ADA_API_KEY", "is", "not", "set"]
    assert lines[place + 1].strip() == "-> export ADA_API_KEY=... (no file may hold it)"
    assert lines[-1] == "8 ok, 1 fail, 9 skipped"


def test_no_key_is_ever_shown(sandbox, td, vip, run, monkeypatch):
    monkeypatch.setenv("TD_API_KEY", f"7/{SECRET}")
    monkeypatch.setenv("ADA_API_KEY", "kkkkkkkk.llllllll.mmmmmmmm")
    for arguments in (("doctor",), ("doctor", "--json")):
        result = run(*arguments)
        text = result.out + result.err
        assert "7/a1...a1" in text
        for secret in (SECRET, "kkkkkkkk", "llllllll", "mmmmmmmm"):
            assert secret not in text


def test_without_a_project_that_is_the_one_failure(tmp_path, checks, monkeypatch):
    monkeypatch.chdir(tmp_path)
    code, found = checks()
    assert (code, list(found)) == (1, ["python", "packages", "project"])
    assert "no runner.yml" in found["project"].found


def test_a_wrong_runner_yml_is_told_with_its_position(project, checks):
    project.write("runner.yml", "providers: 5\n")
    _, found = checks()
    assert "runner.yml:1:12: providers: found the number 5" in found["project"].found
    assert found["project"].remedy == "see all of them with `runner validate`"


def test_a_state_folder_that_cannot_be_made_is_told(project, checks):
    project.write(".runner", "a file")
    _, found = checks()
    assert found["state"].state == "fail"
    assert "state folder cannot be used" in found["state"].found
    assert "ledger" not in found


def test_a_damaged_ledger_is_told(sandbox, project, checks):
    project.write(".runner/ledger.db", "this is no database, but it is long enough to be looked at " * 30)
    _, found = checks()
    assert found["ledger"].state == "fail"
    assert "is not a SQLite database" in found["ledger"].found


def test_the_ledger_tells_how_many_runs_it_has(sandbox, run, checks):
    run("apply", "promo.yml", "--auto-approve")
    assert checks()[1]["ledger"].found == f"SQLite, schema {migrations()[-1].version}, 1 run"


def test_a_postgresql_ledger_opens_or_says_why_not(project, sandbox, checks):
    from tests.postgres import drop, postgres_url

    url = postgres_url()
    try:
        project.write("runner.yml", RUNNER_YML % {"url": sandbox.url, "rate": "5/s"} + f"ledger: {url}\n")
        assert checks()[1]["ledger"].found == "PostgreSQL, no run yet"
    finally:
        drop(url)
    finding = checks()[1]["ledger"]
    assert finding.state == "fail"
    assert finding.remedy


def test_problems_of_campaigns_are_told_and_the_others_still_looked_at(sandbox, td, vip, project, checks):
    project.write("campaigns/wrong.yml", "campagn: x\n")
    (project.root / "campaigns/vip.sql").unlink()
    project.write("campaigns/other.yml", AUDIENCE)
    _, found = checks()
    assert found["campaigns"].state == "fail"
    assert "vip.yml" in found["campaigns"].found
    assert "more" in found["campaigns"].found
    assert found["audience studio"].state == "fail"


def test_campaigns_may_be_named_and_a_wrong_name_is_a_finding(sandbox, project, checks):
    assert checks("promo.yml")[1]["campaigns"].found.startswith("1 without problems")
    assert checks()[1]["campaigns"].state == "skipped"
    assert checks("nothing.yml")[1]["campaigns"].state == "fail"


def test_suppression_lists_are_opened(sandbox, project, checks):
    project.write("never.csv", "phone\n")
    project.write(
        "runner.yml", RUNNER_YML % {"url": sandbox.url, "rate": "5/s"} + "suppression: [never.csv]\n"
    )
    assert checks()[1]["suppression"].found == "1 file can be read"


def test_a_key_that_ada_does_not_accept_is_told(sandbox, checks, monkeypatch):
    monkeypatch.setenv("ADA_API_KEY", "nonsense")
    _, found = checks()
    assert found["ada key"].state == "warn"
    assert found["ada sender"].state == "fail"
    assert "does not accept the API key" in found["ada sender"].found
    assert found["ada templates"].state == "skipped"


def test_a_sender_that_ada_does_not_know_is_told(sandbox, project, checks):
    text = RUNNER_YML % {"url": sandbox.url, "rate": "5/s"}
    project.write("runner.yml", text.replace("60110000001", "60119999999"))
    finding = checks()[1]["ada sender"]
    assert "no WhatsApp account with the number 6011****999" in finding.found
    assert "providers.ada.sender" in finding.remedy


def test_an_address_where_nothing_answers_is_told_and_asked_once(project, checks):
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        port = closed.getsockname()[1]
    project.write("runner.yml", RUNNER_YML % {"url": f"http://127.0.0.1:{port}", "rate": "5/s"})
    _, found = checks()
    assert found["ada address"].found == f"127.0.0.1:{port} does not answer: Connection refused"
    assert found["ada sender"].found == "needs `ada address`"
    assert found["clock"].state == "skipped"


def test_a_missing_address_is_told(project, checks):
    project.write("runner.yml", 'providers:\n  ada: {sender: "60110000001"}\n')
    assert "has no address" in checks()[1]["ada address"].found


def test_a_missing_td_key_is_told_where_a_campaign_needs_one(sandbox, vip, checks):
    _, found = checks()
    assert found["td key"].state == "fail"
    assert "TD_API_KEY" in found["td key"].remedy
    assert {found[name].state for name in ("td address", "td account", "td database crm")} == {"skipped"}
    assert found["log vip csv"].state == "ok"


def test_without_campaigns_a_td_key_need_not_be_there(sandbox, checks):
    code, found = checks()
    assert (code, found["td key"].state) == (0, "skipped")


@pytest.mark.parametrize(
    ("fault", "check", "words"),
    [
        ("401:@database_list", "td account", "does not accept the key (401)"),
        ("403:@database_list", "td account", "may not do this (403)"),
        ("500:@database_list", "td account", "did not answer, or with a server error"),
        ("403:@table_list", "log vip treasure_data", "may not do this (403)"),
    ],
)
def test_what_treasure_data_says_no_to_is_told(sandbox, td, vip, checks, fault, check, words):
    td.faults(fault)
    _, found = checks()
    assert found[check].state == "fail"
    assert words in found[check].found


def test_a_database_that_is_not_there_is_told(sandbox, td, vip, project, checks):
    project.write("campaigns/vip.yml", VIP.replace("database: crm,", "database: crn,"))
    _, found = checks()
    assert found["td database crn"].state == "fail"
    assert found["td database crn"].remedy.startswith("did you mean crm?")
    assert found["log vip treasure_data"].found == "needs `td database crn`"


def test_the_parent_segment_of_a_campaign_is_looked_for(sandbox, project, monkeypatch, checks):
    audiences = '[{"id": "287197", "name": "Customers", "segments": []}]'
    path = project.write("audiences.json", audiences)
    project.write("campaigns/a.yml", AUDIENCE)
    write_table(project.root / "data", "cdp_audience_287197/customers.csv", "id\n1\n")
    with td_sandbox(project.root, audiences=path) as td:
        for name, value in td.environ.items():
            monkeypatch.setenv(name, value)
        found = checks()[1]
        assert (found["audience studio"].state, found["audience studio"].found) == (
            "ok",
            "may be read, 1 parent segment",
        )
        td.faults("503:@audience")
        finding = checks()[1]["audience studio"]
        assert (finding.state, finding.remedy) == ("fail", "try again in 2 s")


def test_a_rehearsal_is_checked_without_any_key(project, vip, checks, monkeypatch):
    monkeypatch.delenv("ADA_API_KEY")
    write_table(project.root / "data", "crm/people.csv", "id,phone,consent\n1,+628123456789,true\n")
    code, found = checks("--sandbox", "campaigns/vip.yml")
    assert code == 0, found
    assert found["sandbox"].found.startswith("ADA's answers at http://127.0.0.1:")
    assert "sandbox" in found["state"].found
    assert found["td key"].found.endswith("from the sandbox, site of its own")
    assert found["log vip treasure_data"].found.startswith("not there yet")


def test_a_rehearsal_makes_the_databases_of_logs_itself(project, vip, checks):
    write_table(project.root / "data", "crm/people.csv", "id,phone,consent\n")
    project.write("campaigns/vip.yml", VIP.replace("{database: crm, table", "{database: logs, table"))
    code, found = checks("--sandbox")
    assert code == 0, found
    assert "td database logs" not in found
    assert found["log vip treasure_data"].found.startswith("not there yet")


def test_a_rehearsal_without_treasure_data_does_not_start_it(project, checks):
    code, found = checks("--sandbox")
    assert (code, found["td key"].state) == (0, "skipped")


def test_a_sandbox_that_cannot_start_is_told(project, checks):
    project.write("templates.json", "{")
    _, found = checks("--sandbox")
    assert found["sandbox"].state == "fail"
    assert found["state"].found == "needs `sandbox`"


@contextmanager
def answering(body, status=200):
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            self.server.asked.append(dict(self.headers))
            self.send_response(status)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *arguments):
            pass

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        server.asked = []
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        yield server, f"http://127.0.0.1:{server.server_port}/ip"
        server.shutdown()
        thread.join(10)


@pytest.mark.parametrize("body", [b"203.0.113.7\n", b'{"origin": "203.0.113.7, 10.0.0.1"}', b'"203.0.113.7"'])
def test_the_service_that_was_named_tells_the_public_address(sandbox, checks, monkeypatch, body):
    monkeypatch.setattr(probing, "way_out", lambda url: "10.0.0.5")
    with answering(body) as (server, url):
        _, found = checks("--egress-url", url)
    assert found["egress"].found == "203.0.113.7 outside (to 127.0.0.1 from 10.0.0.5)"
    (asked,) = server.asked
    assert "Authorization" not in asked


def test_a_service_that_tells_no_address_is_a_finding(sandbox, checks, monkeypatch):
    monkeypatch.setattr(probing, "way_out", lambda url: "10.0.0.5")
    with answering(b"<html>", status=502) as (_, url):
        finding = checks("--egress-url", url)[1]["egress"]
    assert (finding.state, "holds no address (status 502)" in finding.found) == ("fail", True)


def test_a_service_is_asked_over_https_only(project, run):
    result = run("doctor", "--egress-url", "http://ip.example.com")
    assert (result.code, result.out) == (1, "")
    assert "https" in result.err


def test_the_way_out_is_an_address_of_this_machine_or_a_proxy(monkeypatch):
    assert probing.way_out("http://127.0.0.1:9/x") == "127.0.0.1"
    monkeypatch.setenv("HTTPS_PROXY", "http://user:secret@proxy.example.com:3128")
    assert probing.way_out("https://ada.example.com") == "proxy proxy.example.com"


def test_a_probe_keeps_the_date_and_sends_no_key(monkeypatch, tmp_path):
    netrc = tmp_path / ".netrc"
    netrc.write_text("machine 127.0.0.1 login a password b\n")
    netrc.chmod(0o600)
    monkeypatch.setenv("NETRC", str(netrc))
    with answering(b"x", status=404) as (server, url):
        reply = probing.probe(url)
    assert reply.status == 404
    assert abs(reply.date.timestamp() - reply.ended) < 5
    assert "Authorization" not in server.asked[0]


@pytest.mark.parametrize(
    ("header", "known"), [(None, False), ("nonsense", False), ("Tue, 24 Nov 2026 12:00:00 GMT", True)]
)
def test_a_date_that_cannot_be_read_is_none(header, known):
    assert (probing._date(header) is not None) == known


def test_a_host_that_says_nothing_is_named_without_the_librarys_words():
    with pytest.raises(RunnerError, match=r"^127\.0\.0\.1:1 does not answer: Connection refused$"):
        probing.probe("http://127.0.0.1:1/secret")
    with pytest.raises(RunnerError, match="does not answer: InvalidURL"):
        probing.probe("http://:1")


def test_a_host_that_takes_too_long_is_told(monkeypatch):
    monkeypatch.setattr(probing, "_TIMEOUT", (1.0, 0.05))
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}"
        with pytest.raises(RunnerError, match="does not answer: not in time"):
            probing.probe(url)


def test_a_product_that_is_not_installed_is_no_failure(project, checks, monkeypatch):
    monkeypatch.setattr(doctor, "_PACKAGE", "no-such-package")
    assert checks()[1]["packages"].state == "skipped"
    assert doctor._installed("no-such-package") is None


def test_audience_studio_is_not_waited_for():
    with pytest.raises(TreasureDataError, match="asks to wait"):
        doctor._impatient(0.1)
