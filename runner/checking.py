"""What an apply compares before it sends: is this plan still what was reviewed? Pure.

Every comparison is made and shown, also when an earlier one has failed; any that fails refuses the apply.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from runner.campaign import Campaign
from runner.errors import RunnerError
from runner.plan import Plan, PlannedTemplate, digest_of
from runner.planning import planned_template
from runner.project import ProviderSettings
from runner.schedule import in_zone, opens_at
from runner.template import Template


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """One thing compared: what it is, whether it holds, what was found, and what to do if it does not."""

    what: str
    holds: bool
    found: str
    remedy: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Today:
    """The world an apply finds: the campaign file, the templates and the sender of now, and the time (UTC).

    `campaign` and a template are an error where they could not be loaded. `templates` are by the name of
    their variant, None in a plan without variants. `moved` is how many of the plan's
    people have got an account under another plan since, `forgotten` how many have been forgotten.
    """

    now: datetime
    campaign: Campaign | RunnerError
    templates: Mapping[str | None, Template | RunnerError]
    provider: ProviderSettings
    provider_is_local: bool
    moved: int
    forgotten: int = 0


def compare(plan: Plan, today: Today, *, rehearsal: bool) -> list[Comparison]:
    """Return every comparison of `plan` with `today`; a `rehearsal` (sandbox) does not wait for times."""
    comparisons = [
        _campaign(plan, today.campaign),
        *_templates(plan, today.templates),
        _provider(plan, today),
        _ledger(plan, today.moved, today.forgotten),
        _expiry(plan, today.now),
    ]
    if not rehearsal:
        comparisons += [_due(plan, today.now), *_window(plan, today)]
    return comparisons


def failed(comparisons: Sequence[Comparison]) -> list[Comparison]:
    """Return the comparisons that do not hold."""
    return [comparison for comparison in comparisons if not comparison.holds]


def _campaign(plan: Plan, campaign: Campaign | RunnerError) -> Comparison:
    what, replan = f"campaign file {plan.campaign_path}", f"runner plan {plan.campaign_path}"
    if isinstance(campaign, RunnerError):
        return Comparison(what=what, holds=False, found=campaign.message, remedy=replan)
    same = digest_of(campaign.document) == digest_of(plan.document) and campaign.name == plan.campaign
    found = "as planned" if same else "changed since the plan"
    return Comparison(what=what, holds=same, found=found, remedy=replan)


def _templates(plan: Plan, today: Mapping[str | None, Template | RunnerError]) -> list[Comparison]:
    """Compare each template once, whatever the number of variants that use it."""
    by_name = {
        (planned.name, planned.language): (planned, today[variant])
        for variant, planned in plan.templates.items()
    }
    return [_template(planned, template) for planned, template in by_name.values()]


def _template(planned: PlannedTemplate, template: Template | RunnerError) -> Comparison:
    what = f"template {planned.name} ({planned.language})"
    remedy = "check the template at the provider, then plan again"
    if isinstance(template, RunnerError):
        return Comparison(what=what, holds=False, found=template.message, remedy=remedy)
    if not template.is_sendable:
        return Comparison(what=what, holds=False, found=f"is {template.status} now", remedy=remedy)
    same = planned_template(template).digest == planned.digest
    return Comparison(what=what, holds=same, found="as planned" if same else "changed", remedy=remedy)


def _provider(plan: Plan, today: Today) -> Comparison:
    what = f"sender {plan.sender} through {plan.provider}"
    remedy = "plan again where you apply"
    if today.provider.sender != plan.sender:
        found = f"runner.yml now says {today.provider.sender}"
        return Comparison(what=what, holds=False, found=found, remedy=remedy)
    if today.provider_is_local != plan.provider_is_local:
        planned, now = ("this machine", "the network")[:: 1 if plan.provider_is_local else -1]
        found = f"planned against {planned}, applied against {now}"
        return Comparison(what=what, holds=False, found=found, remedy=remedy)
    return Comparison(what=what, holds=True, found="as planned")


def _ledger(plan: Plan, moved: int, forgotten: int) -> Comparison:
    found = [f"{moved:,} of its people have got the message by another plan"] if moved else []
    found += [f"{forgotten:,} of its people have been forgotten"] if forgotten else []
    remedy = f"runner plan {plan.campaign_path}"
    said = "; ".join(found) or "as planned"
    return Comparison(what="ledger", holds=not found, found=said, remedy=remedy)


def _expiry(plan: Plan, now: datetime) -> Comparison:
    return Comparison(
        what="age",
        holds=now < plan.expires_at,
        found=f"valid until {plan.expires_at:%Y-%m-%d %H:%M} UTC",
        remedy=f"runner plan {plan.campaign_path}",
    )


def _due(plan: Plan, now: datetime) -> Comparison:
    if plan.due_at is None:
        return Comparison(what="due", holds=True, found="whenever it is applied")
    return Comparison(
        what="due",
        holds=now >= plan.due_at,
        found=f"from {_both(plan.due_at, plan.zone)}",
        remedy=f"apply again at or after {_both(plan.due_at, plan.zone)}",
    )


def _window(plan: Plan, today: Today) -> list[Comparison]:
    if isinstance(today.campaign, RunnerError) or today.campaign.schedule.window is None:
        return []
    schedule = today.campaign.schedule
    start = max(today.now, plan.due_at or today.now)
    opening = opens_at(schedule.window, schedule.zone or "UTC", start)
    return [
        Comparison(
            what="window",
            holds=opening == start,
            found=f"{schedule.window} {schedule.zone or 'UTC'}",
            remedy=f"apply again from {_both(opening, schedule.zone)}",
        )
    ]


def _both(moment: datetime, zone: str | None) -> str:
    """Return an instant in the campaign's zone and in UTC."""
    return f"{in_zone(moment, zone):%Y-%m-%d %H:%M} {zone or 'UTC'} ({moment:%Y-%m-%dT%H:%MZ})"
