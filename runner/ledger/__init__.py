"""Where the truth about deliveries is kept: one file per database, found by the ledger URL's scheme."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, cast

from runner.errors import LedgerError

if TYPE_CHECKING:
    from runner.ledger.interface import Ledger

_EXAMPLE = "write `ledger: sqlite:///.runner/ledger.db` in runner.yml"
#: The module that opens the ledgers of a scheme, by `open_url(url, root, read_only=...)`.
_MODULES = {"sqlite": "runner.ledger.sqlite"}
_NOT_YET = {"postgresql", "postgres"}


def open_ledger(url: str, *, root: Path, read_only: bool = False) -> Ledger:
    """Open the ledger at `url`, creating it if it is not there; a relative path starts at `root`.

    Open for reading only, a ledger that is not there reads as an empty one, and nothing is created.
    Errors: LedgerError.
    """
    scheme, separator, _ = url.partition("://")
    if scheme in _NOT_YET and separator:
        raise LedgerError(f"ledger: a {scheme} ledger is not in this version", hint=_EXAMPLE)
    if scheme not in _MODULES or not separator:
        shown = f"{scheme}://..." if separator else "no scheme"
        raise LedgerError(f"ledger: found {shown}, expected sqlite:///...", hint=_EXAMPLE)
    module = import_module(_MODULES[scheme])
    return cast("Ledger", module.open_url(url, root, read_only=read_only))
