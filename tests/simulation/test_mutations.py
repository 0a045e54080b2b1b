"""The proof bites: take one pillar of a promise away, and the simulated worlds notice."""

import asyncio
from dataclasses import replace

import pytest

from runner import applying, pending
from runner.breaking import Breaker
from runner.canary import Trial, Verdict
from runner.delivery import Outcome
from runner.ledger import sqlite_file
from runner.ledger.journal import GroupCommit
from runner.ledger.sql_deliveries import Deliveries
from runner.ledger.sql_pace import SenderPaces
from runner.open_hours import OpenHours
from runner.providers import ada_outcomes
from tests.simulation.__main__ import problems_of

#: A mutation that this many worlds do not notice has shown that the proof does not cover it.
WORLDS = 400


def send_before_the_intent_is_durable(monkeypatch):
    """The message leaves while its intent is still on the way to the disk."""
    real, tasks = GroupCommit.intend, []

    async def hasty(self, delivery):
        tasks.append(asyncio.ensure_future(real(self, delivery)))
        return True

    monkeypatch.setattr(GroupCommit, "intend", hasty)


def retry_what_may_have_been_sent(monkeypatch):
    """An answer that never came counts as proof that nothing was sent."""
    rules = tuple(
        replace(rule, outcome=Outcome.RETRY) if rule.name in {"timed_out", "broken_off"} else rule
        for rule in ada_outcomes.RULES
    )
    monkeypatch.setattr(ada_outcomes, "RULES", rules)


def forget_what_a_kill_left_open(monkeypatch):
    """What was in flight at a kill is taken for unsent."""
    real = Deliveries.settle_interrupted

    def forgetful(self, token, campaign, occurrence, now):
        settled = real(self, token, campaign, occurrence, now)
        self._store._connection.execute("UPDATE deliveries SET state = 'retry' WHERE state = 'unknown'")
        return settled

    monkeypatch.setattr(Deliveries, "settle_interrupted", forgetful)


def forget_that_a_delivery_is_unique(monkeypatch):
    """What is known of a delivery is not looked up, and the key that makes it unique is gone."""
    monkeypatch.setattr(Deliveries, "_standing", lambda self, scope, entries: {})
    real = sqlite_file._migrate

    def keyless(connection, path, now):
        real(connection, path, now)
        script = connection.execute("SELECT sql FROM sqlite_master WHERE name = 'deliveries'").fetchone()[0]
        if "UNIQUE (occurrence_id, phone)" in script:
            connection.execute("DROP TABLE deliveries")
            connection.execute(script.replace(",\n    UNIQUE (occurrence_id, phone)", ""))

    monkeypatch.setattr(sqlite_file, "_migrate", keyless)
    monkeypatch.setattr(pending, "_states", lambda ledger, plan, phones: {})


def give_everybody_the_same_slot(monkeypatch):
    """The shared pace row lets every message leave at once."""
    monkeypatch.setattr(SenderPaces, "reserve_slot", lambda self, sender, interval, now: now)
    monkeypatch.setattr(SenderPaces, "claim_slot", lambda self, sender, share, interval, now: (now, True))


def begin_although_it_is_stopped(monkeypatch):
    """Who commits intents does not ask whether a person has stopped the campaign."""
    monkeypatch.setattr(Deliveries, "_stop_of", lambda self, scopes: None)


def never_pause(monkeypatch):
    """The breaker lets everything go, whatever the answers are."""
    monkeypatch.setattr(Breaker, "heard", lambda self, answer, now, *, is_probe: self)


def let_everybody_go_with_the_canary(monkeypatch):
    """A canary always says that the others may go."""
    monkeypatch.setattr(Trial, "verdict", lambda self, now: Verdict.GO_ON)


def forget_the_windows(monkeypatch):
    """Nobody is turned away because of the hour."""
    monkeypatch.setattr(OpenHours, "turns_away", lambda self, delivery: False)


def let_everybody_pass_the_gate(monkeypatch):
    """Nobody asks at send time who has opted out meanwhile."""
    monkeypatch.setattr(applying, "_gate", lambda apply, reached: lambda delivery: None)


#: Each pillar, and what the worlds say when it is gone.
PILLARS = {
    send_before_the_intent_is_durable: "was taken",
    retry_what_may_have_been_sent: "was taken",
    forget_what_a_kill_left_open: "was taken",
    forget_that_a_delivery_is_unique: "was taken",
    give_everybody_the_same_slot: "6 messages arrived within",
    begin_although_it_is_stopped: "after a person had stopped its campaign",
    never_pause: "messages to an outage",
    let_everybody_go_with_the_canary: "the others went",
    forget_the_windows: "arrived outside its window",
    let_everybody_pass_the_gate: "after the opt-out",
}


#: Where to begin to look, for those that rare worlds notice: a world that noticed. Saves half a minute.
BEGIN = {never_pause: 126, forget_the_windows: 152}


@pytest.mark.parametrize("mutate", PILLARS, ids=lambda mutate: mutate.__name__)
def test_the_worlds_notice_when_a_pillar_is_gone(monkeypatch, mutate):
    mutate(monkeypatch)
    begin = BEGIN.get(mutate, 0)
    for seed in range(begin, begin + WORLDS):
        if any(PILLARS[mutate] in problem for problem in problems_of(seed)):
            return
    pytest.fail(f"{WORLDS} worlds did not notice")
