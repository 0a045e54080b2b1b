"""A plan: the exact deliveries of one occurrence, counted, sampled and sealed by a digest. No I/O."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime
from itertools import chain
from typing import Any

from runner.campaign import PRIORITIES
from runner.typed_json import read_typed
from runner.zone_forecast import ZoneForecast

#: The format of plan.json; a plan of another format is refused.
PLAN_FORMAT = 1

#: What a row may be rejected for, in the order of the gates: a row has the reason of the first it fails.
REASONS = (
    "missing_phone",
    "invalid_phone",
    "ambiguous_phone",
    "not_mobile",
    "forgotten",
    "no_consent",
    "suppressed",
    "opted_out",
    "frequency_cap",
    "min_distance",
    "bad_timezone",
    "no_window",
    "duplicate_phone",
    "bad_variable",
    "holdout",
)

#: Keys of plan.json that say when and with what a plan was made, not what is sent to whom.
_CIRCUMSTANCES = (
    "digest",
    "seal",
    "job_id",
    "facts",
    "notes",
    "rate",
    "starts_at",
    "ends_at",
    "forecast",
    "deadline",
    "created_at",
    "expires_at",
    "git",
    "versions",
)


#: What the parts of a plan's file name may be, as the campaign file's schema and the schedule make them.
_CAMPAIGN = re.compile(r"[a-z0-9_]{1,64}")
_OCCURRENCE = re.compile(r"once|[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}Z")
#: No count is larger, no rate (messages a second) slower, and no time outside of these years.
_MOST = 10**12
_SLOWEST = 1e-6
_YEARS = (2000, 9000)


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """One recipient as the plan shows it: phone and values masked, the message as full text.

    `variant` is the one that this person gets, None in a campaign without.
    """

    phone: str
    header: str
    body: str
    footer: str
    buttons: tuple[str, ...] = ()
    variant: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class GuardCheck:
    """A guard and what the plan has: `max_rejected` 30% against 12.4%."""

    name: str
    limit: str
    found: str
    exceeded: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedTemplate:
    """The template as it was when the plan was made; `digest` tells whether it has changed since."""

    id: str
    name: str
    language: str
    category: str
    digest: str
    header_kind: str
    header: str
    body: str
    footer: str
    buttons: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedVariant:
    """A variant, its share, how many get it, and its template as it was when the plan was made."""

    name: str
    weight: int
    to_send: int
    template: PlannedTemplate


@dataclass(frozen=True, slots=True, kw_only=True)
class Git:
    """The commit the campaign was planned from; `dirty` when the working tree had changes."""

    commit: str
    dirty: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """Everything of a plan but the people, who are in its recipients and rejections tables.

    Counts are rows; `rows = to_send + already_sent + sum(rejected.values())`. Times are aware, UTC: the first
    message may go at `starts_at`, the last goes at `ends_at`, as `forecast` says for each set of time zones
    (none without a window); after `deadline` none goes. `rate` is messages a second (None: unlimited),
    which campaigns that send at the same time share by `priority`.
    `facts` is what the source says of itself (its job, a population), `parameters` what `--param` gave.
    `template` is None in a plan with `variants`, each of which has its own.
    `generation` is the ledger's for this occurrence when the plan was made. `files` maps the plan's tables to
    their SHA-256. `digest` covers what decides what is sent to whom; `seal` covers every other word of
    plan.json too, so that an edit by hand is found.
    """

    campaign: str
    occurrence: str
    campaign_path: str
    document: Mapping[str, Any]
    sql: str
    source: str
    job_id: str | None
    provider: str
    provider_is_local: bool
    sender: str
    rate: float | None
    template: PlannedTemplate | None
    rows: int
    to_send: int
    already_sent: int
    rejected: Mapping[str, int]
    samples: tuple[Sample, ...]
    guards: tuple[GuardCheck, ...]
    notes: tuple[str, ...]
    due_at: datetime | None
    zone: str | None
    window: str | None
    starts_at: datetime
    ends_at: datetime
    forecast: tuple[ZoneForecast, ...]
    deadline: datetime | None
    generation: int
    files: Mapping[str, str]
    created_at: datetime
    expires_at: datetime
    git: Git | None
    versions: Mapping[str, str] = field(default_factory=dict)
    facts: Mapping[str, str] = field(default_factory=dict)
    parameters: Mapping[str, str] = field(default_factory=dict)
    variants: tuple[PlannedVariant, ...] = ()
    priority: int = 1
    digest: str = ""
    seal: str = ""

    @property
    def is_balanced(self) -> bool:
        """Tell whether every row has exactly one account, and every recipient one message."""
        accounts = self.to_send + self.already_sent + sum(self.rejected.values())
        shared_out = sum(variant.to_send for variant in self.variants) if self.variants else self.to_send
        return self.rows == accounts and shared_out == self.to_send

    @property
    def templates(self) -> Mapping[str | None, PlannedTemplate]:
        """Return the templates by the name of their variant, None in a plan without variants."""
        if self.template is not None:
            return {None: self.template}
        return {variant.name: variant.template for variant in self.variants}

    @property
    def duration_seconds(self) -> float:
        """Return how long sending takes at the sender's rate, from the first message to the last."""
        return sending_seconds(self.to_send, self.rate)

    @property
    def exceeded(self) -> tuple[GuardCheck, ...]:
        """Return the guards this plan is over."""
        return tuple(guard for guard in self.guards if guard.exceeded)


def sending_seconds(messages: int, rate: float | None) -> float:
    """Return how long `messages` take at `rate` (messages a second, None: unlimited), first to last."""
    if rate is None or messages == 0:
        return 0.0
    return round((messages - 1) / rate, 1)


def to_document(plan: Plan) -> dict[str, Any]:
    """Return the plan as plan.json holds it: JSON values, times in ISO 8601."""
    return {"format": PLAN_FORMAT, **_plain(asdict(plan))}


def from_document(document: Mapping[str, Any]) -> Plan:
    """Return the plan that `to_document` wrote; ValueError when it is not one, to each value's type."""
    values = {name: value for name, value in document.items() if name != "format"}
    plan: Plan = read_typed(Plan, values)
    return plan


def sealed(plan: Plan) -> Plan:
    """Return the plan with its digest and its seal computed."""
    document = to_document(plan)
    decisive = {key: value for key, value in document.items() if key not in _CIRCUMSTANCES}
    with_digest = replace(plan, digest=digest_of(decisive))
    whole = {key: value for key, value in to_document(with_digest).items() if key != "seal"}
    return replace(with_digest, seal=digest_of(whole))


def is_genuine(plan: Plan) -> bool:
    """Tell whether digest and seal are those of the plan's content."""
    again = sealed(plan)
    return (again.digest, again.seal) == (plan.digest, plan.seal)


def is_sound(plan: Plan) -> bool:
    """Tell whether names, counts, times and rate can be a plan's: whoever seals a file may seal nonsense."""
    counts = (plan.rows, plan.to_send, plan.already_sent, plan.generation, *plan.rejected.values())
    times = [plan.starts_at, plan.ends_at, plan.created_at, plan.expires_at, *_optional_times(plan)]
    return (
        _CAMPAIGN.fullmatch(plan.campaign) is not None
        and _OCCURRENCE.fullmatch(plan.occurrence) is not None
        and all(0 <= count <= _MOST for count in counts)
        and all(_YEARS[0] <= moment.year <= _YEARS[1] for moment in times)
        and (plan.rate is None or _SLOWEST <= plan.rate <= _MOST)
        and plan.priority in PRIORITIES
        and isinstance(plan.document.get("segment"), Mapping)
        and _has_messages(plan)
    )


def _has_messages(plan: Plan) -> bool:
    """Tell whether there is one template, or else variants, each with a name of its own."""
    names = {variant.name for variant in plan.variants}
    counts = [variant.to_send for variant in plan.variants]
    is_either = (plan.template is None) == bool(plan.variants)
    named = all(_CAMPAIGN.fullmatch(name) for name in names)
    return is_either and named and len(names) == len(counts) and all(0 <= count <= _MOST for count in counts)


def _optional_times(plan: Plan) -> Iterator[datetime]:
    groups = ((group.opens_at, group.closes_at, group.last_at) for group in plan.forecast)
    yield from (at for at in (plan.due_at, plan.deadline, *chain(*groups)) if at is not None)


def digest_of(value: Any) -> str:  # noqa: ANN401 - any JSON value
    """Return the SHA-256 (hex) of a JSON value in its one canonical writing."""
    canonical = json.dumps(value, ensure_ascii=False, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(canonical.encode()).hexdigest()


def _plain(value: Any) -> Any:  # noqa: ANN401 - walks any JSON value
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    return value


def ledger_details(plan: Plan) -> dict[str, Any]:
    """Return what the ledger keeps of a plan beside its key: for logs, and to match receipts."""
    git = {"commit": plan.git.commit, "dirty": plan.git.dirty} if plan.git else None
    return {
        "provider": plan.provider,
        "sender": plan.sender,
        "template": plan.template.name if plan.template else None,
        "language": plan.template.language if plan.template else None,
        "variants": {
            variant.name: {"template": variant.template.name, "language": variant.template.language}
            for variant in plan.variants
        },
        "source": plan.source,
        "job_id": plan.job_id,
        "log": plan.document.get("log", {}),
        "notify": plan.document.get("notify"),
        "context": {"git": git, "versions": dict(plan.versions), "parameters": _bound(plan)},
    }


def _bound(plan: Plan) -> dict[str, Any]:
    """Return the values that the query's parameters had: those given, else those of the campaign file."""
    written = plan.document.get("segment", {}).get("params", {})
    values = {
        name: value.get("value") if isinstance(value, Mapping) else value for name, value in written.items()
    }
    return _plain({**values, **plan.parameters})  # type: ignore[no-any-return]
