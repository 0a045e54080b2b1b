"""The pages of a service over HTTP: /healthz for whoever restarts it, /metrics for Prometheus."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

from runner.cli.service import Service

#: How long a client may take with its request, in seconds.
_PATIENCE = 10.0


@contextmanager
def pages_served(service: Service, host: str, port: int, allows: Callable[[str], bool]) -> Iterator[str]:
    """Serve the pages until the context ends; give their address. `allows` judges Host headers."""

    class Handler(_Handler):
        pass

    Handler.service, Handler.allows = service, staticmethod(allows)
    server = ThreadingHTTPServer((host, port), Handler)
    server.daemon_threads = True
    thread = Thread(target=server.serve_forever, name="pages", daemon=True)
    thread.start()
    try:
        name = f"[{host}]" if ":" in host else host
        yield f"http://{name}:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()


class _Handler(BaseHTTPRequestHandler):
    service: Service
    allows: Callable[[str], bool]
    timeout = _PATIENCE
    server_version, sys_version = "runner", ""

    def do_GET(self) -> None:
        """Answer with a page."""
        if not self.allows(self.headers.get("Host", "")):
            self._answer(403, "text/plain", b"not by this name\n")
        elif self.path == "/healthz":
            is_well, document = self.service.health()
            self._answer(200 if is_well else 503, "application/json", json.dumps(document).encode() + b"\n")
        elif self.path == "/metrics":
            from runner.reports.metrics import CONTENT_TYPE, metrics_text

            self._answer(200, CONTENT_TYPE, metrics_text(self.service.facts()))
        else:
            self._answer(404, "text/plain", b"/healthz and /metrics are all there is\n")

    def log_message(self, format: str, *arguments: object) -> None:  # noqa: A002 - the library's name
        """Say nothing of requests."""

    def _answer(self, status: int, kind: str, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
