"""What bounds an apply: the guards of its campaign, its provider's settings, the window of today."""

from __future__ import annotations

import time
from dataclasses import replace
from datetime import timedelta

from runner.campaign import Campaign, Canary, Guards
from runner.cli.workplace import Workplace
from runner.errors import RunnerError
from runner.open_hours import OpenHours
from runner.plan import Plan
from runner.schedule import OnWindowClose
from runner.sending import Limits


def limits_of(workplace: Workplace, plan: Plan, campaign: Campaign | RunnerError) -> Limits:
    """Return the limits of an apply; a campaign that cannot be loaded is refused before they matter."""
    max_in_flight = workplace.provider_settings(plan.provider).max_in_flight
    if isinstance(campaign, RunnerError):
        return Limits(max_in_flight=max_in_flight)
    guards = campaign.guards
    return Limits(
        max_in_flight=max_in_flight,
        max_failed=guards.max_failed,
        max_unknown=guards.max_unknown,
        canary=_canary(guards, rehearsal=workplace.rehearsal),
        deadline=plan.deadline.timestamp() if plan.deadline and not workplace.rehearsal else None,
    )


def hours_of(workplace: Workplace, campaign: Campaign | RunnerError) -> OpenHours | None:
    """Return the window of an apply; None where there is none, and in a rehearsal, which does not wait."""
    if isinstance(campaign, RunnerError) or campaign.schedule.window is None or workplace.rehearsal:
        return None
    return OpenHours(
        campaign.schedule.window,
        waits=campaign.schedule.on_window_close is OnWindowClose.WAIT,
        steady=workplace.clock.now,
        wall=time.time,
    )


def _canary(guards: Guards, *, rehearsal: bool) -> Canary | None:
    """Return the campaign's canary; a rehearsal judges it by the answers alone, and does not wait."""
    if guards.canary is None or not rehearsal:
        return guards.canary
    return replace(guards.canary, wait=timedelta(0))
