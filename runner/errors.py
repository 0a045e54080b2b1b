"""Every expected failure of the product, as one small tree; the bottom of the import order.

An error says in one line what is wrong and, in `hint`, what to do next. The CLI turns it into that line and
its exit code; nothing else catches it. The tree:

    RunnerError                 exit 1
    +-- UsageError              a command was called in a way that cannot work
    +-- FileProblems            a campaign file or runner.yml has problems, each at its position
    +-- SegmentError            the segment query may not or cannot run
    +-- TemplateError           the template is not there, not approved, or does not fit the variables
    +-- PlanFileError           a plan file is damaged or was edited
    +-- LedgerError             the ledger cannot be read or written
    +-- ProviderError           the provider cannot be reached or does not know us
    +-- TreasureDataError       Treasure Data cannot be reached, does not accept the key, or says no
    +-- LogError                a log cannot be written; its rows are kept in the ledger
    +-- Refusal                 exit 4: refused before anything was sent
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import IntEnum


class ExitCode(IntEnum):
    """What a command's exit status says (DESIGN: "Plan and apply")."""

    DONE = 0
    ERROR = 1
    CHANGES = 2
    UNSETTLED = 3
    REFUSED = 4
    STOPPED = 5
    INTERRUPTED = 130


#: The exit code of several things that were done is the first of these that any of them ended with.
_GRAVEST_FIRST = (
    ExitCode.INTERRUPTED,
    ExitCode.ERROR,
    ExitCode.STOPPED,
    ExitCode.REFUSED,
    ExitCode.UNSETTLED,
    ExitCode.DONE,
)


def gravest(codes: Sequence[ExitCode]) -> ExitCode:
    """Return the exit code of several things that were done, by those of each."""
    return next((code for code in _GRAVEST_FIRST if code in codes), ExitCode.DONE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Position:
    """A place in a file a person wrote; `line` and `column` count from 1, columns in characters."""

    file: str
    line: int
    column: int

    def __str__(self) -> str:
        """Render as editors and terminals link it: `file:line:column`."""
        return f"{self.file}:{self.line}:{self.column}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """One thing wrong in a file: where, at which key, what was found, what was expected.

    `path` is the key path as a person would say it (`variables[1].format`), empty for the whole file.
    """

    position: Position
    path: str
    found: str
    expected: str
    hint: str | None = None

    def __str__(self) -> str:
        """Render the problem as one line."""
        where = f"{self.position}: {self.path}: " if self.path else f"{self.position}: "
        hint = f" ({self.hint})" if self.hint else ""
        return f"{where}found {self.found}, expected {self.expected}{hint}"


class RunnerError(Exception):
    """The root: an expected failure. `hint` says what to do next."""

    exit_code: ExitCode = ExitCode.ERROR

    def __init__(self, message: str, *, hint: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint


class UsageError(RunnerError):
    """A command was called in a way that cannot work."""


class FileProblems(RunnerError):  # noqa: N818 - it carries problems, in the plural
    """A file has problems; all of them are listed, in the order of their positions."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        super().__init__("\n".join(str(problem) for problem in problems))
        self.problems = tuple(problems)


class SegmentError(RunnerError):
    """The segment query may not run, cannot run, or returns the wrong columns."""


class TemplateError(RunnerError):
    """The template is not there, is not approved, or does not fit the campaign's variables."""


class PlanFileError(RunnerError):
    """A plan file is damaged, was edited, or comes from another version."""


class LedgerError(RunnerError):
    """The ledger cannot be read or written; nothing was lost."""


class ProviderError(RunnerError):
    """The provider cannot be reached, does not accept the key, or does not know the sender."""


class TreasureDataError(RunnerError):
    """Treasure Data cannot be reached, does not accept the key, or says no."""


class LogError(RunnerError):
    """A log cannot be written; its rows are kept in the ledger, and can be pushed later."""


class Refusal(RunnerError):  # noqa: N818 - a refusal is not a mistake
    """Refused before anything was sent: stale, expired, not due, over a guard, locked, not confirmed.

    `holds_until` (UTC) is known where it is refused for the hour alone: from then on the same is not refused.
    """

    exit_code = ExitCode.REFUSED

    def __init__(self, message: str, *, hint: str | None = None, holds_until: datetime | None = None) -> None:
        super().__init__(message, hint=hint)
        self.holds_until = holds_until
