"""The sandbox's page for people: totals, rate over time, and the newest messages as a phone would show them.

Rendered whole on the server and escaped here, so that it needs no script to be read; the script in it only
fetches it again.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from html import escape
from importlib import resources
from string import Template as Page
from typing import Any

from runner.masking import mask_phone
from runner.sandbox.ada_templates import Catalog, split_values, value_places
from runner.sandbox.receiving import Sandbox
from runner.sandbox.record import SERIES_SECONDS, Record
from runner.template import ButtonKind, Template, fill

_NEWEST = 12
_CHART_HEIGHT = 60
_BAR_WIDTH = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Preview:
    """A message as its reader sees it; `note` says what kept it from being rendered, if anything did."""

    header: str = ""
    body: str = ""
    footer: str = ""
    buttons: tuple[str, ...] = ()
    note: str = ""


def render_page(sandbox: Sandbox, *, nonce: str, show_phones: bool) -> str:
    """Return the page as HTML, phones masked unless `show_phones`; `nonce` admits its style and script."""
    record, settings = sandbox.record, sandbox.settings
    numbers = range(record.total, max(0, record.total - _NEWEST), -1)
    items = "".join(
        _item(record.message(number), sandbox.catalog, show_phones=show_phones) for number in numbers
    )
    return _page().substitute(
        nonce=escape(nonce),
        senders=escape(", ".join(settings.senders)),
        limit=escape("no limit" if settings.limit is None else f"limit {settings.limit:g}/s"),
        latency=escape(str(settings.latency)),
        faults=escape(", ".join(str(fault) for fault in sandbox.faults.faults) or "none"),
        tiles=_tiles(record),
        chart=_chart(record, sandbox.wall(), settings.limit),
        answers=_answers(record),
        messages=items or '<li class="empty">Nothing has arrived yet.</li>',
        toggle_link="?" if show_phones else "?phones=shown",
        toggle_text="Mask phones" if show_phones else "Show phones",
    )


def preview(message: dict[str, Any], catalog: Catalog) -> Preview:
    """Render a message as its reader would see it. Nothing in it is trusted to have the right shape."""
    if message.get("type") != "template":
        labels = [*_texts(message.get("buttons")), *_texts(message.get("listData"))]
        return Preview(
            header=_text(message.get("header")),
            body=_text(message.get("text")),
            footer=_text(message.get("footer")),
            buttons=tuple(labels),
        )
    name, language = _text(message.get("templateName")), _text(message.get("templateLang"))
    template = catalog.find(name, language)
    if template is None:
        values = _texts(message.get("templateData"))
        return Preview(body="\n".join(values), note=f"Template {name} ({language}) is not known here.")
    return _filled(template, message)


def _filled(template: Template, message: dict[str, Any]) -> Preview:
    parts = split_values(template, message)
    header = _fill(*parts["header"])
    if template.header_kind.is_media:
        header = (
            f"[{template.header_kind.value}] {_text(message.get('fileName')) or _text(message.get('header'))}"
        )
    note = "" if template.is_sendable else f"This template is {template.status}."
    return Preview(
        header=header,
        body=_fill(*parts["body"]),
        footer=template.footer,
        buttons=_buttons(template, message.get("templateButton")),
        note=note,
    )


def _buttons(template: Template, given: Any) -> tuple[str, ...]:  # noqa: ANN401 - any JSON value
    values = given if isinstance(given, list) else []
    labels = []
    for index, button in enumerate(template.buttons):
        url = ""
        if button.kind is ButtonKind.URL:
            url = _fill(button.url, _texts(values[index]) if index < len(values) else [])
        labels.append(f"{button.text} → {url}" if url else button.text)
    return tuple(labels)


def _fill(text: str, values: Sequence[str]) -> str:
    """Fill what can be filled; a placeholder without a value stays as it is, for people to see."""
    needed = value_places(text)
    padded = [*values[:needed], *(f"{{{{{number + 1}}}}}" for number in range(len(values), needed))]
    return fill(text, padded)


def _text(value: Any) -> str:  # noqa: ANN401 - any JSON value
    return value if isinstance(value, str) else ""


def _texts(value: Any) -> list[str]:  # noqa: ANN401 - any JSON value
    items = value if isinstance(value, list) else []
    return [
        item if isinstance(item, str) else _text(item.get("title"))
        for item in items
        if isinstance(item, str | dict)
    ]


def _tiles(record: Record) -> str:
    counts = record.counts()
    tiles = (
        ("arrived", counts["total"], False),
        ("accepted", counts["accepted"], False),
        ("not accepted", counts["not_accepted"], False),
        ("most in one second", counts["max_per_second"], False),
        ("over the limit", counts["over_limit"], counts["over_limit"] > 0),
        ("sent twice", counts["duplicates"], counts["duplicates"] > 0),
    )
    return "".join(
        f'<div class="tile{" bad" if bad else ""}"><b>{value:,}</b><span>{escape(label)}</span></div>'
        for label, value, bad in tiles
    )


def _answers(record: Record) -> str:
    rows = record.answers.most_common(10)
    return "".join(f"<tr><td>{escape(name)}</td><td>{count:,}</td></tr>" for name, count in rows)


def _chart(record: Record, now: float, limit: float | None) -> str:
    """Draw arrivals in each of the last two minutes' seconds, with a line at the limit."""
    highest = max([1.0, limit or 0.0, *(float(arrived) for _, arrived, _ in record.series)])
    start = int(now) - SERIES_SECONDS + 1
    bars = []
    for second, arrived, _ in record.series:
        if second >= start:
            height = round(_CHART_HEIGHT * arrived / highest, 1)
            left = (second - start) * _BAR_WIDTH
            top = _CHART_HEIGHT - height
            title = f"<title>{arrived:,} in this second</title>"
            bars.append(
                f'<rect x="{left}" y="{top:g}" width="{_BAR_WIDTH - 1}" height="{height:g}">{title}</rect>'
            )
    level = _CHART_HEIGHT - _CHART_HEIGHT * (limit or 0.0) / highest
    line = f'<line x1="0" x2="{SERIES_SECONDS * _BAR_WIDTH}" y1="{level:g}" y2="{level:g}"/>' if limit else ""
    size = f"0 -2 {SERIES_SECONDS * _BAR_WIDTH} {_CHART_HEIGHT + 4}"
    label = f"Messages in each second of the last {SERIES_SECONDS}; the highest is {highest:g}"
    opening = f'<svg viewBox="{size}" role="img" aria-label="{label}" preserveAspectRatio="none">'
    return f"{opening}{''.join(bars)}{line}</svg>"


def _item(arrival: dict[str, Any], catalog: Catalog, *, show_phones: bool) -> str:
    phone = arrival["to"] if show_phones else mask_phone(arrival["to"])
    seen = preview(arrival["message"] or {}, catalog)
    parts = [
        f'<p class="note">{escape(seen.note)}</p>' if seen.note else "",
        f'<p class="head" dir="auto">{escape(seen.header)}</p>' if seen.header else "",
        f'<p dir="auto">{escape(seen.body)}</p>',
        f'<p class="foot" dir="auto">{escape(seen.footer)}</p>' if seen.footer else "",
        *(f'<p class="button" dir="auto">{escape(label)}</p>' for label in seen.buttons),
    ]
    state = "accepted" if arrival["accepted"] else "refused"
    return (
        f'<li class="{state}"><div class="meta"><span>to {escape(phone)}</span>'
        f"<span>{escape(arrival['at'][11:19])} UTC</span></div>"
        f'<div class="bubble">{"".join(parts)}</div>'
        f'<div class="meta"><span>#{arrival["number"]}</span>'
        f'<span class="answer">{escape(arrival["answer"])}</span></div></li>'
    )


@lru_cache(maxsize=1)
def _page() -> Page:
    return Page(resources.files("runner.sandbox").joinpath("page.html").read_text(encoding="utf-8"))
