"""The approvals and firings of a SQL ledger: a slot is one row for ever, moved under a lock alone."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict

from runner.ledger.firings import Approval, FiringRecord, FiringState
from runner.ledger.records import Holder, LockToken
from runner.ledger.sql_audit import Audit
from runner.ledger.sql_locks import SqlLocks
from runner.ledger.store import Row, Store
from runner.schedule import Firing


class Firings:
    """The tables of approvals, firings, and of until when firings are noted."""

    def __init__(self, store: Store, locks: SqlLocks) -> None:
        self._store = store
        self._locks = locks
        self._audit = Audit(store)

    def approval(self, campaign: str) -> Approval | None:
        """Return the last approval of a campaign, also one that was revoked."""
        found = self._store.row("last_approval", campaign=campaign)
        return _approval(found) if found else None

    def noted_until(self, campaign: str) -> float | None:
        """Return until when the campaign's firings are noted; None for a campaign that is new here."""
        found = self._store.row("noted_until", campaign=campaign)
        return float(found[0]) if found else None

    def open_firings(self, campaign: str) -> list[FiringRecord]:
        """Return the firings that are not closed, in the order of their due times."""
        return [_firing(row) for row in self._store.rows("open_firings", campaign=campaign)]

    def last_firings(self, campaign: str | None, limit: int) -> list[FiringRecord]:
        """Return the `limit` latest firings, of one campaign or of all, latest first."""
        return [_firing(row) for row in self._store.rows("last_firings", campaign=campaign, limit=limit)]

    def firing_counts(self) -> Mapping[tuple[str, FiringState], int]:
        """Return how many firings of which campaign are in which state."""
        rows = self._store.rows("firing_counts")
        return {(campaign, FiringState(state)): count for campaign, state, count in rows}

    def previous_size(self, campaign: str, occurrence: str) -> tuple[str, int] | None:
        """Return the occurrence before this one that was sent, and how many deliveries it had."""
        found = self._store.row("previous_size", campaign=campaign, occurrence=occurrence)
        return (found[0], int(found[1])) if found else None

    def approve(self, approval: Approval, holder: Holder) -> None:
        """Record an approval in the place of the one before. The campaign's firings count from now on."""
        git = dict(approval.git) if approval.git else None
        row = {
            "campaign": approval.campaign,
            "digest": approval.digest,
            "content": json.dumps(approval.content),
            "by": approval.by,
            "now": approval.at,
            "git": json.dumps(git),
        }
        details = {"campaign": approval.campaign, "definition": approval.digest, "git": git}
        with self._store.transaction():
            self._store.run("add_watched", {"campaign": approval.campaign, "now": approval.at})
            self._store.run("add_approval", row)
            self._audit.append(
                "definition_approved",
                at=approval.at,
                actor=approval.by,
                details={**details, "host": holder.host},
            )

    def revoke_approval(self, campaign: str, holder: Holder, now: float) -> bool:
        """Take back the approval that stands; False when there is none."""
        with self._store.transaction():
            found = self.approval(campaign)
            revoked = {"campaign": campaign, "by": holder.owner, "now": now}
            if found is None or not self._store.changed("revoke_approval", revoked):
                return False
            details = {"campaign": campaign, "definition": found.digest, "host": holder.host}
            self._audit.append("approval_revoked", at=now, actor=holder.owner, details=details)
        return True

    def watch(self, campaign: str, now: float) -> float:
        """Return until when the campaign's firings are noted; for a campaign that is new here that is now."""
        known = self.noted_until(campaign)
        if known is None:
            with self._store.transaction():
                self._store.run("add_watched", {"campaign": campaign, "now": now})
            known = self.noted_until(campaign)
        return now if known is None else known

    def note_firings(
        self, campaign: str, firings: Sequence[Firing], until: float, by: Holder, now: float
    ) -> None:
        """Record firings as due, each slot once and for ever, and that all until `until` are noted."""
        noted = [
            {
                "campaign": campaign,
                "occurrence": firing.occurrence,
                "due_at": firing.due_at.timestamp(),
                "by": str(by),
                "now": now,
            }
            for firing in firings
            if firing.due_at is not None
        ]
        with self._store.transaction():
            self._store.run_all("add_firing", noted)
            self._store.run("move_noted", {"campaign": campaign, "until": until})

    def move_firings(self, token: LockToken, records: Sequence[FiringRecord]) -> bool:
        """Record where open firings stand now; False when one is closed. LockLost without the lock."""
        with self._store.transaction():
            self._locks.check_held(token)
            values = [{**asdict(record), "state": record.state.value} for record in records]
            moved = [self._store.changed("move_firing", each) for each in values]
        return all(moved)


def _approval(row: Row) -> Approval:
    campaign, digest, content, by, at, git, revoked_by, revoked_at = row
    return Approval(
        campaign=campaign,
        digest=digest,
        content=json.loads(content),
        by=by,
        at=at,
        git=json.loads(git),
        revoked_by=revoked_by,
        revoked_at=revoked_at,
    )


def _firing(row: Row) -> FiringRecord:
    campaign, occurrence, due_at, state, at, by, detail, plan, definition, to_send, opens_at, expires_at = row
    return FiringRecord(
        campaign=campaign,
        occurrence=occurrence,
        due_at=due_at,
        state=FiringState(state),
        at=at,
        by=by,
        detail=detail,
        plan=plan,
        definition=definition,
        to_send=to_send,
        opens_at=opens_at,
        expires_at=expires_at,
    )
