"""What every segment source does, whatever it reads: one test per promise, run over all sources."""

import importlib

import pyarrow.parquet
import pytest

from runner import segments
from runner.campaign import Segment
from runner.errors import SegmentError
from runner.segments import segment_source
from runner.segments.interface import Fetched

#: For each source, a query that returns (`customer_id`, `phone`) of c1 and c2, in that order.
QUERIES = {"duckdb": "SELECT customer_id, phone FROM 'data/customers.csv' ORDER BY customer_id"}

sources = pytest.mark.parametrize("name", sorted(QUERIES))


def test_every_source_of_this_version_is_held_to_the_contract():
    assert set(QUERIES) == set(segments._SOURCES)


@pytest.mark.parametrize("name", ["treasure_data", "audience_studio", "interface", "DuckDB", "../x", ""])
def test_a_source_that_is_not_there_is_an_error_that_lists_those_that_are(name):
    with pytest.raises(SegmentError, match="is not in this version") as caught:
        segment_source(name)
    assert caught.value.hint == f"the sources are: {', '.join(sorted(QUERIES))}"


@sources
def test_a_source_is_the_fetch_of_the_module_of_its_name(name):
    assert segment_source(name) is importlib.import_module(f"runner.segments.{name}").fetch


@sources
def test_a_fetch_writes_the_wanted_columns_in_the_querys_order_and_says_what_it_wrote(
    name, project, tmp_path
):
    target = tmp_path / "rows.parquet"
    segment = Segment(source=name, query=QUERIES[name])
    fetched = segment_source(name)(segment, project=project, columns=["phone", "customer_id"], target=target)
    table = pyarrow.parquet.read_table(target)
    assert isinstance(fetched, Fetched)
    assert table.column_names == list(fetched.column_types) == ["phone", "customer_id"]
    assert table.column("customer_id").to_pylist() == ["c1", "c2"]
    assert fetched.rows == 2
    assert "SELECT" in fetched.sql
    assert target.stat().st_mode & 0o777 == 0o600


@sources
def test_a_column_that_is_not_returned_is_named_before_anything_is_written(name, project, tmp_path):
    target = tmp_path / "rows.parquet"
    segment = Segment(source=name, query=QUERIES[name])
    with pytest.raises(SegmentError, match="does not return `phones`") as caught:
        segment_source(name)(segment, project=project, columns=["phones"], target=target)
    assert caught.value.hint == "did you mean `phone`?"
    assert not target.exists()


@sources
@pytest.mark.parametrize("query", ["DELETE FROM customers", "SELECT 1; SELECT 2", "selec 1", ""])
def test_what_is_not_one_select_is_refused_in_one_line(name, query, project, tmp_path):
    target = tmp_path / "rows.parquet"
    with pytest.raises(SegmentError) as caught:
        segment_source(name)(
            Segment(source=name, query=query), project=project, columns=["customer_id"], target=target
        )
    assert "\n" not in caught.value.message
    assert not target.exists()
