"""The JSON summary of a plan, without personal data: what `plan --json` and `show --json` print. Pure."""

from __future__ import annotations

from dataclasses import asdict
from datetime import datetime
from typing import Any

from runner.plan import Plan, PlannedTemplate, PlannedVariant
from runner.zone_forecast import ZoneForecast


def plan_summary(plan: Plan, path: str | None) -> dict[str, Any]:
    """Return the summary of `plan`; `path` is its file, None when a guard kept it from being written."""
    return {
        "campaign": plan.campaign,
        "occurrence": plan.occurrence,
        "digest": plan.digest,
        "path": path,
        "rows": plan.rows,
        "to_send": plan.to_send,
        "already_sent": plan.already_sent,
        "rejected": dict(plan.rejected),
        "duration_seconds": plan.duration_seconds,
        "due_at": _moment(plan.due_at),
        "starts_at": plan.starts_at.isoformat(),
        "ends_at": plan.ends_at.isoformat(),
        "expires_at": plan.expires_at.isoformat(),
        "timezone": plan.zone,
        "window": plan.window,
        "windows": [_window(group) for group in plan.forecast],
        "deadline": _moment(plan.deadline),
        "sender": plan.sender,
        "rate": plan.rate,
        "priority": plan.priority,
        "template": _named(plan.template) if plan.template else None,
        "variants": [_variant(variant) for variant in plan.variants],
        "guards": [asdict(guard) for guard in plan.guards],
        "samples": [asdict(sample) for sample in plan.samples],
        "source": {"name": plan.source, "job_id": plan.job_id, "facts": dict(plan.facts)},
        "parameters": dict(plan.parameters),
        "notes": list(plan.notes),
        "git": asdict(plan.git) if plan.git else None,
    }


def _variant(variant: PlannedVariant) -> dict[str, Any]:
    return {
        "name": variant.name,
        "weight": variant.weight,
        "to_send": variant.to_send,
        "template": _named(variant.template),
    }


def _named(template: PlannedTemplate) -> dict[str, str]:
    return {"name": template.name, "language": template.language}


def _window(group: ZoneForecast) -> dict[str, Any]:
    return {
        "timezones": list(group.zones),
        "people": group.people,
        "opens_at": _moment(group.opens_at),
        "closes_at": _moment(group.closes_at),
        "last_at": _moment(group.last_at),
    }


def _moment(moment: datetime | None) -> str | None:
    return moment.isoformat() if moment else None
