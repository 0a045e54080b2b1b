"""The segment source audience_studio, on the shipped sandbox: three reading calls, one job, never a write."""

import json
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from functools import partial
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from runner.campaign import Segment
from runner.errors import SegmentError, TreasureDataError, UsageError
from runner.project import Project
from runner.sandbox.td_audiences import audience_routes
from runner.segments.audience_studio import fetch
from runner.segments.interface import Remote
from runner.treasure_data.account import find_account
from runner.treasure_data.audiences import AudienceStudio
from tests.sandbox.td import KEY, td_sandbox

RULE = {"type": "And", "conditions": [{"x": 1}]}
SQL = 'select\n  a.*\nfrom "cdp_audience_7"."customers" a\nwhere (\n  (a."tier" = \'vip\')\n)\n'
PARENTS = [
    {
        "id": "7",
        "name": "Customers",
        "age": "3h",
        "folders": [
            {"id": "1", "name": "WhatsApp", "parentFolderId": None},
            {"id": "2", "name": "Old", "parentFolderId": "1"},
            {"id": "3", "name": "Ring", "parentFolderId": "3"},
        ],
        "segments": [
            {"id": "70", "name": "VIP", "folder": "1", "population": 1234, "rule": RULE, "sql": SQL},
            {"id": "71", "name": "twin", "folder": "1", "rule": {"a": 1}, "sql": SQL},
            {"id": "72", "name": "twin", "folder": "2", "rule": {"a": 2}, "sql": SQL},
            {"id": "73", "name": "live", "kind": 1, "rule": {"a": 3}, "sql": SQL},
            {"id": "74", "name": "stage", "kind": 2, "rule": {"a": 4}, "sql": SQL},
            {"id": "75", "name": "everybody", "rule": {}, "sql": SQL},
            {"id": "76", "name": "left out", "rule": {"a": 5}, "sql": SQL, "rule_in_list": False},
            {"id": "77", "name": "70", "rule": {"a": 6}, "sql": SQL},
            {"id": "78", "name": "writes", "rule": {"a": 7}, "sql": "DROP TABLE x"},
            {"id": "79", "name": "ringed", "folder": "3", "rule": {"a": 8}, "sql": SQL},
            {"id": "80", "name": "ringed", "folder": "9", "rule": {"a": 9}, "sql": SQL},
            {"id": "81", "name": "unknown rule", "rule": {"a": 10}, "sql": " "},
        ],
    },
    {"id": "8", "name": "No age", "segments": [{"id": "80", "name": "VIP", "rule": RULE, "sql": SQL}]},
    {"id": "9", "name": "Same", "segments": []},
    {"id": "10", "name": "Same", "segments": []},
    {"id": "11", "name": "No table", "segments": []},
]


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    folder = tmp_path_factory.mktemp("cdp")
    for parent in ("7", "8", "9", "10"):
        (folder / f"data/cdp_audience_{parent}").mkdir(parents=True)
        table = pa.table({"id": ["c1", "c2"], "phone": ["+6591234567", "0091"], "tier": ["vip", "gold"]})
        pq.write_table(table, folder / f"data/cdp_audience_{parent}/customers.parquet")
    audiences = folder / "audiences.json"
    audiences.write_text(json.dumps(PARENTS))
    with td_sandbox(folder, audiences=audiences) as sandbox:
        yield sandbox


@pytest.fixture
def sandbox(place, monkeypatch):
    for name in ("HTTP_PROXY", "http_proxy"):
        monkeypatch.delenv(name, raising=False)
    place.reset()
    yield place
    place.faults()


@pytest.fixture
def account(sandbox, tmp_path):
    return find_account(sandbox.environ, home=tmp_path)


@pytest.fixture
def get(tmp_path, account, monkeypatch):
    """Return a function that fetches a segment of a parent segment."""
    hasty = partial(AudienceStudio, sleep=lambda seconds: None)
    monkeypatch.setattr("runner.segments.audience_studio.AudienceStudio", hasty)
    root = tmp_path / "project"
    root.mkdir()
    project = Project(root=root, data=root / "data", state=root / ".runner", ledger="", providers={})
    remote = Remote(
        account=lambda: account,
        tell=lambda text: None,
        campaign="promo",
        now=datetime.now(timezone.utc),
        phone="phone",
    )

    def get(parent="Customers", segment="VIP", *, columns=("id", "phone"), max_age=None):
        wanted = Segment(source="audience_studio", parent_segment=parent, segment=segment, max_age=max_age)
        path = tmp_path / "rows.parquet"
        fetched = fetch(wanted, project=project, columns=list(columns), target=path, remote=remote)
        get.rows = pq.read_table(path).to_pylist()
        return fetched

    return get


@pytest.mark.parametrize(("parent", "segment"), [("Customers", "VIP"), ("7", "70"), ("7", "VIP")])
def test_a_segment_is_found_by_names_and_by_ids(get, parent, segment):
    fetched = get(parent, segment)
    assert get.rows == [{"id": "c1", "phone": "+6591234567"}]
    assert "(a.\"tier\" = 'vip')" in fetched.sql
    assert fetched.sql.startswith('SELECT "id", "phone"\nFROM (')


def test_the_plan_can_show_who_how_many_and_how_old(get):
    facts = get().facts
    assert list(facts) == ["parent segment", "segment", "population", "updated", "job", "database", "engine"]
    assert facts["parent segment"] == "Customers (7)"
    assert facts["segment"] == "VIP (70)"
    assert facts["population"] == "1,234"
    assert facts["updated"].endswith("UTC, 3 h ago")
    assert facts["database"] == "cdp_audience_7"


def test_it_makes_three_reading_calls_and_no_other(get, sandbox):
    get()
    calls = {
        (call["method"], call["path"])
        for call in sandbox.ask("/sandbox/calls.json")["calls"]
        if call["call"] == "audience"
    }
    assert calls == {
        ("GET", "/audiences"),
        ("GET", "/audiences/7/segments"),
        ("POST", "/audiences/7/segments/query"),
    }


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("PUT", "/audiences/7/segments/70"),
        ("DELETE", "/audiences/7"),
        ("POST", "/audiences/7/segments"),
        ("GET", "/audiences/7/../8/segments"),
        ("POST", "/audiences/7/segments/query/../x"),
    ],
)
def test_no_other_request_can_be_made(account, method, path):
    with pytest.raises(TreasureDataError, match="is only read"):
        AudienceStudio(account)._read(method, path)


def test_two_segments_with_one_name_are_listed_with_their_folders_and_refused(get):
    with pytest.raises(SegmentError, match="71 in WhatsApp; 72 in WhatsApp/Old") as caught:
        get(segment="twin")
    assert caught.value.hint == "give the id"
    assert get(segment="71").rows == 1


def test_folders_in_a_ring_or_unknown_are_shown_all_the_same(get):
    with pytest.raises(SegmentError, match="79 in Ring; 80 in folder 9"):
        get(segment="ringed")


def test_an_id_wins_over_a_name(get):
    assert get(segment="70").facts["segment"] == "VIP (70)"


def test_two_parent_segments_with_one_name_are_refused(get):
    with pytest.raises(SegmentError, match="2 parent segments named 'Same'") as caught:
        get("Same")
    assert caught.value.hint == "give an id: 9, 10"


@pytest.mark.parametrize(
    ("parent", "segment", "words", "hint"),
    [
        ("Customer", "VIP", "no parent segment 'Customer'", "did you mean 'Customers'?"),
        ("xyz", "VIP", "no parent segment 'xyz'", "there are: Customers, No age, Same, Same"),
        ("Customers", "VIPs", "no segment of 'Customers' 'VIPs'", "did you mean 'VIP'?"),
        ("Same", "x", "2 parent segments", "give an id"),
        ("9", "x", "no segment of 'Same' 'x'", "there are: none"),
    ],
)
def test_what_is_not_there_is_said_with_what_is(get, parent, segment, words, hint):
    with pytest.raises(SegmentError, match=words) as caught:
        get(parent, segment)
    assert caught.value.hint.startswith(hint)


@pytest.mark.parametrize(
    ("segment", "words"), [("live", "a realtime segment"), ("stage", "a stage of a funnel")]
)
def test_only_a_batch_segment_has_sql(get, segment, words):
    with pytest.raises(SegmentError, match=words):
        get(segment=segment)


def test_a_segment_without_a_rule_is_refused_because_it_would_be_everybody(get):
    with pytest.raises(SegmentError, match="that would be everybody"):
        get(segment="everybody")


def test_a_rule_that_the_list_leaves_out_is_asked_for(get, sandbox):
    assert get(segment="left out").rows == 1


@pytest.mark.parametrize(("hours", "holds"), [(4, True), (2, False)])
def test_a_parent_segment_older_than_max_age_is_refused(get, hours, holds):
    if holds:
        assert get(max_age=timedelta(hours=hours)).rows == 1
        return
    with pytest.raises(SegmentError, match=r"was made .* UTC, 3 h ago; `max_age` is 2 h") as caught:
        get(max_age=timedelta(hours=hours))
    assert "workflow" in caught.value.hint


def test_without_a_date_max_age_cannot_hold(get):
    assert get("No age").facts["updated"] == "not known"
    with pytest.raises(SegmentError, match="does not say when it was made"):
        get("No age", max_age=timedelta(days=9))


def test_sql_from_the_api_is_checked_like_any_other(get):
    with pytest.raises(SegmentError, match=r"is not a SELECT|cannot be read"):
        get(segment="writes")


def test_a_rule_that_has_no_sql_is_said_and_nothing_runs(get, sandbox):
    with pytest.raises(TreasureDataError, match="answer to /audiences/7/segments/query cannot be read"):
        get(segment="unknown rule")
    assert sandbox.jobs() == []


def test_columns_that_the_segment_does_not_have_are_the_jobs_own_words(get):
    with pytest.raises(SegmentError, match=r"job \d+ failed: .*mobile"):
        get(columns=["mobile"])


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        ("401:@audience", "does not accept the key"),
        ("403:@audience", "does not let this key read"),
        ("404:@audience", "has no such thing"),
        ("429:@audience", "asks to slow down"),
        ("500:@audience", "answers with an error"),
        ("html502:@audience", "answers with an error"),
        ("400:@audience", "says no"),
        ("reset-before-accept:@audience", "does not answer"),
        ("truncated:@audience", "cannot be read"),
    ],
)
def test_each_answer_has_its_words_and_never_the_key(get, sandbox, fault, words):
    sandbox.faults(fault)
    with pytest.raises(TreasureDataError, match=words) as caught:
        get()
    assert "\n" not in caught.value.message
    assert KEY not in f"{caught.value.message}{caught.value.hint}"


@pytest.mark.parametrize(
    ("fault", "hint"),
    [
        ("429:@audience", "try again later"),
        ("500:@audience", "try again later"),
        ("422:@audience", "check the key"),
    ],
)
def test_the_reason_that_is_given_is_told_with_its_remedy(get, sandbox, fault, hint):
    sandbox.faults(fault)
    with pytest.raises(TreasureDataError, match="The sandbox was told to answer so") as caught:
        get()
    assert caught.value.hint.startswith(hint)


@pytest.mark.parametrize(
    "fault",
    ["500@audience:#1", "429@audience:#1:1s", "reset-before-accept@audience:#2", "truncated@audience:#3"],
)
def test_what_passes_is_tried_again(get, sandbox, fault):
    sandbox.faults(fault)
    assert get().rows == 1


def test_nobody_there_is_said(get, account, tmp_path):
    studio = AudienceStudio(replace(account, cdp="http://127.0.0.1:9"), sleep=lambda seconds: None)
    with pytest.raises(TreasureDataError, match=r"does not answer at 127\.0\.0\.1:9 "):
        studio.parents()


@pytest.fixture
def answering():
    """Return a function that serves one JSON text to whatever is asked, and gives its address."""
    servers = []

    def answering(body, status=200):
        class Handler(BaseHTTPRequestHandler):
            def do_GET(self):
                self.send_response(status)
                self.send_header("Location", "http://127.0.0.1:9/elsewhere")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def do_POST(self):
                self.do_GET()

            def log_message(self, *arguments):
                pass

        server = HTTPServer(("127.0.0.1", 0), Handler)
        servers.append(server)
        Thread(target=server.serve_forever, daemon=True).start()
        return f"http://127.0.0.1:{server.server_port}"

    yield answering
    for server in servers:
        server.shutdown()
        server.server_close()


@pytest.mark.parametrize(
    "body",
    [
        {"data": [{"id": "1", "attributes": {"name": "A", "population": "5"}}]},
        [{"data": {"id": 1, "attributes": {"name": "A", "population": 5}}}],
        [{"id": 1, "name": "A", "population": 5, "matrixUpdatedAt": "2026-11-24 01:00:00 UTC"}],
    ],
)
def test_lists_are_read_in_each_shape_they_are_known_in(account, answering, body):
    studio = AudienceStudio(replace(account, cdp=answering(json.dumps(body).encode())))
    (parent,) = studio.parents()
    assert (parent.id, parent.name, parent.population) == ("1", "A", 5)
    studio.close()


@pytest.mark.parametrize("body", [b"not json", b"[" * 100_000])
def test_an_answer_that_is_no_json_is_said(account, answering, body):
    studio = AudienceStudio(replace(account, cdp=answering(body)))
    with pytest.raises(TreasureDataError, match="cannot be read"):
        studio.parents()
    studio.close()


def test_a_redirect_is_not_followed_with_the_key(account, answering):
    studio = AudienceStudio(replace(account, cdp=answering(b"", status=307)))
    with pytest.raises(TreasureDataError, match=r"says no \(307"):
        studio.parents()
    studio.close()


@pytest.mark.parametrize("body", [b"{}", b"[]", b'{"sql": 1}', b'{"sql": " "}'])
def test_an_answer_without_sql_or_segment_is_said(account, answering, body):
    studio = AudienceStudio(replace(account, cdp=answering(body)))
    with pytest.raises(TreasureDataError, match="cannot be read"):
        studio.sql("7", RULE)
    with pytest.raises(TreasureDataError, match="cannot be read"):
        studio.segment("7", "70")
    assert studio.folders("7") == {}
    studio.close()


def test_an_answer_too_large_is_not_kept(account, answering, monkeypatch):
    monkeypatch.setattr("runner.treasure_data.audiences._LARGEST", 10)
    studio = AudienceStudio(replace(account, cdp=answering(b"[" + b" " * 100 + b"]")))
    with pytest.raises(TreasureDataError, match="cannot be read"):
        studio.parents()
    studio.close()


def test_the_sandbox_refuses_every_write(sandbox):
    import requests

    headers = {"Authorization": f"TD1 {KEY}"}
    for method in ("PUT", "PATCH", "DELETE", "POST"):
        answer = requests.request(
            method, f"{sandbox.url}/audiences/7/segments/70", headers=headers, timeout=9
        )
        assert answer.status_code == 405


def test_the_sandbox_answers_as_the_api_does(sandbox):
    import requests

    def ask(path, document=None):
        headers = {"Authorization": f"TD1 {KEY}"}
        method = "GET" if document is None else "POST"
        return requests.request(method, sandbox.url + path, json=document, headers=headers, timeout=9)

    assert ask("/audiences/7").json()["population"] == 2
    assert ask("/audiences/99").status_code == ask("/audiences/7/segments/1").status_code == 404
    assert '"customers" a' in ask("/audiences/7/segments/query", {"format": "sql"}).json()["sql"]
    assert ask("/audiences/7/segments/query", {"rule": {"none": 1}}).status_code == 422


@pytest.mark.parametrize(
    "text", ["{", '[{"id": 1}]', '[{"id": 1, "name": "a", "age": "x", "segments": []}]', "[1]"]
)
def test_a_file_of_parent_segments_that_is_none_is_refused(tmp_path, text):
    path = Path(tmp_path / "audiences.json")
    path.write_text(text)
    with pytest.raises(UsageError, match=r"audiences\.json cannot be read"):
        audience_routes(path, lambda database, sql: 0)


def test_a_parent_segment_whose_table_is_not_there_hides_no_other(account):
    studio = AudienceStudio(account)
    populations = {parent.name: parent.population for parent in studio.parents()}
    studio.close()
    assert populations == {"Customers": 2, "No age": 2, "Same": 2, "No table": None}
