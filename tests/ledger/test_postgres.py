"""The PostgreSQL ledger: one clock for all, clear about every way it can fail, and nothing lost by it."""

from __future__ import annotations

import json
import signal
import sys
import threading
import time
from contextlib import closing
from itertools import chain, pairwise

import psycopg
import pytest

from runner.delivery import State
from runner.errors import LedgerError, Refusal
from runner.ledger import open_ledger
from runner.ledger.interface import Counts, Settlement
from runner.ledger.liveness import this_process
from runner.ledger.postgres_address import read_address
from runner.ledger.store import shipped_migrations
from tests import postgres
from tests.ledger.conftest import ANSWERS
from tests.ledger.test_sqlite_processes import KILLED, PACED, RACING

NOW = 1_780_000_000.0


@pytest.fixture
def url():
    """A new database, with the server's real clock."""
    url = postgres.postgres_url()
    yield url
    postgres.drop(url)


@pytest.fixture
def asked(url):
    """A connection past the product."""
    with psycopg.connect(url, autocommit=True) as connection:
        yield connection


def one_line_and_hint(error):
    assert "\n" not in str(error.value)
    return str(error.value), error.value.hint


def failing_to_open(url, **options):
    with pytest.raises(LedgerError) as error:
        open_ledger(url, root=None, **options)
    text, hint = one_line_and_hint(error)
    assert hint
    assert "secret" not in text
    return text


def cut_connections(asked):
    asked.execute(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
        "WHERE datname = current_database() AND pid <> pg_backend_pid()"
    )


# The address


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://ada:secret@db/ledger",
        "postgres://db/ledger?password=secret",
        "postgresql://db/ledger?sslpassword=secret",
    ],
)
def test_an_address_with_a_password_is_refused(url):
    assert failing_to_open(url) == "ledger: the address holds a password; a file in git must not"


@pytest.mark.parametrize("url", ["postgresql://db:port/ledger", "postgresql://db/ledger?no_such=1"])
def test_an_address_that_cannot_be_read_is_an_error(url):
    text = failing_to_open(url)
    assert "no address" in text or "cannot be" in text


def test_an_address_is_shown_without_its_user():
    shown = str(read_address("postgresql://ada@db.example.com:6432/crm?schema=runner&sslmode=require"))

    assert shown == "postgresql://db.example.com:6432/crm?schema=runner"


def test_an_address_may_say_how_to_connect():
    address = read_address("postgresql://db/crm?connect_timeout=3")

    assert address.parameters["connect_timeout"] == "3"
    assert address.parameters["application_name"] == "runner"


def test_without_psycopg_the_error_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "psycopg", None)
    for name in [name for name in sys.modules if name.startswith("runner.ledger.postgres_")]:
        monkeypatch.delitem(sys.modules, name)

    assert failing_to_open("postgresql://db/ledger").endswith("needs psycopg, which is not installed")


# A server that is not there, or says no


def test_a_server_that_is_down_is_an_error_that_names_host_and_database():
    text = failing_to_open("postgresql://127.0.0.1:9/ledger")

    assert text.startswith("postgresql://127.0.0.1:9/ledger: the ledger cannot be reached: ")
    assert "refused" in text


def test_a_database_that_does_not_exist_is_an_error(url):
    assert "has no such database" in failing_to_open(url.replace("/test_", "/no_such_"))


def test_a_user_that_does_not_exist_is_an_error(url):
    assert "does not know this user" in failing_to_open(url.replace("postgres:@", "nobody@"))


def test_a_user_without_rights_is_an_error(url, asked):
    name = f"reader_{asked.info.dbname}"
    asked.execute(f"CREATE ROLE {name} LOGIN")

    assert "may not be used by this user" in failing_to_open(url.replace("postgres:@", f"{name}@"))
    asked.execute(f"DROP ROLE {name}")


def test_a_lost_connection_is_an_error_and_what_was_committed_stays(url, open_again, begin, asked):
    applying = begin(open_again())
    applying.send("accepted", "1")
    applying.intend("2")
    cut_connections(asked)

    with pytest.raises(LedgerError, match="the connection to the server broke") as error:
        applying.settle("accepted", "2")
    with pytest.raises(LedgerError, match="the connection to the server broke"):
        applying.ledger.summary()

    assert "nothing is sent twice" in one_line_and_hint(error)[1]
    again = open_again()
    assert again.states("lebaran", "once", ["1", "2"]) == {"1": State.ACCEPTED, "2": State.INTENT}


def test_a_connection_lost_while_a_list_is_read_is_an_error(open_again, begin, asked):
    applying = begin(open_again())
    applying.intend(*(f"62{number:08d}" for number in range(10_005)))
    reading = applying.ledger.taken("lebaran", "once")
    next(reading)
    cut_connections(asked)

    with pytest.raises(LedgerError, match="the connection to the server broke"):
        next(reading)


def test_a_server_that_became_read_only_is_an_error_and_nothing_is_recorded(url, open_again, begin, asked):
    applying = begin(open_again())
    applying.ledger._store._connection.execute("SET default_transaction_read_only = on")

    with pytest.raises(LedgerError, match="the ledger is read-only"):
        applying.intend("1")
    assert open_again().counts("plan-1") == Counts()


def test_what_another_process_holds_for_long_is_an_error(open_again, begin, asked):
    applying = begin(open_again())
    applying.ledger._store._connection.execute("SET lock_timeout = '50ms'")
    with asked.transaction():
        asked.execute("SELECT * FROM occurrences FOR UPDATE")
        with pytest.raises(LedgerError, match="is locked by another process"):
            applying.intend("1")

    assert applying.intend("1") == [True]


def test_a_programming_mistake_is_not_dressed_as_a_lost_connection(open_again):
    ledger = open_again()
    nothing = dict.fromkeys(["owner", "host", "pid", "process_started", "now", "name"])

    with pytest.raises(psycopg.IntegrityError), ledger._store.transaction():
        ledger._store.run("add_lock", nothing)


# What is in the database


def test_a_database_without_a_ledger_reads_as_an_empty_one_and_is_left_as_it_is(open_again, asked):
    ledger = open_again(read_only=True)

    assert ledger.summary() == []
    assert ledger.generation("lebaran", "once") == 0
    tables = asked.execute("SELECT count(*) FROM pg_tables WHERE schemaname = 'public'").fetchone()
    assert tables == (0,)


def test_writing_to_a_ledger_opened_to_read_is_an_error(open_again, ada):
    open_again()

    with pytest.raises(LedgerError, match="the ledger is read-only"):
        open_again(read_only=True).acquire("x", ada, NOW)


def test_opening_again_applies_no_migration_twice(open_again, asked):
    open_again()
    open_again()

    applied = asked.execute("SELECT version, name FROM schema_migrations ORDER BY version").fetchall()
    assert applied == [(each.version, each.name) for each in shipped_migrations("postgres")]


OPEN = """
import pathlib, sys
from runner.ledger import open_ledger
ledger = open_ledger(sys.argv[1], root=pathlib.Path("."))
print(ledger.identity())
ledger.close()
"""


def test_many_processes_may_create_one_ledger_at_the_same_moment(url, run_together):
    assert len(set(run_together(OPEN, *[[url]] * 4))) == 1


@pytest.mark.parametrize("read_only", [True, False])
def test_somebody_elses_tables_are_refused_and_left_as_they_are(url, asked, read_only):
    asked.execute("CREATE TABLE bookmarks (url text)")

    assert "holds other tables" in failing_to_open(url, read_only=read_only)


@pytest.mark.parametrize("read_only", [True, False])
def test_a_ledger_of_a_newer_version_is_refused(url, open_again, asked, read_only):
    open_again()
    asked.execute("INSERT INTO schema_migrations (version, name) VALUES (999, 'later')")

    assert "has schema 999, of a newer version of runner" in failing_to_open(url, read_only=read_only)


def test_a_ledger_of_an_older_version_is_not_changed_by_reading(url, open_again, asked):
    open_again()
    asked.execute("DELETE FROM schema_migrations")
    asked.execute("INSERT INTO schema_migrations (version, name) VALUES (-1, 'earlier')")

    assert "has schema -1; this version of runner reads" in failing_to_open(url, read_only=True)


def test_a_ledger_may_have_a_schema_of_its_own_beside_other_tables(url, asked, open_again, tmp_path, begin):
    asked.execute("CREATE TABLE runs (mine text)")
    own = f'{url}&schema=crm "log"'.replace(" ", "%20").replace('"', "%22")

    for _ in range(2):
        with closing(open_ledger(own, root=tmp_path)) as ledger:
            ledger.summary()
    with closing(open_ledger(own, root=tmp_path)) as ledger:
        begin(ledger).send("accepted", "1")

    with closing(open_ledger(own, root=tmp_path, read_only=True)) as ledger:
        assert ledger.counts("plan-1") == Counts(accepted=1)
    assert asked.execute('SELECT count(*) FROM "crm ""log""".deliveries').fetchone() == (1,)


def test_a_commit_is_on_disk_before_it_returns_whatever_the_server_is_set_to(url, asked, open_again):
    asked.execute(f"ALTER DATABASE {asked.info.dbname} SET synchronous_commit = off")

    connection = open_again()._store._connection

    assert connection.execute("SHOW synchronous_commit").fetchone() == ("on",)


def test_texts_that_postgresql_refuses_are_kept_without_what_it_refuses(open_again, begin):
    from dataclasses import replace

    applying = begin(open_again())
    applying.intend("1")
    answer = replace(ANSWERS["refused"], detail="a\0b \\u0000 é 😀\ud800", code="\0")
    settled = Settlement(key=applying.key("1"), run=applying.run, answer=answer)

    applying.ledger.commit(applying.token, [], [settled], NOW)

    delivery = applying.ledger.history("1")[0].delivery
    assert (delivery.detail, delivery.code) == ("ab \\u0000 é 😀", "")


def test_a_group_may_be_very_large(open_again, begin):
    applying = begin(open_again())
    phones = [f"62{number:08d}" for number in range(30_000)]

    applying.send("accepted", *phones)

    assert applying.ledger.counts("plan-1") == Counts(accepted=30_000)
    assert list(chain(*applying.ledger.taken("lebaran", "once"))) == phones


def test_nothing_stays_open_in_the_server_while_a_list_is_read_or_between_commits(open_again, begin, asked):
    applying = begin(open_again())
    applying.intend(*(f"62{number:08d}" for number in range(10_005)))
    reading = applying.ledger.taken("lebaran", "once")
    next(reading)

    applying.intend("7")
    states = asked.execute("SELECT state FROM pg_stat_activity WHERE application_name = 'runner'").fetchall()

    assert set(states) == {("idle",)}
    assert [len(batch) for batch in reading] == [5]


# Several processes


def processes(script):
    return script.replace(
        '"sqlite:///state/ledger.db", root=pathlib.Path(sys.argv[1])', "sys.argv[1], root=None"
    )


def test_a_killed_process_loses_its_lock_at_once_but_not_what_it_committed(url, open_again, run_together):
    run_together(processes(KILLED), [url], exit_code=-signal.SIGKILL)

    ledger = open_again()
    token = ledger.acquire("lebaran/once", this_process("ada"), NOW)
    assert ledger.settle_interrupted(token, "lebaran", "once", NOW) == 1
    assert ledger.states("lebaran", "once", ["6281"]) == {"6281": State.UNKNOWN}


def test_a_lock_of_a_machine_of_the_same_name_is_not_taken_because_its_pid_is_not_here(open_again):
    from dataclasses import replace

    me = this_process("ada")
    elsewhere = replace(me, pid=2**22 - 1, process_started="another boot:1:1")
    ledger = open_again()
    ledger.acquire("lebaran/once", elsewhere, NOW)

    with pytest.raises(Refusal):
        ledger.acquire("lebaran/once", me, NOW)


#: A process knows how its clock stands to the server's by its quickest question: it asks some first.
ASKING_FIRST = """
for _ in range(10):
    ledger.reserve_slot(f"of {sys.argv[2]} alone", 0.01, time.time())
print("""


def test_slots_reserved_by_several_processes_lie_apart(url, open_again, run_together):
    open_again()
    script = processes(PACED).replace("\nprint(", ASKING_FIRST)
    written = run_together(script, *[[url, number] for number in range(3)])
    slots = sorted(slot for out in written for slot in json.loads(out))

    assert len(slots) == 120
    # Each process tells a slot in its own clock, as well as it knows how that stands to the server's.
    assert min(later - slot for slot, later in pairwise(slots)) >= 0.01 - 0.005


def test_while_another_process_holds_the_pace_a_slot_is_not_told_too_early(url, open_again):
    ledger = open_again()
    ledger.delay_sender("s", 0.0, time.time())
    with psycopg.connect(url) as other:
        other.execute("SELECT 1 FROM senders WHERE sender = 's' FOR UPDATE")
        began = time.time()
        freeing = threading.Timer(0.5, other.rollback)
        freeing.start()
        slot = ledger.reserve_slot("s", 0.2, began)
        freeing.join()

    assert slot - began >= 0.5 - 0.1


def test_machines_whose_clocks_differ_share_one_pace(open_again):
    first, second = open_again(), open_again()

    ahead = 3600.0
    slots = [first.reserve_slot("s", 0.2, time.time())]
    slots += [second.reserve_slot("s", 0.2, time.time() + ahead) - ahead]
    slots += [first.reserve_slot("s", 0.2, time.time())]

    assert [later - slot for slot, later in pairwise(slots)] == pytest.approx([0.2, 0.2], abs=0.02)


RACING_FOR_A_LOCK = """
import pathlib, sys, time
from runner.errors import Refusal
from runner.ledger import open_ledger
from runner.ledger.interface import Holder
ledger = open_ledger(sys.argv[1], root=None)
try:
    ledger.acquire("lebaran/once", Holder(owner="a", host=sys.argv[2], pid=1), time.time())
    print("won")
except Refusal:
    print("refused")
"""


def test_of_several_that_want_one_lock_exactly_one_gets_it(url, open_again, run_together):
    open_again()

    written = run_together(RACING_FOR_A_LOCK, *[[url, f"host-{number}"] for number in range(4)])

    assert sorted(written) == ["refused\n"] * 3 + ["won\n"]


def test_of_two_processes_that_want_the_same_delivery_exactly_one_gets_it(url, open_again, run_together):
    open_again()
    written = run_together(processes(RACING), [url, "plan-1"], [url, "plan-2"])
    first, second = (set(json.loads(out)) for out in written)

    assert first | second == set(range(200))
    assert first & second == set()
