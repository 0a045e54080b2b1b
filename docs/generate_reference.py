"""Writes docs/reference/*.md from the schemas: `python docs/generate_reference.py`. A test compares them."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from runner.schema_check import load_schema, resolved

PAGES = {"campaign": "The campaign file", "runner": "The project file: runner.yml"}
FOLDER = Path(__file__).parent / "reference"

_Schema = Mapping[str, Any]
_KINDS = {"string": "text", "integer": "whole number", "number": "number", "boolean": "true or false"}
_SPELLED_OUT = 12
#: Mappings that stand in several places, and the section that tells of each.
_SHARED = {"#/$defs/variable": "variable", "#/properties/template": "template"}


def page(name: str) -> str:
    """Return the reference page of the schema `name` in Markdown."""
    root = load_schema(name)
    note = f"<!-- Made from schema/{name}.schema.json by docs/generate_reference.py: do not edit. -->"
    parts = [f"# {PAGES[name]}\n\n{note}\n"]
    for path, mapping in _mappings(root, root, ""):
        parts.append(_section(root, path, mapping))
    return "\n".join(parts)


def _mappings(root: _Schema, schema: _Schema, path: str) -> Iterator[tuple[str, _Schema]]:
    """Yield every mapping of the file and its path; the shared ones, such as a variable, once at the end."""
    yield path, schema
    for key, part in schema["properties"].items():
        inner = part.get("items", part)
        if inner.get("properties"):
            place = f"{path}.{key}" if path else key
            yield from _mappings(root, inner, place + ("[]" if inner is not part else ""))
    if schema is root:
        for key, part in root["$defs"].items():
            if "properties" in part:
                yield key, part


def _section(root: _Schema, path: str, schema: _Schema) -> str:
    title = f"## `{path}`\n\n" if path else ""
    lines = [f"{title}{schema['description']}\n"]
    rules = list(_rules(schema))
    if rules:
        lines.append("\n".join(rules) + "\n")
    lines += ["| key | value | meaning | examples |", "| --- | --- | --- | --- |"]
    for key, part in schema["properties"].items():
        full = resolved(root, part)
        required = " **required**" if key in schema.get("required", ()) else ""
        default = f" Default: `{_shown(full['default'])}`." if "default" in full else ""
        place = f"{path}.{key}" if path else key
        cells = (
            f"`{key}`{required}",
            _value(part, full, place),
            full["description"] + default,
            _examples(full),
        )
        lines.append("| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |")
    return "\n".join(lines) + "\n"


def _rules(schema: _Schema) -> Iterator[str]:
    choice = [f"`{branch['required'][0]}`" for branch in schema.get("oneOf", ())]
    if choice:
        yield f"Exactly one of {' and '.join(choice)}."
    either = [f"`{branch['required'][0]}`" for branch in schema.get("anyOf", ())]
    if either:
        yield f"At least one of {' and '.join(either)}."
    excluded = [f"`{key}`" for key in schema.get("not", {}).get("required", ())]
    if excluded:
        yield f"At most one of {' and '.join(excluded)}."
    for key, needed in schema.get("dependentRequired", {}).items():
        yield f"`{key}` only together with `{needed[0]}`."


def _value(part: _Schema, full: _Schema, place: str) -> str:
    shared = _SHARED.get(part.get("$ref", ""))
    if shared is not None:
        return f"[{shared}](#{shared})"
    if full.get("additionalProperties"):
        return f"names and their values: {full['additionalProperties']['$comment']}"
    if "properties" in full:
        return f"[mapping](#{_anchor(place)})"
    if "items" in full:
        return "list of " + _value(full["items"], full["items"], f"{place}[]").replace(
            "[mapping]", "[mappings]"
        )
    if "enum" in full and len(full["enum"]) <= _SPELLED_OUT:
        return " or ".join(f"`{word}`" for word in full["enum"])
    return str(full.get("$comment") or _KINDS[full["type"]])


def _anchor(place: str) -> str:
    return "".join(char for char in place.lower() if char.isalnum() or char in "_-")


def _examples(schema: _Schema) -> str:
    return ", ".join(f"`{_shown(example)}`" for example in schema["examples"])


def _shown(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def main() -> None:
    """Write the pages."""
    FOLDER.mkdir(exist_ok=True)
    for name in PAGES:
        (FOLDER / f"{name}.md").write_text(page(name), encoding="utf-8")


if __name__ == "__main__":
    main()
