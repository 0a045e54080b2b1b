"""runner.treasure_data.jobs: one query is one job, whatever happens to the plan that asks for it."""

import gc
import json
import re
import time
import warnings
from dataclasses import replace
from types import SimpleNamespace

import pytest

from runner.errors import SegmentError, TreasureDataError
from runner.treasure_data import calls, jobs
from runner.treasure_data.account import find_account
from runner.treasure_data.client import open_client
from runner.treasure_data.jobs import Query, Surroundings, finished_job
from tests.sandbox.td import KEY, td_sandbox, write_table

QUERY = Query(campaign="promo", engine="trino", database="crm", sql="SELECT id FROM people")


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    folder = tmp_path_factory.mktemp("td")
    write_table(folder / "data", "crm/people.csv", "id\nc1\nc2\n")
    with td_sandbox(folder) as sandbox:
        yield sandbox


@pytest.fixture
def sandbox(place, monkeypatch):
    for name in ("HTTP_PROXY", "http_proxy"):
        monkeypatch.delenv(name, raising=False)
    place.reset()
    yield place
    place.reset()


@pytest.fixture
def account(sandbox, tmp_path):
    return find_account(sandbox.environ, home=tmp_path)


@pytest.fixture
def told():
    return []


@pytest.fixture
def around(tmp_path, told):
    return Surroundings(
        folder=tmp_path / "jobs", now=time.time, sleep=lambda _: time.sleep(0.01), tell=told.append
    )


@pytest.fixture
def run(account, around):
    """Return a function that runs the query to its end and gives the finished job."""

    def run(query=QUERY, surroundings=around):
        with finished_job(account, query, surroundings) as job:
            return job

    return run


@pytest.fixture
def errands(around):
    """Return a function that gives what is written down of queries that are not brought home yet."""

    def errands():
        return [json.loads(path.read_text()) for path in around.folder.glob("*")]

    return errands


@pytest.fixture
def break_off(account, around):
    """Return a function that asks for the query's rows, and has the connection fail at them."""

    def break_off():
        with pytest.raises(TreasureDataError), finished_job(account, QUERY, around) as job:
            raise TreasureDataError("the rows break off")
        return job.id

    return break_off


@pytest.fixture
def clients(monkeypatch):
    """Return a function that gives each client from now on to `change` before it is used."""

    def clients(change):
        def opened(account):
            client = open_client(account)
            change(client)
            return client

        monkeypatch.setattr(calls, "open_client", opened)

    yield clients
    # td-client leaves an answer open that it gives up on.
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)
        gc.collect()


def showing(account, around, shown):
    """Return the calls of an account whose every job is shown so."""
    found = jobs._Jobs(account, around)
    found.calls.client = SimpleNamespace(api=SimpleNamespace(show_job=lambda job: shown))
    return found


def interrupt(*_):
    raise KeyboardInterrupt


def rewrite_errand(around, **changes):
    (path,) = around.folder.glob("*")
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))


# What a plan before left behind


def test_a_job_whose_rows_did_not_come_home_is_taken_again_and_its_age_is_told(run, break_off, around):
    left = break_off()
    rewrite_errand(around, began_at=time.time() - 600)
    job = run()
    assert job.id == left
    assert job.resumed_after == pytest.approx(600, abs=5)
    assert run().resumed_after is None


@pytest.mark.parametrize(("fault", "words"), [("job-error", "failed"), ("job-killed", "was killed")])
def test_a_job_left_behind_that_came_to_nothing_is_told_and_another_is_started(
    run, break_off, around, sandbox, told, errands, fault, words
):
    sandbox.faults(fault)
    with pytest.raises(SegmentError):
        run()
    sandbox.faults()
    failed = sandbox.jobs()[0]["job_id"]
    break_off()
    rewrite_errand(around, job=failed)
    job = run()
    assert job.id not in {failed, None}
    assert job.resumed_after is None
    assert f"job {failed} of a plan before {words}; another is started" in told
    assert errands() == []


def test_a_job_left_behind_that_is_gone_is_told_and_another_is_started(run, break_off, around, told):
    break_off()
    rewrite_errand(around, job="999")
    assert run().resumed_after is None
    assert "job 999 of a plan before is not there any more; another is started" in told


def test_another_query_has_an_errand_of_its_own(run, break_off, sandbox):
    break_off()
    other = Query(campaign="promo", engine="trino", database="crm", sql="SELECT id FROM people LIMIT 1")
    assert run(other).resumed_after is None
    assert len(sandbox.jobs()) == 2


# Submitting


@pytest.mark.parametrize("status", ["400", "401", "403", "404", "413", "422"])
def test_a_query_that_is_refused_leaves_no_errand_behind(run, sandbox, errands, status):
    sandbox.faults(f"{status}:@job_issue")
    with pytest.raises(TreasureDataError, match="submitting the query to database crm: "):
        run()
    assert errands() == []


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        ("500", "Treasure Data answers 500"),
        ("429", r"slow down \(429\)"),
        ("reset-before-accept", "no answer"),
    ],
)
def test_a_query_that_may_have_been_taken_leaves_its_errand_behind(
    run, sandbox, errands, monkeypatch, fault, words
):
    monkeypatch.setattr(calls, "PATIENCE", 0.0)
    sandbox.faults(f"{fault}:@job_issue")
    with pytest.raises(TreasureDataError, match=f"submitting the query to database crm: .*{words}"):
        run()
    assert [errand["job"] for errand in errands()] == [None]


def test_an_errand_that_cannot_be_written_is_an_error_before_anything_is_asked(run, around, sandbox):
    around.folder.write_text("a file in the way")
    with pytest.raises(SegmentError, match="the query cannot be noted down: ") as caught:
        run()
    assert caught.value.hint == "check the state folder"
    assert sandbox.jobs() == []


def test_a_key_that_is_taken_by_a_job_nobody_names_is_an_error_and_the_next_plan_is_not_stuck(
    run, sandbox, errands
):
    sandbox.faults("409@job_issue:#1")
    with pytest.raises(TreasureDataError, match=r"submitting the query to database crm: .*\(409\)"):
        run()
    assert errands() == []
    assert run().rows == 2


@pytest.mark.parametrize(
    "fault",
    [
        "429:@job_issuex1:1s",
        "503:@job_issuex1",
        "reset-after-accept:@job_issuex1",
        "429:@job_statusx1",
        "truncated:@job_statusx1",
        "500:@job_showx1",
    ],
)
def test_an_answer_that_passes_is_waited_out_and_told(run, sandbox, told, fault):
    sandbox.faults(fault)
    assert run().rows == 2
    assert len(sandbox.jobs()) == 1
    assert any(re.search(r"Treasure Data.*; again in \d+\.\d s", line) for line in told)


# The attempts of a session, each in a container that has forgotten the one before


@pytest.fixture
def attempt(run, around, tmp_path):
    """Return a function that runs the query in a session's attempt of this number."""

    def attempt(number, **changes):
        folder = tmp_path / f"container {number}"
        return run(surroundings=replace(around, folder=folder, session="77", **changes))

    return attempt


def test_a_later_attempt_takes_the_job_of_the_one_before(attempt, sandbox, told):
    first, second = attempt(1), attempt(2)
    assert first.id == second.id
    assert first.resumed_after is None
    assert second.resumed_after == pytest.approx(0, abs=60)
    assert told[-1] == f"going on with job {first.id} of an attempt before"
    assert len(sandbox.jobs()) == 1


def test_a_later_attempt_does_not_take_a_job_that_came_to_nothing(attempt, sandbox, told):
    sandbox.faults("job-error:#1-2")
    for number in (1, 2):
        with pytest.raises(SegmentError, match="failed"):
            attempt(number)
    assert attempt(3).rows == 2
    assert [line.partition("before ")[2] for line in told] == ["failed; another is started"] * 3
    assert len(sandbox.jobs()) == 3


def test_a_later_attempt_does_not_take_old_rows(attempt, sandbox, told):
    first = attempt(1)
    second = attempt(2, now=lambda: time.time() + 7 * 3600)
    assert second.id != first.id
    assert told[-1] == f"job {first.id} of an attempt before is 7 hours old; another is started"


def test_another_session_has_a_job_of_its_own(run, around, attempt):
    assert run(surroundings=replace(around, session="78")).id != attempt(1).id


# Waiting


def test_a_job_that_runs_too_long_is_left_alone_and_found_again_by_the_next_plan(
    run, around, sandbox, errands
):
    sandbox.faults("job-slow::600ms")
    hours = iter(range(0, 1000, 1))
    later = Surroundings(
        folder=around.folder, now=lambda: next(hours) * 3600.0, sleep=around.sleep, tell=around.tell
    )
    with pytest.raises(TreasureDataError, match=r"job \d+ is (queued|running) after \d hours") as caught:
        run(surroundings=later)
    assert caught.value.hint.startswith("plan again to wait for it again")
    (errand,) = errands()
    rewrite_errand(around, began_at=time.time() - 5 * 3600)
    assert run().id == errand["job"]
    assert len(sandbox.jobs()) == 1


@pytest.mark.parametrize(("fault", "has_page"), [(None, True), ("403@job_show:#1", False)])
def test_while_a_job_runs_its_page_is_told_where_it_can_be_had(run, around, sandbox, told, fault, has_page):
    sandbox.faults("job-slow::300ms", *([fault] if fault else []))
    seconds = iter(range(0, 100_000, 10))
    slow = Surroundings(
        folder=around.folder, now=lambda: float(next(seconds)), sleep=around.sleep, tell=around.tell
    )
    assert run(surroundings=slow).rows == 2
    first = next(line for line in told if "s so far" in line)
    assert ("/sandbox/jobs/" in first) is has_page


# Ctrl-C


def test_ctrl_c_while_a_job_runs_kills_it_and_forgets_the_errand(run, around, sandbox, told, errands):
    sandbox.faults("job-slow::5s")
    stopped = Surroundings(folder=around.folder, now=around.now, sleep=interrupt, tell=around.tell)
    with pytest.raises(KeyboardInterrupt):
        run(surroundings=stopped)
    (job,) = sandbox.jobs()
    assert job["status"] == "killed"
    assert told == [f"job {job['job_id']} was killed"]
    assert errands() == []


def test_a_job_that_cannot_be_killed_is_said_to_run_perhaps(run, around, sandbox, told):
    sandbox.faults("job-slow::5s", "403:@job_kill")
    stopped = Surroundings(folder=around.folder, now=around.now, sleep=interrupt, tell=around.tell)
    with pytest.raises(KeyboardInterrupt):
        run(surroundings=stopped)
    number = sandbox.jobs()[0]["job_id"]
    (line,) = told
    assert line.startswith(f"killing job {number}: the key may not do this (403)")
    assert line.endswith(f"job {number} may still run")


def test_ctrl_c_before_a_submitted_query_is_answered_keeps_the_errand_and_the_next_plan_finds_its_job(
    run, sandbox, told, errands, clients
):
    def interrupt_behind_the_request(client):
        submit = client.query
        client.query = lambda *given, **options: interrupt(submit(*given, **options))

    clients(interrupt_behind_the_request)
    with pytest.raises(KeyboardInterrupt):
        run()
    assert told == ["the job may have begun all the same: the next plan of this campaign finds it"]
    assert [errand["job"] for errand in errands()] == [None]

    clients(lambda client: None)
    assert run().id == sandbox.jobs()[0]["job_id"]
    assert len(sandbox.jobs()) == 1
    assert "going on where a plan before broke off while it submitted the query" in told
    assert errands() == []


# Why a job failed


@pytest.fixture
def why(account, around):
    """Return a function that gives the error of a failed job that is shown so."""

    def why(**shown):
        return jobs._failed(showing(account, around, shown), "1000")

    return why


@pytest.mark.parametrize(
    ("debug", "said"),
    [
        (
            {"stderr": "started\nQuery 1000 failed: no memory\nat X.java", "cmdout": "x"},
            "Query 1000 failed: no memory",
        ),
        ({"stderr": "", "cmdout": "one\n\nthe last line\n"}, "the last line"),
        ({"stderr": " \n"}, "it gave no reason"),
        ({}, "it gave no reason"),
        (None, "it gave no reason"),
    ],
)
def test_a_failed_job_says_the_line_with_the_error_else_its_last_else_that_there_is_none(why, debug, said):
    error = why(debug=debug, url="https://console.example.com/jobs/1000")
    assert str(error) == f"job 1000 failed: {said}"
    assert error.hint == "see https://console.example.com/jobs/1000"


def test_a_failed_job_without_a_page_is_to_be_looked_for(why):
    assert why(debug={"stderr": "error"}).hint == "look at the job in Treasure Data"


def test_a_failed_job_quotes_no_phone_and_no_key_in_one_line_of_some_length(why):
    error = why(debug={"stderr": f"error: cannot cast '+6591234567' for {KEY} \x1b[31m " + "x" * 1000})
    assert "6591234567" not in error.message
    assert KEY not in error.message
    assert "\x1b" not in error.message
    assert len(error.message) < 500


def test_a_job_that_fails_by_the_sandboxs_word_is_a_segment_error_and_its_errand_is_over(
    run, sandbox, errands
):
    sandbox.faults("job-error::Query failed: no memory left")
    with pytest.raises(SegmentError, match=r"job \d+ failed: Query failed: no memory left"):
        run()
    assert errands() == []


# What a finished job has


@pytest.mark.parametrize(("records", "rows"), [(2, 2), ("2", 2), (None, None), ("many", None), (-1, None)])
def test_a_count_of_rows_that_is_none_is_not_relied_on(account, around, records, rows):
    shown = {"num_records": records, "hive_result_schema": [["id", "varchar"]], "url": None}
    job = jobs._finished(showing(account, around, shown), "1000")
    assert (job.rows, job.columns, job.url) == (rows, (("id", "varchar"),), "")


def test_a_job_that_shows_no_columns_has_none(account, around):
    found = showing(account, around, {"hive_result_schema": None})
    assert jobs._finished(found, "1000").columns == ()
