"""What can be wrong with a request to the Treasure Data sandbox: a table, or a statement."""

from __future__ import annotations


class TableError(Exception):
    """A database, a table or its data is not as it must be; `status` is the answer's."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.message = message


class SqlError(Exception):
    """A statement cannot be read or run. `name`, `code` and `kind` are Trino's of the error."""

    def __init__(self, message: str, *, name: str, code: int, kind: str = "USER_ERROR") -> None:
        super().__init__(message)
        self.message = message
        self.name = name
        self.code = code
        self.kind = kind
