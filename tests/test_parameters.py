"""What a query's `:name` stands for: declared in the file, given by `--param`, always of one type."""

from datetime import date, datetime, timezone
from decimal import Decimal

import pytest

from runner.campaign import Parameter, ParameterType
from runner.errors import UsageError
from runner.parameters import read_given, read_parameter, with_parameters

TD = """\
campaign: promo
segment:
  source: treasure_data
  %s
recipient: {id: i, phone: p, consent: c}
template: {name: t, language: id}
"""
DECLARED = (
    TD
    % """database: crm
  query: SELECT 1
  params:
    least: 100
    tiers: [gold, silver]
    since: {type: date, value: 2026-01-01}
    until: {type: date}"""
)
ACTIVATION = TD % ("database: {param: activation_actions_db}\n  table: {param: activation_actions_table}")


@pytest.mark.parametrize(
    ("written", "type_", "value"),
    [
        ("ID", "string", "ID"),
        (5, "integer", 5),
        (0.5, "double", 0.5),
        (True, "boolean", True),
        (["a", "b"], "string", ("a", "b")),
        ({"type": "decimal", "value": "1.20"}, "decimal", Decimal("1.20")),
        ({"type": "decimal", "value": 1}, "decimal", Decimal(1)),
        ({"type": "double", "value": 2}, "double", 2.0),
        ({"type": "date", "value": "2026-02-28"}, "date", date(2026, 2, 28)),
        ({"type": "timestamp", "value": "2026-02-28T10:00:00"}, "timestamp", datetime(2026, 2, 28, 10)),
        (
            {"type": "timestamp", "value": "2026-02-28T10:00:00Z"},
            "timestamp",
            datetime(2026, 2, 28, 10, tzinfo=timezone.utc),
        ),
        ({"type": "boolean", "value": [True, False]}, "boolean", (True, False)),
        ({"type": "string"}, "string", None),
    ],
)
def test_a_parameter_has_the_type_it_is_written_in_or_says(written, type_, value):
    assert read_parameter(written) == Parameter(type=ParameterType(type_), value=value)


@pytest.mark.parametrize(
    "written",
    [
        ["a", 1],
        [1, True],
        [True, "x"],
        {"type": "date", "value": "2026-02-30"},
        {"type": "date", "value": 20260228},
        {"type": "integer", "value": "5"},
        {"type": "integer", "value": 5.5},
        {"type": "boolean", "value": "true"},
        {"type": "boolean", "value": 1},
        {"type": "string", "value": 5},
        {"type": "decimal", "value": "NaN"},
        {"type": "decimal", "value": "x"},
        {"type": "timestamp", "value": "2026-02-28T10:00:00+07:00"},
    ],
)
def test_a_value_of_another_type_is_refused(written):
    with pytest.raises(ValueError, match=r"is no (string|integer|decimal|boolean|date|timestamp)"):
        read_parameter(written)


def test_the_file_s_values_hold_where_nothing_is_given(load):
    campaign = with_parameters(load(DECLARED), {"until": "2026-03-01"})
    assert campaign.segment.params == {
        "least": 100,
        "tiers": ("gold", "silver"),
        "since": date(2026, 1, 1),
        "until": date(2026, 3, 1),
    }


def test_a_given_value_has_the_type_of_the_file_s(load):
    given = {"until": "2026-03-01", "least": "7", "tiers": "a, b", "since": "2025-12-31"}
    params = with_parameters(load(DECLARED), given).segment.params
    assert params == {
        "least": 7,
        "tiers": ("a", "b"),
        "since": date(2025, 12, 31),
        "until": date(2026, 3, 1),
    }


@pytest.mark.parametrize(
    ("given", "message", "hint"),
    [
        ({}, "the parameter until has no value", "--param until=..."),
        ({"until": "soon"}, "--param until: 'soon' is no date", "its type is date"),
        (
            {"until": "2026-01-01", "least": "1.5"},
            "--param least: '1.5' is no integer",
            "its type is integer",
        ),
        ({"leest": "1"}, "promo has no parameter 'leest'", "did you mean least?"),
        ({"zzz": "1"}, "promo has no parameter 'zzz'", "it has: least, since, tiers, until"),
    ],
)
def test_a_parameter_that_cannot_be_is_an_error_that_says_why(load, given, message, hint):
    with pytest.raises(UsageError) as caught:
        with_parameters(load(DECLARED), given)
    assert (caught.value.message, caught.value.hint) == (message, hint)


def test_an_activation_gives_the_database_and_the_table(load):
    given = {"activation_actions_db": "cdp_audience_1", "activation_actions_table": "cdp_audience_1.synd"}
    segment = with_parameters(load(ACTIVATION), given).segment
    assert (segment.database, segment.table) == ("cdp_audience_1", "cdp_audience_1.synd")


def test_an_activation_without_its_table_is_an_error(load):
    with pytest.raises(UsageError, match="promo needs the parameter activation_actions_table"):
        with_parameters(load(ACTIVATION), {"activation_actions_db": "crm", "activation_actions_table": " "})


@pytest.mark.parametrize("name", ["../../kill/1061", "a b", "crm?x=1", "ab", 'a"b', "CRM", "a.b.c"])
def test_what_names_no_database_or_table_is_not_sent_anywhere(load, name):
    good = {"activation_actions_db": "crm", "activation_actions_table": "crm.vips"}
    assert with_parameters(load(ACTIVATION), good).segment.table == "crm.vips"
    for key in good:
        with pytest.raises(UsageError, match=f"--param {key}: .* is the name of no (database|table)"):
            with_parameters(load(ACTIVATION), {**good, key: name})


def test_parameters_on_the_command_line_are_names_and_values():
    assert read_given(["a=1", "b=x=y", "c="]) == {"a": "1", "b": "x=y", "c": ""}


@pytest.mark.parametrize("arguments", [["a"], ["=1"], ["a=1", "a=2"]])
def test_a_parameter_on_the_command_line_in_another_form_is_an_error(arguments):
    with pytest.raises(UsageError):
        read_given(arguments)
