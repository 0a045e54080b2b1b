"""Whom a command tells of changes of state: the environment's channels, as campaign or project wish it."""

from __future__ import annotations

import os
import time
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from typing import TYPE_CHECKING, Any

from runner.cli import output
from runner.cli.workplace import Workplace
from runner.notice import Notice
from runner.notifying import Notifier

if TYPE_CHECKING:
    from runner.channels import Told

#: The environment's name for the channels' addresses, which hold secrets.
URLS_VARIABLE = "RUNNER_NOTIFY_URLS"


@contextmanager
def open_notifier(workplace: Workplace) -> Iterator[Notifier]:
    """Give what tells people; at the end it waits, within bounds, for what is still to be told."""
    notifier = Notifier(
        send=_rehearsed if workplace.rehearsal else _Sender(),
        ledger=lambda: _ledger(workplace),
        say=output.say,
        now=time.time,
    )
    try:
        yield notifier
    finally:
        notifier.close()


def wanted_events(document: Mapping[str, Any] | None, workplace: Workplace) -> Collection[str]:
    """Return the events that a campaign's `notify` lists, or else the project's."""
    notify = workplace.project.notify if document is None else document
    events: Collection[str] = notify.get("on", ())
    return events


@contextmanager
def _ledger(workplace: Workplace) -> Iterator[Any]:
    from runner.ledger import open_ledger

    with closing(open_ledger(workplace.project.ledger, root=workplace.project.root)) as ledger:
        yield ledger


class _Sender:
    """Sends to the channels of the environment; that there is none, it says once."""

    def __init__(self) -> None:
        self._has_said = False

    def __call__(self, notice: Notice) -> Sequence[Told]:
        from runner.channels import Channels

        urls = os.environ.get(URLS_VARIABLE, "").strip()
        if urls:
            return Channels(urls).tell(notice)
        if not self._has_said:
            output.say(f"notify: nobody was told: {URLS_VARIABLE} is not set")
        self._has_said = True
        return []


def _rehearsed(notice: Notice) -> Sequence[Told]:
    """Tell nobody of a rehearsal but whoever rehearses."""
    from runner.channels import Told

    output.say(f"notify: (a rehearsal: nobody is told) {notice.title}")
    return [Told(channel="rehearsal", failure=None)]
