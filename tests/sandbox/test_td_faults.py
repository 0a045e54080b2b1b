import random
import re
from pathlib import Path

import pytest

from runner.errors import UsageError
from runner.sandbox.td_faults import CALLS, MEANINGS, TdFaultKind, TdFaultPlan, parse_td_fault
from runner.sandbox.td_settings import TdSandboxSettings


def plan(*texts, seed=0):
    return TdFaultPlan([parse_td_fault(text) for text in texts], random.Random(seed))


def struck(faults, calls):
    return [str(fault) if (fault := faults.strike_call(call)) else None for call in calls]


def test_every_fault_says_what_it_means_and_is_read_by_its_name():
    assert set(MEANINGS) == set(TdFaultKind)
    for kind in TdFaultKind:
        fault = parse_td_fault(kind.value)
        assert (fault.kind, str(fault), fault.call) == (kind, kind.value, None)


@pytest.mark.parametrize("text", ["500@job_status", "500:@job_status"])
def test_a_fault_at_a_call_strikes_that_call_alone(text):
    faults = plan(text)
    assert struck(faults, ["job_show", "job_status", "import", "job_status"]) == [None, text, None, text]


def test_a_fault_at_a_call_counts_that_call_alone():
    faults = plan("500@import:#2", "503:@job_issuex1", "401:every=4")
    calls = ["import", "job_issue", "import", "job_issue", "import"]
    assert struck(faults, calls) == [None, "503:@job_issuex1", "500@import:#2", "401:every=4", None]


@pytest.mark.parametrize(
    ("text", "numbers"),
    [
        ("500:#2", [2]),
        ("500:#2-3", [2, 3]),
        ("500:#4-", [4, 5]),
        ("500:every=2", [2, 4]),
        ("500", [1, 2, 3, 4, 5]),
    ],
)
def test_a_fault_strikes_when_it_says(text, numbers):
    faults = plan(text)
    assert [n for n in range(1, 6) if faults.strike_call("import")] == numbers


def test_a_share_is_the_same_with_the_same_seed():
    one, same = plan("500:30%", seed=7), plan("500:30%", seed=7)
    strikes = [one.strike_call("import") is not None for _ in range(300)]
    assert strikes == [same.strike_call("import") is not None for _ in range(300)]
    assert 50 < sum(strikes) < 130


def test_a_fault_of_jobs_strikes_jobs_and_one_of_calls_does_not():
    faults = plan("job-error:#2:no memory left", "500")
    assert faults.strike_job() is None
    second = faults.strike_job()
    assert (second.kind, second.argument) == (TdFaultKind.JOB_ERROR, "no memory left")
    assert faults.strike_call("import").kind is TdFaultKind.SERVER_ERROR


def test_arguments_are_read():
    assert parse_td_fault("429:#1:2s").seconds == 2.0
    assert parse_td_fault("drop").seconds == 120.0
    assert parse_td_fault("job-slow::300ms").seconds == 0.3
    assert not parse_td_fault("500:#1").accepted
    assert parse_td_fault("500:#1:accepted").accepted
    assert parse_td_fault("html502::accepted").accepted
    assert parse_td_fault("truncated").accepted


@pytest.mark.parametrize(
    ("text", "says", "hint"),
    [
        ("510", "There is no fault '510'", "The faults: 400"),
        ("job-eror", "There is no fault 'job-eror'", "Did you mean job-error?"),
        ("500@job_statu", "There is no call 'job_statu'", "Did you mean job_status?"),
        ("500:@nothing_like_it", "There is no call", "The calls: audience"),
        ("job-error@import", "is of a job, not of a call", "WHEN is"),
        ("500:sometimes", "strikes at 'sometimes'", "WHEN is"),
        ("500:200%", "strikes at '200%'", "WHEN is"),
        ("500:every=0", "strikes at 'every=0'", "WHEN is"),
        ("429::soon", "has the argument 'soon'", "Write a time"),
        ("400::2s", "which it does not know", "answer 400"),
        ("truncated::accepted", "which it does not know", "breaks off"),
    ],
)
def test_what_is_no_fault_is_a_clear_error(text, says, hint):
    with pytest.raises(UsageError) as caught:
        parse_td_fault(text)
    assert says in caught.value.message
    assert hint in caught.value.hint


def test_every_call_of_the_server_can_be_named(tmp_path):
    from runner.sandbox.td_server import TdServer

    server = TdServer(TdSandboxSettings(data=tmp_path, store=tmp_path / "store"))
    server.application()
    server.close()
    assert {route.call for route in server.routes()} | {"audience"} == set(CALLS)


def test_a_job_cannot_take_less_than_no_time(tmp_path):
    with pytest.raises(UsageError, match="-1 seconds"):
        TdSandboxSettings(data=tmp_path, store=tmp_path, job_seconds=-1)


def test_the_page_has_every_call_and_every_fault():
    page = (Path(__file__).parents[2] / "docs" / "sandbox.md").read_text(encoding="utf-8")
    section = page.partition("### Its faults")[2].partition("### What was asked")[0]
    calls, _, table = section.partition("| name |")
    assert set(re.findall(r"`([a-z_]+)`", calls.partition("The calls:")[2])) == set(CALLS)
    rows = [row.partition(" | ")[0] for row in re.findall(r"^\| (`.*) \|$", table, re.MULTILINE)]
    assert {name for row in rows for name in re.findall(r"`([\w-]+)`", row)} == {
        kind.value for kind in TdFaultKind
    }
    for fault in re.findall(r"`([\w-]+(?:@|:#)[^`]+)`", section):
        parse_td_fault(fault)
