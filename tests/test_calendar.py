"""runner.calendar: what is to come, how large it is, when it leaves, and what collides."""

from dataclasses import replace
from datetime import datetime, time, timedelta, timezone
from pathlib import PurePosixPath

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from runner.calendar import KnownSize, SizeSource, hour_of, make_calendar
from runner.campaign import Campaign, RecipientColumns, Segment, TemplateUse
from runner.project import ProviderSettings, Rate
from runner.schedule import Schedule, Window

#: A Sunday, at midnight in Jakarta.
SINCE = datetime(2026, 11, 28, 17, tzinfo=timezone.utc)
JAKARTA = "Asia/Jakarta"
MONDAYS = Schedule(cron="0 10 * * MON", zone=JAKARTA)
HOUR = timedelta(hours=1)


def campaign(name, schedule=MONDAYS, provider="ada"):
    return Campaign(
        name=name,
        segment=Segment(source="duckdb"),
        recipient=RecipientColumns(id="i", phone="p", consent="c"),
        template=TemplateUse(name="t", language="id"),
        path=PurePosixPath(f"{name}.yml"),
        document={},
        schedule=schedule,
        provider=provider,
    )


def provider(name="ada", sender="60110000001", rate=5.0):
    return ProviderSettings(name=name, url=None, sender=sender, rate=Rate(per_second=rate))


def size(name, messages, source=SizeSource.LEDGER, occurrence="2026-11-23T03:00Z", at=0.0):
    return KnownSize(campaign=name, occurrence=occurrence, messages=messages, source=source, at=at)


def calendar(campaigns, sizes=(), *, days=7, providers=(), zone=JAKARTA):
    known = {one.name: one for one in providers or [provider()]}
    return make_calendar(campaigns, known, sizes, since=SINCE, until=SINCE + timedelta(days=days), zone=zone)


def at(day, hour, minute=0, second=0):
    """Return a moment of December 2026 (or, for 29 and 30, November) by Jakarta's clocks."""
    month = 11 if day > 28 else 12
    return datetime(2026, month, day, hour, minute, second, tzinfo=timezone.utc) - 7 * HOUR


def test_occurrences_of_all_campaigns_come_in_the_order_of_time():
    daily = campaign("daily", Schedule(cron="0 9 * * *", zone="Asia/Tokyo"))
    found = calendar([campaign("mondays"), daily], days=2).occurrences
    assert [(one.campaign.name, one.occurrence) for one in found] == [
        ("daily", "2026-11-29T00:00Z"),
        ("daily", "2026-11-30T00:00Z"),
        ("mondays", "2026-11-30T03:00Z"),
    ]
    assert [one.at for one in found][2] == at(30, 10)


def test_a_campaign_without_a_time_of_its_own_is_not_in_it():
    assert calendar([campaign("whenever", Schedule(zone=JAKARTA))]).occurrences == ()


def test_what_a_schedule_leaves_out_is_left_out():
    away = replace(MONDAYS, exclude=frozenset({at(30, 10).date()}))
    found = calendar([campaign("away", away)], days=14).occurrences
    assert [one.occurrence for one in found] == ["2026-12-07T03:00Z"]


@pytest.mark.parametrize(
    ("sizes", "expected"),
    [
        ([], None),
        ([size("other", 9)], None),
        ([size("news", 7, at=1.0), size("news", 8, occurrence="2026-11-16T03:00Z")], 7),
        ([size("news", 7), size("news", 8, SizeSource.PLAN, at=1.0)], 8),
        ([size("news", 7, at=1.0), size("news", 8, SizeSource.PLAN)], 7),
        ([size("news", 7, at=1.0), size("news", 8, SizeSource.PLAN, "2026-11-30T03:00Z")], 8),
        ([size("news", 7, SizeSource.LEDGER, "2026-11-30T03:00Z")], None),
    ],
    ids=[
        "nothing is known",
        "that of another campaign says nothing",
        "the latest one of the ledger",
        "a newer plan",
        "a newer one of the ledger",
        "its own plan",
        "what was sent already is not to come",
    ],
)
def test_a_size_is_that_of_its_own_plan_or_of_the_newest_other_occurrence(sizes, expected):
    (one,) = calendar([campaign("news")], sizes).occurrences
    assert one.messages == expected
    assert (one.source is None) == (expected is None)


def test_the_last_message_leaves_after_the_others_at_the_rate():
    found = calendar([campaign("news")], [size("news", 18_000)])
    assert found.ends == (at(30, 11) - timedelta(seconds=0.2),)
    (hour,) = found.load
    assert (hour.start, hour.messages, hour.share) == (at(30, 10), 18_000, 1.0)


@pytest.mark.parametrize("known", [[], [size("news", 0)]], ids=["unknown", "nothing"])
def test_what_has_no_messages_loads_nothing(known):
    found = calendar([campaign("news")], known)
    assert found.load == ()
    assert found.ends == ((at(30, 10),) if known else (None,))


def test_a_load_is_told_by_the_hours_of_the_clocks():
    half_past = campaign("news", Schedule(cron="30 10 * * MON", zone=JAKARTA))
    load = calendar([half_past], [size("news", 20_000)]).load
    assert [(hour.start, round(hour.messages)) for hour in load] == [
        (at(30, 10), 9_000),
        (at(30, 11), 11_000),
    ]


def test_hours_begin_where_the_clocks_of_a_zone_say_so():
    assert hour_of(at(30, 10), "Asia/Kolkata") == at(30, 9, 30)
    assert hour_of(at(30, 10, 59, 59), JAKARTA) == at(30, 10)


def test_nothing_leaves_while_the_window_is_closed():
    evening = Schedule(cron="0 19 * * SUN", zone=JAKARTA, window=Window(opens=time(9), closes=time(20)))
    found = calendar([campaign("news", evening)], [size("news", 20_000)])
    assert [(hour.start, round(hour.messages)) for hour in found.load] == [
        (at(29, 19), 18_000),
        (at(30, 9), 2_000),
    ]
    assert found.ends[0] == at(30, 9, 6, 40) - timedelta(seconds=0.2)


def test_what_is_due_before_the_window_starts_when_it_opens():
    early = Schedule(cron="0 4 * * MON", zone=JAKARTA, window=Window(opens=time(9), closes=time(20)))
    (one,) = calendar([campaign("news", early)]).occurrences
    assert (one.at, one.starts_at) == (at(30, 4), at(30, 9))


def test_campaigns_of_one_sender_share_its_rate():
    found = calendar([campaign("a"), campaign("b")], [size("a", 9_000), size("b", 18_000)])
    assert found.ends == tuple(at(30, *end) - timedelta(seconds=0.2) for end in ((11,), (11, 30)))
    assert [round(hour.share, 6) for hour in found.load] == [1.0, 0.5]


def test_one_that_is_larger_than_the_calendar_has_no_end_in_it():
    found = calendar([campaign("news")], [size("news", 5 * 3600 * 24 * 30)])
    assert found.ends == (None,)
    assert sum(hour.messages for hour in found.load) == pytest.approx(
        5 * (SINCE + timedelta(days=7) - at(30, 10)).total_seconds()
    )


def test_a_collision_has_its_campaigns_messages_and_time_at_the_rate():
    half_past = Schedule(cron="30 10 * * MON", zone=JAKARTA)
    sizes = [size("a", 10_000), size("b", 11_000), size("c", 20_000)]
    (found,) = calendar([campaign("a"), campaign("b"), campaign("c", half_past)], sizes).collisions
    assert (found.at, found.campaigns, found.messages) == (at(30, 10), ("a", "b", "c"), 41_000)
    assert (found.rate, found.seconds) == (5.0, 8199.8)


@pytest.mark.parametrize(("messages", "collide"), [(18_000, False), (18_001, True)])
def test_the_next_may_begin_when_the_one_before_is_sent(messages, collide):
    an_hour_later = campaign("b", Schedule(cron="0 11 * * MON", zone=JAKARTA))
    sizes = [size("a", messages), size("b", 5)]
    assert bool(calendar([campaign("a"), an_hour_later], sizes).collisions) == collide


def test_what_the_window_leaves_for_tomorrow_collides_with_what_begins_then():
    window = Window(opens=time(9), closes=time(20))
    evening = campaign("a", Schedule(cron="0 19 * * SUN", zone=JAKARTA, window=window))
    morning = campaign("b", Schedule(cron="5 9 * * MON", zone=JAKARTA, window=window))
    sizes = [size("a", 20_000), size("b", 100)]
    (found,) = calendar([evening, morning], sizes).collisions
    assert (found.at, found.campaigns) == (at(29, 19), ("a", "b"))
    assert calendar([evening, morning], [size("a", 18_000), size("b", 100)]).collisions == ()


def test_occurrences_of_one_campaign_can_collide():
    hourly = campaign("a", Schedule(cron="0 8,9 * * MON", zone=JAKARTA))
    (found,) = calendar([hourly], [size("a", 20_000)]).collisions
    assert (found.campaigns, found.occurrences, found.messages) == (("a",), 2, 40_000)


def test_those_of_unknown_size_collide_when_they_begin_together():
    together = calendar([campaign("a"), campaign("b")], [size("b", 5)]).collisions
    assert [(one.messages, one.unknown) for one in together] == [(5, 1)]
    later = campaign("b", Schedule(cron="1 10 * * MON", zone=JAKARTA))
    assert calendar([campaign("a"), later], [size("b", 5)]).collisions == ()


def test_senders_do_not_collide_with_one_another():
    providers = [provider(), provider("other", sender="60110000002")]
    found = calendar(
        [campaign("a"), campaign("b", provider="other")],
        [size("a", 9_000), size("b", 9_000)],
        providers=providers,
    )
    assert found.collisions == ()
    assert [hour.sender for hour in found.load] == ["60110000001", "60110000002"]


def test_a_sender_without_a_limit_sends_everything_at_once():
    found = calendar(
        [campaign("a"), campaign("b")],
        [size("a", 9_000), size("b", 9_000)],
        providers=[provider(rate=None)],
    )
    assert found.ends == (at(30, 10), at(30, 10))
    assert [(hour.messages, hour.share) for hour in found.load] == [(18_000, None)]
    assert [one.seconds for one in found.collisions] == [0.0]


WINDOWS = st.sampled_from(
    [None, Window(opens=time(9), closes=time(17)), Window(opens=time(21), closes=time(6))]
)
CAMPAIGNS = st.lists(
    st.tuples(st.integers(0, 59), st.integers(0, 23), st.integers(0, 40_000), WINDOWS), min_size=1, max_size=5
)


def made(rows):
    campaigns = [
        campaign(f"c{number}", Schedule(cron=f"{minute} {hour} * * MON-FRI", zone=JAKARTA, window=window))
        for number, (minute, hour, _, window) in enumerate(rows)
    ]
    return campaigns, [size(f"c{number}", row[2]) for number, row in enumerate(rows)]


@settings(max_examples=40, deadline=None)
@given(CAMPAIGNS, st.sampled_from([0.5, 3.0, 5.0, 80.0]))
def test_no_hour_holds_more_than_the_rate_allows_and_none_is_lost(rows, rate):
    campaigns, sizes = made(rows)
    found = calendar(campaigns, sizes, providers=[provider(rate=rate)])
    assert all(hour.share <= 1 + 1e-6 for hour in found.load)
    sent = sum(hour.messages for hour in found.load)
    pairs = list(zip(found.occurrences, found.ends, strict=True))
    assert sent <= sum(one.messages for one, _ in pairs) + 1e-3
    if all(ends is not None for _, ends in pairs):
        assert sent == pytest.approx(sum(one.messages for one, _ in pairs))
    assert all(ends is None or ends >= one.starts_at for one, ends in pairs)


@settings(max_examples=40, deadline=None)
@given(CAMPAIGNS)
def test_nothing_is_expected_in_an_hour_in_which_every_window_is_closed(rows):
    campaigns, sizes = made([(*row[:3], Window(opens=time(9), closes=time(17))) for row in rows])
    hours = {(hour.start + 7 * HOUR).hour for hour in calendar(campaigns, sizes).load}
    assert hours <= set(range(9, 17))


@settings(max_examples=60, deadline=None)
@given(CAMPAIGNS)
def test_without_windows_collisions_are_those_of_a_queue(rows):
    campaigns, sizes = made([(*row[:3], None) for row in rows])
    found = calendar(campaigns, sizes)
    queue, busy_until = [], None
    for one in sorted(found.occurrences, key=lambda one: one.at):
        if queue and (one.at < busy_until or one.at == queue[-1][-1].at):
            queue[-1].append(one)
        else:
            queue.append([one])
        free_at = max(one.at, busy_until + timedelta(seconds=0.2)) if busy_until else one.at
        sent = free_at + timedelta(seconds=(one.messages - 1) / 5)
        busy_until = max(busy_until or one.at, sent) if one.messages else max(busy_until or one.at, one.at)
    expected = [(together[0].at, len(together)) for together in queue if len(together) > 1]
    assert [(one.at, one.occurrences) for one in found.collisions] == expected
