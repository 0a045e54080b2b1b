"""`runner doctor`: is everything that a plan and an apply need there? Each check with its remedy."""

from __future__ import annotations

import os
import shutil
import sys
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass
from datetime import datetime, timezone
from functools import cache, partial
from importlib.metadata import PackageNotFoundError, distribution, version
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import click

from runner import diagnosing
from runner.campaign import Campaign
from runner.cli import output
from runner.cli.td_options import td_options
from runner.cli.workplace import KEY_VARIABLE, TdFlags, Workplace, open_workplace
from runner.diagnosing import Check, Finding, Reply, State
from runner.errors import ExitCode, FileProblems, TreasureDataError, UsageError
from runner.project import Project

if TYPE_CHECKING:
    from runner.treasure_data.account import Account
    from runner.treasure_data.audiences import ParentSegment

_PACKAGE = "campaign-runner"
_CAMPAIGNS = "campaigns"
_TD_SOURCES = frozenset({"treasure_data", "audience_studio"})


@dataclass(frozen=True, slots=True, kw_only=True)
class _Asked:
    """What the command line asks for."""

    paths: tuple[Path, ...]
    sandbox: bool
    td: TdFlags
    egress_url: str | None


@click.command(name="doctor")
@click.argument("paths", nargs=-1, type=click.Path(path_type=Path), metavar="[CAMPAIGN]...")
@click.option(
    "--egress-url", metavar="URL", help="A service that answers with the address it sees; asked once."
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
@click.option("--sandbox", is_flag=True, help="Check a rehearsal: its state, ledger and sandboxes.")
@td_options
def command(
    paths: tuple[Path, ...], egress_url: str | None, as_json: bool, sandbox: bool, td: TdFlags
) -> int:
    """Check keys, addresses, clock, ledger and disk, and say what to do about each. Nothing is sent.

    CAMPAIGN is a campaign file, or a folder of them, whose databases and logs are looked at, too; without
    one, those of the project's folder `campaigns`.
    """
    _check_address(egress_url)
    found: list[tuple[str, Finding]] = []
    with ExitStack() as stack:
        asked = _Asked(paths=paths, sandbox=sandbox, td=td, egress_url=egress_url)
        for name, finding in diagnosing.diagnose(_checks(asked, stack)):
            found.append((name, finding))
            if not as_json:
                _show(name, finding)
    states = Counter(finding.state for _, finding in found)
    exit_code = ExitCode.ERROR if states[State.FAIL] else ExitCode.DONE
    if as_json:
        checks = [_document(name, finding) for name, finding in found]
        output.show_json({"checks": checks, "exit_code": int(exit_code)})
    else:
        output.show(", ".join(f"{states[state]} {state.value}" for state in State if states[state]))
    return exit_code


def _show(name: str, finding: Finding) -> None:
    output.show(f"{finding.state.value:<8}{name:<20} {finding.found}")
    if finding.remedy:
        output.show(f"{'':<29}-> {finding.remedy}")


def _document(name: str, finding: Finding) -> dict[str, Any]:
    return {"check": name, "state": finding.state.value, "found": finding.found, "remedy": finding.remedy}


def _check_address(url: str | None) -> None:
    from runner.project_file import is_loopback

    if url is not None and not url.startswith("https://") and not is_loopback(url):
        raise UsageError("--egress-url is no address with https", hint="--egress-url https://ip.example.com")


def _checks(asked: _Asked, stack: ExitStack) -> Iterator[Check]:
    """Yield the checks in order. What a later one needs, such as the project, an earlier one has found."""
    yield Check(name="python", look=lambda: diagnosing.python_version(sys.version_info[:3]))
    yield Check(name="packages", look=_packages)
    projects: list[Project] = []
    yield Check(name="project", look=lambda: _load(projects))
    if not projects:
        return
    places: list[Workplace] = []
    if asked.sandbox:
        yield Check(name="sandbox", look=lambda: _open(asked, stack, places))
    yield Check(name="state", look=lambda: _state(asked, stack, places), needs=("sandbox",))
    if places:
        yield from _inside(asked, places[0])


def _packages() -> Finding:
    try:
        requires = distribution(_PACKAGE).requires or []
    except PackageNotFoundError:
        requires = []
    return diagnosing.packages(requires, _installed)


def _installed(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None


def _load(projects: list[Project]) -> Finding:
    from runner.project_file import PROJECT_FILE, find_project_root, load_project

    project = load_project(find_project_root(Path.cwd()))
    projects.append(project)
    names = ", ".join(project.providers)
    return diagnosing.ok(f"{output.shown(project.root / PROJECT_FILE)}, provider {names}")


def _open(asked: _Asked, stack: ExitStack, places: list[Workplace]) -> Finding:
    places.append(stack.enter_context(open_workplace(sandbox=asked.sandbox, td=asked.td)))
    return diagnosing.ok(f"ADA's answers at {places[0].sandbox_url}")


def _state(asked: _Asked, stack: ExitStack, places: list[Workplace]) -> Finding:
    if not places:
        _open(asked, stack, places)
    return diagnosing.state_folder(places[0].project.state, lambda folder: shutil.disk_usage(folder).free)


def _inside(asked: _Asked, place: Workplace) -> Iterator[Check]:
    """Yield the checks of a project whose state folder can be used."""
    replies: dict[str, Reply] = {}
    urls: dict[str, str] = {}
    campaigns: list[Campaign] = []

    def answers(name: str, url: str) -> Finding:
        from runner.cli.probing import probe

        urls[name] = url
        return diagnosing.address(url, lambda at: replies.setdefault(name, probe(at)))

    yield Check(name="ledger", look=lambda: _ledger(place.project))
    yield Check(name="campaigns", look=lambda: _campaigns(asked.paths, place.project, campaigns))
    yield Check(name="suppression", look=lambda: diagnosing.readable(place.project.suppression))
    for name in place.project.providers:
        yield from _provider(place, name, answers)
    yield from _treasure_data(place, campaigns, answers)
    yield Check(name="notify", look=lambda: _channels(place, campaigns))
    yield Check(name="clock", look=lambda: diagnosing.clock(replies))
    yield Check(name="egress", look=lambda: _egress({name: urls[name] for name in replies}, asked.egress_url))


def _ledger(project: Project) -> Finding:
    from runner.ledger import open_ledger
    from runner.ledger.store import shipped_migrations

    is_file = project.ledger.startswith("sqlite:")
    file = project.root / project.ledger.removeprefix("sqlite:///") if is_file else None
    schema = shipped_migrations("sqlite" if is_file else "postgres")[-1].version
    return diagnosing.ledger(
        file, schema, lambda: open_ledger(project.ledger, root=project.root, read_only=True)
    )


def _campaigns(paths: Sequence[Path], project: Project, campaigns: list[Campaign]) -> Finding:
    """Load the campaigns asked for, or the project's; an unreadable query_file is one of their problems."""
    from runner.campaign_file import find_campaign_files
    from runner.cli.campaigns import load_campaigns

    folder = project.root / _CAMPAIGNS
    if not paths and not folder.is_dir():
        return diagnosing.skipped(f"none was named, and there is no folder {_CAMPAIGNS}")
    loaded, problems = load_campaigns(find_campaign_files(paths or [folder]), project)
    campaigns += loaded
    if problems:
        raise FileProblems(problems)
    return diagnosing.ok(f"{len(loaded)} without problems, their queries can be read")


def _provider(place: Workplace, name: str, answers: Callable[[str, str], Finding]) -> Iterator[Check]:
    """Yield the checks of a provider, who is asked for its lists."""
    key, address, known = f"{name} key", f"{name} address", f"{name} sender"
    yield Check(name=key, look=lambda: _key(place))
    yield Check(name=address, look=lambda: answers(name, place.provider_settings(name).url or ""))
    provider = cache(lambda: place.provider(name))
    yield Check(name=known, look=lambda: diagnosing.sender(provider().sender_account()), needs=(key, address))
    yield Check(
        name=f"{name} templates", look=lambda: diagnosing.templates(provider().templates()), needs=(known,)
    )


def _key(place: Workplace) -> Finding:
    if place.sandbox_url is not None:
        return diagnosing.ok("the sandbox's own")
    key = os.environ.get(KEY_VARIABLE, "").strip()
    if not key:
        return diagnosing.fail(
            f"{KEY_VARIABLE} is not set", f"export {KEY_VARIABLE}=... (no file may hold it)"
        )
    return diagnosing.key_shape(key, datetime.now(timezone.utc))


def _channels(place: Workplace, campaigns: Sequence[Campaign]) -> Finding:
    """Say how many channels of which kinds there are; nothing else of their addresses is shown."""
    from runner.channels import Channels
    from runner.cli.telling import URLS_VARIABLE

    wants = [campaign.name for campaign in campaigns if campaign.notify]
    urls = os.environ.get(URLS_VARIABLE, "").strip()
    if not urls:
        if not wants and not place.project.notify:
            return diagnosing.skipped(f"no campaign here has a `notify`, and {URLS_VARIABLE} is not set")
        found = f"{URLS_VARIABLE} is not set: nobody is told"
        return diagnosing.warn(found, "set it to the addresses of your channels, as apprise writes them")
    kinds = Channels(urls).kinds()
    bad = [str(number) for number, kind in enumerate(kinds, 1) if kind is None]
    if bad:
        return diagnosing.fail(
            f"{URLS_VARIABLE}: channel {', '.join(bad)} of {len(kinds)} is no address that apprise knows",
            "write it as apprise does: slack://..., mailto://..., workflows://..., jsons://...",
        )
    count = f"{len(kinds)} channel{'' if len(kinds) == 1 else 's'}"
    return diagnosing.ok(f"{count}: {', '.join(str(kind) for kind in kinds)}")


def _treasure_data(
    place: Workplace, campaigns: Sequence[Campaign], answers: Callable[[str, str], Finding]
) -> Iterator[Check]:
    """Yield the checks of Treasure Data, and of the campaigns' logs there and elsewhere."""
    users = [campaign.name for campaign in campaigns if _uses_td(campaign)]
    databases = cache(lambda: _names(place.account(), "list_databases"))
    yield Check(name="td key", look=lambda: _td_key(place, users))
    yield Check(name="td address", look=lambda: answers("td", place.account().api), needs=("td key",))
    yield Check(
        name="td account", look=lambda: diagnosing.td_account(databases), needs=("td key", "td address")
    )
    for name in sorted(_databases(campaigns, place)):
        yield Check(
            name=f"td database {name}",
            look=partial(diagnosing.td_database, name, databases),
            needs=("td account",),
        )
    parents = [campaign.segment.parent_segment for campaign in campaigns if campaign.segment.parent_segment]
    yield Check(
        name="audience studio",
        look=lambda: diagnosing.audience_studio(lambda: _parents(place.account()), parents),
        needs=("td key",),
    )
    for campaign in campaigns:
        yield from _logs(place, campaign, databases)


def _uses_td(campaign: Campaign) -> bool:
    return campaign.segment.source in _TD_SOURCES or "treasure_data" in campaign.log


def _td_key(place: Workplace, users: Sequence[str]) -> Finding:
    from runner.treasure_data.account import mask_key

    if place.rehearsal and not users:
        return diagnosing.skipped("no campaign here asks Treasure Data")
    return diagnosing.td_key(place.account, mask_key, users)


def _databases(campaigns: Sequence[Campaign], place: Workplace) -> set[str]:
    """Return the databases that campaigns name. A rehearsal makes those of logs by itself."""
    found = {campaign.segment.database for campaign in campaigns if campaign.segment.database}
    if not place.rehearsal:
        found |= {
            campaign.log["treasure_data"]["database"]
            for campaign in campaigns
            if "treasure_data" in campaign.log
        }
    return found


def _logs(place: Workplace, campaign: Campaign, databases: Callable[[], Sequence[str]]) -> Iterator[Check]:
    """Yield a check for each log of a campaign."""
    folder = place.project.state if place.rehearsal else place.project.root
    for kind, settings in campaign.log.items():
        name = f"log {campaign.name} {kind}"
        if kind == "treasure_data":
            tables = partial(_tables, place, settings["database"], databases)
            needs = ("td account", f"td database {settings['database']}")
            yield Check(name=name, look=partial(diagnosing.table_log, settings["table"], tables), needs=needs)
        else:
            yield Check(name=name, look=partial(diagnosing.folder_log, folder / settings["folder"]))


def _tables(place: Workplace, database: str, databases: Callable[[], Sequence[str]]) -> Sequence[str]:
    """Return the tables of a database; in a rehearsal it may not be there yet."""
    return _names(place.account(), "list_tables", database) if database in databases() else []


def _names(account: Account, method: str, *arguments: str) -> list[str]:
    """Return the names that a list of Treasure Data's has, asked for once: a person waits for it."""
    from runner.treasure_data.client import explained, open_client

    with (
        explained(account, method.replace("_", " ")),
        closing(open_client(account)) as client,
    ):
        return list(getattr(client.api, method)(*arguments))


def _parents(account: Account) -> list[ParentSegment]:
    from runner.treasure_data.audiences import AudienceStudio

    with closing(AudienceStudio(account, sleep=_impatient)) as studio:
        return studio.parents()


def _impatient(seconds: float) -> None:
    raise TreasureDataError(
        "Audience Studio does not answer, or asks to wait", hint=f"try again in {max(1.0, seconds):.0f} s"
    )


def _egress(urls: dict[str, str], service: str | None) -> Finding:
    from runner.cli.probing import public_address, way_out

    ways = {str(urlsplit(url).hostname): way_out(url) for url in urls.values()}
    return diagnosing.egress(ways, None if service is None else lambda: public_address(service))
