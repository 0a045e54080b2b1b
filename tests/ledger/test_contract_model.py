"""Every ledger against the simplest model of what it means, over any course of events."""

from __future__ import annotations

from collections import Counter
from itertools import chain, count

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from runner.delivery import State
from runner.errors import LedgerError

NOW = 1_780_000_000.0


class Model:
    """What the ledger should hold of one campaign, and the steps that change both."""

    def __init__(self, ledger, begin, campaign):
        self.ledger, self.begin, self.campaign = ledger, begin, campaign
        self.states: dict[str, str] = {}
        self.outcomes: Counter[str] = Counter()
        self.applying = begin(ledger, campaign, campaign=campaign)

    def intend(self, phone, _):
        may_be_sent = self.states.get(phone, "retry") == "retry"
        assert self.applying.intend(phone) == [may_be_sent]
        self.states |= {phone: "intent"} if may_be_sent else {}

    def settle(self, phone, outcome):
        if self.states.get(phone) != "intent":
            with pytest.raises(LedgerError):
                self.applying.settle(outcome, phone)
            return
        self.applying.settle(outcome, phone)
        self.move([phone], outcome)

    def resolve(self, phone, outcome):
        to = State(outcome) if outcome != "unknown" else State.RETRY
        is_unknown = self.states.get(phone) == "unknown"
        moved = self.ledger.resolve(self.campaign, "once", phone, to=to, by="g", note="", now=NOW)
        assert moved == is_unknown
        self.move([phone] if is_unknown else [], to.value)

    def kill(self, *_):
        self.ledger.release(self.applying.token)
        self.applying = self.begin(self.ledger, self.campaign, campaign=self.campaign)
        left = [phone for phone, state in self.states.items() if state == "intent"]
        settled = self.ledger.settle_interrupted(self.applying.token, self.campaign, "once", NOW)
        assert settled == len(left)
        self.move(left, "unknown")

    def move(self, phones, state):
        self.states |= dict.fromkeys(phones, state)
        self.outcomes.update(phones)

    def agrees(self):
        states = self.ledger.states(self.campaign, "once", ["1", "2", "3"])
        assert {phone: state.value for phone, state in states.items()} == self.states
        counts, wanted = self.ledger.counts(self.campaign), Counter(self.states.values())
        found = (counts.accepted, counts.refused, counts.retry, counts.unknown, counts.in_flight)
        assert found == tuple(wanted[each] for each in ("accepted", "refused", "retry", "unknown", "intent"))
        taken = set(chain(*self.ledger.taken(self.campaign, "once")))
        assert taken == {phone for phone, state in self.states.items() if state != "retry"}
        for phone in self.states:
            histories = self.ledger.history(phone)
            (history,) = [each for each in histories if each.delivery.key.campaign == self.campaign]
            assert len(history.events) == self.outcomes[phone]


STEPS = st.tuples(
    st.sampled_from([Model.intend, Model.intend, Model.settle, Model.settle, Model.resolve, Model.kill]),
    st.sampled_from(["1", "2", "3"]),
    st.sampled_from(["accepted", "refused", "retry", "unknown"]),
)
_numbers = count()


@given(st.lists(STEPS, max_size=40))
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_whatever_happens_states_counts_and_outcomes_agree_with_the_model(ledger, begin, steps):
    model = Model(ledger, begin, f"campaign-{next(_numbers)}")
    for step, phone, outcome in steps:
        step(model, phone, outcome)
    model.agrees()
