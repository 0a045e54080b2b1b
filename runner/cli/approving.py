"""What is approved: a campaign's definition as it is now, and whether a person or a merge has approved it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

from runner.campaign import Campaign
from runner.cli.git import why_not_merged
from runner.cli.workplace import Workplace
from runner.definition import Definition, define
from runner.project_file import PROJECT_FILE
from runner.reports.approval import approval_words

if TYPE_CHECKING:
    from runner.ledger.interface import LedgerReader
    from runner.template import Template


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """Whether a definition is approved: by whom or what, or why it is not, and what would approve it."""

    is_approved: bool
    why: str
    command: str = ""


def current_definition(workplace: Workplace, campaign: Campaign) -> Definition:
    """Return the definition of a campaign with its template as the provider lists it.

    TemplateError when the template is not there, may not be sent, or does not fit.
    """
    return define(campaign, _templates(workplace, campaign))


def standing_of(
    workplace: Workplace, ledger: LedgerReader, campaign: Campaign, definition: Definition
) -> Standing:
    """Tell whether the definition is approved, in the way that the project wants."""
    branch = workplace.project.approved_by_merge
    if branch is not None:
        why_not = why_not_merged(workplace.project.root, _files(campaign), branch)
        return Standing(
            is_approved=why_not is None,
            why=why_not or f"merged to {branch}",
            command=f"merge {campaign.path} to {branch}" if why_not else "",
        )
    approval = ledger.approval(campaign.name)
    command = f"runner approve {campaign.path}"
    if approval is None:
        return Standing(is_approved=False, why="nobody has approved it", command=command)
    if not approval.covers(definition.digest):
        edited = "" if approval.revoked_at is not None else "edited since "
        return Standing(is_approved=False, why=f"{edited}{approval_words(approval)}", command=command)
    return Standing(is_approved=True, why=approval_words(approval))


def _templates(workplace: Workplace, campaign: Campaign) -> list[Template]:
    from runner.template_check import check_template, find_template

    listing = workplace.provider(campaign.provider).templates()
    listing.require(campaign.template.name, campaign.template.language)
    template = find_template(listing.templates, campaign.template.name, campaign.template.language)
    check_template(template, campaign.template, campaign.variables)
    return [template]


def _files(campaign: Campaign) -> list[PurePosixPath]:
    """Return the files that define the campaign, relative to the project root."""
    query = campaign.segment.query_file
    queries = [] if query is None else [PurePosixPath(_normal(campaign.path.parent / query))]
    return [campaign.path, *queries, PurePosixPath(PROJECT_FILE)]


def _normal(path: PurePosixPath) -> str:
    """Return a path without `..`: git names files so."""
    parts: list[str] = []
    for part in path.parts:
        if part == "..":
            parts.pop()
        else:
            parts.append(part)
    return "/".join(parts)
