"""What the tests of ledgers share: a ledger with a plan under way, and short ways to send."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pytest

from runner.delivery import Answer, DeliveryKey, Outcome
from runner.ledger import open_ledger
from runner.ledger.interface import Holder, Intent, Ledger, LockToken, Settlement, lock_name

NOW = 1_780_000_000.0
CAMPAIGN, OCCURRENCE = "lebaran", "once"
ADA = Holder(owner="ada", host="here", pid=12, process_started="boot:1")

ACCEPTED = Answer(outcome=Outcome.ACCEPTED, rule="2xx with an id", message_id="wamid.1", http_status=200)
REFUSED = Answer(outcome=Outcome.REFUSED, rule="4xx", http_status=400, code="131026", detail="not on WhatsApp")
RETRY = Answer(outcome=Outcome.RETRY, rule="429", http_status=429, retry_after=2.0)
UNKNOWN = Answer(outcome=Outcome.UNKNOWN, rule="time-out", detail="no answer in 60 s")
ANSWERS = {answer.outcome: answer for answer in (ACCEPTED, REFUSED, RETRY, UNKNOWN)}


@dataclass
class Applying:
    """One process applying one plan."""

    ledger: Any
    token: LockToken
    run: int
    campaign: str = CAMPAIGN
    occurrence: str = OCCURRENCE

    def key(self, phone):
        return DeliveryKey(campaign=self.campaign, occurrence=self.occurrence, phone=phone)

    def intent(self, phone):
        return Intent(key=self.key(phone), recipient_id=f"id-{phone}", run=self.run)

    def settlement(self, phone, answer):
        return Settlement(key=self.key(phone), run=self.run, answer=answer)

    def intend(self, *phones, now=NOW):
        return self.ledger.commit(self.token, [self.intent(phone) for phone in phones], [], now)

    def settle(self, answer, *phones, now=NOW):
        self.ledger.commit(self.token, [], [self.settlement(phone, answer) for phone in phones], now)

    def send(self, answer, *phones, now=NOW):
        assert all(self.intend(*phones, now=now))
        self.settle(answer, *phones, now=now)

    def stop(self, exit_code=0):
        self.ledger.end_run(self.run, exit_code, NOW)
        self.ledger.release(self.token)


def begin(ledger, *, digest="plan-1", campaign=CAMPAIGN, occurrence=OCCURRENCE, to_send=10, now=NOW):
    """Begin to apply a plan, registering it first."""
    token = ledger.acquire(lock_name(campaign, occurrence), ADA, now)
    ledger.register_plan(
        digest=digest, campaign=campaign, occurrence=occurrence, to_send=to_send, created_at=now
    )
    run = ledger.begin_run(token, digest, ADA, now)
    return Applying(ledger=ledger, token=token, run=run, campaign=campaign, occurrence=occurrence)


#: The ledgers that the contract is tested over: a name, and how to open one in a folder.
LEDGERS = {"sqlite": lambda folder: open_ledger("sqlite:///state/ledger.db", root=folder)}


@pytest.fixture(params=LEDGERS)
def open_again(request, tmp_path):
    """Return a function that opens the same ledger once more, as another process would."""
    opened: list[Ledger] = []

    def open_one():
        opened.append(LEDGERS[request.param](tmp_path))
        return opened[-1]

    yield open_one
    for ledger in opened:
        ledger.close()


@pytest.fixture
def ledger(open_again):
    return open_again()


@pytest.fixture
def applying(ledger):
    return begin(ledger)
