from __future__ import annotations

import csv
import stat

import pyarrow.parquet as pq
import pytest

from runner.errors import LogError, UsageError
from runner.logs import open_log
from runner.logs.interface import Batch, LoggedRun
from runner.logs.rows import COLUMNS, column_names, rows_of
from tests.logs.made_runs import DETAILS, IDS, Waits
from tests.logs.test_rows import event

KINDS = ("csv", "parquet")


def batch(*, count=20, occurrence="once", ledger="1f2e3d4c" * 4, number=2):
    run = LoggedRun(ledger=ledger, run=7, campaign="promo", occurrence=occurrence, details=DETAILS)
    happened = [
        event(
            number=each, recipient_id=IDS[each % len(IDS)], detail='no "user",\r\nso no' if each % 2 else None
        )
        for each in range(count)
    ]
    return Batch(run=run, number=number, rows=rows_of(run, happened))


def push(root, kind, made, folder="exports", **settings):
    open_log(kind, {"folder": folder, **settings}, Waits().tools(root)).push(made)
    (path,) = (root / folder).iterdir()
    return path


@pytest.mark.parametrize("kind", KINDS)
def test_a_batch_is_a_file_that_only_its_owner_may_read(tmp_path, kind):
    path = push(tmp_path, kind, batch())
    assert path.name == f"promo-once-1f2e3d4c-run007-002.{kind}"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700


@pytest.mark.parametrize("kind", KINDS)
def test_the_same_batch_is_the_same_file_and_the_same_bytes(tmp_path, kind):
    first = push(tmp_path, kind, batch()).read_bytes()
    assert push(tmp_path, kind, batch()).read_bytes() == first


@pytest.mark.parametrize("kind", KINDS)
def test_a_file_name_has_no_colon(tmp_path, kind):
    path = push(tmp_path, kind, batch(occurrence="2026-03-20T03:00Z"))
    assert path.name.startswith("promo-2026-03-20T0300Z-")


@pytest.mark.parametrize("kind", KINDS)
def test_another_ledger_never_overwrites_a_file(tmp_path, kind):
    push(tmp_path, kind, batch())
    open_log(kind, {"folder": "exports"}, Waits().tools(tmp_path)).push(batch(ledger="2" * 32))
    assert len(list((tmp_path / "exports").iterdir())) == 2


@pytest.mark.parametrize("kind", KINDS)
def test_a_folder_that_cannot_be_written_is_an_error_and_leaves_nothing(tmp_path, kind):
    (tmp_path / "exports").write_text("a file, not a folder")
    with pytest.raises(LogError, match="the file cannot be written") as caught:
        open_log(kind, {"folder": "exports"}, Waits().tools(tmp_path)).push(batch())
    assert "exports/" in caught.value.hint


def test_a_write_that_breaks_off_leaves_the_old_file_and_no_other(tmp_path, monkeypatch):
    path = push(tmp_path, "csv", batch())
    before = path.read_bytes()
    monkeypatch.setattr("os.fsync", lambda _: (_ for _ in ()).throw(OSError(28, "No space left on device")))
    with pytest.raises(LogError, match="No space left"):
        push(tmp_path, "csv", batch(count=3))
    assert [each.name for each in path.parent.iterdir()] == [path.name]
    assert path.read_bytes() == before


@pytest.mark.parametrize("kind", KINDS)
def test_a_link_out_of_the_project_is_not_followed(tmp_path, kind):
    inside = tmp_path / "project"
    inside.mkdir()
    (inside / "exports").symlink_to(tmp_path)
    with pytest.raises(UsageError, match="leads out of the project"):
        open_log(kind, {"folder": "exports"}, Waits().tools(inside))


def test_a_log_of_no_kind_is_refused(tmp_path):
    with pytest.raises(UsageError, match="no log of the kind 'xml'"):
        open_log("xml", {}, Waits().tools(tmp_path))


def test_csv_follows_rfc_4180_and_keeps_every_value_as_it_is_where_that_is_asked_for(tmp_path):
    made = batch()
    path = push(tmp_path, "csv", made, formulas="keep")
    assert path.read_bytes().startswith(",".join(column_names()).encode() + b"\r\n")
    with path.open(encoding="utf-8", newline="") as stream:
        rows = list(csv.reader(stream, strict=True))
    assert rows[1:] == [["" if value is None else str(value) for value in row] for row in made.rows]
    assert {row[column_names().index("recipient_id")] for row in rows[1:]} == set(IDS)


@pytest.mark.parametrize("settings", [{}, {"formulas": "text"}])
def test_a_value_that_a_spreadsheet_would_run_is_text_in_csv_and_every_other_value_as_it_is(
    tmp_path, settings
):
    made = batch()
    with push(tmp_path, "csv", made, **settings).open(encoding="utf-8", newline="") as stream:
        rows = list(csv.reader(stream, strict=True))[1:]
    column = column_names().index("recipient_id")
    assert {row[column] for row in rows} == {*IDS, "'=1+1"} - {"=1+1"}
    for row, kept in zip(rows, made.rows, strict=True):
        expected = ["" if value is None else str(value) for value in kept]
        assert [*row[:column], *row[column + 1 :]] == [*expected[:column], *expected[column + 1 :]]


def test_parquet_has_the_same_types_whatever_a_batch_holds(tmp_path):
    full = pq.read_table(push(tmp_path, "parquet", batch()))
    path = tmp_path / "exports" / "promo-once-1f2e3d4c-run007-003.parquet"
    open_log("parquet", {"folder": "exports"}, Waits().tools(tmp_path)).push(batch(count=1, number=3))
    assert pq.read_schema(path) == full.schema
    assert [str(kind) for kind in full.schema.types[:5]] == ["int64", "string", "int64", "string", "string"]


def test_parquet_keeps_every_value_as_it_is(tmp_path):
    made = batch()
    table = pq.read_table(push(tmp_path, "parquet", made))
    assert [tuple(row[column.name] for column in COLUMNS) for row in table.to_pylist()] == list(made.rows)


def test_an_empty_batch_is_a_table_without_rows(tmp_path):
    assert pq.read_table(push(tmp_path, "parquet", batch(count=0))).num_rows == 0
