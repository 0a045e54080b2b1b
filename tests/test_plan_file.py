"""runner.plan_file: one zip that opens whole, or not at all."""

import json
import os
import stat
import zipfile
from dataclasses import replace
from datetime import datetime, timezone
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from runner import plan_file
from runner.encrypted_file import FileKey
from runner.errors import PlanFileError
from runner.plan import sealed
from runner.plan_file import RECIPIENTS, REJECTIONS, extracted_tables, read_plan, sha256_of_file, write_plan
from tests.test_plan import PLAN

KEY = FileKey(secret=bytes(range(32)))


@pytest.fixture
def written(tmp_path):
    """A plan file of one recipient."""
    tables = tmp_path / "tables"
    tables.mkdir()
    pq.write_table(pa.table({"phone": ["6281234567890"]}), tables / RECIPIENTS)
    pq.write_table(pa.table({"phone": pa.array([], pa.string())}), tables / REJECTIONS)
    files = {name: sha256_of_file(tables / name) for name in (RECIPIENTS, REJECTIONS)}
    plan = sealed(replace(PLAN, files=files))
    write_plan(plan, tables, tmp_path / "a.plan")
    return plan, tmp_path / "a.plan"


def rewrite(path: Path, member: str, change):
    """Change one member of a zip by hand."""
    with zipfile.ZipFile(path) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    members[member] = change(members[member])
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in members.items():
            archive.writestr(name, content)


def test_what_was_written_is_what_is_read(written):
    plan, path = written
    assert read_plan(path) == plan


def test_a_plan_file_is_for_its_owner_only(written):
    assert stat.S_IMODE(written[1].stat().st_mode) == 0o600


def test_the_same_plan_is_the_same_bytes(written, tmp_path):
    plan, path = written
    write_plan(plan, tmp_path / "tables", tmp_path / "b.plan")
    assert path.read_bytes() == (tmp_path / "b.plan").read_bytes()


def test_its_tables_come_out_as_they_went_in_and_are_gone_afterwards(written, tmp_path):
    with extracted_tables(written[1], tmp_path / "work") as tables:
        assert pq.read_table(tables / RECIPIENTS).to_pylist() == [{"phone": "6281234567890"}]
        assert stat.S_IMODE(tables.stat().st_mode) == 0o700
    assert not tables.exists()


def test_a_plan_that_was_replaced_while_it_was_read_gives_no_tables(written, tmp_path):
    plan, path = written
    write_plan(sealed(replace(plan, sender="60110000002")), tmp_path / "tables", path)
    with (
        pytest.raises(PlanFileError, match="was replaced while it was read"),
        extracted_tables(path, tmp_path / "work", of=plan),
    ):
        pytest.fail("the tables must not come out")


def test_plan_json_holds_no_personal_data(written):
    with zipfile.ZipFile(written[1]) as archive:
        assert b"6281234567890" not in archive.read("plan.json")


def edited(text: bytes) -> bytes:
    return text.replace(b'"to_send": 6', b'"to_send": 5').replace(b'"already_sent": 1', b'"already_sent": 2')


@pytest.mark.parametrize(
    ("member", "change"),
    [
        ("plan.json", edited),
        ("plan.json", lambda text: text.replace(b"2026-03-04", b"2036-03-04")),
        ("plan.json", lambda _: b"[]"),
        ("plan.json", lambda _: b"not json"),
        ("plan.json", lambda _: b'{"format": 1}'),
        (RECIPIENTS, lambda table: table + b"x"),
        (REJECTIONS, lambda table: table[:-1]),
    ],
)
def test_a_plan_edited_by_hand_is_refused(written, member, change):
    path = written[1]
    rewrite(path, member, change)
    with pytest.raises(PlanFileError, match="edited or damaged"):
        read_plan(path)


def test_edited_tables_are_refused_when_they_are_taken_out(written, tmp_path):
    rewrite(written[1], RECIPIENTS, lambda table: table + b"x")
    with (
        pytest.raises(PlanFileError, match="recipients"),
        extracted_tables(written[1], tmp_path / "work"),
    ):
        pytest.fail("the tables must not come out")


def test_a_plan_of_another_format_says_which(written):
    rewrite(written[1], "plan.json", lambda text: text.replace(b'"format": 1', b'"format": 2'))
    with pytest.raises(PlanFileError, match="format 2, this version reads 1"):
        read_plan(written[1])


def test_a_missing_plan_says_how_to_make_one(tmp_path):
    with pytest.raises(PlanFileError, match="no such plan") as error:
        read_plan(tmp_path / "none.plan")
    assert "runner plan" in (error.value.hint or "")


def test_a_plan_that_cannot_be_read_or_written_is_one_line(written, tmp_path):
    plan, path = written
    with pytest.raises(PlanFileError, match="cannot be read"):
        read_plan(tmp_path)
    blocked = tmp_path / "file"
    blocked.write_text("")
    with pytest.raises(PlanFileError, match="cannot be written"):
        write_plan(plan, tmp_path / "tables", blocked / "deep" / "a.plan")
    assert path.exists()


@pytest.mark.parametrize(
    "change",
    [
        lambda data: data + b"junk",
        lambda data: b"junk" + data,
        lambda data: data[:-3] + bytes([data[-3] ^ 1]) + data[-2:],
        lambda data: data[:-2] + b"\x04\x00junk",
    ],
    ids=["behind", "before", "flipped", "comment"],
)
def test_bytes_around_the_members_are_refused(written, change):
    path = written[1]
    path.write_bytes(change(path.read_bytes()))
    with pytest.raises(PlanFileError, match="not a whole plan file"):
        read_plan(path)


@pytest.mark.parametrize("name", ["extra.txt", "plan.json"])
@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_another_member_is_refused(written, name):
    path = written[1]
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr(name, "{}")
    with pytest.raises(PlanFileError, match="not a whole plan file"):
        read_plan(path)


def test_a_packed_member_is_refused_before_it_can_fill_the_disk(written):
    path = written[1]
    with zipfile.ZipFile(path) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name, content + bytes(10_000_000) if name == RECIPIENTS else content)
    with pytest.raises(PlanFileError, match="not a whole plan file"):
        read_plan(path)


@pytest.mark.parametrize(
    "change",
    [
        {"campaign": "../../x"},
        {"occurrence": "../../x"},
        {"occurrence": "once/../x"},
        {"zone": "Nowhere/Else"},
        {"rate": 0.0},
        {"rate": 1e-300},
        {"priority": 0},
        {"to_send": -3, "already_sent": 10},
        {"rows": 10**30, "to_send": 10**30 - 4},
        {"document": {}},
        {"generation": -1},
        {"due_at": datetime(1, 1, 1, tzinfo=timezone.utc)},
    ],
)
def test_nonsense_is_refused_also_when_it_is_sealed_as_ours(written, tmp_path, change):
    plan, _ = written
    write_plan(sealed(replace(plan, **change)), tmp_path / "tables", tmp_path / "b.plan")
    with pytest.raises(PlanFileError, match="edited or damaged"):
        read_plan(tmp_path / "b.plan")


def test_with_a_key_it_is_encrypted_and_reads_as_the_same_plan(written, tmp_path):
    plan, path = written
    target = tmp_path / "b.plan"
    write_plan(plan, tmp_path / "tables", target, KEY)
    assert read_plan(target, KEY) == read_plan(path, KEY) == read_plan(path) == plan
    for part in (b"6281234567890", b"promo", b"PK\x03\x04", b"PAR1"):
        assert part in path.read_bytes()
        assert part not in target.read_bytes()
    assert stat.S_IMODE(target.stat().st_mode) == 0o600


def test_the_tables_of_an_encrypted_plan_come_out_for_their_owner_only(written, tmp_path):
    plan, _ = written
    write_plan(plan, tmp_path / "tables", tmp_path / "b.plan", KEY)
    with extracted_tables(tmp_path / "b.plan", tmp_path / "work", KEY) as tables:
        assert pq.read_table(tables / RECIPIENTS).to_pylist() == [{"phone": "6281234567890"}]
        assert {stat.S_IMODE(path.stat().st_mode) for path in tables.iterdir()} == {0o600}
    assert list((tmp_path / "work").iterdir()) == []


def test_the_people_of_an_encrypted_plan_are_for_the_holder_of_its_key_only(written, tmp_path):
    plan, _ = written
    write_plan(plan, tmp_path / "tables", tmp_path / "b.plan", KEY)
    for key, words in ((None, "RUNNER_PLAN_KEY is not set"), (FileKey(secret=bytes(32)), "another key")):
        with pytest.raises(PlanFileError, match=words):
            read_plan(tmp_path / "b.plan", key)


def test_nothing_is_left_when_writing_fails(written, tmp_path, monkeypatch):
    plan, _ = written
    monkeypatch.setattr(os, "fsync", lambda _: (_ for _ in ()).throw(OSError(28, "No space left on device")))
    with pytest.raises(PlanFileError, match="No space left"):
        write_plan(plan, tmp_path / "tables", tmp_path / "new" / "a.plan")
    assert list((tmp_path / "new").iterdir()) == []


@given(cut=st.integers(0, 5000), at=st.integers(0, 5000), byte=st.integers(0, 255))
@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
def test_no_damage_makes_another_plan_or_a_traceback(written, tmp_path, cut, at, byte):
    plan, path = written
    whole = path.read_bytes()
    damaged = bytearray(whole)
    damaged[at % len(whole)] = byte
    target = tmp_path / "damaged.plan"
    for content in (bytes(damaged), whole[: cut % len(whole)]):
        target.write_bytes(content)
        try:
            found = read_plan(target)
        except PlanFileError:
            continue
        assert json.dumps(plan_file.plans.to_document(found)) == json.dumps(plan_file.plans.to_document(plan))
