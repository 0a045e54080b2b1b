"""A campaign file -> Campaign, or every problem it has, each at its position."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal
from pathlib import Path, PurePosixPath
from typing import Any, NoReturn

from runner.campaign import (
    Campaign,
    Canary,
    FrequencyCap,
    Guards,
    Holdout,
    Limit,
    PhoneStyle,
    RecipientColumns,
    Segment,
)
from runner.errors import Position, Problem, UsageError
from runner.file_checks import Checked, check_path, checked, is_file, settle
from runner.message_file import check_messages, read_messages
from runner.problem_words import describe, did_you_mean, harmless, listed
from runner.project import Project
from runner.schedule import Schedule
from runner.schedule_file import read_schedule
from runner.segment_file import read_period, read_segment
from runner.strict_yaml import Source, read_yaml

_SUFFIXES = frozenset({".yml", ".yaml"})
_PROJECT_FILES = frozenset({"runner.yml", "runner.yaml"})
_DEFAULT_PROVIDER = "ada"


def find_campaign_files(paths: Sequence[Path]) -> list[Path]:
    """Return the campaign files that `paths` name: files as they are, folders with all that is below them.

    Each file comes once, a folder's in the order of their names. runner.yml, and files and folders whose
    name begins with a dot, are left out. Raises UsageError for a path that leads nowhere.
    """
    found: dict[Path, Path] = {}
    for path in paths:
        for file in _files_at(path):
            found.setdefault(file.resolve(), file)
    return list(found.values())


def load_campaign(path: Path, project: Project) -> Campaign:
    """Load the campaign file at `path`. Raises FileProblems with all that is wrong in it."""
    source = read_yaml(path)
    inner = _path_in_project(path, project)
    file = checked("campaign", source)
    schedule = read_schedule(file, project)
    segment = read_segment(file, path.resolve().parent, project)
    _check_logs(file, project)
    _check_provider(file, project)
    check_messages(file)
    settle(file.problems)
    return _campaign(source, PurePosixPath(inner), segment, schedule, project)


def duplicate_names(campaigns: Sequence[Campaign]) -> list[Problem]:
    """Return a problem for every campaign whose name another file before it has."""
    first: dict[str, Campaign] = {}
    problems = []
    for campaign in campaigns:
        other = first.setdefault(campaign.name, campaign)
        if other is not campaign:
            position = Position(file=harmless(str(campaign.path)), line=1, column=1)
            found = f'"{campaign.name}", the name of {harmless(str(other.path))}'
            hint = "the ledger knows by the name who has a campaign's message already"
            problems.append(
                Problem(
                    position=position, path="campaign", found=found, expected="a name of its own", hint=hint
                )
            )
    return problems


def _files_at(path: Path) -> Iterator[Path]:
    if is_file(path):
        if path.name not in _PROJECT_FILES:
            yield path
        return
    if not _is_folder(path):
        raise UsageError(
            f"there is no file or folder {harmless(str(path))}",
            hint="name a campaign file or a folder of them",
        )
    for folder, inner, names in os.walk(path, onerror=_unreadable):
        inner[:] = sorted(name for name in inner if not name.startswith("."))
        for name in sorted(names):
            file = Path(folder) / name
            is_campaign = file.suffix in _SUFFIXES and name not in _PROJECT_FILES
            if is_campaign and not name.startswith(".") and is_file(file):
                yield file


def _is_folder(path: Path) -> bool:
    try:
        return path.is_dir()
    except OSError:
        return False


def _unreadable(error: OSError) -> NoReturn:
    raise UsageError(f"cannot read the folder {harmless(str(error.filename))}: {error.strerror}") from error


def _path_in_project(path: Path, project: Project) -> PurePosixPath:
    try:
        return PurePosixPath(path.resolve().relative_to(project.root.resolve()).as_posix())
    except ValueError:
        raise UsageError(
            f"{harmless(str(path))} is not in the project {harmless(str(project.root))}",
            hint="a campaign file lives in the folder of its runner.yml, or below",
        ) from None


def _check_provider(file: Checked, project: Project) -> None:
    path = ("delivery", "provider")
    is_given = file.source.get(*path) is not None
    name = file.text(*path) if is_given else _DEFAULT_PROVIDER
    if name is None or name in project.providers:
        return
    known = sorted(project.providers)
    found = describe(name) if is_given else f'nothing, which means "{name}"'
    expected = (
        f"a provider of runner.yml: {listed(known)}" if known else "a provider, but runner.yml has none"
    )
    file.add(path, found, expected, did_you_mean(name, known))


def _check_logs(file: Checked, project: Project) -> None:
    for kind in ("parquet", "csv"):
        check_path(file, project.root, project.root, "log", kind, "folder")


Document = Mapping[str, Any]


def _campaign(
    source: Source, path: PurePosixPath, segment: Segment, schedule: Schedule, project: Project
) -> Campaign:
    document: dict[str, Any] = source.value  # type: ignore[assignment]
    kept = {**document["segment"], **({"query": segment.query} if segment.query else {})}
    return Campaign(
        name=document["campaign"],
        description=document.get("description", ""),
        owner=document.get("owner"),
        segment=segment,
        recipient=_recipient(document["recipient"]),
        **read_messages(document),
        schedule=schedule,
        provider=document.get("delivery", {}).get("provider", _DEFAULT_PROVIDER),
        priority=int(document.get("delivery", {}).get("priority", 1)),
        guards=_guards(document.get("guards", {})),
        holdout=_holdout(document),
        log=document.get("log", {}),
        notify=document.get("notify", project.notify),
        path=path,
        document={**document, "segment": kept},
    )


def _recipient(document: Document) -> RecipientColumns:
    style = document.get("phone_style")
    return RecipientColumns(
        id=document["id"],
        phone=document["phone"],
        consent=document["consent"],
        region=document.get("region"),
        phone_style=None if style is None else PhoneStyle(style),
        timezone=document.get("timezone"),
    )


def _guards(document: Document) -> Guards:
    cap, canary = document.get("frequency_cap"), document.get("canary")
    distance = document.get("min_distance")
    return Guards(
        max_recipients=_whole(document.get("max_recipients")),
        max_rejected=_limit(document.get("max_rejected")),
        max_growth=_limit(document.get("max_growth")),
        max_failed=_limit(document.get("max_failed")),
        max_unknown=_limit(document.get("max_unknown")),
        canary=None if canary is None else _canary(canary),
        frequency_cap=None if cap is None else _cap(cap),
        min_distance=None if distance is None else read_period(distance),
    )


def _canary(document: Document) -> Canary:
    return Canary(
        size=int(document["size"]),
        wait=read_period(document["wait"]),
        max_failed=_one_limit(document["max_failed"]),
    )


def _cap(document: Document) -> FrequencyCap:
    return FrequencyCap(messages=int(document["messages"]), per=read_period(document["per"]))


def _holdout(document: Document) -> Holdout | None:
    """Return the control group: a share alone, whose group is the campaign's own, or a share and a group."""
    written = document.get("holdout")
    if written is None:
        return None
    entry: Document = {"share": written} if isinstance(written, str) else written
    parts = int(Decimal(entry["share"].removesuffix("%")) * 10_000)
    return Holdout(parts=parts, group=entry.get("group", document["campaign"]))


def _limit(value: float | str | None) -> Limit | None:
    return None if value is None else _one_limit(value)


def _one_limit(value: float | str) -> Limit:
    if isinstance(value, str):
        return Limit(share=float(value.removesuffix("%")) / 100)
    return Limit(count=int(value))


def _whole(value: float | None) -> int | None:
    # JSON Schema counts 5.0 among the whole numbers.
    return None if value is None else int(value)
