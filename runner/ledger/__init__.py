"""Where the truth about deliveries is kept: one module per database, found by the ledger URL's scheme."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, cast

from runner.errors import LedgerError

if TYPE_CHECKING:
    from runner.ledger.interface import Ledger

_EXAMPLE = "write `ledger: sqlite:///.runner/ledger.db` in runner.yml"
#: The module that opens the ledgers of a scheme, by `open_url(url, root, read_only=...)`.
_MODULES = {
    "sqlite": "runner.ledger.sqlite",
    "postgresql": "runner.ledger.postgres",
    "postgres": "runner.ledger.postgres",
}


def open_ledger(url: str, *, root: Path, read_only: bool = False) -> Ledger:
    """Open the ledger at `url`, creating it if it is not there; a relative path starts at `root`.

    Open for reading only, a ledger that is not there reads as an empty one, and nothing is created.
    Errors: LedgerError.
    """
    scheme, separator, _ = url.partition("://")
    if scheme not in _MODULES or not separator:
        shown = f"{scheme}://..." if separator else "no scheme"
        found = f"ledger: found {shown}, expected sqlite:///... or postgresql://..."
        raise LedgerError(found, hint=_EXAMPLE)
    module = import_module(_MODULES[scheme])
    return cast("Ledger", module.open_url(url, root, read_only=read_only))
