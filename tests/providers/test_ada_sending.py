"""Sends of the provider `ada` against raw servers: what is written, when, how often, and what comes of it."""

import asyncio
import gzip
import json
import socket
import threading
import time
import tracemalloc
import types
import zlib

import aiohttp
import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from runner.delivery import Outcome, TemplateMessage, TextMessage
from runner.providers.ada import AdaProvider
from runner.providers.http_post import _StampedBody

KEY = "eyJhbGciOiJIUzI1NiJ9.eyJzaWQiOiJhcGlrZXkifQ.c2lnbmF0dXJl"
MESSAGE = TemplateMessage(name="order_update", language="en", body=("Aina", "A-1001"))
PHONE = "60120000002"
OK = b"HTTP/1.1 200 OK\r\n"


def send(settings, times=1, now=time.time, message=MESSAGE):
    """Send `times` messages one after another over one provider; returns answers, or the one answer."""

    async def run():
        departures = []
        async with AdaProvider(settings, KEY, now=now) as provider:
            answers = [
                await provider.send(PHONE, message, "c/once/1", departures.append) for _ in range(times)
            ]
        assert departures == [answer.departed_at for answer in answers if answer.departed_at is not None]
        return answers

    answers = asyncio.run(run())
    return answers if times > 1 else answers[0]


def test_an_accepted_send_carries_the_key_and_one_json_body(serve, wire, settings):
    server = serve(wire.accepted)
    answer = send(settings(server.url + "/prod/"), now=lambda: 1234.5)
    assert (answer.outcome, answer.rule) == (Outcome.ACCEPTED, "accepted")
    assert (answer.message_id, answer.http_status) == ("7c1f0f0e-0000-4000-8000-00000000abcd", 200)
    assert (answer.departed_at, answer.detail) == (1234.5, None)
    [(head, body)] = server.requests
    lines = head.decode().split("\r\n")
    assert lines[0] == "POST /prod/message HTTP/1.1"
    assert f"Authorization: Bearer {KEY}" in lines
    assert "Content-Type: application/json" in lines
    assert json.loads(body) == {
        "platform": "WA", "from": "60110000001", "to": PHONE, "type": "template", "tag1": "c/once/1",
        "templateName": "order_update", "templateLang": "en", "templateData": ["Aina", "A-1001"],
        "templateButton": [],
    }  # fmt: skip


def test_a_text_is_sent_as_text(serve, wire, settings):
    server = serve(wire.accepted)
    assert send(settings(server.url), message=TextMessage(text="Héllo\n🙂")).outcome is Outcome.ACCEPTED
    assert json.loads(server.requests[0][1])["text"] == "Héllo\n🙂"


def test_sends_share_one_connection(serve, wire, settings):
    server = serve(wire.accepted)
    answers = send(settings(server.url), times=5)
    assert {answer.outcome for answer in answers} == {Outcome.ACCEPTED}
    assert (len(server.requests), server.connections) == (5, 1)


def test_no_more_connections_are_opened_than_messages_may_be_in_flight(serve, wire, settings):
    server = serve(wire.accepted)

    async def run():
        async with AdaProvider(settings(server.url, max_in_flight=2), KEY) as provider:
            return await asyncio.gather(*[provider.send(PHONE, MESSAGE, "t") for _ in range(20)])

    assert {answer.outcome for answer in asyncio.run(run())} == {Outcome.ACCEPTED}
    assert (len(server.requests), server.connections) == (20, 2)


def _closing(peer, after):
    """Read one request, then do what `after` says."""
    if peer.request():
        after(peer)


@pytest.mark.parametrize(
    ("name", "after"),
    [
        ("reset without an answer", lambda peer: peer.reset()),
        ("end without an answer", lambda peer: None),
        ("half a status line", lambda peer: peer.write(b"HTTP/1.1 2")),
        ("half the headers", lambda peer: peer.write(b"HTTP/1.1 200 OK\r\nContent-Le")),
        ("half the body", lambda peer: peer.write(b'HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n{"da')),
        ("reset in the body", lambda peer: (peer.write(OK + b"Content-Length: 99\r\n\r\n{"), peer.reset())),
        ("half a chunk", lambda peer: peer.write(OK + b"Transfer-Encoding: chunked\r\n\r\nff\r\n{")),
        ("no HTTP", lambda peer: peer.write(b"SSH-2.0-OpenSSH_9.2\r\n\r\n")),
        ("a false length", lambda peer: peer.write(b"HTTP/1.1 200 OK\r\nContent-Length: -3\r\n\r\n{}")),
        ("endless headers", lambda peer: peer.write(b"HTTP/1.1 200 OK\r\nX: " + b"x" * 100_000)),
        ("no gzip", lambda peer: peer.write(OK + b"Content-Encoding: gzip\r\nContent-Length: 4\r\n\r\nnope")),
    ],
)  # fmt: skip
def test_whatever_breaks_off_after_the_request_left_is_unknown_and_sent_once(serve, settings, name, after):
    server = serve(lambda peer: _closing(peer, after))
    answer = send(settings(server.url))
    assert (answer.outcome, answer.rule) == (Outcome.UNKNOWN, "broken_off"), name
    assert answer.departed_at is not None
    assert len(server.requests) == 1


def test_a_server_that_dies_while_the_request_is_written_leaves_it_unknown(serve, settings):
    def script(peer):
        peer.sock.recv(20)
        peer.reset()

    assert send(settings(serve(script).url)).rule == "broken_off"


@pytest.mark.parametrize("how", ["end", "reset"])
def test_a_keep_alive_connection_closed_under_a_request_never_repeats_it(serve, wire, settings, how):
    """The second request meets a server that read it and went away: where HTTP libraries send again."""

    def script(peer):
        peer.request()
        peer.write(wire.accepted)
        peer.request()
        if how == "reset":
            peer.reset()

    server = serve(script)
    first, second = send(settings(server.url), times=2)
    assert (first.outcome, second.outcome) == (Outcome.ACCEPTED, Outcome.UNKNOWN)
    assert (len(server.requests), server.connections) == (2, 1)


def test_a_connection_the_server_closed_between_requests_is_replaced_not_risked(serve, wire, settings):
    closed = threading.Semaphore(0)

    def script(peer):
        if peer.request():
            peer.write(wire.accepted)
            peer.sock.shutdown(socket.SHUT_RDWR)
            closed.release()

    server = serve(script)

    async def run():
        async with AdaProvider(settings(server.url), KEY) as provider:
            answers = []
            for _ in range(3):
                answers.append(await provider.send(PHONE, MESSAGE, "t"))
                await asyncio.to_thread(closed.acquire, timeout=5)
                await asyncio.sleep(0.02)  # the loop sees the end of the connection
            return answers

    assert {answer.outcome for answer in asyncio.run(run())} == {Outcome.ACCEPTED}
    assert (len(server.requests), server.connections) == (3, 3)


def test_an_answer_that_came_before_the_question_is_not_taken_for_its_answer(serve, wire, settings):
    """Without a guard the stray 429 would be taken for the second request's answer, and that sent again."""
    stray, answered, written = wire.http(429, b"{}"), threading.Event(), threading.Event()

    def script(peer):
        while peer.request():
            peer.write(wire.accepted)
            answered.wait(5)
            peer.write(stray)
            written.set()

    server = serve(script)

    async def run():
        async with AdaProvider(settings(server.url), KEY) as provider:
            first = await provider.send(PHONE, MESSAGE, "t")
            answered.set()
            await asyncio.to_thread(written.wait, 5)
            await asyncio.sleep(0.02)  # the loop reads what has come
            return first, await provider.send(PHONE, MESSAGE, "t"), await provider.send(PHONE, MESSAGE, "t")

    first, second, third = asyncio.run(run())
    assert (first.outcome, third.outcome) == (Outcome.ACCEPTED, Outcome.ACCEPTED)
    assert (second.outcome, second.rule, second.departed_at) == (Outcome.RETRY, "never_left", None)
    assert (len(server.requests), server.connections) == (2, 2)


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_is_not_followed_and_stops_the_run(serve, wire, settings, status):
    target = serve(wire.accepted)
    server = serve(wire.http(status, b"", f"Location: {target.url}/message"))
    answer = send(settings(server.url))
    assert (answer.outcome, answer.rule, answer.stops) == (Outcome.UNKNOWN, "redirected", True)
    assert (len(server.requests), len(target.requests)) == (1, 0)


def test_a_body_is_never_written_where_it_could_be_lost_or_misread():
    """Each state of a connection in which aiohttp would write, or fail, is met before a byte leaves."""
    trusted = types.SimpleNamespace(should_close=False)
    closing = types.SimpleNamespace(is_closing=lambda: True)
    usable = types.SimpleNamespace(is_closing=lambda: False)
    for withdrawn, transport, protocol in [
        (True, usable, trusted),
        (False, None, trusted),
        (False, closing, trusted),
        (False, usable, types.SimpleNamespace(should_close=True)),
    ]:
        body = _StampedBody(b"{}", time.time, pytest.fail)
        body.withdrawn = withdrawn
        with pytest.raises(aiohttp.ClientConnectionResetError):
            asyncio.run(
                body.write_with_length(types.SimpleNamespace(transport=transport, protocol=protocol), 2)
            )
        assert body.departed_at is None


def test_an_endless_body_is_cut_off_and_the_connection_dropped(serve, settings):
    def script(peer):
        peer.request()
        peer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 1073741824\r\n\r\n")
        for _ in range(16384):
            peer.write(b" " * 65536)

    server = serve(script)
    started = time.monotonic()
    first, second = send(settings(server.url), times=2)
    assert (first.outcome, first.rule, second.rule) == (Outcome.UNKNOWN, "no_message_id", "no_message_id")
    assert time.monotonic() - started < 3
    assert server.connections == 2


def test_a_small_body_that_unpacks_to_an_endless_one_is_cut_off(serve, wire, settings):
    bomb = gzip.compress(b" " * 50_000_000)
    server = serve(wire.http(200, bomb, "Content-Encoding: gzip"))
    assert send(settings(server.url)).rule == "no_message_id"


@pytest.mark.parametrize("packing", ["gzip", "deflate", "br"])
def test_a_small_body_that_unpacks_to_an_endless_one_takes_no_memory(serve, wire, settings, packing):
    bomb = (gzip if packing == "gzip" else zlib).compress(b" " * 60_000_000)
    assert len(bomb) < 64 * 1024
    server = serve(wire.http(200, bomb, f"Content-Encoding: {packing}"))
    tracemalloc.start()
    try:
        answer = send(settings(server.url))
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert (answer.outcome, answer.rule) == (Outcome.UNKNOWN, "no_message_id")
    assert peak < 20_000_000


@pytest.mark.parametrize(("packing", "pack"), [("gzip", gzip.compress), ("deflate", zlib.compress)])
def test_an_answer_that_was_packed_unasked_is_read(serve, wire, settings, packing, pack):
    body = wire.accepted.partition(b"\r\n\r\n")[2]
    server = serve(wire.http(200, pack(body), f"Content-Encoding: {packing}"))
    assert send(settings(server.url)).outcome is Outcome.ACCEPTED


@pytest.mark.parametrize("pause", ["silence", "trickle"])
def test_a_slow_answer_times_out_as_unknown(serve, settings, pause, monkeypatch):
    monkeypatch.setattr("runner.providers.http_post.CONNECT_SECONDS", 0.2)

    def script(peer):
        peer.request()
        if pause == "trickle":
            peer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 99999\r\n\r\n")
        while not peer.server.over.wait(0.05):
            if pause == "trickle":
                peer.write(b" ")

    server = serve(script)
    started = time.monotonic()
    answer = send(settings(server.url, read_timeout=0.3))
    assert (answer.outcome, answer.rule) == (Outcome.UNKNOWN, "timed_out")
    assert time.monotonic() - started < 2
    assert len(server.requests) == 1


def test_a_detail_never_shows_the_key_or_a_phone(serve, wire, settings):
    said = f"Invalid access token {KEY} for {PHONE}"
    server = serve(wire.http(400, json.dumps({"status": 400, "errorCode": 10203, "message": said}).encode()))
    answer = send(settings(server.url))
    assert (answer.rule, answer.stops, answer.code) == ("bad_token", True, "10203")
    assert answer.detail == "Invalid access token *** for 6012****002"


def test_retry_after_comes_with_the_answer(serve, wire, settings):
    answer = send(settings(serve(wire.http(429, b"slow down", "Retry-After: 3")).url))
    assert (answer.outcome, answer.retry_after) == (Outcome.RETRY, 3.0)


def test_a_message_that_no_request_can_carry_is_refused_unsent(serve, wire, settings):
    server = serve(wire.accepted)
    answer = send(settings(server.url), message=TemplateMessage(name="n", language="en", header=("a", "b")))
    assert (answer.outcome, answer.rule, answer.departed_at) == (Outcome.REFUSED, "unsendable", None)
    assert server.requests == []


def test_a_cancelled_send_is_cancelled_and_its_connection_not_used_again(serve, wire, settings):
    def script(peer):
        peer.request()
        if peer.server.connections > 1:
            peer.write(wire.accepted)
        peer.server.over.wait(5)

    server = serve(script)

    async def run():
        left = asyncio.Event()
        async with AdaProvider(settings(server.url), KEY) as provider:
            task = asyncio.ensure_future(provider.send(PHONE, MESSAGE, "t", lambda at: left.set()))
            await left.wait()
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            return await provider.send(PHONE, MESSAGE, "t")

    assert asyncio.run(run()).outcome is Outcome.ACCEPTED
    assert server.seen(2)
    assert server.connections == 2


def test_a_send_cancelled_before_it_left_writes_nothing(serve, wire, settings):
    server = serve(wire.accepted)

    async def run():
        departures = []
        async with AdaProvider(settings(server.url), KEY) as provider:
            task = asyncio.ensure_future(provider.send(PHONE, MESSAGE, "t", departures.append))
            await asyncio.sleep(0)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
        return departures

    assert asyncio.run(run()) == []
    assert server.requests == []


def test_sending_outside_the_provider_is_a_mistake_of_the_caller(settings):
    provider = AdaProvider(settings("http://127.0.0.1:1"), KEY)
    with pytest.raises(RuntimeError, match="async with"):
        asyncio.run(provider.send(PHONE, MESSAGE, "t"))


_GARBAGE = st.binary(max_size=80) | st.builds(
    lambda head, body: b"HTTP/1.1 " + head + b"\r\n\r\n" + body,
    st.binary(max_size=40),
    st.binary(max_size=40),
)


@given(garbage=_GARBAGE)
@hypothesis_settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_no_bytes_from_a_server_raise_or_prove_that_nothing_was_sent(serve, settings, garbage):
    server = serve(lambda peer: (peer.request(), peer.write(garbage)))
    try:
        answer = send(settings(server.url, read_timeout=1.0))
    finally:
        server.close()
    assert answer.departed_at is not None
    assert answer.outcome is Outcome.UNKNOWN or answer.http_status is not None
    assert len(server.requests) == 1
