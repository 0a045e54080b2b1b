"""`runner explain`: every gate and every message of one person."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any

import click

from runner import plan_file
from runner.cli import output
from runner.cli.forgotten import forgotten_people
from runner.cli.workplace import Workplace, open_workplace, plan_key
from runner.errors import PlanFileError, UsageError
from runner.masking import mask_phone
from runner.reports.wording import REASONS

if TYPE_CHECKING:
    from runner.ledger.held_out import HeldOut
    from runner.ledger.interface import DeliveryHistory, LedgerReader
    from runner.ledger.webhooks import OptOut


@click.command(name="explain")
@click.argument("phone")
@click.option("--region", help="The country (such as ID) of a number written without a country code.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
@click.option("--sandbox", is_flag=True, help="In the rehearsals' plans and ledger.")
def command(phone: str, region: str | None, as_json: bool, sandbox: bool) -> None:
    """Show what every plan and every message says of the person with PHONE."""
    from runner.ledger import open_ledger

    with open_workplace(rehearsal=sandbox) as workplace:
        digits = read_digits(phone, region)
        ledger = open_ledger(workplace.project.ledger, root=workplace.project.root, read_only=True)
        with closing(ledger):
            document = _document(workplace, ledger, digits, region)
    if as_json:
        output.show_json(document)
    elif document["forgotten"]:
        output.show(f"{document['phone']}  forgotten")
    else:
        _show(document)


def _document(workplace: Workplace, ledger: LedgerReader, digits: str, region: str | None) -> dict[str, Any]:
    """Return what is known of a phone; of a forgotten one, that it is forgotten, and nothing else."""
    forgotten = _is_forgotten(ledger, digits)
    if forgotten:
        return {"phone": mask_phone(digits), "forgotten": True}
    opted_out = ledger.opt_out(digits)
    return {
        "phone": mask_phone(digits),
        "forgotten": forgotten,
        "suppressed": digits in suppressed_phones(workplace, region),
        "opted_out": _opt_out(opted_out) if opted_out else None,
        "plans": list(_in_plans(workplace, digits)),
        "messages": [_message(history) for history in ledger.history(digits)],
        "held_out": [_held_out(held) for held in ledger.held_out_of(digits)],
    }


def _is_forgotten(ledger: LedgerReader, digits: str) -> bool | None:
    """Tell whether a phone was forgotten; None, and why on stderr, when the key here does not tell."""
    try:
        people = forgotten_people(ledger)
    except UsageError as error:
        output.report(error)
        return None
    return people is not None and people.knows(digits)


def read_digits(phone: str, region: str | None) -> str:
    """Return a phone as a person wrote it, as digits; UsageError, which does not repeat it, if it is none."""
    from runner.phone import read_phone

    reading = read_phone(phone, region=region)
    if len(reading.readings) != 1:
        why = REASONS.get(reading.reason or "", "it can be read in two ways")
        raise UsageError(f"the phone cannot be read: {why}", hint="write it with + and its country code")
    return reading.readings[0]


def suppressed_phones(workplace: Workplace, region: str | None) -> frozenset[str]:
    """Return the phones on the project's never-message lists, as digits."""
    from runner.screening_lists import read_suppression

    return read_suppression(workplace.project.suppression, region=region)


def _in_plans(workplace: Workplace, digits: str) -> Iterator[dict[str, Any]]:
    """Yield what each plan file says of this phone; a damaged plan is named and passed over."""
    from runner.screening import find_rows

    key = plan_key()
    for path in sorted(workplace.plans.glob("*.plan")):
        try:
            plan = plan_file.read_plan(path, key)
            with plan_file.extracted_tables(path, workplace.workspace, key) as tables:
                rows = find_rows(tables, digits)
        except PlanFileError as error:
            output.report(error)
            continue
        for row in rows:
            yield {"campaign": plan.campaign, "occurrence": plan.occurrence, "plan": path.name, **row}


def _message(history: DeliveryHistory) -> dict[str, Any]:
    delivery = history.delivery
    return {
        "campaign": delivery.key.campaign,
        "occurrence": delivery.key.occurrence,
        "variant": delivery.variant,
        "state": delivery.state.value,
        "recipient": delivery.recipient_id,
        "message_id": delivery.message_id,
        "outcomes": [
            {
                "at": _moment(event.at),
                "attempt": event.attempt,
                "outcome": event.event,
                "rule": event.rule,
                "detail": event.detail,
            }
            for event in history.events
        ],
    }


def _held_out(held: HeldOut) -> dict[str, Any]:
    return {
        "campaign": held.key.campaign,
        "occurrence": held.key.occurrence,
        "recipient": held.recipient_id,
        "at": _moment(held.at),
    }


def _opt_out(opt_out: OptOut) -> dict[str, Any]:
    return {"at": _moment(opt_out.at), "source": opt_out.source, "detail": opt_out.detail}


def _moment(at: float) -> str:
    return datetime.fromtimestamp(at, timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")


def _show(document: dict[str, Any]) -> None:
    output.show(f"{document['phone']}{'  on a never-message list' if document['suppressed'] else ''}")
    opted_out = document["opted_out"]
    if opted_out:
        detail = f": {opted_out['detail']}" if opted_out["detail"] else ""
        output.show(f"  opted out {opted_out['at']} by {opted_out['source']}{detail}")
    for row in document["plans"]:
        meaning = REASONS.get(row["verdict"], "")
        detail = f" ({row['detail']})" if row["detail"] else f" ({meaning})" if meaning else ""
        place = f"plan {row['campaign']} {row['occurrence']} row {row['row']}"
        output.show(f"  {place}: {row['verdict']}{_variant(row)}{detail}")
    for message in document["messages"]:
        name = f"message {message['campaign']} {message['occurrence']}"
        output.show(f"  {name}: {message['state']}{_variant(message)}")
        for outcome in message["outcomes"]:
            detail = f": {outcome['detail']}" if outcome["detail"] else ""
            output.show(f"    {outcome['at']} {outcome['outcome']} by {outcome['rule']}{detail}")
    for held in document["held_out"]:
        output.show(
            f"  held out of {held['campaign']} {held['occurrence']} as its control group, {held['at']}"
        )
    if not document["plans"] and not document["messages"] and not document["held_out"]:
        output.show("  no plan and no message knows this phone")


def _variant(entry: dict[str, Any]) -> str:
    return f", variant {entry['variant']}" if entry["variant"] else ""
