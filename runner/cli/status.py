"""`runner status`: what became of every campaign's messages, as the ledger has it."""

from __future__ import annotations

import time
from collections.abc import Sequence
from contextlib import closing
from dataclasses import replace
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any

import click

from runner.cli import output
from runner.cli.workplace import open_workplace, user_name
from runner.ledger.records import Counts
from runner.reports import wording
from runner.reports.firing import firing_document, firing_line

if TYPE_CHECKING:
    from rich.table import Table

    from runner.ledger.interface import LedgerReader, OccurrenceSummary, RunRecord, StopRecord


#: How many firings are shown, the latest.
_FIRINGS = 50


@click.command(name="status")
@click.argument("campaign", required=False)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
@click.option("--sandbox", is_flag=True, help="Show the rehearsals' ledger.")
def command(campaign: str | None, as_json: bool, sandbox: bool) -> None:
    """Show what became of the messages of CAMPAIGN (its name), or of every campaign."""
    from runner.ledger import open_ledger

    with open_workplace(rehearsal=sandbox) as workplace:
        ledger = open_ledger(workplace.project.ledger, root=workplace.project.root, read_only=True)
        with closing(ledger):
            occurrences = living_locks(ledger, ledger.summary(campaign))
            stops = [
                stop for stop in ledger.stops() if campaign in {None, stop.campaign} or not stop.campaign
            ]
            firings = ledger.last_firings(campaign, _FIRINGS)
    if as_json:
        documents = [_document(occurrence) for occurrence in occurrences]
        output.show_json(
            {
                "stops": [stop_document(stop) for stop in stops],
                "occurrences": documents,
                "firings": [firing_document(firing) for firing in firings],
            }
        )
        return
    for stop in stops:
        output.show(f"stopped: {stop}; `{stop.lifted_by}` lifts it")
    _show(occurrences, campaign)
    for firing in reversed(firings):
        if firing.state.value != "finished":
            output.show(firing_line(firing))


def stop_document(stop: StopRecord) -> dict[str, Any]:
    """Return a stop as JSON documents show it; `campaign` is null for all."""
    return {"campaign": stop.campaign, "by": stop.by, "at": _moment(stop.at), "note": stop.note}


def _show(occurrences: Sequence[OccurrenceSummary], campaign: str | None) -> None:
    if not occurrences:
        output.show(f"nothing was sent yet{f' for {campaign}' if campaign else ''}")
        return
    from rich.table import Table

    table = Table(box=None, padding=(0, 2, 0, 0), header_style="bold")
    for name in ("campaign", "occurrence"):
        table.add_column(name)
    for name in ("to send", "accepted", "refused", "unknown", "remaining"):
        table.add_column(name, justify="right")
    told = _RECEIPTS if any(occurrence.total.receipts for occurrence in occurrences) else ()
    for name in told:
        table.add_column(name, justify="right")
    has_group = any(occurrence.total.held_out for occurrence in occurrences)
    if has_group:
        table.add_column("held out", justify="right")
    table.add_column("last run")
    for occurrence in occurrences:
        counts = _accounts(occurrence)
        cells = [wording.number(counts[key]) for key in _COUNTED]
        cells += [wording.number(_receipts(occurrence.total)[status]) for status in told]
        cells += [wording.number(occurrence.total.held_out)] if has_group else []
        table.add_row(occurrence.campaign, occurrence.occurrence, *cells, _last_run(occurrence))
    output.show_rich(table)
    if any(occurrence.variants for occurrence in occurrences):
        output.show("")
        output.show_rich(_variants_table(occurrences))


def _variants_table(occurrences: Sequence[OccurrenceSummary]) -> Table:
    """Return what became of each variant's messages, over all plans of an occurrence."""
    from rich.table import Table

    table = Table(box=None, padding=(0, 2, 0, 0), header_style="bold")
    for name in ("campaign", "occurrence", "variant"):
        table.add_column(name)
    for name in (*_COUNTED_OF_VARIANT, *_RECEIPTS, "read rate"):
        table.add_column(name, justify="right")
    for occurrence in occurrences:
        for variant in _variants(occurrence):
            cells = [wording.number(variant[key]) for key in _COUNTED_OF_VARIANT]
            cells += [wording.number(variant["receipts"][status]) for status in _RECEIPTS]
            rate = variant["read_rate"]
            cells.append("" if rate is None else f"{rate:.1%}")
            table.add_row(occurrence.campaign, occurrence.occurrence, variant["name"], *cells)
    return table


_COUNTED = ("to_send", "accepted", "refused", "unknown", "remaining")
_COUNTED_OF_VARIANT = ("accepted", "refused", "unknown")
#: How far messages got, as the provider tells it.
_RECEIPTS = ("sent", "delivered", "read", "failed")


def _accounts(occurrence: OccurrenceSummary) -> dict[str, int]:
    """Return the accounts of the occurrence's latest plan: to_send is the sum of the others."""
    counts, to_send = occurrence.counts, occurrence.plan.to_send
    known = counts.accepted + counts.refused + counts.unknown
    return {
        "to_send": to_send,
        "accepted": counts.accepted,
        "refused": counts.refused,
        "unknown": counts.unknown,
        "remaining": to_send - known,
    }


def _receipts(counts: Counts) -> dict[str, int]:
    """Return deliveries by what was told of them, each at its furthest."""
    return {status: counts.receipts.get(status, 0) for status in _RECEIPTS}


def _variants(occurrence: OccurrenceSummary) -> list[dict[str, Any]]:
    """Return what became of each variant's messages; one that nobody got yet has zeros."""
    planned = dict.fromkeys(occurrence.plan.details.get("variants") or {}, Counts())
    return [
        {
            "name": name,
            "accepted": counts.accepted,
            "refused": counts.refused,
            "unknown": counts.unknown,
            "receipts": _receipts(counts),
            "read_rate": _read_rate(counts, occurrence.total),
        }
        for name, counts in {**planned, **occurrence.variants}.items()
    ]


def _read_rate(counts: Counts, all_variants: Counts) -> float | None:
    """Return the share of the accepted messages that were read, as far as it was told.

    None where none was accepted, or nothing was told of any variant's messages.
    """
    if not counts.accepted or not all_variants.receipts:
        return None
    return round(counts.receipts.get("read", 0) / counts.accepted, 4)


def _document(occurrence: OccurrenceSummary) -> dict[str, Any]:
    total = occurrence.total
    return {
        "campaign": occurrence.campaign,
        "occurrence": occurrence.occurrence,
        "digest": occurrence.plan.digest,
        **_accounts(occurrence),
        "refused_by_rule": dict(occurrence.counts.refused_by_rule),
        "all_plans": {"accepted": total.accepted, "refused": total.refused, "unknown": total.unknown},
        "receipts": _receipts(total),
        "held_out": total.held_out,
        "variants": _variants(occurrence),
        "finished_at": _moment(occurrence.plan.finished_at),
        "last_run": _run_document(occurrence.last_run),
        "applied_by": str(occurrence.lock.holder) if occurrence.lock else None,
    }


def living_locks(ledger: LedgerReader, occurrences: Sequence[OccurrenceSummary]) -> list[OccurrenceSummary]:
    """Return the occurrences without the locks of processes that are gone, as the next apply would judge."""
    from runner.ledger.liveness import this_process
    from runner.ledger.lock_names import lock_name

    held = set(ledger.applying(this_process(user_name()), time.time()))
    return [
        each if lock_name(each.campaign, each.occurrence) in held else replace(each, lock=None)
        for each in occurrences
    ]


def _run_document(run: RunRecord | None) -> dict[str, Any] | None:
    if run is None:
        return None
    return {
        "run": run.id,
        "by": str(run.holder),
        "started_at": _moment(run.started_at),
        "ended_at": _moment(run.ended_at),
        "exit_code": run.exit_code,
    }


def _last_run(occurrence: OccurrenceSummary) -> str:
    if occurrence.lock is not None:
        return f"being applied by {occurrence.lock.holder}"
    run = occurrence.last_run
    if run is None:
        return ""
    if run.ended_at is None:
        return f"run {run.id} was killed"
    return f"run {run.id}, exit {run.exit_code}, {_moment(run.ended_at)}"


def _moment(at: float | None) -> str | None:
    return datetime.fromtimestamp(at, timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ") if at is not None else None
