"""Raw loopback servers that answer, or misbehave, byte by byte; shared by the tests of the providers."""

from __future__ import annotations

import os
import shutil
import socket
import ssl
import struct
import subprocess
import threading
import types

import pytest

from runner.project import ProviderSettings, Rate

ACCEPTED = b'{"status":200,"errorCode":0,"message":"Success","data":["7c1f0f0e-0000-4000-8000-00000000abcd"]}'


def http(status, body=b"", *headers):
    """Return the bytes of an HTTP answer."""
    lines = [f"HTTP/1.1 {status} x", f"Content-Length: {len(body)}", *headers]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


@pytest.fixture
def wire():
    """Hand out what tests write on the wire: `wire.http(...)` and the answer `wire.accepted`."""
    return types.SimpleNamespace(http=http, accepted=http(200, ACCEPTED, "Content-Type: application/json"))


class Peer:
    """One connection, as the server's script sees it."""

    def __init__(self, sock, server):
        self.sock, self.server = sock, server

    def request(self):
        """Read and record one whole request; None once the client is gone."""
        data = b""
        while b"\r\n\r\n" not in data:
            part = self.sock.recv(65536)
            if not part:
                return None
            data += part
        head, _, body = data.partition(b"\r\n\r\n")
        lengths = [line for line in head.split(b"\r\n") if line.lower().startswith(b"content-length:")]
        wanted = int(lengths[0].split(b":")[1]) if lengths else 0
        while len(body) < wanted:
            body += self.sock.recv(65536)
        self.server.requests.append((head, body))
        return head, body

    def write(self, data):
        self.sock.sendall(data)

    def reset(self):
        """Close so that the client sees a reset instead of an end."""
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.sock.close()


class RawServer:
    """Runs `script(peer)` for every connection, in a thread of its own, until the test ends."""

    def __init__(self, script, context=None):
        self.requests, self.connections, self.sockets = [], 0, []
        self._script, self._context = script, context
        self.over = threading.Event()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        scheme = "https" if context else "http"
        self.url = f"{scheme}://127.0.0.1:{self.port}"
        self._threads = [threading.Thread(target=self._accept, daemon=True)]
        self._threads[0].start()

    def _accept(self):
        while True:
            try:
                sock, _ = self._listener.accept()
            except OSError:
                return
            self.connections += 1
            self.sockets.append(sock)
            thread = threading.Thread(target=self._serve, args=(sock,), daemon=True)
            self._threads.append(thread)
            thread.start()

    def _serve(self, sock):
        try:
            if self._context:
                sock = self._context.wrap_socket(sock, server_side=True)
                self.sockets.append(sock)
            self._script(Peer(sock, self))
        except (OSError, ValueError):
            pass
        finally:
            sock.close()

    def seen(self, count):
        """Wait until `count` requests were read; tells whether they were."""
        for _ in range(500):
            if len(self.requests) >= count:
                break
            self.over.wait(0.01)
        return len(self.requests) == count

    def close(self):
        if self.over.is_set():
            return
        self.over.set()
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for sock in self.sockets:
            sock.close()
        for thread in self._threads:
            thread.join(5)


@pytest.fixture
def serve():
    """Start a RawServer: `serve(script)`, or `serve(bytes)` to answer every request; `context` means TLS."""
    servers = []

    def start(script, context=None):
        if isinstance(script, bytes):
            answer = script

            def script(peer):
                while peer.request():
                    peer.write(answer)

        servers.append(RawServer(script, context))
        return servers[-1]

    yield start
    for server in servers:
        server.close()


@pytest.fixture
def closed_port():
    """Return a port of this machine that nobody listens at."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return listener.getsockname()[1]


@pytest.fixture(autouse=True)
def _plain_environment(monkeypatch, tmp_path):
    """Keep this machine's proxies, certificates and netrc out of the tests."""
    for name in list(os.environ):
        if name.lower().endswith("_proxy") or name in {"REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "NETRC"}:
            monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path))


@pytest.fixture(scope="session")
def certificate(tmp_path_factory):
    """Make a self-signed certificate for 127.0.0.1; returns (certificate file, server context)."""
    if not shutil.which("openssl"):
        pytest.skip("openssl is not installed")
    folder = tmp_path_factory.mktemp("tls")
    command = "openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=127.0.0.1"
    command += " -addext subjectAltName=IP:127.0.0.1"
    files = ["-keyout", str(folder / "key.pem"), "-out", str(folder / "cert.pem")]
    subprocess.run([*command.split(), *files], check=True, capture_output=True)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "cert.pem", folder / "key.pem")
    return folder / "cert.pem", context


@pytest.fixture
def settings():
    """Make ProviderSettings for a URL."""

    def make(url, **changes):
        defaults = {"name": "ada", "url": url, "sender": "60110000001", "rate": Rate(per_second=5.0)}
        return ProviderSettings(**{**defaults, "read_timeout": 5.0, **changes})

    return make
