"""`python -m tests.fuzz TARGET --inputs N --seed S`: many inputs for one reader of bytes, or for all."""

from __future__ import annotations

import argparse
import base64
import sys
import tempfile
from pathlib import Path

NAMES = ("yaml", "campaign", "plan", "plan-document", "report", "import", "webhook")


def main() -> None:
    """Fuzz as asked; exit with 1, and the way to see it again, when an input was neither read nor refused."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("target", choices=(*NAMES, "all"))
    parser.add_argument("--inputs", type=int, default=10_000, help="how many; `all` shares them out")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--engine", choices=("hypothesis", "atheris"), default="hypothesis")
    parser.add_argument("--input", metavar="BASE64", help="read this one input, and nothing else")
    asked = parser.parse_args()
    if asked.target == "all" and (asked.engine == "atheris" or asked.input is not None):
        parser.error("name one target: atheris, and a single input, are for one")
    memory = "/dev/shm" if Path("/dev/shm").is_dir() else None
    with tempfile.TemporaryDirectory(dir=memory) as folder:
        if asked.input is not None:
            _again(asked.target, base64.b64decode(asked.input), Path(folder))
        elif asked.engine == "atheris":
            from tests.fuzz import by_atheris

            by_atheris.fuzz(asked.target, inputs=asked.inputs, seed=asked.seed, folder=Path(folder))
        else:
            _by_hypothesis(asked.target, asked.inputs, asked.seed, Path(folder))


def _again(name: str, data: bytes, folder: Path) -> None:
    from tests.fuzz.judging import judge
    from tests.fuzz.targets import TARGETS

    print("accepted" if judge(TARGETS[name].reader, data, folder) else "refused")


def _by_hypothesis(asked: str, inputs: int, seed: int, folder: Path) -> None:
    from tests.fuzz.fuzzing import fuzz
    from tests.fuzz.targets import TARGETS

    for name in TARGETS if asked == "all" else (asked,):
        target = TARGETS[name]
        count = inputs * target.share // 1000 if asked == "all" else inputs
        try:
            tally = fuzz(target, inputs=count, seed=seed, folder=folder)
        except BaseException:
            print(f"{name}: again with python -m tests.fuzz {name} --inputs {count} --seed {seed}")
            raise
        rate = tally.inputs / (tally.seconds or 1)
        print(f"{name}: {tally.inputs:,} inputs, {tally.accepted:,} accepted, {rate:,.0f}/s", flush=True)


if __name__ == "__main__":
    main()
    sys.exit(0)
