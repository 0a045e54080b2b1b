"""What the ledger keeps of campaigns that run by themselves: who approved what, and every firing's state.

Times are epoch seconds (UTC).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Any, Protocol

from runner.ledger.records import Holder, LockToken
from runner.schedule import Firing


class FiringState(Enum):
    """Where a firing stands; one that is `finished` or `missed` is closed."""

    DUE = "due"
    WAITING = "waiting"
    STARTED = "started"
    FINISHED = "finished"
    MISSED = "missed"


@dataclass(frozen=True, slots=True, kw_only=True)
class Approval:
    """A person's word that a definition may be sent at each firing, until it is edited or the word revoked.

    `content` is the definition's, `digest` tells it from others. `git` is `commit` and `dirty`, None outside
    git.
    """

    campaign: str
    digest: str
    content: Mapping[str, Any]
    by: str
    at: float
    git: Mapping[str, Any] | None = None
    revoked_by: str | None = None
    revoked_at: float | None = None

    def covers(self, digest: str) -> bool:
        """Tell whether it approves the definition of this digest."""
        return self.revoked_at is None and self.digest == digest


@dataclass(frozen=True, slots=True, kw_only=True)
class FiringRecord:
    """One firing of a campaign as it stands: since when, by whom, and in words why.

    `plan` and `definition` are digests of what was planned for it last, `to_send` that plan's deliveries.
    Before `opens_at`, where it is not None, nobody who is left may get it: everybody's window is closed.
    Once it has started, what is left of it may be sent until `expires_at`.
    """

    campaign: str
    occurrence: str
    due_at: float
    state: FiringState
    at: float
    by: str
    detail: str = ""
    plan: str | None = None
    definition: str | None = None
    to_send: int | None = None
    opens_at: float | None = None
    expires_at: float | None = None


class FiringReader(Protocol):
    """What can be asked of approvals and firings."""

    def approval(self, campaign: str) -> Approval | None:
        """Return the last approval of a campaign, also one that was revoked."""
        ...

    def noted_until(self, campaign: str) -> float | None:
        """Return until when the campaign's firings are noted; None for a campaign that is new here."""
        ...

    def open_firings(self, campaign: str) -> list[FiringRecord]:
        """Return the firings that are not closed, in the order of their due times."""
        ...

    def last_firings(self, campaign: str | None, limit: int) -> list[FiringRecord]:
        """Return the `limit` latest firings, of one campaign or of all, latest first."""
        ...

    def firing_counts(self) -> Mapping[tuple[str, FiringState], int]:
        """Return how many firings of which campaign are in which state."""
        ...

    def previous_size(self, campaign: str, occurrence: str) -> tuple[str, int] | None:
        """Return the occurrence before this one that was sent, and how many deliveries it had."""
        ...


class FiringRows(FiringReader, Protocol):
    """Approvals and firings, open for writing; each method is one durable transaction."""

    def approve(self, approval: Approval, holder: Holder) -> None:
        """Record an approval in the place of the one before. The campaign's firings count from now on."""
        ...

    def revoke_approval(self, campaign: str, holder: Holder, now: float) -> bool:
        """Take back the approval that stands; False when there is none."""
        ...

    def watch(self, campaign: str, now: float) -> float:
        """Return until when the campaign's firings are noted; for a campaign that is new here that is now."""
        ...

    def note_firings(
        self, campaign: str, firings: Sequence[Firing], until: float, by: Holder, now: float
    ) -> None:
        """Record firings as due, each slot once and for ever, and that all until `until` are noted.

        A firing that was missed, or has not started, and has been put to a later time, is due then.
        """
        ...

    def move_firings(self, token: LockToken, records: Sequence[FiringRecord]) -> bool:
        """Record where open firings stand now; False when one is closed. LockLost without the lock."""
        ...
