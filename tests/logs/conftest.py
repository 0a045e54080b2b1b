"""What the tests of logs share: Treasure Data's sandbox, and a server that answers as a test says."""

from __future__ import annotations

import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from tests.logs.made_runs import Waits
from tests.logs.td_places import td_sandboxes


class Scripted:
    """A server that gives one answer after another: (status, headers, body), or None to hang up."""

    def __init__(self):
        self.answers = []
        self.requests = []
        self.url = ""

    def answer(self, status, body=b'{"elapsed_time": 0.1}', **headers):
        self.answers.append((status, {key.replace("_", "-"): value for key, value in headers.items()}, body))

    def hang_up(self):
        self.answers.append(None)

    @property
    def paths(self):
        return [path for path, _ in self.requests]

    def reply(self, handler):
        length = int(handler.headers.get("Content-Length") or 0)
        self.requests.append((handler.path, handler.rfile.read(length)))
        handler.close_connection = True
        answer = self.answers.pop(0) if self.answers else (200, {}, b'{"elapsed_time": 0.1}')
        if answer is None:
            return
        status, headers, body = answer
        handler.send_response(status)
        for name, value in headers.items():
            handler.send_header(name, value)
        if "Content-Length" not in headers:
            handler.send_header("Content-Length", str(len(body)))
        handler.end_headers()
        handler.wfile.write(body)


@contextmanager
def serving(scripted):
    class Handler(BaseHTTPRequestHandler):
        def log_message(self, *_):
            return

        def do_PUT(self):
            scripted.reply(self)

        do_POST = do_PUT  # noqa: N815

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        scripted.url = f"http://127.0.0.1:{server.server_port}"
        yield scripted
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.fixture
def scripted():
    with serving(Scripted()) as server:
        yield server


@pytest.fixture
def td(tmp_path):
    """A function that starts a Treasure Data sandbox with faults, and returns its URL."""
    with td_sandboxes(tmp_path) as start:
        yield start


@pytest.fixture
def waits():
    """A clock that waiting moves on."""
    return Waits()
