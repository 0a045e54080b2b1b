"""The SQLite ledger: private, durable, read without being changed, and migrated once."""

from __future__ import annotations

import os
import sqlite3
import stat
import threading
from contextlib import closing
from pathlib import Path

import pytest

from runner.delivery import State
from runner.errors import LedgerError
from runner.ledger import open_ledger
from runner.ledger.sqlite_file import migrations, open_file

NOW = 1_780_000_000.0
URL = "sqlite:///state/ledger.db"


def one_line_and_hint(error):
    assert "\n" not in str(error.value)
    return str(error.value), error.value.hint


# Opening


def test_a_new_ledger_is_private_to_its_owner(tmp_path, path, begin):
    before = os.umask(0)
    try:
        with closing(open_ledger(URL, root=tmp_path)) as ledger:
            begin(ledger).send("accepted", "6281")
            modes = {file.name: stat.S_IMODE(file.stat().st_mode) for file in path.parent.iterdir()}
    finally:
        os.umask(before)

    assert modes == {"ledger.db": 0o600, "ledger.db-wal": 0o600, "ledger.db-shm": 0o600}
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700


def test_four_slashes_are_an_absolute_path(tmp_path, path):
    with closing(open_ledger(f"sqlite:///{path}", root=Path("/nowhere"))):
        assert path.exists()


def test_a_path_may_hold_any_character(tmp_path):
    with closing(open_ledger("sqlite:///a?b#c %41é/ledger.db", root=tmp_path)):
        assert (tmp_path / "a?b#c %41é/ledger.db").exists()


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("mysql://user:secret@db/ledger", "found mysql://..., expected sqlite:///... or postgresql://..."),
        ("ledger.db", "found no scheme, expected sqlite:///... or postgresql://..."),
        ("sqlite://ledger.db", "expected sqlite:/// and a path"),
        ("sqlite:///", "expected sqlite:/// and a path"),
    ],
)
def test_a_url_that_names_no_ledger_is_an_error(tmp_path, url, message):
    with pytest.raises(LedgerError, match=message) as error:
        open_ledger(url, root=tmp_path)
    text, hint = one_line_and_hint(error)
    assert hint
    assert "secret" not in text


def test_a_commit_is_on_disk_before_it_returns(opened):
    connection = opened._store._connection

    assert connection.execute("PRAGMA synchronous").fetchone() == (2,)
    assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)


def test_no_statement_of_a_send_is_prepared_again_for_what_is_bound_to_it(opened, begin):
    connection = opened._store._connection
    if ("ENABLE_STMTVTAB",) not in connection.execute("PRAGMA compile_options").fetchall():
        pytest.skip("this SQLite does not tell of its statements")
    apply = begin(opened)
    for number in range(30):
        for place, outcome in enumerate(("retry", "accepted", "refused", "unknown")):
            opened.reserve_slot("sender", 0.2, NOW + number)
            apply.send(outcome, f"62812{number * 10 + place:08d}", now=NOW + number)
        apply.send("accepted", f"62812{number * 10:08d}", now=NOW + number)

    # A few are prepared again as the schema becomes known; none because of what is bound.
    again = "SELECT sql, reprep FROM sqlite_stmt WHERE reprep > run / 4 AND run > 20"
    assert connection.execute(again).fetchall() == []


def test_a_ledger_belongs_to_the_thread_that_opened_it(opened):
    seen = []
    ask = threading.Thread(target=lambda: seen.append(raised_by(opened.summary)))
    ask.start()
    ask.join()

    assert isinstance(seen[0], sqlite3.ProgrammingError)


def raised_by(function):
    try:
        function()
    except Exception as error:  # noqa: BLE001 - the test looks at whatever it was
        return error
    return None


# Reading only


def test_a_ledger_that_is_not_there_reads_as_empty_and_is_not_created(tmp_path):
    with closing(open_ledger(URL, root=tmp_path, read_only=True)) as ledger:
        assert ledger.summary() == []
        assert ledger.generation("lebaran", "once") == 0
        assert list(ledger.taken("lebaran", "once")) == []
    assert list(tmp_path.iterdir()) == []


def test_an_empty_file_reads_as_an_empty_ledger(tmp_path, path):
    path.parent.mkdir()
    path.touch()

    with closing(open_ledger(URL, root=tmp_path, read_only=True)) as ledger:
        assert ledger.summary() == []
    assert path.stat().st_size == 0


def test_reading_sees_what_was_written_and_changes_nothing(tmp_path, path, opened, begin):
    begin(opened).send("accepted", "6281")
    opened.close()
    before = path.read_bytes()

    with closing(open_ledger(URL, root=tmp_path, read_only=True)) as ledger:
        assert ledger.states("lebaran", "once", ["6281"]) == {"6281": State.ACCEPTED}
    assert path.read_bytes() == before


@pytest.mark.parametrize("is_there", [True, False])
def test_writing_to_a_ledger_opened_to_read_is_an_error(tmp_path, path, is_there, ada):
    if is_there:
        open_ledger(URL, root=tmp_path).close()

    with (
        closing(open_ledger(URL, root=tmp_path, read_only=True)) as ledger,
        pytest.raises(LedgerError, match="the ledger is read-only"),
    ):
        ledger.acquire("x", ada, NOW)


def test_a_reader_does_not_wait_for_a_writer_nor_block_one(tmp_path, opened, begin):
    applying = begin(opened)
    applying.send("accepted", "1", "2")
    with closing(open_ledger(URL, root=tmp_path, read_only=True)) as reader:
        reading = reader.taken("lebaran", "once")
        with opened._store.transaction():
            assert next(reading) == ["1", "2"]
        applying.send("accepted", "3")
        assert list(reading) == []


# Migrations


def test_opening_again_applies_no_migration_twice(tmp_path, path):
    for _ in range(2):
        open_ledger(URL, root=tmp_path).close()

    with closing(sqlite3.connect(path)) as connection:
        applied = connection.execute("SELECT version, name FROM schema_migrations").fetchall()
    assert applied == [(each.version, each.name) for each in migrations()]
    assert [each.version for each in migrations()] == list(range(1, len(migrations()) + 1))


#: Files may not grow above the limit while the ledger is opened.
OPEN = """
import pathlib, resource, sys
from runner.errors import LedgerError
from runner.ledger.sqlite_file import open_file
before = resource.getrlimit(resource.RLIMIT_FSIZE)
resource.setrlimit(resource.RLIMIT_FSIZE, ({limit}, before[1]))
try:
    open_file(pathlib.Path(sys.argv[1]), busy_seconds=20).close()
    print("opened")
except LedgerError as error:
    print("LedgerError", error, error.hint)
finally:
    resource.setrlimit(resource.RLIMIT_FSIZE, before)
"""


def test_a_migration_that_fails_leaves_nothing_behind_and_the_next_opening_applies_it(path, run_together):
    path.parent.mkdir()
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA page_size = 512")
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("VACUUM")
    before = path.stat().st_size

    assert "LedgerError" in run_together(OPEN.format(limit=4096), [path])[0]

    assert path.stat().st_size == before
    open_file(path, busy_seconds=1).close()


def test_many_processes_may_create_one_ledger_at_the_same_moment(path, run_together):
    assert run_together(OPEN.format(limit="before[0]"), *[[path]] * 4) == ["opened\n"] * 4
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("SELECT count(*) FROM schema_migrations").fetchone() == (len(migrations()),)


@pytest.mark.parametrize("read_only", [True, False])
def test_a_ledger_of_a_newer_version_is_refused_and_left_as_it_is(tmp_path, path, read_only):
    open_ledger(URL, root=tmp_path).close()
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("INSERT INTO schema_migrations VALUES (999, '0999_later.sql', 0)")
        connection.commit()
    before = path.read_bytes()

    known = len(migrations())
    newer = f"has schema 999, of a newer version of runner; this one knows {known}"
    with pytest.raises(LedgerError, match=newer):
        open_ledger(URL, root=tmp_path, read_only=read_only)
    assert path.read_bytes() == before


def test_a_ledger_of_an_older_version_is_not_changed_by_reading(tmp_path, path):
    open_ledger(URL, root=tmp_path).close()
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("DELETE FROM schema_migrations WHERE version > 1")
        connection.execute("UPDATE schema_migrations SET version = 0")
        connection.commit()

    with pytest.raises(
        LedgerError, match=f"has schema 0; this version of runner reads schema {len(migrations())}"
    ):
        open_ledger(URL, root=tmp_path, read_only=True)
