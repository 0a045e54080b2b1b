"""The queries of docs/log.md, run where they are written for: on the table, over Trino."""

from __future__ import annotations

import re
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from runner.delivery import ReceiptStatus
from runner.pushing import push_run
from tests.logs.made_runs import NOW, Waits, begin, open_made, phones
from tests.logs.td_places import TD, account_at, rows_at, td_sandboxes

PAGE = Path(__file__).parents[2] / "docs" / "log.md"
QUERIES = re.findall(r"```sql\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)


def query(words):
    (found,) = [sql for sql in QUERIES if words in sql]
    return found


@pytest.fixture(scope="module")
def url(tmp_path_factory):
    """A run: 10 accepted of which 4 were delivered and 1 read, 2 refused, 3 unknown; 2 held out.

    Those accepted are of two variants, half of each.
    """
    root = tmp_path_factory.mktemp("queries")
    with td_sandboxes(root) as start, closing(open_made(root)) as ledger:
        url = start()
        run = begin(ledger, log=TD)
        run.send("accepted", *phones(5), variant="short")
        run.send("accepted", *phones(5, start=5), variant="warm")
        run.send("refused", *phones(2, start=10))
        run.send("unknown", *phones(3, start=12))
        run.receive(ReceiptStatus.DELIVERED, *phones(4))
        run.receive(ReceiptStatus.READ, *phones(1))
        ledger.hold_out(run.token, run.run, [(phone, f"id-{phone}") for phone in phones(2, start=15)], NOW)
        push_run(ledger, run.run, replace(Waits().tools(root), account=lambda: account_at(url)))
        yield url


def test_the_page_has_the_queries_tested_here():
    assert len(QUERIES) == 7


def test_deliveries_of_each_campaign_by_the_last_thing_known(url):
    # The run was long ago, so the bound on time is taken out.
    sql = re.sub(r"WHERE TD_INTERVAL\(.*?\)\n", "\n", query("TD_INTERVAL"))
    found = {row["event"]: row["deliveries"] for row in rows_at(url, sql)}
    assert found == {"accepted": 6, "delivered": 3, "read": 1, "refused": 2, "unknown": 3, "held_out": 2}


def test_the_bound_on_time_is_one_that_is_understood(url):
    assert rows_at(url, query("TD_INTERVAL")) == []


def test_unknowns_are_those_that_nobody_knows_of(url):
    found = rows_at(url, query("= 'unknown'"))
    assert {row["phone"] for row in found} == set(phones(3, start=12))
    assert {row["rule"] for row in found} == {"time-out"}


def test_no_row_is_there_twice(url):
    assert rows_at(url, query("AS copies")) == []


def test_nobody_got_a_message_twice(url):
    assert rows_at(url, query("AS messages")) == []


def test_the_delivery_rate_counts_each_delivery_once(url):
    (found,) = rows_at(url, query("delivery_rate"))
    assert (found["accepted"], found["delivered"], float(found["delivery_rate"])) == (10, 4, 40.0)


def test_the_control_group_is_told_from_those_who_got_the_message(url):
    found = rows_at(url, query("is_control"))
    assert {row["phone"] for row in found if row["is_control"]} == set(phones(2, start=15))
    assert {row["phone"] for row in found if not row["is_control"]} == set(phones(10))


def test_variants_are_compared_by_the_share_of_their_messages_that_was_read(url):
    found = {row["variant"]: row for row in rows_at(url, query("variant IS NOT NULL"))}
    assert {name: (row["accepted"], row["seen"]) for name, row in found.items()} == {
        "short": (5, 1),
        "warm": (5, 0),
    }
    assert float(found["short"]["read_rate"]) == 20.0
