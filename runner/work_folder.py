"""A private folder for intermediate files, gone afterwards; also when its process was killed.

People's data lies in it readable while a command runs. A killed command cannot delete it: the next one does.
A lock on the folder itself says that its owner lives; the system drops it with the process.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

#: How the names of these folders end: nothing else below the parent is ever deleted.
_SUFFIX = ".work"


@contextmanager
def work_folder(parent: Path, prefix: str) -> Iterator[Path]:
    """Give a folder (mode 0700) below `parent`, for as long as the context lasts. Errors: OSError."""
    parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    guard = _locked(parent)  # nobody sees a folder that is there and not locked yet
    try:
        delete_left_behind(parent)
        folder = Path(tempfile.mkdtemp(dir=parent, prefix=prefix, suffix=_SUFFIX))
        lock = _locked(folder)
    finally:
        _unlock(guard)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        _unlock(lock)


def _locked(folder: Path, *, wait: bool = True) -> int | None:
    """Lock a folder; return the descriptor that holds it, None where a disk knows no locks.

    BlockingIOError when another holds it, and this does not `wait`.
    """
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
    except BlockingIOError:
        os.close(descriptor)
        raise
    except OSError:
        os.close(descriptor)
        return None
    return descriptor


def _unlock(descriptor: int | None) -> None:
    if descriptor is not None:
        os.close(descriptor)


def delete_left_behind(parent: Path) -> None:
    """Delete the folders below `parent` whose processes were killed; those of living ones stay."""
    for folder in parent.glob(f"*{_SUFFIX}"):
        with suppress(OSError):  # its owner lives, or it went this moment
            lock = _locked(folder, wait=False)
            if lock is not None:
                shutil.rmtree(folder, ignore_errors=True)
                _unlock(lock)
