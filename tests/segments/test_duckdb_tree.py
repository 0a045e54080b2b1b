"""The tree's two shapes, of which each version of DuckDB makes one: what is read of it is the same."""

import pytest

from runner.segments.duckdb_tree import arguments_of, names_from_with, nodes_of, parts_of, string_of

STRINGS = {
    "2.0": {"type": "VALUE_CONSTANT", "literal": {"kind": "STRING", "text": "a.csv"}},
    "1.5": {
        "type": "VALUE_CONSTANT",
        "value": {"type": {"id": "VARCHAR"}, "is_null": False, "value": "a.csv"},
    },
}
CALLS = {
    "2.0": {
        "function_name": "f",
        "qualified_name": {"path": ["f"]},
        "arguments": [{"expression": STRINGS["2.0"]}],
    },
    "1.5": {"function_name": "f", "schema": "", "catalog": "", "children": [STRINGS["1.5"]]},
}
TABLES = {
    "2.0": {"table_name": "t", "schema_name": "s", "qualified_name": {"path": ["c", "s", "t"]}},
    "1.5": {"table_name": "t", "schema_name": "s", "catalog_name": "c"},
}

versions = pytest.mark.parametrize("version", ["2.0", "1.5"])


@versions
def test_a_call_and_its_string_are_read(version):
    call = CALLS[version]
    assert parts_of(call) == ("f",)
    assert [string_of(argument) for argument in arguments_of(call)] == ["a.csv"]


@versions
def test_a_table_is_read_by_its_parts(version):
    assert parts_of(TABLES[version]) == ("c", "s", "t")


@pytest.mark.parametrize(
    "node",
    [
        {"type": "COLUMN_REF"},
        {"type": "VALUE_CONSTANT", "literal": {"kind": "INTEGER", "text": "1"}},
        {"type": "VALUE_CONSTANT", "value": {"type": {"id": "INTEGER"}, "value": 1}},
        {"type": "VALUE_CONSTANT"},
    ],
)
def test_what_is_no_string_has_no_text(node):
    assert string_of(node) is None


def test_a_name_has_at_least_one_part():
    assert parts_of({"table_name": ""}) == ("",)


@versions
def test_a_table_functions_call_is_not_walked_as_a_call_but_its_arguments_are(version):
    nodes = list(nodes_of({"from_table": {"type": "TABLE_FUNCTION", "function": CALLS[version]}}))
    assert CALLS[version] not in nodes
    assert STRINGS[version] in nodes


def test_names_of_a_with_clause_are_read_where_they_are_given():
    assert list(names_from_with({"cte_map": {"map": [{"key": "a", "value": {}}]}})) == ["a"]
    assert list(names_from_with({})) == []
