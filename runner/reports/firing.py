"""A firing as JSON documents and people see it. Pure."""

from __future__ import annotations

from datetime import datetime, timezone
from typing import Any

from runner.ledger.firings import FiringRecord


def firing_document(record: FiringRecord) -> dict[str, Any]:
    """Return where a firing stands, times in ISO 8601, UTC."""
    return {
        "campaign": record.campaign,
        "occurrence": record.occurrence,
        "due_at": _moment(record.due_at),
        "state": record.state.value,
        "at": _moment(record.at),
        "by": record.by,
        "detail": record.detail,
        "plan": record.plan,
        "definition": record.definition,
        "to_send": record.to_send,
        "opens_at": None if record.opens_at is None else _moment(record.opens_at),
        "expires_at": None if record.expires_at is None else _moment(record.expires_at),
    }


def firing_line(record: FiringRecord) -> str:
    """Return where a firing stands, in one line."""
    detail = f": {record.detail}" if record.detail else ""
    return (
        f"{record.state.value}: {record.campaign} {record.occurrence}, due {_moment(record.due_at)}{detail}"
    )


def _moment(at: float) -> str:
    return datetime.fromtimestamp(at, timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")
