"""How long a big plan takes, beside the same screening as one bare DuckDB query in the same run."""

from __future__ import annotations

import sys
from pathlib import Path

from benchmarks.workshop import Project, make_project, measured, sandbox

_MILLION = 1_000_000


def big_plans(folder: Path, *, rows: int) -> list[dict[str, object]]:
    """Plan `rows` rows and ten times as many; time and peak memory."""
    project = make_project(folder, rate="5/s")
    one, ten = rows, 10 * rows
    project.add_campaign("one", one, messy=True)
    project.add_campaign("ten", ten, messy=True)
    with sandbox(project) as url:
        bare = _bare(project, "one")
        first, second = _plan(project, "one", url), _plan(project, "ten", url)
    return [
        {"figure": "bare DuckDB query", "rows": one, "seconds": bare[0], "peak MB": bare[1]},
        {
            "figure": "runner plan",
            "rows": one,
            "seconds": first[0],
            "peak MB": first[1],
            "ratio": f"{first[0] / bare[0]:.2f}x the bare query",
        },
        {
            "figure": "runner plan",
            "rows": ten,
            "seconds": second[0],
            "peak MB": second[1],
            "ratio": f"{second[0] / first[0]:.2f}x a tenth of the rows",
        },
    ]


def _bare(project: Project, name: str) -> tuple[float, float]:
    script = Path(__file__).with_name("bare_screening.py")
    finished = measured([sys.executable, str(script), str(project.root), name], cwd=project.root)
    return round(finished.seconds, 2), round(finished.peak_mb)


def _plan(project: Project, name: str, url: str) -> tuple[float, float]:
    finished = project.run("plan", f"{name}.yml", "--json", url=url)
    return round(finished.seconds, 2), round(finished.peak_mb)
