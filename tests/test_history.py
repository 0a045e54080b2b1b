"""runner.history: sends made elsewhere are read by phone and moment; what cannot be is counted for nobody."""

from dataclasses import dataclass
from datetime import date, datetime, timezone

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from runner.campaign import PhoneStyle
from runner.errors import SegmentError
from runner.history import History, read_history

A, B = "6281230000001", "6281230000002"
MOMENT = datetime(2026, 3, 20, 3, 0, tzinfo=timezone.utc)
AT = MOMENT.timestamp()


@dataclass
class Fetched:
    rows: int
    column_types: dict


def history(phones, sent_at, *, kind=None, declared="VARCHAR", region="ID", style=None):
    """Return an entry whose query returns these columns."""

    def fetch(*, columns, target):
        assert columns == ("phone", "sent_at")
        kinds = (pa.string(), kind or pa.string())
        arrays = [pa.array(values, each) for values, each in zip((phones, sent_at), kinds, strict=True)]
        pq.write_table(pa.table(dict(zip(columns, arrays, strict=True))), target)
        return Fetched(len(phones), {"phone": "VARCHAR", "sent_at": declared})

    return History(name="history[0] of runner.yml", fetch=fetch, region=region, style=style)


def sends(folder, *entries, since=0.0, zone="Asia/Jakarta"):
    found = read_history(entries, folder=folder, since=since, zone=zone)
    rows = [row for path in found.files for row in pq.read_table(path).to_pylist()]
    return [(str(row["phone"]), row["sent_at"]) for row in rows], found.notes


@pytest.mark.parametrize(
    ("value", "kind", "declared", "at"),
    [
        (MOMENT, pa.timestamp("us", "UTC"), "TIMESTAMP WITH TIME ZONE", AT),
        (datetime(2026, 3, 20, 10, 0), pa.timestamp("us"), "TIMESTAMP", AT),
        (datetime(2026, 3, 20, 10, 0), pa.timestamp("ns"), "TIMESTAMP_NS", AT),
        (int(AT), pa.int64(), "BIGINT", AT),
        (AT + 0.5, pa.float64(), "DOUBLE", AT + 0.5),
        (f"{AT:.0f}", None, "VARCHAR", AT),
        ("2026-03-20T03:00:00Z", None, "VARCHAR", AT),
        ("2026-03-20T05:00:00+02:00", None, "VARCHAR", AT),
        (" 2026-03-20 10:00 ", None, "VARCHAR", AT),
        # Of a date its last moment counts, in the project's zone.
        (date(2026, 3, 20), pa.date32(), "DATE", AT + 14 * 3600),
        ("2026-03-20", None, "VARCHAR", AT + 14 * 3600),
    ],
)
def test_a_moment_may_be_written_in_every_common_way(tmp_path, value, kind, declared, at):
    entry = history([A], [value], kind=kind, declared=declared)
    assert sends(tmp_path, entry) == ([(A, at)], ())


def test_phones_are_read_as_a_segments_are(tmp_path):
    written = ["0812-3000-0001", f"+{B}", "０８１２３００００００１"]
    found, notes = sends(tmp_path, history(written, ["2026-03-20"] * 3))
    assert ([phone for phone, _ in found], notes) == ([A, B, A], ())


def test_of_an_ambiguous_number_both_readings_count(tmp_path):
    found, _ = sends(tmp_path, history(["819012345678"], ["2026-03-20"]))
    assert [phone for phone, _ in found] == ["819012345678", "62819012345678"]
    settled = history(["819012345678"], ["2026-03-20"], style=PhoneStyle.INTERNATIONAL)
    found, _ = sends(tmp_path, settled)
    assert [phone for phone, _ in found] == ["819012345678"]


def test_rows_without_a_phone_or_a_moment_count_for_nobody_and_are_noted(tmp_path):
    phones = [A, "12345", None, A, A, A, A, B]
    moments = ["2026-03-20"] * 3 + [None, "last week", "2026-02-30", str(int(AT * 1000)), "2026-03-20"]
    found, notes = sends(tmp_path, history(phones, moments))
    assert [phone for phone, _ in found] == [A, B]
    assert notes == (
        "history[0] of runner.yml: 6 of 8 rows have no valid phone or no time that can be read, "
        "and count for nobody",
    )


def test_sends_before_the_earliest_that_counts_are_left_out(tmp_path):
    entry = history([A, B], [f"{AT:.0f}", f"{AT + 1:.0f}"])
    assert [phone for phone, _ in sends(tmp_path, entry, since=AT)[0]] == [B]


def test_several_entries_are_kept_apart(tmp_path):
    found, _ = sends(tmp_path, history([A], ["2026-03-20"]), history([B], ["2026-03-20"]))
    assert [phone for phone, _ in found] == [A, B]


def test_a_column_of_another_type_is_refused(tmp_path):
    entry = history([A], [True], kind=pa.bool_(), declared="BOOLEAN")
    with pytest.raises(SegmentError, match=r"history\[0\] of runner.yml: the column `sent_at` is of the ty"):
        sends(tmp_path, entry)
