"""How fast a job's rows become a Parquet file, beside td-client alone in the same run.

Each reading is a process of its own, so that its peak memory is its own; the server is another one. td-client
alone means: iterate over `job.result()` and keep nothing.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_ROUNDS = 7

_SANDBOX = """
import sys
from pathlib import Path
from runner.sandbox.td_serving import running_td_sandbox
from runner.sandbox.td_settings import TdSandboxSettings
root = Path(sys.argv[1])
with running_td_sandbox(TdSandboxSettings(data=root / "data", store=root / "store")) as running:
    print(running.url, flush=True)
    sys.stdin.read()
"""
_READER = """
import json, os, resource, sys, time
from datetime import datetime, timezone
from pathlib import Path
import pytd, msgpack, pyarrow.parquet, duckdb
way, root = sys.argv[1], Path(sys.argv[2])
from runner.campaign import Segment
from runner.project import Project
from runner.segments.interface import Remote
from runner.segments.treasure_data import fetch
from runner.treasure_data import jobs
from runner.treasure_data.account import find_account
peak = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
account = find_account(os.environ, home=root)
sql = "SELECT id, phone, name, points, consent FROM people"
around = jobs.Surroundings(folder=root, now=time.time, sleep=time.sleep, tell=print)
at_td = jobs._Jobs(account, around)
client = at_td.calls.client
job = client.query("crm", sql, type="trino")
job.wait(wait_interval=0.2)
before = peak()
if way == "alone":
    started = time.monotonic()
    rows = sum(1 for row in job.result())
else:
    from runner.treasure_data.row_stream import Column, write_rows
    finished = jobs._finished(at_td, str(job.job_id))
    columns = [Column(name=n, place=i, kind=k) for i, (n, k) in enumerate(finished.columns)]
    started = time.monotonic()
    rows = write_rows(account, finished, columns, root / "rows.parquet")
print(json.dumps({"rows": rows, "seconds": time.monotonic() - started, "mb": peak() - before}))
"""


def td_rows(folder: Path, rows: int) -> dict[str, object]:
    """Read `rows` rows both ways, in turn, and compare the medians."""
    import duckdb

    (folder / "data/crm").mkdir(parents=True)
    duckdb.sql(f"""
        COPY (
            SELECT i AS time, 'c' || i AS id, '+62812' || lpad(i::VARCHAR, 8, '0') AS phone,
                'Ayu Lestari ' || i AS name, i * 37 % 100000 AS points, i % 10 <> 7 AS consent
            FROM range({rows}) AS numbers(i)
        ) TO '{folder / "data/crm/people.parquet"}' (FORMAT parquet)
    """)
    with _sandbox(folder) as url:
        readings = [{way: _read(way, folder, url) for way in ("alone", "parquet")} for _ in range(_ROUNDS)]
    alone, ours = (
        statistics.median(rows / reading[way]["seconds"] for reading in readings)
        for way in ("alone", "parquet")
    )
    return {
        "figure": "Treasure Data rows to Parquet",
        "rows": rows,
        "rows/s": round(ours),
        "td-client alone": round(alone),
        "share": f"{ours / alone:.0%}",
        "MB above import pytd": round(max(reading["parquet"]["mb"] for reading in readings)),
    }


def _read(way: str, folder: Path, url: str) -> dict[str, float]:
    environ = {**os.environ, "TD_API_SERVER": url, "TD_API_KEY": f"1/{0:040d}"}
    done = subprocess.run(
        [sys.executable, "-c", _READER, way, str(folder)],
        env=environ,
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    figures: dict[str, float] = json.loads(done.stdout)
    return figures


@contextmanager
def _sandbox(folder: Path) -> Iterator[str]:
    process = subprocess.Popen(
        [sys.executable, "-c", _SANDBOX, str(folder)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stdout is not None
        yield process.stdout.readline().strip()
    finally:
        process.communicate(timeout=30)
