"""A campaign -> the files of a TD Workflow (digdag) project that plans and applies it in one task.

One `py>` task whatever the number of people, as a loop of tasks ends at a thousand of them
(reference/treasure-data.md §3.5, §3.6). The files hold no secret: these are the workflow's own.
"""

from __future__ import annotations

import gzip
import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path, PurePosixPath
from urllib.parse import urlsplit

from runner.campaign import Campaign
from runner.errors import UsageError
from runner.exports.cron import clock_changes, workflow_cron
from runner.exports.dig import Workflow, dig_text
from runner.exports.readme import readme_text
from runner.exports.requirements import pins
from runner.exports.unattended import (
    ENCRYPTION,
    FORGET_KEY,
    NOTIFY_URLS,
    PLAN_KEY,
    check_logs,
    check_shared_ledger,
    extras_of,
)
from runner.plan import Git
from runner.problem_words import find_secrets
from runner.project import Project
from runner.project_file import PROJECT_FILE, is_loopback

IMAGE = "treasuredata/customscript-python:3.12.11-td0"
MANIFEST = "td_workflow.json"

_RUN = "run_campaign.py"
_CONTAINER = "the container"
_FORMAT = 1
#: The most that a project may have as an archive, in bytes (reference/treasure-data.md §3.2: 10 MB).
_MOST_BYTES = 10_000_000
#: Secrets that not every project has, by the environment's name for them.
OPTIONAL = {
    FORGET_KEY: "runner.forget_key",
    PLAN_KEY: "runner.plan_key",
    NOTIFY_URLS: "runner.notify_urls",
}
#: After so many seconds a task is killed (§3.2).
_TASK_SECONDS = 24 * 3600


@dataclass(frozen=True, slots=True)
class TdPlace:
    """Where Treasure Data is: the site's name, or the base URL of an API that is of no site."""

    site: str | None = None
    api: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """What the command line says of an export. `unsettled` is `red` or `green`: how exit code 3 ends.

    `ada_url` is the provider's address, None where runner.yml alone says it. `td` is where Treasure Data is,
    None where runner.yml alone says it. `git` is the commit that the project is at, None outside git.
    `passed_on` names the variables of `OPTIONAL` that are set where the export is made: a workflow fails that
    refers to a secret it has not. From `since` (UTC) on, the README says when clocks change.
    """

    image: str = IMAGE
    unsettled: str = "red"
    notify_url: str | None = None
    ada_url: str | None = None
    td: TdPlace | None = None
    wheel: Path | None = None
    git: Git | None = None
    passed_on: frozenset[str] = frozenset()
    since: datetime | None = None


def export_files(campaign: Campaign, project: Project, options: Options) -> dict[str, bytes]:
    """Return the files of the workflow project, by their path in it (POSIX form), in order.

    Errors: UsageError when the campaign cannot run in a container, or a file would hold a secret.
    """
    _check_campaign(campaign, project)
    workflow = _workflow(campaign, project, options)
    files = _own_files(campaign, workflow, options)
    for path in _project_files(campaign, project):
        if path in files or path == MANIFEST:
            raise UsageError(
                f"the project's {path} has the name of a file that the export writes",
                hint="give it another name",
            )
        files[path] = (project.root / path).read_bytes()
    files[MANIFEST] = _manifest(campaign, workflow, sorted([*files, MANIFEST]))
    _check_size(files)
    return files


def _own_files(campaign: Campaign, workflow: Workflow, options: Options) -> dict[str, bytes]:
    """Return the files that are no copies of the project's."""
    extras = extras_of([campaign]) | ({ENCRYPTION} if PLAN_KEY in options.passed_on else set())
    pinned = pins(options.wheel.name if options.wheel else None, extras)
    texts = {
        f"{campaign.name}.dig": dig_text(workflow),
        _RUN: Path(__file__).with_name(_RUN).read_text(encoding="utf-8"),
        "requirements.txt": _lines(pinned.requirements),
        "constraints.txt": _lines(pinned.constraints),
        "README.md": readme_text(workflow),
    }
    files = {name: text.encode("utf-8") for name, text in texts.items()}
    if options.wheel is not None:
        files[options.wheel.name] = options.wheel.read_bytes()
    return files


def _manifest(campaign: Campaign, workflow: Workflow, names: list[str]) -> bytes:
    settings = {
        "format": _FORMAT,
        "campaign": str(campaign.path),
        "commit": workflow.commit,
        "scheduled": workflow.cron is not None,
        "unsettled": workflow.unsettled,
        "files": names,
    }
    return f"{json.dumps(settings, indent=2, ensure_ascii=False)}\n".encode()


def private_files(project: Project) -> frozenset[str]:
    """Return the paths of exported files that hold phones: the lists of people never to be messaged."""
    return frozenset(_inside(project, path) for path in project.suppression)


def _check_campaign(campaign: Campaign, project: Project) -> None:
    """Raise UsageError when the campaign cannot run where the disk is forgotten and nobody watches."""
    check_shared_ledger(project.ledger, _CONTAINER, "the workflow has it as the secret ledger.password")
    if campaign.segment.source == "duckdb":
        raise UsageError(
            f"{campaign.name}: its segment reads files of this machine, and the container has none",
            hint="use the source treasure_data or audience_studio",
        )
    if campaign.guards.caps and any(entry.segment.source == "duckdb" for entry in project.history):
        raise UsageError(
            f"{campaign.name} has a cap, and the `history` of runner.yml reads files of this machine",
            hint="use the source treasure_data for sends made elsewhere",
        )
    if campaign.guards.max_recipients is None:
        raise UsageError(
            f"{campaign.name} has no guards.max_recipients, and nobody watches a workflow send",
            hint="add guards.max_recipients: more people than that, and nothing is sent",
        )
    check_logs(campaign, _CONTAINER)


def _check_size(files: Mapping[str, bytes]) -> None:
    packed = {name: len(gzip.compress(data, mtime=0)) for name, data in files.items()}
    if sum(packed.values()) > _MOST_BYTES:
        largest = max(packed, key=lambda name: packed[name])
        raise UsageError(
            f"the project is larger than the 10 MB that TD Workflow takes, most of it {largest}",
            hint="keep long lists in Treasure Data, and leave those people out in the query",
        )


def _workflow(campaign: Campaign, project: Project, options: Options) -> Workflow:
    segment, schedule = campaign.segment, campaign.schedule
    missing = [name for name, parameter in segment.declared.items() if parameter.value is None]
    params = tuple(dict.fromkeys([*segment.references.values(), *missing]))
    if params and schedule.cron is not None:
        raise UsageError(
            f"{campaign.name}: a session that a schedule starts brings no {params[0]}",
            hint="take `cron` out, so that an activation starts it; or write a value for the parameter",
        )
    return Workflow(
        campaign=campaign.name,
        path=str(campaign.path),
        timezone=schedule.zone or "UTC",
        cron=workflow_cron(schedule.cron) if schedule.cron is not None else None,
        at=schedule.at,
        owner=_literal("the owner", campaign.owner),
        notify_url=_notify_url(options.notify_url),
        image=_literal("--image", options.image) or IMAGE,
        environment=_environment(campaign, project, options),
        params=params,
        unsettled=options.unsettled,
        commit=_commit(options.git),
        lists=tuple(sorted(private_files(project))),
        a_day=_a_day(campaign, project),
        changes=tuple(clock_changes(schedule, options.since)) if options.since and schedule.cron else (),
    )


def _environment(campaign: Campaign, project: Project, options: Options) -> Mapping[str, str]:
    """Return the task's environment; secrets only as digdag's references to them (§3.6)."""
    settings = project.providers[campaign.provider]
    url = _literal("ADA_API_URL", options.ada_url or settings.url)
    if url is not None and _holds_secret(url):
        raise UsageError("the provider's address holds a secret", hint="take it out of ADA_API_URL")
    return {
        "TD_API_KEY": "${secret:td.apikey}",
        "ADA_API_KEY": "${secret:ada.apikey}",
        "PGPASSWORD": "${secret:ledger.password}",
        "TD_SESSION_ID": "${session_id}",
        "TD_ATTEMPT_ID": "${attempt_id}",
        **{name: f"${{secret:{OPTIONAL[name]}}}" for name in _passed_on(campaign, options)},
        **({"ADA_API_URL": url} if url is not None and not is_loopback(url) else {}),
        **_td_place(options.td or TdPlace(project.td_site)),
    }


def _td_place(td: TdPlace) -> Mapping[str, str]:
    """Return the variables that say where Treasure Data is; a sandbox of this machine is not there."""
    if td.site is not None:
        return {"TD_SITE": td.site}
    return {"TD_API_SERVER": td.api} if td.api is not None and not is_loopback(td.api) else {}


def _passed_on(campaign: Campaign, options: Options) -> list[str]:
    """Return the optional variables that the task gets: those that are set here, and what `notify` needs."""
    wanted = options.passed_on | ({NOTIFY_URLS} if campaign.notify.get("on") else set())
    return [name for name in OPTIONAL if name in wanted]


def _commit(git: Git | None) -> str:
    """Return what the export was made from, in words."""
    if git is None:
        return "outside git"
    return f"commit {git.commit}{' and changes that are not committed' if git.dirty else ''}"


def _a_day(campaign: Campaign, project: Project) -> int | None:
    """Return how many messages go out before the task is killed; None when that is enough for everybody."""
    per_second, most = project.providers[campaign.provider].rate.per_second, campaign.guards.max_recipients
    if per_second is None or most is None or most <= per_second * _TASK_SECONDS:
        return None
    return int(per_second * _TASK_SECONDS)


def _notify_url(url: str | None) -> str | None:
    if url is None:
        return None
    if not url.startswith("https://"):
        raise UsageError(
            "--notify-url is no address with https", hint="--notify-url https://example.com/alerts"
        )
    if _holds_secret(url) or urlsplit(url).query or urlsplit(url).hostname == "hooks.slack.com":
        raise UsageError(
            "--notify-url looks like a secret, which no file may hold",
            hint="give only its host, such as https://hooks.slack.com/, and set the workflow's secret "
            "http.uri to the whole address: it wins",
        )
    return _literal("--notify-url", url)


def _holds_secret(url: str) -> bool:
    return urlsplit(url).username is not None or bool(find_secrets(url))


def _literal(what: str, text: str | None) -> str | None:
    """Return `text`, which digdag must take as it is: in `${...}` it would run JavaScript."""
    if text is not None and ("${" in text or not text.isprintable()):
        raise UsageError(f"{what} holds characters that a workflow would not take as they are", hint=None)
    return text


def _project_files(campaign: Campaign, project: Project) -> list[str]:
    """Return the project's files that an apply of the campaign reads."""
    query = campaign.segment.query_file
    paths = [PROJECT_FILE, str(campaign.path)]
    if query is not None:
        paths.append(str(PurePosixPath(campaign.path.parent / query)))
    paths += [str(entry.segment.query_file) for entry in project.history if entry.segment.query_file]
    return list(dict.fromkeys([*paths, *sorted(private_files(project))]))


def _inside(project: Project, path: Path) -> str:
    return path.relative_to(project.root).as_posix()


def _lines(lines: tuple[str, ...]) -> str:
    return "".join(f"{line}\n" for line in lines)
