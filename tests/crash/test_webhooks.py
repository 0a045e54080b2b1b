"""Real kills of a real `runner receipts listen`: what it answered is in its delivery's account at last."""

from __future__ import annotations

import json
import os
import random
import sqlite3
import subprocess
import sys
import threading
import time
import urllib.request
from contextlib import closing
from itertools import count

import psycopg
import pytest

from benchmarks.receipts import fill
from runner.ledger import open_ledger
from tests import postgres
from tests.conftest import RUNNER_YML

pytestmark = pytest.mark.usefixtures("unmeasured")

SENDERS = 8
#: `make soak` asks for more.
KILLS = int(os.environ.get("RUNNER_TEST_KILLS", "4"))
#: One for each receipt: about a thousand are answered between two kills.
PEOPLE = 3_000 * KILLS


@pytest.fixture(params=["sqlite", "postgres"])
def ledger_url(request):
    """Where the ledger is."""
    if request.param == "sqlite":
        yield "sqlite:///.runner/ledger.db"
        return
    url = postgres.postgres_url()
    yield url
    postgres.drop(url)


@pytest.fixture
def accepted(project, ledger_url):
    """A project whose ledger has accepted deliveries; return the path of the project."""
    text = RUNNER_YML % {"url": "http://127.0.0.1:9", "rate": "5/s"}
    project.write("runner.yml", f'ledger: "{ledger_url}"\n{text}')
    with closing(open_ledger(ledger_url, root=project.root)) as ledger:
        fill(ledger, PEOPLE, sent_at=time.time() - 60)
    return project.root


class Senders:
    """Threads that post one receipt after another, each until it is answered."""

    def __init__(self, url):
        self.answered = set()
        self.numbers = count()
        self.url = url
        self.stopping = False
        self.threads = [threading.Thread(target=self.work) for _ in range(SENDERS)]
        for thread in self.threads:
            thread.start()

    def work(self):
        while not self.stopping:
            if (number := next(self.numbers)) >= PEOPLE:
                return
            while not (self.is_answered(number) or self.stopping):
                time.sleep(0.02)

    def is_answered(self, number):
        data = {
            "id": f"00000000-0000-4000-8000-{number:012d}",
            "custNo": f"62812{number:08d}",
            "status": "read",
        }
        body = {"eventType": "MessageStatus", "accountNo": "60110000001", "data": data}
        try:
            with urllib.request.urlopen(self.url, data=json.dumps(body).encode(), timeout=10) as answer:
                answer.read()
        except OSError:
            return False
        self.answered.add(number)
        return True

    def are_posting(self):
        return any(thread.is_alive() for thread in self.threads)

    def stop(self):
        self.stopping = True
        for thread in self.threads:
            thread.join(30)


def start(root):
    command = [sys.executable, "-m", "runner", "receipts", "listen", "--json"]
    process = subprocess.Popen(
        command, cwd=root, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    )
    return process, json.loads(process.stdout.readline())["url"]


def told(root, ledger_url):
    """Return the numbers of the deliveries that have a receipt, asked past the product."""
    if ledger_url.startswith("sqlite"):
        connection = sqlite3.connect(f"file:{root}/.runner/ledger.db?mode=ro", uri=True)
    else:
        connection = psycopg.connect(ledger_url)
    with closing(connection):
        found = connection.execute("SELECT phone FROM deliveries WHERE receipt = 'read'").fetchall()
    return {int(phone.removeprefix("62812")) for (phone,) in found}


def test_no_kill_loses_a_receipt_that_was_answered(accepted, ledger_url):
    chance = random.Random(20261125)
    process, url = start(accepted)
    senders = Senders(url)
    try:
        for _ in range(KILLS):
            before = len(senders.answered)
            while len(senders.answered) < before + 200:
                assert senders.are_posting(), "there are too few people"
                time.sleep(0.005)
            time.sleep(chance.uniform(0, 0.6))
            process.kill()
            process.communicate()
            process, senders.url = start(accepted)
    finally:
        senders.stop()
        answered = set(senders.answered)
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline and not answered <= told(accepted, ledger_url):
            time.sleep(0.2)
        process.terminate()
        process.communicate(timeout=30)
    assert len(answered) > 400
    assert answered - told(accepted, ledger_url) == set()
