"""How DuckDB's own tree of a query is read: the JSON of `json_serialize_sql`, of DuckDB 1.5 and of 2.0."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

Node = Mapping[str, Any]


def nodes_of(tree: Node) -> Iterator[Node]:
    """Yield every JSON object of the tree; without recursion, for the tree of a long query is deep.

    The function of a table function is not yielded as a function: it is judged with its table.
    """
    stack: list[Any] = [tree]
    while stack:
        item = stack.pop()
        if isinstance(item, list):
            stack.extend(reversed(item))
        elif isinstance(item, dict):
            yield item
            inner = list(item.values())
            if item.get("type") == "TABLE_FUNCTION":
                inner = [*inner, *item["function"].values()]
                inner.remove(item["function"])
            stack.extend(reversed(inner))


def names_from_with(node: Node) -> Iterator[str]:
    """Yield the names that a node's own WITH clause gives."""
    for entry in node.get("cte_map", {}).get("map", []):
        yield entry["key"]


def parts_of(node: Node) -> tuple[str, ...]:
    """Return the parts of a table's or function's name, at least one.

    DuckDB 2.0 lists them; 1.5 has a key for each.
    """
    listed = (node.get("qualified_name") or {}).get("path")
    if listed:
        return tuple(listed)
    keys = ("catalog", "schema", "function_name")
    if "table_name" in node:
        keys = ("catalog_name", "schema_name", "table_name")
    return tuple(node[key] for key in keys if node.get(key)) or ("",)


def arguments_of(node: Node) -> list[Node]:
    """Return a function's arguments; DuckDB 2.0 wraps each one, 1.5 does not."""
    if "arguments" in node:
        return [argument["expression"] for argument in node["arguments"]]
    children: list[Node] = node.get("children", [])
    return children


def string_of(node: Node) -> str | None:
    """Return the text of a string constant, None for anything else."""
    if node.get("type") != "VALUE_CONSTANT":
        return None
    literal, value = node.get("literal"), node.get("value")
    if isinstance(literal, dict) and literal.get("kind") == "STRING":
        return str(literal.get("text", ""))
    if isinstance(value, dict) and value.get("type", {}).get("id") == "VARCHAR":
        return str(value.get("value", ""))
    return None
