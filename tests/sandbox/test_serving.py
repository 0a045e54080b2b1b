import json
import os
import signal
import socket
import stat
import subprocess
import sys

import pytest
import requests

from runner.errors import UsageError
from runner.sandbox.ada_server import host_check
from runner.sandbox.serving import running_sandbox
from runner.sandbox.settings import SandboxSettings

FOREGROUND = """
import pathlib, sys
from runner.sandbox.serving import serve
from runner.sandbox.settings import SandboxSettings
serve(
    SandboxSettings(limit=None, record_file=pathlib.Path(sys.argv[1])),
    lambda running: print(running.url, flush=True),
)
print("stopped")
"""


@pytest.fixture
def foreground(tmp_path):
    process = subprocess.Popen(
        [sys.executable, "-c", FOREGROUND, str(tmp_path / "record.jsonl")], stdout=subprocess.PIPE, text=True
    )
    try:
        process.url = process.stdout.readline().strip()
        yield process
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


def send(url):
    message = {"platform": "WA", "from": "60110000001", "to": "60120000001", "type": "text", "text": "Hai 🌙"}
    return requests.post(
        f"{url}/message", json=message, headers={"Authorization": "Bearer a.b.c"}, timeout=10
    )


def test_a_sandbox_in_the_process_names_its_addresses_and_ends_with_the_block():
    with running_sandbox(SandboxSettings()) as running:
        assert running.url.startswith("http://127.0.0.1:")
        assert requests.get(running.page_url, timeout=10).status_code == 200
        assert requests.get(running.stats_url, timeout=10).json()["total"] == 0
        assert requests.get(running.messages_url, timeout=10).json()["messages"] == []
        assert running.sandbox.record.total == 0
    with pytest.raises(requests.ConnectionError):
        requests.get(running.page_url, timeout=10)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_sandbox_in_the_foreground_ends_in_order_on_a_signal(foreground, number):
    assert send(foreground.url).status_code == 200
    foreground.send_signal(number)
    assert foreground.stdout.read() == "stopped\n"
    assert foreground.wait(10) == 0


def test_the_record_file_outlives_a_kill(foreground, tmp_path):
    message_id = send(foreground.url).json()["data"][0]
    os.kill(foreground.pid, signal.SIGKILL)
    foreground.wait(10)
    file = tmp_path / "record.jsonl"
    (line,) = file.read_text(encoding="utf-8").splitlines()
    arrival = json.loads(line)
    assert (arrival["to"], arrival["id"], arrival["message"]["text"]) == ("60120000001", message_id, "Hai 🌙")
    assert "Bearer" not in line
    assert stat.S_IMODE(file.stat().st_mode) == 0o600


def test_a_port_in_use_is_said_in_one_line():
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with (
            pytest.raises(UsageError, match=f"port {port}") as caught,
            running_sandbox(SandboxSettings(port=port)),
        ):
            pass
    assert "another port" in caught.value.hint


def test_a_record_file_that_cannot_be_written_is_said(tmp_path):
    settings = SandboxSettings(record_file=tmp_path / "none" / "record.jsonl")
    with pytest.raises(UsageError, match="cannot be written"), running_sandbox(settings):
        pass


def test_a_sandbox_on_every_address_is_reached_by_loopback():
    with running_sandbox(SandboxSettings(host="0.0.0.0")) as running:
        assert running.url.startswith("http://127.0.0.1:")
        assert send(running.url).status_code == 200


@pytest.mark.parametrize(
    ("bound", "host", "allowed"),
    [
        ("127.0.0.1", "127.0.0.1:8080", True),
        ("127.0.0.1", "localhost:8080", True),
        ("127.0.0.1", "LOCALHOST", True),
        ("127.0.0.1", "[::1]:80", True),
        ("::1", "[::1]:80", True),
        ("localhost", "127.0.0.1", True),
        ("127.0.0.2", "127.0.0.2:80", True),
        ("127.0.0.1", "evil.example", False),
        ("127.0.0.1", "127.0.0.1.evil.example", False),
        ("127.0.0.1", "", False),
        ("0.0.0.0", "anything", True),
        ("sandbox.example", "anything", True),
    ],
)
def test_a_loopback_sandbox_answers_to_loopback_names_alone(bound, host, allowed):
    assert host_check(bound)(host) is allowed
