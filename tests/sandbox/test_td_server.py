"""The sandbox by plain HTTP: what no client asks, its own paths, and every fault."""

import http.client
import json
import time
from urllib.parse import urlsplit

import aiohttp.web
import pytest
import requests

from tests.sandbox.td import KEY, packed, td_process, td_sandbox, write_table


class Web:
    """A session that asks as td-client does, without its retries."""

    def __init__(self, url, session):
        self.url, self.session = url, session

    def __call__(self, method, path, **options):
        headers = {"Authorization": f"TD1 {KEY}", **options.pop("headers", {})}
        return self.session.request(method, self.url + path, headers=headers, timeout=20, **options)

    def issue(self, sql, kind="presto", database="crm", **given):
        return self("POST", f"/v3/job/issue/{kind}/{database}", files={"query": (None, sql)}, data=given)


def on_their_way(sandbox):
    return [path for path in (sandbox.store / ".work").glob("*/*") if path.is_file()]


@pytest.fixture
def sandbox(tmp_path):
    write_table(tmp_path / "data", "crm/customers.csv", "id,phone\n1,+62811\n2,0091\n")
    with td_sandbox(tmp_path) as started:
        yield started


@pytest.fixture
def web(sandbox):
    with requests.Session() as session:
        session.trust_env = False
        yield Web(sandbox.url, session)


def test_without_a_key_nothing_is_answered(sandbox, web):
    for headers in ({"Authorization": ""}, {"Authorization": "Basic !"}, {"Authorization": "Bearer x"}):
        refused = web("GET", "/v3/database/list", headers=headers)
        assert (refused.status_code, refused.json()["text"]) == (401, "Authentication failed")
    assert web("GET", "/v3/database/list").status_code == 200
    basic = requests.auth._basic_auth_str(KEY, "x")
    assert web("GET", "/v3/database/list", headers={"Authorization": basic}).status_code == 200


def test_another_host_or_origin_is_not_served(web):
    assert web("GET", "/v3/database/list", headers={"Host": "evil.example"}).status_code == 403
    assert web("POST", "/sandbox/reset", headers={"Origin": "http://evil.example"}).status_code == 403


def test_what_is_not_there_is_404_in_json(web):
    for path in (
        "/v3/nothing",
        "/v3/job/show/9",
        "/v3/job/status/9",
        "/v3/job/result/9",
        "/sandbox/jobs/9",
        "/v3/job/status_by_domain_key/x",
        "/v3/table/show/crm/x",
        "/v3/bulk_import/show/x",
        "/v1/statement/executing/9/0",
    ):
        answer = web("GET", path)
        assert (answer.status_code, answer.json()["severity"]) == (404, "error"), path
    for path in (
        "/v3/job/kill/9",
        "/v3/bulk_import/freeze/x",
        "/v3/bulk_import/perform/x",
        "/v3/bulk_import/commit/x",
        "/v3/bulk_import/delete/x",
        "/v3/table/delete/crm/x",
    ):
        assert web("POST", path).status_code == 404, path
    assert web("PUT", "/v3/bulk_import/upload_part/x/p", data=b"1").status_code == 404
    assert web("PUT", "/v3/table/import/crm/x/msgpack.gz", data=packed({"a": 1})).status_code == 404


@pytest.mark.parametrize(
    ("kind", "database", "given", "status"),
    [
        ("presto", "nowhere", {"query": "SELECT 1"}, 404),
        ("export", "crm", {"query": "SELECT 1"}, 422),
        ("presto", "crm", {"query": " "}, 422),
        ("presto", "crm", {"query": "SELECT 1", "scheduled_time": "tomorrow"}, 422),
    ],
)
def test_a_job_that_cannot_be_issued_is_refused(web, kind, database, given, status):
    assert web("POST", f"/v3/job/issue/{kind}/{database}", data=given).status_code == status


def test_a_job_can_be_issued_in_json_too(sandbox, web):
    given = {"query": "SELECT 1", "priority": 1, "retry_limit": "x"}
    assert web("POST", "/v3/job/issue/trino/CRM", json=given).status_code == 200
    (job,) = sandbox.jobs()
    assert (job["priority"], job["retry_limit"], job["type"]) == (1, 0, "trino")
    no_object = web("POST", "/v3/job/issue/trino/crm", json=["SELECT 1"])
    headers = {"Content-Type": "application/json"}
    no_json = web("POST", "/v3/job/issue/trino/crm", data="{", headers=headers)
    assert (no_object.status_code, no_json.status_code) == (422, 422)


def test_a_job_that_did_not_succeed_has_no_result(web):
    job = web.issue("SELECT nothing").json()["job_id"]
    assert web("GET", f"/v3/job/status/{job}").json()["status"] == "error"
    assert web("GET", f"/v3/job/result/{job}").status_code == 404


def test_a_part_of_a_result_is_206_and_one_beyond_it_416(web):
    job = web.issue("SELECT n FROM UNNEST(sequence(1, 100)) a(n)").json()["job_id"]
    assert web("GET", f"/v3/job/status/{job}").json()["status"] == "success"
    path = f"/v3/job/result/{job}?format=msgpack.gz"
    whole = web("GET", path).content
    part = web("GET", path, headers={"Range": "bytes=10-19"})
    assert (part.status_code, part.content) == (206, whole[10:20])
    assert part.headers["Content-Range"] == f"bytes 10-19/{len(whole)}"
    assert web("GET", path, headers={"Range": "bytes=10-"}).content == whole[10:]
    assert web("GET", path, headers={"Range": f"bytes={len(whole)}-"}).status_code == 416
    assert web("GET", path, headers={"Range": "rows=1"}).status_code == 416
    assert web("GET", f"/v3/job/result/{job}?format=csv").status_code == 422


def test_a_statement_that_writes_has_an_empty_result(web):
    job = web.issue("CREATE TABLE crm.copy AS SELECT * FROM customers").json()["job_id"]
    assert web("GET", f"/v3/job/status/{job}").json()["status"] == "success"
    assert web("GET", f"/v3/job/result/{job}").content == b""
    assert web("GET", "/v3/table/show/crm/copy").json()["count"] == 2


def test_jobs_are_listed_by_place_and_status(web):
    for sql in ("SELECT 1", "SELECT nothing", "SELECT 3"):
        web("GET", f"/v3/job/status/{web.issue(sql).json()['job_id']}")
    listed = web("GET", "/v3/job/list?from=0&to=1").json()["jobs"]
    assert [job["query"] for job in listed] == ["SELECT 3", "SELECT nothing"]
    assert [job["query"] for job in web("GET", "/v3/job/list?status=error").json()["jobs"]] == [
        "SELECT nothing"
    ]


def test_a_page_of_trino_can_be_had_once_more(web):
    headers = {"X-Trino-User": KEY, "X-Trino-Schema": "crm"}
    first = web("POST", "/v1/statement", data="SELECT * FROM customers ORDER BY id", headers=headers).json()
    path = urlsplit(first["nextUri"]).path
    page, again = web("GET", path).json(), web("GET", path).json()
    assert page == again
    assert [row[1] for row in page["data"]] == ["+62811", "0091"]
    assert "nextUri" not in page
    assert web("GET", path.replace("/0", "/7")).status_code == 404


def test_a_statement_too_long_for_presto_is_refused(web):
    headers = {"X-Trino-User": KEY, "X-Trino-Schema": "crm"}
    first = web("POST", "/v1/statement", data=f"SELECT '{'x' * 1_000_000}'", headers=headers).json()
    error = web("GET", urlsplit(first["nextUri"]).path).json()["error"]
    assert "exceeds the maximum length" in error["message"]


def test_trino_tells_which_failure_it_was(sandbox, web):
    headers = {"X-Trino-User": KEY, "X-Trino-Schema": "crm"}
    sandbox.faults("job-error:#1", "job-killed:#2")
    errors = []
    for _ in range(2):
        first = web("POST", "/v1/statement", data="SELECT 1", headers=headers).json()
        errors.append(web("GET", urlsplit(first["nextUri"]).path).json()["error"]["errorName"])
    assert errors == ["GENERIC_INTERNAL_ERROR", "ADMINISTRATIVELY_KILLED"]


def test_a_slow_statement_of_trino_is_asked_for_again(sandbox, web):
    sandbox.faults("job-slow::1200ms")
    headers = {"X-Trino-User": KEY, "X-Trino-Schema": "crm"}
    page = web("POST", "/v1/statement", data="SELECT 1", headers=headers).json()
    pages = 0
    while "nextUri" in page:
        page = web("GET", urlsplit(page["nextUri"]).path).json()
        pages += 1
    assert (page["data"], pages) == ([[1]], 2)


def test_imports_that_cannot_be_are_refused(web, sandbox):
    web("POST", "/v3/table/create/crm/log")
    body = packed({"time": 1})
    for path, data in (
        ("/v3/table/import_with_id/crm/log/run-1/msgpack.gz", body),
        ("/v3/table/import/crm/log/csv", body),
        ("/v3/table/import_with_id/crm/log/ab/msgpack.gz", b"no msgpack"),
        ("/v3/table/import_with_id/crm/log/ac/msgpack.gz", b"\x1f\x8bno gzip"),
        ("/v3/table/import_with_id/crm/log/ad/msgpack.gz", b"\x01\x02"),
    ):
        assert web("PUT", path, data=data).status_code == 422, path
    assert sandbox.rows("crm", "log") == []
    assert on_their_way(sandbox) == []
    long_id = "a" * 200
    assert web("PUT", f"/v3/table/import_with_id/crm/log/{long_id}/msgpack", data=body).status_code == 200
    assert len(sandbox.rows("crm", "log")) == 1


def test_names_and_schemas_that_cannot_be_are_refused(web):
    assert web("POST", "/v3/database/create/..%2Fx").status_code in {404, 422}
    assert web("POST", "/v3/database/create/x-y").status_code == 422
    assert web("POST", "/v3/table/create/crm/x.y").status_code == 422
    assert web("POST", "/v3/table/create/crm/t", data={"schema": "["}).status_code == 422
    assert web("POST", "/v3/table/create/nowhere/t").status_code == 404


def test_a_schema_can_be_appended_to(web):
    web("POST", "/v3/table/create/crm/t", data={"schema": json.dumps([["a", "string"], ["time", "long"]])})
    added = {"schema": json.dumps([["b", "double"]])}
    assert web("POST", "/v3/table/append-schema/crm/t", data=added).status_code == 200
    assert web("GET", "/v3/table/show/crm/t").json()["schema"] == '[["a", "string"], ["b", "double"]]'


def test_a_bulk_import_goes_step_by_step(web, sandbox):
    web("POST", "/v3/table/create/crm/log")
    assert web("POST", "/v3/bulk_import/create/s/crm/nothing").status_code == 404
    assert web("POST", "/v3/bulk_import/create/s/crm/log").status_code == 200
    assert web("POST", "/v3/bulk_import/create/s/crm/log").status_code == 409
    for part, body in (("a", packed({"n": 9})), ("a", packed({"n": 1}, {"n": 2})), ("b", b"broken")):
        assert web("PUT", f"/v3/bulk_import/upload_part/s/{part}", data=body).status_code == 200
    assert web("POST", "/v3/bulk_import/commit/s").status_code == 422
    web("POST", "/v3/bulk_import/freeze/s")
    assert web("PUT", "/v3/bulk_import/upload_part/s/c", data=b"").status_code == 422
    job = web("POST", "/v3/bulk_import/perform/s").json()["job_id"]
    assert web("POST", "/v3/bulk_import/perform/s").status_code == 409
    assert web("GET", f"/v3/job/status/{job}").json()["status"] == "success"
    shown = web("GET", "/v3/bulk_import/show/s").json()
    assert (shown["valid_records"], shown["error_parts"], shown["status"]) == (2, 1, "ready")
    web("POST", "/v3/bulk_import/commit/s")
    assert sorted(row["n"] for row in sandbox.rows("crm", "log")) == [1, 2]
    assert web("POST", "/v3/bulk_import/delete/s").status_code == 200
    assert on_their_way(sandbox) == []


def test_a_data_file_that_cannot_be_read_is_an_error_without_a_path_of_this_machine(sandbox, web):
    (sandbox.data / "crm" / "broken.parquet").write_bytes(b"PAR1 no")
    answer = web("GET", "/v3/table/show/crm/broken")
    assert answer.status_code == 422
    assert str(sandbox.data) not in answer.text
    job = web.issue("SELECT * FROM broken").json()["job_id"]
    web("GET", f"/v3/job/status/{job}")
    stderr = web("GET", f"/v3/job/show/{job}").json()["debug"]["stderr"]
    assert "broken.parquet" in stderr
    assert str(sandbox.data) not in stderr


def test_a_fault_with_a_retry_after_names_it(sandbox, web):
    sandbox.faults("429@job_issue:#1:2s", "503@job_issue:#2:3s", "503@job_issue:#3")
    answers = [web.issue("SELECT 1") for _ in range(4)]
    assert [answer.status_code for answer in answers] == [429, 503, 503, 200]
    assert [answer.headers.get("Retry-After") for answer in answers] == ["2", "3", None, None]


def test_a_slow_answer_comes_after_its_time(sandbox, web):
    sandbox.faults("slow-after-accept@job_issue::300ms")
    before = time.monotonic()
    assert web.issue("SELECT 1").status_code == 200
    assert time.monotonic() - before >= 0.3
    assert len(sandbox.jobs()) == 1


@pytest.mark.parametrize(
    ("fault", "jobs"),
    [("reset-before-accept", 0), ("reset-after-accept", 1), ("drop::50ms", 0), ("truncated", 1)],
)
def test_a_connection_that_breaks_has_or_has_not_done_the_work(sandbox, web, fault, jobs):
    name, _, argument = fault.partition("::")
    sandbox.faults(f"{name}@job_issue::{argument}" if argument else f"{name}@job_issue")
    with pytest.raises((requests.ConnectionError, requests.exceptions.ChunkedEncodingError)):
        web.issue("SELECT 1")
    assert len(sandbox.jobs()) == jobs


def test_a_truncated_result_ends_in_the_middle(sandbox, web):
    job = web.issue("SELECT n FROM UNNEST(sequence(1, 9999)) a(n)").json()["job_id"]
    web("GET", f"/v3/job/status/{job}")
    whole = len(web("GET", f"/v3/job/result/{job}?format=msgpack").content)
    sandbox.faults("truncated@job_result")
    place = urlsplit(sandbox.url)
    connection = http.client.HTTPConnection(place.hostname, place.port, timeout=10)
    connection.request("GET", f"/v3/job/result/{job}?format=msgpack", headers={"Authorization": f"TD1 {KEY}"})
    with pytest.raises(http.client.IncompleteRead) as caught:
        connection.getresponse().read()
    connection.close()
    assert len(caught.value.partial) == whole // 2


def test_faults_are_read_and_replaced_and_nonsense_is_refused(sandbox, web):
    sandbox.faults("500@import")
    assert sandbox.ask("/sandbox/faults")["faults"] == ["500@import"]
    for body in (b"{", b"[]", b'{"faults": 1}', b'{"faults": [1]}', b'{"faults": ["999"]}'):
        assert web("POST", "/sandbox/faults", data=body).status_code == 400
    assert sandbox.ask("/sandbox/faults")["faults"] == ["500@import"]


def test_the_record_has_jobs_and_calls_and_can_be_forgotten(sandbox, web):
    web.issue("SELECT 1", domain_key="k", scheduled_time="5")
    web("GET", "/v3/database/list")
    (job,) = sandbox.jobs()
    assert (job["sql"], job["domain_key"], job["scheduled_time"], job["fault"]) == ("SELECT 1", "k", 5, None)
    calls = sandbox.ask("/sandbox/calls.json")
    assert calls["total"] == 2
    assert {"method": "GET", "path": "/v3/database/list", "call": "database_list", "count": 1} in calls[
        "calls"
    ]
    sandbox.reset()
    assert (sandbox.jobs(), sandbox.ask("/sandbox/calls.json")["total"]) == ([], 0)
    assert web.issue("SELECT 1", domain_key="k").status_code == 200


def test_what_was_written_is_there_for_the_next_sandbox_and_results_are_gone(tmp_path):
    with td_process(tmp_path) as first, requests.Session() as session:
        session.trust_env = False
        web = Web(first.url, session)
        web("POST", "/v3/database/create/lab")
        web("POST", "/v3/table/create/lab/log")
        web(
            "PUT", "/v3/table/import_with_id/lab/log/ab/msgpack.gz", data=packed({"time": 1, "phone": "0091"})
        )
        web("GET", f"/v3/job/status/{web.issue('SELECT 1', database='lab').json()['job_id']}")
    assert list((tmp_path / "store" / ".work").iterdir()) == []
    with td_sandbox(tmp_path) as second:
        assert second.rows("lab", "log") == [{"time": 1, "phone": "0091"}]
        assert second.rows("lab", "nothing") == []


def test_the_calls_of_audience_studio_are_counted_and_struck_as_the_others(tmp_path, monkeypatch):
    def audience_routes(audiences, run_count):
        async def population(request):
            return aiohttp.web.json_response({"count": run_count("crm", "SELECT * FROM customers")})

        async def missing(request):
            raise aiohttp.web.HTTPNotFound(text='{"errors": {}}', content_type="application/json")

        return [aiohttp.web.get("/audiences/1", population), aiohttp.web.get("/audiences/2", missing)]

    monkeypatch.setattr("runner.sandbox.td_audiences.audience_routes", audience_routes)
    write_table(tmp_path / "data", "crm/customers.csv", "id\n1\n2\n")
    with td_sandbox(tmp_path, faults=["503@audience:#3"]) as sandbox, requests.Session() as session:
        session.trust_env = False
        ask = Web(sandbox.url, session)
        assert ask("GET", "/audiences/1").json() == {"count": 2}
        missing = ask("GET", "/audiences/2")
        assert (missing.status_code, missing.json()) == (404, {"errors": {}})
        assert ask("GET", "/audiences/1").status_code == 503
        assert ask("GET", "/audiences/1", headers={"Authorization": ""}).status_code == 401
        assert sandbox.calls("audience") == 4
