import duckdb
import pytest

from runner.errors import SegmentError
from runner.segments import csv_check


@pytest.fixture
def check(tmp_path):
    """Check a CSV file of this text, as the query names it."""

    def check_text(text: str) -> None:
        path = tmp_path / "people.csv"
        path.write_text(text)
        with duckdb.connect() as connection:
            csv_check.check_csv("data/people.csv", path, connection)

    return check_text


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "data/people.csv is empty"),
        ("id,phone,name\n1,+62812\n2,+62813,b,c\n", "line 2, has 2 cells, and the header has 3"),
        ("id,phone,name\n1,+62812,a\n2,+62813,b,c\n3,1,2\n", "line 3, has 4 cells, and the header has 3"),
        ('id,phone,name\n1,+62812,"a,1\n2,+62813,b\n', "has a quotation mark that is not closed"),
        ('id,phone,name\n1,+62812,"a" b\n', "has a quotation mark that is not closed, or not doubled"),
        ("id;phone\n1;+62812\n2\n", "line 3, has 1 cells, and the header has 2"),
    ],
)
def test_a_csv_file_that_is_empty_or_damaged_says_where(check, text, said):
    with pytest.raises(SegmentError) as caught:
        check(text)
    assert said in caught.value.message
    assert caught.value.hint


@pytest.mark.parametrize(
    "text",
    [
        "id,phone\n",
        "phone\n1\n2\n",
        'id,phone\n1,"a ""quoted"" name, and a comma"\n2,"two\nlines"\n',
        'id,phone\n1,a 5" screen\n2,b\n',
        "\ufeffid;phone\n1;2\n",
    ],
)
def test_a_sound_csv_file_is_nothing_to_speak_of(check, text):
    check(text)


def test_a_quotation_that_goes_on_where_no_more_is_looked_at_is_not_called_open(check, monkeypatch):
    damaged = 'id,phone,name\n1,+62812,"a,1\n2,+62813,b\n'
    with pytest.raises(SegmentError):
        check(damaged)
    monkeypatch.setattr(csv_check, "_LINES", 2)
    check(damaged)
