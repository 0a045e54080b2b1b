import os
import signal
import subprocess
import sys
import time
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import duckdb
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from runner.campaign import Segment
from runner.errors import SegmentError
from runner.project import Project
from runner.segments.duckdb import fetch
from runner.segments.interface import Fetched

ENDLESS = "SELECT count(*) AS {} FROM range(10000000000) AS l, range(10000) AS r WHERE l.range = -r.range"


def run(project: Project, query: str, *columns: str) -> Fetched:
    segment = Segment(source="duckdb", query=query)
    return fetch(segment, project=project, columns=columns or ("customer_id",), target=target_of(project))


def target_of(project: Project) -> Path:
    return project.root.parent / "rows.parquet"


def rows(project: Project, query: str, *columns: str) -> list[tuple]:
    fetched = run(project, query, *columns)
    with duckdb.connect() as connection:
        found = connection.execute(f"FROM '{target_of(project)}'").fetchall()
    assert fetched.rows == len(found)
    return found


def refusal(project: Project, query: str, *columns: str) -> SegmentError:
    """Run a query that must fail, in one line, and leave nothing behind."""
    before = snapshot(project.root.parent)
    with pytest.raises(SegmentError) as caught:
        run(project, query, *columns)
    assert snapshot(project.root.parent) == before
    assert "\n" not in caught.value.message
    assert str(project.root.parent) not in f"{caught.value.message} {caught.value.hint}"
    return caught.value


def snapshot(folder: Path) -> dict[str, bytes | None]:
    """Return every file below `folder`, with its content; the project's empty state folder may be made."""
    paths = (path for path in sorted(folder.rglob("*")) if path.name not in {".runner", "rows.parquet"})
    return {str(path): path.read_bytes() if path.is_file() else None for path in paths}


# What it reads


@pytest.mark.parametrize(
    "source",
    [
        "'data/customers.csv'",
        "'data/customers.parquet'",
        "'data/customers.json'",
        "'data/./customers.csv'",
        "'./data//customers.csv'",
        '"data/customers.csv"',
        "read_csv('data/customers.csv', types = {'phone': 'VARCHAR'})",
        "read_csv(['data/customers.csv'])",
        "read_parquet('data/customers.parquet')",
        "parquet_scan(['data/customers.parquet'])",
        "read_json('data/customers.json')",
        "read_ndjson_auto('data/customers.json')",
        "'data/c*s.csv'",
        "read_csv('data/customers.[c]sv')",
    ],
)
def test_a_data_file_is_read_by_its_name_from_the_root_in_any_working_directory(
    project, source, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    assert rows(project, f"SELECT customer_id FROM {source}") == [("c1",), ("c2",)]
    monkeypatch.chdir(project.root)
    assert rows(project, f"SELECT customer_id FROM {source}") == [("c1",), ("c2",)]


def test_a_file_keeps_its_table_name(project):
    assert rows(project, "SELECT customers.customer_id FROM 'data/customers.csv' LIMIT 1") == [("c1",)]


def test_the_same_text_elsewhere_in_the_query_stays_as_it_is(project):
    query = "SELECT 'data/customers.csv' AS customer_id FROM 'data/customers.csv' WHERE 'data/' <> ''"
    assert rows(project, query) == [("data/customers.csv",)] * 2


def test_patterns_read_every_file_that_they_match(project):
    assert rows(project, "FROM 'data/**/*.csv' ORDER BY 1") == [("c1",), ("c2",), ("c3",)]


@pytest.mark.parametrize("table", ["crm.customers", "crm.main.customers", "CRM.Customers", '"crm".members'])
def test_a_table_of_a_database_in_the_data_folder_is_read_by_the_files_stem(project, table):
    assert rows(project, f"FROM {table}") == [("d1",)]


def test_a_table_in_another_schema_of_a_database_is_read(project):
    assert rows(project, "FROM crm.old.customers") == [("d0",)]


def test_two_tables_of_one_database_are_joined(project):
    query = "SELECT c.customer_id, o.customer_id AS old FROM crm.customers AS c, crm.old.customers AS o"
    assert rows(project, query, "customer_id", "old") == [("d1", "d0")]


def test_databases_and_files_are_joined(project):
    with duckdb.connect(str(project.data / "more" / "points-2026.duckdb")) as connection:
        connection.execute("CREATE TABLE points AS SELECT 'c2' AS customer_id, 7 AS points")
    query = """FROM 'data/customers.csv' JOIN "points-2026".points USING (customer_id), crm.customers AS c
    SELECT customer_id, points, c.customer_id AS other"""
    assert rows(project, query, "customer_id", "points", "other") == [("c2", 7, "d1")]


def test_a_database_is_never_written(project):
    before = (project.data / "crm.duckdb").read_bytes()
    rows(project, "FROM crm.customers")
    assert (project.data / "crm.duckdb").read_bytes() == before
    assert not list(project.data.glob("*.wal"))


def test_a_data_folder_that_is_itself_a_link_is_read(project, tmp_path):
    real = tmp_path / "volume"
    project.data.rename(real)
    project.data.symlink_to(real)
    assert rows(project, "FROM 'data/customers.csv'") == [("c1",), ("c2",)]
    assert "`data/customer.csv`" in refusal(project, "FROM 'data/customer.csv'").message


def test_a_link_within_the_data_folder_is_followed(project):
    (project.data / "today.csv").symlink_to(project.data / "customers.csv")
    assert rows(project, "FROM 'data/today.csv'") == [("c1",), ("c2",)]


def test_the_root_itself_can_be_the_data_folder(project):
    whole = replace(project, data=project.root)
    assert rows(whole, "FROM 'list.csv'") == [("secret",)]
    assert refusal(whole, "FROM 'lisst.csv'").hint == "did you mean `list.csv`?"


def test_a_root_with_quotes_and_spaces_is_no_trouble(project, tmp_path):
    root = project.root.rename(tmp_path / 'it\'s "our" проект')
    moved = replace(project, root=root, data=root / "data", state=root / ".runner")
    assert rows(moved, "FROM 'data/customers.csv'") == [("c1",), ("c2",)]
    assert rows(moved, "FROM crm.customers") == [("d1",)]


# What it writes


def test_the_wanted_columns_come_by_the_names_and_in_the_order_that_were_asked(project):
    query = "SELECT 1 AS PHONE, 2 AS x, 'c' AS customer_id, true AS ok"
    fetched = run(project, query, "phone", "ok", "customer_id", "phone")
    with duckdb.connect() as connection:
        described = connection.execute(f"DESCRIBE FROM '{target_of(project)}'").fetchall()
    assert [(name, kind) for name, kind, *_ in described] == list(fetched.column_types.items())
    assert fetched.column_types == {"phone": "INTEGER", "ok": "BOOLEAN", "customer_id": "VARCHAR"}
    assert (fetched.rows, fetched.sql, fetched.job_id) == (1, query, None)


def test_a_name_written_exactly_so_wins_over_one_that_differs_by_case(project):
    assert rows(project, "SELECT 1 AS Customer_ID, 2 AS customer_id") == [(2,)]


def test_zero_rows_are_a_file_with_its_schema(project):
    fetched = run(project, "FROM 'data/customers.csv' WHERE false", "customer_id", "phone")
    assert fetched.rows == 0
    with duckdb.connect() as connection:
        assert connection.execute(f"FROM '{target_of(project)}'").fetchall() == []
    assert fetched.column_types == {"customer_id": "VARCHAR", "phone": "VARCHAR"}


def test_the_target_is_private_and_replaced_whole(project):
    target_of(project).write_text("old")
    run(project, "FROM 'data/customers.csv'")
    assert target_of(project).stat().st_mode & 0o777 == 0o600
    assert target_of(project).read_bytes()[:4] == b"PAR1"
    refusal(project, "FROM 'data/nothing.csv'")
    assert target_of(project).read_bytes()[:4] == b"PAR1"
    assert sorted(path.name for path in target_of(project).parent.iterdir()) == [
        "project",
        "rows.parquet",
        "secret.csv",
    ]


def test_the_state_folder_is_private_and_left_empty(project):
    run(project, "FROM 'data/customers.csv'")
    assert project.state.stat().st_mode & 0o777 == 0o700
    assert list(project.state.iterdir()) == []


def test_a_target_that_cannot_be_written_is_an_error(project, tmp_path):
    segment = Segment(source="duckdb", query="SELECT 1 AS customer_id")
    with pytest.raises(SegmentError, match="cannot be kept: No such file or directory"):
        fetch(segment, project=project, columns=["customer_id"], target=tmp_path / "nowhere" / "rows.parquet")


def test_sums_keep_all_their_digits(project):
    query = "SELECT sum(n)::HUGEINT AS customer_id FROM (VALUES (9007199254740993), (0)) AS t(n)"
    fetched = run(project, query)
    assert fetched.column_types == {"customer_id": "DECIMAL(38,0)"}
    with duckdb.connect() as connection:
        found = connection.execute(f"FROM '{target_of(project)}'").fetchall()
    assert int(found[0][0]) == 9007199254740993


def test_the_types_told_are_those_of_the_file(project):
    query = "SELECT 'a'::ENUM ('a', 'b') AS e, '101'::BIT AS b, 1.50 AS d, [1] AS l, DATE '2026-01-31' AS t"
    kinds = {"e": "VARCHAR", "b": "VARCHAR", "d": "DECIMAL(3,2)", "l": "INTEGER[]", "t": "DATE"}
    assert run(project, query, *kinds).column_types == kinds


def test_a_column_of_nothing_but_null_is_kept(project):
    assert rows(project, "SELECT NULL AS customer_id") == [(None,)]


def test_dates_are_read_in_the_projects_time_zone_or_utc(project):
    query = "SELECT (TIMESTAMPTZ '2026-01-31 20:00:00+00')::DATE::VARCHAR AS customer_id"
    assert rows(project, query) == [("2026-01-31",)]
    assert rows(replace(project, timezone="Asia/Jakarta"), query) == [("2026-02-01",)]
    assert "cannot start" in refusal(replace(project, timezone="Asia/Nowhere"), query).message


# In which order, and how much


def disorder(project: Project, key: str) -> int:
    """Count the rows of the target whose key is less than that of the row before."""
    numbered = f"read_parquet('{target_of(project)}', file_row_number = true)"
    steps = f"SELECT {key} - lag({key}) OVER (ORDER BY file_row_number) AS step FROM {numbered}"
    with duckdb.connect() as connection:
        return connection.execute(f"SELECT count(*) FROM ({steps}) WHERE step < 0").fetchall()[0][0]


@pytest.mark.parametrize(("direction", "sign"), [("", ""), ("DESC", "-")])
def test_the_order_of_the_query_is_the_order_of_the_rows(project, direction, sign):
    query = f"SELECT i AS customer_id FROM range(700000) AS t(i) ORDER BY hash(i) {direction}"
    assert run(project, query).rows == 700_000
    assert disorder(project, f"{sign}hash(customer_id)::HUGEINT") == 0


def test_an_order_by_a_column_that_is_not_wanted_is_kept(project):
    query = "SELECT i AS customer_id, -i AS newest FROM range(500000) AS t(i) ORDER BY newest"
    run(project, query)
    assert disorder(project, "-customer_id") == 0


def test_rows_of_many_threads_keep_the_order_of_their_files(project):
    with duckdb.connect() as connection:
        for part in range(4):
            numbers = f"SELECT i + {part} * 300000 AS customer_id FROM range(300000) AS t(i)"
            file = project.data / f"part{part}.parquet"
            connection.execute(f"COPY ({numbers}) TO '{file}' (FORMAT parquet, ROW_GROUP_SIZE 20000)")
        run(project, "FROM 'data/part*.parquet' WHERE customer_id % 7 <> 3")
    assert disorder(project, "customer_id") == 0


def test_ten_million_rows_stream_through_a_small_memory(project):
    small = replace(project, query_memory_mb=128)
    query = "SELECT i AS customer_id, '62812' || i AS phone FROM range(10000000) AS t(i)"
    assert run(small, query, "customer_id", "phone").rows == 10_000_000


def test_a_sort_larger_than_memory_spills_to_the_state_folder_and_cleans_up(project):
    small = replace(project, query_memory_mb=128)
    query = "SELECT i AS customer_id, hash(i) || repeat('x', 60) AS h FROM range(1500000) AS t(i) ORDER BY h"
    assert run(small, query, "customer_id", "h").rows == 1_500_000
    assert list(project.state.iterdir()) == []


# What it refuses


@pytest.mark.parametrize(
    ("source", "found"),
    [
        ("'{root}/data/customers.csv'", "is an absolute path"),
        ("'/etc/passwd'", "is an absolute path"),
        ("'~/customers.csv'", "is an absolute path"),
        ("read_csv('/etc/passwd')", "is an absolute path"),
        ("read_csv(['data/customers.csv', '/etc/passwd'])", "is an absolute path"),
        ("'../secret.csv'", "goes up with `..`"),
        ("'data/../../secret.csv'", "goes up with `..`"),
        ("'data/*/../../../secret.csv'", "goes up with `..`"),
        ("'list.csv'", "`list.csv` is not in `data`"),
        ("'*.csv'", "`*.csv` is not in `data`"),
        ("'data*/customers.csv'", "is not in `data`"),
        ("'database/x.csv'", "is not in `data`"),
        ("'http://example.com/a.csv'", "is a URL"),
        ("'https://example.com/a.parquet'", "is a URL"),
        ("'s3://bucket/a.parquet'", "is a URL"),
        ("'hf://datasets/a/b.parquet'", "is a URL"),
        ("'gs://bucket/a.parquet'", "is a URL"),
        ("'file:///etc/passwd'", "is a URL"),
        ("'file:data/customers.csv'", "is a URL"),
        ("'C:\\customers.csv'", "is a URL"),
        ("'data/link.csv'", "`data/link.csv` is a link to outside"),
        ("'data/out/secret.csv'", "`data/out/secret.csv` is a link to outside"),
        ("'data/out/*.csv'", "`data/out/*.csv` is a link to outside"),
        ("'data/l*.csv'", "`data/link.csv` is, or leads, outside"),
        ("'data/o*/secret.csv'", "`data/out/secret.csv` is, or leads, outside"),
        ("crm.leak", "is, or leads, outside"),
        ("linked.customers", "`data/linked.duckdb` is a link to outside"),
    ],
)
def test_a_file_outside_the_data_folder_is_never_read(project, source, found):
    outside = project.root.parent
    (project.data / "link.csv").symlink_to(outside / "secret.csv")
    (project.data / "out").symlink_to(outside)
    (project.data / "linked.duckdb").symlink_to(outside / "other.duckdb")
    query = f"SELECT customer_id FROM {source.format(root=project.root)}"
    with pytest.raises(SegmentError) as caught:
        run(project, query)
    assert 'breaks the rule "only files under the data folder"' in caught.value.message
    assert found in caught.value.message
    assert not target_of(project).exists()


@pytest.mark.parametrize(
    "query",
    [
        "FROM read_text('data/customers.csv')",
        "SELECT 1 AS customer_id; DROP TABLE x",
        "DELETE FROM crm.customers",
        "COPY (SELECT 1) TO 'data/new.csv'",
        "WITH x AS (INSERT INTO crm.customers VALUES ('x') RETURNING customer_id) FROM x",
        "SELECT 1) TO '/tmp/x.csv'; --",
        "SELECT 1 AS customer_id) AS result(c0)) TO 'data/x.csv' (FORMAT csv); SELECT (1",
        "SELECT crm.twice('x') AS customer_id",
        "FROM project",
        "FROM segment",
    ],
)
def test_a_hostile_query_changes_no_file(project, query):
    refusal(project, query)


def test_even_unchecked_sql_can_only_reach_the_data_folder(project, monkeypatch):
    """The second wall: what DuckDB itself refuses when the check in front of it is taken away."""
    from runner.segments import duckdb as source
    from runner.segments.select_check import CheckedSelect

    def unchecked(query: str, _connection: object) -> CheckedSelect:
        return CheckedSelect(sql=query, files=(), tables=())

    monkeypatch.setattr(source, "check_select", unchecked)
    monkeypatch.setattr(source, "people", duckdb.sql("SELECT 1 AS customer_id"), raising=False)
    outside = project.root.parent
    before = snapshot(outside)
    for query in [
        f"SELECT content AS customer_id FROM read_text('{outside}/secret.csv')",
        f"SELECT file AS customer_id FROM glob('{outside}/*')",
        f"FROM '{outside}/secret.csv'",
        "FROM 'https://example.com/a.csv'",
        f"SELECT 1 AS customer_id) TO '{outside}/new.csv'; --",
        f"SELECT 1 AS customer_id; ATTACH '{outside}/new.duckdb' AS n; SELECT (1",
        "FROM people",
    ]:
        with pytest.raises(SegmentError):
            run(project, query)
    assert snapshot(outside) == before


# What it says


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("data/custmers.csv", "did you mean `data/customers.csv`?"),
        ("data/Customers.CSV", "did you mean `data/customers.csv`?"),
        ("data/mroe/very/deep/customers.parquet", "did you mean `data/customers.parquet`?"),
        ("data/qqqqqqqq", "the data folder holds `data/crm.duckdb`, `data/customers.csv`"),
        ("data/customers.csv/x", None),
        ("data/" + "x" * 300, None),
    ],
)
def test_a_missing_file_is_named_with_the_nearest_one(project, name, hint):
    error = refusal(project, f"FROM '{name}'")
    assert error.message.startswith(f"segment query: there is no data file `{name[:200]}")
    assert error.hint
    assert hint is None or error.hint.startswith(hint)


def test_a_data_folder_that_is_not_there_is_said(project):
    bare = replace(project, data=project.root / "nowhere")
    assert refusal(bare, "FROM 'nowhere/a.csv'").hint == "the data folder `nowhere` is empty or not there"


def test_a_pattern_without_a_match_a_folder_and_a_pipe_are_told_apart(project):
    os.mkfifo(project.data / "pipe.csv")
    assert "no data file matches `data/q*.csv`" in refusal(project, "FROM 'data/q*.csv'").message
    (project.data / "pipe.csv").unlink()
    error = refusal(project, "FROM 'data/more'")
    assert (error.message, error.hint) == (
        "segment query: `data/more` is a folder",
        "read its files with 'data/more/*.parquet'",
    )


def test_a_pipe_is_not_read(project):
    os.mkfifo(project.data / "pipe.csv")
    with pytest.raises(SegmentError, match=r"`data/pipe.csv` is not a regular file"):
        run(project, "FROM 'data/pipe.csv'")


def test_a_loop_of_links_is_a_missing_file(project):
    (project.data / "loop.csv").symlink_to(project.data / "loop.csv")
    with pytest.raises(SegmentError, match=r"there is no data file `data/loop.csv`"):
        run(project, "FROM 'data/loop.csv'")


def test_a_database_file_in_quotes_gets_the_form_that_works(project):
    error = refusal(project, "FROM 'data/crm.duckdb'")
    assert "is a database, not a table" in error.message
    assert "FROM crm.<table>" in (error.hint or "")


@pytest.mark.parametrize(
    ("table", "found", "hint"),
    [
        ("crm.custmers", "1:6: there is no table `crm.custmers`", "did you mean `crm.customers`?"),
        ("crm.old.custmers", "no table `crm.old.custmers`", "did you mean `crm.old.customers`?"),
        (
            "crm.xyzzy",
            "no table `crm.xyzzy`",
            "it holds `crm.customers`, `crm.leak`, `crm.members` and `crm.old.customers`",
        ),
        ("cmr.customers", "no table `cmr.customers`", "did you mean the database `crm`?"),
        (
            "data.customers.csv",
            "no table `data.customers.csv`",
            "there is no data.duckdb; a file's name stands in quotes",
        ),
        ("a.b.c", "no table `a.b.c`", "there is no a.duckdb"),
        ("empty.t", "no table `empty.t`", "it holds no table"),
        ("temp.t", "no table `temp.t`", ""),
    ],
)
def test_a_missing_table_is_named_with_what_there_is(project, table, found, hint):
    duckdb.connect(str(project.data / "empty.duckdb")).close()
    duckdb.connect(str(project.data / "temp.duckdb")).close()
    error = refusal(project, f"FROM {table}")
    assert found in error.message
    assert (error.hint or "").startswith(hint)


def test_two_databases_of_one_stem_are_ambiguous(project):
    duckdb.connect(str(project.data / "more" / "CRM.duckdb")).close()
    error = refusal(project, "FROM crm.customers")
    assert "could be in `data/crm.duckdb` and `data/more/CRM.duckdb`" in error.message


def test_a_damaged_database_is_named(project):
    (project.data / "broken.duckdb").write_text("not a database " * 1000)
    assert "`data/broken.duckdb` cannot be opened: " in refusal(project, "FROM broken.customers").message


@pytest.mark.parametrize(
    "name", ["broken.parquet", "cut.parquet", "empty.parquet", "broken.json", "latin.csv"]
)
def test_a_damaged_file_is_named(project, name):
    good = (project.data / "customers.parquet").read_bytes()
    content = {
        "broken.parquet": b"PAR1 nonsense" * 9,
        "cut.parquet": good[:-20],
        "empty.parquet": b"",
        "broken.json": b'{"customer_id": 1,, }',
        "latin.csv": b"customer_id,phone\n\xff\xfe,0812\n",
    }
    (project.data / name).write_bytes(content[name])
    error = refusal(project, f"FROM 'data/{name}'")
    assert f"data/{name}" in error.message
    assert error.hint


def test_a_csv_file_that_is_damaged_is_an_error_of_the_query(project):
    (project.data / "people.csv").write_text("id,phone,name\n1,+62812\n2,+62813,b,c\n")
    error = refusal(project, "SELECT phone AS customer_id FROM 'data/people.csv'")
    assert "data/people.csv, line 2, has 2 cells, and the header has 3" in error.message


def test_how_a_csv_file_is_written_can_be_said(project):
    (project.data / "people.csv").write_text("id,phone\n1\n2,b\n")
    query = "SELECT phone AS customer_id FROM read_csv('data/people.csv', delim = ',', null_padding = true)"
    assert rows(project, query) == [(None,), ("b",)]


def test_values_of_json_are_kept_without_the_quotation_marks_of_json(project):
    lines = [
        '{"id": "a", "v": "Siti"}',
        '{"id": "b", "v": 5}',
        '{"id": "c", "v": null}',
        '{"id": "d", "v": true}',
    ]
    lines += ['{"id": "e", "v": {"x": [1]}}', '{"id": "f", "v": 6281234567890}', '{"id": "g"}']
    (project.data / "mixed.jsonl").write_text("\n".join(lines))
    query = "SELECT v AS customer_id FROM 'data/mixed.jsonl' ORDER BY id"
    found = [value for (value,) in rows(project, query)]
    assert found == ["Siti", "5", None, "true", '{"x":[1]}', "6281234567890", None]


def test_damage_in_the_middle_of_a_file_names_the_files_that_were_read(project):
    content = bytearray((project.data / "customers.parquet").read_bytes())
    content[8:60] = b"\xff" * 52
    (project.data / "middle.parquet").write_bytes(bytes(content))
    error = refusal(
        project, "FROM 'data/middle.parquet', 'data/more/customers.csv' SELECT middle.customer_id"
    )
    assert "data/middle.parquet" in error.message


def test_a_wrong_value_in_a_csv_file_is_told_by_line_and_column_but_not_shown(project):
    lines = ["customer_id,phone", *("1,2" for _ in range(30_000)), "Siti Rahma,2"]
    (project.data / "typed.csv").write_text("\n".join(lines))
    error = refusal(project, "FROM 'data/typed.csv'")
    assert error.message == (
        "segment query: `data/typed.csv`, line 30002: the value of column `customer_id` is not a BIGINT"
    )


def test_a_file_that_is_not_the_csv_it_is_said_to_be_is_told_by_its_line(project):
    (project.data / "ragged.csv").write_text("a,b\n1,2\n3\n")
    error = refusal(
        project,
        "FROM read_csv('data/ragged.csv', columns = {'a': 'INT', 'b': 'INT'}, auto_detect = false, skip = 1)",
        "a",
    )
    assert error.message == "segment query: `data/ragged.csv`, line 3: is not well-formed CSV"


def test_a_file_of_an_unknown_kind_gets_the_functions_that_read_it(project):
    (project.data / "customers.lst").write_text("customer_id\nc1\n")
    error = refusal(project, "FROM 'data/customers.lst'")
    assert error.message == "segment query: `data/customers.lst` is not a data file by its ending"
    assert rows(project, "FROM read_csv('data/customers.lst', header = true)") == [("c1",)]


def test_a_value_that_does_not_fit_is_masked(project):
    for query in [
        "SELECT strptime(phone || ' Siti', '%Y') AS customer_id FROM 'data/customers.parquet'",
        "SELECT (phone || 'x')::INTEGER AS customer_id FROM 'data/customers.parquet'",
        "SELECT error('no ' || phone) AS customer_id FROM 'data/customers.parquet'",
    ]:
        error = refusal(project, query)
        assert "0812345678" not in error.message
        assert "Siti" not in error.message
        assert "(reading `data/customers.parquet`)" in error.message


def test_what_the_author_wrote_is_shown_as_it_is(project):
    assert "'Siti'" in refusal(project, "SELECT 'Siti'::INTEGER AS customer_id").message


def test_a_wrong_column_has_its_place_and_the_nearest_names(project):
    query = "SELECT customer_id,\n  'é', fone\nFROM 'data/customers.csv'"
    error = refusal(project, query)
    assert error.message.startswith("segment query 2:8: ")
    assert '"fone"' in error.message
    assert "`phone`" in (error.hint or "")


def test_a_place_behind_a_file_name_is_that_of_the_query_as_written(project):
    query = "SELECT customer_id FROM 'data/customers.csv' WHERE fone = 1"
    error = refusal(project, query)
    assert error.message.startswith(f"segment query 1:{query.index('fone') + 1}: ")


def test_missing_columns_are_named_with_what_there_is(project):
    error = refusal(project, "FROM 'data/customers.csv'", "customer_id", "phones", "consent")
    assert error.message == (
        "segment query: does not return `phones`, `consent`; it returns `customer_id`, `phone`"
    )
    assert error.hint == "did you mean `phone`?"
    assert "add it to the SELECT" in (refusal(project, "SELECT 1 AS a", "zzz").hint or "")


def test_phones_that_stand_where_names_should_be_are_masked(project):
    (project.data / "headless.csv").write_text("6281234567890,x\n6281234567891,y\n")
    message = refusal(project, "FROM read_csv('data/headless.csv', header = true)").message
    assert "6281****7890" in message
    assert "6281234567890" not in message


def test_many_columns_are_not_all_listed(project):
    columns = ", ".join(f"1 AS c{index}" for index in range(30))
    assert refusal(project, f"SELECT {columns}").message.endswith("`c19` and 10 more")


@pytest.mark.parametrize(
    "query", ["SELECT 1 AS customer_id, 2 AS customer_id", "SELECT 1 AS Customer_id, 2 AS CUSTOMER_ID"]
)
def test_a_wanted_column_may_not_come_twice(project, query):
    assert "returns the column `customer_id` 2 times" in refusal(project, query).message


def test_an_unwanted_column_may_come_twice(project):
    assert rows(project, "SELECT 1 AS a, 2 AS a, 3 AS customer_id, 4 AS A") == [(3,)]


def test_wanted_columns_that_differ_only_by_case_are_refused(project):
    error = refusal(project, "SELECT 1 AS a, 2 AS A", "a", "A")
    assert "`a` and `A`, which differ only by case" in error.message


# Its bounds


def test_a_query_is_stopped_when_its_time_is_up(project):
    quick = replace(project, query_seconds=0.3)
    begin = time.monotonic()
    error = refusal(
        quick,
        ENDLESS.format("customer_id"),
    )
    assert error.message == "segment query: was stopped after 0.3 seconds"
    assert time.monotonic() - begin < 3


def test_a_query_that_needs_too_much_memory_is_told_how_much_it_may_have(project):
    small = replace(project, query_memory_mb=64)
    error = refusal(small, "SELECT list(i) AS customer_id FROM range(100000000) AS t(i)")
    assert error.message == "segment query: needs more than 64 MB of memory"


IN_A_PROCESS = """
import resource, sys
from pathlib import Path
from runner.campaign import Segment
from runner.errors import SegmentError
from runner.project import Project
from runner.segments.duckdb import fetch

root, size, query = Path(sys.argv[1]), int(sys.argv[2]), sys.argv[3]
if size:
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))
folders = {"root": root, "data": root / "data", "state": root / ".runner"}
project = Project(**folders, ledger="", providers={}, query_memory_mb=96)
print("ready", flush=True)
try:
    fetch(Segment(source="duckdb", query=query), project=project, columns=["a"], target=root / "rows.parquet")
except SegmentError as error:
    print(error.message)
except KeyboardInterrupt:
    print("interrupted")
"""


def test_rows_that_do_not_fit_on_the_disk_are_told_so(project):
    for query in [
        "SELECT hash(i) AS a FROM range(3000000) AS t(i)",
        "SELECT a FROM (SELECT hash(i) || repeat('x', 60) AS a FROM range(2000000) AS t(i)) ORDER BY a",
    ]:
        command = [sys.executable, "-c", IN_A_PROCESS, str(project.root), "2000000", query]
        said = subprocess.run(command, capture_output=True, text=True, timeout=60)
        assert "do not fit on the disk" in said.stdout, said
        assert sorted(path.name for path in project.root.iterdir()) == [".runner", "data", "list.csv"]
        assert list(project.state.iterdir()) == []


def cpu_seconds(pid):
    """Return how long a process has computed: more than a start takes means that its query runs."""
    ticks = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[11:13]
    return sum(map(int, ticks)) / os.sysconf("SC_CLK_TCK")


def test_ctrl_c_stops_the_query_and_leaves_nothing_behind(project):
    command = [sys.executable, "-c", IN_A_PROCESS, str(project.root), "0", ENDLESS.format("a")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        while not list(project.root.glob(".rows.parquet.*")):
            time.sleep(0.01)
        before = cpu_seconds(process.pid)
        while cpu_seconds(process.pid) < before + 0.5:
            time.sleep(0.01)
        process.send_signal(signal.SIGINT)
        assert process.communicate(timeout=20)[0] == "interrupted\n"
    assert sorted(path.name for path in project.root.iterdir()) == [".runner", "data", "list.csv"]
    assert list(project.state.iterdir()) == []


# Anything at all

PIECES = """
SELECT|FROM|WHERE|WITH x AS (|(|)|,|;|*|1|'a'|customer_id|AS|'data/customers.csv'|read_csv(|'/etc/passwd'|
crm.customers|crm.main.|"|'|--|/*|*/|$$|e'|INSERT INTO|DELETE FROM|COPY|TO 'x.csv'|ATTACH|VALUES|DROP TABLE|
UNION|ORDER BY|LIMIT|JOIN|USING|PIVOT|ON|range(|glob(|read_text(|::|[|]|{|}|lambda x:|COLUMNS(|?|$1|RETURNING|
INTO|query(|'data/*'|../|null|CAST(|CASE WHEN|END|OVER (|é|'\\x00'|SHOW|DESCRIBE|SUMMARIZE|SET x =|TABLE
"""
FRAGMENTS = st.sampled_from(PIECES.replace("\n", "").split("|"))


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(query=st.one_of(st.text(max_size=40), st.lists(FRAGMENTS, max_size=14).map(" ".join)))
def test_any_text_is_either_run_or_refused_and_touches_no_file(project, query):
    quick = replace(project, query_seconds=5.0)
    before = snapshot(project.root.parent)
    with suppress(SegmentError):
        run(quick, query)
    assert snapshot(project.root.parent) == before
    assert list(project.state.iterdir()) == []
