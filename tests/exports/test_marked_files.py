"""Files of an export among those of others."""

from __future__ import annotations

import pytest

from runner.errors import UsageError
from runner.exports.marked_files import MARK, write_marked, write_private_once

OURS, NEWER = f"{MARK}cron`.\n1\n".encode(), f"{MARK}cron`.\n2\n".encode()


def test_new_files_are_written_with_their_folders(tmp_path):
    write_marked({tmp_path / "a/b/c": OURS}, force=False)
    assert (tmp_path / "a/b/c").read_bytes() == OURS


def test_an_earlier_export_is_replaced_only_with_force(tmp_path):
    path = tmp_path / "x"
    write_marked({path: OURS}, force=False)
    write_marked({path: OURS}, force=False)
    with pytest.raises(UsageError, match="is there already"):
        write_marked({tmp_path / "first": OURS, path: NEWER}, force=False)
    assert not (tmp_path / "first").exists()
    write_marked({path: NEWER}, force=True)
    assert path.read_bytes() == NEWER


def test_a_file_of_somebody_else_stays(tmp_path):
    path = tmp_path / "x"
    path.write_text("mine")
    with pytest.raises(UsageError, match="was not written by an export"):
        write_marked({path: OURS}, force=True)
    assert path.read_text() == "mine"


def test_what_a_link_leads_to_stays(tmp_path):
    (tmp_path / "target").write_bytes(OURS)
    (tmp_path / "x").symlink_to(tmp_path / "target")
    with pytest.raises(UsageError, match="is not a file"):
        write_marked({tmp_path / "x": NEWER}, force=True)


def test_a_file_for_secrets_is_for_the_owner_and_is_never_overwritten(tmp_path):
    path = tmp_path / "state/tick.env"
    assert write_private_once(path, "KEY=''\n")
    assert path.stat().st_mode & 0o777 == 0o600
    path.write_text("KEY='filled in'\n")
    assert not write_private_once(path, "KEY=''\n")
    assert path.read_text() == "KEY='filled in'\n"
