"""The Treasure Data sandbox's files on their way: a private folder for each sandbox, gone when it ends.

A sandbox that was killed leaves its folder behind; the next one on the same store deletes it.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import tempfile
import threading
from pathlib import Path


class WorkFolder:
    """A folder within `parent`, made when it is first needed; a lock beside it says that its owner lives."""

    def __init__(self, parent: Path) -> None:
        self._parent = parent
        self._path: Path | None = None
        self._lock = -1
        self._making = threading.Lock()

    def path(self) -> Path:
        """Return the folder, on the same disk as `parent`."""
        with self._making:
            if self._path is None:
                self._parent.mkdir(parents=True, exist_ok=True, mode=0o700)
                self._delete_left_behind()
                folder = Path(tempfile.mkdtemp(dir=self._parent))
                self._lock = os.open(_lock_of(folder), os.O_CREAT | os.O_RDWR, 0o600)
                fcntl.flock(self._lock, fcntl.LOCK_EX)
                self._path = folder
            return self._path

    def close(self) -> None:
        """Delete the folder."""
        with self._making:
            if self._path is not None:
                shutil.rmtree(self._path, ignore_errors=True)
                _lock_of(self._path).unlink(missing_ok=True)
                os.close(self._lock)
                self._path = None

    def _delete_left_behind(self) -> None:
        for lock in self._parent.glob("*.lock"):
            descriptor = os.open(lock, os.O_RDWR)
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                shutil.rmtree(lock.with_suffix(""), ignore_errors=True)
                lock.unlink(missing_ok=True)
            except BlockingIOError:
                continue
            finally:
                os.close(descriptor)


def _lock_of(folder: Path) -> Path:
    return folder.with_name(f"{folder.name}.lock")
