"""A Treasure Data sandbox for tests, in a thread or in its own process, and words for what they ask of it."""

from __future__ import annotations

import gzip
import json
import os
import signal
import subprocess
import sys
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgpack

from runner.sandbox.td_faults import parse_td_fault
from runner.sandbox.td_serving import running_td_sandbox
from runner.sandbox.td_settings import TdSandboxSettings

KEY = f"1/{0:040d}"

_PROCESS = """
import json, pathlib, signal, sys, threading
from runner.sandbox.td_faults import parse_td_fault
from runner.sandbox.td_serving import running_td_sandbox
from runner.sandbox.td_settings import TdSandboxSettings
given = json.loads(sys.argv[1])
for name in ("data", "store", "audiences"):
    given[name] = given.get(name) and pathlib.Path(given[name])
given["faults"] = tuple(parse_td_fault(fault) for fault in given["faults"])
stop = threading.Event()
signal.signal(signal.SIGTERM, lambda *_: stop.set())
with running_td_sandbox(TdSandboxSettings(**given)) as running:
    print(running.url, flush=True)
    stop.wait()
"""


@dataclass(frozen=True)
class TdSandbox:
    """A sandbox that answers, and the folders that it works on."""

    url: str
    data: Path
    store: Path

    @property
    def environ(self) -> dict[str, str]:
        """What points a client at it."""
        servers = dict.fromkeys(("TD_API_SERVER", "TD_PRESTO_API", "TD_CDP_API"), self.url)
        return {**servers, "TD_API_KEY": KEY}

    def ask(self, path: str, document: object = None) -> Any:
        """GET one of its own paths, or POST a JSON document to it."""
        data = None if document is None else json.dumps(document).encode()
        with urllib.request.urlopen(urllib.request.Request(self.url + path, data=data), timeout=30) as answer:
            return json.load(answer)

    def faults(self, *faults: str) -> None:
        """Have these faults from now on, and no others; their counting starts anew."""
        self.ask("/sandbox/faults", {"faults": list(faults)})

    def jobs(self) -> list[dict[str, Any]]:
        """Return every job, in order of issue."""
        return self.ask("/sandbox/jobs.json")["jobs"]

    def calls(self, call: str) -> int:
        """Return how often this call came (td_faults.CALLS)."""
        return sum(
            entry["count"] for entry in self.ask("/sandbox/calls.json")["calls"] if entry["call"] == call
        )

    def rows(self, database: str, table: str) -> list[dict[str, Any]]:
        """Return what a table holds, by asking the sandbox itself; empty where there is no such table."""
        from runner.sandbox.td_engine import Engine
        from runner.sandbox.td_tables import TableStore

        tables = TableStore(self.data, self.store)
        if database not in tables.databases() or table not in tables.tables(database):
            return []
        packed = Engine(tables).tail(database, table, 1_000_000)
        unpacker = msgpack.Unpacker(raw=False)
        unpacker.feed(packed)
        return list(unpacker)

    def reset(self) -> None:
        """Forget jobs and calls, and have no faults."""
        self.faults()
        self.ask("/sandbox/reset", {})


@contextmanager
def td_sandbox(folder: Path, *, faults: Sequence[str] = (), **settings: Any) -> Iterator[TdSandbox]:
    """Run a sandbox in a thread; its data is `folder`/data, and what is written `folder`/store."""
    data, store = folder / "data", folder / "store"
    data.mkdir(exist_ok=True)
    parsed = tuple(parse_td_fault(fault) for fault in faults)
    made = TdSandboxSettings(data=data, store=store, faults=parsed, **settings)
    with running_td_sandbox(made) as running:
        yield TdSandbox(running.url, data, store)


@contextmanager
def td_process(folder: Path, *, faults: Sequence[str] = (), **settings: Any) -> Iterator[TdSandbox]:
    """Run a sandbox in a process of its own, so that a test may kill what talks to it."""
    data, store = folder / "data", folder / "store"
    data.mkdir(exist_ok=True)
    given = {"data": str(data), "store": str(store), "faults": list(faults), **settings}
    command = [sys.executable, "-c", _PROCESS, json.dumps(given, default=str)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=os.environ)
    assert process.stdout is not None
    try:
        yield TdSandbox(process.stdout.readline().strip(), data, store)
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(20)
        process.stdout.close()


def write_table(data: Path, name: str, text: str) -> None:
    """Write a data file, as `crm/customers.csv`, of which the sandbox makes a table."""
    path = data / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")


def packed(*records: Mapping[str, Any]) -> bytes:
    """Return records as an import takes them: msgpack maps, compressed."""
    return gzip.compress(b"".join(msgpack.packb(record) for record in records))
