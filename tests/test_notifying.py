"""Telling people: once for each change of state, beside the work, whatever fails."""

from __future__ import annotations

import threading
import time
from contextlib import closing, contextmanager
from dataclasses import replace

import pytest

from runner.channels import Told
from runner.errors import LedgerError
from runner.ledger import open_ledger
from runner.notice import Notice, NoticeEvent
from runner.notifying import Notifier

FAILED = Notice(event=NoticeEvent.FAILED, campaign="promo", occurrence="once", cause="no connection")
STARTED = replace(FAILED, event=NoticeEvent.STARTED, cause="")
OK = Told(channel="channel 1 (JSON)", failure=None)
BAD = Told(channel="channel 2 (Slack)", failure="answered with 500")
ALL = [event.value for event in NoticeEvent]


class World:
    """One ledger; each `telling` is a command with a notifier of its own."""

    def __init__(self, root):
        self.root, self.sent, self.said = root, [], []
        self.outcomes = [OK]

    @contextmanager
    def ledger(self):
        with closing(open_ledger("sqlite:///ledger.db", root=self.root)) as ledger:
            yield ledger

    def send(self, notice):
        self.sent.append(notice.event.value)
        if isinstance(self.outcomes, Exception):
            raise self.outcomes
        return self.outcomes

    def tell(self, *notices, on=ALL, **changes):
        parts = {
            "send": self.send,
            "ledger": self.ledger,
            "say": self.said.append,
            "now": time.time,
            **changes,
        }
        notifier = Notifier(**parts)
        for notice in notices:
            notifier.tell(notice, on)
        notifier.close()
        return notifier


@pytest.fixture
def world(tmp_path):
    return World(tmp_path)


def test_a_run_that_fails_the_same_way_again_is_told_of_once(world):
    world.tell(STARTED, FAILED)
    world.tell(STARTED, FAILED)
    world.tell(STARTED, replace(FAILED, cause="bad key"))
    assert world.sent == ["started", "failed", "failed"]


def test_what_nobody_wants_to_hear_of_changes_the_state_all_the_same(world):
    world.tell(FAILED, replace(FAILED, event=NoticeEvent.STOPPED), FAILED, on=["failed"])
    assert world.sent == ["failed", "failed"]
    assert world.said == []


def test_without_events_nothing_is_done_at_all(world):
    world.tell(FAILED, on=[])
    assert list(world.root.iterdir()) == []


def test_one_channel_of_two_that_fails_is_said_and_not_told_again(world):
    world.outcomes = [OK, BAD]
    world.tell(FAILED)
    world.tell(FAILED)
    assert world.sent == ["failed"]
    assert world.said == ["notify: promo once: failed: channel 2 (Slack) answered with 500"]


@pytest.mark.parametrize("outcomes", [[BAD], []])
def test_when_nobody_could_be_told_the_next_time_they_are(world, outcomes):
    world.outcomes = outcomes
    world.tell(FAILED)
    world.outcomes = [OK]
    world.tell(FAILED)
    world.tell(FAILED)
    assert world.sent == ["failed", "failed"]


def test_whatever_is_raised_is_one_line_without_its_text(world):
    world.outcomes = ValueError("slack://s3cr3t")
    world.tell(FAILED)
    assert world.said == ["notify: failed (ValueError)"]


def test_a_failure_is_told_even_where_the_ledger_cannot_be_asked(world):
    @contextmanager
    def broken():
        raise LedgerError("the ledger is locked")
        yield

    world.tell(FAILED, STARTED, ledger=broken)
    assert world.sent == ["failed"]
    assert world.said == ["notify: the ledger is locked"]


def test_what_is_well_again_is_news_when_it_fails_once_more(world):
    logged = replace(FAILED, event=NoticeEvent.LOG_FAILED)
    world.tell(logged)
    notifier = Notifier(send=world.send, ledger=world.ledger, say=world.said.append, now=time.time)
    notifier.over("promo", "once", "log")
    notifier.close()
    world.tell(logged)
    assert world.sent == ["log_failed", "log_failed"]


def test_telling_takes_no_time_of_the_run_and_the_end_waits_within_bounds(world):
    released = threading.Event()

    def hang(_):
        released.wait(20)
        return [OK]

    began = time.monotonic()
    notifier = Notifier(send=hang, ledger=world.ledger, say=world.said.append, now=time.time)
    notifier.tell(FAILED, ALL)
    assert time.monotonic() - began < 0.5
    notifier.close(0.1)
    assert time.monotonic() - began < 5
    assert world.said == ["notify: not everybody could be told within 0.1 s"]
    released.set()
    notifier._thread.join(5)
