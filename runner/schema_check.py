"""A file's value against its JSON Schema: every departure as a problem in plain words, at its position.

The schema files are the one definition of the shape. This is their reader for people: it says what
jsonschema would say (tests hold the two together) but in words, with "did you mean", and without the tenth
of a second that importing jsonschema costs a command. It knows the keywords our schemas use, and no more. In
them, `$comment` beside a pattern or a choice says in plain words what it wants.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache, reduce
from operator import getitem
from pathlib import Path
from typing import Any

from runner.errors import Problem
from runner.problem_words import KeyPath, describe, did_you_mean, listed, nearest
from runner.strict_yaml import Source

Schema = Mapping[str, Any]

#: A number of more characters may be a phone: it is not repeated in a hint.
_SHORT_NUMBER = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class Departure:
    """One departure from the schema, at the value or the key of `path`."""

    path: KeyPath
    found: str
    expected: str
    hint: str | None = None
    at_key: bool = False
    wants_text: bool = False


def schema_path(name: str) -> Path:
    """Return the schema file `name`: in an installed package beside its modules, else in the repository."""
    here = Path(__file__).parent
    installed = here / "schema" / f"{name}.schema.json"
    return installed if installed.is_file() else here.parent / "schema" / f"{name}.schema.json"


@cache
def load_schema(name: str) -> Schema:
    """Return the schema `name` (`campaign`, `runner`)."""
    schema: Schema = json.loads(schema_path(name).read_text(encoding="utf-8"))
    return schema


def schema_problems(name: str, source: Source) -> list[Problem]:
    """Return a problem for every departure of `source` from the schema `name`."""
    root = load_schema(name)
    return [_problem(source, departure) for departure in departures(root, root, source.value, ())]


def departures(root: Schema, schema: Schema, value: object, path: KeyPath) -> Iterator[Departure]:
    """Yield what is wrong with `value`, which stands at `path`, by a part `schema` of the schema `root`."""
    schema = resolved(root, schema)
    kind = schema.get("type")
    if kind is not None and not _TYPES[kind](value):
        yield _unwanted(schema, value, path, wants_text=kind == "string")
    elif "anyOf" in schema and "properties" not in schema:
        yield from _choice(root, schema, value, path)
    elif isinstance(value, list):
        yield from _list(root, schema, value, path)
    elif isinstance(value, dict):
        yield from _mapping(root, schema, value, path)
    elif isinstance(value, str):
        yield from _text(schema, value, path)
    elif not _is_within(schema, value):
        yield _unwanted(schema, value, path)


def resolved(root: Schema, schema: Schema) -> Schema:
    """Return `schema` with what its `$ref` leads to (a place in `root`); what stands beside it wins."""
    reference = schema.get("$ref")
    if reference is None:
        return schema
    beside = {keyword: value for keyword, value in schema.items() if keyword != "$ref"}
    meant: Schema = reduce(getitem, reference.removeprefix("#/").split("/"), root)
    return {**meant, **beside}


def _problem(source: Source, departure: Departure) -> Problem:
    hint = departure.hint
    written = source.unquoted.get(departure.path)
    if departure.wants_text and written:
        hint = "write it in quotes"
        if len(written) <= _SHORT_NUMBER:
            hint += f': "{written}"'
    return source.problem(departure.path, departure.found, departure.expected, hint, at_key=departure.at_key)


def _is_number(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _is_whole(value: object) -> bool:
    return _is_number(value) and (isinstance(value, int) or float.is_integer(value))  # type: ignore[arg-type]


_TYPES: Mapping[str, Callable[[object], bool]] = {
    "string": lambda value: isinstance(value, str),
    "boolean": lambda value: isinstance(value, bool),
    "integer": _is_whole,
    "number": _is_number,
    "array": lambda value: isinstance(value, list),
    "object": lambda value: isinstance(value, dict),
}


def _unwanted(schema: Schema, value: object, path: KeyPath, *, wants_text: bool = False) -> Departure:
    return Departure(path=path, found=describe(value), expected=wanted(schema), wants_text=wants_text)


def wanted(schema: Schema) -> str:
    """Say in plain words what a (resolved) schema wants."""
    if "$comment" in schema:
        return str(schema["$comment"])
    if "enum" in schema:
        return listed([f"`{word}`" for word in schema["enum"]])
    kind = schema.get("type")
    if kind == "object":
        keys = [*schema.get("required", ()), *schema["properties"]]
        return f"a mapping with keys such as `{keys[0]}`"
    words = {"string": "text", "array": "a list", "boolean": "true or false", "integer": "a whole number"}
    return words.get(str(kind), "a number") + _bounds(schema)


def _bounds(schema: Schema) -> str:
    if "minimum" in schema and "maximum" in schema:
        return f" from {schema['minimum']} to {schema['maximum']}"
    low = f" of at least {schema['minimum']}" if "minimum" in schema else ""
    low = f" above {schema['exclusiveMinimum']}" if "exclusiveMinimum" in schema else low
    return low + (f", at most {schema['maximum']}" if "maximum" in schema else "")


def _choice(root: Schema, schema: Schema, value: object, path: KeyPath) -> Iterator[Departure]:
    """Check an `anyOf`, whose branches differ in their type: the branch of the value's type speaks."""
    branches = [resolved(root, branch) for branch in schema["anyOf"]]
    fitting = [branch for branch in branches if _TYPES[branch["type"]](value)]
    if not fitting:
        yield _unwanted(schema, value, path)
    for branch in fitting:
        yield from departures(root, branch, value, path)


def _text(schema: Schema, value: str, path: KeyPath) -> Iterator[Departure]:
    if "enum" in schema and value not in schema["enum"]:
        hint = did_you_mean(value, schema["enum"])
        yield Departure(path=path, found=describe(value), expected=wanted(schema), hint=hint)
    if len(value) > schema.get("maxLength", len(value)):
        found, most = f"a text of {len(value):,} characters", schema["maxLength"]
        yield Departure(path=path, found=found, expected=f"at most {most:,}")
    elif len(value) < schema.get("minLength", 0) or not _matches(schema.get("pattern"), value):
        yield _unwanted(schema, value, path)


def _matches(pattern: str | None, value: str) -> bool:
    # JSON Schema's `$` is the very end; Python's also stands before a final line break.
    return pattern is None or _compiled(pattern).search(value) is not None


@cache
def _compiled(pattern: str) -> re.Pattern[str]:
    return re.compile(re.sub(r"\$$", r"\\Z", pattern))


def _is_within(schema: Schema, value: object) -> bool:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return True
    return schema.get("minimum", value) <= value <= schema.get("maximum", value) and (
        "exclusiveMinimum" not in schema or value > schema["exclusiveMinimum"]
    )


def _list(root: Schema, schema: Schema, value: list[object], path: KeyPath) -> Iterator[Departure]:
    least, most = schema.get("minItems", 0), schema.get("maxItems", len(value))
    if not least <= len(value) <= most:
        limit = f"at least {least}" if len(value) < least else f"at most {most}"
        yield Departure(path=path, found=f"a list of {len(value)}", expected=limit)
    seen: set[str] = set()
    for index, item in enumerate(value):
        yield from departures(root, schema["items"], item, (*path, index))
        # What has to be unique here is always a text; whatever else was found has been told above.
        if schema.get("uniqueItems") and isinstance(item, str):
            if item in seen:
                found = f"{describe(item)} a second time"
                yield Departure(path=(*path, index), found=found, expected="each of them once")
            seen.add(item)


def _mapping(root: Schema, schema: Schema, value: dict[str, object], path: KeyPath) -> Iterator[Departure]:
    known: Mapping[str, Schema] = schema["properties"]
    if schema["additionalProperties"]:
        yield from _free_mapping(root, schema, value, path)
        return
    absent = [key for key in known if key not in value]
    meant = {key: nearest(key, absent) for key in value if key not in known}
    for key, near in meant.items():
        yield _unknown_key(root, known, (*path, key), near)
    # A key that was only misspelled is not also missing.
    present = {*value, *(near for near in meant.values() if near)}
    for key in schema.get("required", ()):
        if key not in present:
            expected = wanted(resolved(root, known[key]))
            yield Departure(path=(*path, key), found="nothing", expected=expected, hint="the key is missing")
    yield from _exclusive(schema, present, path)
    if len(value) < schema.get("minProperties", 0):
        yield _unwanted(schema, value, path)
    for key, entry in value.items():
        if key in known:
            yield from departures(root, known[key], entry, (*path, key))


def _free_mapping(
    root: Schema, schema: Schema, value: dict[str, object], path: KeyPath
) -> Iterator[Departure]:
    """Check a mapping whose keys are the file's own."""
    names: Schema = schema["propertyNames"]
    for key, entry in value.items():
        if not _matches(names["pattern"], key):
            found = f"the name {describe(key)}"
            yield Departure(path=(*path, key), found=found, expected=names["$comment"], at_key=True)
        yield from departures(root, schema["additionalProperties"], entry, (*path, key))


def _unknown_key(root: Schema, known: Mapping[str, Schema], path: KeyPath, near: str | None) -> Departure:
    key = path[-1]
    places = [
        f"`{name}`"
        for name, part in root["properties"].items()
        if key in part.get("properties", {}) and name != path[0]
    ]
    hint = f"`{key}` belongs under {listed(places)}" if places else None
    hint = f"did you mean `{near}`?" if near else hint
    expected = f"one of {', '.join(known)}"
    return Departure(path=path, found="an unknown key", expected=expected, hint=hint, at_key=True)


def _exclusive(schema: Schema, present: set[str], path: KeyPath) -> Iterator[Departure]:
    """Check the rules on keys that exclude or need each other.

    They are `oneOf`, `anyOf`, `not` and `dependentRequired`.
    """
    is_exclusive = "oneOf" in schema
    choice = [branch["required"][0] for branch in schema.get("oneOf", schema.get("anyOf", ()))]
    chosen = [key for key in choice if key in present]
    names = listed([f"`{key}`" for key in choice])
    if choice and not chosen:
        yield Departure(path=path, found=f"neither {names.replace(' or ', ' nor ')}", expected=f"{names}")
    excluded = schema.get("not", {}).get("required", ())
    clash = chosen if is_exclusive and len(chosen) > 1 else [key for key in excluded if key in present]
    if len(clash) > 1:
        both = listed([f"`{key}`" for key in clash], "and")
        yield Departure(path=(*path, clash[1]), found=f"both {both}", expected="one of them", at_key=True)
    for key, needed in schema.get("dependentRequired", {}).items():
        missing = [name for name in needed if name not in present]
        if key in present and missing:
            found = f"`{key}` without `{missing[0]}`"
            yield Departure(path=(*path, key), found=found, expected="both or neither", at_key=True)
