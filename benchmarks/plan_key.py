"""What the encryption of plan files costs: planning, and what an apply does with the file before it sends."""

from __future__ import annotations

import base64
import os
import time
from pathlib import Path
from unittest.mock import patch

from benchmarks.workshop import make_project, sandbox
from runner.encrypted_file import KEY_VARIABLE, FileKey
from runner.plan_file import extracted_tables, read_plan

_KEY = bytes(range(32))


def plan_key(folder: Path, *, rows: int) -> list[dict[str, object]]:
    """Plan `rows` people and open the plan, without the key and with it, each twice, by turns; the best."""
    project = make_project(folder, rate="5/s")
    project.add_campaign("people", rows)
    planned: dict[str, list[float]] = {"without": [], "with": []}
    opened: dict[str, list[float]] = {"without": [], "with": []}
    size = {}
    with sandbox(project) as url:
        for kind in ("without", "with") * 2:
            text = base64.b64encode(_KEY).decode() if kind == "with" else ""
            path = project.root / f"{kind}.plan"
            with patch.dict(os.environ, {KEY_VARIABLE: text}):
                planned[kind].append(project.run("plan", "people.yml", "-o", str(path), url=url).seconds)
            opened[kind].append(_open(path, FileKey(secret=_KEY) if text else None, project.root / "work"))
            size[kind] = path.stat().st_size
    return [
        {
            "figure": f"a plan {kind} the key",
            "rows": rows,
            "runner plan (s)": round(min(planned[kind]), 2),
            "opening it to apply (ms)": round(1000 * min(opened[kind])),
            "MB": round(size[kind] / 1e6, 2),
        }
        for kind in planned
    ]


def _open(path: Path, key: FileKey | None, workspace: Path) -> float:
    started = time.monotonic()
    plan = read_plan(path, key)
    with extracted_tables(path, workspace, key, of=plan):
        return time.monotonic() - started
