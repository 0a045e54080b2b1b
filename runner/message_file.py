"""What a campaign file says of its messages -> values, or what is wrong with it, for campaign_file.

They are its template and what fills it, or its variants, each with a template of its own or the shared one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, TypedDict

from runner.campaign import ButtonUse, HeaderUse, TemplateUse, Transform, Variable, Variant
from runner.file_checks import Checked
from runner.problem_words import KeyPath, describe

Document = Mapping[str, Any]

#: What a variant has from the top level where it says nothing of its own.
_SHARED = ("template", "variables")


class Messages(TypedDict):
    """What a Campaign says of its messages, by its fields' names."""

    template: TemplateUse | None
    variables: tuple[Variable, ...]
    variants: tuple[Variant, ...]


def check_messages(file: Checked) -> None:
    """Add what is wrong with the messages of a campaign file, beyond its schema."""
    _check_buttons(file, ("template",))
    variants = _variants_in(file)
    for place in variants:
        _check_buttons(file, ("variants", place, "template"))
    _check_names(file, variants)
    if variants:
        _check_shared(file, variants)


def read_messages(document: Document) -> Messages:
    """Return the messages of a campaign file's (valid) document."""
    variants = document.get("variants")
    if variants is None:
        return Messages(
            template=_template(document["template"]),
            variables=_variables(document.get("variables")),
            variants=(),
        )
    shared = {key: document[key] for key in _SHARED if key in document}
    read = tuple(_variant({**shared, **variant}) for variant in variants)
    return Messages(template=None, variables=(), variants=read)


def _variants_in(file: Checked) -> list[int]:
    """Return the places of the variants that are mappings, as they should be."""
    written = file.source.get("variants")
    entries = written if isinstance(written, list) else []
    return [place for place, entry in enumerate(entries) if isinstance(entry, dict)]


def _check_names(file: Checked, variants: Sequence[int]) -> None:
    seen: set[object] = set()
    for place in variants:
        name = file.text("variants", place, "name")
        if name is not None and name in seen:
            path = ("variants", place, "name")
            file.add(path, f"{describe(name)} a second time", "a name of its own for each variant")
        seen.add(name)


def _check_shared(file: Checked, variants: Sequence[int]) -> None:
    """Check that every variant has a template, and that nothing at the top level is left unused."""
    for key in _SHARED:
        without = [place for place in variants if file.source.get("variants", place, key) is None]
        is_shared = file.source.get(key) is not None
        if is_shared and not without:
            hint = "leave it out, or leave it out of the variants that are to share this one"
            file.add((key,), f"`{key}` that no variant uses", f"no `{key}`", hint)
        for place in without if key == "template" and not is_shared else ():
            hint = "give it one; or write one `template` at the top level, for all variants without their own"
            file.add(("variants", place, key), "nothing", "the template of this variant", hint)


def _check_buttons(file: Checked, template: KeyPath) -> None:
    buttons = file.source.get(*template, "buttons")
    seen: set[object] = set()
    for place in range(len(buttons) if isinstance(buttons, list) else 0):
        path = (*template, "buttons", place, "index")
        index = file.get(*path)
        if index is not None and index in seen:
            file.add(path, f"{describe(index)} a second time", "each button once")
        seen.add(index)


def _variant(document: Document) -> Variant:
    return Variant(
        name=document["name"],
        weight=int(document.get("weight", 1)),
        template=_template(document["template"]),
        variables=_variables(document.get("variables")),
    )


def _template(document: Document) -> TemplateUse:
    header = document.get("header")
    return TemplateUse(
        name=document["name"],
        language=document["language"],
        header=None if header is None else _header(header),
        buttons=tuple(_button(button) for button in document.get("buttons", ())),
    )


def _header(document: Document) -> HeaderUse:
    return HeaderUse(
        media=_variable(document.get("media")),
        file_name=document.get("file_name"),
        variables=_variables(document.get("variables")),
    )


def _button(document: Document) -> ButtonUse:
    return ButtonUse(
        index=int(document["index"]),
        url=_variable(document.get("url")),
        payload=_variable(document.get("payload")),
    )


def _variables(documents: Sequence[Document] | None) -> tuple[Variable, ...]:
    made = (_variable(document) for document in documents or ())
    return tuple(variable for variable in made if variable is not None)


def _variable(document: Document | None) -> Variable | None:
    if document is None:
        return None
    transform, most = document.get("transform", []), document.get("max_length")
    names = [transform] if isinstance(transform, str) else transform
    return Variable(
        column=document.get("column"),
        text=document.get("text"),
        default=document.get("default"),
        format=document.get("format"),
        locale=document.get("locale"),
        transforms=tuple(Transform(name) for name in names),
        max_length=None if most is None else int(most),
    )
