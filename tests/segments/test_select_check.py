from collections.abc import Iterator

import duckdb
import pytest

from runner.errors import SegmentError
from runner.segments.rules import Rule
from runner.segments.select_check import FileUse, TableUse, check_select


@pytest.fixture(scope="module")
def connection() -> Iterator[duckdb.DuckDBPyConnection]:
    with duckdb.connect(config={"errors_as_json": "true"}) as connection:
        yield connection


def refusal(query: str, connection: duckdb.DuckDBPyConnection) -> SegmentError:
    with pytest.raises(SegmentError) as caught:
        check_select(query, connection)
    assert "\n" not in caught.value.message
    assert "\x1b" not in caught.value.message
    return caught.value


@pytest.mark.parametrize(
    "query",
    [
        "SELECT 1 AS a",
        "FROM 'data/a.csv'",
        "FROM 'data/a.csv' SELECT a",
        "(SELECT 1) UNION ALL (SELECT 2) ORDER BY 1",
        "VALUES (1), (2)",
        "SELECT * FROM (VALUES (1)) AS t(a)",
        "WITH RECURSIVE t AS (SELECT 1 AS a UNION ALL SELECT a + 1 FROM t WHERE a < 3) FROM t",
        'WITH "v1.0" AS (SELECT 1 AS a) FROM "v1.0"',
        "SELECT [x * 2 FOR x IN [1, 2]] AS a, list_transform([1], lambda x: x + 1), {'b': 1}.b",
        "FROM range(3), generate_series(1, 2), unnest([1])",
        "SELECT * EXCLUDE (b) FROM 'data/a.csv' QUALIFY row_number() OVER (PARTITION BY a) = 1",
        "SELECT a FROM 'data/a.csv' ASOF JOIN 'data/b.csv' USING (a) WHERE EXISTS (FROM 'data/c.csv')",
        "FROM (PIVOT 'data/a.csv' ON b IN ('x') USING sum(c))",
        "SELECT 'DROP TABLE x; --' AS a -- ; DELETE FROM x",
        "SELECT 1 /* ; DROP TABLE x */ AS a",
    ],
)
def test_a_select_of_any_form_is_allowed(query, connection):
    assert check_select(query, connection).sql == query


@pytest.mark.parametrize("end", [";", " ;; ", "; -- and that was all", ";\n/* the end */\n"])
def test_the_semicolon_at_the_end_is_cut_with_what_follows(end, connection):
    assert check_select(f"SELECT 1 AS a{end}", connection).sql == "SELECT 1 AS a"


BROKEN = [
    (Rule.PLAIN_TEXT, "SELECT 1\0; DROP TABLE x"),
    (Rule.PLAIN_TEXT, "SELECT '\x1b[2J'"),
    (Rule.PLAIN_TEXT, "SELECT '\ud800'"),
    (Rule.SHORT, "SELECT " + "1," * 500_001 + "1"),
    (Rule.SHALLOW, "SELECT " + "(" * 3000 + "1" + ")" * 3000),
    (Rule.SHALLOW, "SELECT * FROM " + "(SELECT * FROM " * 2000 + "t" + ")" * 2000),
    (Rule.SHALLOW, "SELECT 1" + " + 1" * 3000),
    (Rule.ONE_STATEMENT, "SELECT 1; SELECT 2"),
    (Rule.ONE_STATEMENT, "SELECT 1; DROP TABLE customers"),
    *(
        (Rule.ONLY_SELECT, statement)
        for statement in [
            "DELETE FROM crm.customers",
            "INSERT INTO crm.customers VALUES (1)",
            "UPDATE crm.customers SET a = 1",
            "MERGE INTO t USING u ON t.a = u.a WHEN MATCHED THEN DELETE",
            "TRUNCATE t",
            "CREATE TABLE t AS SELECT 1",
            "CREATE MACRO m() AS 1",
            "CREATE SECRET s (TYPE s3)",
            "DROP TABLE t",
            "ALTER TABLE t ADD b INTEGER",
            "COMMENT ON TABLE t IS 'x'",
            "COPY (SELECT 1) TO 'data/new.csv'",
            "COPY t FROM 'data/customers.csv'",
            "EXPORT DATABASE 'data'",
            "IMPORT DATABASE 'data'",
            "ATTACH 'data/new.duckdb' AS new",
            "DETACH crm",
            "INSTALL httpfs",
            "LOAD httpfs",
            "PRAGMA version",
            "SET threads = 1",
            "SET VARIABLE a = 1",
            "RESET threads",
            "USE crm",
            "BEGIN",
            "COMMIT",
            "ROLLBACK",
            "CALL pragma_version()",
            "CHECKPOINT",
            "VACUUM",
            "ANALYZE",
            "EXPLAIN SELECT 1",
            "EXPLAIN ANALYZE SELECT 1",
            "DESCRIBE SELECT 1",
            "SUMMARIZE 'data/customers.csv'",
            "SHOW TABLES",
            "PREPARE p AS SELECT 1",
            "EXECUTE p",
            "DEALLOCATE p",
            "PIVOT 'data/customers.csv' ON phone",
            "FROM (PIVOT 'data/customers.csv' ON phone USING sum(a))",
            "FROM (DESCRIBE SELECT 1)",
            "FROM (SHOW TABLES)",
            "FROM (SUMMARIZE 'data/customers.csv')",
            "SELECT 1 AS a INTO t",
            "WITH x AS (INSERT INTO crm.customers VALUES (3) RETURNING a) FROM x",
            "WITH x AS (DELETE FROM crm.customers RETURNING a) FROM x",
            "WITH x AS (UPDATE crm.customers SET a = 1 RETURNING a) FROM x",
        ]
    ),
    (Rule.NO_PARAMETERS, "SELECT ? AS a"),
    (Rule.NO_PARAMETERS, "FROM 'data/a.csv' WHERE a = $1"),
    (Rule.OWN_FUNCTIONS, "SELECT crm.twice('a')"),
    (Rule.OWN_FUNCTIONS, "FROM crm.main.range(3)"),
    *(
        (Rule.NO_SYSTEM, query)
        for query in [
            "FROM read_text('data/a.csv')",
            "FROM read_blob('data/a.csv')",
            "FROM READ_TEXT('data/a.csv')",
            "FROM glob('data/*')",
            "FROM sniff_csv('data/a.csv')",
            "FROM parquet_metadata('data/a.parquet')",
            "FROM parquet_schema('data/a.parquet')",
            "FROM query('DROP TABLE x')",
            "FROM query_table('data/a.csv')",
            "FROM duckdb_settings()",
            "FROM duckdb_settings",
            "FROM duckdb_secrets()",
            "FROM pragma_database_list",
            "FROM pragma_version()",
            "FROM sqlite_master",
            "FROM information_schema.tables",
            "FROM pg_catalog.pg_class",
            "FROM crm.pg_catalog.pg_class",
            "WITH sqlite_master AS (SELECT 1) FROM sqlite_master",
            "FROM sqlite_scan('a', 'b')",
            "FROM postgres_scan('a', 'b', 'c')",
            "FROM mysql_query('a', 'b')",
            "FROM iceberg_scan('data/a')",
            "FROM delta_scan('data/a')",
            "FROM read_xlsx('data/a.xlsx')",
            "FROM read_duckdb('data/crm.duckdb')",
            "FROM json_execute_serialized_sql('x')",
            "SELECT current_setting('temp_directory')",
            "SELECT getvariable('a')",
            "SELECT getenv('HOME')",
            "SELECT current_query()",
            "SELECT nextval('s')",
            "SELECT sleep_ms(10)",
            "SELECT write_log('x')",
            "SELECT max(pg_sleep(1)) FROM 'data/a.csv'",
            "FROM 'data/a.csv' WHERE a IN (SELECT current_setting('x')) ORDER BY 1",
            "FROM range(length(current_setting('x')))",
        ]
    ),
    *(
        (Rule.TABLE_FUNCTIONS, query)
        for query in [
            "FROM arrow_scan(1, 2, 3)",
            "FROM pandas_scan(1)",
            "FROM python_map_function(1)",
            "FROM test_all_types()",
            "FROM enable_logging()",
            "FROM checkpoint()",
            "FROM nothing_we_know()",
        ]
    ),
    *(
        (Rule.PLAIN_FILE_NAMES, query)
        for query in [
            "FROM read_csv('data/' || 'a.csv')",
            "FROM read_csv(e'data/a.csv')",
            "FROM read_csv(['data/a.csv', 'data/' || 'b.csv'])",
            "FROM read_csv([])",
            "FROM read_csv(1)",
            "FROM range(3) AS t(a), read_csv(a)",
        ]
    ),
    (Rule.KNOWN_TABLES, "FROM customers"),
    (Rule.KNOWN_TABLES, "FROM ''"),
    (Rule.KNOWN_TABLES, "WITH t AS (SELECT 1) FROM tt"),
]


@pytest.mark.parametrize(
    ("rule", "query"), BROKEN, ids=lambda value: str(value)[:40].encode("ascii", "replace")
)
def test_a_query_that_breaks_a_rule_is_told_which(rule, query, connection):
    assert f'breaks the rule "{rule.value}"' in refusal(query, connection).message


@pytest.mark.parametrize(
    "arguments",
    ["", "delim = ',', 'data/a.csv'", "'data/a' 'b.csv'", "NULL"],
)
def test_odd_arguments_of_a_file_function_pass_on_no_version(arguments, connection):
    refusal(f"FROM read_csv({arguments})", connection)


def test_every_rule_that_needs_no_file_has_a_query_that_breaks_it():
    assert {rule for rule, _ in BROKEN} == set(Rule) - {Rule.FILES_UNDER_DATA}


@pytest.mark.parametrize("query", ["", "  \n\t", "-- nothing", ";", "; ;", "/* a */"])
def test_an_empty_query_is_refused(query, connection):
    assert refusal(query, connection).message == "segment query: is empty"


@pytest.mark.parametrize(
    ("query", "place", "found"),
    [
        ("selec 1", "1:1", 'syntax error at or near "selec"'),
        ("SELECT 1\nFROM range(3) WHERE\n  GROUP BY x", "3:3", "syntax error"),
        ("SELECT 1 /* never closed", "1:10", "unterminated /* comment"),
        ("SELECT 'never closed", "1:8", "unterminated"),
    ],
)
def test_a_syntax_error_has_its_line_and_column(query, place, found, connection):
    message = refusal(query, connection).message
    assert message.startswith(f"segment query {place}: ")
    assert found in message


def test_the_place_of_a_broken_rule_counts_characters_not_bytes(connection):
    message = refusal("SELECT 'héé',\n  'é' || current_setting('x')", connection).message
    assert message.startswith("segment query 2:10: breaks")


def test_sql_that_only_duckdb_reads_cannot_be_checked_and_does_not_run(connection):
    error = refusal("TABLE 'data/a.csv'", connection)
    assert "cannot be checked to be only a SELECT" in error.message
    assert error.hint


def test_what_the_query_reads_is_found_wherever_it_stands(connection):
    query = (
        "WITH é AS (SELECT 'é' AS a FROM 'data/a.csv') SELECT a FROM é JOIN \"data/it's.csv\" USING (a) "
        "WHERE a IN (SELECT a FROM read_csv(['data/b.csv', 'data/c''c.csv'], delim = 'data/no.csv')) "
        "AND a <> 'data/no.csv' UNION SELECT a FROM crm.customers, Crm.old.t"
    )
    checked = check_select(query, connection)
    assert {use.name for use in checked.files} == {
        "data/a.csv",
        "data/it's.csv",
        "data/b.csv",
        "data/c'c.csv",
    }
    assert {table.parts for table in checked.tables} == {("crm", "customers"), ("Crm", "old", "t")}
    for use in checked.files:
        written = query.encode()[use.start : use.end].decode()
        assert written[1:-1].replace("''", "'") == use.name


def test_uses_are_values(connection):
    checked = check_select("FROM 'data/a.csv', crm.customers", connection)
    assert checked.files == (FileUse(name="data/a.csv", start=5, end=17),)
    assert checked.tables == (TableUse(parts=("crm", "customers"), start=19),)


def test_a_long_list_of_values_is_no_deep_nesting(connection):
    values = ", ".join(f"('{number}')" for number in range(5_000))
    check_select(f"SELECT a FROM (VALUES {values}) AS t(a)", connection)


class Parser:
    """A DuckDB whose parser says something else than sqlglot, or something that nobody foresaw."""

    def __init__(self, statements: list[object], answer: str | None) -> None:
        self.statements, self.answer = statements, answer

    def extract_statements(self, _sql: str) -> list[object]:
        return self.statements

    def execute(self, _sql: str, _parameters: list[str]) -> "Parser":
        if self.answer == "error":
            raise duckdb.InternalException("something")
        return self

    def fetchone(self) -> tuple[str | None] | None:
        return None if self.answer is None else (self.answer,)


@pytest.mark.parametrize(
    ("statements", "answer", "rule"),
    [
        (["SELECT 1", "SELECT 2"], '{"error": false, "statements": [{}]}', Rule.ONE_STATEMENT),
        (["SELECT 1"], '{"error": false, "statements": [{}, {}]}', Rule.ONE_STATEMENT),
        ([], '{"error": false, "statements": []}', Rule.ONE_STATEMENT),
        (["DROP TABLE x"], '{"error": false, "statements": [{}]}', Rule.ONLY_SELECT),
        (["SELECT 1"], '{"error": true, "error_message": "not implemented"}', Rule.ONLY_SELECT),
        (["SELECT 1"], "{}", Rule.ONLY_SELECT),
        (["SELECT 1"], None, Rule.ONLY_SELECT),
        (["SELECT 1"], "[" * 100_000, Rule.SHALLOW),
        (["SELECT 1"], "error", Rule.SHALLOW),
    ],
)
def test_what_duckdbs_parser_does_not_confirm_does_not_run(connection, statements, answer, rule):
    extracted = [connection.extract_statements(statement)[0] for statement in statements]
    assert f'"{rule.value}"' in refusal("SELECT 1", Parser(extracted, answer)).message


def test_the_check_itself_opens_no_file(connection, tmp_path, monkeypatch):
    """DuckDB's own list of statements reads the files of an IMPORT DATABASE while it is made."""
    (tmp_path / "schema.sql").write_text("CREATE TABLE imported (a INTEGER);")
    (tmp_path / "load.sql").write_text("")
    for query in [f"IMPORT DATABASE '{tmp_path}'", f"SELECT 1; IMPORT DATABASE '{tmp_path}'"]:
        refusal(query, connection)
    (tmp_path / "schema.sql").unlink()
    assert "another kind of statement" in refusal(f"IMPORT DATABASE '{tmp_path}'", connection).message


@pytest.mark.parametrize("query", ["SELECT 'data/a.csv'.read_text()", "FROM 'data/a.csv'.read_text()"])
def test_a_forbidden_function_in_another_form_passes_on_no_version(query, connection):
    refusal(query, connection)
