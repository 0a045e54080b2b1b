"""What the command-line tests share: one real sandbox for all of them, and words for what they ask of it."""

from __future__ import annotations

import json
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import RUNNER_YML, TEMPLATES, ProjectFolder, Run, SandboxProcess, sandbox_process


class SharedSandbox(SandboxProcess):
    """A sandbox that many tests use one after another."""

    def post(self, path: str, document: object = None) -> None:
        data = json.dumps(document or {}).encode()
        request = urllib.request.Request(self.url + path, data=data, method="POST")
        urllib.request.urlopen(request, timeout=30).close()

    def faults(self, *faults: str) -> None:
        """Have these faults from now on, and no others."""
        self.post("/sandbox/faults", {"faults": list(faults)})


def shared_sandbox(root: Path, templates: Sequence[object]) -> Iterator[SharedSandbox]:
    """Serve `templates` from a sandbox in a process of its own, without a limit."""
    path = root / "templates.json"
    path.write_text(json.dumps(templates), encoding="utf-8")
    senders = ("--sender", "60110000001", "--sender", "60110000002")
    with sandbox_process(root, "--limit", "none", "--templates", str(path), *senders) as started:
        yield SharedSandbox(url=started.url, process=started.process)


@pytest.fixture(scope="session")
def one_sandbox(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SharedSandbox]:
    yield from shared_sandbox(tmp_path_factory.mktemp("sandbox"), TEMPLATES)


@pytest.fixture(scope="session")
def other_sandbox(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SharedSandbox]:
    """A sandbox whose `promo` template has another text."""
    changed = [{**template, "body": f"{template['body']} Salam."} for template in TEMPLATES]
    yield from shared_sandbox(tmp_path_factory.mktemp("other"), changed)


@pytest.fixture
def sandbox(
    one_sandbox: SharedSandbox, project: ProjectFolder, monkeypatch: pytest.MonkeyPatch
) -> SharedSandbox:
    """The shared sandbox, emptied; the project sends to it without a limit."""
    one_sandbox.post("/sandbox/reset")
    one_sandbox.faults()
    project.write("runner.yml", RUNNER_YML % {"url": one_sandbox.url, "rate": "unlimited"})
    monkeypatch.setenv("ADA_API_URL", one_sandbox.url)
    return one_sandbox


@pytest.fixture
def plan(project: ProjectFolder, sandbox: SharedSandbox, run: Run) -> Callable[..., dict[str, Any]]:
    """Plan the project's campaign, and return its summary."""

    def make(*arguments: str) -> dict[str, Any]:
        result = run("plan", "promo.yml", "--json", *arguments)
        assert result.code in {0, 2}, result.err
        (summary,) = result.json["plans"]
        assert isinstance(summary, dict)
        return summary

    return make


@pytest.fixture
def apply(project: ProjectFolder, sandbox: SharedSandbox, run: Run) -> Callable[..., dict[str, Any]]:
    """Apply the pending plan, and return its entry in the JSON document."""

    def make(*arguments: str) -> dict[str, Any]:
        result = run("apply", "--auto-approve", "--json", *arguments)
        document = result.json
        assert document["format"] == 1
        assert document["exit_code"] == result.code
        (entry,) = document["runs"]
        assert isinstance(entry, dict)
        return {**entry, "err": result.err}

    return make


def accounts(entry: dict[str, Any]) -> tuple[int, ...]:
    """Return to_send, accepted, refused, unknown, remaining of an apply's entry, which add up."""
    found = tuple(entry[key] for key in ("to_send", "accepted", "refused", "unknown", "remaining"))
    assert found[0] == sum(found[1:])
    return found
