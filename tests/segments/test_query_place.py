import pytest

from runner.segments.query_place import one_line, place


@pytest.mark.parametrize(
    ("sql", "offset", "found"),
    [
        ("SELECT 1", 0, " 1:1"),
        ("SELECT 1", 7, " 1:8"),
        ("a\nbc", 3, " 2:2"),
        ("é\né x", 6, " 2:3"),
        ("abc", 3, " 1:4"),
        ("abc", 4, ""),
        ("abc", -1, ""),
        ("abc", None, ""),
    ],
)
def test_a_byte_offset_is_a_line_and_a_column_in_characters(sql, offset, found):
    assert place(sql, offset) == found


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("one\ntwo", "one"),
        ("\n  one", "one"),
        ("", ""),
        ("red \x1b[31malarm\x07", "red \\x1b[31malarm\\x07"),
        ("no 6281234567890 there", "no 6281****7890 there"),
        ("x" * 300, "x" * 239 + "…"),
    ],
)
def test_a_text_is_shown_as_one_harmless_line(text, found):
    assert one_line(text) == found
