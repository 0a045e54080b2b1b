"""The line for a crontab, as a reader of crons judges it and as a shell runs it."""

from __future__ import annotations

import itertools
import os
import re
import subprocess
from datetime import datetime, timedelta, timezone

import pytest
from croniter import croniter

from runner.errors import UsageError
from runner.exports.crontab import crontab_text
from runner.exports.machine import Machine


def line(text):
    (only,) = [line for line in text.splitlines() if not line.startswith("#")]
    schedule, command = re.fullmatch(r"((?:\S+ ){4}\S+) (.*)", only).groups()
    return schedule, command


def machine(root, every=5, command=("/opt/runner",)):
    return Machine(root=root, command=command, environment=root / "tick.env", every=every)


@pytest.mark.parametrize("every", [1, 2, 3, 4, 5, 6, 10, 12, 15])
def test_ticks_come_so_many_minutes_apart(tmp_path, every):
    schedule, _ = line(crontab_text(machine(tmp_path, every), "x"))
    moments = croniter(schedule, datetime(2026, 11, 30, 23, tzinfo=timezone.utc))
    found = [moments.get_next(datetime) for _ in range(2 * 60 // every)]
    assert {after - before for before, after in itertools.pairwise(found)} == {timedelta(minutes=every)}


def as_cron_does(command):
    """Return what cron hands to the shell: a bare `%` ends the command, `\\%` is a `%`."""
    return re.split(r"(?<!\\)%", command)[0].replace(r"\%", "%")


@pytest.mark.parametrize("folder", ["campaigns", 'it\'s 100% "ours" $HOME'])
def test_the_command_ticks_in_the_project_with_the_secrets_of_the_file(tmp_path, folder):
    root = tmp_path / folder
    root.mkdir()
    runner, logger = root / "runner", tmp_path / "logger"
    runner.write_text('#!/bin/sh\necho "$@|$PWD|$ADA_API_KEY|$RUNNER_NOTIFY_URLS"; echo wrong >&2\n')
    logger.write_text('#!/bin/sh\necho "$@"; cat\n')
    for script in (runner, logger):
        script.chmod(0o755)
    (root / "tick.env").write_text("ADA_API_KEY='k$y'\nRUNNER_NOTIFY_URLS='json://h/?a=b&c=d'\n")
    _, command = line(crontab_text(machine(root, command=(str(runner),)), "x"))
    done = subprocess.run(
        ["/bin/sh", "-c", as_cron_does(command)],
        env={"PATH": f"{tmp_path}:{os.environ['PATH']}", "HOME": "/"},
        capture_output=True,
        text=True,
    )
    assert done.stdout.splitlines() == [
        "-t runner-tick",
        f"tick|{root}|k$y|json://h/?a=b&c=d",
        "wrong",
    ]


def test_without_the_file_of_secrets_nothing_ticks(tmp_path):
    runner = tmp_path / "runner"
    runner.write_text("#!/bin/sh\necho ticked\n")
    runner.chmod(0o755)
    _, command = line(crontab_text(machine(tmp_path, command=(str(runner),)), "x"))
    command = as_cron_does(command).replace("logger -t runner-tick", "cat")
    done = subprocess.run(["/bin/sh", "-c", command], capture_output=True, text=True)
    assert "ticked" not in done.stdout
    assert "tick.env" in done.stdout


def test_a_path_of_two_lines_is_refused(tmp_path):
    with pytest.raises(UsageError, match="cannot be written in one line"):
        machine(tmp_path / "a\nb")
