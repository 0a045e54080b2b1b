"""A definition, and what changed since it was approved last, for people and as JSON values. Pure."""

from __future__ import annotations

import difflib
import json
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timezone
from typing import Any

from runner.definition import Change, Definition
from runner.ledger.firings import Approval

#: Lines around a change in a text of several lines.
_CONTEXT = 2


def definition_lines(definition: Definition, last: Approval | None, changed: Sequence[Change]) -> list[str]:
    """Return what is to be approved: its digest, the approval before, and each change since."""
    before = f"changed since {approval_words(last)}" if last else "never approved before"
    lines = [f"{definition.campaign}: definition {definition.digest[:12]}, {before}"]
    if last and not changed:
        return [*lines, "  nothing changed"]
    return [*lines, *(line for change in changed for line in _change_lines(change))]


def approval_words(approval: Approval) -> str:
    """Return who approved, when, and at which commit."""
    git = approval.git
    commit = f" at commit {git['commit'][:12]}{' with changes' if git['dirty'] else ''}" if git else ""
    revoked = f", revoked by {approval.revoked_by} on {_moment(approval.revoked_at)}"
    return f"{approval.by} approved {approval.digest[:12]} on {_moment(approval.at)}{commit}" + (
        revoked if approval.revoked_at is not None else ""
    )


def approval_document(approval: Approval | None) -> dict[str, Any] | None:
    """Return an approval as JSON documents show it."""
    if approval is None:
        return None
    return {
        "definition": approval.digest,
        "by": approval.by,
        "at": _moment(approval.at),
        "git": dict(approval.git) if approval.git else None,
        "revoked_by": approval.revoked_by,
        "revoked_at": _moment(approval.revoked_at),
    }


def change_documents(changed: Sequence[Change]) -> list[Mapping[str, Any]]:
    """Return changes as JSON documents show them; null where there is no value."""
    return [{"path": change.path, "before": change.before, "after": change.after} for change in changed]


def _change_lines(change: Change) -> Iterator[str]:
    before, after = change.before, change.after
    is_long = any(isinstance(value, str) and "\n" in value for value in (before, after))
    if not is_long:
        values = " -> ".join(_shown(value) for value in (before, after) if value is not None)
        yield f"  {change.sign} {change.path}: {values}"
        return
    yield f"  {change.sign} {change.path}:"
    old, new = str(before or "").splitlines(), str(after or "").splitlines()
    for line in list(difflib.unified_diff(old, new, n=_CONTEXT, lineterm=""))[2:]:
        yield f"      {line}"


def _shown(value: Any) -> str:  # noqa: ANN401 - any JSON value
    return json.dumps(value, ensure_ascii=False)


def _moment(at: float | None) -> str | None:
    return None if at is None else datetime.fromtimestamp(at, timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")
