"""One file per batch of a log: its name, and how it is written whole or not at all, for the owner only."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import IO, Any

from runner.errors import LogError, UsageError
from runner.logs.interface import Batch

_LEDGER_DIGITS = 8


def log_folder(root: Path, settings: Mapping[str, Any]) -> Path:
    """Return the folder of a log, below `root`. UsageError if it leads out of there, as a link may."""
    folder = (root / str(settings["folder"])).resolve()
    if not folder.is_relative_to(root.resolve()):
        raise UsageError(
            f"log: the folder {settings['folder']} leads out of the project",
            hint="name a folder within the project",
        )
    return folder


def file_name(batch: Batch, suffix: str) -> str:
    """Return the name of a batch's file, `promo-once-1f2e3d4c-run001-001.csv`; the same for ever.

    The ledger's first digits keep a new ledger's run 1 from overwriting the file of an older one's. An
    occurrence is written without its colon, which no file name on Windows may have.
    """
    run = batch.run
    occurrence = run.occurrence.replace(":", "")
    ledger = run.ledger[:_LEDGER_DIGITS]
    part = "control-" if batch.of_control_group else ""
    return f"{run.campaign}-{occurrence}-{ledger}-run{run.run:03d}-{part}{batch.number:03d}.{suffix}"


def write_whole(target: Path, write: Callable[[IO[bytes]], None]) -> None:
    """Write `target` (mode 0600) through a temporary file beside it; LogError when that fails."""
    try:
        target.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        descriptor, name = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name}.")
        temporary = Path(name)
        try:
            with os.fdopen(descriptor, "wb") as stream:
                write(stream)
                stream.flush()
                os.fsync(stream.fileno())
            temporary.replace(target)
        finally:
            temporary.unlink(missing_ok=True)
    except OSError as error:
        raise LogError(
            f"{target.name}: the file cannot be written: {error.strerror}",
            hint=f"check free space and permissions of {target.parent.name}/",
        ) from error
