"""runner.yml -> Project: where a project is, and what its campaigns share."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from ipaddress import ip_address
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from runner.campaign import PhoneStyle
from runner.errors import UsageError
from runner.file_checks import Checked, check_path, check_window, check_zone, checked, is_file, settle
from runner.problem_words import show_text
from runner.project import MergedTo, Project, ProviderSettings, Rate, SendsElsewhere
from runner.segment_file import read_query
from runner.strict_yaml import read_yaml

PROJECT_FILE = "runner.yml"
_COMMON = frozenset({"url", "sender", "rate", "max_in_flight", "read_timeout"})
_RATE = re.compile(r"([0-9]{1,5}(?:\.[0-9]{1,3})?)/s")


def find_project_root(start: Path) -> Path:
    """Return the folder with the runner.yml that is nearest above `start`, a file or folder."""
    here = start.resolve()
    for folder in (here, *here.parents):
        if is_file(folder / PROJECT_FILE):
            return folder
    raise UsageError(
        f"there is no {PROJECT_FILE} in {show_text(str(start))} or any folder above it",
        hint="change into the folder of a project",
    )


def load_project(root: Path) -> Project:
    """Load the runner.yml of the folder `root`. Raises FileProblems with all that is wrong in it."""
    root = root.resolve()
    file = checked("runner", read_yaml(root / PROJECT_FILE))
    data, state = _folder(file, root, "data", "data"), _folder(file, root, "state", ".runner")
    suppression = tuple(_suppression(file, root))
    history = tuple(_history(file, root))
    templates = check_path(file, root, root, "sandbox", "templates")
    audiences = check_path(file, root, root, "sandbox", "audiences")
    timezone, window = check_zone(file, "timezone"), check_window(file, "window")
    _check_urls(file)
    settle(file.problems)
    document: Mapping[str, Any] = file.source.value  # type: ignore[assignment]
    return Project(
        root=root,
        data=data,
        state=state,
        ledger=document.get("ledger", f"sqlite:///{state.relative_to(root).as_posix()}/ledger.db"),
        providers={name: _provider(name, entry) for name, entry in document["providers"].items()},
        suppression=suppression,
        history=history,
        window=window,
        timezone=timezone,
        plan_expires_hours=float(document.get("plan", {}).get("expires_hours", 72)),
        query_memory_mb=int(document.get("query", {}).get("memory_mb", 1024)),
        query_seconds=float(document.get("query", {}).get("seconds", 300)),
        sandbox_templates=templates,
        sandbox_audiences=audiences,
        td_site=document.get("treasure_data", {}).get("site"),
        notify=document.get("notify", {}),
        approved_by_merge=_merged_to(document.get("approval", {})),
    )


def parse_rate(text: str) -> Rate:
    """Return the rate that `text` writes: `5/s` or `unlimited`. Raises UsageError for anything else."""
    if text == "unlimited":
        return Rate(per_second=None)
    match = _RATE.fullmatch(text)
    if match is None or not float(match.group(1)):
        raise UsageError(f'"{show_text(text)}" is not a rate', hint="write a rate such as 5/s, or unlimited")
    return Rate(per_second=float(match.group(1)))


def is_loopback(url: str) -> bool:
    """Tell whether `url` leads to this machine and nowhere else: 127.0.0.0/8, ::1 or localhost."""
    try:
        host = urlsplit(url).hostname or ""
    except ValueError:
        return False
    # Some read a backslash as a slash, and would find another host in it.
    if "\\" in url or host == "localhost":
        return "\\" not in url
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


def _folder(file: Checked, root: Path, key: str, default: str) -> Path:
    if file.source.get(key) is None:
        return root / default
    return check_path(file, root, root, key) or root / default


def _suppression(file: Checked, root: Path) -> Iterator[Path]:
    entries = file.source.get("suppression")
    for index in range(len(entries) if isinstance(entries, list) else 0):
        path = check_path(file, root, root, "suppression", index)
        # Without its list, people who must never get a message would get one.
        if path is not None and not is_file(path):
            file.add(("suppression", index), "a file that does not exist", "a CSV file with one phone a line")
        if path is not None:
            yield path


def _history(file: Checked, root: Path) -> Iterator[SendsElsewhere]:
    entries = file.source.get("history")
    for index in range(len(entries) if isinstance(entries, list) else 0):
        at = ("history", index)
        style = file.text(*at, "phone_style")
        known = style in {one.value for one in PhoneStyle}
        yield SendsElsewhere(
            segment=read_query(file, at, folder=root, root=root),
            region=file.text(*at, "region"),
            phone_style=PhoneStyle(style) if known else None,
        )


def _check_urls(file: Checked) -> None:
    providers = file.source.get("providers")
    for name in providers if isinstance(providers, dict) else ():
        url = file.text("providers", name, "url")
        if url is not None and not url.startswith("https://") and not is_loopback(url):
            file.add(
                ("providers", name, "url"), "an address without TLS", "an address that starts with https://"
            )


def _merged_to(document: Mapping[str, Any]) -> MergedTo | None:
    if document.get("by", "command") == "command":
        return None
    return MergedTo(remote=document.get("remote", "origin"), branch=document.get("branch", "main"))


def _provider(name: str, entry: Mapping[str, Any]) -> ProviderSettings:
    return ProviderSettings(
        name=name,
        url=entry.get("url"),
        sender=entry["sender"],
        rate=parse_rate(entry.get("rate", "5/s")),
        max_in_flight=int(entry.get("max_in_flight", 256)),
        read_timeout=float(entry.get("read_timeout", 60)),
        options={key: value for key, value in entry.items() if key not in _COMMON},
    )
