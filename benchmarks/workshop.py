"""What the benchmarks share: a project on disk, a sandbox in another process, and `runner` as a command."""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

KEY = "c2FuZGJveA.c2FuZGJveA.c2FuZGJveA"
SENDER = "60110000001"

_RUNNER_YML = """\
providers:
  ada: {url: "http://127.0.0.1:9", sender: "%(sender)s", rate: "%(rate)s"}
suppression: [never.csv]
sandbox: {templates: templates.json}
"""

_CAMPAIGN = """\
campaign: %(name)s
segment: {source: duckdb, query: "SELECT * FROM 'data/%(name)s.parquet'"}
recipient: {id: id, phone: phone, region: ID, consent: consent}
template: {name: promo, language: id}
variables:
  - {column: name, default: Kak, transform: [trim, title], max_length: 60}
  - {column: points, format: "#,##0"}
  - text: LEBARAN25
"""

_TEMPLATES = [
    {
        "name": "promo",
        "language": "id",
        "category": "MARKETING",
        "body": "Halo {{1}}, poin Anda {{2}}. Kode {{3}} berlaku hari ini.",
    }
]

_MESSY = """
    COPY (
        SELECT
            'c' || i AS id,
            CASE i %% 20
                WHEN 0 THEN '+62 812-' || substr(lpad(i::VARCHAR, 8, '0'), 1, 4) || '-'
                    || substr(lpad(i::VARCHAR, 8, '0'), 5)
                WHEN 1 THEN '0812' || lpad(i::VARCHAR, 8, '0')
                WHEN 2 THEN '0062812' || lpad(i::VARCHAR, 8, '0')
                WHEN 3 THEN 'unknown'
                WHEN 4 THEN NULL
                WHEN 5 THEN '62812' || lpad((i - 3)::VARCHAR, 8, '0')
                ELSE '62812' || lpad(i::VARCHAR, 8, '0')
            END AS phone,
            CASE WHEN i %% 17 = 0 THEN NULL ELSE ' ayu lestari ' || i END AS name,
            i * 37 %% 100000 AS points,
            i %% 10 <> 7 AS consent
        FROM range(%(rows)d) AS numbers(i)
    ) TO '%(path)s' (FORMAT parquet)
"""

_CLEAN = """
    COPY (
        SELECT 'c' || i AS id, '62812' || lpad((i + %(first)d)::VARCHAR, 8, '0') AS phone,
            'Ayu ' || i AS name, i AS points, true AS consent
        FROM range(%(rows)d) AS numbers(i)
    ) TO '%(path)s' (FORMAT parquet)
"""


@dataclass(frozen=True, kw_only=True)
class Finished:
    """One command's end: its output, wall seconds, and the peak memory of its process in MB."""

    code: int
    out: str
    seconds: float
    peak_mb: float


@dataclass(frozen=True, kw_only=True)
class Project:
    """A project to benchmark in."""

    root: Path

    def add_campaign(self, name: str, rows: int, *, messy: bool = False, first: int = 30_000_000) -> None:
        """Write a campaign and its rows."""
        import duckdb

        path = self.root / "data" / f"{name}.parquet"
        values = {"rows": rows, "path": path, "first": first}
        duckdb.sql((_MESSY if messy else _CLEAN) % values)
        (self.root / f"{name}.yml").write_text(_CAMPAIGN % {"name": name})

    def start(self, *arguments: str, url: str = "http://127.0.0.1:9") -> subprocess.Popen[str]:
        """Start a `runner` command."""
        environment = {**os.environ, "ADA_API_URL": url, "ADA_API_KEY": KEY}
        command = [sys.executable, "-m", "runner", *arguments]
        return subprocess.Popen(
            command,
            cwd=self.root,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def run(self, *arguments: str, url: str = "http://127.0.0.1:9") -> Finished:
        """Run a `runner` command to its end, in a process that measures its own peak memory."""
        return measured([sys.executable, "-m", "runner", *arguments], cwd=self.root, url=url)


def measured(command: list[str], *, cwd: Path, url: str = "http://127.0.0.1:9") -> Finished:
    """Run a command and measure it: the kernel's own account of the child."""
    environment = {**os.environ, "ADA_API_URL": url, "ADA_API_KEY": KEY}
    started = time.monotonic()
    with (cwd / "out").open("w") as out, (cwd / "err").open("w") as err:
        process = subprocess.Popen(command, cwd=cwd, env=environment, stdout=out, stderr=err)
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    seconds = time.monotonic() - started
    if process.returncode not in {0, 2, 3}:
        sys.stderr.write((cwd / "err").read_text()[-2000:])
    return Finished(
        code=process.returncode,
        out=(cwd / "out").read_text(),
        seconds=seconds,
        peak_mb=usage.ru_maxrss / 1024,
    )


def make_project(root: Path, *, rate: str) -> Project:
    """Write an empty project."""
    (root / "data").mkdir(parents=True)
    (root / "runner.yml").write_text(_RUNNER_YML % {"sender": SENDER, "rate": rate})
    (root / "templates.json").write_text(json.dumps(_TEMPLATES))
    (root / "never.csv").write_text("phone\n" + "".join(f"+62813{n:08d}\n" for n in range(1000)))
    return Project(root=root)


@contextmanager
def sandbox(project: Project, *options: str) -> Iterator[str]:
    """Run a sandbox in a process of its own, and give its URL."""
    process = project.start("sandbox", "--json", *options)
    try:
        assert process.stdout is not None
        yield json.loads(process.stdout.readline())["url"]
    finally:
        process.terminate()
        process.communicate(timeout=30)


def get(url: str) -> Any:
    """Read JSON."""
    with urllib.request.urlopen(url, timeout=60) as answer:
        return json.load(answer)


def messages(url: str) -> list[dict[str, Any]]:
    """Return everything that arrived at a sandbox."""
    found: list[dict[str, Any]] = []
    while page := get(f"{url}/sandbox/messages.json?limit=5000&since={len(found)}")["messages"]:
        found += page
    return found


def own_peak_mb() -> float:
    """Return this process's own peak memory in MB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
