"""What the container installs: the product as it runs here, and the versions it runs with here.

Direct requirements come from the product's metadata with its own pins, for every Python that it supports;
what they need in turn is pinned in a constraints file to what is installed here.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, distribution

from runner import __version__
from runner.errors import UsageError

PRODUCT = "campaign-runner"
#: A container forgets its disk, so the ledger is a PostgreSQL one.
EXTRA = "postgres"

_NAME = re.compile(r"\s*([A-Za-z0-9][A-Za-z0-9._-]*)\s*(?:\[([^\]]*)\])?")
_EXTRA = re.compile(r"extra\s*==\s*['\"]([^'\"]+)['\"]")


@dataclass(frozen=True, slots=True, kw_only=True)
class Pins:
    """The lines of two files for pip: `requirements`, and `constraints` for what these need in turn."""

    requirements: tuple[str, ...]
    constraints: tuple[str, ...]


def pins(wheel: str | None = None, more: Collection[str] = ()) -> Pins:
    """Return what pip is to install; `wheel` is the file name of the product's wheel, None for an index.

    `more` are extras of the product beside the one that is always needed. UsageError when the product is not
    installed here as a package.
    """
    extras = {EXTRA, *more}
    named_extras = ",".join(sorted(extras))
    product = f"./{wheel}[{named_extras}]" if wheel else f"{PRODUCT}[{named_extras}]=={__version__}"
    direct = sorted(set(_needed(PRODUCT, extras)), key=str.lower)
    if not direct:
        raise UsageError(
            f"the package {PRODUCT} is not installed here, so its requirements are not known",
            hint="install it with pip, and export again",
        )
    named = {_read(line)[0] for line in direct}
    versions = dict(_installed(direct))
    others = sorted((name, version) for name, version in versions.items() if name not in named)
    return Pins(
        requirements=(product, *direct), constraints=tuple(f"{name}=={version}" for name, version in others)
    )


def _needed(name: str, extras: set[str]) -> Iterator[str]:
    """Yield the requirements of a package, with those of `extras`; their `extra ==` markers taken off."""
    try:
        lines = distribution(name).requires or []
    except PackageNotFoundError:
        return
    for line in lines:
        wanted, _, marker = line.partition(";")
        asked = set(_EXTRA.findall(marker))
        if not asked:
            yield line
        elif asked & extras:
            rest = [part for part in re.split(r"\s+and\s+", marker.strip()) if not _EXTRA.search(part)]
            yield f"{wanted.strip()}; {' and '.join(rest)}" if rest else wanted.strip()


def _installed(lines: Iterable[str]) -> Iterator[tuple[str, str]]:
    """Yield name and version of every package that `lines` lead to and that is installed here."""
    waiting, seen = list(lines), set()
    while waiting:
        name, extras = _read(waiting.pop())
        if (name, extras) in seen:
            continue
        seen.add((name, extras))
        try:
            version = distribution(name).version
        except PackageNotFoundError:  # for another Python, or another system
            continue
        yield name, version
        waiting += _needed(name, set(extras))


def _read(line: str) -> tuple[str, tuple[str, ...]]:
    """Return the normal name of a requirement's package, and its extras."""
    match = _NAME.match(line)
    name, extras = match.groups() if match else (line, None)
    wanted = tuple(sorted(each.strip() for each in (extras or "").split(",") if each.strip()))
    return re.sub(r"[-_.]+", "-", name).lower(), wanted
