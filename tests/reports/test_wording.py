"""The words for what plans and runs say."""

from datetime import datetime, timezone
from types import SimpleNamespace

import pytest

from runner.plan import REASONS
from runner.reports import wording


def test_every_reason_has_words():
    assert set(wording.REASONS) == set(REASONS)


@pytest.mark.parametrize(("count", "text"), [(0, "0"), (999, "999"), (12500, "12,500"), (1e6, "1,000,000.0")])
def test_counts_have_their_thousands_separated(count, text):
    assert wording.number(count) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "less than a second"),
        (0.4, "less than a second"),
        (1, "1 s"),
        (59.6, "1 min"),
        (362, "6 min 2 s"),
        (3600, "1 h"),
        (3601, "1 h 1 s"),
        (90061, "1 d 1 h"),
        (10 * 86400, "10 d"),
    ],
)
def test_a_duration_is_told_in_its_two_largest_units(seconds, text):
    assert wording.duration(seconds) == text


@pytest.mark.parametrize(
    ("zone", "text"),
    [
        ("Asia/Jakarta", "Fri 20 Mar 2026 10:00 Asia/Jakarta"),
        ("Asia/Tokyo", "Fri 20 Mar 2026 12:00 Asia/Tokyo"),
        (None, "Fri 20 Mar 2026 03:00 UTC"),
    ],
)
def test_a_moment_is_told_on_its_own_clock(zone, text):
    assert wording.moment(datetime(2026, 3, 20, 3, tzinfo=timezone.utc), zone) == text


@pytest.mark.parametrize(("priority", "text"), [(1, ""), (3, ", with priority 3")])
def test_a_priority_is_told_where_a_campaign_has_one_of_its_own(priority, text):
    assert wording.priority(SimpleNamespace(priority=priority)) == text


@pytest.mark.parametrize(("rate", "text"), [(5.0, "5/s"), (0.5, "0.5/s"), (None, "no rate limit")])
def test_a_rate_is_told_as_runner_yml_writes_it(rate, text):
    assert wording.rate(rate) == text


def test_the_largest_reason_comes_first_and_equal_ones_by_name():
    found = wording.rejections({"no_consent": 3, "suppressed": 9, "not_mobile": 3, "made_up": 1})
    assert [(reason, count) for reason, count, _ in found] == [
        ("suppressed", 9),
        ("no_consent", 3),
        ("not_mobile", 3),
        ("made_up", 1),
    ]
    assert found[-1][2] == ""
