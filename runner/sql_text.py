"""How names and texts are written into DuckDB SQL; used by everything that builds a statement."""

from __future__ import annotations


def quote_identifier(name: str) -> str:
    """Write a column or table name as an identifier, in double quotes; those in it are doubled."""
    return '"' + name.replace('"', '""') + '"'


def quote_literal(text: str) -> str:
    """Write a text as a string literal: `Ma'ruf` -> `'Ma''ruf'`.

    DuckDB reads no escapes inside such a literal. U+0000 cannot stand in a statement, so it is joined in.
    """
    quoted = "'" + text.replace("'", "''") + "'"
    return f"({quoted.replace(chr(0), chr(39) + ' || chr(0) || ' + chr(39))})" if "\0" in text else quoted
