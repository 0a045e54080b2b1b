"""A Treasure Data that redirects: the key goes to no other host."""

import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from runner.errors import TreasureDataError
from runner.treasure_data.account import Account
from runner.treasure_data.client import explained, open_client

KEY = f"1/{'5ec2e7' * 6}abcd"


@contextmanager
def server(answer):
    """Serve `answer(handler)` to every request; yields the URL, and the headers of all that came."""
    seen = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            seen.append(str(self.headers))
            answer(self)

        do_POST = do_PUT = do_GET  # noqa: N815 - http.server's names

        def log_message(self, *_):
            pass

    serving = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=serving.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{serving.server_port}", seen
    finally:
        serving.shutdown()
        serving.server_close()
        thread.join(10)


def empty(handler):
    handler.send_response(200)
    handler.send_header("Content-Length", "2")
    handler.end_headers()
    handler.wfile.write(b"{}")


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
@pytest.mark.parametrize("call", ["list_databases", "job_status", "issue"])
def test_the_key_never_travels_to_another_host(status, call):
    calls = {
        "list_databases": lambda client: client.api.list_databases(),
        "job_status": lambda client: client.api.job_status("1"),
        "issue": lambda client: client.query("db", "SELECT 1", type="trino"),
    }
    with server(empty) as (elsewhere, strays):

        def redirect(handler):
            handler.send_response(status)
            handler.send_header("Location", f"{elsewhere}/v3/database/list")
            handler.send_header("Content-Length", "0")
            handler.end_headers()

        with server(redirect) as (url, asked):
            account = Account(key=KEY, key_source="TD_API_KEY", site=None, api=url, presto=url, cdp=url)
            client = open_client(account)
            with pytest.raises((TreasureDataError, KeyError)), explained(account, "asking"):
                calls[call](client)
    assert KEY in asked[0]
    assert not [headers for headers in strays if KEY in headers or KEY[2:] in headers]
