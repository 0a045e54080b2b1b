"""Named SQL: read `.sql` texts of statements, each with a name and a sentence, for the ledgers that run them.

A statement is `-- name: some_name`, a comment that says what it does, and the SQL up to the next name.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

_NAME = re.compile(r"^-- name: ([a-z_]+)$", re.MULTILINE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Statement:
    """One named statement; `sentence` says what it does."""

    name: str
    sentence: str
    sql: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Migration:
    """One numbered step of a ledger's shape."""

    version: int
    name: str
    sql: str


def read_statements(text: str) -> Mapping[str, Statement]:
    """Return a `.sql` file's statements by name; ValueError when one lacks its sentence or SQL."""
    _, *parts = _NAME.split(text)
    statements: dict[str, Statement] = {}
    for name, body in zip(parts[::2], parts[1::2], strict=True):
        lines = body.strip().splitlines()
        comments = [line.removeprefix("--").strip() for line in lines if line.startswith("--")]
        sql = "\n".join(line for line in lines if not line.startswith("--")).strip()
        if not comments or not sql or name in statements:
            raise ValueError(f"statement {name} needs one name, a sentence and SQL")
        statements[name] = Statement(name=name, sentence=" ".join(comments), sql=sql)
    return statements
