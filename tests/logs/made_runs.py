"""Runs made in a real SQLite ledger, with deliveries in every outcome, for the tests of logs."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from runner.delivery import Answer, DeliveryKey, Outcome, ReceiptStatus
from runner.ledger import open_ledger
from runner.ledger.interface import Holder, Intent, LockToken, Receipt, Settlement
from runner.ledger.lock_names import lock_name
from runner.logs.interface import LogTools

NOW = 1_780_000_000.25
LEDGER_URL = "sqlite:///.runner/ledger.db"

DETAILS = {
    "provider": "ada",
    "sender": "60110000001",
    "template": "promo",
    "language": "id",
    "source": "treasure_data",
    "job_id": "4711",
    "context": {"versions": {"runner": "0.1.0"}, "git": {"commit": "abc", "dirty": False}},
}

ANSWERS = {
    "accepted": Answer(outcome=Outcome.ACCEPTED, rule="an id", message_id="wamid.1", http_status=200),
    "refused": Answer(
        outcome=Outcome.REFUSED, rule="4xx", http_status=400, code="131026", detail='no "user", so\nno'
    ),
    "retry": Answer(outcome=Outcome.RETRY, rule="429", http_status=429, retry_after=2.0),
    "unknown": Answer(outcome=Outcome.UNKNOWN, rule="time-out", detail="no answer in 60 s"),
}
#: What hundreds of deliveries come to, in turn; a `retry` has a second attempt.
OUTCOMES = ("accepted", "refused", "unknown", "accepted", "retry")
#: Ids that a table of text must keep as they are.
IDS = ("+919876500001", "0091", "NaN", "true", "null", "=1+1", "é😀", 'a,"b"')


def phones(count: int, start: int = 0) -> list[str]:
    """Return distinct mobiles."""
    return [f"9198765{number:05d}" for number in range(start, start + count)]


@dataclass
class MadeRun:
    """One run that sends as a test says."""

    ledger: Any
    token: LockToken
    run: int
    campaign: str = "promo"
    occurrence: str = "once"

    def intend(self, *targets: str, now: float = NOW, variant: str | None = None) -> None:
        intents = [
            Intent(
                key=self.key(phone),
                recipient_id=IDS[int(phone[-2:]) % len(IDS)],
                run=self.run,
                variant=variant,
            )
            for phone in targets
        ]
        assert all(self.ledger.commit(self.token, intents, [], now))

    def settle(self, outcome: str, *targets: str, now: float = NOW + 1, variant: str | None = None) -> None:
        settlements = [
            Settlement(key=self.key(phone), run=self.run, answer=ANSWERS[outcome], variant=variant)
            for phone in targets
        ]
        self.ledger.commit(self.token, [], settlements, now)

    def key(self, phone: str) -> DeliveryKey:
        return DeliveryKey(campaign=self.campaign, occurrence=self.occurrence, phone=phone)

    def send(self, outcome: str, *targets: str, variant: str | None = None) -> None:
        self.intend(*targets, variant=variant)
        self.settle(outcome, *targets, variant=variant)

    def send_all(self, targets: list[str]) -> int:
        """Send to all, in turn with each outcome; return how many events that is."""
        for place, outcome in enumerate(OUTCOMES):
            chosen = targets[place :: len(OUTCOMES)]
            self.send(outcome, *chosen)
            if outcome == "retry":
                self.send("accepted", *chosen)
        return len(targets) + len(targets[OUTCOMES.index("retry") :: len(OUTCOMES)])

    def receive(self, status: ReceiptStatus, *targets: str) -> None:
        known = {
            each.phone: each.delivery
            for batch in self.ledger.deliveries_between(NOW - 1, NOW + 1)
            for each in batch
        }
        receipts = [
            Receipt(
                delivery=known[phone],
                status=status,
                at=NOW + 60,
                message_id=None,
                code=None,
                detail=None,
                source="import",
            )
            for phone in targets
        ]
        assert self.ledger.record_receipts(receipts, NOW + 100) == len(targets)


def open_made(root: Path) -> Any:
    """Open the ledger of a project in `root`."""
    return open_ledger(LEDGER_URL, root=root)


def begin(ledger: Any, *, log: object = None, campaign: str = "promo", occurrence: str = "once") -> MadeRun:
    """Begin a run of a plan of its own."""
    holder = Holder(owner="ada", host="here", pid=12, process_started="boot:1")
    token = ledger.acquire(lock_name(campaign, occurrence), holder, NOW)
    digest = f"{campaign}-{occurrence}-{NOW}"
    details = {**DETAILS, "log": log} if log else DETAILS
    ledger.register_plan(
        digest=digest, campaign=campaign, occurrence=occurrence, to_send=9, created_at=NOW, details=details
    )
    run = ledger.begin_run(token, digest, holder, NOW)
    return MadeRun(ledger=ledger, token=token, run=run, campaign=campaign, occurrence=occurrence)


class Waits:
    """A clock that a test's waiting moves on."""

    def __init__(self) -> None:
        self.at = NOW + 1000
        self.waited: list[float] = []
        self.told: list[str] = []

    def sleep(self, seconds: float) -> None:
        self.waited.append(seconds)
        self.at += seconds

    def tools(self, root: Path, account: Any = None) -> LogTools:
        return LogTools(
            folder=root,
            account=lambda: account,
            now=lambda: self.at,
            sleep=self.sleep,
            jitter=lambda: 1.0,
            tell=self.told.append,
        )
