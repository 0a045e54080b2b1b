"""What is approved: a campaign's definition as it is now, and whether a person or a merge has approved it."""

from __future__ import annotations

from pathlib import PurePosixPath
from typing import TYPE_CHECKING

from runner.campaign import Campaign
from runner.cli.git import why_not_merged
from runner.cli.workplace import Workplace
from runner.definition import Definition, define
from runner.project_file import PROJECT_FILE
from runner.reports.approval import approval_words
from runner.ticking import Standing

if TYPE_CHECKING:
    from runner.ledger.interface import LedgerReader
    from runner.template import Template


def current_definition(workplace: Workplace, campaign: Campaign) -> Definition:
    """Return the definition of a campaign with its templates as the provider lists them.

    TemplateError when one is not there, may not be sent, or does not fit.
    """
    return define(campaign, _templates(workplace, campaign))


def standing_of(
    workplace: Workplace, ledger: LedgerReader, campaign: Campaign, definition: Definition
) -> Standing:
    """Tell whether the definition is approved, in the way that the project wants."""
    branch, command = workplace.project.approved_by_merge, f"runner approve {campaign.path}"
    if branch is not None:
        why_not = why_not_merged(workplace.project.root, _files(campaign), branch)
        is_approved, why, command = not why_not, why_not or f"merged to {branch}", f"a merge to {branch}"
    elif (approval := ledger.approval(campaign.name)) is None:
        is_approved, why = False, "nobody has approved it"
    else:
        is_approved, why = approval.covers(definition.digest), approval_words(approval)
        is_edited = not is_approved and approval.revoked_at is None
        why = f"edited since {why}" if is_edited else why
    return Standing(
        digest=definition.digest, is_approved=is_approved, why=why, command="" if is_approved else command
    )


def _templates(workplace: Workplace, campaign: Campaign) -> list[Template]:
    from runner.template_check import checked_templates

    listing = workplace.provider(campaign.provider).templates()
    for message in campaign.messages:
        listing.require(message.template.name, message.template.language)
    return checked_templates(listing.templates, campaign.messages)


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
