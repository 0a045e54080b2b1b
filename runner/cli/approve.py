"""`runner approve`: a person's word that a campaign's definition may be sent at each of its firings."""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from contextlib import closing
from dataclasses import asdict
from datetime import datetime, timezone
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from runner.campaign import Campaign
from runner.cli import output
from runner.cli.campaigns import load_sound_campaigns
from runner.cli.git import git_state
from runner.cli.workplace import Workplace, open_workplace, user_name
from runner.errors import ExitCode, Refusal, UsageError

if TYPE_CHECKING:
    from runner.definition import Definition
    from runner.ledger.interface import Ledger


@click.command(name="approve")
@click.argument("paths", nargs=-1, required=True, type=click.Path(path_type=Path), metavar="CAMPAIGN...")
@click.option("--auto-approve", is_flag=True, help="Do not ask; for machines.")
@click.option("--revoke", is_flag=True, help="Take the approval back; CAMPAIGN may be a name.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
@click.option("--sandbox", is_flag=True, help="For rehearsals: the sandbox's templates, their own ledger.")
def command(paths: tuple[Path, ...], auto_approve: bool, revoke: bool, as_json: bool, sandbox: bool) -> int:
    """Approve what `runner tick` and `runner serve` may send at each firing of CAMPAIGN, files or folders.

    What is approved is the definition: the file, its SQL and the template's content, by one digest. Whoever
    edits one of them makes the next firing wait.
    """
    from runner.ledger import open_ledger

    with open_workplace(sandbox=sandbox and not revoke, rehearsal=sandbox) as workplace:
        project = workplace.project
        if project.approved_by_merge is not None:
            raise UsageError(
                f"runner.yml says that a merge to {project.approved_by_merge} approves",
                hint="merge it; `runner stop` keeps a campaign from being sent",
            )
        campaigns = [] if revoke else load_sound_campaigns(paths, project)
        with closing(open_ledger(project.ledger, root=project.root)) as ledger:
            if revoke:
                entries = [_revoke(workplace, ledger, path) for path in paths]
            else:
                entries = _approve_all(workplace, ledger, campaigns, auto_approve=auto_approve)
    refused = any(entry.get("approved") is False for entry in entries)
    code = ExitCode.REFUSED if refused else ExitCode.DONE
    if as_json:
        output.show_json({"campaigns": entries, "exit_code": int(code)})
    return code


def _approve_all(
    workplace: Workplace, ledger: Ledger, campaigns: Sequence[Campaign], *, auto_approve: bool
) -> list[dict[str, Any]]:
    """Approve each; nothing is approved when the template of one of them does not do."""
    from runner.cli.approving import current_definition

    defined = [(campaign, current_definition(workplace, campaign)) for campaign in campaigns]
    approve = _Approver(workplace, ledger, auto_approve=auto_approve)
    return [approve(campaign, definition) for campaign, definition in defined]


class _Approver:
    """Shows a definition with what changed, asks, and records the approval."""

    def __init__(self, workplace: Workplace, ledger: Ledger, *, auto_approve: bool) -> None:
        self._workplace = workplace
        self._ledger = ledger
        self._auto_approve = auto_approve

    def __call__(self, campaign: Campaign, definition: Definition) -> dict[str, Any]:
        from runner.definition import changes
        from runner.reports.approval import approval_document, change_documents, definition_lines

        last = self._ledger.approval(campaign.name)
        changed = changes(last.content if last else None, definition.content)
        for line in definition_lines(definition, last, changed):
            output.say(line)
        is_new = last is None or not last.covers(definition.digest)
        approved = not is_new or self._confirmed(campaign)
        if is_new and approved:
            self._record(definition)
        if approved:
            output.say(f"  {'approved' if is_new else 'approved already'}; {_next(campaign)}")
        else:
            output.report(Refusal(f"{campaign.name}: not confirmed: nothing was approved"))
        return {
            "campaign": campaign.name,
            "path": str(campaign.path),
            "definition": definition.digest,
            "approved": approved,
            "is_new": is_new,
            "changes": change_documents(changed),
            "last": approval_document(last),
        }

    def _record(self, definition: Definition) -> None:
        from runner.ledger.firings import Approval
        from runner.ledger.liveness import this_process

        git = git_state(self._workplace.project.root)
        approval = Approval(
            campaign=definition.campaign,
            digest=definition.digest,
            content=definition.content,
            by=user_name(),
            at=time.time(),
            git=asdict(git) if git else None,
        )
        self._ledger.approve(approval, this_process(user_name()))

    def _confirmed(self, campaign: Campaign) -> bool:
        question = f"{campaign.name}: approve what each firing sends?"
        if self._auto_approve:
            return True
        if not sys.stdin.isatty():
            output.say(f"{question} Nobody is here to confirm: use --auto-approve for machines.")
            return False
        answer = click.prompt(f"{question} Type yes to approve", default="no", show_default=False, err=True)
        return str(answer).strip().lower() == "yes"


def _next(campaign: Campaign) -> str:
    """Say when it fires next: a time that has passed never comes."""
    from runner.schedule import next_firing

    schedule = campaign.schedule
    if schedule.at is None and schedule.cron is None:
        return "it has no schedule, so no tick sends it: add `schedule`, or use `runner apply`"
    now = datetime.now(timezone.utc)
    firing = next_firing(schedule, now)
    if firing is None or firing.due_at is None or firing.due_at < now:
        return "its last firing has passed: no tick sends it any more"
    return f"the next firing is at {firing.due_at:%Y-%m-%dT%H:%MZ}"


def _revoke(workplace: Workplace, ledger: Ledger, path: Path) -> dict[str, Any]:
    """Take back the approval of a campaign, named by its file or its name."""
    from runner.campaign_file import load_campaign
    from runner.ledger.liveness import this_process

    name = load_campaign(path, workplace.project).name if path.is_file() else str(path)
    if ledger.approval(name) is None:
        raise UsageError(f"nobody has approved {name!r} here", hint="name a campaign or its file")
    revoked = ledger.revoke_approval(name, this_process(user_name()), time.time())
    output.say(f"{name}: {'the approval is revoked' if revoked else 'was revoked already'}")
    return {"campaign": name, "revoked": revoked}
