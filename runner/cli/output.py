"""How every command speaks: one JSON document or text on stdout, everything else on stderr."""

from __future__ import annotations

import difflib
import io
import json
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from runner.errors import RunnerError, UsageError
from runner.masking import UNSEEN, harmless

if TYPE_CHECKING:
    from rich.console import RenderableType

#: The version of every JSON document a command prints.
FORMAT = 1

#: What JSON leaves as it is and a terminal may obey: such a character can only stand inside a text.
_IN_JSON = {code: f"\\u{code:04x}" for code in UNSEEN if code > ord("~")}

#: Columns of a report that is not on a terminal: a file or a pipe has no edge.
_WIDE = 160


def say(text: str) -> None:
    """Write a line for people, to stderr."""
    print(harmless(text), file=sys.stderr, flush=True)


def show(text: str) -> None:
    """Write a command's result, to stdout."""
    print(harmless(text), flush=True)


def show_json(document: Mapping[str, Any]) -> None:
    """Write a command's result as its one JSON document, to stdout."""
    text = json.dumps({"format": FORMAT, **document}, ensure_ascii=False, indent=2)
    print(text.translate(_IN_JSON), flush=True)


def report(error: RunnerError, *, of: str | None = None) -> None:
    """Write an expected failure: what is wrong, and what to do next.

    `of` is the campaign's name; how the command was called is about none.
    """
    is_named = of is None or isinstance(error, UsageError) or error.message.startswith((f"{of}:", f"{of} "))
    about = "" if is_named else f"{of}: "
    say(f"runner: {about}{error.message}")
    if error.hint:
        say(f"  hint: {error.hint}")


def shown(path: Path) -> str:
    """Return a path as a person would type it here: relative where it lies below the current folder."""
    here = Path.cwd()
    return str(path.relative_to(here)) if path.is_relative_to(here) else str(path)


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """Return `Did you mean "x"?` when a known word is near, else nothing."""
    near = difflib.get_close_matches(word, list(known), n=1)
    return f'Did you mean "{near[0]}"?' if near else ""


def show_rich(renderable: RenderableType, *, to_stderr: bool = False) -> None:
    """Write a rich report: colours on a terminal; elsewhere plain text, as wide as it needs."""
    from rich.console import Console

    from runner.cli.harmless_report import HarmlessReport

    renderable = HarmlessReport(renderable)
    stream = sys.stderr if to_stderr else sys.stdout
    if stream.isatty():
        Console(file=stream, highlight=False, markup=False, emoji=False).print(renderable)
        return
    page = Console(file=io.StringIO(), highlight=False, markup=False, emoji=False, width=_WIDE)
    with page.capture() as captured:
        page.print(renderable)
    lines = (line.rstrip() for line in captured.get().splitlines())
    print("\n".join(lines), file=stream, flush=True)
