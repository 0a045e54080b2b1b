import threading
import time

import duckdb
import pytest

from runner.segments.time_bound import OutOfTimeError, run_bounded

ENDLESS = "SELECT count(*) FROM range(10000000000) AS a, range(10000) AS b WHERE a.range = -b.range"


class Deaf:
    """A connection whose running statement listens to nothing, as one call of a scalar function."""

    def __init__(self):
        self.interrupts = 0
        self.closed = False

    def interrupt(self):
        self.interrupts += 1

    def close(self):
        self.closed = True


def test_the_result_is_returned_and_the_connection_closed():
    connection = Deaf()
    assert run_bounded(lambda: 7, connection, seconds=60) == 7
    assert (connection.interrupts, connection.closed) == (0, True)


def test_an_error_of_the_work_is_raised_and_the_connection_closed():
    connection = Deaf()
    with pytest.raises(ZeroDivisionError):
        run_bounded(lambda: 1 / 0, connection, seconds=60)
    assert connection.closed


def test_a_statement_that_listens_ends_soon_after_its_time():
    connection = duckdb.connect()
    begin = time.monotonic()
    with pytest.raises(OutOfTimeError):
        run_bounded(lambda: connection.execute(ENDLESS), connection, seconds=0.1)
    assert time.monotonic() - begin < 2
    with pytest.raises(duckdb.ConnectionException):
        connection.execute("SELECT 1")


def test_a_first_interrupt_that_comes_too_early_is_repeated():
    connection = duckdb.connect()

    def late():
        time.sleep(0.2)
        connection.execute(ENDLESS)

    with pytest.raises(OutOfTimeError):
        run_bounded(late, connection, seconds=0.01, patience=30)


def test_work_that_does_not_listen_is_left_behind_with_its_connection():
    connection, gate = Deaf(), threading.Event()
    with pytest.raises(OutOfTimeError):
        run_bounded(gate.wait, connection, seconds=0.05, patience=0.2)
    assert connection.interrupts > 1
    assert not connection.closed
    gate.set()
