"""What tests of several parts share: a project on disk, the command line in this process, a real sandbox."""

from __future__ import annotations

import csv
import json
import os
import signal
import subprocess
import sys
import textwrap
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest

from runner.campaign_file import load_campaign
from runner.errors import FileProblems
from runner.project import Project, ProviderSettings, Rate

#: A shell that starts a job in the background has it ignore Ctrl-C, and all processes below inherit that: the
#: tests that send one would then test nothing. A handler of our own is not inherited, but the default is.
signal.signal(signal.SIGINT, signal.default_int_handler)

#: A token of the right shape; the sandbox asks for no more.
KEY = "c2FuZGJveA.c2FuZGJveA.c2FuZGJveA"

#: The least a campaign file says.
LEAST = """\
campaign: promo
segment: {source: duckdb, query: SELECT 1}
recipient: {id: i, phone: p, consent: c}
template: {name: t, language: id}
"""

RUNNER_YML = """\
providers:
  ada: {url: "%(url)s", sender: "60110000001", rate: "%(rate)s"}
sandbox: {templates: templates.json}
"""

CAMPAIGN = """\
campaign: promo
segment:
  source: duckdb
  query: SELECT * FROM 'data/people.csv'
recipient: {id: id, phone: phone, region: ID, consent: consent}
template: {name: promo, language: id}
variables:
  - {column: name, default: Kak}
  - text: LEBARAN25
"""

TEMPLATES = [
    {
        "name": "promo",
        "language": "id",
        "category": "MARKETING",
        "body": "Halo {{1}}, pakai kode {{2}} hari ini.",
    },
    {
        "name": "paused_promo",
        "language": "id",
        "category": "MARKETING",
        "status": "PAUSED",
        "body": "Halo {{1}}, pakai kode {{2}} hari ini.",
    },
]


@dataclass(frozen=True, kw_only=True)
class Result:
    """What a command came to."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


@dataclass(frozen=True, kw_only=True)
class ProjectFolder:
    """A project on disk that tests change as they like."""

    root: Path

    def write(self, name: str, text: str) -> Path:
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(textwrap.dedent(text), encoding="utf-8")
        return path

    def people(self, rows: Sequence[Sequence[object]], name: str = "data/people.csv") -> None:
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("w", encoding="utf-8", newline="") as stream:
            writer = csv.writer(stream)
            writer.writerow(["id", "phone", "name", "consent"])
            writer.writerows(rows)

    def campaign(self, text: str = CAMPAIGN, name: str = "promo.yml", **changes: str) -> Path:
        for old, new in changes.items():
            text = text.replace(old, new)
        return self.write(name, text)


def mobiles(count: int, start: int = 0) -> list[str]:
    """Return distinct Indonesian mobiles, international digits."""
    return [f"62812{number:08d}" for number in range(start + 30_000_000, start + 30_000_000 + count)]


def people(count: int, start: int = 0) -> list[tuple[object, ...]]:
    """Return rows of people who all may be messaged."""
    return [(f"c{start + n}", phone, f"Ayu {n}", "true") for n, phone in enumerate(mobiles(count, start))]


def write_project(root: Path, *, url: str = "http://127.0.0.1:9", rate: str = "5/s") -> ProjectFolder:
    """Write a small project: two rows, one campaign."""
    folder = ProjectFolder(root=root)
    folder.write("runner.yml", RUNNER_YML % {"url": url, "rate": rate})
    folder.write("templates.json", json.dumps(TEMPLATES))
    folder.people(people(2))
    folder.campaign()
    return folder


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ProjectFolder:
    """A project with two people, being the current folder; no provider is reachable."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("ADA_API_URL", raising=False)
    monkeypatch.delenv("RUNNER_NOTIFY_URLS", raising=False)
    monkeypatch.setenv("ADA_API_KEY", KEY)
    return write_project(tmp_path)


Run = Callable[..., Result]


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Run:
    """Run a command in this process, as `runner` would."""
    from runner.cli import main

    def call(*arguments: str) -> Result:
        capsys.readouterr()
        with pytest.raises(SystemExit) as exit_info:
            main.main(list(arguments))
        captured = capsys.readouterr()
        return Result(code=int(exit_info.value.code or 0), out=captured.out, err=captured.err)

    return call


@pytest.fixture
def unmeasured(monkeypatch):
    """Have the processes of a test run as they do in life: measuring coverage would halve their speed."""
    for name in [name for name in os.environ if name.startswith("COV")]:
        monkeypatch.delenv(name)


@dataclass(kw_only=True)
class SandboxProcess:
    """A sandbox in another process; its own record is the judge."""

    url: str
    process: subprocess.Popen[str] = field(repr=False)

    def get(self, path: str) -> Any:
        with urllib.request.urlopen(self.url + path, timeout=30) as answer:
            return json.load(answer)

    def messages(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self.get("/sandbox/messages.json?limit=100000")["messages"]
        return found

    def accepted(self) -> list[str]:
        """Return the phones of messages that reached one, in the order of arrival."""
        return [message["to"] for message in self.messages() if message["accepted"]]

    def stats(self) -> dict[str, Any]:
        found: dict[str, Any] = self.get("/sandbox/stats.json")
        return found


@contextmanager
def sandbox_process(cwd: Path, *options: str) -> Iterator[SandboxProcess]:
    """Start `runner sandbox` in `cwd` as a process of its own; stop it at the end."""
    command = [sys.executable, "-m", "runner", "sandbox", "--json", *options]
    process = subprocess.Popen(command, cwd=cwd, stdout=subprocess.PIPE, text=True, env=os.environ)
    assert process.stdout is not None
    try:
        ready = json.loads(process.stdout.readline())
        yield SandboxProcess(url=ready["url"], process=process)
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(20)
        process.stdout.close()


@pytest.fixture
def start_sandbox(
    project: ProjectFolder, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Callable[..., SandboxProcess]]:
    """Start a real sandbox for the project, and point the environment at it."""
    from contextlib import ExitStack

    with ExitStack() as stack:

        def start(*options: str) -> SandboxProcess:
            sandbox = stack.enter_context(sandbox_process(project.root, *options))
            monkeypatch.setenv("ADA_API_URL", sandbox.url)
            return sandbox

        yield start


@pytest.fixture
def empty_project(tmp_path):
    """A project of which nothing is on disk."""
    ada = ProviderSettings(name="ada", url=None, sender="60110000001", rate=Rate(per_second=5.0))
    return Project(
        root=tmp_path,
        data=tmp_path / "data",
        state=tmp_path / ".runner",
        ledger="sqlite:///x.db",
        providers={"ada": ada},
    )


@pytest.fixture
def load(tmp_path, empty_project):
    """Load a text as the campaign file campaigns/x.yml."""

    def load_text(text, **changes):
        path = tmp_path / "campaigns" / "x.yml"
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return load_campaign(path, replace(empty_project, **changes))

    return load_text


@pytest.fixture
def problems(load):
    """Return all problems of a text, without the file's name."""

    def problems_of(text, **changes):
        with pytest.raises(FileProblems) as caught:
            load(text, **changes)
        return [str(problem).split("campaigns/x.yml:")[1] for problem in caught.value.problems]

    return problems_of
