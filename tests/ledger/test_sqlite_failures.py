"""The SQLite ledger is clear about every way a file can fail, and loses nothing by it."""

from __future__ import annotations

import os
import resource
import shutil
import signal
import sqlite3
import tempfile
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from runner.delivery import State
from runner.errors import LedgerError
from runner.ledger import open_ledger

NOW = 1_780_000_000.0
URL = "sqlite:///state/ledger.db"


def one_line_and_hint(error):
    assert "\n" not in str(error.value)
    return str(error.value), error.value.hint


# Files that are no ledger, or no longer


@pytest.mark.parametrize("read_only", [True, False])
def test_somebody_elses_database_is_refused_and_left_as_it_is(tmp_path, path, read_only):
    path.parent.mkdir()
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE bookmarks (url TEXT)")
    before = path.read_bytes()

    with pytest.raises(LedgerError, match="is not a ledger: it holds other tables"):
        open_ledger(URL, root=tmp_path, read_only=read_only)
    assert path.read_bytes() == before


@pytest.mark.parametrize("read_only", [True, False])
def test_a_file_that_is_no_database_is_refused_and_left_as_it_is(tmp_path, path, read_only):
    path.parent.mkdir()
    path.write_text("this is a text, and long enough to be looked at\n" * 100)

    with pytest.raises(LedgerError, match="the ledger is not a SQLite database") as error:
        open_ledger(URL, root=tmp_path, read_only=read_only)
    assert one_line_and_hint(error)[1]
    assert path.read_text().startswith("this is a text")


@pytest.mark.parametrize("read_only", [True, False])
def test_a_damaged_ledger_is_an_error(tmp_path, path, opened, begin, read_only):
    begin(opened).intend(*map(str, range(2000)))
    opened.close()
    content = bytearray(path.read_bytes())
    content[4096:] = os.urandom(len(content) - 4096)
    path.write_bytes(content)

    with (
        pytest.raises(LedgerError, match="damaged") as error,
        closing(open_ledger(URL, root=tmp_path, read_only=read_only)) as ledger,
    ):
        ledger.summary()
    assert "backup" in one_line_and_hint(error)[1]


@pytest.mark.parametrize("read_only", [True, False])
def test_a_folder_in_the_ledgers_place_is_an_error(tmp_path, path, read_only):
    path.mkdir(parents=True)
    (path / "file").touch()

    with pytest.raises(LedgerError, match=r"the ledger cannot be (opened|read)"):
        open_ledger(URL, root=tmp_path, read_only=read_only)


def test_a_file_in_the_folders_place_is_an_error(tmp_path, path):
    path.parent.touch()

    with pytest.raises(LedgerError, match=r"the ledger cannot be used: (File exists|Not a directory)"):
        open_ledger(URL, root=tmp_path)


@contextmanager
def an_ordinary_user():
    """Give up root's right to write everywhere, where the tests run as root."""
    is_root = os.geteuid() == 0
    if is_root:
        os.seteuid(65534)
    try:
        yield
    finally:
        if is_root:
            os.seteuid(0)


@pytest.fixture
def readable_root():
    """A project that an ordinary user may read: pytest's own folders are closed to others."""
    root = Path(tempfile.mkdtemp())
    (root / "state").mkdir()
    for folder in (root, root / "state"):
        folder.chmod(0o755)
    yield root
    for folder in (root, root / "state"):
        folder.chmod(0o755)
    shutil.rmtree(root)


def test_a_read_only_file_is_an_error_before_anything_is_sent(readable_root, ada):
    open_ledger(URL, root=readable_root).close()
    (readable_root / "state").chmod(0o777)
    (readable_root / "state/ledger.db").chmod(0o444)

    with (
        an_ordinary_user(),
        pytest.raises(LedgerError, match="the ledger is read-only") as error,
        closing(open_ledger(URL, root=readable_root)) as ledger,
    ):
        ledger.acquire("x", ada, NOW)
    assert "write permission" in one_line_and_hint(error)[1]


def test_a_read_only_folder_is_an_error(readable_root):
    (readable_root / "state").chmod(0o555)

    with an_ordinary_user(), pytest.raises(LedgerError, match="cannot be used: Permission denied"):
        open_ledger(URL, root=readable_root)


# A disk that is full, a file that is busy


def test_a_full_disk_is_an_error_and_loses_nothing(opened, begin):
    applying = begin(opened)
    applying.send("accepted", "6281")
    connection = opened._store._connection
    pages = connection.execute("PRAGMA page_count").fetchone()[0]
    connection.execute(f"PRAGMA max_page_count = {pages}")
    many = [f"62{number:08d}" for number in range(2000)]

    with pytest.raises(LedgerError, match="the disk is full") as error:
        applying.intend(*many)

    assert "free some space" in one_line_and_hint(error)[1]
    connection.execute("PRAGMA max_page_count = 1000000")
    assert opened.states("lebaran", "once", ["6281", *many]) == {"6281": State.ACCEPTED}
    assert opened.counts("plan-1").in_flight == 0
    assert all(applying.intend(*many))


def test_a_file_that_may_not_grow_is_an_error_and_loses_nothing(opened, begin):
    applying = begin(opened)
    applying.send("accepted", "6281")
    size = max(file.stat().st_size for file in opened._store._path.parent.iterdir())
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    ignored = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size + 8192, before[1]))
    try:
        with pytest.raises(LedgerError, match=r"cannot be read or written|the disk is full"):
            applying.intend(*(f"62{number:08d}" for number in range(2000)))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, ignored)

    assert opened.counts("plan-1").in_flight == 0
    assert applying.intend("6281", "6282") == [False, True]


def test_a_ledger_that_stays_locked_is_an_error(path, opened, begin):
    applying = begin(opened)
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(LedgerError, match="is locked by another process") as error:
            applying.intend("6281")
        other.execute("ROLLBACK")

    assert one_line_and_hint(error)[1]
    assert applying.intend("6281") == [True]


def test_a_programming_mistake_is_not_dressed_as_a_full_disk(opened):
    with pytest.raises(sqlite3.IntegrityError), opened._store.transaction():
        opened._store.run(
            "add_lock", dict.fromkeys(["owner", "host", "pid", "process_started", "now", "name"])
        )
