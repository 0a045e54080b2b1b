"""The log in a Treasure Data table: through the real clients, to the sandbox, and read back with pytd."""

from __future__ import annotations

import gzip
import io
from dataclasses import replace

import msgpack
import pytest

from runner.errors import LogError, UsageError
from runner.logs import open_log
from runner.logs.interface import Batch, LoggedRun
from runner.logs.rows import COLUMNS, column_names, rows_of
from runner.logs.treasure_data import PART_BYTES, import_id, packed_parts
from tests.logs.made_runs import DETAILS, IDS
from tests.logs.td_places import NAME, SETTINGS, account_at, rows_at
from tests.logs.test_rows import event


def batch(*, count=20, number=1, run=7, first=0, ledger="1f2e3d4c" * 4, **changes):
    logged = LoggedRun(ledger=ledger, run=run, campaign="promo", occurrence="once", details=DETAILS)
    happened = [
        event(number=each, run=run, recipient_id=IDS[each % len(IDS)], **changes)
        for each in range(first, first + count)
    ]
    return Batch(run=logged, number=number, rows=rows_of(logged, happened))


def unpacked(body):
    return list(msgpack.Unpacker(io.BytesIO(gzip.decompress(body))))


@pytest.fixture
def log_at(tmp_path, waits):
    def log_at(url):
        return open_log("treasure_data", SETTINGS, waits.tools(tmp_path, account_at(url)))

    return log_at


def test_every_value_comes_back_as_it_was(td, log_at):
    url = td()
    made = batch()
    log_at(url).push(made)
    found = rows_at(url)
    assert [tuple(row[column.name] for column in COLUMNS) for row in found] == list(made.rows)


def test_phones_and_ids_that_look_like_numbers_stay_text(td, log_at):
    url = td()
    log_at(url).push(batch())
    found = rows_at(url, "SELECT DISTINCT recipient_id, phone FROM whatsapp_log")
    assert {row["recipient_id"] for row in found} == set(IDS)
    assert {row["phone"] for row in found} == {"919876500001"}


def test_a_new_table_has_every_column_also_those_without_a_value_yet(td, log_at):
    url = td()
    log_at(url).push(batch(count=1, code=None, detail=None, message_id=None))
    assert rows_at(url, "SELECT code, detail, message_id FROM whatsapp_log WHERE http_status = 200") == [
        {"code": None, "detail": None, "message_id": None}
    ]


def test_pushing_again_adds_nothing(td, log_at):
    url = td()
    log_at(url).push(batch())
    log_at(url).push(batch())
    assert len(rows_at(url)) == 20


def test_another_batch_adds_its_rows(td, log_at):
    url = td()
    log = log_at(url)
    log.push(batch())
    log.push(batch(number=2, first=20))
    assert len(rows_at(url)) == 40


def test_a_batch_that_is_too_big_for_one_import_goes_in_parts(td, log_at, monkeypatch):
    url = td()
    monkeypatch.setattr("runner.logs.treasure_data.PART_BYTES", 2000)
    monkeypatch.setattr("runner.logs.treasure_data.packed_parts", lambda rows: packed_parts(rows, 2000))
    log_at(url).push(batch())
    log_at(url).push(batch())
    assert len(rows_at(url)) == 20


def test_faults_are_waited_out_and_each_row_lands_once(td, log_at, waits):
    url = td("500@import:#1-2", "reset-after-accept@import:#3", "reset-before-accept@import:#4")
    log_at(url).push(batch())
    assert len(rows_at(url)) == 20
    assert len(waits.waited) == 4


def test_a_truncated_answer_is_asked_for_again_and_each_row_lands_once(td, log_at):
    url = td("truncated@import:#1")
    log_at(url).push(batch())
    assert len(rows_at(url)) == 20


def test_retry_after_is_waited_for(td, log_at, waits):
    url = td("429@import:#1:9s")
    log_at(url).push(batch())
    assert waits.waited == [9.0]
    assert len(rows_at(url)) == 20


def test_too_large_says_what_to_do_and_is_not_sent_again(td, log_at, waits):
    url = td("413@import")
    with pytest.raises(
        LogError, match=r"an import of [0-9,]+ bytes into crm\.whatsapp_log is too large"
    ) as caught:
        log_at(url).push(batch())
    assert "8 MB" in caught.value.hint
    assert waits.waited == []


def test_a_key_that_is_not_known_is_said(td, log_at):
    with pytest.raises(LogError, match="does not accept the key") as caught:
        log_at(td(keys=("1/other",))).push(batch())
    assert caught.value.hint.startswith("check the key (TD_API_KEY) and the site (127.0.0.1:")


def test_a_key_that_may_only_write_makes_no_table_and_needs_none(td, log_at):
    url = td()
    log_at(url).push(batch())
    again = td("403@table_create", "403@table_schema", "403@table_list", "403@database_list")
    log_at(again).push(batch(number=2, first=20))
    assert len(rows_at(again)) == 40


def test_a_key_that_may_make_no_table_is_told_so_when_there_is_none(td, log_at):
    with pytest.raises(LogError, match="has no table") as caught:
        log_at(td("403@table_create", "404@import")).push(batch())
    assert "td table:create crm whatsapp_log" in caught.value.hint


def test_a_key_that_may_not_write_is_told_so(td, log_at):
    with pytest.raises(LogError, match=r"may not write to crm\.whatsapp_log"):
        log_at(td("403@import")).push(batch())


def test_a_table_whose_columns_cannot_be_named_is_filled_all_the_same(td, log_at, waits):
    url = td("403@table_schema")
    log_at(url).push(batch())
    assert len(rows_at(url)) == 20
    assert any("columns will come with the rows" in line for line in waits.told)


def test_a_database_that_is_not_there_is_not_made(td, tmp_path, waits):
    url = td()
    tools = waits.tools(tmp_path, account_at(url))
    log = open_log("treasure_data", {"database": "other", "table": "log"}, tools)
    with pytest.raises(LogError, match="no database other") as caught:
        log.push(batch())
    assert "td db:create other" in caught.value.hint


def test_a_rehearsal_makes_its_database(td, tmp_path, waits):
    url = td()
    tools = replace(waits.tools(tmp_path, account_at(url)), makes_databases=True)
    for number in (1, 2):
        log = open_log("treasure_data", {"database": "other", "table": "log"}, tools)
        log.push(batch(number=number, first=number * 20))
    assert len(rows_at(url, "SELECT * FROM other.log")) == 40


def test_a_conflict_is_no_proof_that_the_rows_are_there(td, log_at):
    """That a second import with a known id is a success, is all that is documented."""
    with pytest.raises(LogError, match=r"answers an import into crm\.whatsapp_log with a conflict"):
        log_at(td("409@import:#1")).push(batch())


def test_where_columns_cannot_be_named_the_rows_come_all_the_same(td, log_at, waits):
    url = td("500@table_schema")
    log_at(url).push(batch())
    assert len(rows_at(url)) == 20
    assert any("its columns will come with the rows" in line for line in waits.told)


def test_any_other_no_is_told_in_its_own_words(td, log_at):
    with pytest.raises(LogError, match=r"refuses rows for crm\.whatsapp_log: 422"):
        log_at(td("422@import")).push(batch())


def test_a_table_cannot_be_made_for_another_reason(td, log_at):
    with pytest.raises(LogError, match="422"):
        log_at(td("422@table_create")).push(batch())


def test_nothing_is_asked_until_a_batch_is_pushed(tmp_path, waits):
    def account():
        raise UsageError("no key")

    tools = replace(waits.tools(tmp_path), account=account)
    log = open_log("treasure_data", SETTINGS, tools)
    assert log.name == NAME
    with pytest.raises(UsageError):
        log.push(batch())


def test_parts_are_the_same_bytes_each_time_and_hold_each_row_once():
    rows = batch(count=500).rows
    parts = list(packed_parts(rows, 20_000))
    assert parts == list(packed_parts(rows, 20_000))
    found = [record for part in parts for record in unpacked(part)]
    assert [tuple(record[name] for name in column_names()) for record in found] == list(rows)
    assert all(len(gzip.decompress(part)) <= 20_000 for part in parts)
    # Bytes 4 to 7 of a gzip are the time it was made (RFC 1952).
    assert {part[4:8] for part in parts} == {bytes(4)}


def test_no_rows_are_no_import():
    assert list(packed_parts(batch(count=0).rows)) == []


def test_a_row_above_the_limit_is_a_part_of_its_own():
    assert [len(unpacked(part)) for part in packed_parts(batch(count=3).rows, 10)] == [1, 1, 1]


def test_a_whole_batch_of_long_details_stays_below_the_limit_of_an_import():
    parts = list(packed_parts(batch(count=4000, detail="x" * 4000).rows))
    assert len(parts) > 1
    assert all(len(gzip.decompress(part)) <= PART_BYTES for part in parts)


def test_an_import_id_is_hex_and_follows_from_all_that_it_stands_for():
    ids = {
        import_id(made, name, part)
        for made in (batch(), batch(number=2), batch(run=8), batch(ledger="2" * 32))
        for name in (NAME, "treasure_data:crm.other")
        for part in (0, 1)
    }
    assert len(ids) == 16
    assert all(len(each) == 32 and set(each) <= set("0123456789abcdef") for each in ids)
    assert import_id(batch(), NAME, 0) == import_id(batch(), NAME, 0)
