"""How many log rows a second go from the ledger to a Treasure Data table; its sandbox is another process."""

from __future__ import annotations

import random
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from benchmarks.workshop import SENDER, own_peak_mb
from runner.delivery import Answer, DeliveryKey, Outcome
from runner.ledger import open_ledger
from runner.ledger.interface import Holder, Intent, Ledger, Settlement
from runner.ledger.lock_names import lock_name
from runner.logs.interface import LogTools
from runner.pushing import push_run
from runner.treasure_data.account import Account

_BATCH = 1000
_DETAILS = {
    "provider": "ada",
    "sender": SENDER,
    "template": "promo",
    "language": "id",
    "source": "treasure_data",
    "job_id": "123456789",
    "log": {"treasure_data": {"database": "crm", "table": "whatsapp_log"}},
    "context": {
        "git": {"commit": "0123456789abcdef0123456789abcdef01234567", "dirty": False},
        "versions": {"runner": "0.1.0", "python": "3.11.7", "duckdb": "2.0.0", "phonenumbers": "9.0.43"},
    },
}
_SANDBOX = """
import sys, time
from pathlib import Path
from runner.sandbox.td_serving import running_td_sandbox
from runner.sandbox.td_settings import TdSandboxSettings
root = Path(sys.argv[1])
(root / "data" / "crm").mkdir(parents=True)
with running_td_sandbox(TdSandboxSettings(data=root / "data", store=root / "store")) as running:
    print(running.url, flush=True)
    sys.stdin.read()
"""


def td_log(folder: Path, rows: int) -> dict[str, object]:
    """Push a run of `rows` rows, then all of it once more."""
    with closing(open_ledger("sqlite:///ledger.db", root=folder)) as ledger, _td_sandbox(folder) as url:
        run = _made_run(ledger, rows)
        first, again = (_seconds(ledger, run, _tools(folder, url), again=again) for again in (False, True))
    return {
        "figure": "log to Treasure Data's sandbox",
        "rows": rows,
        "rows/s": round(rows / first),
        "again, rows/s": round(rows / again),
        "peak MB": round(own_peak_mb()),
    }


def _seconds(ledger: Ledger, run: int, tools: LogTools, *, again: bool) -> float:
    started = time.monotonic()
    push_run(ledger, run, tools, again=again)
    return time.monotonic() - started


def _tools(folder: Path, url: str) -> LogTools:
    account = Account(key=f"1/{0:040d}", key_source="benchmark", site=None, api=url, presto=url, cdp=url)
    return LogTools(
        folder=folder,
        account=lambda: account,
        now=time.time,
        sleep=time.sleep,
        jitter=random.random,
        tell=lambda _: None,
    )


def _made_run(ledger: Ledger, rows: int) -> int:
    """Make a run of accepted deliveries, one row each."""
    now = time.time()
    holder = Holder(owner="bench", host="here", pid=1)
    token = ledger.acquire(lock_name("promo", "once"), holder, now)
    ledger.register_plan(
        digest="d" * 64, campaign="promo", occurrence="once", to_send=rows, created_at=now, details=_DETAILS
    )
    run = ledger.begin_run(token, "d" * 64, holder, now)
    for start in range(0, rows, _BATCH):
        keys = [
            DeliveryKey(campaign="promo", occurrence="once", phone=f"62812{number:08d}")
            for number in range(start, min(rows, start + _BATCH))
        ]
        intents = [Intent(key=key, recipient_id=f"c{key.phone}", run=run) for key in keys]
        ledger.commit(token, intents, [], now)
        settled = [Settlement(key=key, run=run, answer=_answer(key.phone)) for key in keys]
        ledger.commit(token, [], settled, now)
    return run


def _answer(phone: str) -> Answer:
    message_id = f"wamid.HBgM{phone}FQIAERgSRDU5"
    return Answer(outcome=Outcome.ACCEPTED, rule="an id", message_id=message_id, http_status=200)


@contextmanager
def _td_sandbox(folder: Path) -> Iterator[str]:
    """Run a Treasure Data sandbox in a process of its own, and give its URL."""
    command = [sys.executable, "-c", _SANDBOX, str(folder / "td")]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        yield process.stdout.readline().strip()
    finally:
        process.communicate(timeout=30)
