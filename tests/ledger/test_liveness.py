"""Liveness: a lock is only ever taken from a process that is certainly gone."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import replace

from runner.ledger.liveness import is_running, started, this_process


def test_this_process_runs():
    me = this_process("ada")

    assert is_running(me)
    assert (me.owner, me.pid) == ("ada", os.getpid())
    assert me.process_started == started(os.getpid())


def test_a_process_that_ended_does_not_run():
    with subprocess.Popen([sys.executable, "-c", ""]) as ended:
        holder = replace(this_process("ada"), pid=ended.pid)
    assert not is_running(replace(holder, process_started=None))


def test_a_process_that_ended_but_was_not_reaped_does_not_run():
    with subprocess.Popen([sys.executable, "-c", ""]) as zombie:
        os.waitid(os.P_PID, zombie.pid, os.WEXITED | os.WNOWAIT)

        assert not is_running(replace(this_process("ada"), pid=zombie.pid, process_started=None))


def test_a_later_process_with_the_same_pid_is_another_process():
    assert not is_running(replace(this_process("ada"), process_started="an earlier boot:1"))


def test_a_process_whose_start_was_not_recorded_is_taken_to_run():
    assert is_running(replace(this_process("ada"), process_started=None))


def test_where_the_system_does_not_say_when_it_started_it_is_taken_to_run(tmp_path):
    assert started(os.getpid(), proc=tmp_path) is None
    assert is_running(this_process("ada"), proc=tmp_path)


def test_a_process_that_is_not_listed_has_no_start(tmp_path):
    (tmp_path / "sys/kernel/random").mkdir(parents=True)
    (tmp_path / "sys/kernel/random/boot_id").write_text("boot\n")

    assert started(1, proc=tmp_path) is None


def test_a_name_with_brackets_and_spaces_does_not_confuse(tmp_path):
    (tmp_path / "sys/kernel/random").mkdir(parents=True)
    (tmp_path / "sys/kernel/random/boot_id").write_text("boot\n")
    (tmp_path / "7").mkdir()
    (tmp_path / "7/stat").write_text("7 (a) Z (b) S " + " ".join(str(number) for number in range(4, 30)))

    assert started(7, proc=tmp_path) == "boot::22"


def test_a_process_of_another_user_runs():
    if os.geteuid() != 0:
        assert is_running(replace(this_process("ada"), pid=1, process_started=None))
        return
    with subprocess.Popen(["/bin/sleep", "60"], user=65534) as other:
        os.seteuid(1)  # nobody may signal a process of somebody else but root
        try:
            assert is_running(replace(this_process("ada"), pid=other.pid, process_started=None))
        finally:
            os.seteuid(0)
            other.kill()
