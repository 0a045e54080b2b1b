"""The text of the workflow's .dig file: YAML that a person can read, with every value in quotes.

Shapes: reference/treasure-data.md §3.5, §3.6. YAML 1.1 would read a plain `on` as true, `10:30` as a
number.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Workflow:
    """What a workflow project is made of. `path` is the campaign file's in the project.

    `cron` is None for a workflow that is started by hand or by an activation; `at` is then the campaign's
    local time, if it has one. `environment` holds no secret, only `${secret:...}`. `params` are the names of
    the variables that a session has to bring. `commit` says what was exported, `lists` are the paths of the
    people never to be messaged, `a_day` how many messages go out before a task is killed, if that matters.
    `changes` are the days on which the clocks change while the campaign fires.
    """

    campaign: str
    path: str
    timezone: str
    cron: str | None
    at: datetime | None
    owner: str | None
    notify_url: str | None
    image: str
    environment: Mapping[str, str]
    params: tuple[str, ...]
    unsettled: str
    commit: str
    lists: tuple[str, ...]
    a_day: int | None
    changes: tuple[date, ...] = ()


def dig_text(workflow: Workflow) -> str:
    """Return the text of the .dig file."""
    parts = [
        [
            f"# {workflow.path} as a workflow, written by `runner export td-workflow`. See README.md.",
            f"# Exported from: {workflow.commit}.",
        ],
        [f"timezone: {_quoted(workflow.timezone)}"],
        _schedule(workflow),
        _error(workflow),
        _task(workflow),
    ]
    return "\n\n".join("\n".join(part) for part in parts) + "\n"


def _schedule(workflow: Workflow) -> list[str]:
    if workflow.cron is not None:
        return ["schedule:", f"  cron>: {_quoted(workflow.cron)}", "  skip_on_overtime: true"]
    when = f" at or after {workflow.at:%Y-%m-%d %H:%M}" if workflow.at is not None else ""
    return [
        f"# No schedule: start it{when} with `tdx wf run`, from the console, or from an activation.",
        "# A second start sends only to people who have no message of this campaign yet.",
    ]


def _error(workflow: Workflow) -> list[str]:
    text = f"The campaign {workflow.campaign} is red: attempt ${{attempt_id}}, session ${{session_time}}."
    if workflow.notify_url is not None:
        return [
            "_error:",
            f"  http>: {_quoted(workflow.notify_url)}",
            '  method: "POST"',
            '  content_format: "json"',
            f"  content: {{text: {_quoted(text)}}}",
        ]
    if workflow.owner is not None:
        return [
            "_error:",
            f"  mail>: {{data: {_quoted(f'{text} Its log says why.')}}}",
            f"  subject: {_quoted(f'Campaign {workflow.campaign} is red')}",
            f"  to: [{_quoted(workflow.owner)}]",
        ]
    return ["# No `_error` task: the campaign has no owner. Treasure Data mails the project's last updater."]


def _task(workflow: Workflow) -> list[str]:
    lines = [
        "+campaign:",
        '  py>: "run_campaign.main"',
        "  docker:",
        f"    image: {_quoted(workflow.image)}",
        "  _env:",
        *(f"    {name}: {_quoted(value)}" for name, value in workflow.environment.items()),
    ]
    if workflow.params:
        lines += ["  params:", *(f"    {name}: {_quoted(f'${{{name}}}')}" for name in workflow.params)]
    return lines


def _quoted(text: str) -> str:
    """Return `text` in double quotes; what JSON quotes, YAML reads the same."""
    return json.dumps(text, ensure_ascii=False)
