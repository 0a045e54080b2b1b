"""RUNNER_PLAN_KEY: plans encrypted at rest, from planning to sending."""

from __future__ import annotations

import base64

import pytest

from tests.cli.conftest import accounts
from tests.conftest import mobiles, people

KEY = base64.b64encode(b"k" * 32).decode()


@pytest.fixture
def key(monkeypatch):
    monkeypatch.setenv("RUNNER_PLAN_KEY", KEY)


def pending(project):
    (path,) = (project.root / ".runner/plans").glob("*.plan")
    return path


def test_a_plan_made_with_the_key_is_encrypted_shown_explained_and_sent(
    project, key, plan, apply, run, sandbox
):
    project.people(people(3))
    made = plan()
    content = pending(project).read_bytes()
    assert content.startswith(b"RPLANENC")
    assert mobiles(1)[0].encode() not in content
    assert run("show", str(pending(project)), "--json").json["plans"][0]["digest"] == made["digest"]
    (found,) = run("explain", f"+{mobiles(1)[0]}", "--json").json["plans"]
    assert found["verdict"] == "to_send"
    assert accounts(apply()) == (3, 3, 0, 0, 0)
    assert sorted(sandbox.accepted()) == mobiles(3)


def test_a_plan_made_without_the_key_is_still_shown_and_sent_with_it(project, plan, apply, run, monkeypatch):
    plan()
    monkeypatch.setenv("RUNNER_PLAN_KEY", KEY)
    assert run("show", str(pending(project))).code == 0
    assert accounts(apply()) == (2, 2, 0, 0, 0)


@pytest.mark.parametrize("command", [("show",), ("apply", "--auto-approve")])
@pytest.mark.parametrize(
    ("now", "words"),
    [
        (None, "is encrypted, and RUNNER_PLAN_KEY is not set"),
        (base64.b64encode(b"o" * 32).decode(), "is encrypted with another key than RUNNER_PLAN_KEY holds"),
    ],
)
def test_without_its_key_an_encrypted_plan_gives_one_clear_line_and_nothing_is_sent(
    project, plan, run, sandbox, monkeypatch, command, now, words
):
    monkeypatch.setenv("RUNNER_PLAN_KEY", KEY)
    plan()
    path = pending(project)
    monkeypatch.delenv("RUNNER_PLAN_KEY")
    if now:
        monkeypatch.setenv("RUNNER_PLAN_KEY", now)
    result = run(*command, str(path))
    assert result.code == 1
    assert words in result.err
    assert "set RUNNER_PLAN_KEY to the key that it was made with" in result.err
    assert "Traceback" not in result.err
    assert sandbox.messages() == []


def test_an_encrypted_plan_with_one_flipped_bit_sends_nothing(project, key, plan, run, sandbox):
    plan()
    path = pending(project)
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    result = run("apply", "--auto-approve")
    assert result.code == 1
    assert "was edited or damaged" in result.err
    assert sandbox.messages() == []


def test_a_key_that_is_none_is_told_before_anything_is_asked_or_read(project, run, monkeypatch):
    monkeypatch.setenv("RUNNER_PLAN_KEY", "too short")
    result = run("plan", "promo.yml")
    assert result.code == 1
    assert "RUNNER_PLAN_KEY is not a key: 32 bytes in base64" in result.err


def test_whatever_an_encrypted_run_leaves_is_for_its_owner_and_its_plan_in_no_clear_text(
    project, key, plan, apply
):
    plan()
    apply()
    state = project.root / ".runner"
    assert {path.stat().st_mode & 0o777 for path in [state, *state.rglob("*")] if path.is_dir()} == {0o700}
    assert {path.stat().st_mode & 0o777 for path in state.rglob("*") if path.is_file()} == {0o600}
    assert list((state / "work").iterdir()) == []
    holders = [path.name for path in state.rglob("*") if path.is_file() and b"Ayu 0" in path.read_bytes()]
    assert holders == []
