"""runner.zone_gate: who is in which time zones, and for whom a window never opens; through the screening."""

from dataclasses import replace
from datetime import datetime, time, timezone

import pyarrow.parquet as pq
import pytest

from runner.plan_file import RECIPIENTS, REJECTIONS
from runner.rendering import compile_message
from runner.screening import screen
from runner.screening_lists import Lists
from runner.window import Window
from runner.zone_gate import Hours
from tests.test_screening import CAMPAIGN, TEMPLATE, screened, verdicts

START = datetime(2026, 3, 1, tzinfo=timezone.utc)
DAY = Window(opens=time(8), closes=time(20))
ZONED = replace(CAMPAIGN, recipient=replace(CAMPAIGN.recipient, timezone="zone"))
A, B = "6281230000001", "6281230000002"


def gated(folder, rows, *, campaign=ZONED, window=DAY):
    """Screen rows of (phone, zone), and return the screened and each row's verdict."""
    import pyarrow as pa

    texts = {
        "id": ["c"] * len(rows),
        "phone": [phone for phone, _ in rows],
        "name": ["Ayu"] * len(rows),
        "consent": ["true"] * len(rows),
        "zone": [zone for _, zone in rows],
    }
    table = pa.table({name: pa.array(values, pa.string()) for name, values in texts.items()})
    pq.write_table(table, folder / "rows.parquet")
    types = dict.fromkeys(texts, "VARCHAR")
    found = screen(
        folder / "rows.parquet",
        row_count=len(rows),
        campaign=campaign,
        column_types=types,
        message=compile_message(campaign, TEMPLATE, types),
        lists=Lists(),
        hours=Hours(window=window, start=START) if window else None,
    )
    return found, verdicts(found)


def zones_of(found):
    return pq.read_table(found.folder / RECIPIENTS).column("zones").to_pylist()


def test_a_row_is_in_the_zone_that_it_names_else_in_those_of_its_number(tmp_path):
    rows = [(A, "Asia/Jayapura"), (B, None), ("+81 90 1234 5678", "  "), ("+1 212 555 0123", "")]
    found, _ = gated(tmp_path, rows)
    assert zones_of(found) == ["Asia/Jayapura", "Asia/Jakarta", "Asia/Tokyo", "America/New_York"]


def test_a_zone_is_read_in_any_case_and_written_as_the_database_has_it(tmp_path):
    found, _ = gated(tmp_path, [(A, " asia/JAYAPURA "), (B, "utc")])
    assert zones_of(found) == ["Asia/Jayapura", "UTC"]


@pytest.mark.parametrize("zone", ["Asia/Jakrta", "WIB", "+07:00", "localtime", "posix/UTC", "';--", "x" * 99])
def test_a_zone_that_is_none_rejects_its_row_and_tells_what_stood_there(tmp_path, zone):
    found, (verdict,) = gated(tmp_path, [(A, zone)])
    assert (verdict, dict(found.rejected)) == ("bad_timezone", {"bad_timezone": 1})
    (rejection,) = pq.read_table(found.folder / REJECTIONS).to_pylist()
    assert rejection["detail"] == zone[:64]


def test_a_row_with_a_zone_wins_over_an_earlier_one_whose_zone_is_none(tmp_path):
    _, found = gated(tmp_path, [(A, "Nowhere"), (A, "Asia/Jakarta")])
    assert found == ["bad_timezone", "to_send"]


def test_of_a_number_in_several_zones_all_must_have_an_hour_of_the_window(tmp_path):
    # A mobile in Kazakhstan may be in any zone that +7 knows, from Bucharest to Kamchatka.
    rows = [("+7 701 234 5678", None), ("+7 701 234 5678", "Asia/Almaty")]
    assert gated(tmp_path, rows)[1] == ["to_send", "duplicate_phone"]
    morning = Window(opens=time(9), closes=time(12))
    found, each = gated(tmp_path, rows, window=morning)
    assert each == ["no_window", "to_send"]
    (rejection,) = pq.read_table(found.folder / REJECTIONS).to_pylist()
    assert rejection["detail"].startswith("Asia/Almaty,Asia/Anadyr,")


def test_without_a_window_nobodys_zone_is_asked(tmp_path):
    found, each = gated(tmp_path, [(A, "Nowhere"), (B, None)], window=None)
    assert each == ["to_send", "to_send"]
    assert zones_of(found) == [None, None]


def test_without_the_column_the_numbers_alone_tell(tmp_path):
    found, each = gated(tmp_path, [(A, "Nowhere")], campaign=CAMPAIGN)
    assert (each, zones_of(found)) == (["to_send"], ["Asia/Jakarta"])


def test_rows_that_fail_an_earlier_gate_keep_its_reason(tmp_path):
    found = screened(tmp_path, [("c", "n/a", "Ayu", "true"), ("c", A, "Ayu", "no")])
    assert verdicts(found) == ["invalid_phone", "no_consent"]


def test_the_recipients_stay_in_the_querys_order(tmp_path):
    phones = [f"62812{n:08d}" for n in range(30_000_000, 30_005_000)]
    phones[1::2] = reversed(phones[1::2])
    found, _ = gated(tmp_path, [(phone, None) for phone in phones])
    assert pq.read_table(found.folder / RECIPIENTS).column("phone").to_pylist() == phones
