"""The segment source treasure_data, on the shipped sandbox with the real td-client."""

import gc
import json
import os
import signal
import subprocess
import sys
import time
import warnings
from dataclasses import replace
from datetime import datetime, timezone
from decimal import Decimal

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from runner.campaign import Segment
from runner.errors import SegmentError, TreasureDataError
from runner.project import Project
from runner.segments.interface import Remote
from runner.segments.treasure_data import fetch
from runner.treasure_data.account import find_account
from runner.treasure_data.jobs import Surroundings
from tests.sandbox.td import KEY, td_process, td_sandbox

NOW = datetime(2026, 11, 24, 9, tzinfo=timezone.utc)
PEOPLE = pa.table(
    {
        "time": pa.array([1, 2, 3], pa.int64()),
        "id": ["c1", "c2", "c3"],
        "phone": ["+6591234567", "0091", None],
        "number": pa.array([6591234567, 91, None], pa.int64()),
        "share": [1.5, None, -0.25],
        "agreed": [True, False, None],
        "spent": pa.array([Decimal("12.50"), None, Decimal("-0.05")], pa.decimal128(10, 2)),
        "seen": pa.array([datetime(2026, 3, 1, 9, 30), None, datetime(2026, 3, 2)], pa.timestamp("us")),
        "born": pa.array([datetime(1990, 5, 17).date(), None, None], pa.date32()),
        "tags": [["a", "b"], [], None],
        "nothing": pa.array([None, None, None], pa.string()),
    }
)


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A sandbox with the database crm, for the tests of this module."""
    folder = tmp_path_factory.mktemp("td")
    (folder / "data/crm").mkdir(parents=True)
    (folder / "data/sales").mkdir()
    pq.write_table(PEOPLE, folder / "data/crm/people.parquet")
    pq.write_table(PEOPLE.slice(0, 0), folder / "data/crm/nobody.parquet")
    with td_sandbox(folder) as sandbox:
        yield sandbox


@pytest.fixture
def sandbox(place, monkeypatch):
    """That sandbox without faults; nobody really sleeps."""
    for name in ("HTTP_PROXY", "http_proxy"):
        monkeypatch.delenv(name, raising=False)
    place.reset()
    yield place
    place.faults()


@pytest.fixture
def project(tmp_path):
    root = tmp_path / "project"
    root.mkdir()
    return Project(root=root, data=root / "data", state=root / ".runner", ledger="", providers={})


@pytest.fixture
def told():
    return []


@pytest.fixture
def remote(sandbox, tmp_path, told):
    return Remote(
        account=lambda: find_account(sandbox.environ, home=tmp_path),
        tell=told.append,
        campaign="promo",
        now=NOW,
        phone="phone",
    )


@pytest.fixture
def get(project, remote, tmp_path):
    """Return a function that fetches: the segment's keys, and the wanted columns."""

    def get(query="", columns=("id", "phone"), *, target=None, occurrence_at=None, **keys):
        segment = Segment(source="treasure_data", query=query, **{"database": "crm", **keys})
        path = target or tmp_path / "rows.parquet"
        fetched = fetch(
            segment,
            project=project,
            columns=list(columns),
            target=path,
            occurrence_at=occurrence_at,
            remote=remote,
        )
        get.table = pq.read_table(path)
        get.path = path
        return fetched

    return get


@pytest.fixture
def impatient(monkeypatch):
    """Have requests given up at the first server error, and downloads made again at once."""
    from runner.treasure_data import calls

    monkeypatch.setattr(calls, "PATIENCE", 0.0)
    monkeypatch.setattr(calls, "_FIRST_WAIT", 0.01)
    yield
    # td-client leaves an answer open that it gives up on.
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)
        gc.collect()


ALL = [name for name in PEOPLE.column_names if name != "time"]


@pytest.mark.parametrize("engine", ["trino", "hive"])
def test_the_rows_arrive_in_their_order_with_their_types_and_phones_stay_texts(get, engine):
    fetched = get("SELECT * FROM people ORDER BY time", ALL, engine=engine)
    assert fetched.rows == 3
    assert get.table.column_names == ALL
    rows = get.table.to_pylist()
    assert [row["phone"] for row in rows] == ["+6591234567", "0091", None]
    assert [row["number"] for row in rows] == [6591234567, 91, None]
    assert [row["share"] for row in rows] == [1.5, None, -0.25]
    assert [row["agreed"] for row in rows] == [True, False, None]
    assert [json.loads(row["tags"]) if row["tags"] else None for row in rows] == [["a", "b"], [], None]
    assert [row["nothing"] for row in rows] == [None, None, None]
    assert fetched.column_types["phone"] == "VARCHAR"
    assert fetched.column_types["number"] == "BIGINT"
    assert fetched.column_types["agreed"] == "BOOLEAN"
    assert get.path.stat().st_mode & 0o777 == 0o600


def test_decimals_dates_and_moments_keep_what_they_are(get):
    get("SELECT spent, seen, born FROM people ORDER BY time", ["spent", "seen", "born"])
    first = get.table.to_pylist()[0]
    assert first == {
        "spent": Decimal("12.50"),
        "seen": datetime(2026, 3, 1, 9, 30),
        "born": datetime(1990, 5, 17).date(),
    }


def test_only_the_wanted_columns_are_kept_in_their_order(get):
    get("SELECT * FROM people", ["phone", "id"])
    assert get.table.column_names == ["phone", "id"]


def test_no_rows_are_a_file_with_its_columns_and_planning_has_the_word_for_it(get):
    fetched = get("SELECT * FROM nobody")
    assert (fetched.rows, get.table.column_names) == (0, ["id", "phone"])
    assert fetched.notes == ()


def test_the_plan_can_show_the_job_where_it_ran_and_the_sql_with_its_values(get, sandbox):
    fetched = get("SELECT id, phone FROM people WHERE number > :least", params={"least": 100})
    (job,) = sandbox.jobs()
    assert fetched.job_id == job["job_id"]
    assert fetched.sql == job["query"] == "SELECT id, phone FROM people WHERE number > 100"
    assert fetched.facts == {"job": job["url"], "database": "crm", "engine": "trino"}
    assert fetched.rows == 1


@pytest.mark.parametrize("table", ["people", "crm.people"])
def test_a_table_is_read_by_its_name_qualified_or_not(get, sandbox, table):
    get(table=table)
    assert get.table.num_rows == 3
    assert sandbox.jobs()[0]["query"].startswith('SELECT "id", "phone"\nFROM ')


def test_a_table_of_hive_is_quoted_as_hive_does(get, sandbox):
    get(table="people", engine="hive")
    assert sandbox.jobs()[0]["query"] == "SELECT `id`, `phone`\nFROM `people`"


@pytest.mark.parametrize("table", ["a.b.c", "people.", ""])
def test_what_is_no_table_is_refused(get, table):
    with pytest.raises(SegmentError, match=r"is no table"):
        get(table=table)


def test_the_scheduled_time_is_the_occurrence(get, sandbox):
    at = datetime(2026, 12, 1, 3, tzinfo=timezone.utc)
    get("SELECT CAST(TD_SCHEDULED_TIME() AS varchar) AS id", ["id"], occurrence_at=at)
    assert get.table.to_pylist() == [{"id": str(int(at.timestamp()))}]


def test_a_query_that_writes_never_reaches_treasure_data(get, sandbox):
    with pytest.raises(SegmentError, match="is not a SELECT"):
        get("DELETE FROM people")
    assert sandbox.jobs() == []


@pytest.mark.parametrize("kind", ["bigint", "double"])
def test_a_phone_that_is_a_number_is_refused_with_the_cast(get, kind):
    with pytest.raises(SegmentError, match=f"the phone column `phone` is {kind}") as caught:
        get(f"SELECT id, CAST(number AS {kind}) AS phone FROM people")
    assert "CAST(phone AS varchar)" in caught.value.hint
    assert not get.path.exists() if hasattr(get, "path") else True


def test_columns_that_are_not_there_are_named_with_the_nearest(get):
    with pytest.raises(SegmentError, match="does not return `phones`") as caught:
        get("SELECT id, phone FROM people", ["id", "phones"])
    assert caught.value.hint == "did you mean `phone`?"


def test_a_table_without_the_columns_gives_the_jobs_own_words(get):
    with pytest.raises(SegmentError, match=r"job \d+ failed: .*phones"):
        get(table="people", columns=["phones"])


def test_a_column_that_is_there_twice_is_refused(get):
    with pytest.raises(SegmentError, match="returns the column `phone` 2 times"):
        get("SELECT id, phone, phone FROM people")


def test_a_job_that_fails_says_why_in_its_own_words(get):
    with pytest.raises(SegmentError, match=r"job \d+ failed: .*nobody_knows"):
        get("SELECT id FROM nobody_knows")


def test_a_job_that_is_killed_is_said_to_be(get, sandbox):
    sandbox.faults("job-killed")
    with pytest.raises(SegmentError, match=r"job \d+ was killed in Treasure Data"):
        get("SELECT id, phone FROM people")


def test_a_database_that_is_not_there_is_said_with_key_and_site(get):
    with pytest.raises(TreasureDataError, match=r"database nowhere: not found \(404\)") as caught:
        get("SELECT 1 AS id, 2 AS phone", database="nowhere")
    assert "TD_API_KEY" in caught.value.hint
    assert "127.0.0.1" in caught.value.hint


CALLS = {
    "job_issue": "submitting the query",
    "job_status": "asking for the status",
    "job_show": "asking for the columns",
    "job_result": "downloading the rows",
}


@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize(
    ("status", "words"),
    [
        ("401", "does not accept the key"),
        ("403", "the key may not do this"),
        ("413", "too large"),
        ("429", "asks to slow down"),
        ("500", "Data answers 500"),
    ],
)
def test_each_answer_of_each_call_has_its_words(get, sandbox, impatient, call, status, words):
    sandbox.faults(f"{status}:@{call}")
    with pytest.raises(TreasureDataError, match=f"{CALLS[call]}.*{words}") as caught:
        get("SELECT id, phone FROM people")
    assert "\n" not in caught.value.message
    assert caught.value.hint
    assert KEY not in f"{caught.value.message}{caught.value.hint}"


def test_nobody_there_is_said(get, remote, monkeypatch, impatient, tmp_path):
    account = replace(remote.account(), api="http://127.0.0.1:9")
    monkeypatch.setattr(
        "runner.segments.treasure_data.required", lambda _: replace(remote, account=lambda: account)
    )
    with pytest.raises(
        TreasureDataError, match=r"no answer of Treasure Data \(Connection refused\)"
    ) as caught:
        get("SELECT id, phone FROM people")
    assert "127.0.0.1:9 reachable" in caught.value.hint


@pytest.mark.parametrize("fault", ["truncated@job_result:#1", "reset-before-accept@job_result:#1"])
def test_a_download_that_breaks_off_is_made_again_whole(get, sandbox, impatient, fault):
    sandbox.faults(fault)
    assert get("SELECT id, phone FROM people ORDER BY time").rows == 3
    assert get.table.num_rows == 3


def test_rows_that_never_arrive_whole_are_an_error_and_leave_no_file(get, sandbox, impatient, tmp_path):
    sandbox.faults("truncated:@job_result")
    with pytest.raises(TreasureDataError, match="job"):
        get("SELECT id, phone FROM people")
    assert list(tmp_path.glob("*rows.parquet*")) == []


def test_a_plan_that_broke_off_finds_its_job_again_and_a_plan_afresh_starts_another(
    get, sandbox, impatient, told, project
):
    query = "SELECT id, phone FROM people"
    sandbox.faults("500:@job_result")
    with pytest.raises(TreasureDataError):
        get(query)
    sandbox.faults()
    assert get(query).job_id == sandbox.jobs()[0]["job_id"]
    assert len(sandbox.jobs()) == 1
    assert any("going on with job" in line for line in told)
    get(query)
    assert len(sandbox.jobs()) == 2
    assert list((project.state / "jobs").iterdir()) == []


def test_a_plan_killed_between_request_and_answer_finds_its_job_by_its_domain_key(get, sandbox, impatient):
    query = "SELECT id, phone FROM people"
    sandbox.faults("reset-after-accept@job_issue:#1")
    with pytest.raises(TreasureDataError):
        get(query)
    sandbox.faults()
    assert get(query).rows == 3
    assert len(sandbox.jobs()) == 1
    assert sandbox.calls("job_by_key") == 1


def test_without_that_question_the_conflict_itself_names_the_job(get, sandbox, impatient):
    query = "SELECT id, phone FROM people"
    sandbox.faults("reset-after-accept@job_issue:#1", "404:@job_by_key")
    with pytest.raises(TreasureDataError):
        get(query)
    assert get(query).rows == 3
    assert len(sandbox.jobs()) == 1


def test_an_errand_of_yesterday_is_not_gone_on_with(get, sandbox, impatient, project):
    query = "SELECT id, phone FROM people"
    sandbox.faults("500:@job_result")
    with pytest.raises(TreasureDataError):
        get(query)
    sandbox.faults()
    (errand,) = (project.state / "jobs").iterdir()
    assert errand.stat().st_mode & 0o777 == 0o600
    document = json.loads(errand.read_text())
    errand.write_text(json.dumps({**document, "began_at": time.time() - 25 * 3600}))
    get(query)
    assert len(sandbox.jobs()) == 2


def test_a_damaged_errand_is_none(get, sandbox, impatient, project):
    query = "SELECT id, phone FROM people"
    sandbox.faults("500:@job_result")
    with pytest.raises(TreasureDataError):
        get(query)
    sandbox.faults()
    (errand,) = (project.state / "jobs").iterdir()
    errand.write_text("{")
    assert get(query).rows == 3


def test_a_state_folder_that_cannot_be_written_is_an_error_before_anything_is_asked(get, sandbox, project):
    project.state.write_text("a file")
    with pytest.raises(SegmentError, match="cannot be noted down"):
        get("SELECT id, phone FROM people")
    assert sandbox.jobs() == []


def test_while_a_job_runs_a_person_hears_of_it(get, sandbox, told, monkeypatch):
    sandbox.faults("job-slow::2s")
    clock = iter(range(0, 100_000, 10))
    real = Surroundings

    def hasty(**values):
        return real(**{**values, "now": lambda: float(next(clock)), "sleep": lambda _: time.sleep(0.05)})

    monkeypatch.setattr("runner.segments.treasure_data.Surroundings", hasty)
    get("SELECT id, phone FROM people")
    assert any("s so far" in line for line in told)
    assert told[-1].startswith("job ")


@pytest.fixture(scope="module")
def slow_place(tmp_path_factory):
    """A sandbox in another process, whose jobs take their time."""
    folder = tmp_path_factory.mktemp("slow")
    (folder / "data/crm").mkdir(parents=True)
    pq.write_table(PEOPLE, folder / "data/crm/people.parquet")
    with td_process(folder, job_seconds=3.0) as sandbox:
        yield sandbox


FETCH = """
import pathlib, sys
from datetime import datetime, timezone
from runner.campaign import Segment
from runner.project import Project
from runner.segments.interface import Remote
from runner.segments.treasure_data import fetch
from runner.treasure_data.account import find_account
import os
root = pathlib.Path(sys.argv[1])
remote = Remote(
    account=lambda: find_account(os.environ, home=root),
    tell=lambda text: print(text, flush=True),
    campaign="promo",
    now=datetime.now(timezone.utc),
    phone="phone",
)
project = Project(root=root, data=root / "data", state=root / ".runner", ledger="", providers={})
segment = Segment(source="treasure_data", query="SELECT id, phone FROM people", database="crm")
print("begin", flush=True)
target = root / "rows.parquet"
fetched = fetch(segment, project=project, columns=["id", "phone"], target=target, remote=remote)
print("rows", fetched.rows, fetched.job_id)
"""


def start(sandbox, root):
    environ = {**os.environ, **sandbox.environ}
    process = subprocess.Popen(
        [sys.executable, "-c", FETCH, str(root)], env=environ, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout.readline() == "begin\n"
    return process


def wait_for_job(sandbox, count):
    for _ in range(400):
        if len(sandbox.jobs()) >= count:
            return
        time.sleep(0.02)
    raise AssertionError("no job came")


def test_a_killed_plan_finds_its_running_job_again(slow_place, tmp_path):
    before = len(slow_place.jobs())
    first = start(slow_place, tmp_path)
    wait_for_job(slow_place, before + 1)
    time.sleep(0.3)
    first.kill()
    first.communicate(timeout=10)
    out, _ = start(slow_place, tmp_path).communicate(timeout=30)
    assert f"rows 3 {slow_place.jobs()[-1]['job_id']}" in out
    assert len(slow_place.jobs()) == before + 1


def test_ctrl_c_kills_the_job(slow_place, tmp_path):
    before = len(slow_place.jobs())
    process = start(slow_place, tmp_path)
    wait_for_job(slow_place, before + 1)
    time.sleep(0.3)
    process.send_signal(signal.SIGINT)
    out, _ = process.communicate(timeout=30)
    assert "was killed" in out
    assert process.returncode != 0
    assert slow_place.jobs()[-1]["status"] == "killed"
    assert list((tmp_path / ".runner/jobs").iterdir()) == []


def test_what_the_columns_cannot_hold_is_refused_with_the_cast(get, monkeypatch):
    from runner.treasure_data.arrow_columns import arrow_type

    monkeypatch.setattr(
        "runner.treasure_data.row_stream.arrow_type",
        lambda kind: pa.int64() if kind == "varchar" else arrow_type(kind),
    )
    with pytest.raises(SegmentError, match="the column `id` is varchar, but holds other values") as caught:
        get("SELECT id, phone FROM people")
    assert caught.value.hint == "write CAST(id AS varchar) in the query"


def test_duckdb_screens_what_was_written(get):
    get("SELECT id, phone FROM people ORDER BY time")
    read = duckdb.sql(f"SELECT phone FROM read_parquet('{get.path}')").fetchall()
    assert read == [("+6591234567",), ("0091",), (None,)]


def test_a_source_without_its_surroundings_is_refused(project, tmp_path):
    segment = Segment(source="treasure_data", query="SELECT 1", database="crm")
    with pytest.raises(SegmentError, match="needs Treasure Data"):
        fetch(segment, project=project, columns=["a"], target=tmp_path / "x")


def test_a_segment_without_a_database_is_refused(get):
    with pytest.raises(SegmentError, match="has no database"):
        get("SELECT 1", database=None)
