"""The yardstick of a plan: the same screening as one DuckDB query, with nothing of the product around it.

Run as a process of its own: `python benchmarks/bare_screening.py PROJECT CAMPAIGN`.
"""

from __future__ import annotations

import sys
from pathlib import Path

import duckdb

from runner.campaign_file import load_campaign
from runner.phone import reading_sql, readings_sql
from runner.project_file import load_project
from runner.rendering import compile_message
from runner.template import Template


def main() -> None:
    """Read, screen, render and write both tables with one statement each."""
    root, name = Path(sys.argv[1]), sys.argv[2]
    campaign = load_campaign(root / f"{name}.yml", load_project(root))
    template = Template(
        id="t",
        name="promo",
        language="id",
        status="APPROVED",
        category="MARKETING",
        body="Halo {{1}}, poin Anda {{2}}. Kode {{3}} berlaku hari ini.",
    )
    rows = f"read_parquet('{root}/data/{name}.parquet', file_row_number=true)"
    with duckdb.connect() as connection:
        types = {row[0]: row[1] for row in connection.execute(f"DESCRIBE SELECT * FROM {rows}").fetchall()}
        message = compile_message(campaign, template, types)
        connection.execute(
            f"CREATE TABLE lines AS SELECT column0 AS phone FROM read_csv('{root}/never.csv', header=false)"
        )
        lines = reading_sql("lines", column="phone", column_type="VARCHAR", region="ID")
        connection.execute(f"CREATE TABLE suppressed AS {readings_sql(f'({lines})')}")
        reading = reading_sql(rows, column="phone", column_type="VARCHAR", region="ID")
        screened = f"""
            SELECT file_row_number AS row, id, _phone AS phone, {message.body} AS body,
                CASE
                    WHEN _phone_reason IS NOT NULL THEN _phone_reason
                    WHEN NOT coalesce(consent, false) THEN 'no_consent'
                    WHEN _phone IN (SELECT phone FROM suppressed) THEN 'suppressed'
                    WHEN {message.bad_variable} IS NOT NULL THEN 'bad_variable'
                END AS reason
            FROM {message.over(f"({reading})")}
        """
        judged = f"""
            SELECT *, CASE
                WHEN reason IS NULL AND row_number() OVER (PARTITION BY phone, reason ORDER BY row) > 1
                    THEN 'duplicate_phone'
                ELSE reason END AS verdict
            FROM ({screened})
        """
        connection.execute(f"COPY ({judged}) TO '{root}/bare.parquet' (FORMAT parquet)")


if __name__ == "__main__":
    main()
