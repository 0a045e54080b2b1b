"""The notices of plans and runs: the balance, and what to type next."""

from types import SimpleNamespace

import pytest

from runner.applying import Report
from runner.errors import ExitCode, LogError, Refusal
from runner.halting import Stop, StopCause
from runner.ledger.interface import Counts
from runner.notice import NoticeEvent
from runner.reports import notices

PLAN = SimpleNamespace(
    campaign="promo", occurrence="once", to_send=1200, digest="ab" * 32, duration_seconds=239.8, rate=5.0
)


def report(code, *, unknown=0, stop=None):
    counts = Counts(accepted=1000, refused=5, unknown=unknown, refused_by_rule={})
    return Report(plan=PLAN, run=1, counts=counts, stop=stop, exit_code=code)


def test_a_start_says_how_many_and_how_long():
    notice = notices.started(PLAN, 1200)
    assert notice.balance == ("1,200 to send, 4 min at 5/s",)
    assert notice.command == "runner status promo"


def test_a_finished_run_balances_and_leads_to_what_is_unknown():
    notice = notices.ended(report(ExitCode.UNSETTLED, unknown=195))
    assert notice.event is NoticeEvent.FINISHED
    assert notice.balance == ("1,200 to send = 1,000 accepted + 5 refused + 195 unknown + 0 remaining",)
    assert notice.command == "runner resolve promo"
    assert notices.ended(report(ExitCode.DONE)).command == "runner status promo"


def test_a_stopped_run_says_why_and_stops_the_same_way_whatever_the_counts():
    def stopped(detail, cause=StopCause.GUARD):
        return notices.ended(report(ExitCode.STOPPED, stop=Stop(cause=cause, detail=detail)))

    first = stopped("max_failed 5%: 7 of 100 failed")
    assert first.event is NoticeEvent.STOPPED
    assert first.detail == "max_failed 5%: 7 of 100 failed"
    assert first.command == "runner apply"
    assert first.state == stopped("max_failed 5%: 18 of 230 failed").state
    assert first.state != stopped("max_failed 5%: 7 of 100 failed", StopCause.PROVIDER).state


def test_a_failure_says_what_is_wrong_and_what_to_do():
    notice = notices.failed(PLAN, None, Refusal("the template is paused", hint="ask ADA"))
    assert notice.body == "the template is paused; ask ADA\nnext: runner apply  (once that is put right)"


def test_a_log_that_failed_can_be_pushed_again():
    notice = notices.log_failed("promo", "once", LogError("the table is gone"))
    assert notice.event is NoticeEvent.LOG_FAILED
    assert notice.command == "runner log push"
    assert "their rows are kept" in notice.body


@pytest.mark.parametrize("rate", [None])
def test_without_a_rate_no_duration_is_claimed(rate):
    plan = SimpleNamespace(**{**vars(PLAN), "rate": rate})
    assert notices.started(plan, 3).balance == ("3 to send",)
