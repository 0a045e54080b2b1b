"""What the command-line tests share: one real sandbox for all of them, and words for what they ask of it."""

from __future__ import annotations

import json
import urllib.request
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from ..conftest import RUNNER_YML, TEMPLATES, ProjectFolder, SandboxProcess, sandbox_process


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
    with sandbox_process(root, "--limit", "none", "--templates", str(path)) as started:
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
