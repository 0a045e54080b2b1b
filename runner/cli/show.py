"""`runner show`: a plan file again, as it was reviewed."""

from __future__ import annotations

from pathlib import Path

import click

from runner import plan_file
from runner.cli import output
from runner.cli.workplace import plan_key


@click.command(name="show")
@click.argument("path", type=click.Path(path_type=Path), metavar="PLAN")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
@click.option("--markdown", is_flag=True, help="Print a pull-request comment; no personal data.")
def command(path: Path, as_json: bool, markdown: bool) -> None:
    """Show the plan in the file PLAN, after checking that every byte is what was written."""
    plan = plan_file.read_plan(path, plan_key())
    if as_json:
        from runner.reports.summary import plan_summary

        output.show_json({"plans": [plan_summary(plan, str(path))]})
    elif markdown:
        from runner.reports.markdown import plan_markdown

        output.show(plan_markdown(plan))
    else:
        from runner.reports.terminal import plan_report

        output.show_rich(plan_report(plan))
