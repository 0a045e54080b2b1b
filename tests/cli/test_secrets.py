"""Keys and passwords: in nothing that a full run prints, nor in anything that it leaves on disk."""

from __future__ import annotations

import base64
import signal
import traceback

import pytest
import requests

from runner.cli import main
from runner.providers.ada import AdaProvider
from tests.cli.test_receipts_listen import listener_process
from tests.conftest import CAMPAIGN, RUNNER_YML, mobiles, people
from tests.postgres import drop, postgres_url
from tests.sandbox.td import td_sandbox, write_table

ADA_KEY = "YWRhLXNlY3JldA.YWRhLXNlY3JldC1ib2R5.YWRhLXNpZ25hdHVyZQ"
TD_KEY = f"7/{'5ec2e7' * 6}abcd"
PASSWORD = "pg-s3cret-password"
FORGET_KEY = "forget-key-of-thirty-two-characters"
WEBHOOK_SECRET = "webhook-secret-0123"
PLAN_KEY = base64.b64encode(b"plan-key-of-thirty-two-bytes-ok!").decode()
#: As they are, and as somebody may have packed them.
SECRETS = [
    *(ADA_KEY, TD_KEY, TD_KEY[2:], PASSWORD, PLAN_KEY, base64.b64decode(PLAN_KEY).decode()),
    *(FORGET_KEY, WEBHOOK_SECRET),
    *(base64.b64encode(secret.encode()).decode()[:-4] for secret in (ADA_KEY, TD_KEY, PASSWORD)),
]

VIP = """\
campaign: vip
segment: {source: treasure_data, database: crm, query: "SELECT id, phone, name, consent FROM people"}
recipient: {id: id, phone: phone, region: ID, consent: consent}
template: {name: promo, language: id}
variables: [{column: name, default: Kak}, {text: LEBARAN25}]
log: {treasure_data: {database: crm, table: whatsapp_log}, csv: {folder: exports}, parquet: {folder: exports}}
"""


@pytest.fixture
def secrets(monkeypatch):
    monkeypatch.setenv("ADA_API_KEY", ADA_KEY)
    monkeypatch.setenv("PGPASSWORD", PASSWORD)
    monkeypatch.setenv("RUNNER_PLAN_KEY", PLAN_KEY)
    monkeypatch.setenv("RUNNER_FORGET_KEY", FORGET_KEY)
    monkeypatch.setenv("RUNNER_WEBHOOK_SECRET", WEBHOOK_SECRET)


@pytest.fixture
def whole(project, sandbox, secrets, monkeypatch):
    """A project that uses every key: ADA's, Treasure Data's, PostgreSQL's password, that of plans."""
    monkeypatch.setenv("HOME", str(project.root / "home"))
    rows = "".join(f"{name},+{phone},{first},{consent}\n" for name, phone, first, consent in people(3))
    write_table(project.root / "data", "crm/people.csv", f"id,phone,name,consent\n{rows}")
    project.campaign(VIP, "vip.yml")
    url = postgres_url()
    yml = RUNNER_YML % {"url": sandbox.url, "rate": "unlimited"}
    project.write("runner.yml", f'{yml}ledger: "{url}"\n')
    with td_sandbox(project.root) as td:
        for name, value in {**td.environ, "TD_API_KEY": TD_KEY}.items():
            monkeypatch.setenv(name, value)
        yield project
    drop(url)


def _heard(root):
    """Have a listener take a webhook, and one without the secret; return what it printed."""
    with listener_process(root) as (url, process):
        webhook = {
            "eventType": "MessageStatus",
            "data": {"id": "m", "custNo": mobiles(1)[0], "status": "read"},
        }
        for path, expected in (("wrong", 401), (f"hook/{WEBHOOK_SECRET}", 200)):
            assert requests.post(f"{url}/{path}", json=webhook, timeout=30).status_code == expected
        process.send_signal(signal.SIGTERM)
        return "".join(process.communicate(timeout=30))


def files_with_secrets(root):
    """Return every file below `root` that holds one of the secrets."""
    found = []
    for path in root.rglob("*"):
        content = path.read_bytes() if path.is_file() else b""
        found += [(path, secret) for secret in SECRETS if secret.encode() in content]
    return found


def test_no_key_is_in_anything_that_a_full_run_prints_or_leaves_on_disk(whole, sandbox, run):
    phones = mobiles(3)
    sandbox.faults(f"400:@{phones[0]}", f"reset-after-accept:@{phones[1]}")
    codes: dict[str, int] = {}
    said = ""
    for arguments in (
        ("validate", "vip.yml"),
        ("plan", "vip.yml"),
        ("plan", "vip.yml", "--json"),
        ("doctor", "vip.yml"),
        ("doctor", "vip.yml", "--json"),
        ("apply", "--auto-approve"),
        ("status", "--json"),
        ("log", "push", "1"),
        ("resolve", "vip", "--phone", phones[1], "--as", "send-again"),
        ("explain", f"+{phones[0]}"),
        ("plan", "vip.yml", "--markdown"),
        ("apply", "--auto-approve", "--json"),
        ("templates", "list"),
        ("export", "td-workflow", "vip.yml"),
        ("forget", phones[2], "--auto-approve"),
        ("plan", "vip.yml", "--json"),
    ):
        result = run(*arguments)
        codes[" ".join(arguments)] = result.code
        said += result.out + result.err
    said += _heard(whole.root)
    assert codes["plan vip.yml"] == codes["log push 1"] == codes[f"forget {phones[2]} --auto-approve"] == 0
    assert codes["apply --auto-approve"] == 3
    assert len(sandbox.accepted()) == 3
    assert not [secret for secret in SECRETS if secret in said]
    assert list((whole.root / "exports").glob("*.csv"))
    assert list((whole.root / ".runner/runs").iterdir())
    assert files_with_secrets(whole.root) == []


@pytest.mark.parametrize(
    ("variable", "value", "command"),
    [
        ("ADA_API_KEY", f"{ADA_KEY} x", ("plan", "promo.yml")),
        ("ADA_API_KEY", f"{ADA_KEY}\u00e9", ("plan", "promo.yml")),
        ("TD_API_KEY", f"{TD_KEY}x", ("plan", "vip.yml")),
        ("RUNNER_PLAN_KEY", f"{PLAN_KEY}x", ("plan", "promo.yml")),
        ("RUNNER_PLAN_KEY", f"{PLAN_KEY}x", ("show", "x.plan")),
    ],
)
def test_a_key_that_is_none_is_an_error_that_does_not_show_it(
    whole, run, monkeypatch, variable, value, command
):
    monkeypatch.setenv(variable, value)
    result = run(*command)
    assert result.code == 1
    assert variable in result.err
    assert not [secret for secret in SECRETS if secret in result.out + result.err]


def test_a_ledger_that_is_not_there_shows_no_password(whole, sandbox, run):
    yml = RUNNER_YML % {"url": sandbox.url, "rate": "unlimited"}
    whole.write("runner.yml", f"{yml}ledger: postgresql://runner@127.0.0.1:9/x\n")
    result = run("status")
    assert result.code == 1
    assert PASSWORD not in result.out + result.err


def test_the_traceback_of_a_bug_shows_no_key(project, sandbox, secrets, monkeypatch):
    def bug(self):
        raise KeyError(repr(self), str(self.__class__))

    monkeypatch.setattr(AdaProvider, "templates", bug)
    project.campaign(CAMPAIGN)
    with pytest.raises(KeyError) as caught:
        main.main(["plan", "promo.yml"])
    text = "".join(traceback.format_exception(caught.type, caught.value, caught.tb))
    assert "AdaProvider" in text
    assert not [secret for secret in SECRETS if secret in text]
