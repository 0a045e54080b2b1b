"""How long a person waits for `--help` and for `validate`."""

from __future__ import annotations

import statistics
import sys
from pathlib import Path

from benchmarks.workshop import make_project, measured

_RUNS = 15


def start_up(folder: Path) -> list[dict[str, object]]:
    """Time the two commands that people run most."""
    project = make_project(folder, rate="5/s")
    project.add_campaign("first", 2)
    command = [str(Path(sys.executable).with_name("runner"))]
    rows: list[dict[str, object]] = []
    for name, arguments in (("runner --help", ["--help"]), ("runner validate", ["validate", "first.yml"])):
        times = [measured([*command, *arguments], cwd=folder).seconds for _ in range(_RUNS)]
        rows.append({"figure": name, "median (ms)": round(statistics.median(times) * 1000)})
    many = folder / "many"
    many.mkdir()
    text = (folder / "first.yml").read_text()
    for number in range(200):
        (many / f"c{number}.yml").write_text(text.replace("campaign: first", f"campaign: c{number}"))
    seconds = measured([*command, "validate", "many"], cwd=folder).seconds
    rows.append({"figure": "runner validate, 200 files", "seconds": round(seconds, 2)})
    return rows
