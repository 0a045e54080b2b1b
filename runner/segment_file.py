"""The `segment` of a campaign file, or a query of runner.yml, -> Segment, or what is wrong with it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import timedelta
from pathlib import Path, PurePosixPath

from runner.campaign import Parameter, Segment
from runner.file_checks import Checked, check_path
from runner.parameters import read_parameter
from runner.problem_words import KeyPath, find_secrets, listed
from runner.project import Project
from runner.strict_yaml import MAX_BYTES

_UNITS = {"m": "minutes", "h": "hours", "d": "days", "w": "weeks"}
#: The keys of each source beside `source` itself.
_KEYS: Mapping[str, frozenset[str]] = {
    "duckdb": frozenset({"query", "query_file"}),
    "treasure_data": frozenset({"query", "query_file", "table", "engine", "database", "params"}),
    "audience_studio": frozenset({"parent_segment", "segment", "max_age"}),
}


def read_segment(file: Checked, folder: Path, project: Project) -> Segment:
    """Return the segment of a campaign file that lies in `folder`; its problems are added to `file`."""
    age = file.text("segment", "max_age")
    return replace(
        read_query(file, ("segment",), folder=folder, root=project.root),
        parent_segment=_name_or_id(file, "parent_segment"),
        segment=_name_or_id(file, "segment"),
        max_age=None if age is None else read_period(age),
        declared=dict(_parameters(file)),
        references=dict(_references(file)),
    )


def read_query(file: Checked, at: KeyPath, *, folder: Path, root: Path) -> Segment:
    """Return the source and the query at the path `at` of a file that lies in `folder`, below `root`."""
    source, query_file = file.text(*at, "source") or "", file.text(*at, "query_file")
    if source in _KEYS:
        _check_keys(file, at, source)
    return Segment(
        source=source,
        query=_query(file, at, folder, root),
        query_file=None if query_file is None else PurePosixPath(query_file),
        engine=file.text(*at, "engine") or "trino",
        database=file.text(*at, "database"),
        table=file.text(*at, "table"),
    )


def read_period(text: str) -> timedelta:
    """Return the time that `text` writes: a number and `m`, `h`, `d` or `w`, as the schema lets pass."""
    return timedelta(**{_UNITS[text[-1]]: int(text[:-1])})


def _check_keys(file: Checked, at: KeyPath, source: str) -> None:
    """Add a problem for each key that this source does not know, and for a database that is missing."""
    written = file.source.get(*at)
    for key in written if isinstance(written, dict) else ():
        owners = [f"`{other}`" for other, keys in _KEYS.items() if key in keys]
        if owners and key not in _KEYS[source]:
            expected = f"no such key for the source `{source}`"
            file.add((*at, key), f"`{key}`", expected, f"it belongs to the source {listed(owners)}")
    if source == "treasure_data" and file.source.get(*at, "database") is None:
        table = file.source.get(*at, "table")
        if not isinstance(table, dict) and "." not in str(table):
            hint = "the Treasure Data database in which the query runs"
            file.add((*at, "database"), "nothing", "a database such as crm", hint)


def _name_or_id(file: Checked, key: str) -> str | None:
    value = file.get("segment", key)
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return str(int(value))
    return value.strip() if isinstance(value, str) else None


def _references(file: Checked) -> Iterator[tuple[str, str]]:
    for key in ("database", "table"):
        name = file.text("segment", key, "param")
        if name is not None:
            yield key, name


def _parameters(file: Checked) -> Iterator[tuple[str, Parameter]]:
    written = file.source.get("segment", "params")
    for name in written if isinstance(written, dict) else ():
        path = ("segment", "params", name)
        value = file.get(*path)
        if value is None or any(problem.path.startswith("segment.params") for problem in file.problems):
            continue
        try:
            yield name, read_parameter(value)
        except ValueError as error:
            file.add(path, str(error), "values of one type")


def _query(file: Checked, at: KeyPath, folder: Path, root: Path) -> str:
    query = file.text(*at, "query")
    key = (*at, "query_file")
    path = check_path(file, folder, root, *key)
    if query is not None or path is None:
        return query or ""
    expected = "a file with one SELECT"
    try:
        with path.open("rb") as stream:
            data = stream.read(MAX_BYTES + 1)
        text = data.decode("utf-8-sig")
    except OSError as error:
        file.add(key, f"a file that cannot be read ({error.strerror})", expected)
    except UnicodeDecodeError:
        file.add(key, "a file that is not UTF-8", expected, "save it again with the encoding UTF-8")
    else:
        if len(data) > MAX_BYTES:
            file.add(key, "a file of more than 1 MB", expected)
        elif not text.strip():
            file.add(key, "an empty file", expected)
        elif find_secrets(text):
            file.add(key, "a file with something that looks like a secret", expected)
        return text
    return ""
