"""What campaign files and runner.yml are both held to, beyond their schemas; used by what loads them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import time
from pathlib import Path
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError, available_timezones

from runner.errors import FileProblems, Position, Problem
from runner.problem_words import (
    KeyPath,
    describe,
    did_you_mean,
    find_secrets,
    harmless,
    names_secret,
    show_path,
)
from runner.schema_check import schema_problems
from runner.strict_yaml import Source, place_of
from runner.window import Window

_FROM_ENVIRONMENT = "secrets come from the environment only; if it was ever committed, have it replaced"
# Of the machine, not of the world: they mean something else elsewhere.
_LOCAL_ZONES = ("posix/", "right/", "localtime", "posixrules", "Factory")


@dataclass(frozen=True, slots=True, kw_only=True)
class Checked:
    """A file and what is wrong with it so far; `get` returns only values that nothing is wrong with."""

    source: Source
    problems: list[Problem]

    def get(self, *path: str | int) -> object:
        """Return the value at `path`; None where it is missing or has a problem."""
        shown = show_path(path)
        return None if any(problem.path == shown for problem in self.problems) else self.source.get(*path)

    def text(self, *path: str | int) -> str | None:
        """Return the text at `path`; None where there is none, or it has a problem."""
        value = self.get(*path)
        return value if isinstance(value, str) else None

    def add(self, path: KeyPath, found: str, expected: str, hint: str | None = None) -> None:
        """Add a problem at `path`."""
        self.problems.append(self.source.problem(path, found, expected, hint))


def checked(schema: str, source: Source) -> Checked:
    """Hold `source` to its schema, and look for secrets in it."""
    problems = [*source.problems, *_secrets(source), *schema_problems(schema, source)]
    first: dict[Position, Problem] = {}
    kept = []
    for problem in problems:
        # A refused scalar is not also of the wrong type; a mapping may well lack two keys.
        known = first.setdefault(problem.position, problem)
        if known is problem or known.path != problem.path:
            kept.append(problem)
    return Checked(source=source, problems=kept)


def settle(problems: Iterable[Problem]) -> None:
    """Raise FileProblems, in the order of their positions, if there are any."""
    in_order = sorted(
        problems, key=lambda problem: (problem.position.line, problem.position.column, problem.path)
    )
    if in_order:
        raise FileProblems(in_order)


def _secrets(source: Source) -> Iterator[Problem]:
    seen: set[str] = set()
    for path in source.places:
        key, value = path[-1] if path else None, source.get(*path)
        in_key = find_secrets(key) if isinstance(key, str) else []
        in_value = find_secrets(value) if isinstance(value, str) else []
        seen |= {match.group() for match in (*in_key, *in_value)}
        if isinstance(key, str) and (in_key or names_secret(key)):
            yield source.problem(path, "a key for a secret", "no secret", _FROM_ENVIRONMENT, at_key=True)
        if in_value:
            yield source.problem(path, "a value that looks like a secret", "no secret", _FROM_ENVIRONMENT)
    # What is left stands in comments, or in entries that were refused.
    for match in find_secrets(source.text):
        if match.group() not in seen:
            yield _secret_in_text(source, match.start())


def _secret_in_text(source: Source, offset: int) -> Problem:
    line, column = place_of(source.text, offset)
    return Problem(
        position=Position(file=harmless(source.file), line=line, column=column),
        path="",
        found="something that looks like a secret",
        expected="no secret",
        hint=_FROM_ENVIRONMENT,
    )


def check_zone(file: Checked, *path: str) -> str | None:
    """Return the time zone at `path` if it exists; add a problem if it does not."""
    name = file.text(*path)
    if name is None or zone_exists(name):
        return name
    hint = did_you_mean(name, sorted(available_timezones()))
    file.add(path, describe(name), "a time zone such as Asia/Jakarta", hint)
    return None


def zone_exists(name: str) -> bool:
    """Tell whether `name` is a zone of the IANA database."""
    if name.startswith(_LOCAL_ZONES):
        return False
    try:
        ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return False
    return True


def check_window(file: Checked, *path: str) -> Window | None:
    """Return the window at `path`; add a problem if it has no length."""
    text = file.text(*path)
    if text is None:
        return None
    opens, closes = (time.fromisoformat(part) for part in text.split("-"))
    if opens == closes:
        file.add(path, "a window of no length", "an end after the start", "leave it out to send at any hour")
    return Window(opens=opens, closes=closes)


def check_path(file: Checked, base: Path, root: Path, *path: str | int) -> Path | None:
    """Return the path at `path`, absolute; add a problem if it leads out of the folder `root`.

    It is relative to `base`. Symbolic links are followed before it is decided where it leads.
    """
    text = file.text(*path)
    if text is None:
        return None
    if Path(text).is_absolute() or ".." in Path(text).parts:
        file.add(path, describe(text), "a path below its folder, without `..`")
        return None
    try:
        target = (base / text).resolve()
    except (OSError, RuntimeError):  # a ring of symbolic links
        target = Path("/")
    if not target.is_relative_to(root.resolve()):
        file.add(path, "a path that leads out of the project", "a path within the project")
        return None
    return target


def is_file(path: Path) -> bool:
    """Tell whether `path` is a file that can be seen; a name that cannot be one is none."""
    try:
        return path.is_file()
    except OSError:
        return False
