"""Lines -> records below a header: the delimiter, the title lines and the header are found out; for reading.

Python's own CSV reader is used, not DuckDB's: it says of every record on which line it begins, and a record
that is broken is one record, not a lost count. A line is never dropped without an account.
"""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice

from runner.receipts.text_file import ReceiptsFileError, TextFile

DELIMITERS = {",": "comma", ";": "semicolon", "\t": "tab", "|": "bar"}
#: Among so many lines the header is looked for; a report has a few lines of title at most.
TITLE_LINES = 20
#: A record of more lines is no message text with line breaks but a quote that nobody closed.
_MAX_RECORD_LINES = 100
#: A batch ends at so many records, or after so many characters.
_BATCH_RECORDS = 10_000
_BATCH_CHARACTERS = 16_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Layout:
    """How a file is laid out. `header_line` and `data_line` count physical lines from 1."""

    delimiter: str
    header: tuple[str, ...]
    header_line: int
    data_line: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """Some records: on which line each begins, and its cells; None where its quoting is broken."""

    lines: list[int]
    records: list[list[str] | None]


def find_layout(text: TextFile, score: Callable[[Sequence[str]], int], header_line: int | None) -> Layout:
    """Find the header: of the first lines, under each delimiter, the one that scores most.

    `score` says how many of the wanted columns a header would supply. Without any, the widest line is taken.
    `header_line`, from 1, is where a person says that it is. Errors: ReceiptsFileError.
    """
    first = header_line - 1 if header_line else 0
    last = header_line or TITLE_LINES
    sample = list(islice(text.lines(), last + _MAX_RECORD_LINES))
    layouts = [
        layout
        for start in range(first, min(last, len(sample)))
        for delimiter in DELIMITERS
        if (layout := _layout_at(sample, start, delimiter)) is not None
    ]
    if not layouts:
        where = f"line {header_line}" if header_line else "its first lines"
        raise ReceiptsFileError(
            f"{text.name}: no header is found in {where}", hint="say where it is with --header-line"
        )
    # The first of equals wins: the earlier line, and the delimiters in their order.
    return max(layouts, key=lambda layout: (score(layout.header), len(layout.header)))


def read_records(text: TextFile, layout: Layout) -> Iterator[Batch]:
    """Yield every record below the header but those of empty cells only. Errors: ReceiptsFileError."""
    counted = _Counted(islice(text.lines(), layout.data_line - 1, None), text.name, layout.data_line)
    reader = csv.reader(counted, delimiter=layout.delimiter, strict=True)
    batch = Batch(lines=[], records=[])
    while True:
        counted.line = layout.data_line + reader.line_num
        fields: list[str] | None
        try:
            fields = next(reader)
        except StopIteration:
            break
        except csv.Error:
            if layout.data_line + reader.line_num > counted.line + 1:
                raise counted.never_closed() from None
            fields = None
        if fields is None or any(fields):
            batch.lines.append(counted.line)
            batch.records.append(fields)
            if len(batch.lines) == _BATCH_RECORDS or counted.characters > _BATCH_CHARACTERS:
                yield batch
                batch, counted.characters = Batch(lines=[], records=[]), 0
    if batch.lines:
        yield batch


class _Counted:
    """The lines of a file, and how many characters they were; a record of too many lines is an error.

    `line` is where the record began.
    """

    def __init__(self, lines: Iterator[str], name: str, first: int) -> None:
        self._lines = lines
        self._name = name
        self._number = first - 1
        self.line = first
        self.characters = 0

    def __iter__(self) -> _Counted:
        return self

    def __next__(self) -> str:
        self._number += 1
        if self._number > self.line + _MAX_RECORD_LINES:
            raise self.never_closed()
        line = next(self._lines)
        self.characters += len(line)
        return line

    def never_closed(self) -> ReceiptsFileError:
        return ReceiptsFileError(
            f"{self._name}:{self.line}: a quote is opened here and never closed",
            hint="correct that line, or export the file again",
        )


def _layout_at(sample: Sequence[str], start: int, delimiter: str) -> Layout | None:
    """Return the layout with its header at `start`, None where no header can be."""
    reader = csv.reader(iter(sample[start:]), delimiter=delimiter, strict=True)
    try:
        header = next(reader, [])
    except csv.Error:
        return None
    if not any(name.strip() for name in header):
        return None
    return Layout(
        delimiter=delimiter,
        header=tuple(name.strip() for name in header),
        header_line=start + 1,
        data_line=start + 1 + reader.line_num,
    )
