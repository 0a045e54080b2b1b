"""How many receipts a second `runner receipts listen` takes, each on disk before its answer, and matches."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sqlite3
import subprocess
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

from benchmarks.receipts import fill
from benchmarks.workshop import SENDER, Project, make_project
from runner.ledger import open_ledger

_CONNECTIONS = 64
_STATUSES = ("sent", "delivered", "read")
_KILL_AFTER = 0.4


def webhooks(folder: Path, *, people: int) -> list[dict[str, object]]:
    """Tell sent, delivered and read of `people` deliveries; then the same with a kill -9 on the way."""
    return [
        _measured(folder / "whole", people, kills=False),
        _measured(folder / "killed", people, kills=True),
    ]


def _measured(folder: Path, people: int, *, kills: bool) -> dict[str, object]:
    project = make_project(folder, rate="5/s")
    with closing(open_ledger("sqlite:///.runner/ledger.db", root=project.root)) as ledger:
        fill(ledger, people, sent_at=time.time() - 60)
    bodies = list(_bodies(people))
    process, url = _start(project)
    began = time.monotonic()
    if kills:
        done = int(len(bodies) * _KILL_AFTER)
        rest = bodies[done:]
        answered = asyncio.run(_post(url, bodies[:done]))
        process.kill()
        process.wait()
        process, url = _start(project)
    else:
        answered, rest = 0, bodies
    answered += asyncio.run(_post(url, rest))
    posted = time.monotonic() - began
    matched = _wait_for(project.root, people)
    took = time.monotonic() - began
    usage = _stop(process)
    return {
        "figure": "webhooks, with a kill -9" if kills else "webhooks",
        "receipts": len(bodies),
        "answered": answered,
        "answered a second": round(answered / posted),
        "matched a second": round(answered / took),
        "deliveries read": matched,
        "listener CPU (s)": round(usage, 1),
    }


def _bodies(people: int) -> Iterator[bytes]:
    for status in _STATUSES:
        for number in range(people):
            data = {
                "id": f"00000000-0000-4000-8000-{number:012d}",
                "custNo": f"62812{number:08d}",
                "custName": "Ayu",
                "timestamp": time.strftime("%Y-%m-%d %H:%M:%S", time.gmtime()),
                "status": status,
            }
            envelope = {"eventType": "MessageStatus", "platform": "WA", "accountNo": SENDER, "data": data}
            yield json.dumps(envelope).encode()


def _start(project: Project) -> tuple[subprocess.Popen[str], str]:
    process = project.start("receipts", "listen", "--json", "--timezone", "UTC")
    assert process.stdout is not None
    return process, json.loads(process.stdout.readline())["url"]


async def _post(url: str, bodies: list[bytes]) -> int:
    """Post all over some connections; return how many were answered with 200."""
    import aiohttp

    waiting, answered = iter(bodies), 0
    connector = aiohttp.TCPConnector(limit=_CONNECTIONS)
    async with aiohttp.ClientSession(connector=connector) as session:

        async def work() -> None:
            nonlocal answered
            for body in waiting:
                async with session.post(url, data=body) as answer:
                    answered += answer.status == 200

        await asyncio.gather(*(work() for _ in range(_CONNECTIONS)))
    return answered


def _wait_for(root: Path, people: int) -> int:
    """Wait until every delivery is read, or a minute has passed; return how many are."""
    with closing(sqlite3.connect(f"file:{root}/.runner/ledger.db?mode=ro", uri=True)) as connection:
        deadline = time.monotonic() + 60
        while True:
            ((read,),) = connection.execute(
                "SELECT sum(deliveries) FROM tallies WHERE state = 'read'"
            ).fetchall()
            if read == people or time.monotonic() > deadline:
                return read or 0
            time.sleep(0.1)


def _stop(process: subprocess.Popen[str]) -> float:
    """End the listener; return the seconds of CPU it took."""
    process.send_signal(signal.SIGTERM)
    _, _, usage = os.wait4(process.pid, 0)
    return usage.ru_utime + usage.ru_stime
