"""Where ledger rows and events are written for others to read: one file per kind of log."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from typing import TYPE_CHECKING, Any

from runner.errors import UsageError

if TYPE_CHECKING:
    from runner.logs.interface import Log, LogTools

#: The module of each kind of log, which opens one by `open_log(settings, tools)`.
KINDS = {
    "treasure_data": "runner.logs.treasure_data",
    "parquet": "runner.logs.parquet",
    "csv": "runner.logs.csv",
}


def open_log(kind: str, settings: Mapping[str, Any], tools: LogTools) -> Log:
    """Return the log of a kind, as the campaign's `log` sets it up; nothing is written or asked yet.

    Errors: UsageError.
    """
    if kind not in KINDS:
        known = ", ".join(KINDS)
        raise UsageError(f"log: there is no log of the kind {kind!r}", hint=f"this version knows {known}")
    log: Log = import_module(KINDS[kind]).open_log(settings, tools)
    return log
