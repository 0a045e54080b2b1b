import socket
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runner.sandbox.faults import parse_fault
from runner.sandbox.quick_door import Posted, Reading, read_posted
from runner.sandbox.serving import running_sandbox
from runner.sandbox.settings import Latency, SandboxSettings

BODY = b'{"platform":"WA","from":"60110000001","to":"60120000001","type":"text","text":"Hi"}'


def request(*extra, path=b"/message", body=BODY, length=None):
    head = [
        b"POST %b HTTP/1.1" % path,
        b"Host: 127.0.0.1",
        b"Authorization: Bearer a.b.c",
        b"Content-Length: %d" % (len(body) if length is None else length),
        *extra,
    ]
    return b"\r\n".join(head) + b"\r\n\r\n" + body


def talk(client, data, *, until):
    """Send bytes as they are, and read until `until` answers have come or the connection ends."""
    host, port = client.running.url.removeprefix("http://").split(":")
    received = b""
    with socket.create_connection((host, int(port)), timeout=10) as connection:
        connection.sendall(data)
        while received.count(b"HTTP/1.1 ") < until or not received.endswith(b"}"):
            data = connection.recv(65536)
            if not data:
                break
            received += data
    return received


def test_a_plain_message_is_read_whole():
    posted = read_posted(request() + b"rest")
    assert posted == Posted("Bearer a.b.c", "127.0.0.1", BODY, b"rest")
    assert read_posted(request(path=b"/prod/message")).body == BODY


@given(st.integers(0, len(request()) - 1))
def test_any_beginning_of_a_message_is_incomplete(cut):
    assert read_posted(request()[:cut]) is Reading.INCOMPLETE


@given(st.binary(max_size=200))
def test_any_bytes_are_read_or_called_unusual(noise):
    assert read_posted(noise) in (Reading.INCOMPLETE, Reading.UNUSUAL)
    read_posted(b"POST /message HTTP/1.1\r\n" + noise + b"\r\n\r\n")


def test_whatever_is_not_plain_is_unusual():
    unusual = [
        b"GET /message HTTP/1.1\r\n\r\n",
        request(path=b"/messages"),
        request(path=b"/message?x=1"),
        request(b"Transfer-Encoding: chunked"),
        request(b"Content-Encoding: gzip"),
        request(b"Expect: 100-continue"),
        request(b"Connection: close"),
        request(b"Content-Length: 3"),
        request(b" folded"),
        request(b"No-Colon"),
        request(length=-1),
        request(length=300_000),
        request(length=10**12),
        b"POST /message HTTP/1.1\r\nHost: x\r\n\r\n",
        b"POST /message HTTP/1.1\r\nX: " + b"x" * 20_000,
    ]
    assert {read_posted(data) for data in unusual} == {Reading.UNUSUAL}


def test_a_message_byte_by_byte_arrives_once(start):
    client = start()
    host, port = client.running.url.removeprefix("http://").split(":")
    data = request()
    with socket.create_connection((host, int(port)), timeout=10) as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for index in range(len(data)):
            connection.send(data[index : index + 1])
        assert connection.recv(65536).startswith(b"HTTP/1.1 200 OK\r\n")
    assert client.arrived()["total"] == 1


def test_pipelined_messages_are_answered_in_turn(start):
    for latency in (Latency(), Latency(base=0.01)):
        client = start(latency=latency)
        received = talk(client, request() * 3, until=3)
        assert received.count(b"HTTP/1.1 200 OK") == 3
        ids = [message["id"].encode() for message in client.arrived()["messages"]]
        assert [received.index(message_id) for message_id in ids] == sorted(map(received.index, ids))


def test_a_connection_that_becomes_unusual_is_handed_over_with_its_bytes(start):
    client = start()
    received = talk(
        client, request() + request(path=b"/message?x=1") + request(b"Connection: close"), until=4
    )
    assert received.count(b"HTTP/1.1 200 OK") == 3
    assert client.arrived()["total"] == 3


def test_messages_behind_a_reset_are_not_read(start):
    client = start(faults=(parse_fault("truncated:#1"),))
    received = talk(client, request() * 2, until=2)
    assert received.startswith(b"HTTP/1.1 200 OK")
    assert not received.endswith(b"}")
    assert client.arrived()["total"] == 1


def test_a_client_that_leaves_before_its_answer_disturbs_nobody(start):
    client = start(latency=Latency(base=0.05))
    host, port = client.running.url.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port)), timeout=10) as connection:
        connection.sendall(request())
    assert client.send().status_code == 200
    assert client.arrived()["accepted"] == 2


def test_a_stop_does_not_wait_for_slow_answers():
    began = time.monotonic()
    with running_sandbox(SandboxSettings(faults=(parse_fault("slow-after-accept"),))) as running:
        host, port = running.url.removeprefix("http://").split(":")
        quick = socket.create_connection((host, int(port)), timeout=10)
        slow = socket.create_connection((host, int(port)), timeout=10)
        quick.sendall(request())
        slow.sendall(request(path=b"/message?x=1"))
        while running.sandbox.record.accepted < 2:
            time.sleep(0.001)
    with quick, slow:
        assert [quick.recv(100), slow.recv(100)] == [b"", b""]
    assert time.monotonic() - began < 10


def flood(connection):
    while True:
        connection.sendall(request() * 500)


def test_a_client_that_sends_on_and_on_without_reading_is_cut_off(start):
    client = start(faults=(parse_fault("slow-after-accept"),))
    host, port = client.running.url.removeprefix("http://").split(":")
    with (
        socket.create_connection((host, int(port)), timeout=10) as connection,
        pytest.raises((ConnectionResetError, BrokenPipeError)),
    ):
        flood(connection)
    assert client.arrived()["total"] == 1


def test_an_interrupted_message_does_not_arrive(start):
    client = start()
    host, port = client.running.url.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port)), timeout=10) as connection:
        connection.sendall(request()[:-1])
    assert client.arrived()["total"] == 0
