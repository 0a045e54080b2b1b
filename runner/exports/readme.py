"""The README of an exported project: how it gets into TD Workflow, and what its colours mean."""

from __future__ import annotations

from runner.exports.dig import Workflow

_TEXT = """\
# {campaign}

`{path}` as a TD Workflow project, written by `runner export td-workflow` ({commit}).

One task installs the product, plans the campaign and applies the plan. Change the campaign where it is
reviewed, and export again with `--force`: an edit here is lost.

Nobody confirms a plan here. What was reviewed is the campaign file: its query, message, schedule and guards.
The people are those of the query at the time of the attempt, and the guards refuse a plan that is larger than
was agreed, before anything is sent. To let a person confirm each plan, run `runner plan` and `runner apply`
yourself.
{lists}
## Start

1. Push the project from this folder:

   ```sh
   td wf push {campaign}
   # or
   tdx wf push
   ```

2. Set its secrets. They are written once and never shown:

   ```sh
   td wf secrets --project {campaign} --set td.apikey
   td wf secrets --project {campaign} --set ada.apikey
   td wf secrets --project {campaign} --set ledger.password
   # or
   tdx wf secrets set {campaign} "td.apikey=..."
   ```

   | secret | what it is |
   | --- | --- |
   | `td.apikey` | a master key of Treasure Data, `ACCOUNT/KEY` |
   | `ada.apikey` | the key of the provider's API |
   | `ledger.password` | the password of the PostgreSQL ledger that runner.yml names |
{passed_on}{notify}
3. {start}
{params}
## Green and red

| attempt | exit code | what it means |
| --- | --- | --- |
| green | 0 | everything was sent, or there was nothing to send |
| {unsettled} | 3 | outcomes are unknown, or the log is not complete: `runner status` and `runner resolve` |
| red | 4 | refused before anything was sent: not due, over a guard, another apply at work |
| red | 5 | the sending stopped: too many messages refused, or the window closed |
| red | 1, 2, 130 | an error, or interrupted; the task's log says what |

A red attempt may be started again. A second attempt resumes: the ledger knows who has the message, and nobody
gets it twice. {notice}
{changes}{a_day}"""

_NOTIFY = """
   If the address for notices is itself a secret, set it as `http.uri`: it wins over the one in the .dig file.
"""
#: What the secrets are that not every project has.
_PASSED_ON = {
    "RUNNER_FORGET_KEY": "the key by which people were forgotten, as in RUNNER_FORGET_KEY",
    "RUNNER_PLAN_KEY": "the key of plan files, as in RUNNER_PLAN_KEY",
    "RUNNER_NOTIFY_URLS": "whom to tell of changes of state, as in RUNNER_NOTIFY_URLS",
}
_LISTS = """
People never to be messaged are those of {names} at the time of the export: export and push again
when a list changes. The lists hold phones, for whoever may read this project.
"""
_CHANGES = """
The clocks of {zone} change on {days}, while the campaign fires. A session may then come at another
moment than the campaign's own, and is refused: start one for the moment that `runner calendar` shows.
"""
_A_DAY = """
Treasure Data kills a task after 24 hours, in which {count:,} messages go out. For more people, start the
attempt again.
"""
_PARAMS = """
The session has to bring these variables, as an activation does: {names}.
"""


def readme_text(workflow: Workflow) -> str:
    """Return the text of README.md."""
    names = ", ".join(f"`{name}`" for name in workflow.params)
    return _TEXT.format(
        campaign=workflow.campaign,
        path=workflow.path,
        passed_on=_passed_on(workflow),
        notify=_NOTIFY if workflow.notify_url is not None else "",
        start=_start(workflow),
        params=_PARAMS.format(names=names) if names else "",
        unsettled=workflow.unsettled,
        commit=workflow.commit,
        lists=_LISTS.format(names=", ".join(f"`{name}`" for name in workflow.lists))
        if workflow.lists
        else "",
        changes=_CHANGES.format(zone=workflow.timezone, days=" and ".join(map(str, workflow.changes)))
        if workflow.changes
        else "",
        a_day=_A_DAY.format(count=workflow.a_day) if workflow.a_day is not None else "",
        notice=_notice(workflow),
    )


def _passed_on(workflow: Workflow) -> str:
    secrets = {name: workflow.environment[name] for name in _PASSED_ON if name in workflow.environment}
    rows = (f"   | `{value[9:-1]}` | {_PASSED_ON[name]} |\n" for name, value in secrets.items())
    return "".join(rows)


def _start(workflow: Workflow) -> str:
    if workflow.cron is not None:
        return (
            f"The schedule `{workflow.cron}` ({workflow.timezone}) starts it. Each session is one\n"
            "   occurrence of the campaign; a session that was started by hand for another moment is\n"
            "   refused. One that `start`, `end`, `exclude` or `holidays` leave out sends nothing, and is\n"
            "   green."
        )
    when = (
        f" at or after {workflow.at:%Y-%m-%d %H:%M} ({workflow.timezone})" if workflow.at is not None else ""
    )
    return f"Start it{when} from the console, with `tdx wf run`, or from an activation."


def _notice(workflow: Workflow) -> str:
    if workflow.notify_url is not None:
        return "A red attempt is posted to the address in the .dig file."
    if workflow.owner is not None:
        return f"A red attempt is mailed to {workflow.owner}."
    return "Treasure Data mails a red attempt to the project's last updater."
