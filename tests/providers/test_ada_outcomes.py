"""The table from ADA's answers to outcomes."""

import itertools
import json

import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from runner.delivery import Outcome
from runner.providers import ada_outcomes as table
from runner.providers.http import Failure, FailureKind, HttpAnswer, read_document

ID = "7c1f0f0e-0000-4000-8000-00000000abcd"
OK = {"status": 200, "errorCode": 0, "message": "Success", "data": [ID]}
ERROR = {"status": 400, "errorCode": 10301, "message": "Invalid parameter"}
BAD_TOKEN = {"status": 400, "errorCode": 10203, "message": "Invalid access token"}

#: Each kind of body that a status may come with; None is a body that is no JSON.
BODIES = [
    None, OK, ERROR, BAD_TOKEN, [ID], [], {}, "text", 7, True, {"data": []}, {"data": None}, {"data": [""]},
    {"data": {"id": ID}}, {"data": [{"id": ID}]}, {**OK, "errorCode": 1}, {**OK, "status": 400},
    {**OK, "status": "400"}, {"status": 401}, {**OK, "errorCode": "10203"}, {"errorCode": "10203"},
    {"status": 429}, {"error": "x"}, {"data": [7]}, {**OK, "status": 401},
]  # fmt: skip


@pytest.mark.parametrize(
    ("status", "body", "rule", "outcome", "stops"),
    [
        (200, OK, "accepted", "accepted", False),
        (201, OK, "accepted", "accepted", False),
        (202, [ID], "accepted", "accepted", False),
        (200, {"data": {"id": ID}}, "accepted", "accepted", False),
        (200, {"data": [{"id": ID}]}, "accepted", "accepted", False),
        (200, {"status": 200, "data": []}, "no_message_id", "unknown", False),
        (200, {"data": [12]}, "no_message_id", "unknown", False),
        (200, {"data": "Queued"}, "no_message_id", "unknown", False),
        (200, None, "no_message_id", "unknown", False),
        (204, None, "no_message_id", "unknown", False),
        (200, ERROR, "refused_inside", "refused", False),
        (200, {**OK, "status": 400}, "refused_inside", "refused", False),
        (200, {**OK, "errorCode": "E1"}, "refused_inside", "refused", False),
        (200, {**OK, "errorCode": "0"}, "accepted", "accepted", False),
        (200, {**OK, "errorCode": ""}, "accepted", "accepted", False),
        (200, BAD_TOKEN, "bad_token", "retry", True),
        (200, {"status": 401}, "bad_token", "retry", True),
        (200, {**OK, "errorCode": 10203}, "refused_inside", "refused", False),
        (400, BAD_TOKEN, "bad_token", "retry", True),
        (500, BAD_TOKEN, "bad_token", "retry", True),
        (401, None, "bad_token", "retry", True),
        (403, ERROR, "bad_token", "retry", True),
        (407, None, "proxy_password", "retry", True),
        (400, ERROR, "refused", "refused", False),
        (404, None, "refused", "refused", False),
        (408, None, "refused", "refused", False),
        (422, ERROR, "refused", "refused", False),
        (429, None, "rate_limited", "retry", False),
        (429, ERROR, "rate_limited", "retry", False),
        (503, ERROR, "busy", "retry", False),
        (503, OK, "server_error", "unknown", False),
        (503, ["x"], "server_error", "unknown", False),
        (503, None, "server_error", "unknown", False),
        (502, None, "server_error", "unknown", False),
        (500, ERROR, "server_error", "unknown", False),
        (301, None, "redirected", "unknown", True),
        (308, OK, "redirected", "unknown", True),
        (101, None, "not_understood", "unknown", False),
        (600, None, "not_understood", "unknown", False),
    ],
)
def test_each_answer_means_what_the_table_says(status, body, rule, outcome, stops):
    answer = table.to_answer(HttpAnswer(status=status, document=body), departed_at=1.0, now=2.0)
    assert (answer.rule, answer.outcome.value, answer.stops) == (rule, outcome, stops)
    assert (answer.http_status, answer.departed_at) == (status, 1.0)
    assert answer.message_id == (ID if outcome == "accepted" else None)


@pytest.mark.parametrize("kind", FailureKind)
def test_a_failure_is_retried_only_when_no_byte_was_written(kind):
    unwritten = table.decide(Failure(kind=kind, written=False))
    written = table.decide(Failure(kind=kind, written=True))
    assert written.outcome is Outcome.UNKNOWN
    expected = Outcome.REFUSED if kind is FailureKind.UNSENDABLE else Outcome.RETRY
    assert unwritten.outcome is expected


def _proves_that_nothing_was_sent(result):
    """Say so independently of the table's own predicates."""
    if isinstance(result, Failure):
        return not result.written
    body = result.document if isinstance(result.document, dict) else {}
    has_id = bool(body.get("data")) and ID in json.dumps(body)
    if result.status in {401, 403, 407, 429}:
        return True
    if 200 <= result.status <= 299 and has_id:
        return False
    if body.get("errorCode") in (10203, "10203") or (result.status < 300 and body.get("status") == 401):
        return True
    return result.status == 503 and isinstance(result.document, dict) and not has_id


def test_every_answer_and_failure_has_one_rule_and_retry_always_has_proof():
    results = [HttpAnswer(status=status, document=body) for status in range(100, 600) for body in BODIES]
    results += [Failure(kind=kind, written=w) for kind, w in itertools.product(FailureKind, [True, False])]
    used = set()
    for result in results:
        rule = table.decide(result)
        used.add(rule.name)
        if rule.outcome is Outcome.RETRY:
            assert _proves_that_nothing_was_sent(result), (result, rule.name)
        if rule.outcome is Outcome.ACCEPTED:
            assert 200 <= result.status <= 299
            assert table.message_id(result.document) == ID
            assert not table.says_failure(result.document)
    assert used == {rule.name for rule in table.RULES}
    assert len(used) == len(table.RULES)


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["data", "status", "errorCode", "message", "error", "id"]), inner)
    ),
    max_leaves=12,
)


@hypothesis_settings(deadline=None, max_examples=60)
@given(status=st.integers(0, 999), document=_JSON, header=st.none() | st.text(max_size=30))
def test_no_document_however_strange_raises_or_spoils_the_evidence(status, document, header):
    result = HttpAnswer(status=status, document=document, retry_after=header)
    answer = table.to_answer(result, departed_at=None, now=1e9, key="k" * 20)
    assert (answer.message_id is not None) == (answer.outcome is Outcome.ACCEPTED)
    for text in (answer.detail, answer.code, answer.message_id):
        assert text is None or (0 < len(text) <= 200 and text.isprintable())
    assert answer.retry_after is None or 0 <= answer.retry_after <= table.LONGEST_RETRY_AFTER


@hypothesis_settings(deadline=None, max_examples=60)
@given(st.binary(max_size=200))
def test_any_bytes_are_a_document_or_none(body):
    read_document(body)


def test_json_nested_or_numbered_too_far_is_no_document():
    assert read_document(b"[" * 100_000) is None
    assert read_document(b"9" * 60_000) is None


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        ("7", 7.0),
        (" 1.5 ", 1.5),
        ("0", 0.0),
        ("-5", 0.0),
        ("999999999", 3600.0),
        ("inf", 3600.0),
        ("nan", None),
        ("soon", None),
        ("", None),
        ("Sun, 09 Sep 2001 01:47:10 GMT", 30.0),
        ("Sun, 09 Sep 2001 01:47:10", 30.0),
        ("Sat, 08 Sep 2001 01:46:40 GMT", 0.0),
        ("Fri, 31 Dec 9999 99:99:99 GMT", None),
    ],
)
def test_retry_after_is_seconds_or_a_date_and_bounded(header, seconds):
    assert table.retry_after_seconds(header, 1e9) == seconds


def test_retry_after_is_kept_only_where_a_retry_follows():
    limited = HttpAnswer(status=429, document=None, retry_after="7")
    refused = HttpAnswer(status=400, document=ERROR, retry_after="7")
    assert table.to_answer(limited, departed_at=None, now=0.0).retry_after == 7.0
    assert table.to_answer(refused, departed_at=None, now=0.0).retry_after is None


def test_code_and_detail_are_the_providers_words():
    answer = table.to_answer(HttpAnswer(status=400, document=ERROR), departed_at=None, now=0.0)
    assert (answer.code, answer.detail) == ("10301", "Invalid parameter")
    answer = table.to_answer(HttpAnswer(status=400, document={"error": "no"}), departed_at=None, now=0.0)
    assert (answer.code, answer.detail) == (None, "no")
    assert table.to_answer(HttpAnswer(status=400), departed_at=None, now=0.0).detail is None


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("bad number 6281234567890", "bad number 6281****7890"),
        ("bad number +62 812-3456-7890.", "bad number 6281****7890."),
        ("code 123456 stays", "code 123456 stays"),
        ("a\r\n\tb\x00c\u2028d", "a b c d"),
        ("token eyJhbGciOi.eyJzdWIi.c2ln was refused", "token *** was refused"),
        ("Bearer the-key!", "Bearer ***!"),
        ("x" * 300, "x" * 199 + "…"),
        ("right \u202e to left", "right   to left"),
    ],
)
def test_a_detail_shows_no_key_no_phone_and_no_control_character(text, shown):
    assert table.clean(text, "the-key") == shown


def test_an_id_with_control_characters_or_without_end_is_no_id():
    assert table.message_id({"data": ["a\nb"]}) is None
    assert table.message_id({"data": ["a" * 201]}) is None
    assert table.message_id({"data": ["  a "]}) == "a"
