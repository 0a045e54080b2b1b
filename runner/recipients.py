"""A plan's recipients table as deliveries, in bounded batches; between plan_file and applying."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from runner.control_group import HOLDOUT
from runner.delivery import Delivery, DeliveryKey, Media, TemplateMessage, TextMessage
from runner.errors import PlanFileError
from runner.number_zones import BETWEEN
from runner.plan import Plan, PlannedTemplate
from runner.plan_file import RECIPIENTS, REJECTIONS

if TYPE_CHECKING:
    import pyarrow as pa

#: How many deliveries are in memory at once, besides those in flight.
BATCH = 1000


def read_deliveries(
    tables: Path, plan: Plan, zones: Collection[str] | None = None
) -> Iterator[list[Delivery]]:
    """Yield the plan's deliveries from the folder `tables`, in the order of the segment's rows.

    With `zones` those of people in these time zones alone; the batches that have none are empty then.
    """
    forms = {variant: _form(plan, variant, template) for variant, template in plan.templates.items()}
    for batch in _batches(tables, None, zones):
        yield [_delivery(row, plan, forms[row["variant"]]) for row in batch.to_pylist()]


def read_phones(tables: Path, zones: Collection[str]) -> Iterator[list[tuple[str, str]]]:
    """Yield the phones, and the zones, of the people in these time zones, in bounded batches."""
    for batch in _batches(tables, ["phone", "zones"], zones):
        yield [(row["phone"], row["zones"]) for row in batch.to_pylist()]


def _batches(tables: Path, columns: list[str] | None, zones: Collection[str] | None) -> Iterator[Any]:
    import pyarrow as pa
    import pyarrow.compute as pc
    import pyarrow.parquet as pq

    wanted = None if zones is None else pa.array(sorted(zones), pa.string())
    with pq.ParquetFile(tables / RECIPIENTS) as file:
        for batch in file.iter_batches(batch_size=BATCH, columns=columns):
            yield batch if wanted is None else batch.filter(pc.is_in(batch.column("zones"), value_set=wanted))


def check_recipients(tables: Path, plan: Plan) -> None:
    """Raise PlanFileError unless the recipients table is one, and holds as many people as the plan says.

    So many of each variant, and in each set of time zones, too. What a person confirms is the plan's numbers:
    whoever seals a file anew may seal it with a longer table.
    """
    import pyarrow as pa

    text = pa.string()
    columns = ("recipient_id", "phone", "media", "variant", "zones")
    wanted: dict[str, pa.DataType] = dict.fromkeys(columns, text)
    wanted |= dict.fromkeys(("body", "header", "buttons"), pa.list_(text))
    people = _check_table(tables, RECIPIENTS, plan, wanted)
    if people != plan.to_send:
        found = f"holds {people:,} people, and the plan says {plan.to_send:,}"
        raise _damaged(plan, RECIPIENTS, found)
    planned: dict[str | None, int] = {variant.name: variant.to_send for variant in plan.variants}
    planned = planned or {None: plan.to_send}
    if _shares(tables) != {name: count for name, count in planned.items() if count}:
        raise _damaged(plan, RECIPIENTS, "gives people other variants than the plan says")
    forecast = {group.zones: group.people for group in plan.forecast}
    if plan.window is not None and people_by_zones(tables) != forecast:
        raise _damaged(plan, RECIPIENTS, "has people in other time zones than the plan says")
    if plan.rejected.get(HOLDOUT):
        _check_table(tables, REJECTIONS, plan, {"recipient_id": text, "phone": text, "reason": text})


def _check_table(tables: Path, name: str, plan: Plan, wanted: Mapping[str, pa.DataType]) -> int:
    """Return how many rows a table has; PlanFileError unless it is one with the `wanted` columns."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        with pq.ParquetFile(tables / name) as file:
            schema, people = file.schema_arrow, file.metadata.num_rows
    except (pa.ArrowException, OSError) as error:
        raise _damaged(plan, name, "is no table") from error
    if any(each not in schema.names or schema.field(each).type != kind for each, kind in wanted.items()):
        raise _damaged(plan, name, "has other columns")
    return int(people)


def _shares(tables: Path) -> dict[str | None, int]:
    """Return how many recipients have which variant."""
    import pyarrow.parquet as pq

    shares: Counter[str | None] = Counter()
    with pq.ParquetFile(tables / RECIPIENTS) as file:
        for batch in file.iter_batches(batch_size=100 * BATCH, columns=["variant"]):
            counted = batch.column("variant").value_counts()
            shares.update({entry["values"].as_py(): entry["counts"].as_py() for entry in counted})
    return dict(shares)


def _damaged(plan: Plan, name: str, found: str) -> PlanFileError:
    return PlanFileError(
        f"{plan.campaign}: the plan's {name} {found}: the file was edited or damaged",
        hint="make it again with `runner plan`",
    )


def read_control_group(tables: Path, plan: Plan) -> Iterator[list[Delivery]]:
    """Yield the plan's control group, in the order of the rows, as deliveries of an empty message."""
    import pyarrow.compute as pc
    import pyarrow.parquet as pq

    with pq.ParquetFile(tables / REJECTIONS) as file:
        for batch in file.iter_batches(batch_size=10 * BATCH, columns=["recipient_id", "phone", "reason"]):
            held_out = batch.filter(pc.equal(batch.column("reason"), HOLDOUT))
            if held_out.num_rows:
                yield [_held_out(row, plan) for row in held_out.to_pylist()]


def _held_out(row: dict[str, Any], plan: Plan) -> Delivery:
    return Delivery(
        key=DeliveryKey(campaign=plan.campaign, occurrence=plan.occurrence, phone=row["phone"]),
        recipient_id=row["recipient_id"] or "",
        message=TextMessage(text=""),
    )


def count_among(tables: Path, phones: Iterable[list[str]]) -> int:
    """Return how many of the plan's recipients are among `phones` (batches of digits)."""
    import pyarrow as pa
    import pyarrow.compute as pc
    import pyarrow.parquet as pq

    others = pa.chunked_array([pa.array(batch, pa.string()) for batch in phones], pa.string())
    if len(others) == 0:
        return 0
    count = 0
    with pq.ParquetFile(tables / RECIPIENTS) as file:
        for batch in file.iter_batches(batch_size=100 * BATCH, columns=["phone"]):
            count += pc.sum(pc.is_in(batch.column("phone"), value_set=others)).as_py() or 0
    return count


def people_by_zones(tables: Path) -> dict[tuple[str, ...], int]:
    """Return how many of the plan's recipients are in each set of time zones; in none without a window."""
    import pyarrow.compute as pc
    import pyarrow.parquet as pq

    counts: dict[tuple[str, ...], int] = {}
    with pq.ParquetFile(tables / RECIPIENTS) as file:
        for batch in file.iter_batches(batch_size=100 * BATCH, columns=["zones"]):
            for entry in pc.value_counts(batch.column("zones")).to_pylist():
                zones = split_zones(entry["values"])
                counts[zones] = counts.get(zones, 0) + entry["counts"]
    return counts


def split_zones(joined: str | None) -> tuple[str, ...]:
    """Return the names of zones as the table holds them, joined."""
    return tuple(joined.split(BETWEEN)) if joined else ()


@dataclass(frozen=True, slots=True, kw_only=True)
class _Form:
    """What all messages of one template share."""

    name: str
    language: str
    button_kinds: tuple[str, ...]
    media_kind: str
    file_name: str | None


def _form(plan: Plan, variant: str | None, template: PlannedTemplate) -> _Form:
    written = {entry["name"]: entry for entry in plan.document.get("variants", ())}.get(variant, {})
    use = written.get("template") or plan.document.get("template") or {}
    return _Form(
        name=template.name,
        language=template.language,
        button_kinds=tuple(kind for kind, _ in template.buttons),
        media_kind=template.header_kind.upper(),
        file_name=(use.get("header") or {}).get("file_name"),
    )


def _delivery(row: dict[str, Any], plan: Plan, form: _Form) -> Delivery:
    url = row["media"]
    return Delivery(
        key=DeliveryKey(campaign=plan.campaign, occurrence=plan.occurrence, phone=row["phone"]),
        recipient_id=row["recipient_id"] or "",
        zones=row["zones"] or "",
        message=TemplateMessage(
            name=form.name,
            language=form.language,
            body=tuple(row["body"]),
            header=tuple(row["header"]),
            media=None if url is None else Media(kind=form.media_kind, url=url, file_name=form.file_name),
            buttons=tuple(row["buttons"]),
            button_kinds=form.button_kinds,
        ),
        variant=row["variant"],
    )
