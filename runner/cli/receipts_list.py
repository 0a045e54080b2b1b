"""`runner receipts list`: the webhooks that are in no delivery's account, and why."""

from __future__ import annotations

from contextlib import closing
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any

import click

from runner.cli import output
from runner.cli.workplace import open_workplace
from runner.errors import UsageError
from runner.masking import mask_phone

if TYPE_CHECKING:
    from runner.ledger.webhooks import KeptWebhook

_SHOWN = 100


@click.command(name="list")
@click.option("--unmatched", is_flag=True, help="The webhooks that fit no delivery, or more than one.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
@click.option("--sandbox", is_flag=True, help="In the rehearsals' ledger.")
def list_(unmatched: bool, as_json: bool, sandbox: bool) -> None:
    """List the latest webhooks without a delivery, with the reason; they are tried again by themselves."""
    from runner.ledger import open_ledger

    if not unmatched:
        raise UsageError("say what to list", hint="runner receipts list --unmatched")
    with open_workplace(rehearsal=sandbox) as workplace:
        ledger = open_ledger(workplace.project.ledger, root=workplace.project.root, read_only=True)
        with closing(ledger):
            counts = dict(ledger.unsettled_webhooks())
            listed = [_document(each) for each in ledger.unmatched_webhooks(_SHOWN)]
    waiting = counts.pop("waiting", 0)
    document = {"waiting": waiting, "unmatched": sum(counts.values()), "by_reason": counts, "listed": listed}
    if as_json:
        output.show_json(document)
    else:
        _show(document)


def _document(webhook: KeptWebhook) -> dict[str, Any]:
    received = datetime.fromtimestamp(webhook.received_at, timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")
    return {
        "received_at": received,
        "phone": mask_phone(webhook.phone) if webhook.phone else None,
        "status": webhook.status.value,
        "message_id": webhook.message_id,
        "reason": webhook.verdict,
    }


def _show(document: dict[str, Any]) -> None:
    from runner.receipts.settling import OPEN_REASONS

    output.show(
        f"{document['unmatched']:,} webhooks without a delivery, {document['waiting']:,} not matched yet"
    )
    for reason, count in sorted(document["by_reason"].items()):
        output.show(f"  {count:>9,}  {OPEN_REASONS.get(reason, reason)}")
    for row in document["listed"]:
        parts = (row["received_at"], row["phone"], row["status"], row["message_id"])
        told = "  ".join(part for part in parts if part)
        output.show(f"  {told}  {OPEN_REASONS.get(row['reason'], row['reason'])}")
    if document["unmatched"] > len(document["listed"]):
        output.show(f"  ... and {document['unmatched'] - len(document['listed']):,} earlier ones")
