"""Loading the campaign files a command was given, with every problem of all of them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from runner.campaign import Campaign
from runner.errors import FileProblems, Problem, UsageError
from runner.project import Project


def load_campaigns(files: Sequence[Path], project: Project) -> tuple[list[Campaign], list[Problem]]:
    """Load each of `files`; return the campaigns that are sound and the problems of the others."""
    from runner.campaign_file import duplicate_names, load_campaign

    campaigns: list[Campaign] = []
    problems: list[Problem] = []
    for path in files:
        try:
            campaigns.append(load_campaign(path, project))
        except FileProblems as error:
            problems += error.problems
    return campaigns, problems + duplicate_names(campaigns)


def load_sound_campaigns(paths: Sequence[Path], project: Project) -> list[Campaign]:
    """Load every campaign file under `paths`; FileProblems with all problems if there are any.

    UsageError when there is none.
    """
    from runner.campaign_file import find_campaign_files

    files = find_campaign_files(paths)
    if not files:
        where = ", ".join(str(path) for path in paths)
        raise UsageError(
            f"there is no campaign file in {where}", hint="a campaign file's name ends in .yml or .yaml"
        )
    campaigns, problems = load_campaigns(files, project)
    if problems:
        raise FileProblems(problems)
    return campaigns
