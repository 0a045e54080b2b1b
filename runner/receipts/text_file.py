"""A text file whose encoding nobody told: found out, then read line by line; the first step of an import."""

from __future__ import annotations

import codecs
import io
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from runner.errors import RunnerError
from runner.problem_words import show_text

#: What `--encoding` may say -> the codec that reads it. A byte order mark is never part of the text.
ENCODINGS = {
    "utf-8": "utf-8-sig",
    "utf-16": "utf-16",
    "utf-16-le": "utf-16-le",
    "utf-16-be": "utf-16-be",
    "shift_jis": "cp932",
    "cp932": "cp932",
    "euc-jp": "euc_jp",
    "cp1252": "cp1252",
    "latin-1": "latin-1",
}

#: No line of a report is longer, in characters: a longer one is no text, or a file without line ends.
MAX_LINE = 1_000_000
_CHUNK = 1 << 20
_HEAD = 1 << 16

#: Byte order marks -> the codec they announce.
_MARKS = {
    codecs.BOM_UTF8: "utf-8-sig",
    codecs.BOM_UTF16_LE: "utf-16",
    codecs.BOM_UTF16_BE: "utf-16",
}
#: How files begin that are often given the name of a CSV file.
_NO_TEXT = {
    b"PK\x03\x04": "a zip archive or an Excel workbook",
    b"\xd0\xcf\x11\xe0": "an old Excel workbook",
    b"\x1f\x8b": "compressed with gzip",
    b"%PDF": "a PDF document",
}
_SAVE_AS_CSV = "open it and save it as CSV (UTF-8), or unpack it"


class ReceiptsFileError(RunnerError):
    """A file of receipts cannot be read as a table of text; nothing of it was imported."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TextFile:
    """A file whose every byte fits `codec`; `name` is how errors call it."""

    path: Path
    codec: str
    name: str

    def lines(self) -> Iterator[str]:
        """Yield the lines with their ends. A NUL, which no CSV reader takes, becomes U+FFFD."""
        try:
            with self.path.open("rb") as raw, io.TextIOWrapper(raw, self.codec, newline="") as stream:
                number = 0
                while line := stream.readline(MAX_LINE):
                    number += 1
                    if len(line) == MAX_LINE:
                        raise ReceiptsFileError(
                            f"{self.name}:{number}: the line has more than {MAX_LINE:,} characters",
                            hint="this is no table of text; export it again as CSV",
                        )
                    line = line.lstrip("\ufeff") if number == 1 else line
                    yield line.replace("\0", "\ufffd") if "\0" in line else line
        except (OSError, UnicodeError) as error:
            raise _unreadable(self.name, error) from None


def open_text(path: Path, encoding: str | None = None) -> TextFile:
    """Find out how `path` is encoded, reading it once; `encoding`, a key of ENCODINGS, is taken instead.

    A byte order mark decides; else it is UTF-8 if all of it is, else Shift_JIS (cp932) if all of it is.
    Errors: ReceiptsFileError.
    """
    name = show_text(path.name)
    try:
        if not path.is_file():
            raise ReceiptsFileError(f"{name}: there is no such file", hint="name a CSV file that is there")
        codec = _named(path, name, encoding) if encoding else _found(path, name)
    except (OSError, ValueError) as error:
        raise _unreadable(name, error) from None
    return TextFile(path=path, codec=codec, name=name)


def _named(path: Path, name: str, encoding: str) -> str:
    codec = ENCODINGS[encoding]
    _head(path, name)
    if not _fits(path, codec):
        raise ReceiptsFileError(
            f"{name}: is not all {encoding}", hint="leave --encoding out to have it found out"
        )
    return codec


def _found(path: Path, name: str) -> str:
    head = _head(path, name)
    marked = next((codec for mark, codec in _MARKS.items() if head.startswith(mark)), None)
    if marked is None and b"\0" in head:
        raise ReceiptsFileError(
            f"{name}: is no text file: it holds zero bytes",
            hint="export it again as CSV; if it is UTF-16, say --encoding utf-16-le",
        )
    for codec in (marked,) if marked else ("utf-8-sig", "cp932"):
        if _fits(path, codec):
            return codec
    raise ReceiptsFileError(
        f"{name}: is neither UTF-8, UTF-16 nor Shift_JIS throughout",
        hint=f"say which it is with --encoding: {', '.join(ENCODINGS)}",
    )


def _head(path: Path, name: str) -> bytes:
    """Return how the file begins; ReceiptsFileError when it is empty, or plainly something else than text."""
    with path.open("rb") as stream:
        head = stream.read(_HEAD)
    if not head:
        raise ReceiptsFileError(f"{name}: is empty", hint="export it again")
    for magic, what in _NO_TEXT.items():
        if head.startswith(magic):
            raise ReceiptsFileError(f"{name}: is {what}, not a CSV file", hint=_SAVE_AS_CSV)
    return head


def _fits(path: Path, codec: str) -> bool:
    decoder = codecs.getincrementaldecoder(codec)()
    try:
        with path.open("rb") as stream:
            while chunk := stream.read(_CHUNK):
                decoder.decode(chunk)
        decoder.decode(b"", final=True)
    except UnicodeError:
        return False
    return True


def _unreadable(name: str, error: OSError | ValueError) -> ReceiptsFileError:
    reason = getattr(error, "strerror", None) or "it changed, or its name is none"
    return ReceiptsFileError(f"{name}: cannot be read: {reason}", hint="check the file, and run it again")
