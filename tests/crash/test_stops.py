"""Real stops of a real `runner apply`, from another process; the sandbox in a third one is the judge."""

import json
import subprocess
import sys
import time
from collections import Counter
from datetime import datetime, timezone

import pytest

from tests.conftest import CAMPAIGN, people
from tests.crash.test_kills import IN_FLIGHT, PEOPLE, ledger_url, sending, start_apply, states, wait_for_first

pytestmark = pytest.mark.usefixtures("unmeasured")

#: Fixtures of the kills, used here too.
__all__ = ["ledger_url", "sending", "states"]


def runner(root, *arguments):
    """Call `runner` in a process of its own, and return what it printed."""
    command = [sys.executable, "-m", "runner", *arguments]
    result = subprocess.run(command, cwd=root, capture_output=True, text=True, timeout=60)
    assert result.returncode == 0, result.stderr
    return result.stdout


@pytest.mark.parametrize("names", [("promo",), ()], ids=["one campaign", "all"])
def test_once_a_stop_has_returned_at_most_one_request_for_each_connection_arrives(sending, states, names):
    root, sandbox = sending
    process = start_apply(root)
    wait_for_first(sandbox, process, above=20)
    stop = json.loads(runner(root, "stop", *names, "--note", "a wrong voucher", "--json"))
    stopped_at = time.time()
    out, err = process.communicate(timeout=30)
    entry = json.loads(out)["runs"][0]
    assert stop["applied_by"][0]["campaign"] == "promo"
    assert process.returncode == 5, err
    assert entry["stop"]["cause"] == "stopped"
    assert "(a wrong voucher); `runner resume" in err
    late = [message for message in sandbox.messages() if arrived_at(message) > stopped_at]
    assert len(late) <= IN_FLIGHT
    assert 0 < entry["accepted"] == len(sandbox.accepted()) < PEOPLE
    assert Counter(states().values()) == {"accepted": entry["accepted"]}
    refused = start_apply(root)
    assert "stop: " in refused.communicate(timeout=60)[1]
    assert refused.returncode == 4
    runner(root, "resume", *names)
    final = json.loads(start_apply(root).communicate(timeout=60)[0])["runs"][0]
    assert (final["accepted"], final["remaining"], final["exit_code"]) == (PEOPLE, 0, 0)
    assert Counter(Counter(sandbox.accepted()).values()) == {1: PEOPLE}


def arrived_at(message):
    return datetime.fromisoformat(message["at"].replace("Z", "+00:00")).timestamp()


def wait_for_canary(process):
    """Wait until the process says that its canary waits."""
    for line in process.stderr:
        if "canary: 5 were sent" in line:
            return
    pytest.fail("it never waited for its canary")


def test_a_canary_survives_a_kill_and_goes_on_when_receipts_say_that_it_may(project, sending, run):
    root, sandbox = sending
    project.people(people(20))
    project.campaign(CAMPAIGN + "guards: {canary: {size: 5, wait: 12h, max_failed: 1}}\n")
    assert run("plan", "promo.yml").code == 0
    for _ in range(2):
        process = start_apply(root)
        wait_for_canary(process)
        process.kill()
        process.communicate()
        assert len(sandbox.accepted()) == 5
    at = datetime.now(timezone.utc).isoformat(timespec="seconds")
    told = [f"{phone},delivered,{at}" for phone in sandbox.accepted()]
    project.write("report.csv", "\n".join(["phone,status,time", *told, ""]))
    runner(root, "receipts", "import", "report.csv", "--auto-approve")
    final = json.loads(start_apply(root).communicate(timeout=60)[0])["runs"][0]
    assert (final["accepted"], final["remaining"], final["exit_code"]) == (20, 0, 0)
    assert Counter(Counter(sandbox.accepted()).values()) == {1: 20}
