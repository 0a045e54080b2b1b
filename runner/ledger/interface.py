"""What a ledger is, as values and Protocols: the durable truth about deliveries that applying writes.

Times are epoch seconds (UTC, fractions kept): they are compared and subtracted far more than shown. Phones
are digits with country code. A ledger has one owner, the thread that opened it. Any method may raise
LedgerError.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from runner.delivery import Answer, DeliveryKey, Outcome, State
from runner.errors import LedgerError

#: A lock held on another machine whose heartbeat is older than this (seconds) may be taken over.
STALE_AFTER = 120.0


class LockLost(LedgerError):  # noqa: N818 - named after the event
    """Another process took the lock over; nothing of this call was recorded."""


def lock_name(campaign: str, occurrence: str) -> str:
    """Return the name of the lock under which one occurrence is applied."""
    return f"{campaign}/{occurrence}"


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
class Intent:
    """The intent to send one delivery in a run. The plan is the run's; a run has exactly one."""

    key: DeliveryKey
    recipient_id: str
    run: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Settlement:
    """What the send of an intent of `run` came to."""

    key: DeliveryKey
    run: int
    answer: Answer


@dataclass(frozen=True, slots=True, kw_only=True)
class Counts:
    """How many deliveries stand where; `refused_by_rule` splits `refused` by the rule that decided."""

    accepted: int = 0
    refused: int = 0
    unknown: int = 0
    retry: int = 0
    in_flight: int = 0
    refused_by_rule: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanRecord:
    """A plan that was applied at least once; a finished one has nothing left to do."""

    digest: str
    campaign: str
    occurrence: str
    to_send: int
    created_at: float
    first_applied_at: float | None
    finished_at: float | None


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
    """One delivery as it stands. `plan` is a digest; `rule` and what follows are of the last outcome."""

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


@dataclass(frozen=True, slots=True, kw_only=True)
class OutcomeRecord:
    """One outcome of one attempt; outcomes are only ever added."""

    attempt: int
    at: float
    run: int
    outcome: Outcome
    rule: str
    message_id: str | None
    http_status: int | None
    code: str | None
    detail: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class DeliveryHistory:
    """One delivery and all its outcomes, oldest first."""

    delivery: DeliveryRecord
    outcomes: tuple[OutcomeRecord, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class OccurrenceSummary:
    """One occurrence as status shows it: its latest plan and run, and the lock if somebody holds it.

    `counts` are of the latest plan, `total` of all plans of the occurrence.
    """

    campaign: str
    occurrence: str
    plan: PlanRecord
    counts: Counts
    total: Counts
    last_run: RunRecord | None
    lock: LockRecord | None


class LedgerReader(Protocol):
    """What can be asked of a ledger; asking changes nothing."""

    def close(self) -> None:
        """Close the ledger; nothing can be asked of it any more."""
        ...

    def generation(self, campaign: str, occurrence: str) -> int:
        """Return a number that grows with every run begun and every settlement by hand; 0 at first."""
        ...

    def taken(
        self, campaign: str, occurrence: str, *, other_than_plan: str | None = None
    ) -> Iterator[list[str]]:
        """Yield, in batches of at most 10,000, the phones that may not be sent this occurrence again.

        `other_than_plan` (a digest) leaves out those of that plan. Take it to its end before writing.
        """
        ...

    def recent(self, since: float) -> Iterator[list[tuple[str, int]]]:
        """Yield, in batches of at most 10,000, phones and how many messages they may have got since then.

        All campaigns count, and so do unknown deliveries and those in flight. Take it to its end before
        writing.
        """
        ...

    def states(self, campaign: str, occurrence: str, phones: Sequence[str]) -> dict[str, State]:
        """Return where these phones' deliveries stand; a phone without one is left out."""
        ...

    def plan_record(self, digest: str) -> PlanRecord | None:
        """Return the plan, or None if it was never applied."""
        ...

    def counts(self, digest: str) -> Counts:
        """Return where the plan's deliveries stand, in a time that does not grow with their number."""
        ...

    def summary(self, campaign: str | None = None) -> list[OccurrenceSummary]:
        """Return every occurrence ever applied, of one campaign or of all, in the order of first use."""
        ...

    def unknowns(self, campaign: str, occurrence: str, limit: int) -> list[DeliveryRecord]:
        """Return at most `limit` unknown deliveries, oldest first."""
        ...

    def history(self, phone: str) -> list[DeliveryHistory]:
        """Return every delivery to one phone over all campaigns, oldest intent first."""
        ...


class Locks(Protocol):
    """Who may apply an occurrence: one process at a time."""

    def acquire(self, name: str, holder: Holder, now: float) -> LockToken:
        """Take a lock that is free, or whose holder is gone; else raise Refusal, which says who holds it."""
        ...

    def heartbeat(self, token: LockToken, now: float) -> None:
        """Say that the holder is alive; LockLost if the lock was taken over."""
        ...

    def release(self, token: LockToken) -> None:
        """Give the lock back; nothing happens if it was taken over."""
        ...


class PaceRows(Protocol):
    """One pace per sender, shared by every process that sends for it (`runner.pacing`)."""

    def reserve_slot(self, sender: str, interval: float, now: float) -> float:
        """Reserve and return the next slot, at least `interval` seconds after the one reserved before."""
        ...

    def delay_sender(self, sender: str, seconds: float, now: float) -> None:
        """Move every slot not reserved yet by `seconds`; delays add up."""
        ...

    def hold_sender(self, sender: str, seconds: float, now: float) -> None:
        """Free no slot before `now + seconds`; holds do not add up (a provider's Retry-After)."""
        ...


class Ledger(LedgerReader, Locks, PaceRows, Protocol):
    """A ledger open for writing; each method is one durable transaction."""

    def register_plan(
        self, *, digest: str, campaign: str, occurrence: str, to_send: int, created_at: float
    ) -> PlanRecord:
        """Record a plan, and return it; a plan that is recorded already stays as it is."""
        ...

    def finish_plan(self, token: LockToken, digest: str, now: float) -> None:
        """Record that the plan has nothing left to do."""
        ...

    def begin_run(self, token: LockToken, digest: str, holder: Holder, now: float) -> int:
        """Record the start of a run of a registered plan, and return the run's number."""
        ...

    def end_run(self, run: int, exit_code: int, now: float) -> None:
        """Record the end of a run."""
        ...

    def commit(
        self, token: LockToken, intents: Sequence[Intent], outcomes: Sequence[Settlement], now: float
    ) -> list[bool]:
        """Record outcomes, then intents, durably and all or nothing; LockLost if the lock was taken over.

        For each intent: True when it is recorded, and may be sent; False when its delivery has an account
        already (anything but `retry`), and must not be. An outcome without an intent of its run is an error.
        """
        ...

    def settle_interrupted(self, token: LockToken, campaign: str, occurrence: str, now: float) -> int:
        """Make `unknown` what a killed run left in flight; return how many. Before a run's first intent."""
        ...

    def resolve(
        self,
        campaign: str,
        occurrence: str,
        phone: str | None,
        *,
        to: State,
        by: str,
        note: str,
        now: float,
    ) -> int:
        """Settle one unknown delivery, or all (None), on a person's word; return how many.

        `to` is accepted, refused, or retry: send again.
        """
        ...
