import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runner.sandbox.record import RateLimit, Record


def make_record(**settings):
    return Record(make_id=lambda number: f"id-{number}", **settings)


def arrive(record, now=0.0, *, accepted=True, **message):
    message = {"to": "60120000001", **message}
    number, over = record.arrive(now, 1000.0 + now)
    record.settle(number, message, json.dumps(message).encode(), "200", accepted=accepted)
    return over


def test_an_arrival_is_over_the_limit_when_a_sliding_second_holds_too_many():
    record = make_record(limit=RateLimit.per_second(4.0))
    times = [0.0, 0.25, 0.5, 0.75, 0.875, 1.0, 1.25, 1.75, 2.0]
    assert [arrive(record, now) for now in times] == [False] * 4 + [True, True, True, False, False]
    assert (record.over_limit, record.max_per_second) == (3, 5)


def test_the_rate_itself_is_within_the_limit_to_the_last_hair():
    record = make_record(limit=RateLimit.per_second(4.0))
    assert not any(arrive(record, number * 0.25) for number in range(50))
    assert (record.over_limit, record.max_per_second) == (0, 4)


@given(st.lists(st.floats(0, 3), max_size=60), st.integers(1, 6))
def test_the_limit_agrees_with_its_definition(gaps, limit):
    times = sorted(gaps)
    record = make_record(limit=RateLimit.per_second(float(limit)))
    for now in times:
        arrive(record, now)
    breaches = sum(times[i] - times[i - limit] < 1.0 for i in range(limit, len(times)))
    most = max(
        (sum(0 <= now - other < 1.0 for other in times[: i + 1]) for i, now in enumerate(times)), default=0
    )
    assert (record.over_limit, record.max_per_second) == (breaches, most)


@pytest.mark.parametrize(
    ("rate", "messages", "window"), [(5.0, 5, 1.0), (2.5, 2, 0.8), (0.5, 1, 2.0), (80.0, 80, 1.0)]
)
def test_a_rate_is_messages_within_a_window(rate, messages, window):
    assert RateLimit.per_second(rate) == RateLimit(messages=messages, window=window)


def test_duplicates_are_the_same_tag_and_template_to_the_same_phone():
    record = make_record()
    arrive(record, tag1="a", templateName="t", templateLang="en")
    arrive(record, tag1="a", templateName="t", templateLang="id")
    arrive(record, tag1="b", templateName="t", templateLang="en")
    arrive(record, tag1="a", templateName="t", templateLang="en", accepted=False)
    assert (record.duplicates, record.counts()["phones_repeated"]) == (0, 1)
    arrive(record, tag1="a", templateName="t", templateLang="en")
    assert record.duplicates == 1
    assert record.duplicated() == [
        {"number": 5, "to": "60120000001", "tag1": "a", "template": "t", "language": "en"}
    ]


def test_the_same_text_twice_is_a_duplicate_and_another_text_is_not():
    record = make_record()
    for text in ("Hi", "Ho", "Hi"):
        arrive(record, type="text", text=text)
    assert record.duplicates == 1


def test_the_list_of_duplicates_is_bounded_and_their_count_is_not():
    record = make_record()
    for _ in range(105):
        arrive(record, tag1="a")
    assert (record.duplicates, len(record.duplicated())) == (104, 100)


def test_only_the_newest_messages_stay_whole_but_phones_and_times_stay():
    record = make_record(kept_messages=2)
    for number in range(5):
        arrive(record, float(number), to=f"6012000000{number}")
    kept = [record.message(number) for number in range(1, 6)]
    assert [document["message"] is not None for document in kept] == [False, False, False, True, True]
    assert [document["to"][-1] for document in kept] == ["0", "1", "2", "3", "4"]
    assert [document["arrived"] for document in kept] == [0.0, 1.0, 2.0, 3.0, 4.0]
    assert kept[0]["id"] == "id-1"


def test_whole_messages_stay_within_their_bytes():
    record = make_record(kept_bytes=100)
    for number in range(5):
        arrive(record, to=f"6012000000{number}", text="x" * 50)
    assert sum(record.message(number)["message"] is not None for number in range(1, 6)) == 1


def test_a_message_settled_after_its_turn_to_be_dropped_is_not_kept():
    record = make_record(kept_messages=1)
    record.arrive(0.0, 0.0)
    arrive(record, 1.0)
    record.settle(1, {"to": "1"}, b'{"to": "1"}', "200", accepted=True)
    assert record.message(1)["message"] is None
    assert record.message(2)["message"] is not None


def test_a_settled_arrival_is_written_once_with_its_answer():
    lines = []
    record = make_record(write=lines.append)
    arrive(record, tag1="a")
    assert [(line["number"], line["tag1"], line["answer"], line["id"]) for line in lines] == [
        (1, "a", "200", "id-1")
    ]


def test_a_second_of_the_series_counts_arrived_and_accepted():
    record = make_record()
    for now, accepted in ((0.1, True), (0.9, False), (1.0, True)):
        arrive(record, now, accepted=accepted)
    assert list(record.series) == [[1000, 2, 1], [1001, 1, 1]]


def test_an_empty_record_has_counts():
    counts = make_record().counts()
    assert (counts["total"], counts["first_arrived"], counts["answers"]) == (0, None, {})
