"""The rules that a segment query keeps, each with the name that an error says when it is broken."""

from __future__ import annotations

from enum import Enum

from runner.errors import SegmentError


class Rule(Enum):
    """One rule of segment queries; a campaign file comes from a pull request, so its SQL is not trusted."""

    PLAIN_TEXT = "plain text"
    SHORT = "at most 1,000,000 characters"
    SHALLOW = "no deep nesting"
    ONE_STATEMENT = "one statement"
    ONLY_SELECT = "only a SELECT"
    NO_PARAMETERS = "no parameters"
    OWN_FUNCTIONS = "only DuckDB's own functions"
    TABLE_FUNCTIONS = "only table functions that read data files or make rows"
    NO_SYSTEM = "no function or table that reaches settings, secrets or the system"
    PLAIN_FILE_NAMES = "file names are plain strings"
    FILES_UNDER_DATA = "only files under the data folder"
    KNOWN_TABLES = "only data files, names from WITH, and tables of .duckdb files in the data folder"


def broken(rule: Rule, found: str, *, place: str = "", hint: str | None = None) -> SegmentError:
    """Return the error that says which rule was broken, where in the query, and by what."""
    return SegmentError(f'segment query{place}: breaks the rule "{rule.value}": {found}', hint=hint)


def too_deep() -> SegmentError:
    """Return the error of a query that a parser gives up on; each counts its depth in another way."""
    return broken(Rule.SHALLOW, "it is nested too deeply", hint="write it in steps, with WITH")
