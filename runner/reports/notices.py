"""The notices of plans and runs: what people are told in Slack, Teams, e-mail and webhooks. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from runner.applying import Report
from runner.errors import ExitCode, RunnerError
from runner.ledger.firings import FiringRecord
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


def planned(plan: Plan) -> Notice:
    """Return the notice of a firing that was planned."""
    return Notice(
        event=NoticeEvent.PLANNED,
        campaign=plan.campaign,
        occurrence=plan.occurrence,
        balance=(plan_balance(plan),),
        command=f"runner status {plan.campaign}",
        cause=plan.digest[:12],
    )


def waiting(record: FiringRecord, plan: Plan | None, why: str, command: str) -> Notice:
    """Return the notice of a firing that waits for an approval; `plan` is None when it had begun before."""
    return Notice(
        event=NoticeEvent.WAITING,
        campaign=record.campaign,
        occurrence=record.occurrence,
        balance=(plan_balance(plan),) if plan else (),
        detail=why,
        command=command,
        cause=(record.definition or "")[:12],
    )


def missed(records: Sequence[FiringRecord]) -> Notice:
    """Return the notice of firings, in their order, that were too late to be sent: one for all of them."""
    last = records[-1]
    others = f"{len(records)} firings since {records[0].occurrence}; the last: " if len(records) > 1 else ""
    return Notice(
        event=NoticeEvent.MISSED,
        campaign=last.campaign,
        occurrence=last.occurrence,
        detail=f"{others}{last.detail}",
        command=f"runner status {last.campaign}",
    )


def not_planned(record: FiringRecord, error: RunnerError) -> Notice:
    """Return the notice of a firing that could not be planned."""
    return Notice(
        event=NoticeEvent.FAILED,
        campaign=record.campaign,
        occurrence=record.occurrence,
        detail=f"{error.message}; {error.hint}" if error.hint else error.message,
        command="runner tick  (it tries again by itself, within the grace)",
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


def plan_balance(plan: Plan) -> str:
    """Return what became of a plan's rows, as one sum."""
    rejected = wording.number(sum(plan.rejected.values()))
    return (
        f"{wording.number(plan.rows)} rows = {wording.number(plan.to_send)} to send + "
        f"{wording.number(plan.already_sent)} already sent + {rejected} rejected"
    )


def run_balance(plan: Plan, counts: Counts) -> str:
    """Return where a plan's deliveries stand, as one sum."""
    known = {"accepted": counts.accepted, "refused": counts.refused, "unknown": counts.unknown}
    accounts = {**known, "remaining": plan.to_send - sum(known.values())}
    sum_of = " + ".join(f"{wording.number(count)} {name}" for name, count in accounts.items())
    return f"{wording.number(plan.to_send)} to send = {sum_of}"


def _after_finish(plan: Plan, counts: Counts) -> str:
    return f"runner resolve {plan.campaign}" if counts.unknown else f"runner status {plan.campaign}"
