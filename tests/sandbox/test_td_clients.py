"""The real pytd, td-client and trino clients, unmodified, against the sandbox over loopback."""

import io
import json
import logging
import threading
from contextlib import closing
from datetime import date, datetime, timezone
from decimal import Decimal

import pandas as pd
import pytd
import pytest
import tdclient
import trino.exceptions
from tdclient.errors import AlreadyExistsError, APIError, AuthError, ForbiddenError, NotFoundError

from tests.sandbox.td import KEY, packed, td_sandbox, write_table

CUSTOMERS = "id,phone,opt_in,points\n1,+919876500001,true,1.5\n2,0091,false,2\n3,,true,\n"


@pytest.fixture
def sandbox(tmp_path, monkeypatch):
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy"):
        monkeypatch.delenv(name, raising=False)
    logging.getLogger("pytd").setLevel(logging.ERROR)
    write_table(tmp_path / "data", "crm/customers.csv", CUSTOMERS)
    with td_sandbox(tmp_path) as started:
        for name, value in started.environ.items():
            monkeypatch.setenv(name, value)
        yield started


@pytest.fixture
def client(sandbox):
    with closing(pytd.Client(database="crm")) as opened:
        yield opened


@pytest.fixture
def api(sandbox):
    with closing(tdclient.Client(apikey=KEY, endpoint=sandbox.url, max_cumul_retry_delay=-1)) as opened:
        yield opened


def finished(api, sql, **options):
    job = api.query("crm", sql, type=options.pop("type", "presto"), **options)
    job.wait(wait_interval=0.1)
    return job


def test_a_query_over_trino_has_the_rows_of_the_data_folder(client):
    result = client.query("SELECT id, phone, opt_in, points FROM customers ORDER BY id")
    assert result["columns"] == ["id", "phone", "opt_in", "points"]
    assert result["data"] == [[1, "+919876500001", True, 1.5], [2, "0091", False, 2.0], [3, None, True, None]]


def test_a_query_by_the_job_api_has_the_same_rows(client):
    sql = "SELECT * FROM crm.customers ORDER BY id"
    by_jobs, by_trino = client.query(sql, force_tdclient=True), client.query(sql)
    assert by_jobs == by_trino
    assert by_jobs["columns"][-1] == "time"


def test_hive_divides_as_hive_and_trino_as_trino(sandbox):
    with closing(pytd.Client(database="crm", default_engine="hive")) as hive:
        assert hive.query("SELECT 7 / 2 AS x")["data"] == [[3.5]]
    with closing(pytd.Client(database="crm")) as presto:
        assert presto.query("SELECT 7 / 2 AS x, 7.0 / 2 AS y, -7 / 2 AS z")["data"] == [[3, 3.5, -3]]
    assert [job["type"] for job in sandbox.jobs()] == ["hive", "trino"]


def test_trino_pages_give_every_row_once_and_in_order(client):
    cursor = client.default_engine.cursor()
    cursor.execute(
        "SELECT n FROM UNNEST(sequence(1, 9000)) a(n) UNION ALL SELECT 9000 + n FROM "
        "UNNEST(sequence(1, 9000)) b(n) ORDER BY 1"
    )
    rows = []
    while page := cursor.fetchmany(700):
        rows += page
    assert [n for (n,) in rows] == list(range(1, 18001))


def test_trino_values_become_what_the_client_makes_of_their_types(sandbox):
    host = sandbox.url
    with closing(trino.dbapi.connect(host=host, user=KEY, catalog="td-presto", schema="crm")) as connection:
        cursor = connection.cursor()
        cursor.execute(
            "SELECT DATE '2026-01-02' d, TIMESTAMP '2026-01-02 03:04:05.678' t, CAST(1.5 AS DECIMAL(5,2)) n, "
            "ARRAY['a', NULL] a, MAP(ARRAY['k'], ARRAY[1]) m, "
            "CAST(ROW(1, 'x') AS ROW(i BIGINT, s VARCHAR)) r, "
            "CAST('nan' AS DOUBLE) nan, CAST('-inf' AS DOUBLE) low, NULL nothing, 'ä☎' s"
        )
        (row,) = cursor.fetchall()
    assert row[:6] == [
        date(2026, 1, 2),
        datetime(2026, 1, 2, 3, 4, 5, 678000),
        Decimal("1.50"),
        ["a", None],
        {"k": 1},
        (1, "x"),
    ]
    assert str(row[6]) == "nan"
    assert row[7:] == [float("-inf"), None, "ä☎"]


def test_a_trino_error_is_a_user_error_with_its_name(client):
    with pytest.raises(trino.exceptions.TrinoUserError) as caught:
        client.query("SELECT nothing FROM customers")
    assert caught.value.error_name == "COLUMN_NOT_FOUND"
    with pytest.raises(trino.exceptions.TrinoUserError, match=r"crm\.nobody.* does not exist"):
        client.query("SELECT * FROM nobody")


def test_a_cursor_that_is_closed_early_cancels_its_query(client, sandbox):
    cursor = client.default_engine.cursor()
    cursor.execute("SELECT n FROM UNNEST(sequence(1, 9000)) a(n), UNNEST(sequence(1, 9)) b(m)")
    cursor.fetchmany(1)
    cursor.cancel()
    assert sandbox.calls("trino_cancel") == 1


def test_insert_into_creates_and_fills_a_table(client):
    frame = pd.DataFrame({"phone": ["+62811", "0091"], "n": [1, 2]})
    client.load_table_from_dataframe(frame, "crm.sent", writer="insert_into")
    assert client.query("SELECT phone, n FROM sent ORDER BY n")["data"] == [["+62811", 1], ["0091", 2]]
    assert client.query("INSERT INTO sent (phone, n) VALUES ('x', 3)")["data"] == [[1]]


def test_a_bulk_import_keeps_every_text_as_it_is(client, monkeypatch):
    # td-client waits five seconds before it looks whether a commit is done.
    waits = threading.Event()
    monkeypatch.setattr("time.sleep", lambda seconds: waits.wait(min(seconds, 0.01)))
    frame = pd.DataFrame({"phone": ["+919876500001", "0091", None], "n": [1, 2, 3]})
    for _ in range(2):
        client.load_table_from_dataframe(
            frame, "crm.log", writer="bulk_import", if_exists="append", fmt="msgpack"
        )
    rows = client.query("SELECT phone, n, count(*) c FROM log GROUP BY 1, 2 ORDER BY n")["data"]
    assert rows == [["+919876500001", 1, 2], ["0091", 2, 2], [None, 3, 2]]


def test_an_import_with_an_id_seen_before_adds_nothing(api, sandbox):
    api.create_log_table("crm", "log")
    body = packed({"time": 1, "phone": "+919876500001", "n": 1}, {"time": 2, "phone": "0091", "n": None})
    for unique_id in ("0a1b", "0a1b", "ffff"):
        assert api.import_data("crm", "log", "msgpack.gz", body, len(body), unique_id=unique_id) >= 0
    rows = list(finished(api, "SELECT phone, n, time FROM log ORDER BY time").result())
    assert rows == [["+919876500001", 1, 1]] * 2 + [["0091", None, 2]] * 2


def test_an_import_without_an_id_always_adds(api):
    api.create_log_table("crm", "log")
    records = [{"time": n, "tags": [n], "ok": True} for n in (1, 2)]
    lines = io.BytesIO(b"".join(json.dumps(record).encode() + b"\n" for record in records))
    api.import_file("crm", "log", "json", lines)
    lines.seek(0)
    api.import_file("crm", "log", "json", lines)
    assert list(finished(api, "SELECT tags, ok, count(*) FROM log GROUP BY 1, 2 ORDER BY 1").result()) == [
        ["[1]", "true", 2],
        ["[2]", "true", 2],
    ]


def test_databases_and_tables_are_listed_made_and_deleted(api):
    api.create_database("lab")
    with pytest.raises(AlreadyExistsError):
        api.create_database("crm")
    assert sorted(database.name for database in api.databases()) == ["crm", "lab"]
    api.create_log_table("lab", "log")
    with pytest.raises(AlreadyExistsError):
        api.create_log_table("lab", "log")
    api.update_schema("lab", "log", [["phone", "string"], ["n", "long"]])
    (table,) = api.tables("lab")
    assert (table.name, table.count, table.schema) == ("log", 0, [["phone", "string"], ["n", "long"]])
    assert list(finished(api, "SELECT * FROM lab.log").result()) == []
    api.delete_table("lab", "log")
    assert api.tables("lab") == []
    with pytest.raises(NotFoundError):
        api.tables("nowhere")
    with pytest.raises(ForbiddenError, match="only read"):
        api.delete_table("crm", "customers")


def test_a_table_tells_its_rows_and_its_schema(api):
    (table,) = api.tables("crm")
    assert (table.count, table.type) == (3, "log")
    assert table.schema == [["id", "long"], ["phone", "string"], ["opt_in", "string"], ["points", "double"]]
    assert [row["id"] for row in api.tail("crm", "customers", 2)] in ([1, 2], [1, 3], [2, 3], [2, 1])


def test_a_job_tells_what_it_did(api, sandbox):
    job = finished(api, "SELECT phone, id FROM customers")
    assert job.status() == "success"
    assert job.result_schema == [["phone", "varchar"], ["id", "bigint"]]
    assert job.num_records == 3
    assert job.result_size > 0
    assert "approximately" in job.debug["cmdout"]
    assert job.url == f"{sandbox.url}/sandbox/jobs/{job.job_id}"
    assert sandbox.ask(f"/sandbox/jobs/{job.job_id}")["sql"] == "SELECT phone, id FROM customers"
    (listed,) = api.jobs()
    assert (listed.job_id, listed.query) == (job.job_id, "SELECT phone, id FROM customers")
    assert api.jobs(status="error") == []


def test_types_are_named_as_each_engine_does(api):
    select = "SELECT 'a' s, CAST(1 AS INTEGER) i, ARRAY['x'] a, CAST(1 AS DECIMAL(4,1)) d"
    assert finished(api, select).result_schema == [
        ["s", "varchar"],
        ["i", "integer"],
        ["a", "array(varchar)"],
        ["d", "decimal(4,1)"],
    ]
    hive = finished(api, "SELECT 'a' AS s, CAST(1 AS INT) AS i, array('x') AS a", type="hive")
    assert hive.result_schema == [["s", "string"], ["i", "int"], ["a", "array<string>"]]


def test_a_result_can_be_had_in_parts(api):
    job = finished(api, "SELECT n, 'x' x FROM UNNEST(sequence(1, 5000)) a(n) ORDER BY n")
    rows = list(job.result_format("msgpack", store_tmpfile=True, num_threads=3))
    assert rows == [[n, "x"] for n in range(1, 5001)]


def test_a_domain_key_finds_its_job_and_is_used_once(api):
    job = api.query("crm", "SELECT 1", type="presto", domain_key="plan-1")
    with pytest.raises(AlreadyExistsError) as caught:
        api.query("crm", "SELECT 1", type="presto", domain_key="plan-1")
    refusal = json.loads(str(caught.value).partition(": ")[2])
    assert refusal["details"] == {"conflicts_with": job.job_id}
    with api.api.get("/v3/job/status_by_domain_key/plan-1") as answer:
        assert json.loads(answer.read())["job_id"] == job.job_id


def test_the_scheduled_time_is_that_of_the_job(api):
    sql = "SELECT TD_SCHEDULED_TIME()"
    (given,) = finished(api, sql, scheduled_time=1767225600).result()
    assert given == [1767225600]
    (date_given,) = finished(api, sql, scheduled_time="2026-01-01 00:00:00 UTC").result()
    assert date_given == [1767225600]
    ((now,),) = finished(api, sql).result()
    assert abs(now - datetime.now(timezone.utc).timestamp()) < 60


def test_a_failed_job_says_why(api):
    job = finished(api, "SELECT nothing FROM customers")
    assert job.status() == "error"
    assert 'column "nothing" not found' in job.debug["stderr"]


def test_a_key_that_is_not_known_is_refused(tmp_path):
    with (
        td_sandbox(tmp_path, keys=("1/abc",)) as sandbox,
        closing(tdclient.Client(apikey=KEY, endpoint=sandbox.url)) as stranger,
        closing(tdclient.Client(apikey="1/abc", endpoint=sandbox.url)) as known,
    ):
        with pytest.raises(AuthError):
            stranger.databases()
        assert known.databases() == []


@pytest.mark.parametrize(
    ("fault", "error", "says"),
    [
        ("401@job_issue", AuthError, "told to answer so"),
        ("403@job_issue", ForbiddenError, "told to answer so"),
        ("413@job_issue", APIError, "413"),
        ("429@job_issue", APIError, "429"),
        ("500@job_issue", APIError, "Retrying stopped"),
        ("html502@job_issue", APIError, "Retrying stopped"),
    ],
)
def test_a_fault_reaches_the_client_as_its_error(api, sandbox, fault, error, says):
    sandbox.faults(fault)
    with pytest.raises(error, match=says):
        api.query("crm", "SELECT 1", type="presto")
    assert sandbox.jobs() == []


def test_a_fault_may_strike_after_the_work_was_done(api, sandbox):
    api.create_log_table("crm", "log")
    sandbox.faults("500@import:#1:accepted")
    body = packed({"time": 1, "phone": "+62811"})
    with pytest.raises(APIError):
        api.import_data("crm", "log", "msgpack.gz", body, len(body), unique_id="ab")
    api.import_data("crm", "log", "msgpack.gz", body, len(body), unique_id="ab")
    assert [row["phone"] for row in sandbox.rows("crm", "log")] == ["+62811"]


@pytest.mark.parametrize("fault", ["truncated@job_result", "reset-after-accept@job_result"])
def test_a_result_that_breaks_off_is_an_error_of_the_client(api, sandbox, fault):
    job = finished(api, "SELECT n FROM UNNEST(sequence(1, 9000)) a(n)")
    sandbox.faults(fault)
    rows = []
    with pytest.raises(Exception, match=r"Connection broken|IncompleteRead|Retrying stopped|aborted|reset"):
        rows.extend(job.result())
    assert len(rows) < 9000


def test_a_job_can_be_told_to_fail(api, sandbox):
    sandbox.faults("job-error:#1:Query exceeded per-node memory limit")
    failed, good = finished(api, "SELECT 1"), finished(api, "SELECT 1")
    assert (failed.status(), good.status()) == ("error", "success")
    assert failed.debug["stderr"] == "Query exceeded per-node memory limit"


def test_a_job_can_be_killed_by_somebody_else_or_by_the_client(api, sandbox):
    sandbox.faults("job-killed:#1", "job-slow:#2:60s")
    assert finished(api, "SELECT 1").status() == "killed"
    slow = api.query("crm", "SELECT 1", type="presto")
    assert slow.status() in {"queued", "running"}
    assert slow.kill() == "running"
    slow.update()
    assert slow.status() == "killed"
    assert slow.kill() == "killed"


def test_a_query_that_runs_can_be_killed(api):
    sql = (
        "SELECT count(*) FROM UNNEST(sequence(1, 9999)) a(n), UNNEST(sequence(1, 9999)) b(m), "
        "UNNEST(sequence(1, 9999)) c(k) WHERE n * m * k = -1"
    )
    job = api.query("crm", sql, type="presto")
    assert job.kill() in {"queued", "running"}
    job.update()
    assert job.status() == "killed"


def test_a_job_takes_the_time_that_it_was_told(tmp_path):
    with (
        td_sandbox(tmp_path, job_seconds=0.3) as sandbox,
        closing(tdclient.Client(apikey=KEY, endpoint=sandbox.url)) as api,
    ):
        (sandbox.data / "crm").mkdir()
        job = api.query("crm", "SELECT 1", type="presto")
        assert job.status() == "running"
        job.wait(wait_interval=0.05)
        assert job.status() == "success"
