"""runner.capping: who had reached a cap when their batch was read."""

from datetime import timedelta

import pytest

from runner.campaign import Cap
from runner.capping import ReachedCaps
from runner.delivery import DeliveryKey

CAP = Cap(rule="min_distance", messages=1, per=timedelta(days=1))


class Ledger:
    def __init__(self, *reached):
        self.reached = reached
        self.asked = []

    def capped(self, campaign, occurrence, phones, caps, now):
        self.asked.append((campaign, occurrence, list(phones), caps, now))
        return {phone: "min_distance" for phone in phones if phone in self.reached}


def keys(*phones):
    return [DeliveryKey(campaign="promo", occurrence="once", phone=phone) for phone in phones]


def test_the_ledger_is_asked_for_each_batch_once():
    ledger, reached = Ledger("2", "3"), ReachedCaps([CAP])
    reached.ask(ledger, keys("1", "2"), 9.0)
    reached.ask(ledger, keys("3"), 10.0)
    assert ledger.asked == [("promo", "once", ["1", "2"], [CAP], 9.0), ("promo", "once", ["3"], [CAP], 10.0)]
    assert [reached.rule(phone) for phone in "123"] == [None, "min_distance", "min_distance"]


@pytest.mark.parametrize(("caps", "batch"), [((), keys("1")), ((CAP,), [])])
def test_nothing_is_asked_without_a_cap_or_without_people(caps, batch):
    ledger = Ledger("1")
    ReachedCaps(caps).ask(ledger, batch, 9.0)
    assert ledger.asked == []


def test_people_of_batches_long_gone_are_not_kept():
    ledger, reached = Ledger(*(str(number) for number in range(9))), ReachedCaps([CAP])
    for number in range(9):
        reached.ask(ledger, keys(str(number)), 9.0)
    assert reached.rule("0") is None
    assert reached.rule("8") == "min_distance"
