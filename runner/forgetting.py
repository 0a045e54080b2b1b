"""Forget a person: keep their keyed hash first, then erase them from logs, plans, run logs and the ledger.

The order makes a kill on the way harmless: from the hash on they are never messaged, and as long as the
ledger knows them, the same command finds again what is left.
"""

from __future__ import annotations

import shutil
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from runner.delivery import State
from runner.encrypted_file import FileKey, is_encrypted
from runner.errors import PlanFileError, Refusal
from runner.forgotten import ASKED_EVERY
from runner.ledger.held_out import HeldOut
from runner.ledger.interface import DeliveryHistory, Erased, Event, Holder, LogBatch, PlanRecord, RunRecord
from runner.ledger.lock_names import lock_name
from runner.log_streams import CONTROL_GROUP, EVENTS, Stream
from runner.logs import open_log
from runner.logs.batch_file import file_name, log_folder
from runner.logs.interface import Batch, LoggedRun, LogTools
from runner.logs.run_log import redact_run_log
from runner.masking import mask_phone
from runner.plan_file import extracted_tables
from runner.screening import find_rows
from runner.work_folder import delete_left_behind

#: After so many seconds every running apply knows whom to leave out.
_UNTIL_KNOWN = 3 * ASKED_EVERY
#: How long the answer to a message in flight may take, in seconds, and how often it is looked for.
_LONGEST_FLIGHT = 120.0
_LOOK_EVERY = 0.25

_TREASURE_DATA = "treasure_data"
_REHEARSALS = "sandbox"


class ForgettingLedger(Protocol):
    """What forgetting needs of a ledger."""

    def identity(self) -> str: ...  # noqa: D102 - see ledger/interface.py
    def history(self, phone: str) -> list[DeliveryHistory]: ...  # noqa: D102
    def run_record(self, run: int) -> RunRecord | None: ...  # noqa: D102
    def plan_record(self, digest: str) -> PlanRecord | None: ...  # noqa: D102
    def events(self, run: int, first: int, last: int) -> Iterator[list[Event]]: ...  # noqa: D102
    def log_batches(self, target: str, run: int) -> list[LogBatch]: ...  # noqa: D102
    def held_out(self, run: int, first: int, last: int) -> Iterator[list[HeldOut]]: ...  # noqa: D102
    def held_out_of(self, phone: str) -> list[HeldOut]: ...  # noqa: D102
    def applying(self, seen_by: Holder, now: float) -> list[str]: ...  # noqa: D102
    def forget(self, keyed_hash: str, proof: str, by: Holder, now: float) -> bool: ...  # noqa: D102
    def erase(self, phone: str, by: Holder, now: float) -> Erased | None: ...  # noqa: D102
    def wipe(self) -> bool: ...  # noqa: D102


@dataclass(frozen=True, slots=True, kw_only=True)
class Person:
    """Whom to forget: the phone's digits, its keyed hash, and the proof of the key."""

    digits: str = field(repr=False)
    keyed_hash: str
    proof: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Surroundings:
    """Where a person is forgotten, and by whom. `state` is the folder of plans and run logs.

    `logs` is what logs work with; its clock and its `tell` serve here too. `plan_key` opens encrypted plans;
    one that it does not open may name anybody, and goes.
    """

    state: Path
    logs: LogTools
    holder: Holder
    plan_key: FileKey | None = None
    is_rehearsal: bool = False

    @property
    def plans(self) -> Path:
        """Return the folder of plan files."""
        return self.state / "plans"

    @property
    def workspace(self) -> Path:
        """Return the folder of intermediate files."""
        return self.state / "work"


@dataclass(frozen=True, slots=True, kw_only=True)
class RowsElsewhere:
    """Rows in a table of Treasure Data, and the statement that deletes them: nothing else can."""

    table: str
    statement: str


@dataclass(slots=True, kw_only=True)
class Forgot:
    """What was erased. `applying` are applies that were going on, and keep a copy of their plan to their end.

    `is_wiped` is False when old copies may be left in the free space of the ledger's file.
    """

    is_new: bool
    deliveries: int = 0
    events: int = 0
    resolutions: int = 0
    held_out: int = 0
    plans: list[str] = field(default_factory=list)
    run_log_lines: int = 0
    log_files: int = 0
    elsewhere: list[RowsElsewhere] = field(default_factory=list)
    applying: Sequence[str] = ()
    is_wiped: bool = False


def forget_person(person: Person, ledger: ForgettingLedger, around: Surroundings) -> Forgot:
    """Forget `person`, and return what was erased; once more is harmless, and finishes what was cut off.

    Errors: UsageError for another key than the ledger's; Refusal when a message to them stays in flight, or
    before anything when encrypted plans are there and no key for them; LedgerError, LogError. After any other
    error they are never messaged, and may be forgotten again.
    """
    _check_readable(around)
    now, sleep = around.logs.now, around.logs.sleep
    done = Forgot(is_new=ledger.forget(person.keyed_hash, person.proof, around.holder, now()))
    done.applying = ledger.applying(around.holder, now())
    message_ids: set[str] = set()
    # What an apply began before it knew is erased by the second time.
    for _ in range(2 if done.applying else 1):
        if done.applying:
            sleep(_UNTIL_KNOWN)
        _erase(person, ledger, around, done, message_ids)
    done.is_wiped = not done.applying and ledger.wipe()
    return done


def _check_readable(around: Surroundings) -> None:
    """Raise Refusal where all encrypted plans would have to go unread, for want of their key."""
    locked = [] if around.plan_key else [path for path in around.plans.glob("*.plan") if _is_encrypted(path)]
    if locked:
        raise Refusal(
            f"{locked[0].name} is encrypted, and RUNNER_PLAN_KEY is not set: nothing was erased",
            hint="set the key, so that plans without the person stay; or delete the file, and plan again",
        )


def _is_encrypted(path: Path) -> bool:
    with path.open("rb") as stream:
        return is_encrypted(stream)


def _erase(
    person: Person, ledger: ForgettingLedger, around: Surroundings, done: Forgot, message_ids: set[str]
) -> None:
    """Erase the person once; add what was done to `done`, and the ids of their messages to `message_ids`."""
    histories = _landed(person, ledger, around)
    events = [event for history in histories for event in history.events]
    message_ids |= {event.message_id for event in events if event.message_id}
    _erase_from_logs(person, EVENTS, events, ledger, around, done)
    _erase_from_logs(person, CONTROL_GROUP, ledger.held_out_of(person.digits), ledger, around, done)
    done.plans += _remove_plans(person.digits, around)
    for path in sorted((around.state / "runs").glob("*.jsonl")):
        done.run_log_lines += redact_run_log(path, mask_phone(person.digits), message_ids)
    _clear(around)
    erased = ledger.erase(person.digits, around.holder, around.logs.now())
    if erased is None:
        raise _in_flight()
    done.deliveries += erased.deliveries
    done.events += erased.events
    done.resolutions += erased.resolutions
    done.held_out += erased.held_out


def _landed(person: Person, ledger: ForgettingLedger, around: Surroundings) -> list[DeliveryHistory]:
    """Return the person's deliveries, once none of them waits for its answer any more."""
    now = around.logs.now
    until = now() + _LONGEST_FLIGHT
    while True:
        histories = ledger.history(person.digits)
        waiting = {
            lock_name(history.delivery.key.campaign, history.delivery.key.occurrence)
            for history in histories
            if history.delivery.state is State.INTENT
        }
        if not waiting or waiting.isdisjoint(ledger.applying(around.holder, now())):
            return histories
        if now() > until:
            raise _in_flight()
        around.logs.sleep(_LOOK_EVERY)


def _in_flight() -> Refusal:
    return Refusal(
        "a message to this person is in flight: they are never messaged again, and not erased yet",
        hint="run the same command again in a moment, or when the apply has ended",
    )


def _erase_from_logs(
    person: Person,
    stream: Stream,
    told: Sequence[Event] | Sequence[HeldOut],
    ledger: ForgettingLedger,
    around: Surroundings,
    done: Forgot,
) -> None:
    """Write the log files anew that tell of the person; say what has to be run for those at Treasure Data."""
    by_run: dict[int, list[Event | HeldOut]] = defaultdict(list)
    for each in told:
        by_run[each.run].append(each)
    for number, some in sorted(by_run.items()):
        run, logs = _logged_run(number, ledger)
        for kind, settings in logs.items():
            target = stream.target(open_log(kind, settings, around.logs).name)
            batches = [
                batch
                for batch in ledger.log_batches(target, number)
                if any(batch.first <= each.number <= batch.last for each in some)
            ]
            if kind == _TREASURE_DATA and batches:
                rows = _rows_elsewhere(run, settings, stream, some, batches)
                done.elsewhere.append(rows)
                around.logs.tell(f"run this at Treasure Data: {rows.statement}")
            elif kind != _TREASURE_DATA:
                for batch in batches:
                    whole = stream.batch(ledger, run, batch, without=person.digits)
                    done.log_files += _rewrite(whole, kind, settings, around.logs)


def _logged_run(number: int, ledger: ForgettingLedger) -> tuple[LoggedRun, Mapping[str, Mapping[str, Any]]]:
    """Return a run as its logs know it, and the settings of those logs by kind."""
    record = ledger.run_record(number)
    plan = ledger.plan_record(record.digest) if record else None
    run = LoggedRun(
        ledger=ledger.identity(),
        run=number,
        campaign=plan.campaign if plan else "",
        occurrence=plan.occurrence if plan else "",
        details=plan.details if plan else {},
    )
    return run, run.details.get("log") or {}


def _rows_elsewhere(
    run: LoggedRun,
    settings: Mapping[str, Any],
    stream: Stream,
    told: Sequence[Event | HeldOut],
    batches: Sequence[LogBatch],
) -> RowsElsewhere:
    """Return the statement that deletes rows by their event ids: it names nobody, and finds no other rows."""
    pushed = [each for each in told if any(batch.first <= each.number <= batch.last for batch in batches)]
    ids = ", ".join(f"'{stream.row_id(run.ledger, each.number)}'" for each in pushed)
    first, last = int(min(each.at for each in pushed)), int(max(each.at for each in pushed))
    where = f"time BETWEEN {first} AND {last} AND event_id IN ({ids})"
    table = f"{settings['database']}.{settings['table']}"
    return RowsElsewhere(table=table, statement=f"DELETE FROM {table} WHERE {where}")


def _rewrite(whole: Batch, kind: str, settings: Mapping[str, Any], tools: LogTools) -> int:
    """Write a batch's file without the person; 0 when it is not where it was written."""
    path = log_folder(tools.folder, settings) / file_name(whole, kind)
    for cut_off in path.parent.glob(f".{path.name}.*"):
        cut_off.unlink(missing_ok=True)
    if not path.exists():
        return 0
    open_log(kind, settings, tools).push(whole)
    return 1


def _remove_plans(digits: str, around: Surroundings) -> list[str]:
    """Remove the plan files that name the person, and those that nobody can read; return their names."""
    removed = []
    for path in sorted(around.plans.glob("*.plan")):
        if _names(path, digits, around):
            path.unlink(missing_ok=True)
            removed.append(path.name)
    return removed


def _names(path: Path, digits: str, around: Surroundings) -> bool:
    try:
        with extracted_tables(path, around.workspace, around.plan_key) as tables:
            return bool(find_rows(tables, digits))
    except PlanFileError:
        return True  # it would be refused, and may hold anybody


def _clear(around: Surroundings) -> None:
    """Remove what killed processes left, and the rehearsals, which are copies of real people's data."""
    delete_left_behind(around.state)
    delete_left_behind(around.workspace)
    for path in around.plans.glob(".*"):
        path.unlink(missing_ok=True)
    copies = _TREASURE_DATA if around.is_rehearsal else _REHEARSALS
    shutil.rmtree(around.state / copies, ignore_errors=True)
