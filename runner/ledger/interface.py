"""What a ledger is, as Protocols over `runner.ledger.records`: the durable truth that applying writes.

Times are epoch seconds (UTC, fractions kept): they are compared and subtracted far more than shown. Phones
are digits with country code. A ledger has one owner, the thread that opened it. Any method may raise
LedgerError.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Protocol

from runner.audit_chain import Entry, Head
from runner.campaign import Cap
from runner.delivery import State
from runner.errors import ExitCode, LedgerError, Refusal
from runner.ledger.firings import FiringReader, FiringRows
from runner.ledger.held_out import HeldOutReader, HeldOutRows
from runner.ledger.records import (
    Counts,
    DeliveryHistory,
    DeliveryRecord,
    Erased,
    Event,
    Holder,
    ImportedFile,
    Intent,
    LockRecord,
    LockToken,
    LogBatch,
    OccurrenceSummary,
    OpenDelivery,
    PlanRecord,
    Receipt,
    RunRecord,
    Settlement,
    StopRecord,
)
from runner.ledger.webhooks import OptOutReader, WebhookReader, WebhookRows
from runner.notice import Notice
from runner.sharing import Share

__all__ = [
    "STALE_AFTER",
    "CampaignStopped",
    "Counts",
    "DeliveryHistory",
    "DeliveryRecord",
    "Erased",
    "Event",
    "Holder",
    "ImportedFile",
    "Intent",
    "Ledger",
    "LedgerReader",
    "LockHeld",
    "LockLost",
    "LockRecord",
    "LockToken",
    "Locks",
    "LogBatch",
    "OccurrenceSummary",
    "OpenDelivery",
    "PaceRows",
    "PlanRecord",
    "Receipt",
    "RunRecord",
    "Settlement",
    "StopRecord",
]

#: A lock held on another machine whose heartbeat is older than this (seconds) may be taken over.
STALE_AFTER = 120.0


class LockHeld(Refusal):
    """A lock is held by a process that is not gone."""

    def __init__(self, name: str, held: LockRecord, since: str) -> None:
        super().__init__(
            f"{name} is being applied by {held.holder} since {since}",
            hint="wait until it has finished, or stop it: it records what is in flight first",
        )
        self.by = f"{held.holder} since {since}"


class LockLost(LedgerError):  # noqa: N818 - named after the event
    """Another process took the lock over; nothing of this call was recorded."""


class CampaignStopped(LedgerError):  # noqa: N818 - named after the event
    """A person has stopped the campaign: the outcomes of this call were recorded, its intents were not."""

    exit_code = ExitCode.STOPPED

    def __init__(self, stop: StopRecord) -> None:
        super().__init__(str(stop), hint=f"lift it first: {stop.lifted_by}")
        self.detail = f"{stop}; `{stop.lifted_by}` lifts it"


class LedgerReader(OptOutReader, WebhookReader, FiringReader, HeldOutReader, Protocol):
    """What can be asked of a ledger; asking changes nothing."""

    def close(self) -> None:
        """Close the ledger; nothing can be asked of it any more."""
        ...

    def identity(self) -> str:
        """Return what tells this ledger from every other, for ever: 32 hexadecimal digits."""
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
        """Yield, in batches of at most 10,000, phones and how many messages they may have got after then.

        All campaigns count, and so do unknown deliveries and those in flight. Take it to its end before
        writing.
        """
        ...

    def capped(
        self, campaign: str, occurrence: str, phones: Sequence[str], caps: Sequence[Cap], now: float
    ) -> dict[str, str]:
        """Return which of the phones have reached a cap by other occurrences, each with that cap's rule.

        What counts is what `recent` counts.
        """
        ...

    def states(self, campaign: str, occurrence: str, phones: Sequence[str]) -> dict[str, State]:
        """Return where these phones' deliveries stand; a phone without one is left out."""
        ...

    def plan_record(self, digest: str) -> PlanRecord | None:
        """Return the plan, or None if it was never applied."""
        ...

    def runs(self) -> list[RunRecord]:
        """Return every run there ever was, in order."""
        ...

    def run_record(self, run: int) -> RunRecord | None:
        """Return a run by its number, or None."""
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

    def standing_stop(self, campaign: str) -> StopRecord | None:
        """Return the stop that stands for a campaign, its own before that of all campaigns, or None."""
        ...

    def stops(self) -> list[StopRecord]:
        """Return the stops that stand, that of all campaigns first."""
        ...

    def last_outcome(self, digest: str) -> float | None:
        """Return when the plan's last outcome was recorded, None before the first.

        It takes a time that grows with what the plan has sent.
        """
        ...

    def events(self, run: int, first: int, last: int) -> Iterator[list[Event]]:
        """Yield a run's events numbered `first` to `last`, both included, in batches of at most 10,000."""
        ...

    def log_batches(self, target: str, run: int) -> list[LogBatch]:
        """Return what was cut of a run for one log, such as `treasure_data:crm.whatsapp_log`, in order."""
        ...

    def deliveries_between(self, since: float, until: float) -> Iterator[list[OpenDelivery]]:
        """Yield, in batches of at most 10,000, the deliveries intended from `since` until before `until`.

        They come in the order of their intents. Take it to its end before writing.
        """
        ...

    def audit(self) -> Iterator[list[Entry]]:
        """Yield the audit log in its order, in batches of at most 10,000 entries."""
        ...

    def audit_head(self) -> Head:
        """Return where the audit log ends."""
        ...

    def last_forgotten(self) -> int:
        """Return a number that grows with every person forgotten; 0 when nobody was."""
        ...

    def forgotten(self) -> Iterator[list[str]]:
        """Yield, in batches of at most 10,000, the keyed hashes of the people who were forgotten."""
        ...

    def forget_proof(self) -> str | None:
        """Return what tells the key of those hashes from another; None when nobody was forgotten."""
        ...

    def applying(self, seen_by: Holder, now: float) -> list[str]:
        """Return the locks of the applies that are going on, as `seen_by` can tell."""
        ...


class Locks(Protocol):
    """Who may apply an occurrence: one process at a time."""

    def acquire(self, name: str, holder: Holder, now: float) -> LockToken:
        """Take a lock that is free, or whose holder is gone; else raise LockHeld, which says who holds it."""
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

    def claim_slot(self, sender: str, share: Share, interval: float, now: float) -> tuple[float, bool]:
        """Reserve the next slot for a run, if it is this run's turn (`runner.sharing`): return it and True.

        Else return when to claim again, and False.
        """
        ...

    def delay_sender(self, sender: str, seconds: float, now: float) -> None:
        """Move every slot not reserved yet by `seconds`; delays add up."""
        ...

    def hold_sender(self, sender: str, seconds: float, now: float) -> None:
        """Free no slot before `now + seconds`; holds do not add up (a provider's Retry-After)."""
        ...


class Ledger(LedgerReader, Locks, PaceRows, WebhookRows, FiringRows, HeldOutRows, Protocol):
    """A ledger open for writing; each method is one durable transaction."""

    def register_plan(
        self,
        *,
        digest: str,
        campaign: str,
        occurrence: str,
        to_send: int,
        created_at: float,
        details: Mapping[str, Any] | None = None,
    ) -> PlanRecord:
        """Record a plan, and return it; a plan that is recorded already stays as it is.

        `details` is a JSON object that is kept with it.
        """
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
        self,
        token: LockToken,
        intents: Sequence[Intent],
        outcomes: Sequence[Settlement],
        now: float,
        *,
        caps: Sequence[Cap] = (),
    ) -> list[bool | str]:
        """Record outcomes, then intents, durably and all or nothing; LockLost if the lock was taken over.

        CampaignStopped when a stop stands for what is intended: then the outcomes are recorded alone.
        For each intent: True when it is recorded, and may be sent; False when its delivery has an account
        already (anything but `retry`), and must not be; the rule of a cap when its person has reached that
        by now: it is recorded as refused by it, and must not be sent. Two runs that keep a cap never both
        send to a person who may get one message. An outcome without an intent of its run is an error.
        """
        ...

    def stop(self, campaign: str | None, *, by: str, note: str, now: float) -> StopRecord:
        """Stop a campaign, or all (None); return the stop: an older one, if it stands, stays as it is.

        Once this has returned, nobody records an intent of the campaign before the stop is lifted.
        """
        ...

    def resume(self, campaign: str | None, *, by: str, now: float) -> bool:
        """Lift the stop of a campaign, or that of all (None); False when there is none."""
        ...

    def claim_notice(self, notice: Notice, now: float) -> bool:
        """Record the state that the notice tells of; False when its topic is in that state already.

        A run that starts after one that stopped or failed goes on with it: that is no change.
        """
        ...

    def drop_notice(self, campaign: str, occurrence: str, topic: str, state: str | None = None) -> None:
        """Forget which state a topic is in; with a `state`, only if it is that one."""
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

    def record_receipts(
        self, receipts: Sequence[Receipt], now: float, *, imported: ImportedFile | None = None
    ) -> int:
        """Record what the provider told of deliveries; return how many of the receipts moved something.

        One that goes no further than what is known moves nothing, nor does one of a delivery that is not
        there. A delivery that was `unknown`, or to be sent again, was sent: it becomes `accepted`. The audit
        log notes the file that they were imported from.
        """
        ...

    def cut_log(self, target: str, run: int, size: int, now: float) -> None:
        """Put every event of the run that is in no batch of `target` yet into batches of at most `size`."""
        ...

    def mark_logged(self, target: str, run: int, number: int, now: float) -> None:
        """Record that a batch of `target` is where it belongs."""
        ...

    def forget(self, keyed_hash: str, proof: str, by: Holder, now: float) -> bool:
        """Keep the keyed hash of a person who is never to be messaged again; False when it is kept already.

        UsageError when `proof` is not of the key by which others were forgotten.
        """
        ...

    def erase(self, phone: str, by: Holder, now: float) -> Erased | None:
        """Erase the person from every delivery to a phone, and from what became of it; the counts stay.

        None, and nothing is erased, while a run that goes on waits for the answer to a message to them.
        """
        ...

    def wipe(self) -> bool:
        """Remove what is left of erased rows in the database's free space; False while others use it."""
        ...
