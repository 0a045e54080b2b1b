"""The folder of an export: written whole, and never over a file that somebody else made."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path, PurePosixPath

from runner.errors import UsageError


def write_folder(
    folder: Path, files: Mapping[str, bytes], *, manifest: str, private: frozenset[str], force: bool
) -> None:
    """Write `files` below `folder`, those of `private` for the owner only.

    The folder has to be new or empty. With `force` it may hold an earlier export: the files that its
    `manifest` names are replaced, and no others. Errors: UsageError, before anything is written.
    """
    old = _earlier(folder, manifest) if force else frozenset()
    if folder.exists() and not folder.is_dir():
        raise UsageError(f"{folder} is not a folder", hint="name another with -o")
    if not force and folder.exists() and any(folder.iterdir()):
        raise UsageError(
            f"the folder {folder} is not empty",
            hint="name another with -o; or --force, which replaces what an export wrote there",
        )
    foreign = sorted(name for name in files if name not in old and _is_there(folder / name))
    if foreign:
        raise UsageError(
            f"the file {folder / foreign[0]} was not written by an export",
            hint="move it away, or name another folder with -o",
        )
    _check_parents(folder, [*files, *old])
    # Old files are removed, not overwritten: what a link leads to stays as it is. The manifest is removed
    # last and written first, so that an export that was killed can be repeated with --force.
    for name in sorted(old - {manifest}):
        (folder / name).unlink(missing_ok=True)
    (folder / manifest).unlink(missing_ok=True)
    for name in sorted(files, key=lambda name: name != manifest):
        _write(folder / name, files[name], private=name in private)


def _earlier(folder: Path, manifest: str) -> frozenset[str]:
    """Return the names that the manifest of an earlier export lists; none when there is no manifest."""
    path = folder / manifest
    if not path.is_file():
        return frozenset()
    try:
        names = json.loads(path.read_text(encoding="utf-8"))["files"]
        if all(_is_inside(name) for name in names):
            return frozenset(names)
    except (ValueError, KeyError, TypeError):
        pass
    raise UsageError(f"{path} is damaged", hint="delete the folder, or name another with -o")


def _is_inside(name: object) -> bool:
    path = PurePosixPath(name) if isinstance(name, str) else PurePosixPath("/")
    return not path.is_absolute() and ".." not in path.parts and bool(path.parts)


def _is_there(path: Path) -> bool:
    return path.exists() or path.is_symlink()


def _check_parents(folder: Path, names: list[str]) -> None:
    """Raise UsageError when a folder on the way is a link or a file: it would lead out of `folder`."""
    for name in names:
        for parent in PurePosixPath(name).parents:
            path = folder / parent
            if parent.parts and (path.is_symlink() or (path.exists() and not path.is_dir())):
                raise UsageError(f"{path} is not a folder", hint="name another with -o")


def _write(path: Path, data: bytes, *, private: bool) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch(mode=0o600 if private else 0o666, exist_ok=False)
    path.write_bytes(data)
