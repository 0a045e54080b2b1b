from __future__ import annotations

from dataclasses import replace

import pytest

from runner.errors import LogError
from runner.treasure_data.calls import PATIENCE, Calls, Refused
from tests.logs.conftest import scripted, waits
from tests.logs.made_runs import NOW
from tests.logs.td_places import KEY, account_at

#: Fixtures of the logs, used here too.
__all__ = ["scripted", "waits"]


@pytest.fixture
def send(scripted, waits, tmp_path):
    """Import once, as the log does."""
    calls = Calls(account_at(scripted.url), waits.tools(tmp_path), LogError)

    def send():
        calls.call(
            "importing",
            lambda client: client.import_data("crm", "log", "msgpack.gz", b"x", 1, unique_id="ab"),
        )

    return send


def test_a_fault_of_the_server_is_waited_out_with_growing_waits(scripted, waits, send):
    for status in (500, 502, 503, 504):
        scripted.answer(status, b"no")
    send()
    assert waits.waited == [1.0, 2.0, 4.0, 8.0]
    assert len(scripted.requests) == 5


def test_what_is_sent_again_is_the_same_request(scripted, send):
    scripted.answer(500)
    send()
    first, second = scripted.requests
    assert first == second
    assert first[0] == "/v3/table/import_with_id/crm/log/ab/msgpack.gz"


@pytest.mark.parametrize("status", [408, 429, 503])
def test_retry_after_in_seconds_is_what_is_waited(scripted, waits, send, status):
    scripted.answer(status, Retry_After="7")
    send()
    assert waits.waited == [7.0]


def test_retry_after_as_a_date_is_waited_for(scripted, waits, send):
    waits.at = 1_780_000_000.0
    scripted.answer(429, Retry_After="Thu, 28 May 2026 20:26:50 GMT")
    send()
    assert waits.waited == [10.0]


@pytest.mark.parametrize("header", ["0", "soon", "Thu, 28 May 2026 20:26:50", "-3"])
def test_a_retry_after_that_says_nothing_or_is_over_waits_a_second(scripted, waits, send, header):
    scripted.answer(429, Retry_After=header)
    send()
    assert waits.waited == [1.0]


def test_a_retry_after_beyond_the_patience_ends_it_at_once(scripted, waits, send):
    scripted.answer(429, Retry_After="600")
    with pytest.raises(LogError, match="Treasure Data asks to slow down") as caught:
        send()
    assert waits.waited == []
    assert "wait 600 s" in caught.value.hint


def test_a_broken_connection_is_opened_again(scripted, waits, send):
    scripted.hang_up()
    scripted.hang_up()
    send()
    assert len(scripted.requests) == 3
    assert waits.waited == [1.0, 2.0]


@pytest.mark.parametrize("body", [b"", b"[1]", b"<html>", b'{"other": 1}', b"\xff"])
def test_an_answer_that_cannot_be_read_is_asked_for_again(scripted, waits, send, body):
    scripted.answer(200, body)
    send()
    assert len(scripted.requests) == 2
    assert "cannot be read" in waits.told[0]


def test_an_answer_that_breaks_off_is_asked_for_again(scripted, send):
    scripted.answer(200, b'{"elapsed', Content_Length="100")
    send()
    assert len(scripted.requests) == 2


def test_patience_ends(scripted, waits, send):
    began = waits.at
    for _ in range(20):
        scripted.answer(500)
    with pytest.raises(LogError, match="importing: Treasure Data answers 500"):
        send()
    assert PATIENCE - 31 <= waits.at - began <= PATIENCE


def test_nobody_there_is_an_error_in_the_end(waits, tmp_path):
    calls = Calls(account_at("http://127.0.0.1:9"), waits.tools(tmp_path), LogError)
    with pytest.raises(LogError, match=r"no answer of Treasure Data \(Connection refused\)"):
        calls.call("importing", lambda client: client.import_data("crm", "log", "msgpack.gz", b"x", 1))


@pytest.mark.parametrize("status", [302, 400, 401, 403, 404, 409, 413, 422])
def test_a_no_that_stays_is_not_asked_for_again(scripted, waits, send, status):
    scripted.answer(status, b"no", Location="http://127.0.0.1:9/")
    with pytest.raises(Refused) as caught:
        send()
    assert caught.value.status == status
    assert len(scripted.requests) == 1
    assert waits.waited == []


def test_the_key_is_never_in_an_error(scripted, send):
    scripted.answer(422, f"the key {KEY}\nis a key".encode())
    with pytest.raises(Refused) as caught:
        send()
    assert caught.value.text == "422: Import failed: the key *** is a key"


def test_what_an_earlier_request_was_answered_says_nothing_of_a_later_one(scripted, waits, tmp_path):
    calls = Calls(account_at(scripted.url), waits.tools(tmp_path), LogError)
    calls.call("importing", lambda client: client.import_data("crm", "log", "msgpack.gz", b"x", 1))

    def never_sent(_):
        raise OSError(24, "Too many open files")

    with pytest.raises(LogError, match=r"no answer of Treasure Data \(Too many open files\)"):
        calls.call("importing", never_sent)


def test_waits_are_spread_out(scripted, waits, tmp_path):
    scripted.answer(500)
    early = replace(waits.tools(tmp_path), jitter=lambda: 0.0)
    Calls(account_at(scripted.url), early, LogError).call(
        "importing", lambda client: client.import_data("crm", "log", "msgpack.gz", b"x", 1)
    )
    assert waits.waited == [0.5]
    assert waits.at == NOW + 1000.5
