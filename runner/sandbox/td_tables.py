"""The Treasure Data sandbox's databases and tables: folders of the project's data, and what clients wrote.

`data/crm/customers.csv` is the table `customers` of the database `crm`. What clients write is kept apart, as
`<store>/<database>/<table>/<id>.parquet` beside a `schema.json`; a table is the union of both, by name.
"""

from __future__ import annotations

import json
import os
import re
import shutil
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from runner.sandbox.td_errors import TableError
from runner.sandbox.td_work import WorkFolder

_NAME = re.compile(r"[a-z0-9_]{1,128}")
_SCHEMA = "schema.json"
_ENDINGS = frozenset({".csv", ".parquet", ".jsonl", ".ndjson"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """A declared column; `kind` is DuckDB's type."""

    name: str
    kind: str


@dataclass(frozen=True, slots=True, kw_only=True)
class TableFiles:
    """What a table consists of: `given` files of the data folder, `written` ones, and its declaration."""

    given: tuple[Path, ...]
    written: tuple[Path, ...]
    declared: tuple[Column, ...]

    @property
    def size(self) -> int:
        """The size of all files in bytes."""
        return sum(path.stat().st_size for path in (*self.given, *self.written))

    @property
    def changed(self) -> float:
        """When the youngest file was written, in seconds since 1970; 0 without files."""
        return max((path.stat().st_mtime for path in (*self.given, *self.written)), default=0.0)


class TableStore:
    """All databases. `data` is only read, `store` is made when something is written. Safe in threads.

    `work` is the folder of files on their way; whoever makes a store closes it.
    """

    def __init__(self, data: Path, store: Path) -> None:
        self.data = data.resolve()
        self.store = store.resolve()
        self.work = WorkFolder(self.store / ".work")

    def databases(self) -> list[str]:
        """Return the names of all databases, in order."""
        return sorted({*_folders(self.data), *_folders(self.store)})

    def create_database(self, database: str) -> None:
        """Make a database; TableError 409 where it exists, 422 where the name is none."""
        _check_name(database)
        if database in self.databases():
            raise TableError(409, f"Database {database} has already been taken")
        (self.store / database).mkdir(parents=True, mode=0o700)

    def tables(self, database: str) -> list[str]:
        """Return the names of the database's tables, in order; TableError 404 without the database."""
        given, written = _folders(self.data).get(database), _folders(self.store).get(database)
        if given is None and written is None:
            raise TableError(404, f"Resource not found: Database {database} does not exist")
        names = {path.stem.lower() for path in _data_files(given, self.data)}
        return sorted(names | set(_folders(written) if written else ()))

    def table(self, database: str, table: str) -> TableFiles:
        """Return what a table consists of; TableError 404 where there is no such table."""
        if table not in self.tables(database):
            raise TableError(404, f"Resource not found: Table {database}.{table} does not exist")
        files = _data_files(_folders(self.data).get(database), self.data)
        own = self.store / database / table
        return TableFiles(
            given=tuple(path for path in files if path.stem.lower() == table),
            written=tuple(sorted(own.glob("*.parquet"))),
            declared=_read_schema(own),
        )

    def create_table(self, database: str, table: str, columns: Sequence[Column] = ()) -> None:
        """Make an empty table; TableError 409 where it exists, 404 without its database, 422 for its name."""
        _check_name(table)
        if table in self.tables(database):
            raise TableError(409, f"Table {table} has already been taken")
        self._own_folder(database, table)
        self.declare(database, table, columns)

    def declare(self, database: str, table: str, columns: Sequence[Column]) -> None:
        """Give a table other declared columns."""
        folder = self._own_folder(database, table)
        text = json.dumps([[column.name, column.kind] for column in columns])
        partial = folder / f".{_SCHEMA}.{os.getpid()}"
        partial.write_text(text, encoding="utf-8")
        partial.replace(folder / _SCHEMA)

    def delete_table(self, database: str, table: str) -> None:
        """Delete a table that clients made; TableError 404 without it, 403 for one of the data folder."""
        if self.table(database, table).given:
            raise TableError(
                403, f"Table {database}.{table} is a file of the project's data: it is only read"
            )
        shutil.rmtree(self.store / database / table)

    def add_part(self, database: str, table: str, part: str, source: Path) -> bool:
        """Move the Parquet file `source` into the table; False, and nothing added, where `part` is there."""
        self.table(database, table)
        target = self._own_folder(database, table) / f"{part}.parquet"
        try:
            # A link fails where the name is taken: of two at once, one wins.
            os.link(source, target)
        except FileExistsError:
            return False
        finally:
            source.unlink()
        return True

    def has_part(self, database: str, table: str, part: str) -> bool:
        """Tell whether the table has this part already."""
        return (self.store / database / table / f"{part}.parquet").exists()

    def shown(self, text: str) -> str:
        """Return `text` without the paths of this machine."""
        for folder, name in ((self.store, "store"), (self.data, "data")):
            text = text.replace(str(folder), name)
        return text

    def _own_folder(self, database: str, table: str) -> Path:
        folder = self.store / database / table
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        return folder


def _check_name(name: str) -> None:
    if not _NAME.fullmatch(name):
        raise TableError(422, f"Invalid name {name!r}: only a-z, 0-9 and _ are allowed")


def _folders(folder: Path) -> dict[str, Path]:
    """Return the folders within `folder` by their names in lower case; hidden ones are none."""
    with suppress(OSError):
        return {
            path.name.lower(): path
            for path in sorted(folder.iterdir())
            if path.is_dir() and not path.name.startswith(".")
        }
    return {}


def _data_files(folder: Path | None, root: Path) -> list[Path]:
    """Return the data files in `folder`, without those that lead out of `root`."""
    if folder is None:
        return []
    found: Iterable[Path] = sorted(path.resolve() for path in folder.iterdir() if path.suffix in _ENDINGS)
    return [path for path in found if path.is_file() and path.is_relative_to(root)]


def _read_schema(folder: Path) -> tuple[Column, ...]:
    with suppress(FileNotFoundError):
        pairs = json.loads((folder / _SCHEMA).read_text(encoding="utf-8"))
        return tuple(Column(name=name, kind=kind) for name, kind in pairs)
    return ()
