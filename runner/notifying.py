"""Tell people of changes of state, each once, beside the work: nothing that fails here harms or delays a run.

claim in the ledger -> tell every channel -> give the claim back when nobody could be told. In a thread of its
own, one notice after another.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from contextlib import AbstractContextManager
from queue import SimpleQueue
from threading import Thread
from typing import Protocol

from runner.channels import Told
from runner.errors import RunnerError
from runner.notice import Notice, NoticeEvent

#: How long a command waits at its end for what is still to be told, in seconds.
LAST_SECONDS = 20.0


class NoticeLedger(Protocol):
    """What notifying needs of a ledger."""

    def claim_notice(self, notice: Notice, now: float) -> bool:
        """Record the state, durably; False when the topic is in it already."""
        ...

    def drop_notice(self, campaign: str, occurrence: str, topic: str, state: str | None = None) -> None:
        """Forget which state a topic is in; with a `state`, only if it is that one."""
        ...


OpenLedger = Callable[[], AbstractContextManager[NoticeLedger]]


class Notifier:
    """Tells of changes of state by `send`, which returns what came of each channel, nothing if there is none.

    `ledger` opens one for each notice, in the thread. `say` writes a line for whoever runs the command.
    """

    def __init__(
        self,
        *,
        send: Callable[[Notice], Sequence[Told]],
        ledger: OpenLedger,
        say: Callable[[str], None],
        now: Callable[[], float],
    ) -> None:
        self._send = send
        self._ledger = ledger
        self._say = say
        self._now = now
        self._queue: SimpleQueue[Callable[[], None] | None] = SimpleQueue()
        self._thread: Thread | None = None

    def tell(self, notice: Notice, on: Collection[str]) -> None:
        """Tell of `notice` if its event is among `on`; return at once.

        What is not told of changes the state too: a run that failed, went on and fails again has failed anew.
        """
        if on:
            self._later(lambda: self._tell(notice, is_wanted=notice.event.value in on))

    def over(self, campaign: str, occurrence: str, topic: str) -> None:
        """Note that a topic is well again: should it fail once more, that is news."""
        self._later(lambda: self._over(campaign, occurrence, topic))

    def close(self, seconds: float = LAST_SECONDS) -> None:
        """Wait for what is still to be told, no longer than `seconds`."""
        if self._thread is None:
            return
        self._queue.put(None)
        self._thread.join(seconds)
        if self._thread.is_alive():
            self._say(f"notify: not everybody could be told within {seconds:g} s")

    def _later(self, work: Callable[[], None]) -> None:
        if self._thread is None:
            self._thread = Thread(target=self._work, name="notify", daemon=True)
            self._thread.start()
        self._queue.put(work)

    def _work(self) -> None:
        while (work := self._queue.get()) is not None:
            try:
                work()
            except RunnerError as error:
                self._say(f"notify: {error.message.splitlines()[0]}")
            except Exception as error:  # noqa: BLE001 - a run must not notice; its text may hold an address
                self._say(f"notify: failed ({type(error).__name__})")

    def _tell(self, notice: Notice, *, is_wanted: bool) -> None:
        is_news = self._claim(notice)
        if not is_wanted or not is_news:
            return
        told = self._send(notice)
        for each in told:
            if each.failure:
                self._say(f"notify: {notice.title}: {each.channel} {each.failure}")
        if not any(each.failure is None for each in told):
            with self._ledger() as ledger:
                ledger.drop_notice(notice.campaign, notice.occurrence, notice.topic, notice.state)

    def _claim(self, notice: Notice) -> bool:
        """Claim the state. A ledger that cannot be asked is no reason to keep a failure to oneself."""
        try:
            with self._ledger() as ledger:
                return ledger.claim_notice(notice, self._now())
        except RunnerError:
            if notice.event is NoticeEvent.FAILED:
                return True
            raise

    def _over(self, campaign: str, occurrence: str, topic: str) -> None:
        with self._ledger() as ledger:
            ledger.drop_notice(campaign, occurrence, topic)
