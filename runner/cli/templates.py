"""`runner templates list`: the provider's message templates and what they need to be filled."""

from __future__ import annotations

from typing import Any

import click

from runner.cli import output
from runner.cli.workplace import open_workplace
from runner.masking import harmless
from runner.template import Template, placeholders


@click.group(name="templates")
def command() -> None:
    """Look at the provider's message templates."""


@command.command(name="list")
@click.option("--provider", default="ada", show_default=True, help="The provider, as runner.yml names it.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
@click.option("--sandbox", is_flag=True, help="List the sandbox's templates.")
def list_templates(provider: str, as_json: bool, sandbox: bool) -> None:
    """List every template of the sender: name, language, status, and how many values it takes."""
    with open_workplace(sandbox=sandbox) as workplace:
        listing = workplace.provider(provider).templates()
    rows = [
        _row(template) for template in sorted(listing.templates, key=lambda row: (row.name, row.language))
    ]
    if as_json:
        output.show_json({"templates": rows, "complete": listing.complete})
        return
    _show(rows)
    if not listing.complete:
        output.say("the provider says that it has more templates than it listed")


def _row(template: Template) -> dict[str, Any]:
    return {
        "name": template.name,
        "language": template.language,
        "status": template.status,
        "category": template.category,
        "header": template.header_kind.value,
        "variables": len(placeholders(template.body)),
        "buttons": [button.kind.value for button in template.buttons],
        "body": template.body,
    }


def _show(rows: list[dict[str, Any]]) -> None:
    from rich.table import Table

    table = Table(box=None, padding=(0, 2, 0, 0), header_style="bold")
    for name in ("name", "language", "status", "category", "header"):
        table.add_column(name)
    table.add_column("variables", justify="right")
    table.add_column("buttons")
    for row in rows:
        cells = [harmless(str(row[key])) for key in ("name", "language", "status", "category", "header")]
        table.add_row(*cells, str(row["variables"]), ", ".join(row["buttons"]))
    output.show_rich(table)
