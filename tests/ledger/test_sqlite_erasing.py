"""What is erased is in no byte of the SQLite file, its WAL, or a page that is free."""

from __future__ import annotations

import re
import sqlite3
from contextlib import closing

from runner.delivery import State
from runner.ledger.liveness import this_process
from runner.ledger.store import shipped_statements

NOW = 1_780_000_000.0
PHONE = "6281237654321"


def bytes_of(path):
    """Return every byte of the ledger's files."""
    return b"".join(part.read_bytes() for part in path.parent.glob(f"{path.name}*"))


def sent(opened, begin, count=3000):
    """Send to many, so that pages split and rows move, and to the person in their midst."""
    applying = begin(opened, to_send=count + 1)
    people = [f"62812{n:08d}" for n in range(count)]
    people.insert(count // 2, PHONE)
    for start in range(0, len(people), 100):
        applying.send("unknown", *people[start : start + 100])
    opened.resolve("lebaran", "once", PHONE, to=State.ACCEPTED, by="ada", note=f"of {PHONE}", now=NOW)
    return applying


def test_no_digits_of_a_forgotten_person_are_left_in_any_file(opened, begin, path):
    sent(opened, begin)
    assert PHONE.encode() in bytes_of(path)

    opened.erase(PHONE, this_process("ada"), NOW)

    assert opened.wipe() is True
    left = bytes_of(path)
    assert PHONE.encode() not in left
    assert b"id-" + PHONE.encode() not in left
    opened.close()
    assert PHONE.encode() not in bytes_of(path)


def test_without_the_last_step_some_would_be_left(opened, begin, path):
    sent(opened, begin)
    opened.erase(PHONE, this_process("ada"), NOW)
    assert PHONE.encode() in bytes_of(path)


def test_while_somebody_else_reads_or_writes_it_says_that_some_may_be_left(opened, begin, path):
    sent(opened, begin, count=10)
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        assert opened.wipe() is False
        other.execute("ROLLBACK")
        other.execute("BEGIN")
        other.execute("SELECT count(*) FROM deliveries").fetchall()
        assert opened.wipe() is False
    assert opened.wipe() is True


def test_every_table_that_may_name_a_person_has_a_statement_that_erases_them(opened, path):
    with closing(sqlite3.connect(path)) as asked:
        tables = [name for (name,) in asked.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        columns = {
            table: {row[1] for row in asked.execute(f"PRAGMA table_info({table})")} for table in tables
        }
    personal = {table for table, names in columns.items() if names & {"phone", "recipient_id", "message_id"}}
    erasing = [
        statement.sql for name, statement in shipped_statements("sqlite").items() if name.startswith("erase_")
    ]
    erased = {re.match(r"(?:UPDATE|DELETE FROM) (\w+)", sql).group(1) for sql in erasing}
    assert personal == erased
