"""Is this query one read-only SELECT, and which files and tables does it read? Asked before it may run.

Two parsers must agree: sqlglot, and DuckDB's own, whose tree (as JSON) is what will run. Everything that
decides is read from DuckDB's tree, so that no difference between the two can hide a file or a function.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Sequence
from dataclasses import dataclass

import duckdb
import sqlglot
from sqlglot import exp
from sqlglot.errors import SqlglotError
from sqlglot.tokenizer_core import TokenType

from runner.errors import SegmentError
from runner.segments.duckdb_errors import syntax_error
from runner.segments.duckdb_tree import Node, arguments_of, names_from_with, nodes_of, parts_of, string_of
from runner.segments.query_place import one_line, place
from runner.segments.rules import Rule, broken, too_deep
from runner.sql_text import quote_identifier, quote_literal

# sqlglot warns of every statement it does not know; here such a statement is an error of its own.
logging.getLogger("sqlglot").setLevel(logging.ERROR)

_LONGEST = 1_000_000
_LINE_ENDS = "\t\n\r"

#: What sqlglot raises on texts that no SQL grammar foresees, beside its own errors.
_SQLGLOT_TROUBLE = (SqlglotError, ArithmeticError, AttributeError, LookupError, TypeError, ValueError)

_STATEMENTS = (
    exp.DDL,
    exp.DML,
    exp.Alter,
    exp.Analyze,
    exp.Attach,
    exp.Command,
    exp.Comment,
    exp.Commit,
    exp.Describe,
    exp.Detach,
    exp.Drop,
    exp.Install,
    exp.Into,
    exp.Kill,
    exp.Pragma,
    exp.Rollback,
    exp.Set,
    exp.Show,
    exp.Summarize,
    exp.Transaction,
    exp.TruncateTable,
    exp.Use,
)
_SELECTS = (exp.Select, exp.SetOperation, exp.Subquery, exp.Values)
_QUERY_NODES = frozenset({"SELECT_NODE", "SET_OPERATION_NODE", "RECURSIVE_CTE_NODE", "CTE_NODE"})

_FILE_FUNCTIONS = frozenset(
    {
        "parquet_scan",
        "read_csv",
        "read_csv_auto",
        "read_json",
        "read_json_auto",
        "read_json_objects",
        "read_json_objects_auto",
        "read_ndjson",
        "read_ndjson_auto",
        "read_ndjson_objects",
        "read_parquet",
    }
)
_ROW_FUNCTIONS = frozenset({"generate_series", "json_each", "json_tree", "range", "repeat", "unnest"})

_SYSTEM_FUNCTIONS = frozenset(
    {
        "current_query",
        "current_query_id",
        "current_setting",
        "currval",
        "getenv",
        "getvariable",
        "glob",
        "json_execute_serialized_sql",
        "nextval",
        "query",
        "query_table",
        "setval",
        "sleep_ms",
        "sniff_csv",
        "which_secret",
        "write_log",
    }
)
_SYSTEM_PREFIXES = (
    "delta_",
    "duckdb_",
    "http_",
    "iceberg_",
    "information_schema",
    "mysql_",
    "parquet_",
    "pg_",
    "postgres_",
    "pragma_",
    "read_",
    "sqlite_",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class FileUse:
    """A data file's name as the query writes it, and the bytes from `start` to `end` where it stands."""

    name: str
    start: int
    end: int


@dataclass(frozen=True, slots=True, kw_only=True)
class TableUse:
    """A table named by its parts, `crm.customers` or `crm.main.customers`, at a byte offset of the query."""

    parts: tuple[str, ...]
    start: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckedSelect:
    """A query that keeps every rule but those of its files: its text without the last semicolon, its uses."""

    sql: str
    files: tuple[FileUse, ...]
    tables: tuple[TableUse, ...]


def check_select(query: str, connection: duckdb.DuckDBPyConnection) -> CheckedSelect:
    """Return the query, checked; nothing of it is run. Raises SegmentError that names the broken rule.

    `connection` lends DuckDB's parser; its setting `errors_as_json` must be on.
    """
    _check_text(query)
    sql = _without_last_semicolon(query)
    _check_with_sqlglot(sql, connection)
    return _Reader(sql=sql, tree=_duckdb_tree(sql, connection)).read()


def _check_text(query: str) -> None:
    if not query.strip():
        raise SegmentError("segment query: is empty", hint="write one SELECT")
    if len(query) > _LONGEST:
        raise broken(
            Rule.SHORT, f"{len(query):,} characters", hint="keep long lists in a data file and join it"
        )
    # DuckDB ends a text at U+0000 where sqlglot reads on, and cannot take half of a surrogate pair.
    for index, char in enumerate(query):
        if (ord(char) < 32 and char not in _LINE_ENDS) or 0xD800 <= ord(char) <= 0xDFFF:
            at = place(query[:index], len(query[:index].encode()))
            raise broken(Rule.PLAIN_TEXT, f"found the character U+{ord(char):04X}", place=at)


def _without_last_semicolon(query: str) -> str:
    """Cut the semicolons that end the query, and the comments after them."""
    try:
        tokens = sqlglot.tokenize(query, read="duckdb")
    except _SQLGLOT_TROUBLE:
        return query
    end = len(query)
    for token in reversed(tokens):
        if token.token_type is not TokenType.SEMICOLON:
            break
        end = token.start
    return query[:end].rstrip() if query[:end].strip() else query


def _check_with_sqlglot(sql: str, connection: duckdb.DuckDBPyConnection) -> None:
    try:
        statements = [tree for tree in sqlglot.parse(sql, read="duckdb") if tree is not None]
    except RecursionError:
        raise too_deep() from None
    except _SQLGLOT_TROUBLE as error:
        raise _unreadable(sql, connection, error) from None
    if not statements:
        raise SegmentError("segment query: is empty", hint="write one SELECT")
    if len(statements) != 1:
        raise _several(len(statements))
    root = statements[0]
    if isinstance(root, exp.Command) or not isinstance(root, (*_SELECTS, *_STATEMENTS, exp.Pivot)):
        # DuckDB's word first: what sqlglot takes for a strange statement is mostly a slip of the pen.
        _duckdb_tree(sql, connection)
    if not isinstance(root, _SELECTS):
        raise _no_select(type(root).__name__.upper())
    write = next((node for node in root.walk() if isinstance(node, _STATEMENTS)), None)
    if write is not None:
        raise _no_select(type(write).__name__.upper())


def _unreadable(sql: str, connection: duckdb.DuckDBPyConnection, error: Exception) -> SegmentError:
    """Return DuckDB's own words for a syntax error; where it sees none, the query is only too unusual."""
    _duckdb_tree(sql, connection)
    details = getattr(error, "errors", None) or [{}]
    line = details[0].get("line")
    at = f" {line}:{details[0].get('col')}" if line else ""
    return SegmentError(
        f"segment query{at}: cannot be checked to be only a SELECT",
        hint="write this part in plainer SQL, or give it quotes if it is a name",
    )


def _several(count: int) -> SegmentError:
    return broken(
        Rule.ONE_STATEMENT, f"found {count}", hint="leave one SELECT; parts of it can be named with WITH"
    )


def _no_select(found: str) -> SegmentError:
    return broken(
        Rule.ONLY_SELECT,
        f"found {found}",
        hint="a segment reads; it changes nothing and sets nothing",
    )


def _system(found: str, at: str) -> SegmentError:
    return broken(
        Rule.NO_SYSTEM,
        f"found `{one_line(found)}`",
        place=at,
        hint="a segment depends on its data alone; files are read with FROM 'data/…' or read_csv('data/…')",
    )


def _no_plain_name(at: str) -> SegmentError:
    return broken(
        Rule.PLAIN_FILE_NAMES,
        "a file is named in another way",
        place=at,
        hint="write 'data/customers.parquet', or a list of such strings, as the first argument",
    )


def _duckdb_tree(sql: str, connection: duckdb.DuckDBPyConnection) -> Node:
    """Return DuckDB's tree of `sql`, which must be one SELECT to DuckDB too."""
    try:
        row = connection.execute("SELECT json_serialize_sql(?::VARCHAR)", [sql]).fetchone()
        tree: Node = json.loads(row[0]) if row else {}
    except (duckdb.Error, RecursionError, ValueError):
        raise too_deep() from None
    if tree.get("error_type") == "parser":
        raise syntax_error(tree, sql)
    if tree.get("error", True):
        raise _no_select("another kind of statement")
    # Only now: on its way through this function an IMPORT DATABASE would read its files.
    kinds = [statement.type for statement in connection.extract_statements(sql)]
    if len(kinds) != 1 or len(tree["statements"]) != 1:
        raise _several(len(kinds))
    if kinds != [duckdb.StatementType.SELECT]:
        raise _no_select("another kind of statement")
    return tree


@dataclass(frozen=True, slots=True, kw_only=True)
class _Reader:
    """Reads DuckDB's tree of a query, once, and refuses what a segment may not do."""

    sql: str
    tree: Node

    def read(self) -> CheckedSelect:
        """Return what the query reads. Raises SegmentError for the first node that breaks a rule."""
        nodes = list(nodes_of(self.tree))
        names = {name.casefold() for node in nodes for name in names_from_with(node)}
        files: list[FileUse] = []
        tables: list[TableUse] = []
        for node in nodes:
            kind = str(node.get("type"))
            self._check_kind(node, kind)
            if kind == "TABLE_FUNCTION":
                files += self._table_function(node["function"], self._place(node))
            elif kind == "BASE_TABLE":
                parts = parts_of(node)
                if self._is_file(parts, names):
                    files.append(self._file(parts[0], node))
                elif self._is_table(parts, names, node):
                    tables.append(TableUse(parts=parts, start=node.get("query_location")))
            elif node.get("class") == "FUNCTION":
                self._function(node)
        return CheckedSelect(sql=self.sql, files=tuple(files), tables=tuple(tables))

    def _check_kind(self, node: Node, kind: str) -> None:
        if (kind.endswith("_NODE") and kind not in _QUERY_NODES) or kind == "SHOW_REF":
            raise _no_select(kind.removesuffix("_QUERY_NODE").removesuffix("_REF"))
        if node.get("class") == "PARAMETER":
            raise broken(
                Rule.NO_PARAMETERS,
                "found a ? or $",
                place=self._place(node),
                hint="write the value itself into the query",
            )

    def _own_function(self, node: Node, at: str) -> None:
        parts = parts_of(node)
        # DuckDB's tree says `main.list_value` for a list that was written `[...]`.
        if len(parts) > 1 and parts[0].lower() != "main":
            raise broken(
                Rule.OWN_FUNCTIONS,
                f"found `{one_line('.'.join(parts))}`",
                place=at,
                hint="functions kept in a .duckdb file cannot be used; write the expression itself",
            )

    def _function(self, node: Node) -> None:
        self._own_function(node, self._place(node))
        name = parts_of(node)[-1].lower()
        if name in _SYSTEM_FUNCTIONS or name.startswith(_SYSTEM_PREFIXES):
            raise _system(name, self._place(node))

    def _table_function(self, node: Node, at: str) -> list[FileUse]:
        self._known_table_function(node, at)
        if parts_of(node)[-1].lower() in _ROW_FUNCTIONS:
            return []
        arguments = arguments_of(node)
        first = arguments[0] if arguments else {}
        constants = arguments_of(first) if parts_of(first)[-1:] == ("list_value",) else [first]
        names = [string_of(constant) for constant in constants]
        if not names or None in names:
            raise _no_plain_name(at)
        return [
            self._file(name, constant)
            for name, constant in zip(names, constants, strict=True)
            if name is not None
        ]

    def _known_table_function(self, node: Node, at: str) -> None:
        self._own_function(node, at)
        name = parts_of(node)[-1].lower()
        if name in _FILE_FUNCTIONS | _ROW_FUNCTIONS:
            return
        if name in _SYSTEM_FUNCTIONS or name.startswith(_SYSTEM_PREFIXES):
            raise _system(name, at)
        raise broken(
            Rule.TABLE_FUNCTIONS,
            f"found `{one_line(name)}`",
            place=at,
            hint="data files are read with FROM 'data/…', read_csv, read_parquet or read_json",
        )

    def _is_file(self, parts: Sequence[str], names: set[str]) -> bool:
        """Tell a name for DuckDB's file readers: no plain name has these characters."""
        return (
            len(parts) == 1 and parts[0].casefold() not in names and not set("/\\.:*?[").isdisjoint(parts[0])
        )

    def _is_table(self, parts: Sequence[str], names: set[str], node: Node) -> bool:
        """Tell a table of a .duckdb file from a name of WITH; refuse what is neither."""
        if any(part.lower().startswith(_SYSTEM_PREFIXES) for part in parts):
            raise _system(".".join(parts), self._place(node))
        if len(parts) > 1:
            return True
        if parts[0].casefold() in names:
            return False
        raise broken(
            Rule.KNOWN_TABLES,
            f"there is no table `{one_line(parts[0])}`",
            place=self._place(node),
            hint="a file is FROM 'data/customers.parquet', a table of data/crm.duckdb is FROM crm.customers",
        )

    def _file(self, name: str, node: Node) -> FileUse:
        """Find the very bytes at which a file is named, so that they can be replaced by its full path."""
        text = self.sql.encode()
        start: int = node.get("query_location", -1)
        for written in (quote_literal(name).encode(), quote_identifier(name).encode()):
            if text[start : start + len(written)] == written:
                return FileUse(name=name, start=start, end=start + len(written))
        raise _no_plain_name(self._place(node))

    def _place(self, node: Node) -> str:
        return place(self.sql, node.get("query_location"))
