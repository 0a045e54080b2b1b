import duckdb
import pytest

from runner.segments.duckdb_errors import Running, Said, explain, said

RUNNING = Running(
    sql="SELECT a FROM 'data/a.csv'",
    files=["data/a.csv"],
    memory_mb=64,
    shown=lambda text: text,
    original=lambda offset: offset,
)


@pytest.mark.parametrize(
    "text", ["plain words", "not json {", '{"other": 1}', "{1}", '{"exception_message"}']
)
def test_an_error_that_is_not_json_is_taken_as_it_is(text):
    assert said(duckdb.Error(text)) == Said(message=text)


def test_an_error_in_json_is_read_with_its_position_and_candidates():
    text = 'Binder Error: {"exception_message": "no x", "position": "7", "candidates": "y,f(INTEGER)"}'
    assert said(duckdb.BinderException(text)) == Said(message="no x", position=7, candidates=("y",))


def test_memory_that_python_lacks_is_memory_too():
    assert explain(MemoryError(), RUNNING).message == "segment query: needs more than 64 MB of memory"


def test_a_refused_file_without_a_name_is_still_told():
    assert "`another file`" in explain(duckdb.PermissionException("no"), RUNNING).message


def test_values_are_masked_but_what_the_query_or_its_files_say_is_not():
    message = "could not use 'Siti Rahma' of \"data/a.csv\" as 'a' or cast it to 'INTEGER'\nvalue: Siti Rahma"
    shown = explain(duckdb.InvalidInputException(message), RUNNING).message
    assert (
        shown == "segment query: could not use 'S*** *****' of \"data/a.csv\" as 'a' or cast it to 'INTEGER'"
    )
