"""kill -9 of `apply` at random moments, resumed each time; the sandbox's own record is the judge."""

from __future__ import annotations

import random
import sqlite3
import time
from collections import Counter
from pathlib import Path

from benchmarks.workshop import get, make_project, messages, sandbox

_IN_FLIGHT = 256


def kills(folder: Path, rounds: int) -> dict[str, object]:
    """Kill `rounds` times, then let it finish, and compare the ledger with what arrived."""
    project = make_project(folder, rate="100/s")
    project.add_campaign("first", 25 * rounds)
    chance = random.Random(50)
    most_unknown, unknown = 0, 0
    with sandbox(project, "--limit", "none", "--latency", "40ms+-30ms") as url:
        project.run("plan", "first.yml", url=url)
        killed = 0
        while killed < rounds:
            before = get(f"{url}/sandbox/stats.json")["total"]
            process = project.start("apply", "--auto-approve", url=url)
            while process.poll() is None and get(f"{url}/sandbox/stats.json")["total"] <= before:
                time.sleep(0.005)
            time.sleep(chance.uniform(0, 0.2))
            if process.poll() is not None:
                break
            process.kill()
            process.communicate()
            killed += 1
            states = _states(folder)
            most_unknown = max(most_unknown, states["unknown"] + states["intent"] - unknown)
            unknown = states["unknown"] + states["intent"]
        project.run("apply", "--auto-approve", url=url)
        arrived = Counter(str(message["to"]) for message in messages(url) if message["accepted"])
    states = _states(folder)
    return {
        "figure": "kill -9 and resume",
        "kills": killed,
        "people": sum(states.values()),
        "phones twice at the server": sum(count > 1 for count in arrived.values()),
        "lost": 25 * rounds - sum(states.values()),
        "unknown": states["unknown"],
        "most unknown after one kill": most_unknown,
        "requests in flight at most": _IN_FLIGHT,
    }


def _states(folder: Path) -> Counter[str]:
    with sqlite3.connect(f"file:{folder}/.runner/ledger.db?mode=ro", uri=True) as connection:
        return Counter(state for (state,) in connection.execute("SELECT state FROM deliveries"))
