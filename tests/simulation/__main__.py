"""`python -m tests.simulation SEED`: live one world again, and say what broke; `--seeds N` lives many."""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
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


def main() -> None:
    """Live the worlds asked for; exit with 1 when a promise was broken."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("seed", type=int, help="the first seed")
    parser.add_argument("--seeds", type=int, default=1, help="how many, from there")
    arguments = parser.parse_args()
    started, failures = time.monotonic(), 0
    for seed in range(arguments.seed, arguments.seed + arguments.seeds):
        for problem in problems_of(seed):
            failures += 1
            print(f"seed {seed}: {problem}\n  again: python -m tests.simulation {seed}")
    seconds = time.monotonic() - started
    print(f"{arguments.seeds} worlds in {seconds:.1f} s, {failures} broken promises")
    sys.exit(1 if failures else 0)


if __name__ == "__main__":
    main()
