"""The channels: each kind gets the notice, whatever fails is one line without anything of the address."""

from __future__ import annotations

import json
import logging
import socket
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from runner.channels import Channels
from runner.notice import Notice, NoticeEvent

NOTICE = Notice(
    event=NoticeEvent.FINISHED,
    campaign="promo",
    occurrence="once",
    balance=("2 to send = 2 accepted + 0 refused + 0 unknown + 0 remaining",),
    command="runner status promo",
)


class Receiver:
    """A local web server that keeps what was posted to it, and answers with `status`."""

    def __init__(self):
        self.status = 200
        self.posts = []
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self):
                body = self.rfile.read(int(self.headers["Content-Length"]))
                receiver.posts.append((self.path, body.decode()))
                self.send_response(receiver.status)
                self.end_headers()
                self.wfile.write(b"ok")

            def log_message(self, *_):
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.port = self.server.server_address[1]


@pytest.fixture
def receiver():
    """A local receiver."""
    made = Receiver()
    thread = threading.Thread(target=made.server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    yield made
    made.server.shutdown()
    thread.join()
    made.server.server_close()


class Mailbox:
    """A mail server that takes one message."""

    def __init__(self):
        self.listening = socket.create_server(("127.0.0.1", 0))
        self.port = self.listening.getsockname()[1]
        self.mail = ""
        self.thread = threading.Thread(target=self.serve)
        self.thread.start()

    def serve(self):
        connection, _ = self.listening.accept()
        with connection, connection.makefile("rwb", buffering=0) as stream:
            stream.write(b"220 here\r\n")
            while line := stream.readline():
                verb = line[:4].upper().strip()
                if verb == b"DATA":
                    stream.write(b"354 go on\r\n")
                    lines = iter(stream.readline, b".\r\n")
                    self.mail = b"".join(lines).decode()
                stream.write(b"221 bye\r\n" if verb == b"QUIT" else b"250 ok\r\n")


def told(urls, **options):
    return [(each.channel, each.failure) for each in Channels(urls).tell(NOTICE, **options)]


def test_a_webhook_gets_headline_balance_and_next_command(receiver):
    assert told(f"json://127.0.0.1:{receiver.port}/hook") == [("channel 1 (JSON)", None)]
    ((path, body),) = receiver.posts
    document = json.loads(body)
    assert path == "/hook"
    assert document["title"] == "promo once: finished"
    assert document["message"] == f"{NOTICE.balance[0]}\nnext: runner status promo"
    assert document["type"] == "success"


def test_slack_gets_its_own_payload(receiver, monkeypatch):
    from apprise.plugins.slack import NotifySlack

    monkeypatch.setattr(NotifySlack, "webhook_url", f"http://127.0.0.1:{receiver.port}/services")
    channel = "slack://T1JJ3T3L2/A1BRTD4JD/TIiajkdnlazkcOXrIdevi7/#crm"
    assert told(channel) == [("channel 1 (Slack)", None)]
    ((path, body),) = receiver.posts
    assert path == "/services/T1JJ3T3L2/A1BRTD4JD/TIiajkdnlazkcOXrIdevi7"
    document = json.loads(body)
    assert document["channel"] == "#crm"
    assert "2 to send = 2 accepted" in body
    assert "promo once: finished" in body


def test_teams_gets_an_adaptive_card(receiver, monkeypatch):
    import requests

    post = requests.post
    # A workflow of Teams is reached by TLS only; here the certificate is the one thing that is not real.
    monkeypatch.setattr(
        requests, "post", lambda url, **options: post(url.replace("https://", "http://"), **options)
    )
    channel = f"workflows://127.0.0.1:{receiver.port}/643e8694/s1gn4ture"
    assert told(channel) == [("channel 1 (Power Automate / Workflows (for MSTeams))", None)]
    ((path, body),) = receiver.posts
    assert "/643e8694/" in path
    card = json.loads(body)["attachments"][0]
    assert card["contentType"] == "application/vnd.microsoft.card.adaptive"
    assert "promo once: finished" in body
    assert "next: runner status promo" in body


def test_an_e_mail_is_delivered_by_smtp():
    mailbox = Mailbox()
    url = f"mailto://127.0.0.1:{mailbox.port}?from=runner@example.com&to=crm@example.com&mode=insecure"
    assert told(url) == [("channel 1 (E-Mail)", None)]
    mailbox.thread.join(5)
    mailbox.listening.close()
    assert "Subject: promo once: finished" in mailbox.mail
    assert "crm@example.com" in mailbox.mail
    assert "next: runner status promo" in mailbox.mail


def test_several_addresses_stand_with_blanks_or_commas_between_them(receiver):
    one = f"json://127.0.0.1:{receiver.port}"
    assert len(told(f"{one}/a, {one}/b\n{one}/c")) == 3
    assert {path for path, _ in receiver.posts} == {"/a", "/b", "/c"}


def test_kinds_are_told_without_sending_anything(receiver):
    urls = f"json://u:s3cr3t@127.0.0.1:{receiver.port} nonsense://s3cr3t mailto://u:s3cr3t@example.com"
    assert Channels(urls).kinds() == ["JSON", None, "E-Mail"]
    assert receiver.posts == []


def test_each_failure_is_one_line_with_nothing_of_the_address(receiver, capfd, monkeypatch):
    from apprise.plugins.custom_xml import NotifyXML

    def explode(*_, **__):
        raise ValueError("https://s3cr3t")

    monkeypatch.setattr(NotifyXML, "send", explode)
    receiver.status = 500
    with socket.create_server(("127.0.0.1", 0)) as free:
        closed = free.getsockname()[1]
    here = f"127.0.0.1:{receiver.port}"
    urls = f"json://u:s3cr3t@{here}/s3cr3t json://u:s3cr3t@127.0.0.1:{closed} s3cr3t:// nope://s3cr3t xml://u:s3cr3t@{here}"
    found = told(urls)
    assert found == [
        ("channel 1 (JSON)", "answered with 500"),
        ("channel 2 (JSON)", "could not be reached, or did not take it"),
        ("channel 3", "is no address that apprise knows"),
        ("channel 4", "is no address that apprise knows"),
        ("channel 5 (XML)", "failed (ValueError)"),
    ]
    shown = capfd.readouterr()
    assert "s3cr3t" not in f"{found}{shown.out}{shown.err}"
    assert not logging.getLogger("apprise").propagate


def test_a_channel_that_hangs_delays_nobody_beyond_the_bound(receiver):
    with socket.create_server(("127.0.0.1", 0)) as silent:
        hanging = f"json://127.0.0.1:{silent.getsockname()[1]}"
        began = time.monotonic()
        found = told(f"{hanging} json://127.0.0.1:{receiver.port}", seconds=0.5)
        assert time.monotonic() - began < 2
    assert found == [("channel 1 (JSON)", "took longer than 0.5 s"), ("channel 2 (JSON)", None)]
    assert len(receiver.posts) == 1
