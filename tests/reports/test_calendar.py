"""The calendar as a person reads it, with colours and without."""

import io

import pytest
from rich.console import Console

from runner.calendar import SizeSource
from runner.reports.calendar import calendar_document, calendar_report, collision_line
from runner.schedule import Schedule
from tests.test_calendar import JAKARTA, calendar, campaign, provider, size

HALF_PAST = Schedule(cron="30 10 * * MON", zone=JAKARTA)
TOKYO = Schedule(cron="0 8 * * THU", zone="Asia/Tokyo")
SIZES = [size("a", 10_000), size("b", 11_000, SizeSource.PLAN), size("c", 20_000)]


def busy(sizes=SIZES, **options):
    campaigns = [campaign("a"), campaign("b"), campaign("c", HALF_PAST), campaign("tokyo", TOKYO)]
    return calendar(campaigns, sizes, **options)


def shown(found, unscheduled=(), **console):
    page = Console(file=io.StringIO(), width=120, highlight=False, markup=False, emoji=False, **console)
    page.print(calendar_report(found, JAKARTA, unscheduled))
    return "\n".join(line.rstrip() for line in page.file.getvalue().splitlines())


def test_a_week_is_told_from_its_occurrences_to_its_collisions(snapshot):
    assert shown(busy(), ["welcome"]) == snapshot


def test_the_heat_map_says_the_same_without_colour():
    plain = shown(busy())
    coloured = shown(busy(), force_terminal=True, color_system="truecolor")
    assert "\x1b[" not in plain
    assert "\x1b[" in coloured
    for look in ("░", "▒", "█", " ?", "busiest hour"):
        assert look in plain


def test_an_hour_stands_below_its_number():
    lines = shown(calendar([campaign("a")], [size("a", 18_000)])).splitlines()
    heading = next(index for index, line in enumerate(lines) if "busiest hour" in line)
    assert lines[heading + 1][lines[heading].index(" 9") + 2 :].startswith("██")


@pytest.mark.parametrize(
    ("messages", "look"), [(100, "░░"), (4_500, "░░"), (4_501, "▒▒"), (13_500, "▓▓"), (13_501, "██")]
)
def test_an_hours_look_says_how_much_of_the_rate_it_takes(messages, look):
    assert look in shown(calendar([campaign("a")], [size("a", messages)])).split("busiest hour")[1]


def test_days_without_messages_are_folded():
    text = shown(calendar([campaign("a")], days=14))
    assert "6 days without messages" in text
    assert "Wed" not in text


def test_times_are_those_of_each_campaign():
    assert "Thu 03 Dec 2026 08:00 Asia/Tokyo" in shown(busy())
    (thursday,) = [line for line in shown(busy()).splitlines() if line.startswith("Thu 03 Dec  ")]
    assert thursday.index("?") == len("Thu 03 Dec  ") + 2 * 6 + 1


def test_a_collision_is_one_line():
    (found,) = busy().collisions
    line = "Mon 30 Nov 2026 10:00 Asia/Jakarta: 3 campaigns, 41,000 messages, 2 h 17 min at 5/s"
    assert collision_line(found, JAKARTA) == line
    (found,) = busy([size("b", 50_000)]).collisions
    assert collision_line(found, JAKARTA).endswith(
        ": 3 campaigns, at least 50,000 messages (2 of unknown size), 2 h 47 min at 5/s"
    )
    (found,) = calendar([campaign("a"), campaign("b")]).collisions
    assert collision_line(found, JAKARTA).endswith(": 2 campaigns, at least 0 messages (2 of unknown size)")
    twice = campaign("a", Schedule(cron="0 8,9 * * MON", zone=JAKARTA))
    (found,) = calendar([twice], [size("a", 20_000)]).collisions
    assert ": 1 campaign in 2 occurrences, 40,000 messages," in collision_line(found, JAKARTA)


def test_no_collisions_is_said_only_of_what_is_known():
    assert "no collisions\n" in f"{shown(calendar([campaign('a')], [size('a', 5)]))}\n"
    assert "no collisions, as far as sizes are known" in shown(calendar([campaign("a")]))


def test_what_never_fires_and_what_has_no_time_is_said():
    text = shown(calendar([campaign("a", Schedule())]), ["a"])
    assert text.startswith("nothing fires until Sun 06 Dec 2026 00:00 Asia/Jakarta")
    assert "sent when applied: a" in text


def test_a_sender_that_has_nothing_to_send_is_said_to():
    assert "60110000001: nothing to send" in shown(calendar([campaign("a")], [size("a", 0)]))


def test_without_a_rate_hours_are_seen_against_the_busiest():
    text = shown(calendar([campaign("a")], [size("a", 18_000)], providers=[provider(rate=None)]))
    assert "60110000001 at no rate limit" in text
    assert "██" in text.split("busiest hour")[1]


def test_a_long_list_is_cut_in_text_and_whole_in_the_document():
    every_hour = calendar([campaign("a", Schedule(cron="0 * * * *", zone=JAKARTA))], [size("a", 20_000)])
    assert "and 128 more; --json lists them all" in shown(every_hour)
    assert len(calendar_document(every_hour, [])["occurrences"]) == 168


def test_the_document_has_times_in_utc():
    document = calendar_document(busy(), ["welcome"])
    assert (document["since"], document["until"]) == ("2026-11-28T17:00:00Z", "2026-12-05T17:00:00Z")
    assert document["occurrences"][1] == {
        "campaign": "b",
        "occurrence": "2026-11-30T03:00Z",
        "at": "2026-11-30T03:00:00Z",
        "starts_at": "2026-11-30T03:00:00Z",
        "ends_at": document["occurrences"][1]["ends_at"],
        "timezone": "Asia/Jakarta",
        "messages": 11_000,
        "messages_from": "plan",
        "sender": "60110000001",
        "rate": 5.0,
    }
    assert document["collisions"] == [
        {
            "sender": "60110000001",
            "at": "2026-11-30T03:00:00Z",
            "campaigns": ["a", "b", "c"],
            "occurrences": 3,
            "messages": 41_000,
            "unknown": 0,
            "rate": 5.0,
            "duration_seconds": 8199.8,
        }
    ]
    assert document["load"][0] == {
        "sender": "60110000001",
        "start": "2026-11-30T03:00:00Z",
        "messages": 18_000.0,
        "share": 1.0,
    }
    assert document["unscheduled"] == ["welcome"]
    assert document["occurrences"][3]["messages"] is None
