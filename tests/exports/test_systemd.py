"""The units of systemd, as systemd itself verifies them."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from runner.exports.machine import Machine
from runner.exports.systemd import SERVICE, TIMER, unit_texts

ANALYZE = shutil.which("systemd-analyze")
needs_systemd = pytest.mark.skipif(ANALYZE is None, reason="systemd-analyze is not installed here")


def units(root, every=5, command=(sys.executable, "-m", "runner"), writable=()):
    machine = Machine(root=root, command=command, environment=root / "tick.env", every=every)
    return unit_texts(machine, user="root", writable=writable or (root,))


def verify(folder, texts):
    for name, text in texts.items():
        (folder / name).write_text(text, encoding="utf-8")
    paths = [str(folder / name) for name in texts]
    return subprocess.run([ANALYZE, "verify", "--man=no", *paths], capture_output=True, text=True)


@needs_systemd
@pytest.mark.parametrize("name", ["campaigns", 'it\'s 100% "ours" $HOME; new'])
def test_systemd_finds_nothing_wrong_with_the_units(tmp_path, name):
    root = tmp_path / name
    root.mkdir()
    runner = root / "runner"
    runner.write_text("#!/bin/sh\n")
    runner.chmod(0o755)
    result = verify(tmp_path, units(root, command=(str(runner),), writable=(root, tmp_path)))
    assert (result.returncode, result.stderr) == (0, "")


@needs_systemd
def test_systemd_would_find_a_command_that_is_not_there(tmp_path):
    result = verify(tmp_path, units(tmp_path, command=("/no/such/runner",)))
    assert result.returncode != 0
    assert "/no/such/runner" in result.stderr


@needs_systemd
@pytest.mark.parametrize("every", [1, 2, 3, 4, 5, 6, 10, 12, 15])
def test_ticks_come_so_many_minutes_apart(tmp_path, every):
    (calendar,) = [line for line in units(tmp_path, every)[TIMER].splitlines() if "OnCalendar" in line]
    asked = [
        ANALYZE,
        "calendar",
        "--iterations=61",
        "--base-time=2026-11-30 10:00:00",
        calendar.split("=")[1],
    ]
    answer = subprocess.run(asked, capture_output=True, text=True, env={"TZ": "UTC"}, check=True).stdout
    minutes = [
        line.split()[-2][3:5] for line in answer.splitlines() if "2026-11-30" in line and "UTC" in line
    ]
    assert set(minutes) == {f"{minute:02}" for minute in range(0, 60, every)}


def test_secrets_are_in_a_file_and_not_in_the_unit(tmp_path):
    service = units(tmp_path)[SERVICE]
    assert f"\nEnvironmentFile={tmp_path}/tick.env\n" in service
    assert "Environment=" not in service
    assert "KEY" not in service


def test_a_tick_writes_where_it_must_and_nowhere_else(tmp_path):
    service = units(tmp_path, writable=(tmp_path, Path("/var/lib/my runner")))[SERVICE]
    assert "\nProtectSystem=strict\n" in service
    assert f'\nReadWritePaths={tmp_path} "/var/lib/my runner"\n' in service
