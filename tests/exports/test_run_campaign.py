from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from runner.exports import run_campaign
from runner.exports.run_campaign import CampaignError, main

APPLY = ["apply", "campaigns/vip.yml", "--auto-approve"]

#: Packages that stand in for pip and the product: they write down their arguments, and end as they are told.
STUB = """\
import json, os, sys
with open("calls.jsonl", "a") as stream:
    stream.write(json.dumps([__spec__.parent, *sys.argv[1:]]) + "\\n")
codes = os.environ["STUB_" + __spec__.parent.upper()].split(",")
calls = sum(json.loads(line)[0] == __spec__.parent for line in open("calls.jsonl"))
sys.exit(int(codes[min(calls, len(codes)) - 1]))
"""


@pytest.fixture
def workflow(tmp_path, monkeypatch):
    """An exported project, and stubs of pip and runner that the commands find before the real ones."""

    def settings(**changes):
        document = {"campaign": "campaigns/vip.yml", "scheduled": False, "unsettled": "red"}
        document |= {"commit": "commit c0ffee", **changes}
        (tmp_path / "td_workflow.json").write_text(json.dumps(document))

    for name in ("pip", "runner"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "__init__.py").write_text("")
        (tmp_path / name / "__main__.py").write_text(STUB)
        monkeypatch.setenv(f"STUB_{name.upper()}", "0")
    monkeypatch.setattr(run_campaign, "HERE", tmp_path)
    monkeypatch.setattr(run_campaign.time, "sleep", lambda seconds: None)
    settings()
    return settings


def calls(folder, name):
    lines = (folder / "calls.jsonl").read_text().splitlines()
    return [call[1:] for call in map(json.loads, lines) if call[0] == name]


def test_green_installs_what_is_pinned_and_applies(workflow, tmp_path, capsys):
    main()
    assert capsys.readouterr().err == "campaigns/vip.yml, exported from: commit c0ffee\n"
    files = ["-r", "requirements.txt", "-c", "constraints.txt"]
    assert calls(tmp_path, "pip") == [["install", "--quiet", *files]]
    assert calls(tmp_path, "runner") == [APPLY]


@pytest.mark.parametrize(
    ("code", "words"),
    [
        ("1", "an error"),
        ("2", "an error"),
        ("3", "unknown outcome"),
        ("4", "refused before anything was sent"),
        ("5", "stopped"),
        ("130", "interrupted"),
        ("137", "killed"),
    ],
)
def test_every_other_exit_code_is_red_and_says_why_in_one_line(workflow, monkeypatch, code, words):
    monkeypatch.setenv("STUB_RUNNER", code)
    with pytest.raises(CampaignError, match=words) as caught:
        main()
    assert f"ended with {code}:" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_unknown_outcomes_are_green_where_that_was_asked_for(workflow, monkeypatch, capsys):
    workflow(unsettled="green")
    monkeypatch.setenv("STUB_RUNNER", "3")
    main()
    assert "unknown outcome" in capsys.readouterr().err


@pytest.mark.parametrize("code", ["1", "4", "5", "130"])
def test_green_for_unknown_outcomes_is_for_them_only(workflow, monkeypatch, code):
    workflow(unsettled="green")
    monkeypatch.setenv("STUB_RUNNER", code)
    with pytest.raises(CampaignError):
        main()


def test_what_the_session_brings_is_given_as_parameters(workflow, tmp_path):
    main(params={"activation_actions_db": "cdp_audience_1", "least": 100, "vip": True})
    given = ["--param", "activation_actions_db=cdp_audience_1", "--param", "least=100", "--param", "vip=true"]
    assert calls(tmp_path, "runner") == [[*APPLY, *given]]


@pytest.mark.parametrize("moment", ["2026-11-30T10:00:00+08:00", "2026-11-30T02:00:00Z"])
def test_a_session_of_the_schedule_is_the_occurrence_of_its_own_moment(workflow, tmp_path, moment):
    workflow(scheduled=True)
    main(session_time=moment)
    assert calls(tmp_path, "runner") == [[*APPLY, "--occurrence", "2026-11-30T02:00Z"]]


def test_a_session_without_a_schedule_is_no_occurrence(workflow, tmp_path):
    main(session_time="2026-11-30T10:00:00+08:00")
    assert calls(tmp_path, "runner") == [APPLY]


def test_an_index_that_answers_the_third_time_is_enough(workflow, tmp_path, monkeypatch):
    monkeypatch.setenv("STUB_PIP", "1,1,0")
    main()
    assert len(calls(tmp_path, "pip")) == 3
    assert calls(tmp_path, "runner") == [APPLY]


def test_an_index_that_never_answers_is_red_and_nothing_is_applied(workflow, tmp_path, monkeypatch):
    monkeypatch.setenv("STUB_PIP", "7")
    with pytest.raises(CampaignError, match=r"pip failed three times \(exit 7\): nothing was sent"):
        main()
    assert len(calls(tmp_path, "pip")) == 3
    assert calls(tmp_path, "runner") == []


def test_an_installation_that_hangs_is_ended(workflow, tmp_path, monkeypatch):
    (tmp_path / "pip/__main__.py").write_text("import time; time.sleep(30)")
    monkeypatch.setattr(run_campaign, "_PIP_SECONDS", 0.1)
    with pytest.raises(CampaignError, match=r"pip failed three times \(exit 124\)"):
        main()


def test_the_copied_file_needs_nothing_but_python(workflow, tmp_path):
    shutil.copy(Path(run_campaign.__file__), tmp_path / "run_campaign.py")
    code = "import run_campaign; run_campaign.main()"
    environment = {**os.environ, "STUB_RUNNER": "4", "PYTHONPATH": str(tmp_path)}
    done = subprocess.run(
        [sys.executable, "-S", "-c", code], cwd=tmp_path, env=environment, capture_output=True, text=True
    )
    assert done.returncode == 1
    assert "CampaignError: campaigns/vip.yml: runner apply ended with 4" in done.stderr
