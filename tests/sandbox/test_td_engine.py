"""What statements mean in the sandbox: Trino's and Hive's SQL, Treasure Data's functions, tables as files."""

import json

import duckdb
import pytest

from runner.sandbox.td_engine import Brake, Engine, Order, explain
from runner.sandbox.td_errors import SqlError, TableError
from runner.sandbox.td_tables import TableStore
from tests.sandbox.td import write_table

MIDNIGHT = 1767225600  # 2026-01-01T00:00:00Z, a Thursday
FIVE = MIDNIGHT + 5 * 3600


@pytest.fixture
def engine(tmp_path):
    write_table(tmp_path / "data", "crm/customers.csv", "id,phone,opt_in\n1,+62811,true\n2,0091,false\n")
    write_table(
        tmp_path / "data", "crm/visits.jsonl", '{"id": 1, "time": 1767225600}\n{"id": 2, "time": 5}\n'
    )
    tables = TableStore(tmp_path / "data", tmp_path / "store")
    yield Engine(tables)
    tables.work.close()


@pytest.fixture
def run(engine, tmp_path):
    def run_sql(sql, *, dialect="trino", database="crm", scheduled=FIVE):
        order = Order(
            sql=sql,
            dialect=dialect,
            database=database,
            scheduled=scheduled,
            now=7,
            target=tmp_path / "result",
        )
        return engine.run(order, Brake())

    return run_sql


@pytest.fixture
def rows(run):
    def rows_of(sql, **options):
        return [row for page in run(sql, **options).result.pages(1000) for row in page]

    return rows_of


@pytest.mark.parametrize(
    ("sql", "value"),
    [
        ("TD_TIME_PARSE('2026-01-01')", MIDNIGHT),
        ("TD_TIME_PARSE('2026-01-01', 'JST')", MIDNIGHT - 9 * 3600),
        ("TD_TIME_PARSE('2026-01-01 00:00:00 UTC', 'JST')", MIDNIGHT),
        ("TD_TIME_PARSE('2026-01-01T09:00:00+09:00')", MIDNIGHT),
        ("TD_TIME_PARSE('12')", 12),
        ("TD_TIME_PARSE('soon')", None),
        ("TD_TIME_RANGE(1767225600, '2026-01-01', '2026-01-02')", True),
        ("TD_TIME_RANGE(1767225600, '2026-01-01', '2026-01-02', 'PST')", False),
        ("TD_TIME_RANGE(1767225600, '2026-01-01')", True),
        ("TD_TIME_RANGE(1767225600, NULL, '2026-01-01')", False),
        ("TD_TIME_ADD(0, '1d')", 86400),
        ("TD_TIME_ADD('1970-01-02', '-1h')", 82800),
        ("TD_TIME_ADD('1970-01-02', '30m', 'JST')", 86400 + 1800 - 9 * 3600),
        ("TD_TIME_ADD(0, '2w')", 1209600),
        ("TD_TIME_ADD(0, '1M')", 31 * 86400),
        ("TD_TIME_ADD(0, '1y')", 365 * 86400),
        ("TD_SCHEDULED_TIME()", FIVE),
        ("TD_TIME_ADD(TD_SCHEDULED_TIME(), '-5h')", MIDNIGHT),
        ("TD_DATE_TRUNC('day', 1767243600)", MIDNIGHT),
        ("TD_DATE_TRUNC('day', 1767243600, 'JST')", MIDNIGHT - 9 * 3600),
        ("TD_TIME_STRING(0, 'd!')", "1970-01-01"),
        ("TD_TIME_STRING(1767243600, 'M!')", "2026-01"),
        ("TD_TIME_STRING(1767243600, 'y!', 'JST')", "2026"),
        ("TD_TIME_STRING(0, 'd', 'JST')", "1970-01-01 00:00:00+0900"),
        ("TD_TIME_STRING(0, 'h', 'PST')", "1969-12-31 16:00:00-0800"),
        ("TD_TIME_STRING(0, 's!', '+07:00')", "1970-01-01 07:00:00"),
        ("TD_TIME_FORMAT(0, 'yyyy-MM-dd HH:mm:ss', 'JST')", "1970-01-01 09:00:00"),
        ("TD_TIME_FORMAT(0, 'yyyyMMdd''T''HH%')", "19700101T00%"),
        ("TD_TIME_FORMAT(0, 'EEE d MMM yy ''o''''clock''')", "Thu 1 Jan 70 o'clock"),
        ("TD_MD5('a')", "0cc175b9c0f1b6a831c399e269772661"),
        ("TD_URL_DECODE('a%20b')", "a b"),
        ("7 / 2", 3),
        ("from_unixtime(0, 'Asia/Tokyo')", "1970-01-01 09:00:00.000"),
        ("regexp_like('+62811', '^\\+62')", True),
        ("CAST('2026-01-01' AS DATE)", "2026-01-01"),
        ("CAST('ab' AS VARBINARY)", "YWI="),
        ("CAST(ROW(1, ARRAY[DATE '2026-01-01']) AS ROW(a BIGINT, b ARRAY(DATE)))", [1, ["2026-01-01"]]),
        ("MAP(ARRAY['a'], ARRAY[MAP(ARRAY[1], ARRAY[2])])", {"a": {1: 2}}),
        ("CAST(NULL AS ARRAY(BIGINT))", None),
        ("CAST(NULL AS MAP(BIGINT, BIGINT))", None),
        ("CAST(NULL AS ROW(a BIGINT))", None),
        ("INTERVAL '1' DAY", "1 day"),
    ],
)
def test_a_function_has_its_value(rows, sql, value):
    assert rows(f"SELECT {sql}") == [[value]]


@pytest.mark.parametrize(
    ("interval", "start", "end"),
    [
        ("'-1d'", "2025-12-31T00:00", "2026-01-01T00:00"),
        ("'1d'", "2026-01-01T00:00", "2026-01-02T00:00"),
        ("'-1d', 'JST'", "2025-12-30T15:00", "2025-12-31T15:00"),
        ("'-1d', '+09:00'", "2025-12-30T15:00", "2025-12-31T15:00"),
        ("'-1d', '-08:00'", "2025-12-30T08:00", "2025-12-31T08:00"),
        ("'-1d/now'", "2025-12-31T00:00", "2026-01-01T05:00"),
        ("'-7d/-1d'", "2025-12-24T00:00", "2025-12-31T00:00"),
        ("'-1w'", "2025-12-22T00:00", "2025-12-29T00:00"),
        ("'-1M'", "2025-12-01T00:00", "2026-01-01T00:00"),
        ("'-1q'", "2025-10-01T00:00", "2026-01-01T00:00"),
        ("'-1y'", "2025-01-01T00:00", "2026-01-01T00:00"),
        ("'-60m/2025-06-01 10:30:00'", "2025-06-01T09:30", "2025-06-01T10:30"),
        ("'-1h'", "2026-01-01T04:00", "2026-01-01T05:00"),
        ("'30s'", "2026-01-01T05:00", "2026-01-01T05:00:30"),
    ],
)
def test_an_interval_is_that_of_the_scheduled_time(rows, interval, start, end):
    edges = f"(VALUES TIMESTAMP '{start}', TIMESTAMP '{end}') e(t)".replace("T0", " 0").replace("T1", " 1")
    before = f"SELECT TD_INTERVAL(CAST(to_unixtime(t) AS BIGINT) - 1, {interval}) b FROM {edges} ORDER BY t"
    at = f"SELECT TD_INTERVAL(CAST(to_unixtime(t) AS BIGINT), {interval}) b FROM {edges} ORDER BY t"
    assert (rows(before), rows(at)) == ([[False], [True]], [[True], [False]])


@pytest.mark.parametrize(
    ("sql", "name", "says"),
    [
        ("SELEC 1", "SYNTAX_ERROR", "line 1"),
        ("SELECT 'a", "SYNTAX_ERROR", ""),
        ("", "SYNTAX_ERROR", "exactly one statement"),
        ("SELECT 1; SELECT 2", "SYNTAX_ERROR", "exactly one statement"),
        ("SHOW TABLES", "NOT_SUPPORTED", "does not run SHOW"),
        ("DELETE FROM customers", "NOT_SUPPORTED", "does not run DELETE"),
        ("SELECT nope FROM customers", "COLUMN_NOT_FOUND", '"nope"'),
        ("SELECT * FROM nope", "TABLE_NOT_FOUND", "'td-presto.crm.nope' does not exist"),
        ("SELECT * FROM nope.t", "SCHEMA_NOT_FOUND", "Schema 'nope' does not exist"),
        ("SELECT xxhash64('a')", "FUNCTION_NOT_FOUND", "xxhash64"),
        ("SELECT TD_SESSIONIZE_WINDOW(1, 2)", "FUNCTION_NOT_FOUND", "td_sessionize_window"),
        pytest.param(
            "SELECT 1 / 0",
            "DIVISION_BY_ZERO",
            "Division by zero",
            marks=pytest.mark.skipif(duckdb.__version__ < "2", reason="an older DuckDB gives NULL"),
        ),
        (
            "SELECT CAST(phone AS BIGINT) FROM customers WHERE CAST(phone AS DATE) > DATE '2026-01-01'",
            "INVALID_CAST_ARGUMENT",
            "",
        ),
        ("SELECT TD_INTERVAL(1, 'soon')", "INVALID_FUNCTION_ARGUMENT", "'soon'"),
        ("SELECT TD_INTERVAL(1, '-1d/soon')", "INVALID_FUNCTION_ARGUMENT", "'soon'"),
        ("SELECT TD_INTERVAL(1, '-1d', 'Mars')", "INVALID_FUNCTION_ARGUMENT", "'Mars'"),
        ("SELECT TD_INTERVAL(1, phone) FROM customers", "INVALID_FUNCTION_ARGUMENT", "only as a literal"),
        ("SELECT TD_TIME_FORMAT(1, 'QQ')", "INVALID_FUNCTION_ARGUMENT", "'QQ'"),
        ("INSERT INTO customers VALUES (1)", "TYPE_MISMATCH", "1 columns"),
        ("INSERT INTO nope VALUES (1)", "GENERIC_USER_ERROR", "does not exist"),
        ("CREATE TABLE customers (a BIGINT)", "GENERIC_USER_ERROR", "already"),
        ("DROP TABLE customers", "GENERIC_USER_ERROR", "only read"),
        (f"SELECT '{'x' * 1_000_000}'", "GENERIC_USER_ERROR", "maximum length"),
        ("SELECT * FROM read_text('/etc/hostname')", "GENERIC_INTERNAL_ERROR", "disabled by configuration"),
    ],
)
def test_what_cannot_run_is_an_error_of_trino(run, sql, name, says):
    with pytest.raises(SqlError) as caught:
        run(sql)
    assert caught.value.name == name
    assert says in caught.value.message
    assert "\n" not in caught.value.message


def test_tables_are_found_by_any_of_their_names(rows):
    expected = [[1], [2]]
    for sql in (
        "SELECT id FROM customers",
        "SELECT customers.id FROM CRM.Customers",
        'SELECT crm.customers.id FROM "td-presto"."crm"."customers"',
        'select a.id\nfrom "crm"."customers" a\nwhere (position(\'1\' in a."phone") > 0)',
        "WITH customers AS (SELECT id FROM crm.customers) SELECT id FROM customers",
        "SELECT c.id FROM customers c JOIN visits v ON c.id = v.id",
        "SELECT id FROM visits UNION SELECT id FROM customers",
    ):
        assert sorted(rows(sql)) == expected, sql
    assert rows("SELECT id FROM crm.customers WHERE id = 2", database="other") == [[2]]


def test_columns_without_a_name_get_the_engines(run):
    schema = json.loads(
        run("SELECT id, 1, count(*) AS n FROM customers GROUP BY 1").result.schema(hive=False)
    )
    assert [name for name, _ in schema] == ["id", "_col1", "n"]
    schema = json.loads(run("SELECT 1 UNION ALL SELECT 2", dialect="hive").result.schema(hive=True))
    assert schema == [["_c0", "int"]]


def test_hive_names_nested_types_its_own_way(run):
    sql = "SELECT map('a', 1.5) AS m, named_struct('x', 'y') AS s, CAST(1 AS DECIMAL(3,1)) AS d"
    kinds = dict(json.loads(run(sql, dialect="hive").result.schema(hive=True)))
    assert kinds["m"].startswith("map<string,")
    assert kinds["s"] == "struct<x:string>"
    assert kinds["d"] == "decimal(3,1)"


def test_every_table_has_a_time(rows, engine):
    assert rows("SELECT id, time FROM visits ORDER BY id") == [[1, MIDNIGHT], [2, 5]]
    written = (engine.tables.data / "crm" / "customers.csv").stat().st_mtime
    assert rows("SELECT DISTINCT time FROM customers") == [[int(written)]]


def test_a_written_row_has_the_time_it_names_or_now(run, rows):
    run("CREATE TABLE log (phone VARCHAR, n BIGINT)")
    assert run("INSERT INTO log (phone, n) VALUES ('0091', 1), (NULL, 2)").written == 2
    assert run("INSERT INTO log SELECT phone, id FROM customers").written == 2
    assert run("INSERT INTO log (n, time, note) VALUES (9, 99, 'new')").written == 1
    assert rows("SELECT phone, n, time, note FROM log ORDER BY n, phone") == [
        ["+62811", 1, 7, None],
        ["0091", 1, 7, None],
        ["0091", 2, 7, None],
        [None, 2, 7, None],
        [None, 9, 99, "new"],
    ]


def test_tables_are_made_from_queries_and_dropped(run, rows):
    assert run("CREATE TABLE copy AS SELECT id, phone FROM customers").written == 2
    assert run("CREATE TABLE IF NOT EXISTS copy AS SELECT 1 AS x").written == 0
    assert rows("SELECT phone FROM copy ORDER BY 1") == [["+62811"], ["0091"]]
    run("DROP TABLE copy")
    run("DROP TABLE IF EXISTS copy")
    with pytest.raises(SqlError):
        run("DROP TABLE copy")


def test_a_query_is_counted(engine):
    assert engine.count_query("crm", "select a.* from customers a where a.id > 1", 0) == 1


def test_a_pulled_brake_stops_what_has_not_begun(engine, tmp_path):
    brake = Brake()
    brake.pull()
    order = Order(sql="SELECT 1", dialect="trino", database="crm", scheduled=0, now=0, target=tmp_path / "r")
    with pytest.raises(SqlError, match="killed"):
        engine.run(order, brake)


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("1\n007", "VARCHAR"),
        ("1\n+7", "VARCHAR"),
        ("1\n-7", "BIGINT"),
        ("1.0\n00.5", "VARCHAR"),
        ("1.5\n2", "DOUBLE"),
        ("true\nfalse", "BOOLEAN"),
        ("2026-01-01\n2026-01-02", "VARCHAR"),
    ],
)
def test_a_csv_column_is_a_number_only_where_nothing_is_lost(engine, text, kind):
    write_table(engine.tables.data, "lab/t.csv", f"x\n{text}\n")
    assert engine.columns("lab", "t")[0].kind == kind
    assert engine.count("lab", "t") == 2


def test_a_json_text_stays_a_text_whatever_it_looks_like(engine, rows):
    line = {"phone": "0091", "day": "2026-01-01", "at": "2026-01-01T00:00:00Z", "n": 1, "o": {"a": [1]}}
    write_table(engine.tables.data, "crm/lines.jsonl", json.dumps(line) + "\n")
    assert rows("SELECT phone, day, at, n, o FROM crm.lines") == [
        ["0091", "2026-01-01", "2026-01-01T00:00:00Z", 1, [[1]]]
    ]


def test_a_table_may_be_of_several_files_and_parts(engine, rows, run):
    duckdb.sql("SELECT 3 AS id, 'x' AS phone, 1 AS extra").write_parquet(
        str(engine.tables.data / "crm" / "customers.parquet")
    )
    run("INSERT INTO customers (id, phone) VALUES (4, 'y')")
    assert rows("SELECT id, phone, extra FROM customers ORDER BY id") == [
        [1, "+62811", None],
        [2, "0091", None],
        [3, "x", 1],
        [4, "y", None],
    ]


def test_a_link_out_of_the_data_folder_is_no_table(engine, tmp_path):
    outside = tmp_path / "outside.csv"
    outside.write_text("a\n1\n")
    (engine.tables.data / "crm" / "link.csv").symlink_to(outside)
    assert engine.tables.tables("crm") == ["customers", "visits"]


def test_no_path_of_this_machine_is_in_an_error(engine):
    assert "No space" in explain(OSError(28, "No space left on device", "/secret/x"), engine.tables).message
    said = explain(duckdb.IOException(f"IO Error: {engine.tables.store}/crm/x: gone\nmore"), engine.tables)
    assert said.message == "IO Error: store/crm/x: gone"


def test_a_data_folder_that_is_not_there_has_no_databases(tmp_path):
    tables = TableStore(tmp_path / "data", tmp_path / "store")
    assert tables.databases() == []
    with pytest.raises(TableError, match="Database crm does not exist"):
        tables.tables("crm")
