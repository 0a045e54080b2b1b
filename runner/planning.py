"""make_plan(): compute who would get what, show it as a value, and freeze it in one file; sends nothing.

The straight line: segment -> rows.parquet -> screening -> recipients and rejections -> counts, guards,
samples -> the plan, sealed. Planning reads the ledger and the provider's template list and writes neither.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import NamedTuple, Protocol

from runner import plan_file, screening
from runner.campaign import Campaign, Canary, Guards, Variant
from runner.control_group import HOLDOUT
from runner.errors import Refusal
from runner.forgotten import Forgotten
from runner.growth import check_growth
from runner.history import History, Sends, read_history
from runner.plan import (
    Git,
    GuardCheck,
    Plan,
    PlannedTemplate,
    PlannedVariant,
    digest_of,
    sealed,
)
from runner.plan_times import Times, time_notes, times_of
from runner.project import ProviderSettings
from runner.recipients import people_by_zones
from runner.rendering import RenderedColumns, compile_messages, each_its_own
from runner.sampling import samples
from runner.schedule import Firing, firing_at, next_firing
from runner.screening import READ_PHONE, Screened
from runner.screening_lists import Lately, Lists
from runner.template import Template
from runner.template_check import checked_templates
from runner.zone_forecast import Zones
from runner.zone_gate import Hours

_A_DAY = timedelta(days=1)


class Fetched(Protocol):
    """What a segment source returns: how many rows it wrote, of which types, by which SQL and job.

    `facts` and `notes` are for the plan's reader.
    """

    @property
    def rows(self) -> int: ...  # noqa: D102
    @property
    def column_types(self) -> Mapping[str, str]: ...  # noqa: D102
    @property
    def sql(self) -> str: ...  # noqa: D102
    @property
    def job_id(self) -> str | None: ...  # noqa: D102
    @property
    def facts(self) -> Mapping[str, str]: ...  # noqa: D102
    @property
    def notes(self) -> tuple[str, ...]: ...  # noqa: D102


class Source(Protocol):
    """A segment source, ready to run this campaign's query."""

    def __call__(self, *, columns: Sequence[str], target: Path, occurrence_at: datetime | None) -> Fetched:
        """Write the wanted columns of the query's rows to `target`, a Parquet file."""
        ...


class LedgerReader(Protocol):
    """What planning asks of the ledger."""

    def taken(self, campaign: str, occurrence: str) -> Iterator[list[str]]:
        """Yield, in batches, the phones whose delivery may not be sent again."""
        ...

    def recent(self, since: float) -> Iterator[list[tuple[str, int]]]:
        """Yield, in batches, phones and how many messages they got since then, over all campaigns."""
        ...

    def previous_size(self, campaign: str, occurrence: str) -> tuple[str, int] | None:
        """Return the occurrence before this one that was sent, and how many deliveries it had."""
        ...

    def opted_out(self) -> Iterator[list[str]]:
        """Yield, in batches, the phones that are not to be messaged any more."""
        ...

    def generation(self, campaign: str, occurrence: str) -> int:
        """Return a number that grows with every run and every settlement by hand."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Circumstances:
    """When, where and with what a plan is made. `workspace` is a private folder for intermediate files.

    `parameters` are those that `--param` gave; the campaign has them in its segment already. `occurrence_at`
    is the moment (UTC) of the firing that is meant; None for the coming one. `forgotten` is None when nobody
    was. Times of the `history` that name no zone are of `timezone`.
    """

    now: datetime
    workspace: Path
    expires_after: timedelta
    git: Git | None
    versions: Mapping[str, str]
    timezone: str | None = None
    suppression: Sequence[Path] = ()
    history: Sequence[History] = ()
    forgotten: Forgotten | None = None
    parameters: Mapping[str, str] = field(default_factory=dict)
    occurrence_at: datetime | None = None


def make_plan(
    campaign: Campaign,
    *,
    source: Source,
    templates: Sequence[Template],
    provider: ProviderSettings,
    provider_is_local: bool,
    ledger: LedgerReader,
    circumstances: Circumstances,
) -> Plan:
    """Return the sealed plan of one firing of the campaign, its tables left in `circumstances.workspace`.

    Whether a guard is exceeded is the plan's word (`plan.exceeded`); such a plan must not be written.
    Errors: SegmentError, TemplateError, LedgerError; Refusal for a moment that is no firing.
    """
    chosen = checked_templates(templates, campaign.messages)
    firing = _firing(campaign, circumstances)
    # Read before the lists: a run that begins meanwhile then shows as one that the plan does not know of.
    generation = ledger.generation(campaign.name, firing.occurrence)
    rows = circumstances.workspace / "rows.parquet"
    fetched = source(columns=wanted_columns(campaign), target=rows, occurrence_at=firing.due_at)
    messages = compile_messages(campaign, chosen, fetched.column_types)
    sends = _sent_elsewhere(campaign, firing, circumstances)
    screened = screening.screen(
        rows,
        row_count=fetched.rows,
        campaign=campaign,
        column_types=fetched.column_types,
        message=each_its_own(campaign, messages, READ_PHONE),
        lists=_lists(campaign, firing, ledger, sends, circumstances),
        hours=_hours(campaign, firing, circumstances),
    )
    screened = replace(screened, notes=(*screened.notes, *sends.notes))
    draft = _Draft(campaign, chosen, firing, fetched, messages, screened, provider, circumstances)
    plan = _plan(draft, generation=generation, provider_is_local=provider_is_local)
    return sealed(_with_growth(plan, campaign.guards, ledger))


def _with_growth(plan: Plan, guards: Guards, ledger: LedgerReader) -> Plan:
    """Return the plan with the guard that asks the ledger for the occurrence before."""
    if guards.max_growth is None:
        return plan
    previous = ledger.previous_size(plan.campaign, plan.occurrence)
    check = check_growth(guards.max_growth, plan.to_send + plan.already_sent, previous)
    return replace(plan, guards=(*plan.guards, check))


def _hours(campaign: Campaign, firing: Firing, circumstances: Circumstances) -> Hours | None:
    window, now = campaign.schedule.window, circumstances.now
    return None if window is None else Hours(window=window, start=max(now, firing.due_at or now))


def _firing(campaign: Campaign, circumstances: Circumstances) -> Firing:
    schedule, moment = campaign.schedule, circumstances.occurrence_at
    if moment is None:
        firing, missing = next_firing(schedule, circumstances.now), "has no firing any more"
    else:
        firing = firing_at(schedule, moment)
        missing = f"does not fire at {moment:%Y-%m-%dT%H:%M:%SZ}"
    if firing is None:
        raise Refusal(f"{campaign.name} {missing}: nothing was planned", hint=schedule.summary())
    return firing


class _Draft(NamedTuple):
    """What a plan is written from, once everything has been read, rendered and screened."""

    campaign: Campaign
    templates: Sequence[Template]
    firing: Firing
    fetched: Fetched
    messages: Sequence[RenderedColumns]
    screened: Screened
    provider: ProviderSettings
    circumstances: Circumstances


def _plan(draft: _Draft, *, generation: int, provider_is_local: bool) -> Plan:
    campaign, templates, firing, fetched, messages, screened, provider, circumstances = draft
    times, window = _times(draft), campaign.schedule.window
    return Plan(
        campaign=campaign.name,
        occurrence=firing.occurrence,
        campaign_path=str(campaign.path),
        document=campaign.document,
        sql=fetched.sql,
        source=campaign.segment.source,
        job_id=fetched.job_id,
        facts=fetched.facts,
        parameters=circumstances.parameters,
        provider=campaign.provider,
        provider_is_local=provider_is_local,
        sender=provider.sender,
        rate=provider.rate.per_second,
        priority=campaign.priority,
        template=None if campaign.variants else planned_template(templates[0]),
        variants=_variants(draft),
        rows=fetched.rows,
        to_send=screened.to_send,
        already_sent=screened.already_sent,
        rejected=screened.rejected,
        samples=samples(screened, campaign.messages, templates, messages),
        guards=_check_guards(campaign.guards, fetched.rows, screened),
        notes=(*fetched.notes, *_notes(campaign, fetched.rows, screened, times, circumstances.now)),
        due_at=firing.due_at,
        zone=campaign.schedule.zone,
        window=str(window) if window else None,
        starts_at=times.starts_at,
        ends_at=times.ends_at,
        forecast=times.zones,
        deadline=times.deadline,
        generation=generation,
        files={name: plan_file.sha256_of_file(screened.folder / name) for name in plan_file.TABLES},
        created_at=circumstances.now,
        expires_at=_expiry(times, circumstances.expires_after),
        git=circumstances.git,
        versions=circumstances.versions,
    )


def _variants(draft: _Draft) -> tuple[PlannedVariant, ...]:
    """Return the variants, with how many get which; none in a campaign without."""
    variants, counts = draft.campaign.variants, draft.screened.variants
    templates = draft.templates if variants else ()
    return tuple(
        PlannedVariant(
            name=variant.name or "",
            weight=variant.weight,
            to_send=counts.get(variant.name or "", 0),
            template=planned_template(template),
        )
        for variant, template in zip(variants, templates, strict=True)
    )


def _times(draft: _Draft) -> Times:
    schedule, screened = draft.campaign.schedule, draft.screened
    people: dict[Zones, int] = {(): screened.to_send}
    if schedule.window is not None:
        people = people_by_zones(screened.folder)
    now, due_at, rate = draft.circumstances.now, draft.firing.due_at, draft.provider.rate.per_second
    return times_of(schedule, people, now=now, due_at=due_at, rate=rate)


def _expiry(times: Times, after: timedelta) -> datetime:
    """Return when the plan is too old to apply: a run of several days is not to outlive it on its way."""
    return max(times.starts_at + after, times.ends_at + min(after, _A_DAY))


def wanted_columns(campaign: Campaign) -> list[str]:
    """Return the columns the campaign needs of its segment, each once, in the order of first use."""
    recipient = campaign.recipient
    columns: list[str | None] = [recipient.id, recipient.phone, recipient.consent, recipient.timezone]
    for message in campaign.messages:
        columns += _columns_of(message)
    return list(dict.fromkeys(column for column in columns if column is not None))


def _columns_of(message: Variant) -> Iterator[str | None]:
    template = message.template
    if template.header is not None:
        yield template.header.media.column if template.header.media else None
        yield from (variable.column for variable in template.header.variables)
    yield from (variable.column for variable in message.variables)
    for button in template.buttons:
        yield from (value.column for value in (button.url, button.payload) if value is not None)


def planned_template(template: Template) -> PlannedTemplate:
    """Return what a plan keeps of a template. Its digest leaves out `status`, which is checked by itself."""
    buttons = tuple((button.kind.value, button.text) for button in template.buttons)
    urls = [button.url for button in template.buttons]
    content = [template.name, template.language, template.category, template.header_kind.value]
    content += [template.header, template.body, template.footer]
    return PlannedTemplate(
        id=template.id,
        name=template.name,
        language=template.language,
        category=template.category,
        digest=digest_of([*content, buttons, urls]),
        header_kind=template.header_kind.value,
        header=template.header,
        body=template.body,
        footer=template.footer,
        buttons=buttons,
    )


def _caps_since(campaign: Campaign, firing: Firing, circumstances: Circumstances) -> list[float]:
    """Return for each cap the moment after which messages count, as of when the first message may go."""
    at = max(circumstances.now, firing.due_at or circumstances.now)
    return [(at - cap.per).timestamp() for cap in campaign.guards.caps]


def _sent_elsewhere(campaign: Campaign, firing: Firing, circumstances: Circumstances) -> Sends:
    """Read the history; a campaign without a cap has no use for it."""
    since = _caps_since(campaign, firing, circumstances)
    if not since or not circumstances.history:
        return Sends()
    return read_history(
        circumstances.history,
        folder=circumstances.workspace,
        since=min(since),
        zone=circumstances.timezone,
    )


def _lists(
    campaign: Campaign, firing: Firing, ledger: LedgerReader, sends: Sends, circumstances: Circumstances
) -> Lists:
    since = _caps_since(campaign, firing, circumstances)
    caps = zip(campaign.guards.caps, since, strict=True)
    return Lists(
        suppression=circumstances.suppression,
        opted_out=ledger.opted_out(),
        taken=ledger.taken(campaign.name, firing.occurrence),
        lately=[Lately(cap=cap, since=moment, ledger=ledger.recent(moment)) for cap, moment in caps],
        elsewhere=sends.files,
        forgotten=circumstances.forgotten,
    )


def _check_guards(guards: Guards, rows: int, screened: Screened) -> tuple[GuardCheck, ...]:
    checks = []
    if guards.max_recipients is not None:
        checks.append(
            GuardCheck(
                name="max_recipients",
                limit=str(guards.max_recipients),
                found=str(screened.to_send),
                exceeded=screened.to_send > guards.max_recipients,
            )
        )
    if guards.max_rejected is not None:
        # A control group is a choice, and no sign that something is wrong.
        rejected = sum(count for reason, count in screened.rejected.items() if reason != HOLDOUT)
        share = f" ({rejected / rows:.1%})" if rows else ""
        checks.append(
            GuardCheck(
                name="max_rejected",
                limit=str(guards.max_rejected),
                found=f"{rejected}{share}",
                exceeded=guards.max_rejected.exceeded(rejected, rows),
            )
        )
    if guards.canary is not None:
        checks.append(_canary_check(guards.canary, screened.to_send))
    return tuple(checks)


def _canary_check(canary: Canary, to_send: int) -> GuardCheck:
    """Show how many go ahead, and for how long the others wait."""
    waits = f"the first {canary.size}, then a wait" if to_send > canary.size else "all at once: no wait"
    minutes = canary.wait.total_seconds() / 60
    return GuardCheck(
        name="canary",
        limit=f"{canary.size} for at most {minutes:g} min, {canary.max_failed} failed",
        found=waits,
        exceeded=False,
    )


def _notes(campaign: Campaign, rows: int, screened: Screened, times: Times, now: datetime) -> tuple[str, ...]:
    """Say what a reader of the plan should not have to find out alone."""
    notes = [*screened.notes, *time_notes(campaign.schedule, times, now)]
    if rows == 0:
        notes.append("the segment query returned no rows")
    elif screened.to_send == 0 and screened.already_sent == 0:
        notes.append("every row was rejected: nobody is left to send to")
    elif screened.to_send == 0:
        notes.append("everybody who may get this message has it already")
    return tuple(notes)
