"""What the tests of ledgers share: a ledger with a plan under way, and short ways to send."""

from __future__ import annotations

import subprocess
import sys
from contextlib import closing
from dataclasses import dataclass
from typing import Any

import pytest

from runner.delivery import Answer, DeliveryKey, Outcome
from runner.ledger import open_ledger
from runner.ledger.interface import Holder, Intent, LockToken, Settlement
from runner.ledger.lock_names import lock_name
from runner.ledger.sqlite import sqlite_ledger
from runner.ledger.sqlite_file import open_file
from tests import postgres

NOW = 1_780_000_000.0

ANSWERS = {
    "accepted": Answer(outcome=Outcome.ACCEPTED, rule="an id", message_id="wamid.1", http_status=200),
    "refused": Answer(outcome=Outcome.REFUSED, rule="4xx", http_status=400, code="131026", detail="no user"),
    "retry": Answer(outcome=Outcome.RETRY, rule="429", http_status=429, retry_after=2.0),
    "unknown": Answer(outcome=Outcome.UNKNOWN, rule="time-out", detail="no answer in 60 s"),
}


@dataclass
class Applying:
    """One process applying one plan."""

    ledger: Any
    token: LockToken
    run: int
    campaign: str
    occurrence: str

    def key(self, phone):
        return DeliveryKey(campaign=self.campaign, occurrence=self.occurrence, phone=phone)

    def intent(self, phone):
        return Intent(key=self.key(phone), recipient_id=f"id-{phone}", run=self.run)

    def settlement(self, outcome, phone):
        return Settlement(key=self.key(phone), run=self.run, answer=ANSWERS[outcome])

    def intend(self, *phones, now=NOW):
        return self.ledger.commit(self.token, [self.intent(phone) for phone in phones], [], now)

    def settle(self, outcome, *phones, now=NOW):
        self.ledger.commit(self.token, [], [self.settlement(outcome, phone) for phone in phones], now)

    def send(self, outcome, *phones, now=NOW):
        assert all(self.intend(*phones, now=now))
        self.settle(outcome, *phones, now=now)

    def state(self, phone):
        return self.ledger.states(self.campaign, self.occurrence, [phone])[phone].value

    def stop(self, exit_code=0):
        self.ledger.end_run(self.run, exit_code, NOW)
        self.ledger.release(self.token)


@pytest.fixture
def ada():
    """A process that may hold a lock, on a machine that is not this one."""
    return Holder(owner="ada", host="here", pid=12, process_started="boot:1")


@pytest.fixture
def begin(ada):
    """Return a function that begins to apply a plan, registering it first."""

    def begin(ledger, digest="plan-1", *, campaign="lebaran", occurrence="once", to_send=10, now=NOW):
        token = ledger.acquire(lock_name(campaign, occurrence), ada, now)
        ledger.register_plan(
            digest=digest, campaign=campaign, occurrence=occurrence, to_send=to_send, created_at=now
        )
        run = ledger.begin_run(token, digest, ada, now)
        return Applying(ledger=ledger, token=token, run=run, campaign=campaign, occurrence=occurrence)

    return begin


#: The ledgers that the contract is tested over.
LEDGERS = ("sqlite", "postgres")


@pytest.fixture(params=LEDGERS)
def url(request):
    """The URL of a new ledger; a server's clock stands still at NOW."""
    if request.param == "sqlite":
        yield "sqlite:///state/ledger.db"
        return
    url = postgres.postgres_url(now=NOW)
    yield url
    postgres.drop(url)


@pytest.fixture
def pass_to(url):
    """Return a function that sets the clock of the ledger's server, if it has one."""

    def pass_to(now):
        if not url.startswith("sqlite"):
            postgres.set_clock(url, now)

    return pass_to


@pytest.fixture
def open_again(url, tmp_path):
    """Return a function that opens the same ledger once more, as another process would."""
    opened = []

    def open_again(**options):
        opened.append(open_ledger(url, root=tmp_path, **options))
        return opened[-1]

    yield open_again
    for ledger in opened:
        ledger.close()


@pytest.fixture
def ledger(open_again):
    return open_again()


@pytest.fixture
def applying(ledger, begin):
    return begin(ledger)


@pytest.fixture
def resolve():
    """Return a function by which a person settles an unknown delivery."""

    def resolve(ledger, phone, to):
        return ledger.resolve("lebaran", "once", phone, to=to, by="grace", note="asked them", now=NOW + 7)

    return resolve


@pytest.fixture
def path(tmp_path):
    """Where the SQLite ledger of a project in `tmp_path` lies."""
    return tmp_path / "state/ledger.db"


@pytest.fixture
def opened(path):
    """A SQLite ledger that waits only a moment for another process's lock."""
    with closing(sqlite_ledger(open_file(path, busy_seconds=0.05))) as ledger:
        yield ledger


@pytest.fixture
def run_together():
    """Return a function that runs a script in one process per argument list, all at once."""

    def run_together(script, *argument_lists, exit_code=0):
        processes = [
            subprocess.Popen(
                [sys.executable, "-c", script, *map(str, arguments)],
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
            )
            for arguments in argument_lists
        ]
        written = [process.communicate(timeout=60) for process in processes]
        assert [process.returncode for process in processes] == [exit_code] * len(processes), written
        return [out for out, _ in written]

    return run_together
