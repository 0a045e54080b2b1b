"""What a person and the run log see of an apply: comparisons, the question, progress, the final accounts."""

from __future__ import annotations

import signal
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from datetime import datetime, timezone
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from runner.cli import output
from runner.control_group import HOLDOUT
from runner.errors import ExitCode, Refusal, RunnerError
from runner.halting import StopCause
from runner.logs.run_log import RunLog, open_run_log
from runner.masking import harmless, mask_phone
from runner.reports import notices, wording

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

    from runner.applying import Report
    from runner.audit_chain import Head
    from runner.checking import Comparison
    from runner.cli.workplace import Workplace
    from runner.halting import Pause
    from runner.ledger.interface import Counts
    from runner.notice import Notice
    from runner.plan import Plan
    from runner.sending import Event
    from runner.tally import Tally

#: What comes after a stop, by its cause: a guard would stop the same plan again.
_GOES_ON = "the next `runner apply` goes on"
_NEXT = {StopCause.GUARD: "look at what happened: the next `runner apply` says what it takes to go on"}

#: Without a terminal, one line of progress every so many seconds.
_LINE_EVERY = 5.0


class ApplyWatcher:
    """Follows one apply. Everything it says goes to stderr; the run log has one JSON line per event.

    `tell` tells people elsewhere of changes of state: but not that the hour was not right, where whoever
    applies `comes_again` by itself once it is.
    """

    def __init__(
        self,
        plan: Plan,
        workplace: Workplace,
        tell: Callable[[Notice], None],
        *,
        auto_approve: bool,
        comes_again: bool = False,
    ) -> None:
        self._plan = plan
        self._tell = tell
        self._workplace = workplace
        self._auto_approve = auto_approve
        self._comes_again = comes_again
        self._stack = ExitStack()
        self._log: RunLog | None = None
        self._progress: Progress | None = None
        self._task: TaskID | None = None
        self._began_at = 0.0
        self._said_at = 0.0
        self._sent = 0
        self.audit_head: str | None = None

    def __enter__(self) -> ApplyWatcher:
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def compared(self, comparisons: Sequence[Comparison]) -> None:
        """Print every comparison, holding or not."""
        for comparison in comparisons:
            mark = "ok  " if comparison.holds else "NOT "
            remedy = "" if comparison.holds else f"; {comparison.remedy}"
            output.say(f"  {mark} {comparison.what}: {comparison.found}{remedy}")

    def confirmed(self, tally: Tally) -> bool:
        """Ask a person at the terminal; without one, only --auto-approve is a yes."""
        question = self._question(tally)
        if self._auto_approve or self._workplace.rehearsal:
            output.say(question)
            return True
        if not sys.stdin.isatty():
            output.say(f"{question} Nobody is here to confirm: use --auto-approve for machines.")
            return False
        with _interruptible():
            answer = click.prompt(f"{question} Type yes to send", default="no", show_default=False, err=True)
        return str(answer).strip().lower() == "yes"

    def began(self, run: int, tally: Tally) -> None:
        """Open the run log and the progress."""
        self._log = self._stack.enter_context(open_run_log(self._log_path(run)))
        self._began_at = self._said_at = time.monotonic()
        self._write("run_began", run=run, digest=self._plan.digest, remaining=tally.remaining)
        self._tell(notices.started(self._plan, tally.remaining))
        if sys.stderr.isatty():
            self._progress, self._task = self._bar(tally)

    def happened(self, event: Event, tally: Tally) -> None:
        """Log one send, and show where the run stands."""
        answer = event.answer
        self._sent += 1
        if self._log is not None:
            self._log.write(
                event.at,
                "message_settled",
                phone=mask_phone(event.delivery.key.phone),
                outcome=answer.outcome.value,
                rule=answer.rule,
                attempt=event.attempt,
                message_id=answer.message_id,
                http_status=answer.http_status,
                code=answer.code,
                detail=answer.detail,
            )
        self._advance(tally)

    def paused(self, pause: Pause) -> None:
        """Say, and log, that nothing is sent for a while, and until when."""
        until = datetime.fromtimestamp(pause.until, timezone.utc)
        self._write(
            "run_paused",
            cause=pause.cause.value,
            until=until.isoformat(timespec="milliseconds"),
            detail=pause.detail,
        )
        line = f"{self._plan.campaign}: {pause.detail}; until {until:%Y-%m-%d %H:%M:%S} UTC at the latest"
        if self._progress is not None:
            self._progress.console.print(harmless(line), markup=False, highlight=False)
            return
        output.say(line)

    def note_head(self, head: Head) -> None:
        """Take down where the audit log ended, to be held against it later."""
        self.audit_head = str(head)

    def ended(self, report: Report) -> None:
        """Print the final accounts and, where something is left, what to do next."""
        counts = report.counts
        stop = {"cause": report.stop.cause.value, "detail": report.stop.detail} if report.stop else None
        self._write(
            "run_ended",
            accepted=counts.accepted,
            refused=counts.refused,
            unknown=counts.unknown,
            remaining=report.remaining,
            stop=stop,
            exit_code=int(report.exit_code),
            audit_head=self.audit_head,
        )
        self._stack.close()
        if report.run is None:
            output.say(f"{self._plan.campaign}: nothing left to do")
        elif not (self._comes_again and report.stop and report.stop.until is not None):
            self._tell(notices.ended(report))
        for line in _accounts(report):
            output.say(line)
        if report.interrupted:
            output.say(
                f"  a run was killed before: of {report.interrupted} under way nobody knows the outcome; "
                f"see `runner resolve {report.plan.campaign}`"
            )
        if report.run is not None:
            output.say(f"  each message's outcome: {output.shown(self._log_path(report.run))}")
            output.say(f"  audit head: {self.audit_head}")

    def failed(self, error: RunnerError, exit_code: ExitCode, counts: Counts | None) -> None:
        """Note in the run log, if the run began, that it ended with `error`; tell people.

        Whoever sits at the terminal has been told why it did not begin.
        """
        is_early = isinstance(error, Refusal) and error.holds_until is not None
        is_quiet = (is_early and self._comes_again) or not (self._log is not None or self._auto_approve)
        if not is_quiet:
            self._tell(notices.failed(self._plan, counts, error))
        self._write("run_failed", error=error.message, exit_code=int(exit_code), audit_head=self.audit_head)
        if self._log is not None:
            output.say(f"  audit head: {self.audit_head}")

    def _log_path(self, run: int) -> Path:
        name = f"{self._plan.campaign}.{self._plan.occurrence}.{run}.jsonl"
        return self._workplace.run_logs / name

    def _question(self, tally: Tally) -> str:
        plan = self._plan
        where = (
            "to the sandbox" if self._workplace.rehearsal else f"from {plan.sender} through {plan.provider}"
        )
        before = f" ({wording.number(tally.known)} have their account already)" if tally.known else ""
        held_out = plan.rejected.get(HOLDOUT, 0)
        group = f" {wording.number(held_out)} people are held out as the control group." if held_out else ""
        return f"{plan.campaign}: send {wording.number(tally.remaining)} messages {where}{before}.{group}"

    def _write(self, action: str, **keys: Any) -> None:  # noqa: ANN401 - JSON values
        if self._log is not None:
            self._log.write(time.time(), action, **keys)

    def _advance(self, tally: Tally) -> None:
        if self._progress is not None and self._task is not None:
            self._progress.update(self._task, completed=tally.known, counts=_counts(tally))
            return
        now = time.monotonic()
        if now - self._said_at >= _LINE_EVERY:
            self._said_at = now
            rate = self._sent / (now - self._began_at)
            left = wording.duration(tally.remaining / rate) if rate else "?"
            output.say(f"{tally.known}/{tally.to_send} {_counts(tally)}, {rate:.1f}/s, {left} left")

    def _bar(self, tally: Tally) -> tuple[Progress, TaskID]:
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

        from runner.cli.speed_column import SpeedColumn

        columns = (
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[counts]}"),
            SpeedColumn(),
            TimeRemainingColumn(),
        )
        progress = self._stack.enter_context(Progress(*columns, console=Console(stderr=True)))
        task = progress.add_task(
            self._plan.campaign, total=tally.to_send, completed=tally.known, counts=_counts(tally)
        )
        return progress, task


@contextmanager
def _interruptible() -> Iterator[None]:
    """Let Ctrl-C end a question at once: the event loop's own handler would wait for the answer."""
    wakeup = signal.set_wakeup_fd(-1)
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
        signal.set_wakeup_fd(wakeup, warn_on_full_buffer=False)


def _counts(tally: Tally) -> str:
    return f"{tally.accepted} accepted, {tally.refused} refused, {tally.unknown} unknown"


def _accounts(report: Report) -> list[str]:
    counts, plan = report.counts, report.plan
    lines = [f"{plan.campaign}: {notices.run_balance(plan, counts)}"]
    if counts.held_out:
        lines.append(f"  held out as the control group: {wording.number(counts.held_out)}")
    lines += [f"  refused by {rule}: {count}" for rule, count in sorted(counts.refused_by_rule.items())]
    if report.stop is not None and report.remaining:
        lines.append(f"  stopped: {report.stop.detail}; {_NEXT.get(report.stop.cause, _GOES_ON)}")
    if counts.unknown:
        lines.append("  unknown deliveries are never sent again by themselves: see `runner resolve`")
    return lines
