"""`runner apply`: send exactly what was planned, each person at most once."""

from __future__ import annotations

import asyncio
import gc
import signal
import sys
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator, Sequence
from contextlib import asynccontextmanager, closing, contextmanager, suppress
from datetime import datetime, timezone
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from runner import plan_file
from runner.campaign import Campaign
from runner.cli import output
from runner.cli.given import Given, given_options
from runner.cli.td_options import td_options
from runner.cli.telling import open_notifier, wanted_events
from runner.cli.workplace import TdFlags, Workplace, open_workplace, plan_key, user_name
from runner.errors import (
    ExitCode,
    FileProblems,
    LedgerError,
    LogError,
    RunnerError,
    TemplateError,
    UsageError,
    gravest,
)
from runner.ledger.records import Counts
from runner.notice import LOG
from runner.plan import Plan
from runner.reports.run_document import accounts, error_document, no_accounts, report_document

if TYPE_CHECKING:
    from runner.applying import Report
    from runner.checking import Today
    from runner.cli.watching import ApplyWatcher
    from runner.halting import Halt
    from runner.ledger.interface import Holder
    from runner.ledger.journal import LedgerThread
    from runner.notifying import Notifier
    from runner.plan import PlannedTemplate
    from runner.providers.interface import Provider, TemplateList
    from runner.template import Template

Loaded = TypeVar("Loaded")

#: How long one thread may keep the interpreter from another that asks for it, in seconds.
_SWITCH_SECONDS = 0.001
#: Signals that come within so many seconds of the first are one.
_ONE_SIGNAL = 0.25
#: How many objects more than are gone make the garbage collector look.
_COLLECT_AFTER = 50_000


@click.command(name="apply")
@click.argument("paths", nargs=-1, type=click.Path(path_type=Path), metavar="[PLAN | CAMPAIGN]...")
@click.option("--auto-approve", is_flag=True, help="Do not ask; for machines.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
@click.option("--sandbox", is_flag=True, help="Rehearse: send to the sandbox, apart from the real ledger.")
@click.option("--rate", metavar="N/s", help="Send at this rate instead; only to a provider on this machine.")
@given_options
@td_options
def command(
    paths: tuple[Path, ...],
    auto_approve: bool,
    as_json: bool,
    sandbox: bool,
    rate: str | None,
    given: Given,
    td: TdFlags,
) -> int:
    """Send exactly what was planned, each person at most once, and record every outcome.

    PLAN is a file that `runner plan` wrote; a CAMPAIGN file is planned first. Without either, the pending
    plans are applied. A second apply of the same plan goes on where the first one stopped.
    """
    runs: list[dict[str, object]] = []
    codes: list[ExitCode] = []
    with (
        open_workplace(sandbox=sandbox, rate=rate, td=td) as workplace,
        open_notifier(workplace) as notifier,
    ):
        for target in _targets(workplace, paths, given):
            code, run = _apply_target(workplace, target, given, notifier, auto_approve=auto_approve)
            codes.append(code)
            runs.append(run)
            if code is ExitCode.INTERRUPTED:
                break
    exit_code = gravest(codes)
    if as_json:
        output.show_json({"runs": runs, "exit_code": int(exit_code)})
    elif not codes:
        output.say("no pending plan: make one with `runner plan`")
    return exit_code


def _targets(workplace: Workplace, paths: Sequence[Path], given: Given) -> list[Path | Campaign]:
    """Return what to apply: plan files, then campaigns, each planned when its turn comes.

    Every campaign file is checked before anything is sent: FileProblems with all problems.
    """
    from runner.cli.campaigns import load_sound_campaigns

    if not paths and not given:
        return [*sorted(workplace.plans.glob("*.plan"), key=lambda path: path.stat().st_mtime)]
    plans = [path for path in paths if _is_plan(path)]
    others = [path for path in paths if path not in plans]
    campaigns = load_sound_campaigns(others, workplace.project) if others else []
    if given and not campaigns:
        raise UsageError(
            "--param and --occurrence are for campaign files", hint="a plan file has its own already"
        )
    given.check(campaigns)
    return [*plans, *campaigns]


def _is_plan(path: Path) -> bool:
    """Tell whether a path is a plan's, whether it is there or not."""
    return path.suffix == ".plan" or (path.is_file() and path.suffix not in {".yml", ".yaml"})


def _apply_target(
    workplace: Workplace, target: Path | Campaign, given: Given, notifier: Notifier, *, auto_approve: bool
) -> tuple[ExitCode, dict[str, object]]:
    """Apply one plan file or campaign; an expected failure is reported and becomes its exit code."""
    from runner.cli.plan import OverGuards, plan_and_show

    if isinstance(target, Campaign) and given.is_left_out(target):
        return ExitCode.DONE, given.left_out(target)
    try:
        path = plan_and_show(workplace, target, given) if isinstance(target, Campaign) else target
        plan = plan_file.read_plan(path, plan_key())
    except RunnerError as error:
        campaign = target.name if isinstance(target, Campaign) else None
        output.report(error, of=campaign)
        known = accounts(error.plan, Counts()) if isinstance(error, OverGuards) else no_accounts(campaign)
        return error.exit_code, {"run": None, **known, **error_document(error)}
    return apply_planned(workplace, path, plan, notifier, auto_approve=auto_approve)


def apply_planned(
    workplace: Workplace,
    path: Path,
    plan: Plan,
    notifier: Notifier,
    *,
    auto_approve: bool,
    comes_again: bool = False,
) -> tuple[ExitCode, dict[str, object]]:
    """Apply a plan and push its log; return the exit code and the run's document.

    Whoever `comes_again` by itself, once the hour is right, has nobody told that it was not.
    """
    code, document = _apply_plan(
        workplace, path, plan, notifier, auto_approve=auto_approve, comes_again=comes_again
    )
    return _with_log(workplace, plan, notifier, code, document)


def _with_log(
    workplace: Workplace, plan: Plan, notifier: Notifier, code: ExitCode, document: dict[str, object]
) -> tuple[ExitCode, dict[str, object]]:
    """Push what the run added to the campaign's logs; one that fails leaves an unsettled end, and its rows.

    An interrupted run pushes nothing: the next apply does, or `runner log push`.
    """
    from runner.cli.log import push_applied
    from runner.reports.notices import log_failed

    if not plan.document.get("log") or document["run"] is None or code is ExitCode.INTERRUPTED:
        return code, document
    try:
        pushed = push_applied(workplace, plan)
    except RunnerError as error:
        wanted = wanted_events(plan.document.get("notify"), workplace)
        notifier.tell(log_failed(plan.campaign, plan.occurrence, error), wanted)
        message = f"the messages went out, but the log failed: {error.message}"
        output.report(LogError(message, hint=error.hint or "the rows are kept: run `runner log push`"))
        code = ExitCode.UNSETTLED if code is ExitCode.DONE else code
        failed = {"message": error.message, "hint": error.hint}
        return code, {**document, "log": {"error": failed}, "exit_code": int(code)}
    notifier.over(plan.campaign, plan.occurrence, LOG)
    return code, {**document, "log": pushed}


def _apply_plan(
    workplace: Workplace,
    path: Path,
    plan: Plan,
    notifier: Notifier,
    *,
    auto_approve: bool,
    comes_again: bool,
) -> tuple[ExitCode, dict[str, object]]:
    from runner.cli.watching import ApplyWatcher

    wanted = wanted_events(plan.document.get("notify"), workplace)
    tell = partial(notifier.tell, on=wanted)
    watching = ApplyWatcher(plan, workplace, tell, auto_approve=auto_approve, comes_again=comes_again)
    with watching as watcher:
        try:
            with _tuned_interpreter():
                report = _run(_apply(workplace, path, plan, watcher))
        except RunnerError as error:
            failure, code = error, error.exit_code
        except asyncio.CancelledError:
            failure, code = RunnerError("ended at once: what was in flight is unknown"), ExitCode.INTERRUPTED
        else:
            watcher.ended(report)
            return report.exit_code, {**report_document(report), "audit_head": watcher.audit_head}
        output.report(failure)
        counts = _counts_so_far(workplace, plan)
        watcher.failed(failure, code, counts)
        return code, {
            "run": None,
            **accounts(plan, counts),
            **error_document(failure),
            "exit_code": int(code),
        }


def _run(coroutine: Coroutine[Any, Any, Report]) -> Report:
    """Run on uvloop where there is one: it carries an eighth more messages than asyncio's own loop."""
    try:
        import uvloop
    except ImportError:  # Windows has none
        return asyncio.run(coroutine)
    return uvloop.run(coroutine)


@contextmanager
def _tuned_interpreter() -> Iterator[None]:
    """Tune the interpreter to a run, for as long as it lasts.

    A run makes many short-lived objects and no cycles: for the garbage collector to look at all that the
    libraries loaded after each few hundred takes a tenth of the speed. And the ledger's thread asks for the
    interpreter several times a commit: to wait 5 ms for it each time would make a commit long.
    """
    before, switching = gc.get_threshold(), sys.getswitchinterval()
    sys.setswitchinterval(_SWITCH_SECONDS)
    gc.collect()
    gc.freeze()
    gc.set_threshold(_COLLECT_AFTER, 20, 100)
    try:
        yield
    finally:
        # What stays frozen at the end of the process, DuckDB's binding reports as leaks on stderr.
        gc.set_threshold(*before)
        sys.setswitchinterval(switching)
        gc.unfreeze()


async def _apply(workplace: Workplace, path: Path, plan: Plan, watcher: ApplyWatcher) -> Report:
    from runner.applying import Apply, apply_plan
    from runner.cli.gates import kept_open, open_forgotten_gate, send_gate
    from runner.cli.limits import hours_of, limits_of
    from runner.halting import Halt
    from runner.ledger.journal import ledger_thread
    from runner.opting_out import opt_outs_followed
    from runner.recipients import check_recipients

    provider = workplace.provider(plan.provider)
    campaign, halt = _or_error(lambda: _campaign_now(workplace, plan)), Halt()
    extracted = plan_file.extracted_tables(path, workplace.workspace, plan_key(), of=plan)
    with extracted as tables, _stopped_by_signals(halt):
        check_recipients(tables, plan)
        async with (
            ledger_thread(workplace.project.ledger, workplace.project.root) as ledger,
            opt_outs_followed(ledger, workplace.clock) as opted_out,
            provider,
        ):
            forgotten = await ledger.call(open_forgotten_gate)
            count = partial(forgotten.count_in, tables)
            apply = Apply(
                plan=plan,
                tables=tables,
                ledger=ledger,
                carrier=provider,
                clock=workplace.clock,
                holder=_holder(),
                halt=halt,
                limits=limits_of(workplace, plan, campaign),
                hours=hours_of(workplace, campaign),
                watcher=watcher,
                today=partial(_today, workplace, plan, campaign, provider, count),
                gate=send_gate(workplace, campaign, forgotten, opted_out),
                caps=campaign.guards.caps if isinstance(campaign, Campaign) else (),
                rate=workplace.sending_rate(plan.provider),
                rehearsal=workplace.rehearsal,
            )
            async with _head_noted(ledger, watcher), kept_open(forgotten, ledger, halt):
                return await apply_plan(apply)


@asynccontextmanager
async def _head_noted(ledger: LedgerThread, watcher: ApplyWatcher) -> AsyncIterator[None]:
    """Note the audit log's last entry once the block has ended, however it ended."""
    try:
        yield
    finally:
        with suppress(LedgerError):
            watcher.note_head(await ledger.call(lambda led: led.audit_head()))


async def _today(
    workplace: Workplace,
    plan: Plan,
    campaign: Campaign | RunnerError,
    provider: Provider,
    forgotten: Callable[[], int],
    moved: int,
) -> Today:
    """Load the world of now; what cannot be loaded is part of the comparison."""
    from runner.checking import Today

    return Today(
        now=datetime.now(timezone.utc),
        campaign=campaign,
        templates=_templates_now(provider, plan),
        provider=workplace.provider_settings(plan.provider),
        provider_is_local=workplace.is_local(plan.provider),
        moved=moved,
        forgotten=forgotten(),
    )


def _campaign_now(workplace: Workplace, plan: Plan) -> Campaign:
    from runner.campaign_file import load_campaign

    path = workplace.project.root / plan.campaign_path
    if not path.exists():
        raise UsageError(f"{plan.campaign_path} is not there any more", hint="put the file back")
    return load_campaign(path, workplace.project)


def _templates_now(provider: Provider, plan: Plan) -> dict[str | None, Template | RunnerError]:
    """Return each of the plan's templates as the provider lists it now, or why it cannot be found."""
    from runner.template_check import find_template

    listing = _or_error(provider.templates)
    if isinstance(listing, RunnerError):
        return dict.fromkeys(plan.templates, listing)

    def found(planned: PlannedTemplate, listing: TemplateList = listing) -> Template:
        listing.require(planned.name, planned.language)
        return find_template(listing.templates, planned.name, planned.language)

    return {variant: _or_error(partial(found, planned)) for variant, planned in plan.templates.items()}


def _or_error(load: Callable[[], Loaded]) -> Loaded | RunnerError:
    """Return what `load` returns, or why it could not; a provider that cannot be asked is no comparison."""
    try:
        return load()
    except (FileProblems, TemplateError, UsageError) as error:
        return error


def _holder() -> Holder:
    from runner.ledger.liveness import this_process

    return this_process(user_name())


@contextmanager
def _stopped_by_signals(halt: Halt) -> Iterator[None]:
    """Ctrl-C and SIGTERM finish what is in flight; a second one ends at once, leaving unknowns.

    Some senders, such as `timeout`, signal a process and then its group: what comes so quickly is one.
    """
    from runner.halting import StopCause

    loop = asyncio.get_running_loop()
    task = asyncio.current_task()
    first_at: list[float] = []

    def stop(name: str) -> None:
        first_at.append(loop.time())
        if len(first_at) > 1 and loop.time() - first_at[0] < _ONE_SIGNAL:
            return
        if halt.is_pulled and task is not None:
            task.cancel()
        halt.pull(StopCause.INTERRUPTED, f"{name} received")
        output.say(f"{name}: finishing what is in flight; once more ends at once and leaves unknowns")

    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop, number.name)
    try:
        yield
    finally:
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.remove_signal_handler(number)


def _counts_so_far(workplace: Workplace, plan: Plan) -> Counts | None:
    """Return where the plan stands in the ledger, None when it cannot be read."""
    from runner.ledger import open_ledger

    try:
        ledger = open_ledger(workplace.project.ledger, root=workplace.project.root, read_only=True)
        with closing(ledger):
            return ledger.counts(plan.digest)
    except LedgerError:
        return None
