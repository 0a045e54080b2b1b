"""A query's rows as a Parquet file for its owner only: people's data lies in intermediate files too."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from runner.sql_text import quote_literal

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection


def write_parquet(connection: DuckDBPyConnection, sql: str, target: Path) -> None:
    """Write the rows of a query to `target`, of mode 0600 from its first byte on.

    Errors: duckdb.Error, OSError.
    """
    target.touch(mode=0o600)
    # Without the temporary file of its own DuckDB writes to the one that is private already.
    connection.execute(f"COPY ({sql}) TO {quote_literal(str(target))} (FORMAT parquet, USE_TMP_FILE false)")
