"""A plan's recipients table as deliveries, in bounded batches; between plan_file and applying."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from runner.delivery import Delivery, DeliveryKey, Media, TemplateMessage
from runner.errors import PlanFileError
from runner.plan import Plan
from runner.plan_file import RECIPIENTS

#: How many deliveries are in memory at once, besides those in flight.
BATCH = 1000


def read_deliveries(tables: Path, plan: Plan) -> Iterator[list[Delivery]]:
    """Yield the plan's deliveries from the folder `tables`, in the order of the segment's rows."""
    import pyarrow.parquet as pq

    with pq.ParquetFile(tables / RECIPIENTS) as file:
        for batch in file.iter_batches(batch_size=BATCH):
            yield [_delivery(row, plan) for row in batch.to_pylist()]


def check_recipients(tables: Path, plan: Plan) -> None:
    """Raise PlanFileError unless the recipients table is one, and holds as many people as the plan says.

    What a person confirms is the plan's number: whoever seals a file anew may seal it with a longer table.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    texts = pa.list_(pa.string())
    wanted = {"recipient_id": pa.string(), "phone": pa.string(), "media": pa.string()}
    wanted |= dict.fromkeys(("body", "header", "buttons"), texts)
    try:
        with pq.ParquetFile(tables / RECIPIENTS) as file:
            schema, people = file.schema_arrow, file.metadata.num_rows
    except (pa.ArrowException, OSError) as error:
        raise _no_recipients(plan, "is no table") from error
    if any(name not in schema.names or schema.field(name).type != kind for name, kind in wanted.items()):
        raise _no_recipients(plan, "has other columns")
    if people != plan.to_send:
        raise _no_recipients(plan, f"holds {people:,} people, and the plan says {plan.to_send:,}")


def _no_recipients(plan: Plan, found: str) -> PlanFileError:
    return PlanFileError(
        f"{plan.campaign}: the plan's {RECIPIENTS} {found}: the file was edited or damaged",
        hint="make it again with `runner plan`",
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


def _delivery(row: dict[str, Any], plan: Plan) -> Delivery:
    template = plan.template
    return Delivery(
        key=DeliveryKey(campaign=plan.campaign, occurrence=plan.occurrence, phone=row["phone"]),
        recipient_id=row["recipient_id"] or "",
        message=TemplateMessage(
            name=template.name,
            language=template.language,
            body=tuple(row["body"]),
            header=tuple(row["header"]),
            media=_media(row["media"], plan),
            buttons=tuple(row["buttons"]),
            button_kinds=tuple(kind for kind, _ in template.buttons),
        ),
    )


def _media(url: str | None, plan: Plan) -> Media | None:
    if url is None:
        return None
    header = plan.document.get("template", {}).get("header") or {}
    return Media(kind=plan.template.header_kind.upper(), url=url, file_name=header.get("file_name"))
