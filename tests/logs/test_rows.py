from __future__ import annotations

import json
import math

import pytest

from runner.delivery import DeliveryKey
from runner.ledger.held_out import HeldOut
from runner.ledger.interface import Event
from runner.logs.interface import LoggedRun
from runner.logs.rows import COLUMNS, column_names, rows_of, rows_of_held_out
from tests.logs.made_runs import DETAILS


def event(**changes):
    values = {
        "number": 7,
        "key": DeliveryKey(campaign="promo", occurrence="once", phone="919876500001"),
        "recipient_id": "0091",
        "plan": "d1",
        "run": 3,
        "attempt": 1,
        "intent_at": 99.5,
        "at": 100.75,
        "event": "accepted",
        "rule": "an id",
        "message_id": "wamid.1",
        "http_status": 200,
        "code": None,
        "detail": None,
    }
    return Event(**{**values, **changes})


def row(details=DETAILS, **changes):
    run = LoggedRun(ledger="f" * 32, run=3, campaign="promo", occurrence="once", details=details)
    (made,) = rows_of(run, [event(**changes)])
    return dict(zip(column_names(), made, strict=True))


def test_a_row_has_every_column_of_its_type():
    made = row()
    for column in COLUMNS:
        value = made[column.name]
        assert value is None or type(value) is column.type, column.name


def test_time_is_whole_seconds_and_event_at_keeps_the_fraction():
    assert (row()["time"], row()["event_at"]) == (100, 100.75)


def test_times_that_come_as_whole_numbers_stay_decimals():
    made = row(at=100, intent_at=99)
    assert (type(made["event_at"]), type(made["intent_at"]), made["time"]) == (float, float, 100)


def test_an_event_has_one_id_for_ever():
    assert (row()["event_id"], row()["event_number"]) == ("f" * 32 + "-7", 7)


def test_what_the_plan_says_is_on_every_row():
    made = row()
    expected = {"provider": "ada", "sender": "60110000001", "template": "promo", "job_id": "4711"}
    assert {key: made[key] for key in expected} == expected


def test_context_is_json_text_with_sorted_keys():
    text = row()["context"]
    assert text.index('"git"') < text.index('"versions"')
    assert json.loads(text) == DETAILS["context"]


@pytest.mark.parametrize("number", [math.nan, math.inf, -math.inf])
def test_a_number_that_json_has_no_word_for_is_null(number):
    assert row(details={"context": {"a": [number, 1.5]}})["context"] == '{"a":[null,1.5]}'


def test_a_plan_that_kept_no_details_leaves_their_columns_empty():
    made = row(details={})
    names = ("provider", "sender", "template", "language", "source", "job_id", "context")
    assert {made[name] for name in names} == {None}


def test_a_job_id_that_is_a_number_becomes_text():
    assert row(details={"job_id": 4711})["job_id"] == "4711"


VARIED = DETAILS | {
    "template": None,
    "language": None,
    "variants": {
        "plain": {"template": "promo", "language": "id"},
        "warm": {"template": "w", "language": "en"},
    },
}


def test_a_row_has_its_variant_and_the_template_of_that():
    made = row(VARIED, variant="warm")
    assert (made["variant"], made["template"], made["language"]) == ("warm", "w", "en")
    assert (made["provider"], made["job_id"]) == ("ada", "4711")
    assert row(VARIED, variant="plain")["template"] == "promo"


def test_without_variants_the_column_is_empty():
    assert (row()["variant"], row()["template"]) == (None, "promo")


def test_a_variant_that_the_plan_does_not_know_has_no_template():
    made = row(VARIED, variant="other")
    assert (made["variant"], made["template"]) == ("other", None)


@pytest.mark.parametrize(("details", "template"), [(DETAILS, "promo"), (VARIED, None)])
def test_a_person_of_the_control_group_has_no_variant_and_every_column(details, template):
    key = DeliveryKey(campaign="promo", occurrence="once", phone="919876500001")
    held = HeldOut(number=7, key=key, recipient_id="0091", plan="d1", run=3, at=100.75)
    run = LoggedRun(ledger="f" * 32, run=3, campaign="promo", occurrence="once", details=details)
    (values,) = rows_of_held_out(run, [held])
    made = dict(zip(column_names(), values, strict=True))
    assert (made["event"], made["event_id"], made["event_number"]) == ("held_out", "f" * 32 + "-h7", 0)
    assert (made["phone"], made["variant"], made["template"]) == ("919876500001", None, template)
    assert (made["provider"], made["job_id"]) == ("ada", "4711")
