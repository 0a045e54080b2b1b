"""The campaigns that fire by themselves: loaded from files, and which of them have something to do now."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from runner.campaign import Campaign
from runner.cli.workplace import Workplace
from runner.errors import FileProblems, RunnerError, UsageError
from runner.schedule import HORIZON, Firing, firings

if TYPE_CHECKING:
    from runner.ledger.firings import FiringRecord
    from runner.ledger.interface import Holder, Ledger

#: No wait is shorter, in seconds.
_SHORTEST = 0.05
#: Where campaigns are when no path is given, from the project's root.
DEFAULT_FOLDER = "campaigns"


@dataclass(frozen=True, slots=True, kw_only=True)
class Scheduled:
    """The sound campaigns that have a schedule, each with its file, and what is wrong with other files."""

    campaigns: tuple[tuple[Path, Campaign], ...]
    errors: tuple[RunnerError, ...]


def load_scheduled(paths: Sequence[Path], workplace: Workplace) -> Scheduled:
    """Load all campaign files; one that is not sound keeps no other from running.

    Two files of one name are both left out: which of them is meant, nobody knows.
    """
    from runner.campaign_file import duplicate_names, find_campaign_files, load_campaign

    project = workplace.project
    if not paths and not (project.root / DEFAULT_FOLDER).is_dir():
        raise UsageError(
            f"there is no folder {DEFAULT_FOLDER} in the project",
            hint="name campaign files, or folders of them",
        )
    loaded: list[tuple[Path, Campaign]] = []
    errors: list[RunnerError] = []
    for path in find_campaign_files(paths or [project.root / DEFAULT_FOLDER]):
        try:
            loaded.append((path, load_campaign(path, project)))
        except RunnerError as error:
            errors.append(error)
    doubled = duplicate_names([campaign for _, campaign in loaded])
    errors += [FileProblems([problem]) for problem in doubled]
    names = [campaign.name for _, campaign in loaded]
    fires = (pair for pair in loaded if pair[1].schedule.at or pair[1].schedule.cron)
    return Scheduled(
        campaigns=tuple(pair for pair in fires if names.count(pair[1].name) == 1), errors=tuple(errors)
    )


def with_work(
    scheduled: Scheduled, ledger: Ledger, holder: Holder, now: datetime
) -> list[tuple[Path, Campaign, list[FiringRecord]]]:
    """Record the firings that have come; return the campaigns with open ones, and those."""
    from runner.due import note_due

    noted = ((path, each, note_due(each, ledger, holder, now)) for path, each in scheduled.campaigns)
    return [(path, campaign, records) for path, campaign, records in noted if records]


def next_due(campaign: Campaign, now: datetime) -> datetime | None:
    """Return when the campaign fires next (UTC), None when it never does again."""
    following: Firing | None = next(firings(campaign.schedule, now, now + HORIZON), None)
    return following.due_at if following else None


def seconds_to_next(scheduled: Scheduled, now: datetime, most: float) -> float:
    """Return how long it is to the next firing of any campaign, in seconds, `most` at most."""
    following = (next_due(campaign, now) for _, campaign in scheduled.campaigns)
    waits = ((due - now).total_seconds() for due in following if due)
    return max(min([most, *waits]), _SHORTEST)
