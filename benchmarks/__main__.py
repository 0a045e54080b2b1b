"""`python -m benchmarks [NAME...]`: run the benchmarks, or those named, and print a table of each figure."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

from benchmarks.engine import engine
from benchmarks.kills import kills
from benchmarks.pace import one_apply, two_applies
from benchmarks.plan_key import plan_key
from benchmarks.plans import big_plans
from benchmarks.receipts import big_report
from benchmarks.start import start_up
from benchmarks.td_log import td_log
from benchmarks.td_rows import td_rows
from benchmarks.webhooks import webhooks

Figures = list[dict[str, object]]

_BENCHMARKS: dict[str, Callable[[Path], Figures]] = {
    "start": start_up,
    "engine": lambda folder: [engine(folder, people=20_000)],
    "plan": lambda folder: big_plans(folder, rows=1_000_000),
    "key": lambda folder: plan_key(folder, rows=100_000),
    "pace": lambda folder: [one_apply(folder, people=600)],
    "two": lambda folder: [two_applies(folder, people=600)],
    "kills": lambda folder: [kills(folder, rounds=50)],
    "rows": lambda folder: [td_rows(folder, rows=1_000_000)],
    "log": lambda folder: [td_log(folder, rows=50_000)],
    "receipts": lambda folder: big_report(folder, lines=1_000_000),
    "webhooks": lambda folder: webhooks(folder, people=8_000),
}


def main() -> None:
    """Run what was asked for, each benchmark from a process of its own.

    On Linux the peak memory of a process counts from that of the process which started it.
    """
    names = sys.argv[1:] or list(_BENCHMARKS)
    if len(names) == 1:
        _run(names[0])
        return
    for name in names:
        subprocess.run([sys.executable, "-m", "benchmarks", name], check=True)


def _run(name: str) -> None:
    with tempfile.TemporaryDirectory(prefix=f"bench-{name}-") as folder:
        for figure in _BENCHMARKS[name](Path(folder) / "project"):
            print("  ".join(f"{key}: {value}" for key, value in figure.items()), flush=True)


if __name__ == "__main__":
    main()
