"""runner.recipients: a plan's recipients table as deliveries, in bounded batches."""

from dataclasses import replace

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from runner.delivery import Media
from runner.errors import PlanFileError
from runner.plan_file import RECIPIENTS, REJECTIONS
from runner.recipients import (
    BATCH,
    check_recipients,
    count_among,
    people_by_zones,
    read_control_group,
    read_deliveries,
    read_phones,
)
from tests.test_plan import PLAN, VARIED

SCHEMA = pa.schema(
    [
        ("row", pa.int64()),
        ("recipient_id", pa.string()),
        ("phone", pa.string()),
        ("body", pa.list_(pa.string())),
        ("header", pa.list_(pa.string())),
        ("media", pa.string()),
        ("buttons", pa.list_(pa.string())),
        ("variant", pa.string()),
        ("zones", pa.string()),
    ]
)


def table(folder, rows):
    pq.write_table(pa.Table.from_pylist(rows, SCHEMA), folder / RECIPIENTS, row_group_size=700)
    return folder


def rejections(folder, rows, reason="holdout"):
    """Write the rejections table: these people, for this reason."""
    kept = [
        {**{name: row[name] for name in ("row", "recipient_id", "phone")}, "reason": reason} for row in rows
    ]
    schema = pa.schema([*list(SCHEMA)[:3], ("reason", pa.string())])
    pq.write_table(pa.Table.from_pylist(kept, schema), folder / REJECTIONS)
    return folder


def row(number, **changes):
    return {
        "row": number,
        "recipient_id": f"c{number}",
        "phone": f"62812{number:08d}",
        "body": [f"Ayu {number}", "X"],
        "header": [],
        "media": None,
        "buttons": [None],
        "variant": None,
        "zones": None,
    } | changes


def deliveries(folder, plan=PLAN):
    return [delivery for batch in read_deliveries(folder, plan) for delivery in batch]


def test_each_row_is_the_delivery_that_was_planned(tmp_path):
    (delivery,) = deliveries(table(tmp_path, [row(7, buttons=["code"], header=["h"])]))
    assert str(delivery.key) == "promo/once/6281200000007"
    assert delivery.recipient_id == "c7"
    message = delivery.message
    assert (message.name, message.language, message.body) == ("promo", "id", ("Ayu 7", "X"))
    assert (message.header, message.buttons, message.button_kinds) == (("h",), ("code",), ("URL",))
    assert message.media is None


def test_a_table_of_as_many_people_as_the_plan_says_passes(tmp_path):
    people = [row(number, zones="Asia/Jayapura") for number in range(PLAN.to_send)]
    check_recipients(table(tmp_path, people), PLAN)


@pytest.mark.parametrize("people", [0, PLAN.to_send - 1, PLAN.to_send + 1])
def test_a_table_of_other_many_people_than_a_person_confirms_is_refused(tmp_path, people):
    with pytest.raises(PlanFileError, match=f"holds {people} people, and the plan says 6"):
        check_recipients(table(tmp_path, [row(number) for number in range(people)]), PLAN)


def test_people_in_other_time_zones_than_the_plan_forecasts_are_refused(tmp_path):
    zones = ["Asia/Jakarta"] * PLAN.to_send
    folder = table(tmp_path, [row(number, zones=each) for number, each in enumerate(zones)])
    with pytest.raises(PlanFileError, match="has people in other time zones than the plan says"):
        check_recipients(folder, PLAN)
    check_recipients(folder, replace(PLAN, window=None))


def test_people_are_read_by_their_time_zones(tmp_path):
    zones = ["Asia/Jakarta", "Asia/Tokyo", None, "Asia/Jakarta", "Asia/Jakarta,Asia/Makassar"]
    folder = table(tmp_path, [row(number, zones=each) for number, each in enumerate(zones)])
    assert people_by_zones(folder) == {
        ("Asia/Jakarta",): 2,
        ("Asia/Tokyo",): 1,
        (): 1,
        ("Asia/Jakarta", "Asia/Makassar"): 1,
    }
    (batch,) = read_deliveries(folder, PLAN, {"Asia/Jakarta"})
    assert [each.recipient_id for each in batch] == ["c0", "c3"]
    assert {each.zones for each in batch} == {"Asia/Jakarta"}
    (phones,) = read_phones(folder, {"Asia/Tokyo"})
    assert phones == [(row(1)["phone"], "Asia/Tokyo")]


def test_what_is_no_table_of_recipients_is_one_line(tmp_path):
    for content in (b"", b"PAR1", b"PAR1" * 20):
        (tmp_path / RECIPIENTS).write_bytes(content)
        with pytest.raises(PlanFileError, match="is no table"):
            check_recipients(tmp_path, PLAN)
    pq.write_table(pa.table({"phone": [1] * PLAN.to_send}), tmp_path / RECIPIENTS)
    with pytest.raises(PlanFileError, match="has other columns"):
        check_recipients(tmp_path, PLAN)


def test_rows_come_in_their_order_and_in_bounded_batches(tmp_path):
    folder = table(tmp_path, [row(number) for number in range(2 * BATCH + 1)])
    batches = list(read_deliveries(folder, PLAN))
    assert max(map(len, batches)) <= BATCH
    found = [delivery.recipient_id for batch in batches for delivery in batch]
    assert found == [f"c{number}" for number in range(2 * BATCH + 1)]


def test_no_recipients_are_no_batches(tmp_path):
    assert deliveries(table(tmp_path, [])) == []


def test_a_row_without_a_key_of_its_own_has_an_empty_one(tmp_path):
    assert deliveries(table(tmp_path, [row(1, recipient_id=None)]))[0].recipient_id == ""


def test_a_media_header_has_its_kind_and_the_file_name_of_the_campaign(tmp_path):
    document = {"template": {"header": {"media": {"column": "url"}, "file_name": "invoice.pdf"}}}
    plan = replace(PLAN, document=document, template=replace(PLAN.template, header_kind="document"))
    (delivery,) = deliveries(table(tmp_path, [row(1, media="https://example.com/a.pdf")]), plan)
    assert delivery.message.media == Media(
        kind="DOCUMENT", url="https://example.com/a.pdf", file_name="invoice.pdf"
    )


@pytest.mark.parametrize(
    ("others", "count"),
    [
        ([], 0),
        ([[]], 0),
        ([["999"]], 0),
        ([["6281200000001", "999"], ["6281200000002"]], 2),
        ([["6281200000001"], ["6281200000001"]], 1),
    ],
)
def test_the_recipients_among_some_phones_are_counted(tmp_path, others, count):
    folder = table(tmp_path, [row(number) for number in range(5)])
    assert count_among(folder, others) == count


def test_nobody_is_among_the_recipients_of_an_empty_plan(tmp_path):
    assert count_among(table(tmp_path, []), [["6281200000001"]]) == 0


def test_the_control_group_are_the_rejections_of_that_reason_alone(tmp_path):
    rejections(tmp_path, [row(1), row(2)])
    (batch,) = read_control_group(tmp_path, PLAN)
    assert [(each.key.phone, each.recipient_id) for each in batch] == [
        ("6281200000001", "c1"),
        ("6281200000002", "c2"),
    ]
    assert {(each.key.campaign, each.key.occurrence) for each in batch} == {(PLAN.campaign, PLAN.occurrence)}
    rejections(tmp_path, [row(1)], reason="opted_out")
    assert list(read_control_group(tmp_path, PLAN)) == []


def test_a_control_group_that_is_no_such_table_is_refused(tmp_path):
    plan = replace(PLAN, to_send=1, rejected={"holdout": 1}, window=None)
    rejections(table(tmp_path, [row(1)]), [row(2)])
    check_recipients(tmp_path, plan)
    pq.write_table(pa.table({"reason": ["holdout"]}), tmp_path / REJECTIONS)
    with pytest.raises(PlanFileError, match=r"the plan's rejections.parquet has other columns"):
        check_recipients(tmp_path, plan)


WARM = replace(
    PLAN.template, name="warm", language="en", header_kind="document", buttons=(("QUICK_REPLY", "Ya"),)
)
PLAIN, OTHER = VARIED.variants
TWO = replace(VARIED, variants=(PLAIN, replace(OTHER, template=WARM)))


def shared_out(*variants):
    return [row(number, variant=variant, zones="Asia/Jayapura") for number, variant in enumerate(variants)]


def test_each_message_is_of_the_template_of_its_variant(tmp_path):
    plain, warm = deliveries(table(tmp_path, shared_out("plain", "warm")), TWO)
    assert (plain.variant, plain.message.name, plain.message.button_kinds) == ("plain", "promo", ("URL",))
    assert (warm.variant, warm.message.name, warm.message.language) == ("warm", "warm", "en")
    assert warm.message.button_kinds == ("QUICK_REPLY",)


def test_a_variants_document_has_the_file_name_of_its_own_template_or_of_the_shared_one(tmp_path):
    def header(name):
        return {"header": {"media": {"column": "url"}, "file_name": name}}

    document = {
        "template": header("shared.pdf"),
        "variants": [{"name": "plain"}, {"name": "warm", "template": header("own.pdf")}],
    }
    plan = replace(TWO, document=document)
    rows = [each | {"media": "https://example.com/a.pdf"} for each in shared_out("plain", "warm")]
    found = deliveries(table(tmp_path, rows), plan)
    assert [each.message.media.file_name for each in found] == ["shared.pdf", "own.pdf"]


def test_a_table_of_as_many_people_of_each_variant_as_the_plan_says_passes(tmp_path):
    check_recipients(table(tmp_path, shared_out(*["plain"] * 4, *["warm"] * 2)), TWO)


@pytest.mark.parametrize(
    "variants",
    [["plain"] * 3 + ["warm"] * 3, ["plain"] * 6, ["plain"] * 4 + ["other"] * 2, ["plain"] * 4 + [None] * 2],
)
def test_people_of_other_variants_than_a_person_confirms_are_refused(tmp_path, variants):
    with pytest.raises(PlanFileError, match="gives people other variants than the plan says"):
        check_recipients(table(tmp_path, shared_out(*variants)), TWO)


def test_a_variant_in_a_plan_without_any_is_refused(tmp_path):
    with pytest.raises(PlanFileError, match="other variants"):
        check_recipients(table(tmp_path, shared_out(*["plain"] * PLAN.to_send)), PLAN)
