"""What every export needs that runs where the disk is forgotten, or nobody watches: checks and variables."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from urllib.parse import SplitResult, parse_qsl, urlsplit

from runner import holiday_calendar
from runner.campaign import Campaign
from runner.errors import UsageError
from runner.project import Project
from runner.treasure_data.account import is_this_machine

#: The environment's names for what is secret, beside the provider's and Treasure Data's keys.
FORGET_KEY = "RUNNER_FORGET_KEY"
PLAN_KEY = "RUNNER_PLAN_KEY"
NOTIFY_URLS = "RUNNER_NOTIFY_URLS"
LEDGER_PASSWORD = "PGPASSWORD"  # noqa: S105 - a name
#: The extra that a key of plan files needs.
ENCRYPTION = "encryption"

_TD_SOURCES = frozenset({"treasure_data", "audience_studio"})
_POSTGRES = frozenset({"postgresql", "postgres"})
#: Logs that are files of the machine that sends.
_FILE_LOGS = frozenset({"csv", "parquet"})


def check_shared_ledger(url: str, where: str, secret: str) -> None:
    """Raise UsageError unless the ledger at `url` outlives `where`, and its address tells no password.

    `secret` is how the password gets there.
    """
    parts = urlsplit(url)
    hint = "set `ledger: postgresql://user@host/database` in runner.yml"
    if parts.scheme not in _POSTGRES:
        raise UsageError(
            f"the ledger is a file, and {where} forgets its disk: people would get a message twice", hint=hint
        )
    if any(map(_is_own, _hosts(parts))):
        raise UsageError(
            f"the ledger is on this machine, and {where} is another, which forgets: "
            "people would get a message twice",
            hint=hint,
        )
    if parts.password is not None or {"password", "sslpassword"} & dict(parse_qsl(parts.query)).keys():
        raise UsageError(
            "the ledger's address holds a password, which no file may",
            hint=f"take it out of runner.yml: {secret}",
        )


def _hosts(address: SplitResult) -> list[str]:
    """Return the hosts of a PostgreSQL address, empty for the socket that is there without one."""
    options = dict(parse_qsl(address.query))
    named = options.get("hostaddr") or options.get("host") or address.netloc.rpartition("@")[2]
    return [re.sub(r":\d*$", "", host).strip("[]") for host in named.split(",")]


def _is_own(host: str) -> bool:
    """Tell whether a host is whichever machine asks: a socket's folder, an abstract socket, or loopback."""
    return not host or host[0] in "/@%" or is_this_machine(host)


def check_logs(campaign: Campaign, where: str) -> None:
    """Raise UsageError for a log that would be lost with the disk of `where`."""
    kinds = sorted(_FILE_LOGS & set(campaign.log))
    if kinds:
        raise UsageError(
            f"{campaign.name}: its {kinds[0]} log would be lost, as {where} forgets its disk",
            hint="log to treasure_data",
        )


def extras_of(campaigns: Iterable[Campaign]) -> frozenset[str]:
    """Return the extras of the product that the campaigns need."""
    needs_holidays = any(campaign.schedule.holidays is not None for campaign in campaigns)
    return frozenset({holiday_calendar.EXTRA} if needs_holidays else ())


def secrets_of(campaigns: Sequence[Campaign], project: Project) -> list[str]:
    """Return the environment's names for the secrets that a tick of these campaigns may need."""
    return [
        "ADA_API_KEY",
        *(["TD_API_KEY"] if any(_asks_td(campaign) for campaign in campaigns) else []),
        *([LEDGER_PASSWORD] if urlsplit(project.ledger).scheme in _POSTGRES else []),
        FORGET_KEY,
        PLAN_KEY,
        NOTIFY_URLS,
    ]


def settings_of(campaigns: Sequence[Campaign], project: Project) -> list[str]:
    """Return the environment's names for what is not secret and not in runner.yml."""
    providers = {campaign.provider for campaign in campaigns}
    has_urls = all(project.providers[name].url is not None for name in providers)
    asks_td = any(_asks_td(campaign) for campaign in campaigns)
    return [*([] if has_urls else ["ADA_API_URL"]), *(["TD_SITE"] if asks_td and not project.td_site else [])]


def remarks(campaigns: Iterable[Campaign]) -> Iterator[str]:
    """Yield what whoever exports should know, though it hinders nothing."""
    for campaign in campaigns:
        if campaign.guards.max_recipients is None:
            yield f"{campaign.name} has no guards.max_recipients, and nobody watches a tick send"


def _asks_td(campaign: Campaign) -> bool:
    return campaign.segment.source in _TD_SOURCES or "treasure_data" in campaign.log
