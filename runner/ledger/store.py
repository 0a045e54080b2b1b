"""What the SQL ledgers need of a database: named statements, transactions and batches.

The ledger's logic is written once over it. Where the dialects differ, each database has statements of its own
under the same names.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from functools import cache
from importlib.resources import files
from typing import Any, Protocol

from runner.ledger.named_sql import Migration, Statement, read_statements

Row = tuple[Any, ...]
Parameters = Mapping[str, Any]

#: How many rows a batch holds at most.
BATCH = 10_000


class Store(Protocol):
    """An open database under a ledger. One thread owns it. Whatever fails is a LedgerError."""

    def close(self) -> None:
        """Close the database."""
        ...

    def transaction(self) -> AbstractContextManager[None]:
        """Write all that is run inside, durably, or nothing of it."""
        ...

    def snapshot(self) -> AbstractContextManager[None]:
        """Let all that is read inside see the database at one moment."""
        ...

    def hold(self, occurrences: Collection[int]) -> None:
        """See that nobody else writes about these occurrences (their ids) until the transaction ends.

        Only so do an occurrence's events become visible in the order of their numbers.
        """
        ...

    def run(self, name: str, parameters: Parameters) -> None:
        """Run a statement inside a transaction."""
        ...

    def changed(self, name: str, parameters: Parameters) -> int:
        """Run a statement inside a transaction; return how many rows changed."""
        ...

    def run_all(self, name: str, parameters: Sequence[Parameters]) -> None:
        """Run a statement inside a transaction, once for each set of parameters."""
        ...

    def wipe(self, name: str) -> bool:
        """Remove what is left of erased rows in the database's free space; False while others use it.

        It runs a statement outside of any transaction.
        """
        ...

    def rows(self, name: str, /, **parameters: Any) -> list[Row]:  # noqa: ANN401 - what a column can hold
        """Return all rows of a query."""
        ...

    def row(self, name: str, /, **parameters: Any) -> Row | None:  # noqa: ANN401 - as above
        """Return the first row of a query, or None."""
        ...

    def batches(self, name: str, /, **parameters: Any) -> Iterator[list[Row]]:  # noqa: ANN401 - as above
        """Yield the rows of a query as of one moment, in batches of at most BATCH."""
        ...


@cache
def shipped_statements(dialect: str) -> Mapping[str, Statement]:
    """Return every statement for a dialect, `sqlite` or `postgres`: the shared ones and its own."""
    folder = files("runner.ledger")
    texts = [
        (folder / name).read_text(encoding="utf-8")
        for name in ("statements_shared.sql", f"statements_{dialect}.sql")
    ]
    return read_statements("\n".join(texts))


@cache
def shipped_migrations(dialect: str) -> tuple[Migration, ...]:
    """Return the migrations of a dialect, in order."""
    folder = files("runner.ledger") / "migrations" / dialect
    found = sorted(entry.name for entry in folder.iterdir() if entry.name.endswith(".sql"))
    return tuple(
        Migration(version=int(name[:4]), name=name, sql=(folder / name).read_text(encoding="utf-8"))
        for name in found
    )
