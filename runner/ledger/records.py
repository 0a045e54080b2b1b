"""What a ledger holds, as values: intents, outcomes, events, receipts, plans, runs and locks.

Times are epoch seconds (UTC, fractions kept); phones are digits with country code.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timezone
from typing import Any, NamedTuple

from runner.delivery import Answer, DeliveryKey, ReceiptStatus, State


@dataclass(frozen=True, slots=True, kw_only=True)
class Holder:
    """A process that holds, or wants, a lock.

    `owner` is the person or account. `process_started` tells a process from a later one with the same pid;
    None where the system does not say.
    """

    owner: str
    host: str
    pid: int
    process_started: str | None = None

    def __str__(self) -> str:
        """Render for people: `ada@host pid 12`."""
        return f"{self.owner}@{self.host} pid {self.pid}"


@dataclass(frozen=True, slots=True, kw_only=True)
class LockToken:
    """The proof of holding a lock; `number` is new each time, so an old token never fits again."""

    name: str
    number: int


@dataclass(frozen=True, slots=True, kw_only=True)
class LockRecord:
    """A held lock, as status shows it."""

    holder: Holder
    started_at: float
    heartbeat_at: float


@dataclass(frozen=True, slots=True, kw_only=True)
class StopRecord:
    """A person's word that nothing new may leave, of one campaign or of all (None); `note` says why."""

    campaign: str | None
    by: str
    note: str
    at: float

    @property
    def lifted_by(self) -> str:
        """Return the command that lifts it."""
        return f"runner resume {self.campaign}" if self.campaign else "runner resume"

    def __str__(self) -> str:
        """Render for people: `ada stopped promo at 2026-03-20 10:04 UTC (a wrong voucher)`."""
        when = datetime.fromtimestamp(self.at, timezone.utc)
        why = f" ({self.note})" if self.note else ""
        return f"{self.by} stopped {self.campaign or 'every campaign'} at {when:%Y-%m-%d %H:%M} UTC{why}"


class Intent(NamedTuple):
    """The intent to send one delivery in a run. The plan is the run's; a run has exactly one."""

    key: DeliveryKey
    recipient_id: str
    run: int
    variant: str | None = None


class Settlement(NamedTuple):
    """What the send of an intent of `run` came to; `variant` is the intent's."""

    key: DeliveryKey
    run: int
    answer: Answer
    variant: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Counts:
    """How many deliveries stand where; `refused_by_rule` splits `refused` by the rule that decided.

    `receipts` counts each delivery that has a receipt once, at the furthest status the provider told.
    `held_out` are no deliveries: the control group.
    """

    accepted: int = 0
    refused: int = 0
    unknown: int = 0
    retry: int = 0
    in_flight: int = 0
    refused_by_rule: Mapping[str, int] = field(default_factory=dict)
    receipts: Mapping[str, int] = field(default_factory=dict)
    held_out: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanRecord:
    """A plan that was applied at least once; a finished one has nothing left to do.

    `details` is what was registered with it (its sender, template, log, ...), a JSON object.
    """

    digest: str
    campaign: str
    occurrence: str
    to_send: int
    created_at: float
    first_applied_at: float | None
    finished_at: float | None
    details: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class RunRecord:
    """One apply of a plan; `ended_at` and `exit_code` are None while it runs, or if it was killed."""

    id: int
    digest: str
    holder: Holder
    started_at: float
    ended_at: float | None
    exit_code: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class DeliveryRecord:
    """One delivery as it stands. `plan` is a digest; `rule` and what follows are of the last outcome.

    `receipt` is the furthest the provider told of it, `variant` that of the latest intent, if any.
    """

    key: DeliveryKey
    recipient_id: str
    plan: str
    run: int
    state: State
    attempts: int
    intent_at: float
    settled_at: float | None
    rule: str | None
    message_id: str | None
    http_status: int | None
    code: str | None
    detail: str | None
    receipt: ReceiptStatus | None = None
    variant: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """One thing that became of a delivery; events are only ever added.

    `number` grows and is never given twice. `event` is an outcome (accepted, refused, retry, unknown: of an
    attempt, of recovery, or by hand) or a receipt (sent, failed, delivered, read); `rule` names what decided,
    for a receipt where it came from. `plan` (a digest), `run`, `attempt` and `intent_at` are of the attempt
    it is about.
    """

    number: int
    key: DeliveryKey
    recipient_id: str
    plan: str
    run: int
    attempt: int
    intent_at: float
    at: float
    event: str
    rule: str
    message_id: str | None
    http_status: int | None
    code: str | None
    detail: str | None
    variant: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class LogBatch:
    """Events of one run that one log takes together; once cut, it never changes.

    `first` and `last` are event numbers, both included; of those between, the ones of `run` are `rows` many.
    """

    run: int
    number: int
    first: int
    last: int
    rows: int
    pushed_at: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Receipt:
    """What the provider told of a delivery (its number in the ledger); `source` is how it reached us."""

    delivery: int
    status: ReceiptStatus
    at: float
    message_id: str | None
    code: str | None
    detail: str | None
    source: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ImportedFile:
    """A report whose receipts are recorded: its SHA-256, who imported it, and its accounts by name."""

    digest: str
    by: str
    counts: Mapping[str, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Erased:
    """How many rows of a person were erased: they stay, and count, without the person."""

    deliveries: int
    events: int
    resolutions: int
    held_out: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenDelivery:
    """A delivery that a receipt may be about; `sender` is empty where its plan did not say."""

    delivery: int
    campaign: str
    occurrence: str
    sender: str
    phone: str
    message_id: str | None
    state: State
    receipt: ReceiptStatus | None
    intent_at: float
    settled_at: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class DeliveryHistory:
    """One delivery and everything that became of it, oldest first."""

    delivery: DeliveryRecord
    events: tuple[Event, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class OccurrenceSummary:
    """One occurrence as status shows it: its latest plan and run, and the lock if somebody holds it.

    `counts` are of the latest plan, `total` of all plans of the occurrence, and `variants` too, by name.
    """

    campaign: str
    occurrence: str
    plan: PlanRecord
    counts: Counts
    total: Counts
    last_run: RunRecord | None
    lock: LockRecord | None
    variants: Mapping[str, Counts] = field(default_factory=dict)
