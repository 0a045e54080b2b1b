"""`runner sandbox`: the provider's API on this machine, as a command."""

import json
import signal
import subprocess
import sys
import urllib.request

import pytest

from tests.conftest import KEY, sandbox_process

TD_KEY = f"1/{0:040d}"


def get(url, **headers):
    with urllib.request.urlopen(urllib.request.Request(url, headers=headers), timeout=30) as answer:
        return json.load(answer)


def test_when_ready_it_says_one_json_line_with_its_urls(project, start_sandbox):
    command = [sys.executable, "-m", "runner", "sandbox", "--json"]
    process = subprocess.Popen(command, cwd=project.root, stdout=subprocess.PIPE, text=True)
    ready = json.loads(process.stdout.readline())
    assert ready["format"] == 1
    assert set(ready) == {"format", "url", "page", "messages", "stats", "td_url"}
    assert get(ready["stats"])["total"] == 0
    assert get(ready["messages"])["messages"] == []
    process.send_signal(signal.SIGINT)
    rest, _ = process.communicate(timeout=20)
    assert (process.returncode, rest) == (0, "")


def test_it_serves_the_projects_senders_and_templates(project):
    with sandbox_process(project.root) as sandbox:
        headers = {"Authorization": f"Bearer {KEY}"}
        (account,) = get(f"{sandbox.url}/account", **headers)["data"]
        assert account["accountNo"].endswith("60110000001")
        listing = get(f"{sandbox.url}/account/{account['id']}/template", **headers)["data"]
        assert {"promo", "paused_promo"} <= {template["name"] for template in listing}


def test_outside_a_project_it_serves_its_own_templates(tmp_path):
    with sandbox_process(tmp_path, "--sender", "6591234567") as sandbox:
        (account,) = get(f"{sandbox.url}/account", Authorization=f"Bearer {KEY}")["data"]
        assert account["accountNo"].endswith("6591234567")


def test_for_people_it_says_how_to_point_a_project_at_it(project):
    command = [sys.executable, "-m", "runner", "sandbox"]
    process = subprocess.Popen(command, cwd=project.root, stdout=subprocess.PIPE, text=True)
    lines = [process.stdout.readline() for _ in range(6)]
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=20)
    assert lines[0].startswith("ADA sandbox at http://127.0.0.1:")
    assert "export ADA_API_URL=http://127.0.0.1:" in lines[1]
    assert "/sandbox" in lines[2]
    assert lines[3].startswith("Treasure Data sandbox at http://127.0.0.1:")
    for variable in ("TD_API_SERVER=http", "TD_PRESTO_API=http", "TD_CDP_API=http", "TD_API_KEY=1/0"):
        assert variable in lines[4]
    assert "/sandbox/jobs.json" in lines[5]


def test_it_can_be_told_its_latency_faults_and_record(project, run, monkeypatch):
    options = "--latency 20ms+-5ms --fault 429:#1:0s --fault 400:#3 --record record.jsonl --limit none"
    with sandbox_process(project.root, *options.split(), "--over-limit", "400") as sandbox:
        monkeypatch.setenv("ADA_API_URL", sandbox.url)
        assert run("apply", "promo.yml", "--auto-approve").code == 3
        assert sandbox.stats()["total"] == 3
    lines = [json.loads(line) for line in (project.root / "record.jsonl").read_text().splitlines()]
    assert len(lines) == 3


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (["--fault", "430"], "There is no fault '430'"),
        (["--fault", "429:sometimes"], "strikes at 'sometimes'"),
        (["--latency", "soon"], "The latency 'soon' is not a time"),
        (["--limit", "many"], "the limit 'many' is not a number"),
        (["--limit", "0"], "limit is 0 messages a second"),
        (["--port", "70000"], "70000"),
        (["--td-port", "70000"], "70000"),
        (["--td-fault", "510"], "There is no fault '510'"),
        (["--td-job-seconds", "-1"], "-1 seconds"),
        (["--answer", "maybe"], "'maybe' is not one of"),
        (["--templates", "nothing.json"], "nothing.json"),
    ],
)
def test_an_option_that_makes_no_sense_is_a_clear_error(project, run, options, says):
    result = run("sandbox", *options)
    assert result.code == 1
    assert says in result.err
    assert "Traceback" not in result.err


def test_a_port_that_is_taken_is_a_clear_error(project, run):
    with sandbox_process(project.root) as sandbox:
        result = run("sandbox", "--port", sandbox.url.rpartition(":")[2])
    assert result.code == 1
    assert "Traceback" not in result.err


def start(cwd, *options):
    command = [sys.executable, "-m", "runner", "sandbox", "--json", *options]
    return subprocess.Popen(command, cwd=cwd, stdout=subprocess.PIPE, text=True)


def test_treasure_datas_sandbox_has_the_projects_data_and_keeps_what_is_written(project):
    (project.root / "data" / "crm").mkdir()
    (project.root / "data" / "crm" / "customers.csv").write_text("id,phone\n1,0091\n")
    process = start(project.root, "--td-fault", "503@table_show:#1", "--td-job-seconds", "0")
    td = json.loads(process.stdout.readline())["td_url"]
    key = {"Authorization": f"TD1 {TD_KEY}"}
    tables = get(f"{td}/v3/table/list/crm", **key)["tables"]
    assert [(table["name"], table["count"]) for table in tables] == [("customers", 1)]
    assert get(f"{td}/sandbox/faults")["faults"] == ["503@table_show:#1"]
    made = urllib.request.Request(f"{td}/v3/table/create/crm/log", data=b"", headers=key)
    urllib.request.urlopen(made, timeout=30).close()
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=20)
    assert (project.root / ".runner" / "sandbox" / "treasure_data" / "crm" / "log").is_dir()


def test_outside_a_project_treasure_datas_sandbox_keeps_nothing(tmp_path):
    process = start(tmp_path)
    td = json.loads(process.stdout.readline())["td_url"]
    key = {"Authorization": f"TD1 {TD_KEY}"}
    urllib.request.urlopen(
        urllib.request.Request(f"{td}/v3/database/create/lab", data=b"", headers=key), timeout=30
    ).close()
    assert [database["name"] for database in get(f"{td}/v3/database/list", **key)["databases"]] == ["lab"]
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=20)
    assert list(tmp_path.iterdir()) == []


def test_adas_sandbox_can_run_alone(project):
    process = start(project.root, "--no-td")
    ready = json.loads(process.stdout.readline())
    assert ready["td_url"] is None
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=20)


def test_a_port_of_treasure_data_that_is_taken_is_a_clear_error(project, run):
    with sandbox_process(project.root) as sandbox:
        result = run("sandbox", "--td-port", sandbox.url.rpartition(":")[2])
    assert result.code == 1
    assert "Treasure Data sandbox cannot listen" in result.err
    assert "Traceback" not in result.err
