"""The times of reports: read as they are meant, or asked for; never guessed."""

from datetime import datetime, timedelta, timezone

import duckdb
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from runner.errors import UsageError
from runner.receipts.mapping import DateOrder
from runner.receipts.times import check_times, day_only_sql, instant_sql, split_sql


def read(texts, *, order=None, zone="Asia/Jakarta"):
    """Return what each text is read as: an instant, None, or a day."""
    with duckdb.connect() as connection:
        connection.execute("CREATE TABLE cells AS SELECT unnest($1::VARCHAR[]) AS at", [list(texts)])
        connection.execute(f"CREATE TABLE split AS {split_sql('cells', 'at')}")
        found = check_times(connection, "split", order=order, timezone=zone)
        instant = instant_sql("at", order=found, timezone=zone)
        rows = connection.execute(f"SELECT {instant}, {day_only_sql()} FROM split").fetchall()
    return [(at, "day") if day else at for at, day in rows]


def jakarta(*parts):
    return datetime(*parts, tzinfo=timezone(timedelta(hours=7))).timestamp()


TEN = jakarta(2026, 3, 20, 10, 3)


@pytest.mark.parametrize(
    ("text", "instant"),
    [
        ("2026-03-20 10:03", TEN),
        ("2026-03-20T10:03:00", TEN),
        ("2026-03-20T03:03:00Z", TEN),
        ("2026-03-20 03:03:00 UTC", TEN),
        ("2026-03-20 05:03:00 GMT+02:00", TEN),
        ("2026-03-20T12:03:00+09:00", TEN),
        ("2026-03-20T12:03:00.000+0900", TEN),
        ("2026-03-19 22:03:00-05", TEN),
        ("2026-03-20 08:33:00 +05:30", TEN),
        ("2026-03-20 10:03:00 WIB", TEN),
        ("2026-03-20 12:03 JST", TEN),
        ("2026-03-20 10:03 XYZ", None),
        ("2026/3/20 10:03", TEN),
        ("2026/03/20, 10:03 AM", TEN),
        ("2026.03.20 10.03", TEN),
        ("20/03/2026 10:03", TEN),
        ("20-03-2026 10:03:00 am", TEN),
        ("20.3.2026 10:03 A.M.", TEN),
        ("20/03/2026 10:03PM", TEN + 12 * 3600),
        ("20/03/2026 12:03 PM", TEN + 2 * 3600),
        ("20/03/2026 12:03 am", TEN - 10 * 3600),
        ("20/03/2026 13:03 PM", None),
        ("20/03/2026 0:03 AM", None),
        ("2026年3月20日 10時03分", TEN),
        ("2026年3月20日 10:03:00", TEN),
        ("20 Mar 2026 10:03", TEN),
        ("20-MAR-2026 10:03:00", TEN),
        ("20 Maret 2026 10:03", TEN),
        ("Fri, 20 March 2026 03:03:00 +0000", TEN),
        ("20 Xyz 2026 10:03", None),
        ("1773975780", TEN),
        ("1773975780.5", TEN + 0.5),
        ("1773975780123", TEN + 0.123),
        ("2026-03-20", (jakarta(2026, 3, 20), "day")),
        ("20/03/2026", (jakarta(2026, 3, 20), "day")),
        ("2026-02-30 10:03", None),
        ("2026-03-20 25:03", None),
        ("1999-03-20 10:03", None),
        ("9999999999", None),
        ("yesterday", None),
        ("=NOW()", None),
        ("2026-03-20 10:03; DROP TABLE rows", None),
    ],
)
def test_a_time_is_read_as_it_is_meant(text, instant):
    found = read([text])[0]
    assert found == pytest.approx(instant) if isinstance(instant, float) else found == instant


def test_a_cell_without_a_time_has_none():
    assert read([None, "x"]) == [None, None]


@pytest.mark.parametrize(
    ("texts", "first"),
    [
        (["05/04/2026 10:03", "20/03/2026 10:03"], jakarta(2026, 4, 5, 10, 3)),
        (["05/04/2026 10:03", "03/20/2026 10:03"], jakarta(2026, 5, 4, 10, 3)),
    ],
)
def test_a_number_above_12_shows_the_order_of_all(texts, first):
    assert read(texts) == [first, TEN]


@pytest.mark.parametrize(
    ("texts", "why"),
    [
        (["05/04/2026 10:03"], "no day above 12 shows it"),
        (["20/03/2026 10:03", "03/20/2026 10:03"], "some begin with the day, some with the month"),
        (["20/03/26 10:03"], "a year of two digits"),
    ],
)
def test_an_order_that_nothing_shows_is_asked_for(texts, why):
    with pytest.raises(UsageError, match=why) as caught:
        read(texts)
    assert "--date-order" in caught.value.hint


@pytest.mark.parametrize(
    ("text", "order", "instant"),
    [
        ("05/04/2026 10:03", DateOrder.DMY, jakarta(2026, 4, 5, 10, 3)),
        ("05/04/2026 10:03", DateOrder.MDY, jakarta(2026, 5, 4, 10, 3)),
        ("05/04/2026 10:03", DateOrder.YMD, None),
        ("05/04/26 10:03", DateOrder.DMY, jakarta(2026, 4, 5, 10, 3)),
        ("26/04/05 10:03", DateOrder.YMD, jakarta(2026, 4, 5, 10, 3)),
        ("2026-04-05 10:03", DateOrder.DMY, jakarta(2026, 4, 5, 10, 3)),
        ("20/13/2026 10:03", DateOrder.DMY, None),
    ],
)
def test_a_person_may_say_the_order(text, order, instant):
    assert read([text], order=order) == [instant]


def test_without_an_offset_a_zone_is_asked_for_and_with_one_it_is_not():
    with pytest.raises(UsageError, match="1 times have no offset") as caught:
        read(["2026-03-20 10:03", "2026-03-20T03:03:00Z"], zone=None)
    assert "--timezone" in caught.value.hint
    assert read(["2026-03-20T03:03:00Z", "1773975780", "x", None], zone=None) == [TEN, TEN, None, None]


def test_summer_time_is_that_of_the_zone():
    winter, summer = read(["2026-01-20 10:00", "2026-07-20 10:00"], zone="Europe/Berlin")
    assert winter == datetime(2026, 1, 20, 9, tzinfo=timezone.utc).timestamp()
    assert summer == datetime(2026, 7, 20, 8, tzinfo=timezone.utc).timestamp()


@settings(max_examples=25, deadline=None)
@given(st.lists(st.text("0123456789/-:. TZAPM+年月日時分秒WIB", max_size=24), max_size=40))
def test_no_text_is_an_error_of_the_database(texts):
    found = read(texts, order=DateOrder.DMY)
    assert len(found) == len(texts)
