"""`runner audit`: who did what, as a chain of entries that nobody can change unseen."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from contextlib import closing
from datetime import datetime, timezone
from itertools import chain
from typing import TYPE_CHECKING, Any

import click

from runner.audit_chain import Deed, Head, check
from runner.cli import output
from runner.cli.workplace import open_workplace
from runner.errors import ExitCode, UsageError

if TYPE_CHECKING:
    from runner.audit_chain import Checked, Entry
    from runner.ledger.interface import LedgerReader

_HEAD = re.compile(r"(\d{1,18}):([0-9a-f]{32,64})")


@click.group(name="audit")
def command() -> None:
    """Look at the ledger's audit log: plans applied, runs, settlements by hand, imports, forgotten people."""


@command.command(name="verify")
@click.option(
    "--head", "heads", multiple=True, metavar="NUMBER:HASH", help="A head noted earlier; repeatable."
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
@click.option("--sandbox", is_flag=True, help="In the rehearsals' ledger.")
def verify(heads: tuple[str, ...], as_json: bool, sandbox: bool) -> ExitCode:
    """Check that no entry was edited, removed, inserted or moved; exit 1 with the first fault.

    Entries cut off at the end are found by what the ledger shows besides: its runs, and people forgotten. All
    of them are found by a head noted elsewhere: every apply prints the one it left.
    """
    from runner.ledger import open_ledger

    known = [_read_head(text) for text in heads]
    with open_workplace(rehearsal=sandbox) as workplace:
        ledger = open_ledger(workplace.project.ledger, root=workplace.project.root, read_only=True)
        with closing(ledger):
            deeds = list(_deeds(ledger))
            checked = check(
                chain.from_iterable(ledger.audit()), origin=ledger.identity(), known=known, deeds=deeds
            )
    if as_json:
        output.show_json(_verdict(checked))
    elif checked.fault is not None:
        output.show(f"NOT sound: {checked.fault.what}")
    else:
        output.show(f"sound: {_entries(checked.head.number)}, head {checked.head}")
    return ExitCode.ERROR if checked.fault else ExitCode.DONE


@command.command(name="show")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
@click.option("--sandbox", is_flag=True, help="In the rehearsals' ledger.")
def show(as_json: bool, sandbox: bool) -> None:
    """List the entries, oldest first."""
    from runner.ledger import open_ledger

    with open_workplace(rehearsal=sandbox) as workplace:
        ledger = open_ledger(workplace.project.ledger, root=workplace.project.root, read_only=True)
        with closing(ledger):
            entries = list(chain.from_iterable(ledger.audit()))
            head = ledger.audit_head()
    if as_json:
        output.show_json({"entries": [_document(entry) for entry in entries], "head": str(head)})
        return
    for entry in entries:
        output.show(_line(entry))
    if not entries:
        output.show("nothing was done yet")


def _deeds(ledger: LedgerReader) -> Iterator[Deed]:
    """Yield what the ledger's other tables show, and the audit log has to tell."""
    for run in ledger.runs():
        yield Deed("plan_applied", run.id)
        if run.ended_at is not None:
            yield Deed("run_ended", run.id)
    for batch in ledger.forgotten():
        yield from (Deed("forgotten") for _ in batch)


def _read_head(text: str) -> Head:
    found = _HEAD.fullmatch(text.strip())
    if found is None:
        raise UsageError(
            f"--head {text!r} is no head", hint="write it as an apply printed it: NUMBER:HASH, all 64 digits"
        )
    return Head(number=int(found[1]), hash=found[2])


def _entries(count: int) -> str:
    return f"{count:,} {'entry' if count == 1 else 'entries'}"


def _verdict(checked: Checked) -> dict[str, Any]:
    fault = checked.fault
    return {
        "sound": fault is None,
        "entries": checked.head.number,
        "head": str(checked.head),
        "fault": None if fault is None else {"number": fault.number, "what": fault.what},
        "exit_code": int(ExitCode.ERROR if fault else ExitCode.DONE),
    }


def _document(entry: Entry) -> dict[str, Any]:
    return {
        "number": entry.number,
        "at": _moment(entry.at),
        "event": entry.event,
        "actor": entry.actor,
        "details": _details(entry),
        "hash": entry.hash,
    }


def _details(entry: Entry) -> Mapping[str, Any]:
    """Return the details as values; what somebody made into no JSON object is shown as the text it is."""
    try:
        found = json.loads(entry.details)
    except (ValueError, TypeError):
        found = None
    return found if isinstance(found, dict) else {"text": str(entry.details)}


def _line(entry: Entry) -> str:
    """Return an entry for people, digests cut short."""
    details = " ".join(f"{name}={_short(name, value)}" for name, value in _details(entry).items())
    return f"{entry.number:>4}  {_moment(entry.at)}  {entry.actor}  {entry.event}  {details}"


def _short(name: str, value: object) -> str:
    if isinstance(value, dict):
        return ",".join(f"{key}:{inner}" for key, inner in value.items())
    return str(value)[:12] if name in {"plan", "file_sha256"} else str(value)


def _moment(at: Any) -> str:  # noqa: ANN401 - an edited entry may hold anything
    try:
        return datetime.fromtimestamp(at, timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")
    except (TypeError, ValueError, OverflowError, OSError):
        return str(at)
