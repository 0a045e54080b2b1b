"""Finds a campaign's template in the provider's list, and checks that the campaign fills it exactly.

Between the provider's list and rendering, and pure. A send that does not fit its template fails one person at
a time; here it is refused once, before anything is planned.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from runner.campaign import ButtonUse, HeaderUse, TemplateUse, Variable, Variant
from runner.errors import TemplateError
from runner.problem_words import did_you_mean, listed
from runner.template import BODY_LIMIT, Button, ButtonKind, HeaderKind, Template, literal_parts, placeholders

_NAMED = re.compile(r"\{\{\s*[A-Za-z_]\w*\s*\}\}")
_STATUS_HINTS = {
    "PAUSED": "it was paused for its quality: wait until it is approved again, or use another template",
    "DISABLED": "it was disabled for its quality: use another template",
    "PENDING": "wait for its approval",
    "IN_APPEAL": "wait for its approval",
    "REJECTED": "edit it, and have it approved",
    "DRAFT": "submit it for approval",
}


def checked_templates(templates: Sequence[Template], messages: Sequence[Variant]) -> list[Template]:
    """Return the template of each message, there, approved and filled exactly.

    TemplateError names everything wrong, one a line, and with it the variant.
    """
    found, problems = [], []
    for message in messages:
        use = message.template
        try:
            found.append(find_template(templates, use.name, use.language))
            check_template(found[-1], use, message.variables)
        except TemplateError as error:
            problems.append((message.label, error))
    if problems:
        lines = [label + line for label, error in problems for line in error.message.splitlines()]
        raise TemplateError("\n".join(lines), hint=problems[0][1].hint)
    return found


def find_template(templates: Sequence[Template], name: str, language: str) -> Template:
    """Return the template of this name and exact language (`en` is not `en_US`); TemplateError without one.

    Where the list has it more than once, the one that may be sent is returned.
    """
    found = [template for template in templates if (template.name, template.language) == (name, language)]
    if found:
        return next((template for template in found if template.is_sendable), found[0])
    languages = sorted({template.language for template in templates if template.name == name})
    if languages:
        known = listed([f"`{code}`" for code in languages], "and")
        raise TemplateError(
            f"template `{name}` is not there in the language `{language}`",
            hint=f"it is there in {known}: each is a template by itself",
        )
    names = sorted({template.name for template in templates})
    hint = did_you_mean(name, names) or "`runner templates list` shows those the provider has"
    raise TemplateError(f"template `{name}` is not among the provider's {len(names)} templates", hint=hint)


def check_template(template: Template, use: TemplateUse, variables: Sequence[Variable]) -> None:
    """Check that `template` may be sent, and that `use` and `variables` fill all of it and nothing else.

    TemplateError names everything wrong, one a line.
    """
    problems = list(_kind_problems(template))
    if not problems:
        problems += _body_problems(template.body, len(variables))
        problems += _header_problems(template, use.header)
        problems += _button_problems(template.buttons, use.buttons)
    status = [] if template.is_sendable else [f"its status is {template.status or 'unknown'}, not APPROVED"]
    if status or problems:
        title = f"template `{template.name}` ({template.language}): "
        hint = None if template.is_sendable else _STATUS_HINTS.get(template.status)
        raise TemplateError("\n".join(title + problem for problem in (*status, *problems)), hint=hint)


def _kind_problems(template: Template) -> Iterator[str]:
    """Name what this version cannot send at all."""
    if template.is_carousel:
        yield "it is a carousel, and this version cannot fill its cards"
    if template.header_kind is HeaderKind.UNKNOWN:
        yield "its header is of a kind that this version does not know"
    for text in (template.body, template.header, *(button.url for button in template.buttons)):
        if _NAMED.search(text):
            yield f"{_NAMED.findall(text)[0]} is a named variable, and this version fills numbered ones only"
    for index, button in enumerate(template.buttons):
        if button.kind is ButtonKind.COPY_CODE:
            yield f"button {index} ({button.text}) copies a code, which this version cannot fill"


def _body_problems(body: str, count: int) -> Iterator[str]:
    yield from _count_problems("the body", "`variables`", body, count)
    fixed = sum(len(part) for part in literal_parts(body) if isinstance(part, str))
    if fixed > BODY_LIMIT:
        yield f"the body has {fixed} characters before it is filled, more than the {BODY_LIMIT} allowed"


def _count_problems(part: str, key: str, text: str, count: int) -> Iterator[str]:
    """Compare the placeholders of `text` with the number of values that are to fill them."""
    numbers = placeholders(text)
    if numbers != tuple(range(1, len(numbers) + 1)):
        shown = listed([f"{{{{{number}}}}}" for number in numbers], "and")
        yield f"{part} has the placeholders {shown}, which are not numbered from 1 without a gap"
    elif count < len(numbers):
        missing = listed([f"{{{{{number}}}}}" for number in numbers[count:]], "and")
        yield f"{part} has {_many(len(numbers))} and {key} has {count}: too few, nothing fills {missing}"
    elif count > len(numbers):
        yield f"{part} has {_many(len(numbers))} and {key} has {count}: {count - len(numbers)} too many"


def _many(count: int) -> str:
    return f"{count or 'no'} placeholder{'' if count == 1 else 's'}"


def _header_problems(template: Template, use: HeaderUse | None) -> Iterator[str]:
    kind = template.header_kind
    media = use.media if use else None
    if kind.is_media and media is None:
        yield f"its header is of the kind {kind.value} and needs `header.media`, an https:// link"
    if media is not None and not kind.is_media:
        has = "no header" if kind is HeaderKind.NONE else "a text header"
        yield f"it has {has}, and the campaign gives `header.media`"
    text = template.header if kind is HeaderKind.TEXT else ""
    yield from _count_problems("the header", "`header.variables`", text, len(use.variables) if use else 0)
    if use and use.file_name is not None and kind is not HeaderKind.DOCUMENT:
        yield "`header.file_name` is for a document header only"


def _button_problems(buttons: Sequence[Button], uses: Sequence[ButtonUse]) -> Iterator[str]:
    for index in sorted({use.index for use in uses}):
        given = [use for use in uses if use.index == index]
        if len(given) > 1:
            yield f"`buttons` fills button {index} {len(given)} times"
        elif not 0 <= index < len(buttons):
            count = f"{len(buttons) or 'no'} button{'' if len(buttons) == 1 else 's'}"
            yield f"`buttons` fills button {index}, and it has {count}, counted from 0"
        else:
            yield from _use_problems(buttons[index], given[0])
    filled = {use.index for use in uses}
    for index, button in enumerate(buttons):
        numbers = placeholders(button.url)
        if numbers and numbers != (1,):
            yield f"button {index} ({button.text}) has more in its URL than one placeholder {{{{1}}}}"
        elif numbers and index not in filled:
            yield f"button {index} ({button.text}) needs an entry in `buttons` with its index and a `url`"


def _use_problems(button: Button, use: ButtonUse) -> Iterator[str]:
    which = f"button {use.index} ({button.text})"
    if use.payload is not None and button.kind is not ButtonKind.QUICK_REPLY:
        yield f"{which} is of the kind {button.kind.value}, and only a QUICK_REPLY takes a `payload`"
    if use.url is not None and button.kind is not ButtonKind.URL:
        yield f"{which} is of the kind {button.kind.value}, and only a URL button takes a `url`"
    elif use.url is not None and not placeholders(button.url):
        yield f"{which} has a fixed URL without a placeholder: nothing can fill it"
    elif use.url is None and placeholders(button.url):
        yield f"{which} has a placeholder in its URL and needs a `url`"
