"""What a person approves for all firings: campaign file, SQL and templates, by one digest. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from runner.campaign import Campaign
from runner.plan import digest_of
from runner.template import Template

#: The parts of a definition's content.
FILE, TEMPLATES = "file", "templates"


@dataclass(frozen=True, slots=True, kw_only=True)
class Definition:
    """A campaign's definition; `content` is JSON values, and holds no personal data.

    Its `file` is the campaign file as parsed, with the SQL of a query file in the place of its name; its
    `templates` are those of the provider by `name (language)`.
    """

    campaign: str
    content: Mapping[str, Any]

    @property
    def digest(self) -> str:
        """Return the SHA-256 (hex) of the content."""
        return digest_of(self.content)


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """One value that differs between two definitions; None where one of the two has none."""

    path: str
    before: Any
    after: Any

    @property
    def sign(self) -> str:
        """Return `+` for a value that is new, `-` for one that is gone, `~` for one that changed."""
        if self.before is None:
            return "+"
        return "-" if self.after is None else "~"


def define(campaign: Campaign, templates: Sequence[Template]) -> Definition:
    """Return the definition of a campaign that uses these templates."""
    described = {f"{template.name} ({template.language})": _described(template) for template in templates}
    return Definition(campaign=campaign.name, content={FILE: dict(campaign.document), TEMPLATES: described})


def changes(before: Mapping[str, Any] | None, after: Mapping[str, Any]) -> tuple[Change, ...]:
    """Return what differs between two contents, in the order of the values; all without a `before`."""
    old, new = (dict(_values_of(content)) if content else {} for content in (before, after))
    paths = [*new, *(path for path in old if path not in new)]
    found = (Change(path=path, before=old.get(path), after=new.get(path)) for path in paths)
    return tuple(change for change in found if change.before != change.after)


def _described(template: Template) -> dict[str, Any]:
    """Return what a template says, without `status` and `id`: those do not change what is sent."""
    return {
        "category": template.category,
        "header_kind": template.header_kind.value,
        "header": template.header,
        "body": template.body,
        "footer": template.footer,
        "buttons": [
            {"kind": button.kind.value, "text": button.text, "url": button.url} for button in template.buttons
        ],
    }


def _values_of(content: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """Yield every value with the path that a person would write for it."""
    yield from _flat("", content.get(FILE, {}))
    for name, template in content.get(TEMPLATES, {}).items():
        for path, value in _flat("", template):
            yield f"template {name}: {path}", value


def _flat(path: str, value: Any) -> Iterator[tuple[str, Any]]:  # noqa: ANN401 - walks any JSON value
    if isinstance(value, Mapping) and value:
        for key, inner in value.items():
            yield from _flat(f"{path}.{key}" if path else str(key), inner)
    elif isinstance(value, list) and value:
        for place, inner in enumerate(value):
            yield from _flat(f"{path}[{place}]", inner)
    elif value not in (None, ""):
        yield path, value
