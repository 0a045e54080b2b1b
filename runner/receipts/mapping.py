"""Which column of a report says what: named by a person, saved in the project, or plain from the header."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import Enum

from runner.delivery import ReceiptStatus
from runner.errors import UsageError
from runner.problem_words import did_you_mean, listed, show_text
from runner.receipts.words import FIELDS, HEADERS, plain

#: Fields that no report can do without; and one of the others says whose message it is.
_NEEDED = ("status", "at")
_WHOSE = ("phone", "message_id")
#: So many columns are listed when one is asked for.
_LISTED = 40
_BY_NUMBER = re.compile(r"#([1-9][0-9]{0,3})")


class DateOrder(Enum):
    """In which order dates of numbers are written."""

    DMY = "dmy"
    MDY = "mdy"
    YMD = "ymd"


@dataclass(frozen=True, slots=True, kw_only=True)
class ColumnMapping:
    """How a report is read. None and a field that is not in `columns` are found out.

    `columns`: field (`FIELDS`) -> its header, or none (an empty tuple: there is no such column); `at` may be
    in two columns, date and time. `#3` is the third column, whatever its header. `statuses` are words of the
    report beyond those known. `timezone` is that of times without an offset, `region` that of phones without
    a country code.
    """

    columns: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    statuses: Mapping[str, ReceiptStatus] = field(default_factory=dict)
    timezone: str | None = None
    date_order: DateOrder | None = None
    region: str | None = None
    encoding: str | None = None
    header_line: int | None = None

    def over(self, saved: ColumnMapping) -> ColumnMapping:
        """Return this mapping with what only `saved` says added to it."""
        return replace(
            self,
            columns={**saved.columns, **self.columns},
            statuses={**saved.statuses, **self.statuses},
            timezone=self.timezone or saved.timezone,
            date_order=self.date_order or saved.date_order,
            region=self.region or saved.region,
            encoding=self.encoding or saved.encoding,
            header_line=self.header_line or saved.header_line,
        )


def parse_columns(options: Iterable[str]) -> dict[str, tuple[str, ...]]:
    """Read `phone=Mobile No` options. `phone=` says that there is none; `at` may be given twice."""
    columns: dict[str, tuple[str, ...]] = {}
    for option in options:
        name, separator, header = option.partition("=")
        if name not in FIELDS or not separator:
            raise UsageError(
                f"--column {show_text(option)}: found no field and header",
                hint=f'write --column phone="Mobile No"; the fields are {listed(FIELDS, "and")}',
            )
        headers = columns.get(name, ()) + ((header.strip(),) if header.strip() else ())
        columns[name] = headers
        check_count(name, headers)
    return columns


def check_count(name: str, headers: Sequence[str]) -> None:
    """Raise UsageError where a field has more columns than it may have."""
    most = 2 if name == "at" else 1
    if len(headers) > most:
        raise UsageError(
            f"the field {name} has {len(headers)} columns, and may have {most}",
            hint="only `at` may be in two columns: a date and a time",
        )


def parse_statuses(options: Iterable[str]) -> dict[str, ReceiptStatus]:
    """Read `terkirim=delivered` options."""
    statuses = {}
    for option in options:
        word, _, meaning = option.rpartition("=")
        if not plain(word) or meaning not in {status.value for status in ReceiptStatus}:
            raise UsageError(
                f"--status {show_text(option)}: found no word and its meaning",
                hint="write --status WORD=MEANING; the meanings are sent, delivered, read and failed",
            )
        statuses[word] = ReceiptStatus(meaning)
    return statuses


def supplied(header: Sequence[str], mapping: ColumnMapping) -> int:
    """Return how many fields a header might supply: how much it looks like the header of this report."""
    found = 0
    for name in FIELDS:
        named = mapping.columns.get(name)
        if named is None:
            found += bool(_guesses(header, name))
        else:
            found += sum(bool(_places(header, one)) for one in named)
    return found


def choose_columns(header: Sequence[str], mapping: ColumnMapping, where: str) -> dict[str, tuple[int, ...]]:
    """Return field -> places of its columns in `header`, from 0; a field without a column is left out.

    Errors: UsageError, which lists all columns, where one is missing or two could be meant. `where` is the
    file and line of the header.
    """
    chosen: dict[str, tuple[int, ...]] = {}
    doubts: list[str] = []
    for name in FIELDS:
        places = _choose(header, name, mapping, doubts)
        if places:
            chosen[name] = places
    doubts += [
        f"no column for {name}" for name in _NEEDED if name not in chosen and not _doubted(name, doubts)
    ]
    if not any(name in chosen or _doubted(name, doubts) for name in _WHOSE):
        doubts.append("no column for phone or message_id")
    if doubts:
        raise UsageError(
            f"{where}: found {listed(doubts, 'and')}",
            hint='name it with --column FIELD="HEADER" (an empty header: none); '
            f"the columns are {_shown(header)}",
        )
    return chosen


def _choose(header: Sequence[str], name: str, mapping: ColumnMapping, doubts: list[str]) -> tuple[int, ...]:
    """Return the places of one field; what is in doubt is added to `doubts`."""
    named = mapping.columns.get(name)
    if named is None:
        guesses = _guesses(header, name)
        if len(guesses) > 1:
            doubts.append(f"{len(guesses)} columns for {name} ({_shown([header[one] for one in guesses])})")
        return guesses if len(guesses) == 1 else ()
    places: list[int] = []
    for one in named:
        found = _places(header, one)
        if len(found) == 1:
            places += found
        else:
            count = f"{len(found)} columns" if found else "no column"
            doubts.append(f"{count} {show_text(one)!r} for {name}{_near(one, header) if not found else ''}")
    return tuple(places)


def _doubted(name: str, doubts: Sequence[str]) -> bool:
    return any(f" for {name}" in doubt for doubt in doubts)


def _near(name: str, header: Sequence[str]) -> str:
    near = did_you_mean(name, [show_text(one) for one in header if one])
    return f" ({near})" if near else ""


def _guesses(header: Sequence[str], name: str) -> tuple[int, ...]:
    return tuple(place for place, one in enumerate(header) if plain(one) in HEADERS[name])


def _places(header: Sequence[str], name: str) -> list[int]:
    """Return where a header of this name stands: to the letter; else but for case and punctuation."""
    exact = [place for place, one in enumerate(header) if one == name]
    number = _BY_NUMBER.fullmatch(name)
    if not exact and number is not None:
        return [int(number.group(1)) - 1] if int(number.group(1)) <= len(header) else []
    wanted = plain(name)
    return exact or [place for place, one in enumerate(header) if wanted and plain(one) == wanted]


def _shown(header: Sequence[str]) -> str:
    """List headers; long numbers in them are masked: the first line of a file may be a person's."""
    names = [f'"{show_text(name)}"' for name in header[:_LISTED]]
    return ", ".join(names) + (f" and {len(header) - _LISTED} more" if len(header) > _LISTED else "")
