"""Named SQL: every statement has a name and a sentence, and can be run."""

from __future__ import annotations

import re
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from runner.ledger import sqlite_file
from runner.ledger.named_sql import read_statements
from runner.ledger.sqlite_file import migrations
from runner.ledger.store import shipped_statements

SHIPPED = shipped_statements("sqlite")
#: Questions that a ledger of millions of rows answers by an index alone.
SHORT_LISTS = {
    "open_unknown": "deliveries_unknown",
    "unknowns": "deliveries_unknown",
}


def test_a_statement_has_its_name_its_sentence_and_its_sql():
    found = read_statements(
        "-- A file.\n\n-- name: one\n-- Find\n-- it.\nSELECT 1\n\n-- name: two\n-- Two.\nSELECT 2\n"
    )

    assert (found["one"].name, found["one"].sentence, found["one"].sql) == ("one", "Find it.", "SELECT 1")
    assert found["two"].sql == "SELECT 2"


@pytest.mark.parametrize(
    "text",
    [
        "-- name: one\nSELECT 1\n",
        "-- name: one\n-- A sentence.\n",
        "-- name: one\n-- A.\nSELECT 1\n-- name: one\n-- B.\nSELECT 2\n",
    ],
)
def test_a_statement_without_one_of_them_or_twice_is_an_error(text):
    with pytest.raises(ValueError, match="statement one needs"):
        read_statements(text)


@pytest.fixture(scope="module")
def shipped_ledger():
    with closing(sqlite3.connect(":memory:")) as connection:
        for migration in migrations():
            connection.executescript(migration.sql)
        yield connection


@pytest.mark.parametrize("name", SHIPPED)
def test_every_statement_shipped_fits_the_schema_and_says_what_it_does(shipped_ledger, name):
    parameters = dict.fromkeys(re.findall(r":([a-z_]+)", SHIPPED[name].sql))

    steps = shipped_ledger.execute(f"EXPLAIN QUERY PLAN {SHIPPED[name].sql}", parameters).fetchall()

    assert SHIPPED[name].sentence.endswith(".")
    used = " ".join(step[3] for step in steps)
    assert "SCAN deliveries" not in used
    assert SHORT_LISTS.get(name, "") in used


@pytest.mark.parametrize("name", SHIPPED)
def test_every_statement_shipped_is_used(name):
    code = "".join(
        path.read_text(encoding="utf-8") for path in Path(sqlite_file.__file__).parent.glob("sql_*.py")
    )

    assert f'"{name}"' in code
