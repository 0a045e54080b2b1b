"""Many inputs for one target, by atheris: libFuzzer, led by the branches that an input reaches."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import NoReturn


def fuzz(name: str, *, inputs: int, seed: int, folder: Path) -> NoReturn:
    """Read so many inputs, and end the process: 0 when each was accepted or refused."""
    import atheris

    with atheris.instrument_imports(include=["runner"]):
        from tests.fuzz.judging import judge
        from tests.fuzz.targets import TARGETS

    target = TARGETS[name]
    corpus, work = folder / "corpus", folder / "work"
    for place in (corpus, work):
        place.mkdir()
    for number, data in enumerate(target.seeds()):
        (corpus / str(number)).write_bytes(data)
    options = [f"-runs={inputs}", f"-seed={seed or 1}", "-max_len=8192", "-rss_limit_mb=2048", "-timeout=10"]
    atheris.Setup(
        [sys.argv[0], *options, f"-artifact_prefix={Path.cwd()}/", str(corpus)],
        lambda data: judge(target.reader, data, work) and None,
    )
    atheris.Fuzz()
    sys.exit(0)
