"""A saved mapping: `receipts/NAME.yml` in the project, small enough to be reviewed in git; for mapping."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path

from runner.delivery import ReceiptStatus
from runner.errors import FileProblems, Problem, UsageError
from runner.file_checks import zone_exists
from runner.problem_words import describe, did_you_mean, listed, show_text
from runner.receipts.mapping import ColumnMapping, DateOrder
from runner.receipts.text_file import ENCODINGS
from runner.receipts.words import FIELDS, plain
from runner.strict_yaml import Source, read_yaml

#: The folder of saved mappings, in the project.
FOLDER = "receipts"

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}")
_STATUSES = tuple(status.value for status in ReceiptStatus)
_KEYS = ("columns", "statuses", "timezone", "date_order", "region", "encoding", "header_line")


def mapping_path(root: Path, name: str) -> Path:
    """Return where the mapping `name` of the project at `root` is; UsageError for a name that is none."""
    if not _NAME.fullmatch(name):
        raise UsageError(
            f"{show_text(name)!r} is no name of a mapping", hint="use letters, digits, `_` and `-`: ada_log"
        )
    return root / FOLDER / f"{name}.yml"


def save_mapping(path: Path, mapping: ColumnMapping) -> None:
    """Write the mapping; it holds headers and words of the report, and nothing of its rows."""
    lines = ["# How `runner receipts import --mapping` reads a report.", "columns:"]
    lines += [f"  {name}: {_written(headers)}" for name, headers in mapping.columns.items()]
    if mapping.statuses:
        lines += ["statuses:"]
        lines += [f"  {_quoted(word)}: {status.value}" for word, status in mapping.statuses.items()]
    order = mapping.date_order.value if mapping.date_order else None
    texts = {
        "timezone": mapping.timezone,
        "date_order": order,
        "region": mapping.region,
        "encoding": mapping.encoding,
    }
    lines += [f"{key}: {_quoted(value)}" for key, value in texts.items() if value]
    lines += [f"header_line: {mapping.header_line}"] if mapping.header_line else []
    path.parent.mkdir(exist_ok=True)
    path.write_text("\n".join([*lines, ""]), encoding="utf-8")


def load_mapping(path: Path) -> ColumnMapping:
    """Read a saved mapping. Errors: UsageError when it is not there, FileProblems with all that is wrong."""
    if not path.is_file():
        names = sorted(file.stem for file in path.parent.glob("*.yml"))
        raise UsageError(
            f"there is no mapping {show_text(path.stem)!r} in {FOLDER}/",
            hint=f"there is {listed(names, 'and')}" if names else "make it with --save-mapping",
        )
    source = read_yaml(path)
    problems = [*source.problems, *_problems(source)]
    if problems:
        raise FileProblems(sorted(problems, key=lambda problem: problem.position.line))
    return _mapping(source)


def _mapping(source: Source) -> ColumnMapping:
    order, line = _text(source, "date_order"), source.get("header_line")
    return ColumnMapping(
        columns={str(name): _headers(value) or () for name, value in _entries(source, "columns").items()},
        statuses={
            str(word): ReceiptStatus(str(value)) for word, value in _entries(source, "statuses").items()
        },
        timezone=_text(source, "timezone"),
        date_order=DateOrder(order) if order else None,
        region=_text(source, "region"),
        encoding=_text(source, "encoding"),
        header_line=line if isinstance(line, int) else None,
    )


def _problems(source: Source) -> Iterator[Problem]:
    if not isinstance(source.value, dict):
        yield source.problem((), describe(source.value), "keys such as `columns`")
        return
    for key in source.value:
        if key not in _KEYS:
            hint = did_you_mean(str(key), _KEYS)
            yield source.problem((key,), f"`{show_text(str(key))}`", listed(_KEYS), hint, at_key=True)
    yield from _column_problems(source)
    yield from _status_problems(source)
    yield from _setting_problems(source)


def _column_problems(source: Source) -> Iterator[Problem]:
    for name, value in _entries(source, "columns").items():
        path = ("columns", name)
        headers = _headers(value)
        if name not in FIELDS:
            hint = did_you_mean(name, FIELDS)
            yield source.problem(path, f"`{show_text(name)}`", listed(FIELDS), hint, at_key=True)
        elif headers is None or len(headers) > (2 if name == "at" else 1):
            expected = "a header, or two headers in a list" if name == "at" else "a header"
            yield source.problem(path, describe(value), expected)


def _status_problems(source: Source) -> Iterator[Problem]:
    for word, value in _entries(source, "statuses").items():
        if value not in _STATUSES:
            yield source.problem(("statuses", word), describe(value), listed(_STATUSES))
        elif not plain(word):
            yield source.problem(("statuses", word), describe(word), "a word of the report", at_key=True)


def _setting_problems(source: Source) -> Iterator[Problem]:
    choices = {"date_order": [order.value for order in DateOrder], "encoding": list(ENCODINGS)}
    for key, words in choices.items():
        value = source.get(key)
        if value is not None and value not in words:
            yield source.problem((key,), describe(value), listed(words))
    for key in ("columns", "statuses"):
        if source.get(key) is not None and not isinstance(source.get(key), dict):
            yield source.problem((key,), describe(source.get(key)), "a mapping")
    zone, region, line = (source.get(key) for key in ("timezone", "region", "header_line"))
    if zone is not None and not (isinstance(zone, str) and zone_exists(zone)):
        yield source.problem(("timezone",), describe(zone), "a time zone such as Asia/Jakarta")
    if region is not None and not (isinstance(region, str) and re.fullmatch("[A-Z]{2}", region)):
        yield source.problem(("region",), describe(region), "an ISO 3166 code such as ID")
    if line is not None and (not isinstance(line, int) or isinstance(line, bool) or not 1 <= line <= 10_000):
        yield source.problem(("header_line",), describe(line), "the number of a line, from 1")


def _entries(source: Source, key: str) -> Mapping[str, object]:
    value = source.get(key)
    return value if isinstance(value, dict) else {}


def _text(source: Source, key: str) -> str | None:
    value = source.get(key)
    return value if isinstance(value, str) else None


def _headers(value: object) -> tuple[str, ...] | None:
    """Return the headers that a field is given, empty for none; None where they are no headers."""
    if isinstance(value, str):
        return (value,) if value.strip() else ()
    if isinstance(value, list) and all(isinstance(one, str) and one.strip() for one in value):
        return tuple(value)
    return None


def _written(headers: tuple[str, ...]) -> str:
    if len(headers) == 1:
        return _quoted(headers[0])
    return f"[{', '.join(_quoted(header) for header in headers)}]"


def _quoted(text: str) -> str:
    """Write a text as JSON does, which YAML reads alike; what cannot be seen is escaped."""
    return json.dumps(text, ensure_ascii=not text.isprintable())
