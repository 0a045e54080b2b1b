"""What an apply compares before it sends: is this plan still what was reviewed? Pure.

Every comparison is made and shown, also when an earlier one has failed; any that fails refuses the apply.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timezone

from runner.campaign import Campaign
from runner.errors import RunnerError
from runner.plan import Plan, PlannedTemplate, digest_of
from runner.plan_times import closing_words
from runner.planning import planned_template
from runner.project import ProviderSettings
from runner.recipients import split_zones
from runner.schedule import OnWindowClose, Schedule, in_zone
from runner.template import Template
from runner.zone_forecast import Forecast, ZoneForecast, forecast_zones


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """One thing compared: what it is, whether it holds, what was found, and what to do if it does not.

    `holds_from` (UTC) is from when on it holds by itself, where all it wants is another hour.
    """

    what: str
    holds: bool
    found: str
    remedy: str = ""
    holds_from: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Today:
    """The world an apply finds: the campaign file, the templates and the sender of now, and the time (UTC).

    `campaign` and a template are an error where they could not be loaded. `templates` are by the name of
    their variant, None in a plan without variants. `moved` is how many of the plan's people have got an
    account under another plan since, `forgotten` how many have been forgotten. `people` is how many of those
    who are left are in each set of time zones (names, joined), where a window holds.
    """

    now: datetime
    campaign: Campaign | RunnerError
    templates: Mapping[str | None, Template | RunnerError]
    provider: ProviderSettings
    provider_is_local: bool
    moved: int
    forgotten: int = 0
    people: Mapping[str, int] = field(default_factory=dict)


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


def all_hold_from(comparisons: Sequence[Comparison]) -> datetime | None:
    """Return from when on (UTC) these, which do not hold, all do by themselves; None where one never does."""
    moments = [comparison.holds_from for comparison in comparisons]
    known = [moment for moment in moments if moment is not None]
    return max(known) if known and len(known) == len(moments) else None


def _campaign(plan: Plan, campaign: Campaign | RunnerError) -> Comparison:
    what, replan = f"campaign file {plan.campaign_path}", f"runner plan {plan.campaign_path}"
    if isinstance(campaign, RunnerError):
        remedy = campaign.hint or replan
        return Comparison(what=what, holds=False, found=campaign.message, remedy=remedy)
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
        holds_from=plan.due_at,
    )


def _window(plan: Plan, today: Today) -> list[Comparison]:
    """Compare with the windows of those who are left: one is open, and all of them are in time, or not."""
    if isinstance(today.campaign, RunnerError):
        return []
    schedule, window = today.campaign.schedule, today.campaign.schedule.window
    if (str(window) if window else None) != plan.window:
        found = f"planned for {plan.window or 'any hour'}, now it is {window or 'any hour'}"
        remedy = f"runner plan {plan.campaign_path}"
        return [Comparison(what="window", holds=False, found=found, remedy=remedy)]
    if window is None:
        return []
    start = max(today.now, plan.due_at or today.now)
    if plan.deadline is not None and start >= plan.deadline:
        found = f"too late since {_both(plan.deadline, plan.zone)}: nobody gets it, and it is recorded so"
        return [Comparison(what="window", holds=True, found=found)]
    people = {split_zones(zones): count for zones, count in today.people.items()}
    forecast = forecast_zones(people, window=window, rate=plan.rate, start=start)
    first = min((zone for zone in forecast.zones if zone.opens_at), key=_opening, default=None)
    return [_opened(schedule, forecast, first, start, plan.expires_at)]


def _opening(zone: ZoneForecast) -> datetime:
    return zone.opens_at or datetime.max.replace(tzinfo=timezone.utc)


def _opened(
    schedule: Schedule,
    forecast: Forecast,
    first: ZoneForecast | None,
    start: datetime,
    expires_at: datetime,
) -> Comparison:
    what, said = "window", f"{schedule.window} in each person's time zone"
    if first is None or first.opens_at is None:
        remedy = "plan again, with a wider window or a column for the time zones"
        return Comparison(what=what, holds=not forecast.zones, found=f"{said}: it never opens", remedy=remedy)
    opening = _both(first.opens_at, first.zones[0])
    if first.opens_at > start and schedule.on_window_close is OnWindowClose.STOP:
        found, remedy = f"{said}, closed for everybody", f"apply again from {opening}"
        return Comparison(what=what, holds=False, found=found, remedy=remedy, holds_from=first.opens_at)
    now_open = sum(zone.people for zone in forecast.zones if zone.opens_at == start)
    everybody = sum(zone.people for zone in forecast.zones)
    parts = [f"{said}, open for {now_open:,} of {everybody:,} people"]
    parts += [f"the first opens {opening}, and apply waits"] if first.opens_at > start else []
    parts += [closing_words(forecast.closing, schedule)] if forecast.closing else []
    if any(zone.last_at is None or zone.last_at >= expires_at for zone in forecast.zones):
        parts.append("the plan is too old before the last message goes: a new plan takes who is left then")
    return Comparison(what=what, holds=True, found="; ".join(parts))


def _both(moment: datetime, zone: str | None) -> str:
    """Return an instant in the campaign's zone and in UTC."""
    return f"{in_zone(moment, zone):%Y-%m-%d %H:%M} {zone or 'UTC'} ({moment:%Y-%m-%dT%H:%MZ})"
