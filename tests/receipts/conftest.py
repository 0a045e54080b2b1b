"""What tests of receipts share: a small ledger in memory, reports on disk, and one call that imports."""

from __future__ import annotations

from contextlib import contextmanager

import pytest

from runner.delivery import State
from runner.ledger.interface import OpenDelivery
from runner.receipts.importing import open_import
from runner.receipts.mapping import ColumnMapping

#: 2026-03-20 10:00:00 in Jakarta.
SENT_AT = 1_773_975_600.0
JAKARTA = "Asia/Jakarta"


def delivery(number, **changes):
    """Return an accepted delivery to the phone with this number, sent at SENT_AT."""
    values = {
        "delivery": number,
        "campaign": "promo",
        "occurrence": "once",
        "sender": "60110000001",
        "phone": phone(number),
        "message_id": f"id{number}",
        "state": State.ACCEPTED,
        "receipt": None,
        "intent_at": SENT_AT,
        "settled_at": SENT_AT + 1,
    }
    return OpenDelivery(**{**values, **changes})


def phone(number):
    return f"62812300{number:05d}"


class MemoryLedger:
    """Holds deliveries, and what was recorded."""

    def __init__(self, *deliveries):
        self.deliveries = deliveries
        self.recorded = []
        self.imported = []
        self.asked = []

    def deliveries_between(self, since, until):
        self.asked.append((since, until))
        yield [one for one in self.deliveries if since <= one.intent_at < until]

    def record_receipts(self, receipts, now, *, imported=None):
        self.recorded += receipts
        self.imported += [imported] if imported else []
        return len(receipts)


@pytest.fixture
def report(tmp_path):
    """Return a function that writes a report: a text, or bytes."""

    def write(text, name="report.csv"):
        path = tmp_path / name
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return path

    return write


@pytest.fixture
def importing(report, tmp_path):
    """Return a function that opens the import of a text, against deliveries."""

    @contextmanager
    def opened(text, *deliveries, window=72 * 3600.0, now=SENT_AT + 86_400, **mapping):
        with open_import(
            report(text),
            mapping=ColumnMapping(**{"timezone": JAKARTA, **mapping}),
            ledger=MemoryLedger(*deliveries),
            workspace=tmp_path / "work",
            now=now,
            window=window,
        ) as prepared:
            yield prepared

    return opened


@pytest.fixture
def verdicts(importing):
    """Return a function that imports rows below a header: for each, its verdict or the reason."""

    def judged(header, rows, *deliveries, **options):
        text = "\n".join([header, *rows]) + "\n"
        with importing(text, *deliveries, **options) as prepared:
            unplaced = {one.line: one.reason for one in prepared.unplaced(1000)}
            accounts = prepared.accounts
            receipts = [one for batch in prepared.receipts() for one in batch]
        assert accounts.lines == balance(accounts)
        return accounts, receipts, unplaced

    return judged


def balance(accounts):
    """Return the sum of a report's accounts."""
    return (
        accounts.matched + accounts.unchanged + accounts.unmatched + accounts.ambiguous + accounts.unreadable
    )
