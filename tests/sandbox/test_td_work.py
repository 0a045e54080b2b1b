import os
import subprocess
import sys

from runner.sandbox.td_work import WorkFolder

KILLED = """
import os, pathlib, sys
from runner.sandbox.td_work import WorkFolder
folder = WorkFolder(pathlib.Path(sys.argv[1])).path()
(folder / "job1000.msgpack").write_bytes(b"a person")
os._exit(9)
"""


def test_it_is_made_when_it_is_needed_private_and_deleted_in_the_end(tmp_path):
    work = WorkFolder(tmp_path / "work")
    work.close()
    assert list(tmp_path.iterdir()) == []
    folder = work.path()
    assert work.path() == folder
    assert folder.stat().st_mode & 0o777 == 0o700
    (folder / "x").touch()
    work.close()
    assert list((tmp_path / "work").iterdir()) == []


def test_what_a_killed_sandbox_left_is_deleted_and_what_a_living_one_has_is_not(tmp_path):
    living = WorkFolder(tmp_path)
    kept = living.path()
    subprocess.run([sys.executable, "-c", KILLED, str(tmp_path)], check=False, env=os.environ)
    assert len(list(tmp_path.glob("*/job1000.msgpack"))) == 1
    other = WorkFolder(tmp_path)
    other.path()
    assert list(tmp_path.glob("*/job1000.msgpack")) == []
    assert kept.is_dir()
    other.close()
    living.close()
    assert list(tmp_path.iterdir()) == []
