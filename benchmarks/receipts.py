"""How long a big report takes: a million lines, against as many deliveries in a SQLite ledger."""

from __future__ import annotations

import json
from contextlib import closing
from pathlib import Path

from benchmarks.workshop import SENDER, Project, make_project
from runner.delivery import Answer, DeliveryKey, Outcome
from runner.ledger import open_ledger
from runner.ledger.interface import Holder, Intent, Ledger, Settlement
from runner.ledger.lock_names import lock_name

_SENT_AT = 1_773_975_600.0
_HEADER = "Message ID,Customer,Mobile No,Sender,Campaign,Status,Timestamp,Error Code,Reason\n"
_GROUP = 1_000


def big_report(folder: Path, *, lines: int) -> list[dict[str, object]]:
    """Preview, import and import again a report of `lines` lines; every second one has no message id."""
    project = make_project(folder, rate="5/s")
    with closing(open_ledger("sqlite:///.runner/ledger.db", root=project.root)) as ledger:
        fill(ledger, lines)
    _write_report(project.root / "report.csv", lines)
    return [
        _imported(project, "preview", lines, "--preview"),
        _imported(project, "import", lines, "--auto-approve"),
        _imported(project, "again", lines, "--auto-approve"),
    ]


def fill(ledger: Ledger, deliveries: int, *, sent_at: float = _SENT_AT) -> None:
    """Have these deliveries accepted; every hundredth is unknown, and has no message id."""
    holder = Holder(owner="bench", host="here", pid=1)
    token = ledger.acquire(lock_name("promo", "once"), holder, sent_at)
    ledger.register_plan(
        digest="d",
        campaign="promo",
        occurrence="once",
        to_send=deliveries,
        created_at=sent_at,
        details={"sender": SENDER},
    )
    run = ledger.begin_run(token, "d", holder, sent_at)
    for start in range(0, deliveries, _GROUP):
        numbers = range(start, min(start + _GROUP, deliveries))
        keys = [DeliveryKey(campaign="promo", occurrence="once", phone=_phone(n)) for n in numbers]
        intents = [Intent(key=key, recipient_id=key.phone, run=run) for key in keys]
        settled = [
            Settlement(key=key, run=run, answer=_answer(n)) for key, n in zip(keys, numbers, strict=True)
        ]
        ledger.commit(token, intents, [], sent_at)
        ledger.commit(token, [], settled, sent_at + 1)
    ledger.end_run(run, 0, sent_at + 1)
    ledger.release(token)


def _answer(number: int) -> Answer:
    if number % 100 == 0:
        return Answer(outcome=Outcome.UNKNOWN, rule="time-out")
    return Answer(outcome=Outcome.ACCEPTED, rule="an id", message_id=_id(number), http_status=200)


def _write_report(path: Path, lines: int) -> None:
    with path.open("w", encoding="utf-8") as stream:
        stream.write(_HEADER)
        for n in range(lines):
            message_id = _id(n) if n % 2 else ""
            status = "Delivered" if n % 3 else "Read"
            clock = f"10:{n % 50 + 5:02d}:{n % 60:02d}"
            stream.write(
                f'{message_id},"Ayu, {n}",{_phone(n)},{SENDER},Lebaran,{status},20/03/2026 {clock},,\n'
            )


def _imported(project: Project, figure: str, lines: int, *options: str) -> dict[str, object]:
    finished = project.run(
        "receipts", "import", "report.csv", "--timezone", "Asia/Jakarta", "--json", *options
    )
    accounts = json.loads(finished.out)
    return {
        "figure": f"receipts {figure}",
        "lines": lines,
        "seconds": round(finished.seconds, 2),
        "peak MB": round(finished.peak_mb),
        "matched": accounts["matched"],
        "unchanged": accounts["unchanged"],
        "settled": accounts["unknown_settled"],
        "recorded": accounts["recorded"],
    }


def _id(number: int) -> str:
    return f"00000000-0000-4000-8000-{number:012d}"


def _phone(number: int) -> str:
    return f"62812{number:08d}"
