"""runner.work_folder: private, gone afterwards, also when its process was killed."""

import signal
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from runner import work_folder as module
from runner.work_folder import work_folder

ROOT = Path(__file__).resolve().parent.parent
HOLD = """
import sys, pathlib
from runner.work_folder import work_folder
with work_folder(pathlib.Path(sys.argv[1]), "tables-") as folder:
    (folder / "recipients").write_text("6281234567890")
    print(folder, flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def holder(tmp_path):
    """Start a process that works in a folder; yields it and the folder."""
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(tmp_path)],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    yield process, Path(process.stdout.readline().strip())
    process.kill()
    process.communicate()


def test_it_is_private_and_gone_afterwards(tmp_path):
    with work_folder(tmp_path / "deep/work", "plan-") as folder:
        (folder / "x").write_text("y")
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700
        assert folder.name.startswith("plan-")
    assert list((tmp_path / "deep/work").iterdir()) == []


def test_what_a_killed_process_left_is_deleted_by_the_next(tmp_path, holder):
    process, left = holder
    process.send_signal(signal.SIGKILL)
    process.wait(10)
    assert (left / "recipients").exists()
    with work_folder(tmp_path, "plan-") as folder:
        assert list(tmp_path.iterdir()) == [folder]


def test_the_folder_of_a_living_process_is_left_alone(tmp_path, holder):
    _, other = holder
    with work_folder(tmp_path, "plan-"):
        assert (other / "recipients").exists()


def test_nothing_but_work_folders_is_ever_deleted(tmp_path):
    (tmp_path / "mine").mkdir()
    (tmp_path / "file.work").write_text("x")
    with work_folder(tmp_path, "plan-"):
        pass
    assert {path.name for path in tmp_path.iterdir()} == {"mine", "file.work"}


def test_a_disk_without_locks_still_gives_a_folder_and_deletes_nobodys(tmp_path, monkeypatch):
    (tmp_path / "tables-x.work").mkdir()

    def no_locks(*_):
        raise OSError(95, "Operation not supported")

    monkeypatch.setattr(module.fcntl, "flock", no_locks)
    with work_folder(tmp_path, "plan-") as folder:
        assert folder.is_dir()
    assert [path.name for path in tmp_path.iterdir()] == ["tables-x.work"]
