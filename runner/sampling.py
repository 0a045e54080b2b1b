"""A few recipients of a plan as they would read their message, everything personal masked; for planning."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from runner.campaign import Variant
from runner.masking import mask_phone, mask_value
from runner.plan import Sample
from runner.plan_file import RECIPIENTS
from runner.rendering import RenderedColumns
from runner.screening import Screened
from runner.screening_lists import pipeline
from runner.sql_text import quote_literal
from runner.template import ButtonKind, Template, fill

#: How many recipients are shown of a campaign's one message, and of each variant.
_OF_ALL, _OF_EACH = 3, 2


@dataclass(frozen=True, slots=True, kw_only=True)
class SampleRow:
    """One recipient's phone and rendered values."""

    phone: str
    header: tuple[str, ...]
    body: tuple[str, ...]
    media: str | None
    buttons: tuple[str | None, ...]


def samples(
    screened: Screened,
    messages: Sequence[Variant],
    templates: Sequence[Template],
    rendered: Sequence[RenderedColumns],
) -> tuple[Sample, ...]:
    """Return the first recipients and the one with the longest text, of each message.

    `templates` and `rendered` are those of `messages`, in their order.
    """
    found: list[Sample] = []
    for message, template, columns in zip(messages, templates, rendered, strict=True):
        rows = sample_rows(screened, variant=message.name, most=_OF_EACH if message.name else _OF_ALL)
        found += _shown(message, template, columns, rows)
    return tuple(found)


def sample_rows(screened: Screened, *, variant: str | None = None, most: int = _OF_ALL) -> list[SampleRow]:
    """Return the first recipients (of one variant) and the one with the longest message, at most `most`."""
    with pipeline(screened.folder) as connection:
        length = "list_sum(list_transform(body, lambda value: length(value)))"
        table = quote_literal(str(screened.folder / RECIPIENTS))
        people = table if variant is None else f"{table} WHERE variant = {quote_literal(variant)}"
        first = f"SELECT * FROM {people} ORDER BY row LIMIT {most - 1}"
        longest = f"SELECT * FROM {people} ORDER BY {length} DESC NULLS LAST, row LIMIT 1"
        chosen = f"SELECT DISTINCT ON (row) * FROM (({first}) UNION ALL ({longest})) ORDER BY row"
        found = connection.execute(f"SELECT phone, header, body, media, buttons FROM ({chosen})").fetchall()
    return [
        SampleRow(phone=phone, header=tuple(header), body=tuple(body), media=media, buttons=tuple(buttons))
        for phone, header, body, media, buttons in found
    ]


def _shown(
    message: Variant, template: Template, columns: RenderedColumns, rows: Sequence[SampleRow]
) -> Iterator[Sample]:
    for row in rows:
        yield Sample(
            phone=mask_phone(row.phone),
            header=_header(message, template, columns, row),
            body=fill(template.body, _masked(row.body, columns.personal_body)),
            footer=template.footer,
            buttons=_buttons(message, template, row),
            variant=message.name,
        )


def _header(message: Variant, template: Template, columns: RenderedColumns, row: SampleRow) -> str:
    """Return a text header filled, or a media header as its kind and address."""
    if row.media is None:
        return fill(template.header, _masked(row.header, columns.personal_header))
    media = message.template.header.media if message.template.header else None
    url = row.media if media is not None and media.column is None else mask_value(row.media)
    return f"[{template.header_kind.value}] {url}"


def _buttons(message: Variant, template: Template, row: SampleRow) -> tuple[str, ...]:
    """Return each button's text and, where a send fills its link, the link."""
    personal = {use.index for use in message.template.buttons if use.url and use.url.column}
    shown = []
    for index, (button, value) in enumerate(zip(template.buttons, row.buttons, strict=True)):
        if button.kind is not ButtonKind.URL or value is None:
            shown.append(button.text)
            continue
        link = fill(button.url, [mask_value(value) if index in personal else value])
        shown.append(f"{button.text}: {link}")
    return tuple(shown)


def _masked(values: Sequence[str], personal: Sequence[bool]) -> list[str]:
    pairs = zip(values, personal, strict=True)
    return [mask_value(value) if is_personal else value for value, is_personal in pairs]
