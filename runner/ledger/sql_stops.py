"""The stops of a SQL ledger: a person's word that nothing new may leave, until a person lifts it."""

from __future__ import annotations

from runner.ledger.interface import StopRecord
from runner.ledger.store import Row, Store
from runner.masking import mask_phones_in

#: The name under which the stop of all campaigns stands; no campaign has it.
_ALL = ""


class Stops:
    """The stops table."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def standing_stop(self, campaign: str) -> StopRecord | None:
        """Return the stop that stands for a campaign, its own before that of all campaigns, or None.

        Inside a transaction none is added to its end: `stop` waits for whoever has asked.
        """
        found = self._store.row("standing_stop", campaign=campaign)
        return _stop(found) if found else None

    def stops(self) -> list[StopRecord]:
        """Return the stops that stand, that of all campaigns first."""
        return [_stop(row) for row in self._store.rows("stops")]

    def stop(self, campaign: str | None, *, by: str, note: str, now: float) -> StopRecord:
        """Stop a campaign, or all (None); return the stop that stands for it from now on."""
        name = campaign or _ALL
        new = {"campaign": name, "by": by, "note": mask_phones_in(note), "now": now}
        with self._store.transaction():
            self._store.run("lock_the_stops", {})
            self._store.run("add_stop", new)
            # Its own comes first, so it is the one that was asked for.
            (found,) = self._store.rows("standing_stop", campaign=name)
        return _stop(found)

    def resume(self, campaign: str | None, *, by: str, now: float) -> bool:
        """Lift the stop of a campaign, or that of all (None); False when there is none."""
        with self._store.transaction():
            return self._store.changed("lift_stop", {"campaign": campaign or _ALL, "by": by, "now": now}) > 0


def _stop(row: Row) -> StopRecord:
    campaign, by, note, at = row
    return StopRecord(campaign=campaign or None, by=by, note=note, at=at)
