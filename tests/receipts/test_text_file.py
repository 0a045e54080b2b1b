"""The encodings of reports: found out, never half read."""

import pytest

from runner.receipts import text_file
from runner.receipts.text_file import ReceiptsFileError, open_text

TEXT = "電話番号,状態\n628123,既読\n"


@pytest.mark.parametrize(
    ("data", "codec"),
    [
        (TEXT.encode(), "utf-8-sig"),
        (TEXT.encode("utf-8-sig"), "utf-8-sig"),
        (TEXT.encode("utf-16"), "utf-16"),
        (b"\xff\xfe" + TEXT.encode("utf-16-le"), "utf-16"),
        (b"\xfe\xff" + TEXT.encode("utf-16-be"), "utf-16"),
        (TEXT.encode("cp932"), "cp932"),
    ],
)
def test_the_encoding_is_found_out_and_the_mark_is_no_text(report, data, codec):
    found = open_text(report(data))
    assert (found.codec, "".join(found.lines())) == (codec, TEXT)


@pytest.mark.parametrize("encoding", ["utf-16-le", "euc-jp", "shift_jis"])
def test_a_person_may_say_the_encoding(report, encoding):
    found = open_text(report(TEXT.encode(text_file.ENCODINGS[encoding])), encoding)
    assert "".join(found.lines()) == TEXT


def test_a_mark_is_no_text_either_where_the_encoding_was_said(report):
    assert next(open_text(report(TEXT.encode("utf-16")), "utf-16-le").lines()).startswith("電")


@pytest.mark.parametrize(
    ("data", "encoding", "message"),
    [
        (b"", None, "is empty"),
        (b"", "utf-8", "is empty"),
        (b"PK\x03\x04rest", None, "zip archive or an Excel workbook"),
        (b"PK\x03\x04rest", "latin-1", "zip archive or an Excel workbook"),
        (b"\xd0\xcf\x11\xe0rest", None, "an old Excel workbook"),
        (b"\x1f\x8b\x08", None, "compressed with gzip"),
        (b"%PDF-1.7", None, "a PDF document"),
        (b"a,b\n\x00\x01\x02", None, "is no text file"),
        (TEXT.encode("utf-16-le"), None, "is no text file"),
        (b"name,\xe9,x\nJos\xe9,1\n\xff\xff", None, "neither UTF-8, UTF-16 nor Shift_JIS"),
        (b"a,b\n\xff\n", "utf-8", "is not all utf-8"),
        (b"\xff\xfea", None, "neither UTF-8"),
    ],
)
def test_what_is_no_text_is_one_line_with_a_remedy(report, data, encoding, message):
    with pytest.raises(ReceiptsFileError, match=message) as caught:
        open_text(report(data), encoding)
    assert caught.value.hint
    assert "\n" not in caught.value.message


def test_a_file_that_is_not_there_and_a_folder_are_said(tmp_path):
    for path in (tmp_path / "none.csv", tmp_path):
        with pytest.raises(ReceiptsFileError, match="there is no such file"):
            open_text(path)


def test_a_file_that_may_not_be_read_is_said(report, monkeypatch):
    path = report("a,b\n")

    def refuse(*_):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(type(path), "open", refuse)
    with pytest.raises(ReceiptsFileError, match="cannot be read: Permission denied"):
        open_text(path)


def test_a_file_that_changed_meanwhile_is_said(report):
    found = open_text(report("a,b\n"))
    report(b"\xff\xff\xff")
    with pytest.raises(ReceiptsFileError, match="cannot be read"):
        list(found.lines())


def test_a_zero_byte_after_the_beginning_spoils_only_its_own_line(report):
    found = open_text(report(b"a,b\n" * 20_000 + b"x\0y,1\n"))
    assert list(found.lines())[-1] == "x\ufffdy,1\n"


def test_a_line_without_end_is_not_read_into_memory(report, monkeypatch):
    monkeypatch.setattr(text_file, "MAX_LINE", 1000)
    found = open_text(report("a,b\n" + "x" * 5000))
    with pytest.raises(ReceiptsFileError, match=r"report.csv:2: the line has more than 1,000 characters"):
        list(found.lines())
