"""The notices of a SQL ledger: which state of an occurrence people were told of last."""

from __future__ import annotations

from runner.ledger.store import Store
from runner.notice import Notice, NoticeEvent


class Notices:
    """The notices table."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def claim_notice(self, notice: Notice, now: float) -> bool:
        """Record the state that the notice tells of; False when its topic is in that state already.

        A run that starts after one that stopped or failed goes on with it: that is no change.
        """
        leaves = NoticeEvent.FINISHED.value if notice.event is NoticeEvent.STARTED else ""
        state = {"topic": notice.topic, "state": notice.state, "leaves": leaves, "now": now}
        key = {"campaign": notice.campaign, "occurrence": notice.occurrence}
        with self._store.transaction():
            return self._store.changed("claim_notice", {**key, **state}) > 0

    def drop_notice(self, campaign: str, occurrence: str, topic: str, state: str | None = None) -> None:
        """Forget which state a topic is in; with a `state`, only if it is that one."""
        which = {"campaign": campaign, "occurrence": occurrence, "topic": topic, "state": state}
        with self._store.transaction():
            self._store.run("drop_notice", which)
