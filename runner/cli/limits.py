"""What bounds an apply: the guards of its campaign, its provider's settings, the window of today."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta, timezone

from runner.campaign import Campaign, Canary, Guards
from runner.cli.workplace import Workplace
from runner.errors import RunnerError
from runner.plan import Plan
from runner.schedule import closes_at
from runner.sending import Limits


def limits_of(workplace: Workplace, plan: Plan, campaign: Campaign | RunnerError) -> Limits:
    """Return the limits of an apply; a campaign that cannot be loaded is refused before they matter."""
    max_in_flight = workplace.provider_settings(plan.provider).max_in_flight
    if isinstance(campaign, RunnerError):
        return Limits(max_in_flight=max_in_flight)
    schedule, guards = campaign.schedule, campaign.guards
    closing = closes_at(schedule.window, schedule.zone or "UTC", datetime.now(timezone.utc))
    return Limits(
        max_in_flight=max_in_flight,
        max_failed=guards.max_failed,
        max_unknown=guards.max_unknown,
        canary=_canary(guards, rehearsal=workplace.rehearsal),
        closes_at=closing.timestamp() if closing and not workplace.rehearsal else None,
    )


def _canary(guards: Guards, *, rehearsal: bool) -> Canary | None:
    """Return the campaign's canary; a rehearsal judges it by the answers alone, and does not wait."""
    if guards.canary is None or not rehearsal:
        return guards.canary
    return replace(guards.canary, wait=timedelta(0))
