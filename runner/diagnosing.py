"""What `doctor` looks at: checks that say what was found and what to do about it; between cli and adapters.

A check asks the world through what it is given, changes nothing there, and always ends: within CHECK_SECONDS,
and with a finding, whatever goes wrong in it.
"""

from __future__ import annotations

import base64
import json
import os
import re
import stat
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from difflib import get_close_matches
from enum import Enum
from ipaddress import ip_address
from pathlib import Path
from threading import Thread
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from runner.errors import FileProblems, RunnerError
from runner.masking import mask_phone

if TYPE_CHECKING:
    from runner.ledger.interface import LedgerReader
    from runner.providers.interface import Account as SenderAccount
    from runner.providers.interface import TemplateList
    from runner.treasure_data.account import Account
    from runner.treasure_data.audiences import ParentSegment

#: How long a check may take, in seconds.
CHECK_SECONDS = 10.0

#: The Pythons that the product is tested with, the first and the last.
PYTHONS = ((3, 10), (3, 13))

#: Free disk, in MB: below the first a plan or a ledger may not find room, below the second it is time to act.
_LEAST_MB, _FEW_MB = 100, 1000
#: A Date header has whole seconds, and an answer takes a moment; more than this is the clock's fault.
_CLOCK_SECONDS = 5.0
_EXPIRES_SOON = timedelta(days=14)
_SERVER_FAULT = 500
_PIN = re.compile(r"([A-Za-z0-9._-]+)(?:\[[^\]]*\])?==([^;\s]+)\s*(;.*)?")


class State(Enum):
    """What a check came to."""

    OK = "ok"
    WARN = "warn"
    FAIL = "fail"
    SKIPPED = "skipped"


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """What a check found, in one line, and what to do about it, None when there is nothing to do."""

    state: State
    found: str
    remedy: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """One thing to look at. It is skipped when one of `needs` (names of checks before it) was no success."""

    name: str
    look: Callable[[], Finding]
    needs: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """An HTTP answer to a request without a key: its status and Date header, and when it was asked for.

    `began` and `ended` are epoch seconds of this machine; `date` is None where the header is missing.
    """

    status: int
    date: datetime | None
    began: float
    ended: float


def ok(found: str, remedy: str | None = None) -> Finding:
    """Return the finding that all is well."""
    return Finding(state=State.OK, found=found, remedy=remedy)


def warn(found: str, remedy: str) -> Finding:
    """Return the finding of something that works today."""
    return Finding(state=State.WARN, found=found, remedy=remedy)


def fail(found: str, remedy: str | None) -> Finding:
    """Return the finding of something that does not work."""
    return Finding(state=State.FAIL, found=found, remedy=remedy)


def skipped(found: str) -> Finding:
    """Return the finding of a check that was not made, and why."""
    return Finding(state=State.SKIPPED, found=found)


def diagnose(checks: Iterable[Check], *, seconds: float = CHECK_SECONDS) -> Iterator[tuple[str, Finding]]:
    """Make each check when its turn comes, and yield its name and finding. No check raises or hangs."""
    bad: set[str] = set()
    for check in checks:
        missing = next((name for name in check.needs if name in bad), None)
        finding = skipped(f"needs `{missing}`") if missing else _bounded(check.look, seconds)
        if finding.state in {State.FAIL, State.SKIPPED}:
            bad.add(check.name)
        yield check.name, finding


def _bounded(look: Callable[[], Finding], seconds: float) -> Finding:
    """Return what a check finds; one that takes too long is left alone, and ends with this process."""
    found: list[Finding] = []
    thread = Thread(target=lambda: found.append(_safely(look)), name="doctor", daemon=True)
    thread.start()
    thread.join(seconds)
    if found:
        return found[0]
    return fail(f"no result within {seconds:g} s", "check the network, the proxy and the firewall")


def _safely(look: Callable[[], Finding]) -> Finding:
    try:
        return look()
    except FileProblems as error:
        return _problems(error)
    except RunnerError as error:
        return fail(_one_line(error.message), _one_line(error.hint) if error.hint else None)
    except OSError as error:
        return fail(f"the system says: {error.strerror or type(error).__name__}", None)
    except Exception as error:  # noqa: BLE001 - what is wrong with a check is a finding, too
        # Its text may be a library's own, with a key in it.
        return fail(
            f"the check itself failed ({type(error).__name__})", "report it: this is a fault of runner"
        )


def _problems(error: FileProblems) -> Finding:
    first, *others = error.problems
    more = f", and {len(others)} more" if others else ""
    return fail(f"{_one_line(str(first))}{more}", "see all of them with `runner validate`")


def _one_line(text: str) -> str:
    return " ".join(text.split())


def python_version(version: tuple[int, int, int]) -> Finding:
    """Check the Python that runs this."""
    first, last = PYTHONS
    found = f"Python {version[0]}.{version[1]}.{version[2]}"
    if first <= version[:2] <= last:
        return ok(found)
    names = [f"{major}.{minor}" for major, minor in PYTHONS]
    return fail(found, f"use Python {names[0]} to {names[1]}")


def packages(requires: Sequence[str], installed: Callable[[str], str | None]) -> Finding:
    """Check that what is installed is what the product was tested with.

    `requires` are the product's own requirements; a package may have one pin for each Python, and those of an
    extra or of another system need not be there. `installed` returns a package's version, None if it is not.
    """
    pins: dict[str, set[str]] = {}
    optional: set[str] = set()
    for line in requires:
        match = _PIN.fullmatch(line.strip())
        if match:
            pins.setdefault(match[1], set()).add(match[2])
            if re.search(r"extra|sys_platform", match[3] or ""):
                optional.add(match[1])
    if not pins:
        return skipped("the product is not installed as a package: its pins are not known")
    found = {name: installed(name) for name in pins}
    missing = sorted(name for name, version in found.items() if version is None and name not in optional)
    if missing:
        return fail(f"not installed: {', '.join(missing)}", "install the product again with pip")
    other = sorted(f"{name} {found[name]}" for name, pin in pins.items() if found[name] not in {*pin, None})
    if other:
        return warn(f"not the versions that were tested: {', '.join(other)}", "install the product again")
    return ok(f"{sum(version is not None for version in found.values())} packages as tested")


def state_folder(folder: Path, free_bytes: Callable[[Path], int]) -> Finding:
    """Check that plans and ledger find a private folder with room in it."""
    mode = stat.S_IMODE(folder.stat().st_mode)
    if not os.access(folder, os.W_OK | os.X_OK):
        return fail(f"{folder} cannot be written", "check its owner, or `state` in runner.yml")
    free = free_bytes(folder) // 1_000_000
    found = f"{folder.name}, mode {mode:04o}, {free:,} MB free"
    if free < _LEAST_MB:
        return fail(found, "free some disk: a plan or the ledger may not find room")
    if mode & 0o077:
        return warn(found, "others may read personal data: keep `state` on a disk that knows permissions")
    if free < _FEW_MB:
        return warn(found, "free some disk before a large campaign")
    return ok(found)


def ledger(file: Path | None, schema: int, open_reader: Callable[[], LedgerReader]) -> Finding:
    """Check that the ledger opens; `file` is the one of a SQLite ledger, `schema` what this runner keeps.

    A ledger of another schema does not open.
    """
    with closing(open_reader()) as reader:
        runs = len(reader.runs())
    kind = "PostgreSQL" if file is None else "SQLite"
    if file is not None and not os.access(_nearest(file), os.W_OK):
        return fail(f"{file} cannot be written", "give this user write permission on it and on its folder")
    if not runs:
        return ok(f"{kind}, no run yet")
    return ok(f"{kind}, schema {schema}, {runs:,} run{'' if runs == 1 else 's'}")


def key_shape(key: str, now: datetime) -> Finding:
    """Check a provider's key as it stands; ADA's is a JWT (reference/ada-api.md §2). It is never shown."""
    parts = key.split(".")
    if len(parts) != 3 or not all(parts):
        return warn("set, but not of the shape of ADA's keys (three parts with dots between)", "copy it anew")
    expires = _expiry(parts[1])
    if expires is None:
        return ok("set")
    if expires <= now:
        return fail(f"expired on {expires:%Y-%m-%d}", "make a new API key in ADA's console")
    found = f"set, expires on {expires:%Y-%m-%d}"
    soon = expires - now < _EXPIRES_SOON
    return warn(found, "make a new API key in ADA's console before that") if soon else ok(found)


def _expiry(part: str) -> datetime | None:
    """Return when a JWT expires; None when that cannot be read."""
    try:
        claims = json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))
        return datetime.fromtimestamp(claims["exp"], timezone.utc)
    except (ValueError, TypeError, KeyError, OverflowError, OSError):
        return None


def address(url: str, probe: Callable[[str], Reply]) -> Finding:
    """Check that something answers at a base URL; a request without a key may get any status."""
    reply, host = probe(url), urlsplit(url).netloc
    if reply.status >= _SERVER_FAULT:
        return warn(f"{host} answers with a fault of its own ({reply.status})", "try again later")
    return ok(f"{host} answers")


def clock(replies: Mapping[str, Reply]) -> Finding:
    """Check this machine's clock against the dates of the answers that came; `replies` by name."""
    offs = {name: off for name, reply in replies.items() if (off := _clock_off(reply)) is not None}
    if not offs:
        return skipped("no answer with a date came")
    name, off = max(offs.items(), key=lambda each: abs(each[1]))
    if abs(off) <= _CLOCK_SECONDS:
        return ok(f"within {_CLOCK_SECONDS:g} s of {' and '.join(offs)}")
    return warn(
        f"{abs(off):,.0f} s {'behind' if off > 0 else 'ahead of'} the clock of {name}",
        "set the clock by NTP: due times and windows go by it",
    )


def _clock_off(reply: Reply) -> float | None:
    """Return by how many seconds the other's clock is certainly ahead (or, below 0, behind); None unknown."""
    if reply.date is None:
        return None
    # The header was written between `began` and `ended`, and stands for a second.
    earliest, latest = reply.date.timestamp(), reply.date.timestamp() + 1.0
    if earliest > reply.ended:
        return earliest - reply.ended
    return min(0.0, latest - reply.began)


def sender(account: SenderAccount) -> Finding:
    """Check the account of the business number, which only an accepted key gets."""
    name = f" ({account.name})" if account.name else ""
    found = f"key accepted, {mask_phone(account.number)}{name} is known"
    if account.warning:
        return warn(f"{found}; {account.warning}", "see the account in ADA's console")
    return ok(found)


def templates(listing: TemplateList) -> Finding:
    """Check that the templates can be read, and that there are some to send."""
    approved = sum(template.status == "APPROVED" for template in listing.templates)
    found = f"{len(listing.templates):,} read, {approved:,} approved"
    if not listing.complete:
        return warn(
            f"{found}; the provider has more than it lists", "delete those that are not used any more"
        )
    return ok(found) if approved else warn(found, "have a template approved before the first campaign")


def td_key(find: Callable[[], Account], show: Callable[[str], str], users: Sequence[str]) -> Finding:
    """Check that there is a Treasure Data key; `users` are the campaigns that need one."""
    try:
        account = find()
    except RunnerError as error:
        if users:
            raise
        return skipped(f"{_one_line(error.message)}; no campaign here needs one")
    return ok(f"{show(account.key)} from {account.key_source}, site {account.site or 'of its own'}")


def td_account(databases: Callable[[], Collection[str]]) -> Finding:
    """Check that Treasure Data accepts the key."""
    count = len(databases())
    return ok(f"key accepted, {count:,} database{'' if count == 1 else 's'}")


def td_database(wanted: str, databases: Callable[[], Collection[str]]) -> Finding:
    """Check that a database is there, for this key."""
    names = sorted(databases())
    if wanted in names:
        return ok("is there")
    near = get_close_matches(wanted, names, n=1)
    meant = f"did you mean {near[0]}? " if near else ""
    return fail("is not there, or not for this key", f"{meant}check the site and the key's permissions")


def audience_studio(parents: Callable[[], Sequence[ParentSegment]], wanted: Sequence[str]) -> Finding:
    """Check that Audience Studio lets this key read, and has the parent segments (names or ids) wanted."""
    if not wanted:
        return skipped("no campaign here uses it")
    found = parents()
    known = {name for parent in found for name in (parent.id, parent.name)}
    missing = [name for name in wanted if name not in known]
    if not missing:
        return ok(f"may be read, {len(found):,} parent segment{'' if len(found) == 1 else 's'}")
    near = get_close_matches(missing[0], known, n=1)
    meant = f"did you mean {near[0]!r}? " if near else ""
    return fail(f"no parent segment {missing[0]!r}", f"{meant}check the name, and what the key may see")


def table_log(table: str, tables: Callable[[], Collection[str]]) -> Finding:
    """Check the table of a log; one that is not there is made with the first push."""
    there = table in tables()
    return ok("is there" if there else "not there yet: the first push makes it, with a key that may")


def folder_log(folder: Path) -> Finding:
    """Check the folder of a log; one that is not there is made with the first push."""
    nearest = _nearest(folder)
    if not nearest.is_dir():
        return fail(f"{nearest} is no folder", "name another folder in the campaign's `log`")
    if not os.access(nearest, os.W_OK | os.X_OK):
        return fail(f"{nearest} cannot be written", "give this user write permission on it")
    return ok("can be written")


def readable(paths: Iterable[Path]) -> Finding:
    """Check that files can be read, each by opening it."""
    count = 0
    for count, path in enumerate(paths, 1):  # noqa: B007 - how many there were
        try:
            path.open("rb").close()
        except OSError as error:
            return fail(f"{path}: {error.strerror}", "give this user read permission on it")
    return ok(f"{count} file{'' if count == 1 else 's'} can be read")


def egress(ways: Mapping[str, str], public: Callable[[], str] | None) -> Finding:
    """Say by which address requests leave: ADA and Treasure Data may admit known ones only.

    `ways` is where requests to a host start: an address of this machine, or a proxy. `public` asks the
    service that the caller named for the address it sees.
    """
    outside = {host: way for host, way in ways.items() if not _is_loopback(way)}
    if not outside:
        return skipped("nothing outside this machine answered")
    seen = "; ".join(f"to {host} from {way}" for host, way in outside.items())
    if public is not None:
        return ok(
            f"{public()} outside ({seen})", "where ADA or Treasure Data admit by address: allow this one"
        )
    return ok(
        seen,
        "behind a router the outside sees another: `--egress-url` of a service that tells; allow that one",
    )


def _is_loopback(way: str) -> bool:
    try:
        return ip_address(way).is_loopback
    except ValueError:
        return False


def _nearest(path: Path) -> Path:
    """Return `path`, or what is nearest above it and there."""
    return next(part for part in (path, *path.parents) if part.exists())
