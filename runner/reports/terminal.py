"""A plan as a person reads it in a terminal, in rich's terms. Pure: it returns what to print."""

from __future__ import annotations

from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from runner.masking import harmless
from runner.plan import Plan, PlannedTemplate, Sample
from runner.reports import wording
from runner.reports.window_words import window_facts


def plan_report(plan: Plan) -> RenderableType:
    """Return the whole plan: accounts, template, times, guards, samples, digest."""
    parts: list[RenderableType] = [_title(plan), _accounts(plan), _facts(plan)]
    if plan.guards:
        parts.append(_guards(plan))
    if wording.shows_query(plan):
        parts.append(_query(plan))
    parts += [_sample(sample) for sample in plan.samples]
    parts += [Text(f"note: {note}", style="yellow") for note in plan.notes]
    return Group(*(Padding(part, (0, 0, 1, 0)) for part in parts), _digest(plan))


def _title(plan: Plan) -> Text:
    title = Text()
    title.append(plan.campaign, style="bold")
    title.append(f"  {plan.occurrence}", style="dim")
    description = plan.document.get("description")
    if description:
        title.append(f"\n{harmless(' '.join(str(description).split()))}")
    return title


def _accounts(plan: Plan) -> Table:
    table = Table.grid(padding=(0, 2))
    table.add_column(justify="right")
    table.add_column()
    table.add_column(style="dim")
    table.add_row(wording.number(plan.rows), "rows in the segment", "")
    table.add_row(Text(wording.number(plan.to_send), style="bold green"), Text("to send", style="bold"), "")
    table.add_row(wording.number(plan.already_sent), "already sent", "")
    table.add_row(wording.number(sum(plan.rejected.values())), "rejected", "")
    for reason, count, meaning in wording.rejections(plan.rejected):
        table.add_row("", f"{wording.number(count):>9} {reason}", meaning)
    return table


def _facts(plan: Plan) -> Table:
    table = Table.grid(padding=(0, 2))
    table.add_column(style="bold")
    table.add_column()
    if plan.template:
        table.add_row("Template", _named(plan.template))
    for variant in plan.variants:
        table.add_row(
            f"Variant {variant.name}", f"{wording.share(variant, plan)}: {_named(variant.template)}"
        )
    table.add_row("Sender", f"{plan.sender} through {plan.provider}{wording.priority(plan)}")
    for name, value in wording.source_facts(plan):
        table.add_row(name, harmless(value))
    if plan.due_at:
        table.add_row("Due", wording.moment(plan.due_at, plan.zone))
    for name, value in window_facts(plan):
        table.add_row(name, value)
    table.add_row("Takes", f"{wording.duration(plan.duration_seconds)} at {wording.rate(plan.rate)}")
    table.add_row("Last one", wording.moment(plan.ends_at, plan.zone))
    return table


def _named(template: PlannedTemplate) -> str:
    return f"{template.name} ({template.language}, {template.category})"


def _guards(plan: Plan) -> Table:
    table = Table.grid(padding=(0, 2))
    for guard in plan.guards:
        verdict = Text("exceeded", style="bold red") if guard.exceeded else Text("ok", style="green")
        table.add_row(Text("Guard", style="bold"), f"{guard.name} {guard.limit}", guard.found, verdict)
    return table


def _query(plan: Plan) -> Panel:
    return Panel(Text(harmless(plan.sql.strip())), title="query", title_align="left", width=110)


def _sample(sample: Sample) -> Panel:
    parts = [Text(harmless(sample.header), style="bold")] if sample.header else []
    parts.append(Text(harmless(sample.body)))
    if sample.footer:
        parts.append(Text(harmless(sample.footer), style="dim"))
    if sample.buttons:
        buttons = "  ".join(f"[{button}]" for button in sample.buttons)
        parts.append(Text(harmless(buttons), style="cyan"))
    title = f"{sample.phone} · {sample.variant}" if sample.variant else sample.phone
    return Panel(Group(*parts), title=title, title_align="left", width=72)


def _digest(plan: Plan) -> Text:
    expires = wording.moment(plan.expires_at, plan.zone)
    return Text(f"digest {plan.digest[:16]}, valid until {expires}", style="dim")
