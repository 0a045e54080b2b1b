"""The strict YAML loader: types, positions, bounds, and plain words for whatever is not YAML."""

from __future__ import annotations

import json
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runner.errors import FileProblems
from runner.strict_yaml import parse_yaml, read_yaml


def value_of(text):
    source = parse_yaml(text.encode(), "f.yml")
    assert source.problems == ()
    return source.value


def problems_of(data):
    """Return what stops the reading, or what did not stop it, as lines."""
    data = data if isinstance(data, bytes) else data.encode()
    try:
        return [str(problem) for problem in parse_yaml(data, "f.yml").problems]
    except FileProblems as error:
        return [str(problem) for problem in error.problems]


def only_problem(data):
    [problem] = problems_of(data)
    return problem


@pytest.mark.parametrize(
    "text",
    [
        *("NO", "no", "yes", "Yes", "on", "off", "y", "n", "TrUe", "nULL", "nan", "inf", ".infinity"),
        *("012", "-012", "00", "08.30", "1_000", "0b11", "0777e", "1e", "0o9", "0xG", "+", ".", "<", "="),
        *("12:30", "1:30:00", "2026-03-20", "2026-03-20T10:00", "30%", "+62-812"),
    ],
)
def test_what_only_yaml_1_1_or_a_guess_would_convert_stays_text(text):
    assert value_of(f"key: {text}\n") == {"key": text}


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("", None), ("~", None), ("null", None), ("Null", None), ("NULL", None),
        ("true", True), ("True", True), ("TRUE", True), ("false", False),
        ("0", 0), ("-19", -19), ("+12", 12), ("0o17", 15), ("0x1F", 31),
        ("0.5", 0.5), (".5", 0.5), ("1.", 1.0), ("-1e3", -1000.0), ("6.02E+23", 6.02e23),
        ("!!str 12", "12"), ("! 12", "12"), ("!!int 12", 12), ('!!int "12"', 12), ("!!float 1", 1),
        ("!!bool true", True), ("!!null ''", None), ("!!seq [1]", [1]), ("!!map {a: 1}", {"a": 1}),
        ("'12'", "12"), ('"true"', "true"), ("''", ""), ("|\n  a\n  b\n", "a\nb\n"),
        (">-\n  a\n  b\n", "a b"),
    ],
)  # fmt: skip
def test_core_scalars_mean_what_yaml_1_2_says(text, value):
    loaded = value_of(f"key: {text}\n")["key"]
    assert loaded == value
    assert type(loaded) is type(value)


@pytest.mark.parametrize("text", [".inf", "-.Inf", "+.INF", ".nan", ".NaN", "1e999", "9" * 301])
def test_a_number_that_is_not_finite_or_endless_is_refused_where_it_stands(text):
    assert only_problem(f"a: 1\nb: {text}\n").startswith("f.yml:2:4: b: found ")


@pytest.mark.parametrize(
    "text",
    [
        "!!python/object:os.system x",
        "!own x",
        "!!timestamp 2026-01-01",
        "!!binary aGk=",
        "!!set {a}",
        "!<x> [1]",
    ],
)
def test_a_tag_that_is_not_a_core_one_is_refused(text):
    assert (
        only_problem(f"a: {text}\n") == "f.yml:1:4: a: found a tag (`!...`), expected a value without a tag"
    )


@pytest.mark.parametrize("text", ["!!int x", "!!int true", "!!bool 1", "!!null x", "!!float x"])
def test_a_core_tag_must_fit_its_value(text):
    assert "a tag that does not fit its value" in only_problem(f"a: {text}\n")


def test_a_second_key_is_refused_where_it_stands_and_names_the_line_of_the_first():
    source = parse_yaml(b"a:\n  x: 1\n  y: 2\n  'x': 3\n", "f.yml")
    assert [str(problem) for problem in source.problems] == [
        "f.yml:4:3: a.x: found a second `x`, expected each key once (the first is in line 2)"
    ]
    assert source.value == {"a": {"x": 1, "y": 2}}


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("1: a", "the number 1 as a key"),
        ("true: a", "true as a key"),
        ("~: a", "nothing as a key"),
        ("? [x]\n: a", "a list as a key"),
        ("? {x: 1}\n: {y: [2]}", "a mapping as a key"),
        ("k: &k v\n*k : a", "the alias *k as a key"),
        ("<<: {a: 1}", "the merge key `<<`"),
    ],
)
def test_a_key_that_is_not_text_is_refused(text, found):
    assert f"found {found}, expected text as a key" in only_problem(text)


def test_a_quoted_merge_key_is_a_key_like_any_other():
    assert value_of("'<<': 1") == {"<<": 1}


def test_all_that_does_not_stop_the_reading_is_reported_at_once_and_so_is_what_stops_it():
    assert [re.sub(" found.*", "", line) for line in problems_of("a: .nan\n1: x\na: 2\nb: !x y\nc: [\n")] == [
        "f.yml:1:4: a:", "f.yml:2:1:", "f.yml:3:1: a:", "f.yml:4:4: b:", "f.yml:6:1:",
    ]  # fmt: skip
    assert len(problems_of("1: x\nb: *none\n")) == 2


def test_positions_count_characters_from_1_for_values_and_keys():
    source = parse_yaml("日本: {語: ok, 'emoji 🎉': [1, 二]}\nnext:\n  - a\n  - b: ~\n".encode(), "f.yml")
    assert source.places[("日本",)] == (1, 5)
    assert source.places[("日本", "語")] == (1, 9)
    assert source.key_places[("日本", "emoji 🎉")] == (1, 13)
    assert source.places[("日本", "emoji 🎉", 1)] == (1, 28)
    assert source.places[("next", 1)] == (4, 5)
    assert source.key_places[("next", 1, "b")] == (4, 5)
    assert source.unquoted == {("日本", "emoji 🎉", 0): "1", ("next", 1, "b"): "~"}


def test_a_problem_about_something_missing_points_at_what_should_hold_it():
    source = parse_yaml(b"a:\n  - b: 1\n", "f.yml")
    assert str(source.problem(("a", 0, "c", "d"), "x", "y").position) == "f.yml:2:5"
    assert str(source.problem(("z",), "x", "y").position) == "f.yml:1:1"


def test_get_leads_to_a_value_or_to_none():
    source = parse_yaml(b"a: [{b: 1}]\n", "f.yml")
    assert source.get("a", 0, "b") == 1
    assert (
        source.get("a", 1)
        is source.get("a", "b")
        is source.get("x", "y")
        is source.get("a", 0, "b", "c")
        is None
    )


def test_a_byte_order_mark_and_windows_line_ends_change_nothing():
    source = parse_yaml(b"\xef\xbb\xbfa: 1\r\nb:\r\n  - 2\r\n", "f.yml")
    assert source.value == {"a": 1, "b": [2]}
    assert source.places[("a",)] == (1, 4)
    assert source.places[("b", 0)] == (3, 5)


@pytest.mark.parametrize("data", [b"", b"\n\n", b"# only a comment\n", b"\xef\xbb\xbf", b" \r\n"])
def test_an_empty_file_is_named_as_such(data):
    assert only_problem(data).startswith("f.yml:1:1: found an empty file, expected keys and values")


@pytest.mark.parametrize(("text", "value"), [("- a\n", ["a"]), ("text", "text"), ("12", 12), ("---\n", None)])
def test_any_value_may_be_the_whole_file(text, value):
    assert value_of(text) == value


@pytest.mark.parametrize(
    ("text", "where"),
    [
        ("a:\n\tb: 1\n", "2:1"), ("a:\n  b: 1\n\tc: 2\n", "3:1"), ("a:\n  - b\n  \t- c: x: y\n", "3:3"),
        ("\ta: 1", "1:1"), ("q: |\n\tSELECT 1\n", "2:1"), ("a:\n \tb: 1\n   c: 2\n", "2:2"),
    ],
)  # fmt: skip
def test_a_tab_in_the_indentation_is_called_a_tab(text, where):
    assert only_problem(text) == f"f.yml:{where}: found a tab, expected spaces for indentation"


def test_a_tab_elsewhere_is_no_problem():
    assert value_of("a:\t1\nq: |\n  SELECT\n  \t1,\t2\n") == {"a": 1, "q": "SELECT\n\t1,\t2\n"}


@pytest.mark.parametrize(
    ("text", "where", "found"),
    [
        ("a: b: c", "1:5", "a `:` where no key can be"),
        ("a\nb: 1", "2:2", "a `:` where no key can be"),
        ("a: ? b", "1:4", "a key where none can be"),
        ("a: - b", "1:4", "a `-` where no list can start"),
        ("a: 1\n- b", "2:1", "a line that does not fit the mapping around it"),
        ("- a\nb: 1", "2:1", "a line that does not fit the list around it"),
        ("a: 1\nb\nc: 2", "2:1", "a line without a `:`"),
        ("a: [1\nb: 2\n", "1:4", "a list in `[` that is not closed"),
        ("a: {b: 1\n", "1:4", "a mapping in `{` that is not closed"),
        ("a: [1, }", "1:8", "no value"),
        ("a: 'x\nb: 1", "1:4", "a quotation mark that is never closed"),
        ('a: "x\n--- b', "1:4", "a quotation mark that is never closed"),
        ('a: "\\q"', "1:5", "a backslash before a character that needs none"),
        ('a: "\\ud800"', "1:7", "an escape of a character that does not exist"),
        ('a: "\\u12"', "1:7", "an escape with too few digits"),
        ("a: *", "1:5", "a `&` or `*` without a name"),
        ("a: @x", "1:4", "`@` at the start of a value"),
        ("a: `x`", "1:4", "``` at the start of a value"),
        ("a: %x", "1:4", "`%` at the start of a value"),
        ("a: !x!y z", "1:4", "a tag (`!...`)"),
        ("{a:}", "1:3", "a `:` without a space behind it"),
        ("%YAML 2.0\n---\na: 1", "1:1", "another version of YAML"),
        ("%YAML 1.2\n%YAML 1.2\n---\na: 1", "2:1", "a `%` line that YAML does not know"),
        ("a: 1\n...\nb: 2", "3:1", "text after the end of the document"),
        ("a: *x", "1:4", "the alias *x"),
        ("a: &x [*x]", "1:8", "the alias *x inside its own value"),
        ("a: 1\n---\nb: 2", "2:1", "a second document"),
        ("a: |99\n  x", "1:6", "something that is not YAML"),
    ],
)
def test_a_slip_of_syntax_is_explained_in_plain_words_where_it_is(text, where, found):
    problem = only_problem(text)
    assert problem.startswith(f"f.yml:{where}: found {found}, expected ")
    assert not re.search("scanning|parsing|token|node content|indicator", problem)


@pytest.mark.parametrize(
    ("data", "where", "found"),
    [
        (b"a: 1\nb: caf\xe9\n", "2:7", "the byte 0xE9, which is not UTF-8"),
        (b"\xef\xbb\xbfa: \xff", "1:4", "the byte 0xFF, which is not UTF-8"),
        ("日本: ".encode() + b"\x80", "1:5", "the byte 0x80, which is not UTF-8"),
        (b"a: \xed\xa0\x80", "1:4", "the byte 0xED, which is not UTF-8"),
        ("a: 1\n".encode("utf-16"), "1:1", "a file in UTF-16"),
        (b"a: x\x00y", "1:5", "the invisible character U+0000"),
        (b"a: 1\r\nb: \x1b[31m", "2:4", "the invisible character U+001B"),
        ("a: x\u2028y".encode(), "1:5", "the invisible character U+2028"),
        ("a: x\u0085y".encode(), "1:5", "the invisible character U+0085"),
        ("a: \u202egnp".encode(), "1:4", "the invisible character U+202E"),
        ("a: x\ufeffy".encode(), "1:5", "the invisible character U+FEFF"),
    ],
)
def test_bytes_that_are_not_readable_text_are_refused_where_they_stand(data, where, found):
    assert only_problem(data).startswith(f"f.yml:{where}: found {found}, expected ")


def test_an_invisible_character_may_be_written_as_an_escape_and_emoji_and_right_to_left_text_as_they_are():
    assert value_of('a: "\\u202E\\0\\e"\nb: 🎉👨‍👩‍👧 مرحبا\n') == {"a": "\u202e\0\x1b", "b": "🎉👨‍👩‍👧 مرحبا"}


def test_a_file_above_1_mb_is_refused_and_one_of_1_mb_is_not():
    assert "a file of more than 1 MB" in only_problem(b"a: " + b"x" * 999_998)
    assert value_of("a: " + "x" * 999_997) == {"a": "x" * 999_997}


def test_aliases_repeat_a_value_with_the_positions_of_its_anchor():
    source = parse_yaml(b"a: &x [1, {b: c}]\nd: *x\n", "f.yml")
    assert source.value == {"a": [1, {"b": "c"}], "d": [1, {"b": "c"}]}
    assert source.value["a"] is not source.value["d"]
    assert source.places[("d", 1, "b")] == (1, 15)
    assert value_of("a: &x 1\nb: &x 2\nc: *x\n")["c"] == 2


def test_a_billion_laughs_are_refused_at_the_alias_that_goes_too_far():
    lines = ["a: &a [" + ", ".join(["ha"] * 10) + "]"]
    lines += [
        f"{b}: &{b} [" + ", ".join([f"*{a}"] * 10) + "]" for a, b in zip("abcdefgh", "bcdefghi", strict=True)
    ]
    assert only_problem("\n".join(lines)).startswith("f.yml:4:")
    assert "more than 10,000 values, counting each alias" in only_problem("\n".join(lines))


def test_ten_thousand_values_are_the_most_with_or_without_aliases():
    assert len(value_of("[" + "1," * 9_999 + "]")) == 9_999
    assert "more than 10,000 values" in only_problem("[" + "1," * 10_000 + "]")


def test_nesting_is_bounded_and_aliases_do_not_get_around_it():
    assert value_of("[" * 64 + "]" * 64)
    assert "more than 64 levels" in only_problem("[" * 65 + "]" * 65)
    assert "more than 64 levels" in only_problem("[" * 100_000)
    deep = "a: &a " + "[" * 40 + "]" * 40 + "\nb: " + "[" * 30 + "*a" + "]" * 30
    assert "more than 64 levels" in only_problem(deep)


def test_a_problem_within_a_list_names_its_index():
    assert only_problem("a: [{b: 1}, {b: [2, .nan]}]").startswith("f.yml:1:21: a[1].b[1]: found")


def test_a_file_that_cannot_be_read_is_a_problem_like_any_other(tmp_path):
    with pytest.raises(FileProblems, match=r"gone.yml:1:1: found a file that cannot be read \(No such file"):
        read_yaml(tmp_path / "gone.yml")
    with pytest.raises(FileProblems, match="Is a directory"):
        read_yaml(tmp_path)
    with pytest.raises(FileProblems, match="not the name of a file"):
        read_yaml(tmp_path / "a\0b")


def test_names_and_values_in_problems_cannot_command_a_terminal(tmp_path):
    path = tmp_path / "\x1b[2Jx.yml"
    path.write_text('"\\e[31mkey": 1\n"\\e[31mkey": 2\n')
    [problem] = read_yaml(path).problems
    assert "\x1b" not in str(problem)
    assert "\\x1b[2Jx.yml:2:1: \\x1b[31mkey: found a second `\\x1b[31mkey`" in str(problem)


JSON_VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**80), 2**80)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=6) | st.dictionaries(st.text(), inner, max_size=6),
    max_leaves=30,
)


def as_json(value, indent):
    """JSON in which what YAML does not take as it is, DEL to U+009F and the unseen, is escaped."""
    text = json.dumps(value, ensure_ascii=False, indent=indent)
    return re.sub(
        "[\x7f-\x9f\u2028-\u202e\u2066-\u2069\ud800-\udfff\ufeff\ufffe\uffff]",
        lambda match: f"\\u{ord(match.group()):04x}",
        text,
    )


@given(JSON_VALUES, st.sampled_from([None, 1]))
def test_json_is_read_as_json_reads_it(value, indent):
    assert value_of(as_json(value, indent)) == value


@given(st.binary(max_size=200))
def test_any_bytes_are_a_value_or_problems(data):
    problems_of(data)


TOKENS = [
    *"aé:-?,[]{}#&*!|>'\"%@`~<=0129.+ \n\t\\",
    *("\n  ", ": ", "- ", "? ", "&a ", "*a", "<<: ", "---\n", "...\n", "!!str ", "!!int ", "|\n ", "\r\n"),
    *("null", "true", "0x", "1e9", ".nan", "\\u12", "%YAML 1.2\n", "%TAG ! x\n"),
]


@given(st.lists(st.sampled_from(TOKENS), max_size=40).map("".join))
def test_any_text_is_a_value_or_problems_within_it(text):
    lines = re.split(r"\r\n|\r|\n", text)
    for problem in problems_of(text):
        line, column = (int(number) for number in problem.split(":")[1:3])
        assert 1 <= line <= len(lines) + 1
        assert column >= 1
        assert "found" in problem
