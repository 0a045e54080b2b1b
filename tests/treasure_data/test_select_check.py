"""runner.treasure_data.select_check: one SELECT that writes nothing, in the dialect of its engine."""

import pytest

from runner.errors import SegmentError
from runner.treasure_data.select_check import check_select

ENGINES = pytest.mark.parametrize("engine", ["trino", "hive"])


@ENGINES
@pytest.mark.parametrize(
    "sql",
    [
        "SELECT 1",
        "-- @TD engine: x\nWITH a AS (SELECT 1 AS x) SELECT * FROM a UNION ALL SELECT 2",
        "SELECT * FROM t WHERE TD_TIME_RANGE(time, '2026-01-01', NULL, 'JST')",
        "SELECT TD_TIME_FORMAT(TD_SCHEDULED_TIME(), 'yyyy-MM-dd') FROM db.t;",
        "SELECT a.* FROM (SELECT * FROM t) a JOIN u ON a.id = u.id",
    ],
)
def test_a_select_passes(engine, sql):
    check_select(sql, engine)


def test_what_only_one_engine_knows_passes_there():
    check_select('SELECT "a" FROM t CROSS JOIN UNNEST(b) AS x (c)', "trino")
    check_select("SELECT `a` FROM t LATERAL VIEW explode(b) x AS c", "hive")


@ENGINES
@pytest.mark.parametrize(
    "sql",
    [
        "INSERT INTO t SELECT 1",
        "DELETE FROM t",
        "UPDATE t SET a = 1",
        "CREATE TABLE x AS SELECT 1",
        "DROP TABLE t",
        "ALTER TABLE t ADD COLUMN a int",
        "SELECT * INTO x FROM t",
        "EXPLAIN SELECT 1",
        "CALL x()",
        "SET SESSION a = 1",
        "USE x",
        "GRANT SELECT ON t TO me",
    ],
)
def test_what_is_no_select_is_refused(engine, sql):
    with pytest.raises(SegmentError, match=r"is not a SELECT|cannot be read") as caught:
        check_select(sql, engine)
    assert "\n" not in caught.value.message


@ENGINES
@pytest.mark.parametrize(
    "sql",
    [
        "{# another parser reads on #} SELECT 1",
        "SELECT 1 {# DROP TABLE t #}",
        "SELECT 1\x0b",
        "SELECT 1 -- a\0b",
    ],
)
def test_what_parsers_read_in_two_ways_is_refused(engine, sql):
    with pytest.raises(SegmentError, match="holds a comment or a character that is read in two ways"):
        check_select(sql, engine)


def test_a_comment_within_a_comment_is_refused_because_trino_and_hive_end_it_earlier():
    sql = "SELECT 1\n/* /* */ UNION ALL SELECT 2 -- */"
    with pytest.raises(SegmentError, match="from line 1 holds a comment or a character"):
        check_select(sql, "hive")
    with pytest.raises(SegmentError):
        check_select(sql, "trino")


@ENGINES
@pytest.mark.parametrize(
    "call", ["reflect('java.lang.System', 'exit', 1)", "Reflect2(a, 'b')", "java_method('a', 'b')"]
)
def test_a_function_that_runs_something_else_is_refused_by_its_name(engine, call):
    name = call.partition("(")[0].lower()
    with pytest.raises(SegmentError, match=f"calls `{name}`") as caught:
        check_select(f"SELECT {call} FROM t", engine)
    assert caught.value.hint == "a segment only reads; it runs nothing else"


def test_a_statement_handed_to_another_system_is_refused():
    with pytest.raises(SegmentError, match="calls `query`"):
        check_select("SELECT * FROM TABLE(mysql.system.query(query => 'DROP TABLE t'))", "trino")


def test_hives_way_to_write_from_a_select_is_refused():
    with pytest.raises(SegmentError, match="is not a SELECT"):
        check_select("FROM t INSERT OVERWRITE TABLE x SELECT 1", "hive")


@ENGINES
def test_two_statements_are_refused(engine):
    with pytest.raises(SegmentError, match="holds 2 statements"):
        check_select("SELECT 1; DROP TABLE t", engine)


@ENGINES
@pytest.mark.parametrize("sql", ["", "  -- nothing\n"])
def test_nothing_is_refused(engine, sql):
    with pytest.raises(SegmentError, match="holds 0 statements"):
        check_select(sql, engine)


@ENGINES
def test_a_mistake_is_shown_with_its_place(engine):
    with pytest.raises(SegmentError, match=r"cannot be read as \w+ SQL, line 2, column \d+"):
        check_select("SELECT a\nFROM t WHERE (", engine)


@ENGINES
def test_a_variable_of_td_workflow_is_pointed_to_parameters(engine):
    with pytest.raises(SegmentError, match="variable of TD Workflow") as caught:
        check_select("SELECT '${session_date}'", engine)
    assert ":name" in caught.value.hint


def test_a_query_longer_than_the_engine_takes_is_refused():
    with pytest.raises(SegmentError, match="has 1,000,0"):
        check_select("SELECT 1 -- " + "x" * 1_000_000, "trino")


@ENGINES
def test_a_query_nested_too_deeply_is_an_error_of_one_line(engine):
    with pytest.raises(SegmentError):
        check_select("SELECT " + "(" * 5000 + "1" + ")" * 5000, engine)
