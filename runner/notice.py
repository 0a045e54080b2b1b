"""What people are told of a campaign: one change of state, its balance, and the next command. No I/O."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import Enum

from runner.masking import harmless, mask_phones_in


class NoticeEvent(Enum):
    """What happened; the names are those of `notify.on`."""

    PLANNED = "planned"
    WAITING = "waiting"
    STARTED = "started"
    STOPPED = "stopped"
    FAILED = "failed"
    FINISHED = "finished"
    LOG_FAILED = "log_failed"
    MISSED = "missed"


class Tone(Enum):
    """How a channel colours a notice, where it knows colours."""

    INFO = "info"
    SUCCESS = "success"
    WARNING = "warning"
    FAILURE = "failure"


#: What is being followed: each is in one state at a time, for each occurrence.
RUN, LOG = "run", "log"
_TOPICS = {
    NoticeEvent.STARTED: RUN,
    NoticeEvent.STOPPED: RUN,
    NoticeEvent.FAILED: RUN,
    NoticeEvent.FINISHED: RUN,
    NoticeEvent.LOG_FAILED: LOG,
}
_TONES = {
    NoticeEvent.WAITING: Tone.WARNING,
    NoticeEvent.STOPPED: Tone.WARNING,
    NoticeEvent.MISSED: Tone.WARNING,
    NoticeEvent.FAILED: Tone.FAILURE,
    NoticeEvent.LOG_FAILED: Tone.FAILURE,
    NoticeEvent.FINISHED: Tone.SUCCESS,
}
_WORDS = {NoticeEvent.WAITING: "waiting for approval", NoticeEvent.LOG_FAILED: "log failed"}
_NUMBERS = re.compile(r"\d+")
_MASKED = re.compile(r"\d*\*{4}\d*")


def without_numbers(text: str) -> str:
    """Return what tells one cause from another in a text: counts, times and process numbers do not."""
    return _NUMBERS.sub("#", text)


@dataclass(frozen=True, slots=True, kw_only=True)
class Notice:
    """One change of state of an occurrence.

    `balance` is lines of counts, `detail` a sentence on why, `command` what to type next. `cause` tells this
    state from another of the same event: an apply that ends the same way again is in the state it was in.
    """

    event: NoticeEvent
    campaign: str
    occurrence: str
    balance: tuple[str, ...] = ()
    detail: str = ""
    command: str = ""
    cause: str = ""

    @property
    def topic(self) -> str:
        """Return what is being followed: the run, its log, or the event by itself."""
        return _TOPICS.get(self.event, self.event.value)

    @property
    def state(self) -> str:
        """Return the state that the topic is in."""
        return f"{self.event.value} {self.cause}".strip()

    @property
    def tone(self) -> Tone:
        """Return how a channel may colour it."""
        return _TONES.get(self.event, Tone.INFO)

    @property
    def title(self) -> str:
        """Return the headline."""
        return f"{self.campaign} {self.occurrence}: {_WORDS.get(self.event, self.event.value)}"

    @property
    def body(self) -> str:
        """Return the text below the headline: balance, detail and command, without any phone."""
        detail = _MASKED.sub("****", mask_phones_in(harmless(self.detail)))
        lines = [*self.balance, detail, f"next: {self.command}" if self.command else ""]
        return "\n".join(line for line in lines if line)
