"""A sandbox on a loopback port, and a client that talks to it as a sender would."""

import base64
import json
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field

import pytest
import requests

from runner.sandbox.serving import RunningSandbox, running_sandbox
from runner.sandbox.settings import SandboxSettings


def make_token(**claims):
    part = base64.urlsafe_b64encode(json.dumps(claims).encode()).rstrip(b"=").decode()
    return f"eyJhbGciOiJIUzI1NiJ9.{part}.c2lnbmF0dXJl"


@dataclass
class Client:
    running: RunningSandbox
    session: requests.Session
    token: str = field(default_factory=make_token)

    @property
    def headers(self):
        return {"Authorization": f"Bearer {self.token}"}

    def send(self, to="60120000001", *, path="/message", timeout=10, **fields):
        message = {
            "platform": "WA",
            "from": "60110000001",
            "to": to,
            "type": "template",
            "templateName": "order_update",
            "templateLang": "en",
            "templateData": ["Aina", "A-1001"],
            "templateButton": [],
            "tag1": f"demo/once/{to}",
            **fields,
        }
        return self.session.post(
            self.running.url + path,
            json=message,
            headers=self.headers,
            timeout=timeout,
            allow_redirects=False,
        )

    def get(self, path, **headers):
        return self.session.get(self.running.url + path, headers={**self.headers, **headers}, timeout=10)

    def post(self, path, document=None, **headers):
        return self.session.post(
            self.running.url + path, json=document, headers={**self.headers, **headers}, timeout=10
        )

    def arrived(self, query=""):
        return self.get(f"/sandbox/messages.json{query}").json()


@pytest.fixture
def token():
    return make_token


@pytest.fixture
def start() -> Iterator:
    with ExitStack() as stack:

        def starter(**settings) -> Client:
            settings = {"limit": None, **settings}
            running = stack.enter_context(running_sandbox(SandboxSettings(**settings)))
            session = stack.enter_context(requests.Session())
            session.trust_env = False
            return Client(running, session)

        yield starter
