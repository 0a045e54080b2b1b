"""Files of an export among those of others: replaced only where an export wrote them itself."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from runner.errors import UsageError

#: What an export's text begins with; a word of the command follows.
MARK = "# Written by `runner export "


def write_marked(files: Mapping[Path, bytes], *, force: bool) -> None:
    """Write each of `files`, those of text with `MARK` in their first line; folders are made.

    One that an earlier export wrote is replaced with `force`, and stays where nothing of it changed. Errors:
    UsageError, before anything is written.
    """
    for path, data in files.items():
        _check(path, data, force=force)
    for path, data in files.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)


def write_private_once(path: Path, text: str) -> bool:
    """Write `text` for the owner only; False, and nothing is written, where there is a file already."""
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    try:
        path.touch(mode=0o600, exist_ok=False)
    except FileExistsError:
        return False
    path.write_text(text, encoding="utf-8")
    return True


def _check(path: Path, data: bytes, *, force: bool) -> None:
    if path.is_symlink() or (path.exists() and not path.is_file()):
        raise UsageError(f"{path} is not a file", hint="move it away")
    if not path.exists() or path.read_bytes() == data:
        return
    # A file that is not text cannot be marked: it has the name that it has everywhere.
    if data.startswith(MARK.encode()) and not path.read_bytes().startswith(MARK.encode()):
        raise UsageError(f"the file {path} was not written by an export", hint="move it away")
    if not force:
        raise UsageError(f"the file {path} is there already", hint="--force replaces what an export wrote")
