"""Wanted columns -> their positions in a query's result; used by every segment source."""

from __future__ import annotations

from collections.abc import Sequence

from runner.errors import SegmentError
from runner.problem_words import nearest
from runner.segments.query_place import one_line

_LISTED = 20


def choose_columns(wanted: Sequence[str], returned: Sequence[str]) -> list[int]:
    """Return the position in `returned` of each wanted column: by its exact name, else but for case.

    Raises SegmentError when a column is not there, is there twice, or when two wanted names differ only by
    case, which no Parquet file can keep apart.
    """
    _refuse_twins(wanted)
    missing = [name for name in wanted if not _found(name, returned)]
    if missing:
        raise _missing(missing, returned)
    return [_only(name, _found(name, returned), returned) for name in wanted]


def _found(name: str, returned: Sequence[str]) -> list[int]:
    exact = [index for index, other in enumerate(returned) if other == name]
    folded = name.casefold()
    return exact or [index for index, other in enumerate(returned) if other.casefold() == folded]


def _only(name: str, found: Sequence[int], returned: Sequence[str]) -> int:
    if len(found) == 1:
        return found[0]
    names = ", ".join(f"`{one_line(returned[index])}`" for index in found)
    raise SegmentError(
        f"segment query: returns the column `{one_line(name)}` {len(found)} times: {names}",
        hint="give each column of the SELECT its own name with AS",
    )


def _missing(missing: Sequence[str], returned: Sequence[str]) -> SegmentError:
    names = ", ".join(f"`{one_line(name)}`" for name in missing)
    listed = ", ".join(f"`{one_line(name)}`" for name in returned[:_LISTED])
    more = f" and {len(returned) - _LISTED} more" if len(returned) > _LISTED else ""
    near = nearest(missing[0], returned)
    hint = "add it to the SELECT, or name a column that the query returns"
    return SegmentError(
        f"segment query: does not return {names}; it returns {listed}{more}",
        hint=hint if near is None else f"did you mean `{one_line(near)}`?",
    )


def _refuse_twins(wanted: Sequence[str]) -> None:
    seen: dict[str, str] = {}
    for name in wanted:
        other = seen.setdefault(name.casefold(), name)
        if other != name:
            raise SegmentError(
                f"the campaign names the columns `{one_line(other)}` and `{one_line(name)}`, "
                "which differ only by case",
                hint="write a column the same way everywhere",
            )
