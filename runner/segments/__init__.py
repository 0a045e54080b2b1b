"""Where rows come from: one file per segment source, found by its name."""

from __future__ import annotations

from importlib import import_module
from typing import cast

from runner.errors import SegmentError
from runner.segments.interface import SegmentSource

#: A source's name in a campaign file is the name of its module here.
_SOURCES = ("duckdb", "treasure_data", "audience_studio")


def segment_source(name: str) -> SegmentSource:
    """Return the `fetch` of the source called `name`; only that source's module is imported.

    Raises SegmentError for a source that this version does not have.
    """
    if name not in _SOURCES:
        raise SegmentError(
            f"segment source {name!r} is not in this version", hint=f"the sources are: {', '.join(_SOURCES)}"
        )
    return cast("SegmentSource", import_module(f"{__name__}.{name}").fetch)
