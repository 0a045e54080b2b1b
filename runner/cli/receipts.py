"""`runner receipts import`, and its group: take in what the provider reports: delivered, read, failed."""

from __future__ import annotations

import gc
import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from runner.cli import output
from runner.cli.receipts_list import list_
from runner.cli.receipts_listen import listen
from runner.cli.td_options import td_options
from runner.cli.workplace import TdFlags, Workplace, open_workplace, user_name
from runner.errors import ExitCode, LogError, Refusal, UsageError

if TYPE_CHECKING:
    from runner.pushing import Pushed
    from runner.receipts.importing import Accounts, Import, Unplaced
    from runner.receipts.mapping import ColumnMapping

#: So many lines without a delivery are shown; `--unmatched` writes all.
_SHOWN = 20
_PERIOD = re.compile(r"[1-9][0-9]{0,3}[mhdw]")
_LONGEST_DAYS = 90
_ORDERS = ("dmy", "mdy", "ymd")
#: How many objects more than are gone make the garbage collector look: a batch of rows is ten thousand.
_COLLECT_AFTER = 500_000


@dataclass(frozen=True, slots=True, kw_only=True)
class _Recorded:
    """What an import wrote; None and empty where it wrote nothing."""

    receipts: int | None = None
    pushed: Sequence[Pushed] = ()
    failure: LogError | None = None


@click.group(name="receipts")
def command() -> None:
    """Take in what became of messages after they were sent (docs/receipts.md)."""


command.add_command(listen)
command.add_command(list_)


@command.command(name="import")
@click.argument("file", type=click.Path(path_type=Path), metavar="FILE.csv")
@click.option("--column", "columns", multiple=True, metavar="FIELD=HEADER", help="Which column says what.")
@click.option("--status", "statuses", multiple=True, metavar="WORD=MEANING", help="What a status means.")
@click.option("--mapping", "mapping_name", metavar="NAME", help="Read the file as receipts/NAME.yml says.")
@click.option("--save-mapping", metavar="NAME", help="Keep how the file is read as receipts/NAME.yml.")
@click.option("--timezone", "zone", metavar="ZONE", help="The zone of times without an offset: Asia/Jakarta.")
@click.option("--date-order", type=click.Choice(_ORDERS), help="The order of day, month and year.")
@click.option("--region", metavar="CODE", help="The country of phones without a country code: ID.")
@click.option("--encoding", metavar="NAME", help="The encoding, if it is not found out: cp932, latin-1, ...")
@click.option("--header-line", type=click.IntRange(1, 10_000), help="On which line the headers stand.")
@click.option("--window", default="72h", show_default=True, help="How long after sending a report may come.")
@click.option("--unmatched", type=click.Path(path_type=Path), help="Write the lines without a delivery here.")
@click.option("--preview", is_flag=True, help="Show what it would do; record nothing.")
@click.option("--auto-approve", is_flag=True, help="Do not ask; for machines.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
@click.option("--sandbox", is_flag=True, help="Into the rehearsals' ledger.")
@td_options
def import_(file: Path, td: TdFlags, **options: Any) -> ExitCode:  # noqa: ANN401 - click's options by name
    """Import the provider's report FILE.csv: which message was sent, delivered, read, or failed.

    FIELD is phone, status, at, message_id, sender, campaign, code or detail; plain headers are found out.
    A line that fits no delivery, or more than one, is listed and left alone.
    """
    from runner.receipts.importing import open_import
    from runner.receipts.mapping_file import mapping_path, save_mapping

    sandbox, preview = bool(options["sandbox"]), bool(options["preview"])
    opened = open_workplace(sandbox=sandbox and not preview, rehearsal=sandbox, td=td)
    with opened as workplace, _few_collections():
        mapping = _mapping(workplace.project.root, options)
        save_as = options["save_mapping"]
        saved = mapping_path(workplace.project.root, save_as) if save_as else None
        with (
            closing(_ledger(workplace, read_only=True)) as ledger,
            open_import(
                file,
                mapping=mapping,
                ledger=ledger,
                workspace=workplace.workspace,
                now=workplace.clock.now(),
                window=_seconds(options["window"]),
            ) as prepared,
        ):
            if saved is not None:
                save_mapping(saved, prepared.mapping)
            if options["unmatched"] is not None:
                prepared.write_unplaced(options["unmatched"])
            return _settle(workplace, prepared, options)


@contextmanager
def _few_collections() -> Iterator[None]:
    """Have the garbage collector look seldom: rows make no cycles, and to look costs a quarter more."""
    before = gc.get_threshold()
    gc.set_threshold(_COLLECT_AFTER, 20, 100)
    try:
        yield
    finally:
        gc.set_threshold(*before)


def _settle(workplace: Workplace, prepared: Import, options: Mapping[str, Any]) -> ExitCode:
    """Show what the report says, ask, record, and push the logs."""
    as_json = bool(options["as_json"])
    tell = output.say if as_json else output.show
    unplaced = prepared.unplaced(_SHOWN)
    for line in (
        *_account_lines(prepared),
        *_unplaced_lines(prepared.accounts, unplaced, options["unmatched"]),
    ):
        tell(line)
    recorded = _Recorded()
    if not options["preview"] and prepared.accounts.matched:
        _confirm(workplace, prepared.accounts, auto_approve=bool(options["auto_approve"]))
        recorded = _record(workplace, prepared)
    for line in _recorded_lines(recorded, prepared.accounts, preview=bool(options["preview"])):
        tell(line)
    if recorded.failure is not None:
        output.report(recorded.failure)
    code = ExitCode.ERROR if recorded.failure else ExitCode.DONE
    if as_json:
        output.show_json(_document(prepared, unplaced, recorded, code))
    return code


def _mapping(root: Path, options: Mapping[str, Any]) -> ColumnMapping:
    """Return how to read the file: the options, over the saved mapping where one is named."""
    from runner.file_checks import zone_exists
    from runner.problem_words import show_text
    from runner.receipts.mapping import ColumnMapping, DateOrder, parse_columns, parse_statuses
    from runner.receipts.mapping_file import load_mapping, mapping_path
    from runner.receipts.text_file import ENCODINGS

    zone, encoding, order = options["zone"], options["encoding"], options["date_order"]
    if zone is not None and not zone_exists(zone):
        raise UsageError(f"--timezone: {show_text(zone)!r} is no time zone", hint="such as Asia/Jakarta")
    if encoding is not None and encoding.lower() not in ENCODINGS:
        raise UsageError(
            f"--encoding: {show_text(encoding)!r} is not known", hint=f"use {', '.join(ENCODINGS)}"
        )
    given = ColumnMapping(
        columns=parse_columns(options["columns"]),
        statuses=parse_statuses(options["statuses"]),
        timezone=zone,
        date_order=DateOrder(order) if order else None,
        region=options["region"],
        encoding=encoding.lower() if encoding else None,
        header_line=options["header_line"],
    )
    name = options["mapping_name"]
    return given.over(load_mapping(mapping_path(root, name))) if name else given


def _seconds(text: str) -> float:
    from runner.segment_file import read_period

    period = read_period(text) if _PERIOD.fullmatch(text) else None
    if period is None or period.days > _LONGEST_DAYS:
        raise UsageError(f"--window: found no time of at most {_LONGEST_DAYS} days", hint="write 72h, or 5d")
    return period.total_seconds()


def _ledger(workplace: Workplace, *, read_only: bool) -> Any:  # noqa: ANN401 - a Ledger
    from runner.ledger import open_ledger

    return open_ledger(workplace.project.ledger, root=workplace.project.root, read_only=read_only)


def _confirm(workplace: Workplace, accounts: Accounts, *, auto_approve: bool) -> None:
    """Ask a person at the terminal; without one, only --auto-approve is a yes. Raises Refusal for a no."""
    if auto_approve or workplace.rehearsal:
        return
    if not sys.stdin.isatty():
        raise Refusal(
            "not confirmed: nobody is here to ask, and nothing was recorded",
            hint="use --auto-approve for machines, --preview to look only",
        )
    question = f"Record {_count(accounts.matched, 'receipt')} of {_count(accounts.moves, 'delivery')}?"
    answer = click.prompt(f"{question} Type yes to record", default="no", show_default=False, err=True)
    if str(answer).strip().lower() != "yes":
        raise Refusal("not confirmed: nothing was recorded", hint="type yes to record")


def _record(workplace: Workplace, prepared: Import) -> _Recorded:
    from runner.receipts.importing import record

    with closing(_ledger(workplace, read_only=False)) as ledger:
        receipts = record(prepared, ledger, workplace.clock.now(), by=user_name())
        pushed: list[Pushed] = []
        try:
            for one in push_logs_of(workplace, ledger, prepared.occurrences()):
                pushed.append(one)  # noqa: PERF402 - what was pushed before a failure counts
        except LogError as failure:
            return _Recorded(receipts=receipts, pushed=pushed, failure=failure)
    return _Recorded(receipts=receipts, pushed=pushed)


def push_logs_of(
    workplace: Workplace,
    ledger: Any,  # noqa: ANN401 - a Ledger
    occurrences: Sequence[tuple[str, str]],
) -> Iterator[Pushed]:
    """Push the logs of every run of these (campaign, occurrence): their deliveries have new receipts.

    Errors: LogError; what could not be pushed is kept for the next push.
    """
    from runner.cli.log import log_tools
    from runner.pushing import push_run

    wanted = set(occurrences)
    tools = log_tools(workplace)
    for run in ledger.runs():
        plan = ledger.plan_record(run.digest)
        if plan is not None and (plan.campaign, plan.occurrence) in wanted and plan.details.get("log"):
            yield push_run(ledger, run.id, tools)


def _account_lines(prepared: Import) -> Iterator[str]:
    from runner.problem_words import show_text
    from runner.receipts.csv_file import DELIMITERS

    accounts, layout = prepared.accounts, prepared.layout
    read_as = f"{DELIMITERS[layout.delimiter]}-separated, {prepared.file.codec.removesuffix('-sig')}"
    lines = f"{_count(accounts.lines, 'line')} below line {layout.header_line}"
    yield f"{prepared.file.name}: {lines} ({read_as})"
    for name, headers in prepared.columns.items():
        yield f"  {name:<10}  {' + '.join(show_text(header) for header in headers)}"
    split = ", ".join(f"{status} {lines:,}" for status, lines in accounts.by_status.items())
    for word, count, note in (
        ("matched", accounts.matched, split),
        ("unchanged", accounts.unchanged, "the ledger knows it already"),
        ("unmatched", accounts.unmatched, ""),
        ("ambiguous", accounts.ambiguous, ""),
        ("unreadable", accounts.unreadable, ""),
    ):
        yield f"{word:<10}  {count:>9,}  {note if count else ''}".rstrip()
    if accounts.settles:
        yield f"settles     {accounts.settles:>9,}  of them, unknown before"
    yield from _notes(accounts)


def _notes(accounts: Accounts) -> Iterator[str]:
    """Yield what a person should look at."""
    if accounts.unknown_words:
        counted = [f'"{word}" {lines:,}' for word, lines in accounts.unknown_words.items()]
        more = f" and {len(counted) - _SHOWN} more" if len(counted) > _SHOWN else ""
        yield f"statuses not known, left alone: {', '.join(counted[:_SHOWN])}{more}"
        yield '  say what they mean with --status "WORD=delivered" (or sent, read, failed)'
    if accounts.ahead:
        yield f"{_count(accounts.ahead, 'line')} of a time that has not come yet: is --timezone right?"
    if accounts.foreign_ids:
        yield "no message id of the file is in the ledger: is it the id that sending returned?"
        yield "  to match by phone and time alone, say --column message_id="


def _unplaced_lines(accounts: Accounts, unplaced: Sequence[Unplaced], written: Path | None) -> Iterator[str]:
    from runner.receipts.importing import REASONS

    for reason, lines in accounts.by_reason.items():
        yield f"  {lines:>9,}  {REASONS[reason]}"
    for one in unplaced:
        row = _unplaced_document(one)
        parts = (row["phone"], row["status"], row["at"], REASONS[one.reason])
        yield f"  line {one.line}: {'  '.join(part for part in parts if part)}"
    total = accounts.unmatched + accounts.ambiguous + accounts.unreadable
    if written is not None:
        where = output.shown(written.absolute())
        yield f"{_count(total, 'line')} without a delivery written to {where}, phones whole"
    elif total > len(unplaced):
        yield f"  ... and {total - len(unplaced):,} more: --unmatched FILE writes them all"


def _recorded_lines(recorded: _Recorded, accounts: Accounts, *, preview: bool) -> Iterator[str]:
    from runner.cli.log import pushed_lines

    if recorded.receipts is not None:
        yield f"{_count(recorded.receipts, 'receipt')} recorded"
    elif preview and accounts.matched:
        yield "a preview: nothing was recorded"
    else:
        yield "nothing to record"
    for one in recorded.pushed:
        yield from pushed_lines(one)


def _document(
    prepared: Import, unplaced: Sequence[Unplaced], recorded: _Recorded, code: ExitCode
) -> dict[str, Any]:
    from runner.cli.log import pushed_document

    accounts, failure = prepared.accounts, recorded.failure
    document: dict[str, Any] = {
        "file": prepared.file.path.name,
        "columns": {name: list(headers) for name, headers in prepared.columns.items()},
        "lines": accounts.lines,
        "matched": accounts.matched,
        "unchanged": accounts.unchanged,
        "unmatched": accounts.unmatched,
        "ambiguous": accounts.ambiguous,
        "unreadable": accounts.unreadable,
        "by_status": dict(accounts.by_status),
        "by_reason": dict(accounts.by_reason),
        "matched_by": dict(accounts.matched_by),
        "deliveries_moved": accounts.moves,
        "unknown_settled": accounts.settles,
        "unknown_statuses": dict(accounts.unknown_words),
        "listed": [_unplaced_document(one) for one in unplaced],
        "recorded": recorded.receipts,
        "pushed": [pushed_document(one) for one in recorded.pushed],
        "exit_code": int(code),
    }
    return (
        document
        if failure is None
        else {**document, "error": {"message": failure.message, "hint": failure.hint}}
    )


def _unplaced_document(one: Unplaced) -> dict[str, Any]:
    """Return a line without a delivery as it may be shown: its phone masked."""
    from runner.masking import mask_phone, mask_value
    from runner.problem_words import show_text

    phone = mask_phone(one.phone) if one.phone else mask_value(one.written[:40]) if one.written else None
    at = datetime.fromtimestamp(one.at, timezone.utc).isoformat(timespec="seconds") if one.at else None
    return {
        "line": one.line,
        "verdict": one.verdict,
        "reason": one.reason,
        "phone": phone,
        "status": show_text(one.status) if one.status else None,
        "at": at,
    }


def _count(number: int, word: str) -> str:
    plural = word if number == 1 else f"{word[:-1]}ies" if word.endswith("y") else f"{word}s"
    return f"{number:,} {plural}"
