"""docs/operations.md: its nginx fragment as nginx itself reads it, in front of a real listener, with TLS."""

from __future__ import annotations

import json
import os
import re
import shutil
import socket
import ssl
import subprocess
import time
import urllib.error
import urllib.request
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.cli.test_receipts_listen import SECRET, listener_process

PAGE = Path(__file__).parents[1] / "docs/operations.md"
NGINX = shutil.which("nginx", path=f"{os.environ['PATH']}:/usr/sbin")

pytestmark = pytest.mark.skipif(
    NGINX is None and os.environ.get("RUNNER_TEST_NGINX") != "required", reason="nginx is not installed here"
)

_WHOLE = """\
daemon off;
pid {folder}/nginx.pid;
error_log {folder}/error.log;
events {{}}
http {{
    access_log {folder}/access.log;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
{server}
}}
"""


def free_port():
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return found.getsockname()[1]


@pytest.fixture
def configuration(tmp_path):
    """Return a function that writes the page's fragment as a whole configuration, on ports of the test."""
    (server,) = re.findall(
        r"^```nginx\n(.*?)^```$", PAGE.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL
    )
    subject = ["-subj", "/CN=localhost", "-addext", "subjectAltName=IP:127.0.0.1"]
    made = ["-x509", "-newkey", "rsa:2048", "-nodes", "-days", "1", "-keyout", "key.pem", "-out", "cert.pem"]
    subprocess.run(["openssl", "req", *made, *subject], cwd=tmp_path, check=True, capture_output=True)

    def write(port=8443, upstream="http://127.0.0.1:8070"):
        changes = {
            r"/etc/letsencrypt/live/hooks\.example\.com/fullchain\.pem": f"{tmp_path}/cert.pem",
            r"/etc/letsencrypt/live/hooks\.example\.com/privkey\.pem": f"{tmp_path}/key.pem",
            r"listen 443 ssl": f"listen 127.0.0.1:{port} ssl",
            r"http://127\.0\.0\.1:8070": upstream,
        }
        text = server
        for old, new in changes.items():
            text, count = re.subn(old, new, text)
            assert count == 1, old
        path = tmp_path / "nginx.conf"
        path.write_text(_WHOLE.format(folder=tmp_path, server=text))
        return path

    return write


def test_nginx_takes_the_fragment(configuration, tmp_path):
    told = subprocess.run(
        [NGINX, "-t", "-c", configuration(), "-p", tmp_path], capture_output=True, text=True
    )
    assert told.returncode == 0, told.stderr
    assert "warn" not in told.stderr


@contextmanager
def nginx(path, port):
    process = subprocess.Popen([NGINX, "-c", path, "-p", path.parent], stderr=subprocess.DEVNULL)
    try:
        for _ in range(200):
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", port)) == 0:
                    break
            time.sleep(0.05)
        yield
    finally:
        process.terminate()
        process.wait(20)


def test_behind_nginx_with_tls_only_the_secret_path_leads_to_the_listener(
    project, run, configuration, tmp_path
):
    port = free_port()
    data = {"id": "x", "custNo": "6281230000000", "status": "delivered"}
    webhook = json.dumps({"eventType": "MessageStatus", "data": data}).encode()
    trusted = ssl.create_default_context(cafile=str(tmp_path / "cert.pem"))

    def post(path, body=webhook, method="POST"):
        request = urllib.request.Request(f"https://127.0.0.1:{port}{path}", data=body, method=method)
        try:
            with urllib.request.urlopen(request, timeout=20, context=trusted) as answer:
                return answer.status
        except urllib.error.HTTPError as error:
            return error.code

    with (
        listener_process(project.root, RUNNER_WEBHOOK_SECRET=SECRET) as (url, _),
        nginx(configuration(port, url), port),
    ):
        assert post(f"/webhooks/ada/{SECRET}") == 200
        assert post(f"/webhooks/ada/{SECRET}", method="PUT") == 200
        assert post("/webhooks/ada/wrong-secret-0123456") == 401
        assert post(f"/webhooks/ada/{SECRET}", b"x" * 70_000) == 413
        assert post(f"/webhooks/ada/{SECRET}", None, "GET") == 403
        assert post(f"/{SECRET}") == 404
    found = run("receipts", "list", "--unmatched", "--json").json
    assert found["unmatched"] + found["waiting"] == 2
    logs = "".join(path.read_text() for path in tmp_path.glob("*.log"))
    assert f"/webhooks/ada/{SECRET}" not in logs
