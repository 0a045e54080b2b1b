"""What single words of YAML mean: the core types of YAML 1.2, and the parser's complaints in plain words."""

from __future__ import annotations

import math
import re

import yaml

Place = tuple[int, int]
Scalar = str | int | float | bool | None

CORE_TAG = "tag:yaml.org,2002:"

_MAX_LENGTH = 300
_NULLS = frozenset({"", "~", "null", "Null", "NULL"})
_BOOLS = {"true": True, "True": True, "TRUE": True, "false": False, "False": False, "FALSE": False}
# YAML 1.2 would read 012 as twelve and 1.1 as ten; here it is text, as in JSON it is no number.
_INT = re.compile(r"[-+]?(?:0|[1-9][0-9]*)")
_BASED_INT = re.compile(r"0o[0-7]+|0x[0-9a-fA-F]+")
_FLOAT = re.compile(r"[-+]?(?:\.[0-9]+|(?:0|[1-9][0-9]*)(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?")
_NOT_FINITE = re.compile(r"[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)")

_TYPES: dict[str, tuple[type, ...]] = {
    "null": (type(None),),
    "bool": (bool,),
    "int": (int,),
    "float": (int, float),
}


class NotCoreError(ValueError):
    """A scalar that the core types cannot say; `found` and `expected` say why."""

    def __init__(self, found: str, expected: str) -> None:
        super().__init__(found)
        self.found = found
        self.expected = expected


def plain_value(text: str) -> Scalar:
    """Return what an unquoted scalar means. Raises NotCoreError for a number that is none."""
    if text in _NULLS:
        return None
    if text in _BOOLS:
        return _BOOLS[text]
    if not text[0].isdigit() and text[0] not in "+-.":
        return text
    if _NOT_FINITE.fullmatch(text):
        raise NotCoreError(f"`{text}`", "a finite number, or the text in quotes")
    return _number(text)


def tagged_value(tag: str, text: str) -> Scalar:
    """Return what a scalar with an explicit tag means. Raises NotCoreError where it may not or cannot."""
    if tag in {"!", CORE_TAG + "str"}:
        return text
    types = _TYPES.get(tag.removeprefix(CORE_TAG)) if tag.startswith(CORE_TAG) else None
    if types is None:
        raise NotCoreError("a tag (`!...`)", "a value without a tag")
    value = plain_value(text)
    # bool is a kind of int to Python, and to nobody else.
    if not isinstance(value, types) or (isinstance(value, bool) and bool not in types):
        raise NotCoreError("a tag that does not fit its value", "a value without a tag")
    return value


def _number(text: str) -> Scalar:
    is_int, is_based = _INT.fullmatch(text), _BASED_INT.fullmatch(text)
    if not (is_int or is_based or _FLOAT.fullmatch(text)):
        return text
    if len(text) > _MAX_LENGTH:
        raise NotCoreError(f"a number of {len(text):,} characters", "a shorter number, or quotes around it")
    if is_int or is_based:
        return int(text) if is_int else int(text, 0)
    number = float(text)
    if math.isinf(number):
        raise NotCoreError("a number that is too large", "a smaller number, or quotes around it")
    return number


# The parser's words -> what was found, what is expected. The first phrase that fits decides.
_COMPLAINTS: tuple[tuple[str, str, str], ...] = (
    (
        "mapping values are not",
        "a `:` where no key can be",
        "one `key: value` a line, or quotes around the text",
    ),
    ("mapping keys are not", "a key where none can be", "a line of its own for it"),
    ("sequence entries are not", "a `-` where no list can start", "the list on the next line"),
    ("expected key", "a line that does not fit the mapping around it", "a key below the keys before it"),
    ("expected '-'", "a line that does not fit the list around it", "a `-` below those before it"),
    ("find expected ':'", "a line without a `:`", "`key: value`"),
    ("',' or ']'", "a list in `[` that is not closed", "`,` or `]`"),
    ("',' or '}'", "a mapping in `{` that is not closed", "`,` or `}`"),
    ("expected node content", "no value", "a value"),
    ("end of stream", "a quotation mark that is never closed", "a closing one"),
    ("document indicator", "a quotation mark that is never closed", "a closing one"),
    ("unknown escape", "a backslash before a character that needs none", "a second backslash"),
    ("character escape", "an escape of a character that does not exist", "a Unicode character"),
    ("hexdecimal", "an escape with too few digits", "hexadecimal digits"),
    ("alphabetic or numeric", "a `&` or `*` without a name", "a name behind it, or quotes around the text"),
    ("unexpected ':'", "a `:` without a space behind it", "`key: value`, or quotes around the text"),
    ("incompatible YAML", "another version of YAML", "YAML 1.2"),
    ("directive", "a `%` line that YAML does not know", "no such line"),
    ("<document start>", "text after the end of the document", "nothing more"),
    ("tag", "a tag (`!...`)", "a value without a tag"),
)
# These are noticed late, and are the matter of what began earlier.
_FROM_CONTEXT = frozenset(
    {"end of stream", "document indicator", "',' or ']'", "',' or '}'", "find expected ':'"}
)
_NO_START = "cannot start any token"


def syntax_problem(error: yaml.YAMLError, text: str) -> tuple[Place, str, str]:
    """Return where the parser stopped, what it found and what was expected, in plain words."""
    problem = str(getattr(error, "problem", "") or "")
    mark = getattr(error, "problem_mark", None)
    place = (1, 1) if mark is None else (mark.line + 1, mark.column + 1)
    tab = _tab_before(text, place)
    if tab is not None or "tab character" in problem:
        return tab or place, "a tab", "spaces for indentation"
    if _NO_START in problem:
        return place, f"`{_char_at(text, place)}` at the start of a value", "quotes around the text"
    for phrase, found, expected in _COMPLAINTS:
        if phrase in problem:
            context = getattr(error, "context_mark", None)
            if phrase in _FROM_CONTEXT and context is not None:
                place = (context.line + 1, context.column + 1)
            return place, found, expected
    return place, "something that is not YAML", "valid YAML"


def _tab_before(text: str, place: Place) -> Place | None:
    """Return the place of a tab in the indentation of the line at `place` or, of the one before."""
    lines = re.split(r"\r\n|\r|\n", text)
    for number in (place[0], place[0] - 1):
        line = lines[number - 1] if 1 <= number <= len(lines) else ""
        indentation = line[: len(line) - len(line.lstrip(" \t"))]
        if "\t" in indentation:
            return number, indentation.index("\t") + 1
    return None


def _char_at(text: str, place: Place) -> str:
    line = re.split(r"\r\n|\r|\n", text)[place[0] - 1]
    return line[place[1] - 1 : place[1]]
