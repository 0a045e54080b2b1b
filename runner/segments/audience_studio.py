"""The segment source `audience_studio`: a segment that a marketer made, resolved to its SQL, run as a job.

By name or by id: the parent segment, the segment within it, the SQL of its rule; then as any query of
Treasure Data, in the parent segment's own database (reference/treasure-data.md §4.1, §4.2).
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import closing
from dataclasses import replace
from datetime import datetime, timedelta
from difflib import get_close_matches
from pathlib import Path
from typing import TypeVar

from runner.campaign import Segment
from runner.errors import SegmentError
from runner.masking import harmless
from runner.project import Project
from runner.segments.interface import Fetched, Remote
from runner.segments.treasure_data import quoted, required, run_query
from runner.treasure_data.audiences import AudienceSegment, AudienceStudio, ParentSegment
from runner.treasure_data.jobs import Query

Named = TypeVar("Named", ParentSegment, AudienceSegment)

_KINDS = {1: "a realtime segment", 2: "a stage of a funnel"}


def fetch(
    segment: Segment,
    *,
    project: Project,
    columns: Sequence[str],
    target: Path,
    occurrence_at: datetime | None = None,
    remote: Remote | None = None,
) -> Fetched:
    """Run the SQL of the segment's rule and keep `columns` of its rows in `target`.

    Errors: SegmentError (not found, found twice, too old, no rule), TreasureDataError, UsageError (no key).
    """
    remote = required(remote)
    with closing(AudienceStudio(remote.account())) as studio:
        parent = _parent(studio, segment.parent_segment or "")
        age = _age(parent, segment.max_age, remote.now)
        found = _segment(studio, parent, segment.segment or "")
        sql = studio.sql(parent.id, found.rule)
    names = ", ".join(quoted(name, '"') for name in dict.fromkeys(columns))
    query = Query(
        campaign=remote.campaign,
        engine="trino",
        database=f"cdp_audience_{parent.id}",
        sql=f"SELECT {names}\nFROM (\n{sql}\n) AS segment",
        scheduled_at=occurrence_at,
    )
    fetched = run_query(query, project=project, columns=columns, target=target, remote=remote)
    facts = {
        "parent segment": f"{harmless(parent.name)} ({parent.id})",
        "segment": f"{harmless(found.name)} ({found.id})",
        "population": "not counted" if found.population is None else f"{found.population:,}",
        "updated": age,
    }
    return replace(fetched, facts={**facts, **fetched.facts})


def _parent(studio: AudienceStudio, wanted: str) -> ParentSegment:
    found = _named(studio.parents(), wanted, "parent segment")
    if len(found) > 1:
        listed = ", ".join(parent.id for parent in found)
        raise SegmentError(
            f"Audience Studio has {len(found)} parent segments named {wanted!r}", hint=f"give an id: {listed}"
        )
    return found[0]


def _segment(studio: AudienceStudio, parent: ParentSegment, wanted: str) -> AudienceSegment:
    """Return the one segment meant, with its rule: one without a rule would be everybody."""
    found = _named(studio.segments(parent.id), wanted, f"segment of {parent.name!r}")
    if len(found) > 1:
        folders = studio.folders(parent.id)
        listed = "; ".join(
            f"{each.id} in {folders.get(each.folder or '') or f'folder {each.folder}'}" for each in found
        )
        raise SegmentError(
            f"{parent.name!r} has {len(found)} segments named {wanted!r}: {listed}", hint="give the id"
        )
    (segment,) = found
    if segment.kind in _KINDS:
        raise SegmentError(
            f"the segment {segment.name!r} is {_KINDS[segment.kind]}", hint="only batch segments have SQL"
        )
    segment = segment if segment.rule else studio.segment(parent.id, segment.id)
    if not segment.rule:
        raise SegmentError(
            f"the segment {segment.name!r} comes without a rule: that would be everybody",
            hint="open it in Audience Studio; it may have lost its rule",
        )
    return segment


def _named(rows: Sequence[Named], wanted: str, what: str) -> list[Named]:
    """Return the row with this id, else those with this name."""
    by_id = [row for row in rows if row.id == wanted]
    found = by_id or [row for row in rows if row.name == wanted]
    if not found:
        names = [harmless(row.name) for row in rows]
        near = get_close_matches(wanted, names, n=1)
        hint = f"did you mean {near[0]!r}?" if near else f"there are: {', '.join(names[:20]) or 'none'}"
        raise SegmentError(f"Audience Studio has no {what} {wanted!r}", hint=hint)
    return found


def _age(parent: ParentSegment, max_age: timedelta | None, now: datetime) -> str:
    """Return how old the parent segment's tables are, in words; SegmentError when older than `max_age`."""
    if parent.updated_at is None:
        if max_age is not None:
            raise SegmentError(
                f"the parent segment {parent.name!r} does not say when it was made",
                hint="leave `max_age` out, or run its workflow",
            )
        return "not known"
    age = now - parent.updated_at
    shown = f"{parent.updated_at:%Y-%m-%d %H:%M} UTC, {_in_words(age)} ago"
    if max_age is not None and age > max_age:
        raise SegmentError(
            f"the parent segment {parent.name!r} was made {shown}; `max_age` is {_in_words(max_age)}",
            hint="run the parent segment's workflow, then plan again",
        )
    return shown


def _in_words(span: timedelta) -> str:
    minutes = max(0, int(span.total_seconds() // 60))
    days, hours = minutes // 1440, minutes // 60
    if days >= 2:
        return f"{days} days"
    return f"{hours} h" if hours >= 2 else f"{minutes} min"
