import shutil
from pathlib import Path

import duckdb
import pytest

from runner.project import Project


@pytest.fixture(scope="session")
def sample(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project folder whose data folder holds two people in every kind of file, and a secret next to it."""
    home = tmp_path_factory.mktemp("sample")
    root = home / "project"
    data = root / "data"
    (data / "more").mkdir(parents=True)
    (home / "secret.csv").write_text("customer_id\nsecret\n")
    (root / "list.csv").write_text("customer_id\nsecret\n")
    (data / "customers.csv").write_text("customer_id,phone\nc1,081234567801\nc2,081234567802\n")
    (data / "customers.json").write_text('{"customer_id": "c1"}\n{"customer_id": "c2"}\n')
    (data / "more" / "customers.csv").write_text("customer_id,phone\nc3,081234567803\n")
    with duckdb.connect() as connection:
        people = "SELECT 'c' || i AS customer_id, '08123456780' || i AS phone FROM range(1, 3) AS t(i)"
        connection.execute(f"COPY ({people}) TO '{data}/customers.parquet' (FORMAT parquet)")
    with duckdb.connect(str(data / "crm.duckdb")) as connection:
        connection.execute("CREATE TABLE customers AS SELECT 'd1' AS customer_id")
        connection.execute("CREATE VIEW members AS FROM customers")
        connection.execute(f"CREATE VIEW leak AS FROM read_csv('{home}/secret.csv')")
        connection.execute("CREATE MACRO twice(x) AS x || x")
        connection.execute("CREATE SCHEMA old; CREATE TABLE old.customers AS SELECT 'd0' AS customer_id")
    return home


@pytest.fixture
def project(sample: Path, tmp_path: Path) -> Project:
    """The sample project, a copy of its own."""
    home = shutil.copytree(sample, tmp_path / "home")
    root = home / "project"
    return Project(
        root=root, data=root / "data", state=root / ".runner", ledger="", providers={}, query_memory_mb=256
    )
