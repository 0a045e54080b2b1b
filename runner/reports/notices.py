"""The notices of plans and runs: what people are told in Slack, Teams, e-mail and webhooks. Pure."""

from __future__ import annotations

from runner.applying import Report
from runner.errors import ExitCode, RunnerError
from runner.ledger.interface import Counts
from runner.notice import Notice, NoticeEvent, without_numbers
from runner.plan import Plan
from runner.reports import wording

_APPLY = "runner apply"


def started(plan: Plan, remaining: int) -> Notice:
    """Return the notice of a run that begins; `remaining` deliveries have no account yet."""
    takes = f", {wording.duration(plan.duration_seconds)} at {wording.rate(plan.rate)}" if plan.rate else ""
    return Notice(
        event=NoticeEvent.STARTED,
        campaign=plan.campaign,
        occurrence=plan.occurrence,
        balance=(f"{wording.number(remaining)} to send{takes}",),
        command=f"runner status {plan.campaign}",
    )


def ended(report: Report) -> Notice:
    """Return the notice of a run that ended: finished, or stopped with deliveries remaining."""
    plan, counts, stop = report.plan, report.counts, report.stop
    is_finished = report.exit_code in {ExitCode.DONE, ExitCode.UNSETTLED}
    detail = stop.detail if stop and not is_finished else ""
    stopped_by = f"{stop.cause.value if stop else ''} {without_numbers(detail)}"
    return Notice(
        event=NoticeEvent.FINISHED if is_finished else NoticeEvent.STOPPED,
        campaign=plan.campaign,
        occurrence=plan.occurrence,
        balance=(run_balance(plan, counts),),
        detail=detail,
        command=_after_finish(plan, counts) if is_finished else _APPLY,
        cause=plan.digest[:12] if is_finished else stopped_by,
    )


def failed(plan: Plan, counts: Counts | None, error: RunnerError) -> Notice:
    """Return the notice of an apply that ended with an error; `counts` are None when they are not known."""
    return Notice(
        event=NoticeEvent.FAILED,
        campaign=plan.campaign,
        occurrence=plan.occurrence,
        balance=(run_balance(plan, counts),) if counts else (),
        detail=f"{error.message}; {error.hint}" if error.hint else error.message,
        command=f"{_APPLY}  (once that is put right)",
        cause=without_numbers(f"{type(error).__name__} {error.message}"),
    )


def log_failed(campaign: str, occurrence: str, error: RunnerError) -> Notice:
    """Return the notice of a log that could not be written."""
    return Notice(
        event=NoticeEvent.LOG_FAILED,
        campaign=campaign,
        occurrence=occurrence,
        detail=f"the messages went out, their rows are kept: {error.message}",
        command="runner log push",
        cause=without_numbers(error.message),
    )


def run_balance(plan: Plan, counts: Counts) -> str:
    """Return where a plan's deliveries stand, as one sum."""
    known = {"accepted": counts.accepted, "refused": counts.refused, "unknown": counts.unknown}
    accounts = {**known, "remaining": plan.to_send - sum(known.values())}
    sum_of = " + ".join(f"{wording.number(count)} {name}" for name, count in accounts.items())
    return f"{wording.number(plan.to_send)} to send = {sum_of}"


def _after_finish(plan: Plan, counts: Counts) -> str:
    return f"runner resolve {plan.campaign}" if counts.unknown else f"runner status {plan.campaign}"
