"""Saved mappings: small files for review, read back as they were."""

import pytest

from runner.delivery import ReceiptStatus
from runner.errors import FileProblems, UsageError
from runner.receipts.mapping import ColumnMapping, DateOrder
from runner.receipts.mapping_file import load_mapping, mapping_path, save_mapping

FULL = ColumnMapping(
    columns={"phone": ('Mobile \u202e"No"',), "at": ("日付", "12:30"), "sender": (), "status": ("NO",)},
    statuses={"terkirim: ya": ReceiptStatus.DELIVERED, "true": ReceiptStatus.READ},
    timezone="Asia/Jakarta",
    date_order=DateOrder.DMY,
    region="ID",
    encoding="cp932",
    header_line=3,
)


@pytest.mark.parametrize("mapping", [FULL, ColumnMapping(columns={"phone": ("Phone",)})])
def test_a_saved_mapping_reads_back_as_it_was(tmp_path, mapping):
    path = mapping_path(tmp_path, "ada_log")
    save_mapping(path, mapping)
    assert path == tmp_path / "receipts/ada_log.yml"
    assert load_mapping(path) == mapping


@pytest.mark.parametrize("name", ["../x", "", "a/b", "a.b", "-x", "x" * 65])
def test_a_name_that_leads_elsewhere_is_none(tmp_path, name):
    with pytest.raises(UsageError, match="is no name of a mapping"):
        mapping_path(tmp_path, name)


def test_a_mapping_that_is_not_there_is_said_with_those_that_are(tmp_path):
    with pytest.raises(UsageError, match="there is no mapping 'ada'") as caught:
        load_mapping(mapping_path(tmp_path, "ada"))
    assert "--save-mapping" in caught.value.hint
    save_mapping(mapping_path(tmp_path, "other"), FULL)
    with pytest.raises(UsageError) as caught:
        load_mapping(mapping_path(tmp_path, "ada"))
    assert caught.value.hint == "there is other"


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("- a\n", "found a list, expected keys such as `columns`"),
        ("column: {}\n", "did you mean `columns`?"),
        ("columns: [a]\n", "columns: found a list, expected a mapping"),
        ("statuses: x\n", 'statuses: found "x", expected a mapping'),
        ("columns: {fone: A}\n", "did you mean `phone`?"),
        ("columns: {phone: [A, B]}\n", "columns.phone: found a list, expected a header"),
        ("columns: {at: [A, B, C]}\n", "expected a header, or two headers in a list"),
        ("columns: {phone: 3}\n", "found the number 3, expected a header"),
        ("columns: {at: [A, 3]}\n", "found a list, expected a header, or two"),
        ("statuses: {x: gone}\n", 'found "gone", expected sent'),
        ('statuses: {"?": read}\n', 'found "?", expected a word of the report'),
        ("timezone: Asia/Jakart\n", "expected a time zone such as Asia/Jakarta"),
        ("timezone: 7\n", "expected a time zone"),
        ("date_order: ydm\n", "expected dmy, mdy or ymd"),
        ("encoding: ebcdic\n", "expected utf-8"),
        ("region: Indonesia\n", "expected an ISO 3166 code"),
        ("header_line: 0\n", "expected the number of a line"),
        ("header_line: true\n", "expected the number of a line"),
        ("region: ID\nregion: ID\n", "region"),
    ],
)
def test_what_is_wrong_in_a_mapping_is_said_at_its_place(tmp_path, text, problem):
    path = tmp_path / "x.yml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(FileProblems) as caught:
        load_mapping(path)
    assert problem in str(caught.value)


def test_an_empty_header_says_that_there_is_no_column(tmp_path):
    path = tmp_path / "x.yml"
    path.write_text('columns: {phone: "", sender: []}\n', encoding="utf-8")
    assert load_mapping(path).columns == {"phone": (), "sender": ()}
