"""An exported project run as its task runs it: the real product, real sandboxes, a real PostgreSQL ledger."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from itertools import count
from pathlib import Path

import pytest

from runner.campaign_file import load_campaign
from runner.exports.td_workflow import Options, export_files
from runner.project_file import load_project
from tests.conftest import KEY, TEMPLATES, ProjectFolder, sandbox_process
from tests.postgres import drop, postgres_url
from tests.sandbox.td import td_sandbox, write_table

pytestmark = pytest.mark.usefixtures("unmeasured")

ROOT = Path(__file__).parent.parent.parent

RUNNER_YML = """\
ledger: {ledger}
providers:
  ada: {{url: "{ada}", sender: "60110000001", rate: "{rate}"}}
"""

VIP = """\
campaign: vip
segment:
  source: treasure_data
  database: {param: activation_actions_db}
  table: {param: activation_actions_table}
recipient: {id: id, phone: phone, region: ID, consent: consent}
template: {name: promo, language: id}
variables: [{text: Kak}, {text: LEBARAN}]
guards: {max_recipients: 100}
log: {treasure_data: {database: crm, table: whatsapp_log}}
"""

PARAMS = {"activation_actions_db": "cdp_audience_1", "activation_actions_table": "cdp_syndication_7"}

ELSEWHERE = "postgresql://runner@db.example.com/runner"
#: The same people at the minutes of a clock, which brings no parameters.
EVERY_MINUTE = (
    VIP.replace("{param: activation_actions_db}", "cdp_audience_1")
    .replace("{param: activation_actions_table}", "cdp_syndication_7")
    .replace("guards:", 'schedule: {cron: "* * * * *", timezone: Asia/Jakarta}\nguards:')
)


@pytest.fixture
def ledger():
    url = postgres_url()
    yield url.replace(":@", "@")
    drop(url)


@pytest.fixture
def places(tmp_path, monkeypatch):
    """Treasure Data with an activation's table, and ADA; both on this machine."""
    write_table(tmp_path / "data", "crm/other.csv", "id\n1\n")
    (tmp_path / "templates.json").write_text(json.dumps(TEMPLATES))
    options = ("--limit", "none", "--templates", "templates.json", "--sender", "60110000001")
    with td_sandbox(tmp_path) as td, sandbox_process(tmp_path, *options) as ada:
        write_people(td, range(3))
        yield td, ada


@dataclass(frozen=True, kw_only=True)
class Workflow:
    """A project, and the tasks that run what is exported of it; each starts with an empty disk."""

    source: ProjectFolder
    containers: Path
    ada: str
    ledger: str
    environment: dict[str, str]
    numbers: Iterator[int] = field(default_factory=lambda: count(1))

    def start(self, text=VIP, *, rate="unlimited", params=PARAMS, session_time="2026-11-30T02:00:00+00:00"):
        self.source.write("runner.yml", RUNNER_YML.format(ledger=ELSEWHERE, ada=self.ada, rate=rate))
        path, project = self.source.write("campaigns/vip.yml", text), load_project(self.source.root)
        container = self.containers / str(next(self.numbers))
        for name, data in export_files(load_campaign(path, project), project, Options()).items():
            (container / name).parent.mkdir(parents=True, exist_ok=True)
            (container / name).write_bytes(data)
        # The server is elsewhere for a container, and here for a test.
        settings = container / "runner.yml"
        settings.write_text(settings.read_text().replace(ELSEWHERE, self.ledger))
        # What pip would install is here already.
        (container / "pip").mkdir()
        (container / "pip/__main__.py").write_text("")
        return subprocess.Popen(
            [sys.executable, "-c", f"import run_campaign; run_campaign.main({params!r}, {session_time!r})"],
            cwd=container,
            env=self.environment,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )

    def run(self, *arguments, **options):
        """Return the exit code and what the task's log says."""
        with self.start(*arguments, **options) as process:
            _, err = process.communicate(timeout=60)
        return process.returncode, err


@pytest.fixture
def workflow(tmp_path, places, ledger):
    td, ada = places
    keys = {"ADA_API_KEY": KEY, "PGPASSWORD": "x", "PYTHONPATH": str(ROOT)}
    return Workflow(
        source=ProjectFolder(root=tmp_path / "source"),
        containers=tmp_path / "containers",
        ada=ada.url,
        ledger=ledger,
        environment={**os.environ, **td.environ, **keys},
    )


def write_people(td, numbers):
    rows = "".join(f"c{number},+6281230000{number:03d},true\n" for number in numbers)
    write_table(td.data, "cdp_audience_1/cdp_syndication_7.csv", f"id,phone,consent\n{rows}")


def phones(numbers):
    return [f"6281230000{number:03d}" for number in numbers]


def test_an_attempt_sends_and_a_second_one_in_a_new_container_sends_to_nobody_twice(workflow, places):
    td, ada = places
    code, err = workflow.run()
    assert code == 0, err
    assert sorted(ada.accepted()) == phones(range(3))
    assert td.calls("import") == 1
    write_people(td, [0, 9])
    code, err = workflow.run()
    assert code == 0, err
    assert sorted(ada.accepted()) == phones([0, 1, 2, 9])


def test_an_attempt_that_is_killed_is_gone_on_with_by_the_next(workflow, places):
    td, ada = places
    write_people(td, range(40))
    first = workflow.start(rate="20/s")
    with first:
        while len(ada.accepted()) < 5:
            assert first.poll() is None
        os.killpg(first.pid, signal.SIGKILL)
    assert len(ada.accepted()) < 40
    code, err = workflow.run()
    accepted = ada.accepted()
    assert len(accepted) == len(set(accepted))
    # One that was on its way at the kill is unknown, and the attempt red: a person settles it.
    assert (code, "unknown outcome" in err) in {(0, False), (1, True)}, err
    assert 40 - len(accepted) <= (1 if code else 0)


def test_more_people_than_agreed_is_red_and_nobody_gets_anything(workflow, places):
    _, ada = places
    code, err = workflow.run(VIP.replace("max_recipients: 100", "max_recipients: 2"))
    assert code == 1
    assert "CampaignError: campaigns/vip.yml: runner apply ended with 4: refused" in err
    assert ada.accepted() == []


def test_a_scheduled_attempt_sends_for_the_moment_of_its_session(workflow, places):
    _, ada = places
    moment = datetime.now(timezone.utc).replace(second=0, microsecond=0)
    code, err = workflow.run(EVERY_MINUTE, params=None, session_time=moment.isoformat())
    assert code == 0, err
    assert len(ada.accepted()) == 3


def test_a_session_that_the_schedule_leaves_out_is_green_and_sends_nothing(workflow, places):
    _, ada = places
    moment = datetime.now(timezone.utc).replace(second=0, microsecond=0)
    day = (moment + timedelta(hours=7)).date()
    code, err = workflow.run(
        EVERY_MINUTE.replace("timezone:", f"exclude: [{day}], timezone:"),
        params=None,
        session_time=moment.isoformat(),
    )
    assert code == 0, err
    assert "nothing to do" in err
    assert ada.accepted() == []
