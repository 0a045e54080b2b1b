"""What every segment source does, whatever it reads: one test per promise, run over all sources."""

import importlib
import json
from datetime import datetime, timezone

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from runner import segments
from runner.campaign import Segment
from runner.errors import SegmentError, TreasureDataError
from runner.segments import segment_source
from runner.segments.interface import Fetched, Remote
from runner.treasure_data.account import find_account
from tests.sandbox.td import td_sandbox

#: For each source, a query that returns (`customer_id`, `phone`) of c1 and c2, in that order.
QUERIES = {
    "duckdb": "SELECT customer_id, phone FROM 'data/customers.csv' ORDER BY customer_id",
    "treasure_data": "SELECT customer_id, phone FROM customers ORDER BY customer_id",
    "audience_studio": 'select\n  a.*\nfrom "cdp_audience_7"."customers" a\n',
}
NO_SELECTS = ("DELETE FROM customers", "SELECT 1; SELECT 2", "selec 1", "")
#: The sources that read a query's columns before its rows; Audience Studio's job asks for the wanted ones.
THAT_KNOW_THE_COLUMNS = ("duckdb", "treasure_data")

sources = pytest.mark.parametrize("name", sorted(QUERIES))


def segment_of(name, query):
    """Return the segment of a source whose SQL is `query`; in Audience Studio it stands behind a rule."""
    if name == "audience_studio":
        return Segment(source=name, parent_segment="Customers", segment=f"of {query}")
    return Segment(source=name, query=query, database="crm")


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A Treasure Data that has the two people as a table, and a segment for each query of these tests."""
    folder = tmp_path_factory.mktemp("td")
    people = pa.table({"customer_id": ["c1", "c2"], "phone": ["+6281234567801", "+6281234567802"]})
    for database in ("crm", "cdp_audience_7"):
        (folder / "data" / database).mkdir(parents=True)
        pq.write_table(people, folder / "data" / database / "customers.parquet")
    queries = (QUERIES["audience_studio"], *NO_SELECTS)
    made = [
        {"id": str(70 + number), "name": f"of {query}", "rule": {"number": number + 1}, "sql": query}
        for number, query in enumerate(queries)
    ]
    audiences = folder / "audiences.json"
    audiences.write_text(json.dumps([{"id": "7", "name": "Customers", "segments": made}]))
    with td_sandbox(folder, audiences=audiences) as sandbox:
        yield sandbox


@pytest.fixture
def sandbox(place, monkeypatch):
    for name in ("HTTP_PROXY", "http_proxy"):
        monkeypatch.delenv(name, raising=False)
    place.reset()
    return place


@pytest.fixture
def get(sandbox, project, tmp_path):
    """Return a function that fetches from a source as planning does."""
    remote = Remote(
        account=lambda: find_account(sandbox.environ, home=tmp_path),
        tell=lambda text: None,
        campaign="promo",
        now=datetime.now(timezone.utc),
        phone="phone",
    )

    def get(name, query, columns):
        get.target = tmp_path / "rows.parquet"
        return segment_source(name)(
            segment_of(name, query), project=project, columns=columns, target=get.target, remote=remote
        )

    return get


def test_every_source_of_this_version_is_held_to_the_contract():
    assert set(QUERIES) == set(segments._SOURCES)


@pytest.mark.parametrize("name", ["bigquery", "interface", "DuckDB", "private_file", "../x", ""])
def test_a_source_that_is_not_there_is_an_error_that_lists_those_that_are(name):
    with pytest.raises(SegmentError, match="is not in this version") as caught:
        segment_source(name)
    assert caught.value.hint == "the sources are: duckdb, treasure_data, audience_studio"


@sources
def test_a_source_is_the_fetch_of_the_module_of_its_name(name):
    assert segment_source(name) is importlib.import_module(f"runner.segments.{name}").fetch


@sources
def test_a_fetch_writes_the_wanted_columns_in_the_querys_order_and_says_what_it_wrote(name, get):
    fetched = get(name, QUERIES[name], ["phone", "customer_id"])
    table = pq.read_table(get.target)
    assert isinstance(fetched, Fetched)
    assert table.column_names == list(fetched.column_types) == ["phone", "customer_id"]
    assert table.column("customer_id").to_pylist() == ["c1", "c2"]
    assert fetched.rows == 2
    assert "SELECT" in fetched.sql
    assert get.target.stat().st_mode & 0o777 == 0o600


@sources
def test_a_column_that_is_not_returned_is_named_and_nothing_is_written(name, get, tmp_path):
    with pytest.raises(SegmentError, match="phones") as caught:
        get(name, QUERIES[name], ["phones"])
    assert "\n" not in caught.value.message
    assert caught.value.hint
    assert list(tmp_path.glob("*rows.parquet*")) == []


@pytest.mark.parametrize("name", THAT_KNOW_THE_COLUMNS)
def test_a_source_that_knows_the_columns_names_the_nearest_to_one_that_is_not_returned(name, get):
    with pytest.raises(SegmentError, match="does not return `phones`") as caught:
        get(name, QUERIES[name], ["phones"])
    assert caught.value.hint == "did you mean `phone`?"


@sources
@pytest.mark.parametrize("query", NO_SELECTS)
def test_what_is_not_one_select_is_refused_in_one_line_and_runs_nowhere(name, query, get, sandbox):
    # A rule of Audience Studio always has SQL: without any, its answer cannot be read.
    is_no_answer = name == "audience_studio" and not query
    with pytest.raises(TreasureDataError if is_no_answer else SegmentError) as caught:
        get(name, query, ["customer_id"])
    assert "\n" not in caught.value.message
    assert sandbox.jobs() == []
    assert not get.target.exists()
