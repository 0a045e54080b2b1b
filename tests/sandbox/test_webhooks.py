"""The sandbox's webhooks: what becomes of a message, in ADA's shape, to one URL."""

import json
import threading
import time
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from runner.errors import UsageError
from runner.sandbox.settings import SandboxSettings


@pytest.fixture
def hook():
    """A server that takes webhooks: its URL, what it took, and how often it first says 503."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self):
            body = self.rfile.read(int(self.headers["Content-Length"]))
            refused = server.refusals > 0
            server.refusals -= refused
            if not refused:
                server.taken.append(json.loads(body))
            self.send_response(503 if refused else 200)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_):
            pass

    server = HTTPServer(("127.0.0.1", 0), Handler)
    server.taken, server.refusals = [], 0
    server.url = f"http://127.0.0.1:{server.server_port}/hook"
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


def taken(hook, count):
    deadline = time.monotonic() + 20
    while len(hook.taken) < count:
        assert time.monotonic() < deadline, hook.taken
        time.sleep(0.01)
    return hook.taken


def test_an_accepted_message_is_sent_delivered_and_every_other_one_read(start, hook):
    client = start(webhook=hook.url)
    ids = [client.send(to).json()["data"][0] for to in ("60120000001", "60120000002")]
    told = [(each["data"]["id"], each["data"]["status"]) for each in taken(hook, 5)]
    assert sorted(told) == sorted(
        [(ids[0], "sent"), (ids[0], "delivered"), (ids[1], "sent"), (ids[1], "delivered"), (ids[1], "read")]
    )
    first = hook.taken[0]
    assert (first["eventType"], first["platform"], first["accountNo"]) == (
        "MessageStatus",
        "WA",
        "60110000001",
    )
    assert len(first["data"]["timestamp"]) == len("2024-01-02 03:04:05")


def test_an_unknown_template_fails_later_in_adas_words(start, hook):
    start(webhook=hook.url).send(templateName="nothing")
    (told,) = taken(hook, 1)
    assert told["data"]["status"] == "coreapp return error"
    assert told["data"]["detailError"] == "template_name (nothing) does not exist in en "


def test_of_a_message_that_was_not_accepted_nothing_is_told(start, hook):
    client = start(webhook=hook.url)
    client.send(platform="LINE")
    client.send()
    assert {each["data"]["custNo"] for each in taken(hook, 3)} == {"60120000001"}
    assert len(hook.taken) == 3


def test_who_writes_to_the_business_number_is_told_of(start, hook):
    client = start(webhook=hook.url)
    assert client.post("/sandbox/inbound", {"from": "60120000001", "text": "STOP"}).status_code == 200
    (told,) = taken(hook, 1)
    assert (told["eventType"], told["data"]["custNo"], told["data"]["text"]) == (
        "Message",
        "60120000001",
        "STOP",
    )


@pytest.mark.parametrize("document", [None, {}, {"from": 1, "text": "x"}, {"from": "60120000001"}])
def test_words_of_nobody_are_a_clear_error(start, hook, document):
    answer = start(webhook=hook.url).post("/sandbox/inbound", document)
    assert (answer.status_code, "--webhook" in answer.json()["hint"]) == (400, True)


def test_without_a_webhook_nobody_can_be_told(start):
    assert start().post("/sandbox/inbound", {"from": "60120000001", "text": "STOP"}).status_code == 400


def test_a_webhook_that_is_not_taken_comes_again(start, hook):
    hook.refusals = 1
    start(webhook=hook.url).send()
    assert {each["data"]["status"] for each in taken(hook, 2)} == {"sent", "delivered"}


def test_nobody_at_the_other_end_keeps_no_message_from_being_accepted(start):
    assert start(webhook="http://127.0.0.1:9/").send().status_code == 200


def test_what_is_no_url_is_a_clear_error():
    with pytest.raises(UsageError, match="no URL"):
        SandboxSettings(webhook="example.com")
