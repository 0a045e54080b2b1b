"""`runner apply`: send exactly what was planned, each person at most once."""

from __future__ import annotations

import asyncio
import getpass
import signal
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime, timezone
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import click

from runner import plan_file
from runner.cli import output
from runner.cli.workplace import Workplace, open_workplace
from runner.errors import ExitCode, FileProblems, RunnerError, TemplateError, UsageError
from runner.plan import Plan

if TYPE_CHECKING:
    from runner.applying import Report
    from runner.campaign import Campaign
    from runner.checking import Today
    from runner.cli.watching import ApplyWatcher
    from runner.delivery import Delivery
    from runner.ledger.interface import Holder
    from runner.providers.interface import Provider
    from runner.sending import Halt, Limits
    from runner.template import Template

Loaded = TypeVar("Loaded")

#: When several plans are applied, the exit code is the first of these that any of them ended with.
_GRAVEST_FIRST = (
    ExitCode.INTERRUPTED,
    ExitCode.ERROR,
    ExitCode.STOPPED,
    ExitCode.REFUSED,
    ExitCode.UNSETTLED,
    ExitCode.DONE,
)


class SystemClock:
    """The machine's clock."""

    def now(self) -> float:
        """Return the time in epoch seconds."""
        return time.time()

    async def sleep(self, seconds: float) -> None:
        """Wait."""
        await asyncio.sleep(seconds)


@click.command(name="apply")
@click.argument("paths", nargs=-1, type=click.Path(path_type=Path), metavar="[PLAN | CAMPAIGN]...")
@click.option("--auto-approve", is_flag=True, help="Do not ask; for machines.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
@click.option("--sandbox", is_flag=True, help="Rehearse: send to the sandbox, apart from the real ledger.")
@click.option("--rate", metavar="N/s", help="Send at this rate instead; only to a provider on this machine.")
def command(
    paths: tuple[Path, ...], auto_approve: bool, as_json: bool, sandbox: bool, rate: str | None
) -> int:
    """Send exactly what was planned, each person at most once, and record every outcome.

    PLAN is a file that `runner plan` wrote; a CAMPAIGN file is planned first. Without either, the pending
    plans are applied. A second apply of the same plan goes on where the first one stopped.
    """
    runs: list[dict[str, object]] = []
    codes: list[ExitCode] = []
    with open_workplace(sandbox=sandbox, rate=rate) as workplace:
        for path in _plan_files(workplace, paths):
            code, run = _apply_file(workplace, path, auto_approve=auto_approve)
            codes.append(code)
            runs += [run] if run else []
            if code is ExitCode.INTERRUPTED:
                break
    exit_code = next((code for code in _GRAVEST_FIRST if code in codes), ExitCode.DONE)
    if as_json:
        output.show_json({"runs": runs, "exit_code": int(exit_code)})
    elif not codes:
        output.say("no pending plan: make one with `runner plan`")
    return exit_code


def _plan_files(workplace: Workplace, paths: Sequence[Path]) -> Iterator[Path]:
    """Yield the plan files to apply; a campaign file is planned when its turn comes."""
    from runner.cli.campaigns import load_sound_campaigns
    from runner.cli.plan import plan_and_show

    if not paths:
        yield from sorted(workplace.plans.glob("*.plan"), key=lambda path: path.stat().st_mtime)
        return
    for path in paths:
        if path.is_file() and path.suffix not in {".yml", ".yaml"}:
            yield path
            continue
        for campaign in load_sound_campaigns([path], workplace.project):
            yield plan_and_show(workplace, campaign)


def _apply_file(
    workplace: Workplace, path: Path, *, auto_approve: bool
) -> tuple[ExitCode, dict[str, object]]:
    """Apply one plan file; an expected failure is reported and becomes its exit code."""
    from runner.cli.watching import ApplyWatcher

    plan = plan_file.read_plan(path)
    with ApplyWatcher(plan, workplace, auto_approve=auto_approve) as watcher:
        try:
            report = asyncio.run(_apply(workplace, path, plan, watcher))
        except RunnerError as error:
            output.report(error)
            return error.exit_code, watcher.document_of(error)
        watcher.ended(report)
        return report.exit_code, _document(report)


async def _apply(workplace: Workplace, path: Path, plan: Plan, watcher: ApplyWatcher) -> Report:
    from runner.applying import Apply, apply_plan
    from runner.ledger.journal import ledger_thread
    from runner.sending import Halt

    provider = workplace.provider(plan.provider)
    halt = Halt()
    with plan_file.extracted_tables(path, workplace.workspace) as tables, _stopped_by_signals(halt):
        async with ledger_thread(workplace.project.ledger, workplace.project.root) as ledger, provider:
            return await apply_plan(
                Apply(
                    plan=plan,
                    tables=tables,
                    ledger=ledger,
                    carrier=provider,
                    clock=SystemClock(),
                    holder=_holder(),
                    halt=halt,
                    limits=_limits(workplace, plan),
                    watcher=watcher,
                    today=lambda moved: _today(workplace, plan, provider, moved),
                    gate=_suppression_gate(workplace, plan),
                    rate=workplace.sending_rate(plan.provider),
                    rehearsal=workplace.rehearsal,
                )
            )


async def _today(workplace: Workplace, plan: Plan, provider: Provider, moved: int) -> Today:
    """Load the world of now; what cannot be loaded is part of the comparison."""
    from runner.checking import Today

    return Today(
        now=datetime.now(timezone.utc),
        campaign=_or_error(lambda: _campaign_now(workplace, plan)),
        template=_or_error(lambda: _template_now(provider, plan)),
        provider=workplace.provider_settings(plan.provider),
        provider_is_local=workplace.is_local(plan.provider),
        moved=moved,
    )


def _campaign_now(workplace: Workplace, plan: Plan) -> Campaign:
    from runner.campaign_file import load_campaign

    return load_campaign(workplace.project.root / plan.campaign_path, workplace.project)


def _template_now(provider: Provider, plan: Plan) -> Template:
    from runner.template_check import find_template

    listing = provider.templates()
    listing.require(plan.template.name, plan.template.language)
    return find_template(listing.templates, plan.template.name, plan.template.language)


def _or_error(load: Callable[[], Loaded]) -> Loaded | RunnerError:
    """Return what `load` returns, or why it could not; a provider that cannot be asked is no comparison."""
    try:
        return load()
    except (FileProblems, TemplateError, UsageError) as error:
        return error


def _limits(workplace: Workplace, plan: Plan) -> Limits:
    from runner.campaign_file import load_campaign
    from runner.schedule import closes_at
    from runner.sending import Limits

    settings = workplace.provider_settings(plan.provider)
    campaign = load_campaign(workplace.project.root / plan.campaign_path, workplace.project)
    closing = closes_at(campaign.schedule.window, plan.zone or "UTC", datetime.now(timezone.utc))
    return Limits(
        max_in_flight=settings.max_in_flight,
        max_failed=campaign.guards.max_failed,
        closes_at=closing.timestamp() if closing and not workplace.rehearsal else None,
    )


def _suppression_gate(workplace: Workplace, plan: Plan) -> Callable[[Delivery], str | None]:
    """Return the gate at send time: whoever has got on a never-message list since the plan is not sent to."""
    from runner.screening import read_suppression

    region = plan.document.get("recipient", {}).get("region")
    suppressed = read_suppression(workplace.project.suppression, region=region)
    return lambda delivery: "suppressed" if delivery.key.phone in suppressed else None


def _holder() -> Holder:
    from runner.ledger.liveness import this_process

    return this_process(getpass.getuser())


@contextmanager
def _stopped_by_signals(halt: Halt) -> Iterator[None]:
    """Ctrl-C and SIGTERM finish what is in flight; a second Ctrl-C ends at once, leaving unknowns."""
    from runner.sending import StopCause

    loop = asyncio.get_running_loop()
    task = asyncio.current_task()

    def stop(name: str) -> None:
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


def _document(report: Report) -> dict[str, object]:
    counts = report.counts
    return {
        "run": report.run,
        "campaign": report.plan.campaign,
        "occurrence": report.plan.occurrence,
        "digest": report.plan.digest,
        "to_send": report.plan.to_send,
        "accepted": counts.accepted,
        "refused": counts.refused,
        "unknown": counts.unknown,
        "remaining": report.remaining,
        "refused_by_rule": dict(counts.refused_by_rule),
        "stop": {"cause": report.stop.cause.value, "detail": report.stop.detail} if report.stop else None,
        "exit_code": int(report.exit_code),
    }
