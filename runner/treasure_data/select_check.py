"""Is this one SELECT? sqlglot's trino and hive dialects decide before Treasure Data is asked.

A campaign file comes from a pull request: its query may read what the key may read, and do nothing else.
"""

from __future__ import annotations

import logging
import re
from typing import TYPE_CHECKING, Any

from runner.errors import SegmentError
from runner.treasure_data.binding import tokens_of

if TYPE_CHECKING:
    from sqlglot.expressions import Expr

#: The dialect of each engine.
DIALECTS = {"trino": "trino", "hive": "hive"}
# sqlglot logs what it cannot parse; here that is an error in one line.
logging.getLogger("sqlglot").setLevel(logging.ERROR)

#: Treasure Data's own limits (reference/treasure-data.md §2.4), in characters.
_LONGEST = {"trino": 1_000_000, "hive": 2_097_152}

#: What may stand between two words of a query: blanks, and comments that every parser ends at the same place.
_BETWEEN = re.compile(r"(?:[ \t\r\n]|--[^\r\n\0]*|/\*(?:(?!/\*|\*/)[^\0])*\*/)*")
#: Functions that run Java, and a table function that hands a statement to another system.
_RUNNING = frozenset({"reflect", "reflect2", "java_method", "query"})


def check_select(sql: str, engine: str) -> None:
    """Raise SegmentError unless `sql` is one SELECT that writes nothing; `engine` is trino or hive."""
    from sqlglot import exp

    if "${" in sql:
        raise SegmentError(
            "segment query: holds `${`, a variable of TD Workflow",
            hint="write `:name`, and give its value under `params`",
        )
    if len(sql) > _LONGEST[engine]:
        raise SegmentError(
            f"segment query: has {len(sql):,} characters", hint=f"{engine} takes {_LONGEST[engine]:,}"
        )
    tree = _only_tree(sql, engine)
    written = next((node for node in tree.walk() if isinstance(node, _writing())), None)
    if not isinstance(tree, exp.Query) or written is not None:
        found = type(written or tree).__name__.upper()
        raise SegmentError(f"segment query: is not a SELECT ({found})", hint="a segment only reads")
    # Only now: what sqlglot keeps as one text, such as an EXPLAIN, would look like a gap.
    _check_gaps(sql, engine)
    for call in tree.find_all(exp.Anonymous):
        if call.name.lower() in _RUNNING:
            raise SegmentError(
                f"segment query: calls `{call.name.lower()}`",
                hint="a segment only reads; it runs nothing else",
            )


def _only_tree(sql: str, engine: str) -> Expr:
    """Return the one statement of a query, as its dialect has it."""
    import sqlglot
    from sqlglot.errors import SqlglotError

    try:
        trees = [tree for tree in sqlglot.parse(sql, dialect=DIALECTS[engine]) if tree is not None]
    except SqlglotError as error:
        raise SegmentError(f"segment query: cannot be read as {engine} SQL{_place(error)}") from None
    except RecursionError:
        raise SegmentError(
            "segment query: is nested too deeply", hint="write it in steps, with WITH"
        ) from None
    if len(trees) != 1:
        raise SegmentError(f"segment query: holds {len(trees)} statements", hint="a segment is one SELECT")
    return trees[0]


def _check_gaps(sql: str, engine: str) -> None:
    """Refuse what sqlglot skips and another parser may read as a statement: odd comments and characters.

    Such are a comment within a comment, which ends earlier in Trino and Hive, and what only templates know.
    """
    end = 0
    for start, after in (*((t.start, t.end + 1) for t in tokens_of(sql, engine)), (len(sql), len(sql))):
        if not _BETWEEN.fullmatch(sql, end, start):
            line = sql.count("\n", 0, end) + 1
            raise SegmentError(
                f"segment query: from line {line} holds a comment or a character that is read in two ways",
                hint="begin comments with `--`, or take out the one within a comment",
            )
        end = after


def _writing() -> tuple[type, ...]:
    from sqlglot import exp

    # Hive's TRANSFORM hands the rows to a script.
    return (
        exp.DML,
        exp.DDL,
        exp.Command,
        exp.Into,
        exp.Drop,
        exp.Alter,
        exp.Use,
        exp.Set,
        exp.Lock,
        exp.QueryTransform,
    )


def _place(error: Exception) -> str:
    errors: list[dict[str, Any]] = getattr(error, "errors", [])
    first = errors[0] if errors else {}
    if not first.get("line"):
        return ""
    near = " ".join(str(first.get("highlight") or "").split())[:40]
    return f", line {first['line']}, column {first.get('col')}" + (f", near `{near}`" if near else "")
