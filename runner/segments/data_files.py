"""The data folder of a project: which of its files a query may name, and how they are shown to people."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice, takewhile
from pathlib import Path, PurePosixPath

from runner.errors import SegmentError
from runner.problem_words import listed, nearest
from runner.project import Project
from runner.segments.query_place import one_line
from runner.segments.rules import Rule, broken

_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:")
_GLOB = re.compile(r"[*?\[{]")
_DATABASES = (".duckdb", ".ddb", ".db")
_LOOKED_AT = 5_000


@dataclass(frozen=True, slots=True, kw_only=True)
class DataFolder:
    """The folder that queries may read: `named` by the project, and where it `real`ly is, links followed."""

    root: Path
    named: Path
    real: Path

    @classmethod
    def of(cls, project: Project) -> DataFolder:
        """Return the data folder of `project`; whether it exists is asked when a file in it is."""
        return cls(root=project.root, named=project.data, real=project.data.resolve())

    def full_path(self, name: str) -> str:
        """Return the full path, or pattern, of a data file that a query names relative to the project's root.

        Raises SegmentError for a name that leads outside the folder, in whatever way, or to nothing.
        """
        inside = self._inside(name)
        plain = list(takewhile(lambda part: not _GLOB.search(part), inside.parts))
        path = self._real_path(name, plain)
        if len(plain) == len(inside.parts):
            self._check_file(name, path)
        return "/".join([str(self.real), *inside.parts])

    def shown(self, text: str) -> str:
        """Return `text` with every full path of a data file as a query names it."""
        return text.replace(f"{self.real}/", self._prefix())

    def databases(self) -> dict[str, list[Path]]:
        """Return the .duckdb files of the folder by their stems, lower-case, as DuckDB compares names."""
        found: dict[str, list[Path]] = {}
        for path in self._walk():
            if path.suffix == ".duckdb":
                found.setdefault(path.stem.lower(), []).append(path)
        return found

    def named_as(self, path: Path) -> str:
        """Return the name of a file of this folder as a query writes it."""
        return self._prefix() + path.relative_to(self.real).as_posix()

    def _prefix(self) -> str:
        if self.named == self.root or not self.named.is_relative_to(self.root):
            return ""
        return self.named.relative_to(self.root).as_posix() + "/"

    def _inside(self, name: str) -> PurePosixPath:
        """Return the path below the folder, judged by the name alone."""
        path = PurePosixPath(name)
        data = self._prefix().rstrip("/") or "."
        hint = f"name files as '{data}/customers.parquet', relative to the project's root"
        shown = one_line(name)
        if _SCHEME.match(name):
            raise broken(Rule.FILES_UNDER_DATA, f"`{shown}` is a URL", hint=hint)
        if path.is_absolute() or name.startswith("~"):
            raise broken(Rule.FILES_UNDER_DATA, f"`{shown}` is an absolute path", hint=hint)
        if ".." in path.parts:
            raise broken(Rule.FILES_UNDER_DATA, f"`{shown}` goes up with `..`", hint=hint)
        if not (self.root / path).is_relative_to(self.named):
            raise broken(Rule.FILES_UNDER_DATA, f"`{shown}` is not in `{data}`", hint=hint)
        return PurePosixPath((self.root / path).relative_to(self.named))

    def _real_path(self, name: str, parts: Sequence[str]) -> Path:
        path = self.real.joinpath(*parts)
        try:
            real = path.resolve()
        except (OSError, RuntimeError, ValueError):
            raise self._missing(name) from None
        if not real.is_relative_to(self.real):
            raise broken(
                Rule.FILES_UNDER_DATA,
                f"`{one_line(name)}` is a link to outside",
                hint="copy the file into the data folder",
            )
        return path

    def _check_file(self, name: str, path: Path) -> None:
        try:
            is_folder, is_file, exists = path.is_dir(), path.is_file(), path.exists()
        except (OSError, ValueError):
            raise self._missing(name) from None
        if is_folder:
            example = f"{name.rstrip('/')}/*.parquet"
            raise SegmentError(
                f"segment query: `{one_line(name)}` is a folder",
                hint=f"read its files with '{one_line(example)}'",
            )
        if not exists:
            raise self._missing(name)
        if not is_file:
            raise SegmentError(f"segment query: `{one_line(name)}` is not a regular file")
        if path.suffix in _DATABASES:
            stem = one_line(path.stem)
            raise SegmentError(
                f"segment query: `{one_line(name)}` is a database, not a table",
                hint=f"read one of its tables: FROM {stem}.<table> (the file must end in .duckdb)",
            )

    def _missing(self, name: str) -> SegmentError:
        names = [self.named_as(path) for path in islice(self._walk(), _LOOKED_AT)]
        near = nearest(name, names)
        if near is None:
            same_name = {PurePosixPath(other).name: other for other in names}
            near_name = nearest(PurePosixPath(name).name, list(same_name))
            near = same_name.get(near_name or "")
        hint = f"the data folder holds {listed([f'`{one_line(other)}`' for other in names[:5]], 'and')}"
        if near is not None:
            hint = f"did you mean `{one_line(near)}`?"
        elif not names:
            hint = f"the data folder `{one_line(self._prefix().rstrip('/') or '.')}` is empty or not there"
        return SegmentError(f"segment query: there is no data file `{one_line(name)}`", hint=hint)

    def _walk(self) -> Iterator[Path]:
        """Yield every file of the folder in the order of names; links to folders are not followed."""
        for folder, folders, files in os.walk(self.real):
            folders.sort()
            yield from (Path(folder, name) for name in sorted(files))
