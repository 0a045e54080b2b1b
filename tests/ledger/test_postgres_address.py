"""runner.ledger.postgres_address: whether the way to the server is encrypted."""

import pytest

from runner.ledger.postgres_address import read_address


@pytest.fixture(autouse=True)
def _no_environment(monkeypatch):
    monkeypatch.delenv("PGSSLMODE", raising=False)


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://u@db.example.com/x",
        "postgresql://u@10.0.0.5:5432/x",
        "postgresql://u@localhost.example.com/x",
        "postgresql://u@localhost,db.example.com/x",
    ],
)
def test_a_server_on_another_machine_is_reached_by_tls_only(url):
    assert read_address(url).parameters["sslmode"] == "require"


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://u@/x?host=/tmp",
        "postgresql://localhost/x",
        "postgresql://127.0.0.1/x",
        "postgresql://[::1]/x",
        "postgresql://u@/x",
    ],
)
def test_on_this_machine_nobody_stands_between(url):
    assert "sslmode" not in read_address(url).parameters


@pytest.mark.parametrize("mode", ["disable", "prefer", "verify-full"])
def test_what_the_address_says_stands(mode):
    assert read_address(f"postgresql://db.example.com/x?sslmode={mode}").parameters["sslmode"] == mode


def test_what_the_environment_says_stands(monkeypatch):
    monkeypatch.setenv("PGSSLMODE", "verify-full")
    assert "sslmode" not in read_address("postgresql://db.example.com/x").parameters
