"""The layout of reports: delimiter, title lines, header, and records that are broken."""

import pytest

from runner.receipts import csv_file
from runner.receipts.csv_file import find_layout, read_records
from runner.receipts.mapping import ColumnMapping, supplied
from runner.receipts.text_file import ReceiptsFileError, open_text


@pytest.fixture
def layout(report):
    def found(text, header_line=None):
        return find_layout(open_text(report(text)), lambda row: supplied(row, ColumnMapping()), header_line)

    return found


@pytest.fixture
def records(report):
    def read(text):
        file = open_text(report(text))
        found = find_layout(file, lambda row: supplied(row, ColumnMapping()), None)
        batches = list(read_records(file, found))
        return [pair for batch in batches for pair in zip(batch.lines, batch.records, strict=True)]

    return read


@pytest.mark.parametrize("delimiter", list(csv_file.DELIMITERS))
def test_the_delimiter_is_the_one_under_which_the_headers_are_plain(layout, delimiter):
    found = layout(delimiter.join(["Phone", "Status", "Time, local; or | not"]) + "\n")
    assert (found.delimiter, found.header[:2]) == (delimiter, ("Phone", "Status"))


def test_title_lines_above_the_header_are_passed_over(layout):
    found = layout('sep=;\nReport "WA, of March\n\nFrom;To\n Phone ;Status;Time\n628;sent;x\n')
    assert (found.header_line, found.data_line) == (5, 6)
    assert found.header == ("Phone", "Status", "Time")


def test_a_header_over_two_lines_is_one_header(layout):
    found = layout('"Phone\nNo",Status,Time\n')
    assert (found.header, found.header_line, found.data_line) == (("Phone\nNo", "Status", "Time"), 1, 3)


def test_a_person_may_say_on_which_line_the_header_is(layout):
    text = "Phone,Status,Time\nA;B;C\nx;y;z\n"
    found = layout(text, header_line=2)
    assert (found.header, found.delimiter, found.header_line) == (("A", "B", "C"), ";", 2)
    with pytest.raises(ReceiptsFileError, match="no header is found in line 9"):
        layout(text, header_line=9)


def test_a_file_of_blank_lines_has_no_header(layout):
    with pytest.raises(ReceiptsFileError, match="no header is found in its first lines"):
        layout("\n \n\t\n")


def test_every_record_knows_its_line_and_blank_ones_are_none(records):
    text = 'Phone,Status,Time\n1,"a\nb",x\n\n,,\r\n2,c,y\r3,d,z'
    assert records(text) == [(2, ["1", "a\nb", "x"]), (6, ["2", "c", "y"]), (7, ["3", "d", "z"])]


def test_a_record_with_broken_quotes_is_one_record(records):
    assert records('Phone,Status,Time\n"6"2,a,x\n1,b,y\n"') == [(2, None), (3, ["1", "b", "y"]), (4, None)]


@pytest.mark.parametrize(
    "text",
    [
        '1,"a\n2,b,c\n3,d,e\n',
        '1,"a\n2,"b",c\n',
        '1,"a\n' + "2,b,c\n" * 150 + '3,d",e\n',
    ],
)
def test_a_quote_that_is_never_closed_swallows_no_lines(records, text):
    with pytest.raises(ReceiptsFileError, match=r"report\.csv:2: a quote is opened here and never closed"):
        records("Phone,Status,Time\n" + text)


def test_batches_end_by_number_and_by_size(report, monkeypatch):
    monkeypatch.setattr(csv_file, "_BATCH_RECORDS", 10)
    monkeypatch.setattr(csv_file, "_BATCH_CHARACTERS", 100)
    file = open_text(report("Phone,Status,Time\n" + "1,a,x\n" * 20 + ("9" * 90 + "\n") * 3))
    found = find_layout(file, lambda row: supplied(row, ColumnMapping()), None)
    assert [len(batch.lines) for batch in read_records(file, found)] == [10, 10, 2, 1]
