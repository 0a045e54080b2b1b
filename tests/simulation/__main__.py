"""`python -m tests.simulation SEED`: live one world again, and say what broke; `--seeds N` lives many.

`--people N` lives one undisturbed campaign of so many people instead.
"""

from __future__ import annotations

import argparse
import gc
import sys
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

from tests.simulation.promises import broken
from tests.simulation.world import live


def workshop() -> str | None:
    """Return where a world's ledger lives: in memory where the system offers that."""
    return "/dev/shm" if Path("/dev/shm").is_dir() else None


def problems_of(seed: int) -> list[str]:
    """Live the world of one seed, and return the promises that it broke."""
    with tempfile.TemporaryDirectory(dir=workshop()) as folder:
        return broken(live(seed, Path(folder)))


def campaign_problems(seed: int, people: int) -> list[str]:
    """Live one undisturbed campaign of many people, and return the promises that it broke.

    Its objects are many and hold no cycles: looking for garbage among them would take a tenth of the time.
    """
    gc.disable()
    with tempfile.TemporaryDirectory(dir=workshop()) as folder:
        return broken(live(seed, Path(folder), people=people, undisturbed=True))


def main() -> None:
    """Live the worlds asked for; exit with 1 when a promise was broken."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("seed", type=int, help="the first seed")
    parser.add_argument("--seeds", type=int, default=1, help="how many, from there")
    parser.add_argument("--jobs", type=int, default=1, help="in how many processes")
    parser.add_argument("--people", type=int, help="live one campaign of so many people")
    arguments = parser.parse_args()
    started = time.monotonic()
    if arguments.people:
        found = {arguments.seed: campaign_problems(arguments.seed, arguments.people)}
    else:
        found = _live_many(range(arguments.seed, arguments.seed + arguments.seeds), arguments.jobs)
    for seed, problems in found.items():
        for problem in problems:
            people = f" --people {arguments.people}" if arguments.people else ""
            print(f"seed {seed}: {problem}\n  again: python -m tests.simulation {seed}{people}")
    failures = sum(map(len, found.values()))
    print(f"{len(found)} worlds in {time.monotonic() - started:.1f} s, {failures} broken promises")
    sys.exit(1 if failures else 0)


def _live_many(seeds: range, jobs: int) -> dict[int, list[str]]:
    if jobs == 1:
        return {seed: problems_of(seed) for seed in seeds}
    with ProcessPoolExecutor(jobs) as pool:
        return dict(zip(seeds, pool.map(problems_of, seeds, chunksize=20), strict=True))


if __name__ == "__main__":
    main()
