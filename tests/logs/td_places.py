"""Treasure Data for the tests of logs: sandboxes with the database `crm`, and what is in their tables."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any
from unittest.mock import patch

from runner.sandbox.td_faults import parse_td_fault
from runner.sandbox.td_serving import running_td_sandbox
from runner.sandbox.td_settings import TdSandboxSettings
from runner.treasure_data.account import Account

KEY = f"1/{'a' * 40}"
DATABASE, TABLE = "crm", "whatsapp_log"
SETTINGS = {"database": DATABASE, "table": TABLE}
#: A campaign's `log`, and the name the log then has in the ledger.
TD = {"treasure_data": SETTINGS}
NAME = f"treasure_data:{DATABASE}.{TABLE}"


def account_at(url: str) -> Account:
    """Return an account of the Treasure Data at `url`."""
    return Account(key=KEY, key_source="TD_API_KEY", site=None, api=url, presto=url, cdp=url)


@contextmanager
def td_sandboxes(root: Path) -> Iterator[Callable[..., str]]:
    """Give a function that starts a sandbox with faults, and returns its URL; all keep the same tables."""
    (root / "data" / DATABASE).mkdir(parents=True)
    with ExitStack() as stack:

        def start(*faults: str, keys: tuple[str, ...] = ()) -> str:
            settings = TdSandboxSettings(
                data=root / "data",
                store=root / "store",
                faults=tuple(parse_td_fault(fault) for fault in faults),
                keys=keys,
            )
            return stack.enter_context(running_td_sandbox(settings)).url

        yield start


def rows_at(url: str, sql: str = f"SELECT * FROM {TABLE} ORDER BY event_number") -> list[dict[str, Any]]:
    """Read rows back with pytd, over Trino."""
    import pytd

    with patch.dict(os.environ, {"TD_PRESTO_API": url}):
        client = pytd.Client(apikey=KEY, endpoint=url, database=DATABASE)
        found = client.query(sql)
        client.close()
    return [dict(zip(found["columns"], row, strict=True)) for row in found["data"]]
