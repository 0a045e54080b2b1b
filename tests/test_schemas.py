"""The schema files: valid, documented, and read by our checker as jsonschema reads them."""

from __future__ import annotations

import copy
import importlib.util
import json
from pathlib import Path

import phonenumbers
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from runner import schema_check
from runner.problem_words import describe, listed, nearest
from runner.schema_check import departures, load_schema, resolved, schema_path

NAMES = ("campaign", "runner")
DOCS = Path(__file__).parents[1] / "docs"

CAMPAIGN = {
    "campaign": "promo",
    "description": "d",
    "owner": "crm@example.com",
    "segment": {
        "source": "treasure_data",
        "query": "SELECT 1",
        "engine": "hive",
        "database": "crm",
        "params": {
            "a": "x",
            "b": 1,
            "c": ["x", 1, True],
            "d": {"type": "date", "value": "2026-01-01"},
            "e": {"type": "string"},
        },
    },
    "recipient": {"id": "i", "phone": "p", "consent": "c", "region": "ID", "phone_style": "national"},
    "template": {
        "name": "promo",
        "language": "id",
        "header": {"media": {"text": "https://example.com/a.pdf"}, "file_name": "a.pdf"},
        "buttons": [{"index": 0, "url": {"column": "code"}}, {"index": 1, "payload": {"text": "STOP"}}],
    },
    "variables": [
        {
            "column": "a",
            "default": "x",
            "format": "#,##0",
            "locale": "id",
            "transform": "trim",
            "max_length": 9,
        },
        {"text": "t", "transform": ["trim", "upper"]},
    ],
    "variants": [
        {"name": "a", "weight": 3, "template": {"name": "warm", "language": "id"}},
        {"name": "b", "variables": [{"text": "t"}]},
    ],
    "schedule": {
        "at": "2026-03-20T10:00",
        "timezone": "Asia/Jakarta",
        "window": "08:00-20:00",
        "start": "2026-03-01",
        "end": "2026-03-31T10:00",
        "exclude": ["2026-03-19", "2026-03-21"],
        "holidays": {"country": "MY", "subdivision": "10"},
        "missed": "skip",
        "grace": "2h",
        "on_window_close": "wait",
        "expire_after": "2d",
    },
    "delivery": {"provider": "ada", "priority": 3},
    "guards": {
        "max_recipients": 10,
        "max_rejected": "30%",
        "max_growth": "50%",
        "max_failed": 5,
        "max_unknown": "2%",
        "canary": {"size": 50, "wait": "30m", "max_failed": "5%"},
        "frequency_cap": {"messages": 2, "per": "7d"},
        "min_distance": "24h",
    },
    "holdout": {"share": "10%", "group": "always"},
    "log": {
        "treasure_data": {"database": "crm", "table": "log"},
        "parquet": {"folder": "exports"},
        "csv": {"folder": "exports", "formulas": "keep"},
    },
    "notify": {"on": ["failed", "finished"]},
}
RUNNER = {
    "data": "data",
    "state": ".runner",
    "ledger": "sqlite:///x.db",
    "timezone": "Asia/Jakarta",
    "window": "08:00-21:00",
    "suppression": ["a.csv", "b.csv"],
    "history": [
        {
            "source": "treasure_data",
            "query": "SELECT 1",
            "engine": "hive",
            "database": "crm",
            "region": "ID",
            "phone_style": "national",
        }
    ],
    "providers": {
        "ada": {
            "url": "https://ada.example.com",
            "sender": "60110000001",
            "rate": "5/s",
            "max_in_flight": 8,
            "read_timeout": 1.5,
            "text_header": "header",
            "channel": "LIVECHAT",
            "tag": False,
        }
    },
    "plan": {"expires_hours": 1},
    "query": {"memory_mb": 512, "seconds": 3},
    "treasure_data": {"site": "jp01"},
    "notify": {"on": ["waiting"]},
    "approval": {"by": "default_branch", "branch": "main", "remote": "origin"},
    "sandbox": {"templates": "t.json", "audiences": "a.json"},
}
FULL = {"campaign": CAMPAIGN, "runner": RUNNER}


def parts(schema):
    """Yield every sub-schema that describes a key, an item or a shared definition."""
    for group in ("properties", "$defs"):
        for key, part in schema.get(group, {}).items():
            if isinstance(part, dict):
                yield key, part
                yield from parts(part)
    if "items" in schema and "$ref" not in schema["items"]:
        yield "items", schema["items"]
        yield from parts(schema["items"])


@pytest.mark.parametrize("name", NAMES)
def test_a_schema_is_a_valid_one_of_2020_12(name):
    schema = load_schema(name)
    assert schema["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    assert schema["$id"].endswith(f"/{name}.schema.json")
    Draft202012Validator.check_schema(schema)


@pytest.mark.parametrize("name", NAMES)
def test_every_key_has_a_title_a_description_and_examples_that_are_valid(name):
    root = load_schema(name)
    for key, part in [("root", root), *parts(root)]:
        full = resolved(root, part)
        assert full["title"], key
        assert full["description"].endswith("."), key
        assert full["examples"], key
        for example in full["examples"]:
            Draft202012Validator(root).evolve(schema=full).validate(example)


@pytest.mark.parametrize("name", NAMES)
def test_no_mapping_takes_unknown_keys_and_every_pattern_is_explained(name):
    root = load_schema(name)
    for key, part in [("root", root), *parts(root)]:
        full = resolved(root, part)
        assert ("properties" in full) == ("additionalProperties" in full), key
        if full.get("additionalProperties"):
            assert full["propertyNames"]["$comment"], key
        if "pattern" in full or "anyOf" in full:
            assert full["$comment"], key


@pytest.mark.parametrize("name", NAMES)
def test_the_full_document_of_these_tests_uses_every_key(name):
    def keys(value):
        if isinstance(value, dict):
            return set(value).union(*(keys(inner) for inner in value.values()))
        return set().union(*(keys(inner) for inner in value)) if isinstance(value, list) else set()

    known = {key for key, part in parts(load_schema(name)) if key != "items" and "properties" not in part}
    other_sources = {"query_file", "table", "parent_segment", "segment", "max_age"}
    either = {"cron", *other_sources} | set(load_schema(name)["$defs"])
    assert known - keys(FULL[name]) - either == set()


def test_the_regions_are_those_of_the_phone_metadata():
    assert load_schema("campaign")["properties"]["recipient"]["properties"]["region"]["enum"] == sorted(
        phonenumbers.SUPPORTED_REGIONS
    )


def test_the_schemas_are_found_beside_an_installed_package_too(tmp_path, monkeypatch):
    (tmp_path / "schema").mkdir()
    (tmp_path / "schema" / "campaign.schema.json").write_text("{}")
    monkeypatch.setattr(schema_check, "__file__", str(tmp_path / "schema_check.py"))
    assert schema_path("campaign") == tmp_path / "schema" / "campaign.schema.json"
    assert schema_path("runner") == tmp_path.parent / "schema" / "runner.schema.json"


@pytest.mark.parametrize("name", NAMES)
def test_the_reference_pages_are_what_the_schemas_say(name):
    spec = importlib.util.spec_from_file_location("generate_reference", DOCS / "generate_reference.py")
    generator = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(generator)
    written = (DOCS / "reference" / f"{name}.md").read_text(encoding="utf-8")
    assert written == generator.page(name), "run: python docs/generate_reference.py"


def places(value, path=()):
    yield path
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, part in inner:
        yield from places(part, (*path, key))


def changed(document, path, change):
    document = copy.deepcopy(document)
    if not path:
        return change
    target = document
    for part in path[:-1]:
        target = target[part]
    if change is DELETED:
        del target[path[-1]]
    else:
        target[path[-1]] = change
    return document


DELETED = object()
ODD_VALUES = st.sampled_from(
    [
        None,
        True,
        False,
        0,
        1,
        -1,
        2.0,
        2.5,
        10**30,
        "",
        " ",
        "x",
        "A",
        "id",
        "ID",
        "5%",
        "100%",
        "101%",
        "7d",
        "5/s",
        "0/s",
        "unlimited",
        "08:00-25:00",
        "2026-03-20T10:00",
        "0 10 * * *",
        "a\tb",
        "x" * 3000,
        [],
        ["x"],
        ["a", "a"],
        {},
        {"column": "c"},
        {"text": "t"},
        {"column": "c", "text": "t"},
        {"x": 1},
        [{}],
        [{"column": "c"}] * 11,
        [{"name": "a"}],
        [{"name": "a", "weight": 10_001, "template": {}}],
        [1],
        {"param": "p"},
        {"param": "P"},
        {"type": "date"},
        {"type": "dat", "value": [1]},
        {"a": {"type": "string", "value": [[]]}},
        {"a\n": 1},
    ]
)
EXTRA_KEYS = (
    "cron",
    "query_file",
    "colum",
    "text",
    "column",
    "variables",
    "variants",
    "weight",
    "payload",
    "segment",
    "parent_segment",
    "type",
    "A b",
    "zzz",
    "file_name",
    "at",
)


@settings(max_examples=400)
@given(st.sampled_from(NAMES), st.data())
def test_our_checker_accepts_what_jsonschema_accepts_and_nothing_else(name, data):
    root, document = load_schema(name), FULL[name]
    for _ in range(data.draw(st.integers(0, 2))):
        path = data.draw(st.sampled_from(list(places(document))))
        change = data.draw(ODD_VALUES | st.just(DELETED))
        if data.draw(st.booleans()):
            path = (*path, data.draw(st.sampled_from(EXTRA_KEYS)))
            change = data.draw(ODD_VALUES)
        try:
            document = changed(document, path, change)
        except (TypeError, KeyError, IndexError):
            continue
        if not isinstance(document, dict):
            break
    ours = list(departures(root, root, document, ()))
    assert (ours == []) == Draft202012Validator(root).is_valid(document), json.dumps(document)


def test_a_final_line_break_does_not_slip_past_a_pattern():
    root = load_schema("campaign")
    assert list(departures(root, root, {**CAMPAIGN, "campaign": "promo\n"}, ()))


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (None, "nothing"),
        (True, "true"),
        (12, "the number 12"),
        (1.5, "the number 1.5"),
        ("foo", '"foo"'),
        ("", "an empty text"),
        ([], "an empty list"),
        ([1], "a list"),
        ({}, "an empty mapping"),
        ({"a": 1}, "a mapping"),
        ("a\x1b[2J\u202e", '"a\\x1b[2J\\u202e"'),
        ("x" * 50, '"' + "x" * 39 + '…"'),
        ("日本🎉", '"日本🎉"'),
        (6281234567890, "the number 6281****7890"),
        ("call 6281234567890", '"call 6281****7890"'),
        ("Bearer abcdefghijkl", '"***"'),
        ("eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIx.c2ln", '"***"'),
    ],
)
def test_values_are_described_in_words_that_show_no_secret_no_phone_and_no_control_character(value, words):
    assert describe(value) == words


def test_words_are_joined_as_in_a_sentence():
    assert [listed([]), listed(["a"]), listed(["a", "b"]), listed(["a", "b", "c"], "and")] == [
        "",
        "a",
        "a or b",
        "a, b and c",
    ]


@pytest.mark.parametrize(
    ("word", "meant"),
    [
        ("IDN", "ID"),
        ("id", "ID"),
        ("UK", None),
        ("recipent", "recipient"),
        ("RECIPIENT", "recipient"),
        ("zzz", None),
    ],
)
def test_the_nearest_word_is_found_and_a_far_one_is_not(word, meant):
    assert nearest(word, ["recipient", "template", "ID", "UA", "GB"]) == meant
