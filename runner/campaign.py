"""What a campaign file says, as values: who, what, when and within which guards. No I/O."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from decimal import Decimal
from enum import Enum
from pathlib import PurePosixPath
from typing import Any

from runner.schedule import Schedule

#: The gates that count messages over all campaigns: rules of rejections and of refusals at send time.
FREQUENCY_CAP = "frequency_cap"
MIN_DISTANCE = "min_distance"

#: The weights by which campaigns that send at the same time share their sender's rate.
PRIORITIES = range(1, 11)


class PhoneStyle(Enum):
    """How a column writes numbers without `+` or `00`; None in a campaign means: try both readings."""

    INTERNATIONAL = "international"
    NATIONAL = "national"


class Transform(Enum):
    """A change of letters applied to a variable's text."""

    TITLE = "title"
    UPPER = "upper"
    LOWER = "lower"
    TRIM = "trim"


#: A value that a query's `:name` stands for; a tuple is a list of them, for `IN :name`.
ParameterScalar = str | int | Decimal | float | bool | date | datetime
ParameterValue = ParameterScalar | tuple[ParameterScalar, ...]


class ParameterType(Enum):
    """The type of a parameter: what literal it becomes in the query."""

    STRING = "string"
    INTEGER = "integer"
    DECIMAL = "decimal"
    DOUBLE = "double"
    BOOLEAN = "boolean"
    DATE = "date"
    TIMESTAMP = "timestamp"


@dataclass(frozen=True, slots=True, kw_only=True)
class Parameter:
    """A parameter as the campaign file declares it; without a `value`, `--param` has to give one."""

    type: ParameterType
    value: ParameterValue | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Segment:
    """What selects rows: a query, a table, or a segment of Audience Studio, as `source` says.

    `query` is the SQL text, read from `query_file` where that was given, empty for a `table` or a `segment`.
    `engine` and `database` say where Treasure Data runs it. `parent_segment` and `segment` are names or ids;
    `max_age` bounds how long ago the parent segment was made.

    `declared` parameters become `params`, and `references` (`database` or `table` to the name of a parameter)
    the database and table, once it is known what `--param` gives (parameters.py).
    """

    source: str
    query: str = ""
    query_file: PurePosixPath | None = None
    engine: str = "trino"
    database: str | None = None
    table: str | None = None
    params: Mapping[str, ParameterValue] = field(default_factory=dict)
    parent_segment: str | None = None
    segment: str | None = None
    max_age: timedelta | None = None
    declared: Mapping[str, Parameter] = field(default_factory=dict)
    references: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class RecipientColumns:
    """Which columns of the segment say who a row is, at which phone, and whether they agreed.

    `region` is an ISO 3166 code such as `ID`: the country of numbers written without a country code.
    `timezone` is the column with the person's zone; without one the number tells the zones.
    """

    id: str
    phone: str
    consent: str
    region: str | None = None
    phone_style: PhoneStyle | None = None
    timezone: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Variable:
    """One value of a message: a `column` of the row or a fixed `text` (exactly one of the two is set).

    `default` stands in for NULL or blank. `format` is a CLDR number or date pattern, `locale` its language
    (the template's language if None). `transforms` apply in order. A value longer than `max_length`
    characters makes the row a `bad_variable`.
    """

    column: str | None = None
    text: str | None = None
    default: str | None = None
    format: str | None = None
    locale: str | None = None
    transforms: tuple[Transform, ...] = ()
    max_length: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class HeaderUse:
    """What fills a template's header: a `media` URL (with a `file_name`, if any) or text `variables`."""

    media: Variable | None = None
    file_name: str | None = None
    variables: tuple[Variable, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class ButtonUse:
    """What fills the button at `index` (from 0, in the template's order): a URL suffix or a reply payload."""

    index: int
    url: Variable | None = None
    payload: Variable | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class TemplateUse:
    """The approved template a campaign uses, by (name, language), and what fills its header and buttons."""

    name: str
    language: str
    header: HeaderUse | None = None
    buttons: tuple[ButtonUse, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Variant:
    """One of the messages among which recipients are divided, in proportion to the weights.

    The one message of a campaign without variants is a variant without a name.
    """

    name: str | None
    weight: int
    template: TemplateUse
    variables: tuple[Variable, ...] = ()

    @property
    def label(self) -> str:
        """Return what begins a sentence about this variant's message; nothing without a name."""
        return "" if self.name is None else f"variant {self.name}: "


@dataclass(frozen=True, slots=True, kw_only=True)
class Limit:
    """A guard's limit: a plain count, or a share of the whole (0.3 for `30%`); exactly one is set."""

    count: int | None = None
    share: float | None = None

    def exceeded(self, part: int, whole: int) -> bool:
        """Tell whether `part` of `whole` is above this limit."""
        if self.count is not None:
            return part > self.count
        return whole > 0 and part > (self.share or 0.0) * whole

    def __str__(self) -> str:
        """Render as the campaign file writes it."""
        return str(self.count) if self.count is not None else f"{(self.share or 0.0) * 100:g}%"


@dataclass(frozen=True, slots=True, kw_only=True)
class FrequencyCap:
    """At most `messages` to one person within `per`, over all campaigns of the ledger."""

    messages: int
    per: timedelta


@dataclass(frozen=True, slots=True, kw_only=True)
class Cap:
    """A cap as the gates keep it: at most `messages` to one person within `per`, by the gate named `rule`."""

    rule: str
    messages: int
    per: timedelta


@dataclass(frozen=True, slots=True, kw_only=True)
class Holdout:
    """A control group that gets no message: `parts` of a million people, drawn by `group` and phone.

    Campaigns that name the same group hold the same people out.
    """

    parts: int
    group: str

    def __str__(self) -> str:
        """Render the share as the campaign file writes it."""
        return f"{self.parts / 10_000:g}%"


@dataclass(frozen=True, slots=True, kw_only=True)
class Canary:
    """The first `size` messages of a plan go ahead; the others wait until it is known what became of them.

    They wait at most `wait` after the last outcome, and never go when more than `max_failed` of the canary
    failed.
    """

    size: int
    wait: timedelta
    max_failed: Limit


@dataclass(frozen=True, slots=True, kw_only=True)
class Guards:
    """What a plan or an apply may not exceed; None means no such guard.

    `min_distance` is the least time between two messages to one person, over all campaigns.
    """

    max_recipients: int | None = None
    max_rejected: Limit | None = None
    max_growth: Limit | None = None
    max_failed: Limit | None = None
    max_unknown: Limit | None = None
    canary: Canary | None = None
    frequency_cap: FrequencyCap | None = None
    min_distance: timedelta | None = None

    @property
    def caps(self) -> tuple[Cap, ...]:
        """Return what limits the messages to one person over all campaigns, in the order of the gates."""
        caps = []
        if self.frequency_cap is not None:
            cap = self.frequency_cap
            caps.append(Cap(rule=FREQUENCY_CAP, messages=cap.messages, per=cap.per))
        if self.min_distance is not None:
            caps.append(Cap(rule=MIN_DISTANCE, messages=1, per=self.min_distance))
        return tuple(caps)


@dataclass(frozen=True, slots=True, kw_only=True)
class Campaign:
    """One campaign file, validated.

    `name` is its identity for ever. `path` is the file relative to the project root (POSIX form).
    `document` is the file as parsed, plain JSON values: the plan keeps it, and its digest covers it.
    `priority` is its weight among the campaigns that send at the same time for its sender (PRIORITIES).
    `template` and `variables` are those of a campaign without `variants`; with variants each has its own.
    """

    name: str
    segment: Segment
    recipient: RecipientColumns
    path: PurePosixPath
    document: Mapping[str, Any]
    description: str = ""
    owner: str | None = None
    template: TemplateUse | None = None
    variables: tuple[Variable, ...] = ()
    variants: tuple[Variant, ...] = ()
    schedule: Schedule = field(default_factory=Schedule)
    provider: str = "ada"
    priority: int = 1
    guards: Guards = field(default_factory=Guards)
    holdout: Holdout | None = None
    log: Mapping[str, Any] = field(default_factory=dict)
    notify: Mapping[str, Any] = field(default_factory=dict)

    @property
    def messages(self) -> tuple[Variant, ...]:
        """Return what is sent: the variants, or the one message."""
        if self.template is None:
            return self.variants
        return (Variant(name=None, weight=1, template=self.template, variables=self.variables),)
