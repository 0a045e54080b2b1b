"""Treasure Data's SQL as DuckDB's: sqlglot reads Trino or Hive, and what differs is rewritten here.

It is approximate (reference/treasure-data.md §7.1), and good enough to rehearse a campaign.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from enum import Enum

import sqlglot
from sqlglot import exp
from sqlglot.errors import ParseError, SqlglotError

from runner.sandbox.td_errors import SqlError
from runner.sandbox.td_functions import TdFunctionError, bounds_sql, format_call, interval_bounds
from runner.sandbox.td_tables import Column

#: The longest statement in characters (reference/treasure-data.md §2.4).
_LARGEST = {"trino": 1_000_000, "hive": 2_097_152}

# It warns of statements that it does not know; here they are refused.
logging.getLogger("sqlglot").setLevel(logging.ERROR)


class StatementKind(Enum):
    """What a statement does. The value is Trino's updateType."""

    QUERY = ""
    INSERT = "INSERT"
    CREATE = "CREATE TABLE"
    CREATE_AS = "CREATE TABLE AS"
    DROP = "DROP TABLE"


@dataclass(frozen=True, slots=True, kw_only=True)
class TableName:
    """A table in its database."""

    database: str
    table: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Statement:
    """One statement for DuckDB.

    `select` is the query of all but CREATE and DROP. `reads` are the tables it names. `target` is what it
    writes, `columns` are those that it names there; `lenient` is IF (NOT) EXISTS.
    """

    kind: StatementKind
    select: str = ""
    reads: tuple[TableName, ...] = ()
    target: TableName | None = None
    columns: tuple[Column, ...] = ()
    lenient: bool = False


def syntax_error(message: str) -> SqlError:
    """Return Trino's error for what cannot be read."""
    return SqlError(message, name="SYNTAX_ERROR", code=1)


def not_supported(message: str) -> SqlError:
    """Return Trino's error for what this sandbox does not do."""
    return SqlError(message, name="NOT_SUPPORTED", code=13)


def translate(sql: str, *, dialect: str, database: str, scheduled: int) -> Statement:
    """Read one statement of `dialect` (trino or hive) and return it for DuckDB; SqlError where it is none.

    Tables without a database are those of `database`. `scheduled` is the job's scheduled time.
    """
    if len(sql) > _LARGEST[dialect]:
        text = f"Query text length ({len(sql)}) exceeds the maximum length ({_LARGEST[dialect]})"
        raise SqlError(text, name="GENERIC_USER_ERROR", code=0)
    tree = _parse(sql, dialect)
    try:
        _name_columns(tree, dialect)
        return _statement(tree.transform(_rewritten, scheduled), database)
    except TdFunctionError as error:
        raise SqlError(str(error), name="INVALID_FUNCTION_ARGUMENT", code=7) from None
    except SqlglotError as error:
        raise syntax_error(str(error).split("\n", 1)[0]) from None


def _parse(sql: str, dialect: str) -> exp.Expr:
    try:
        trees = [tree for tree in sqlglot.parse(sql, read=dialect) if tree is not None]
    except ParseError as error:
        first = error.errors[0] if error.errors else {}
        place = f"line {first['line']}:{first['col']}: " if first.get("line") else ""
        raise syntax_error(f"{place}{first.get('description') or 'cannot be read'}") from None
    except SqlglotError as error:
        raise syntax_error(str(error).split("\n", 1)[0]) from None
    if len(trees) != 1:
        raise syntax_error("line 1:1: exactly one statement is expected")
    if not isinstance(trees[0], exp.Expr):
        raise syntax_error("line 1:1: this is no statement")
    return trees[0]


def _statement(tree: exp.Expr, database: str) -> Statement:
    if isinstance(tree, exp.Query):
        return _query(StatementKind.QUERY, tree, database)
    if isinstance(tree, exp.Insert) and isinstance(tree.expression, (exp.Query, exp.Values)):
        target, columns = _target(tree.this, database)
        return _query(StatementKind.INSERT, tree.expression, database, target=target, columns=columns)
    if isinstance(tree, exp.Create) and tree.kind == "TABLE":
        return _create(tree, database)
    if isinstance(tree, exp.Drop) and tree.kind == "TABLE" and len(tree.args["tables"]) == 1:
        target, _ = _target(tree.args["tables"][0], database)
        return Statement(kind=StatementKind.DROP, target=target, lenient=bool(tree.args.get("exists")))
    first = tree.name if isinstance(tree, exp.Command) else tree.key
    raise not_supported(f"this sandbox does not run {first.upper()}")


def _create(tree: exp.Create, database: str) -> Statement:
    target, columns = _target(tree.this, database)
    lenient = bool(tree.args.get("exists"))
    if isinstance(tree.expression, exp.Query):
        return _query(StatementKind.CREATE_AS, tree.expression, database, target=target, lenient=lenient)
    return Statement(kind=StatementKind.CREATE, target=target, columns=columns, lenient=lenient)


def _query(
    kind: StatementKind,
    tree: exp.Expr,
    database: str,
    *,
    target: TableName | None = None,
    columns: tuple[Column, ...] = (),
    lenient: bool = False,
) -> Statement:
    reads = _name_tables(tree, database)
    return Statement(
        kind=kind,
        select=tree.sql(dialect="duckdb", comments=False),
        reads=reads,
        target=target,
        columns=columns,
        lenient=lenient,
    )


def _target(node: exp.Expr, database: str) -> tuple[TableName, tuple[Column, ...]]:
    """Return the table that is written, and the columns that are named or declared with it."""
    columns: list[Column] = []
    if isinstance(node, exp.Schema):
        for column in node.expressions:
            declared = column.args.get("kind") if isinstance(column, exp.ColumnDef) else None
            kind = declared.sql(dialect="duckdb") if declared else ""
            columns.append(Column(name=column.name.lower(), kind=kind))
        node = node.this
    return TableName(database=(node.text("db") or database).lower(), table=node.name.lower()), tuple(columns)


def _name_columns(tree: exp.Expr, dialect: str) -> None:
    """Give the columns of a query that have no name the one that Trino, or Hive, gives them."""
    while isinstance(tree, exp.SetOperation):
        tree = tree.this
    if not isinstance(tree, exp.Select):
        return
    prefix = "_c" if dialect == "hive" else "_col"
    named = [
        column
        if isinstance(column, (exp.Alias, exp.Column, exp.Star)) or column.is_star
        else exp.alias_(column, f"{prefix}{index}")
        for index, column in enumerate(tree.expressions)
    ]
    tree.set("expressions", named)


def _name_tables(tree: exp.Expr, database: str) -> tuple[TableName, ...]:
    """Write the database before every table of the tree, and return the tables in order."""
    within = {cte.alias.lower() for cte in tree.find_all(exp.CTE)}
    names: dict[TableName, None] = {}
    for table in tree.find_all(exp.Table):
        if not isinstance(table.this, exp.Identifier):
            continue
        if not table.db and table.name.lower() in within:
            continue
        name = TableName(database=(table.db or database).lower(), table=table.name.lower())
        if not table.alias:
            table.set("alias", exp.TableAlias(this=exp.to_identifier(table.name, quoted=True)))
        table.set("this", exp.to_identifier(name.table, quoted=True))
        table.set("db", exp.to_identifier(name.database, quoted=True))
        table.set("catalog", None)
        names[name] = None
    for column in tree.find_all(exp.Column):
        # Every table has an alias now, and that alone qualifies a column.
        column.set("db", None)
        column.set("catalog", None)
    return tuple(names)


def _rewritten(node: exp.Expr, scheduled: int) -> exp.Expr:
    """Return a node as DuckDB takes it, where sqlglot alone would change its meaning."""
    if isinstance(node, exp.UnixToTime) and node.args.get("zone"):
        plain = exp.UnixToTime(this=node.this.copy())
        return exp.Anonymous(this="timezone", expressions=[node.args["zone"].copy(), plain])
    if not isinstance(node, exp.Anonymous):
        return node
    name = str(node.this).lower()
    arguments = node.expressions
    if name == "td_interval" and len(arguments) in {2, 3}:
        spec = _text(arguments[1], name)
        zone = _text(arguments[2], name) if len(arguments) > 2 else "UTC"
        column = arguments[0].sql(dialect="duckdb")
        return _parsed(bounds_sql(column, interval_bounds(spec, zone, scheduled)))
    if name == "td_time_format" and len(arguments) in {2, 3}:
        zone_sql = arguments[2].sql(dialect="duckdb") if len(arguments) > 2 else "'UTC'"
        return _parsed(format_call(arguments[0].sql(dialect="duckdb"), _text(arguments[1], name), zone_sql))
    return node


def _text(node: exp.Expr, function: str) -> str:
    if isinstance(node, exp.Literal) and node.is_string:
        return str(node.this)
    raise TdFunctionError(f"{function.upper()}: this sandbox takes a text only as a literal")


def _parsed(sql: str) -> exp.Expr:
    return sqlglot.parse_one(sql, read="duckdb")
