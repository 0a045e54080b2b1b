"""Which column says what: plain headers are found out, the rest is asked for."""

import pytest

from runner.delivery import ReceiptStatus
from runner.errors import UsageError
from runner.receipts.mapping import (
    ColumnMapping,
    DateOrder,
    choose_columns,
    parse_columns,
    parse_statuses,
    supplied,
)


def choose(header, *columns):
    return choose_columns(header, ColumnMapping(columns=parse_columns(columns)), "r.csv:1")


@pytest.mark.parametrize(
    "header",
    [
        ["Mobile No.", "Message Status", "Timestamp", "Message ID", "Account No", "Error Code", "Reason"],
        ["Nomor HP", "Status Pesan", "Waktu", "ID Pesan", "Pengirim", "Kode Error", "Alasan"],
        ["電話番号", "配信状況", "日時", "メッセージＩＤ", "送信元", "エラーコード", "理由"],
    ],
)
def test_plain_headers_of_three_languages_are_found_out(header):
    fields = ("phone", "status", "at", "message_id", "sender", "code", "detail")
    assert choose(header) == {name: (place,) for place, name in enumerate(fields)}


def test_a_named_header_wins_and_need_not_be_plain():
    header = ["Customer", "To", "Phone", "Result", "Time"]
    assert choose(header, "phone=Customer", "status=result") == {"phone": (0,), "status": (3,), "at": (4,)}


def test_a_column_may_be_named_by_its_number_and_a_date_and_a_time_be_two():
    header = ["X", "X", "Status", "Date", "Time"]
    found = choose(header, "phone=#2", "at=Date", "at=Time")
    assert found == {"phone": (1,), "status": (2,), "at": (3, 4)}
    assert choose(["#2", "Status", "Time"], "phone=#2")["phone"] == (0,)


def test_a_field_may_be_said_to_have_no_column():
    header = ["Phone", "Status", "Time", "Message ID", "From"]
    assert set(choose(header, "message_id=", "sender=")) == {"phone", "status", "at"}


@pytest.mark.parametrize(
    ("header", "columns", "message"),
    [
        (["A", "B"], [], "no column for status, no column for at and no column for phone or message_id"),
        (["Phone", "To", "Status", "Time"], [], '2 columns for phone ("Phone", "To")'),
        (["Phone", "Status", "Time", "From", "Sender"], [], '2 columns for sender ("From", "Sender")'),
        (
            ["Phone", "Status", "Time"],
            ["status=Statuss"],
            "no column 'Statuss' for status (did you mean `Status`?)",
        ),
        (["Phone", "Phone", "Status", "Time"], ["phone=Phone"], "2 columns 'Phone' for phone"),
        (["Phone", "Status", "Time"], ["phone=#4"], "no column '#4' for phone"),
        (["Phone", "Status", "Time"], ["phone="], "no column for phone or message_id"),
    ],
)
def test_a_column_in_doubt_is_asked_for_with_all_columns_listed(header, columns, message):
    with pytest.raises(UsageError) as caught:
        choose(header, *columns)
    assert message in caught.value.message
    assert all(f'"{name}"' in caught.value.hint for name in header)


def test_a_person_in_the_first_line_is_not_shown():
    with pytest.raises(UsageError) as caught:
        choose(["6281230000001", "Ayu", *(f"c{n}" for n in range(60))])
    assert "6281230000001" not in str(caught.value.hint)
    assert "and 22 more" in caught.value.hint


@pytest.mark.parametrize("option", ["phone", "fone=X", "=X"])
def test_an_option_that_names_no_field_is_refused(option):
    with pytest.raises(UsageError, match="found no field and header"):
        parse_columns([option])


def test_only_a_time_may_be_in_two_columns():
    with pytest.raises(UsageError, match="the field phone has 2 columns"):
        parse_columns(["phone=A", "phone=B"])
    with pytest.raises(UsageError, match="the field at has 3 columns"):
        parse_columns(["at=A", "at=B", "at=C"])


def test_words_are_given_a_meaning():
    assert parse_statuses(["a=b=read", "terkirim=delivered"]) == {
        "a=b": ReceiptStatus.READ,
        "terkirim": ReceiptStatus.DELIVERED,
    }


@pytest.mark.parametrize("option", ["terkirim", "terkirim=gone", "=read", "?=read"])
def test_a_word_without_a_meaning_is_refused(option):
    with pytest.raises(UsageError, match="found no word and its meaning"):
        parse_statuses([option])


def test_how_much_a_header_looks_like_one_counts_named_and_plain_columns():
    mapping = ColumnMapping(columns={"phone": ("Customer",), "at": ("Day", "Hour"), "sender": ()})
    assert supplied(["Customer", "Day", "Hour", "Status", "From"], mapping) == 4
    assert supplied(["1", "2"], mapping) == 0


def test_options_win_over_what_was_saved():
    saved = ColumnMapping(
        columns={"phone": ("A",), "status": ("B",)},
        statuses={"x": ReceiptStatus.READ},
        timezone="Asia/Tokyo",
        date_order=DateOrder.DMY,
        region="ID",
        encoding="cp932",
        header_line=3,
    )
    given = ColumnMapping(columns={"phone": ("C",)}, timezone="Asia/Jakarta")
    both = given.over(saved)
    assert both.columns == {"phone": ("C",), "status": ("B",)}
    assert (both.timezone, both.date_order, both.region) == ("Asia/Jakarta", DateOrder.DMY, "ID")
    assert (both.encoding, both.header_line, both.statuses) == ("cp932", 3, saved.statuses)
