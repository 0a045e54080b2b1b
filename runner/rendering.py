"""The message of every row as DuckDB SQL: the values that fill the template, and why a row's cannot be sent.

Between planning and screening: screening puts these expressions into its one pipeline, so that the preview
of a plan and the messages it sends are made by the same code, in seconds for ten million rows. A value is
data: it is joined to texts, and never read as a pattern, a placeholder or SQL.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import zip_longest

from runner.campaign import Campaign, TemplateUse, Variable, Variant
from runner.errors import SegmentError, TemplateError
from runner.sql_text import quote_identifier, quote_literal
from runner.template import (
    BODY_LIMIT,
    TEXT_HEADER_LIMIT,
    URL_LIMIT,
    ButtonKind,
    Template,
    literal_parts,
)
from runner.text_rules import ANY_TEXT_RULE, HTTPS, NO_SPACES
from runner.variable_sql import Place, Surroundings, Value, compile_variable
from runner.variants import choice_sql, point_sql

#: What the columns of a message are called begins so, of a variant's with its number behind it.
_OURS = "__"
_VARIANT = f"{_OURS}variant"
_POINT = f"{_OURS}point"
_NOTHING = "CAST(NULL AS VARCHAR)"


@dataclass(frozen=True, slots=True, kw_only=True)
class RenderedColumns:
    """A campaign's message in SQL.

    `stages` are rounds of new columns, name -> SQL; those of one round see the row and the rounds before it,
    so that nothing is computed twice. `over` adds them; the other expressions are over what it returns:

    - `body`, `header`, `buttons`: VARCHAR[]; `buttons` has an entry for each of the template's, NULL where
      there is nothing to fill; `media_url`: VARCHAR, NULL without a media header;
    - `bad_variable`: VARCHAR, NULL for a good row, else the first thing wrong, in English, without the value;
    - `variant`: VARCHAR, the name of the variant whose message it is, NULL in a campaign without variants.

    `personal_body` and `personal_header` tell which values come from the row, and are masked when shown; they
    are empty for the messages of several variants together.
    """

    stages: tuple[Mapping[str, str], ...]
    body: str
    header: str
    media_url: str
    buttons: str
    bad_variable: str
    personal_body: tuple[bool, ...] = ()
    personal_header: tuple[bool, ...] = ()
    variant: str = _NOTHING

    def over(self, relation: str) -> str:
        """Return SQL of `relation` (a table, or a query in brackets) with the columns of all stages added."""
        for stage in self.stages:
            columns = ", ".join(f"{sql} AS {quote_identifier(name)}" for name, sql in stage.items())
            relation = f"(SELECT *, {columns} FROM {relation})"
        return relation


def compile_message(
    campaign: Campaign,
    template: Template,
    column_types: Mapping[str, str],
    *,
    variant: Variant | None = None,
    prefix: str = _OURS,
) -> RenderedColumns:
    """Compile the one message of `campaign`, or a variant's, over rows of `column_types`.

    They are name -> type, as DESCRIBE names them. `template` must have passed `check_template`. Moments are
    shown in the schedule's time zone (UTC without). The columns of the stages begin with `prefix`.
    Errors: SegmentError for a column that is not there; TemplateError for all else that cannot be used.
    """
    message = variant or campaign.messages[0]
    zone = campaign.schedule.zone or "UTC"
    around = Surroundings(column_types=column_types, language=template.language, zone=zone)
    names = _Names(prefix)
    values = _compile_values(_slots(message, names), around)
    _check_names(values.values(), column_types)
    body = [values[names.body(index)] for index in range(len(message.variables))]
    header = [values[names.header(index)] for index in range(len(_header_variables(message.template)))]
    media = values.get(names.media)
    buttons = [values.get(names.button(index)) for index in range(len(template.buttons))]
    too_long = [
        *(_too_long("header", template.header, header, TEXT_HEADER_LIMIT) if header else []),
        *(_too_long("header media", "{{1}}", [media], URL_LIMIT) if media else []),
        *_too_long("body", template.body, body, BODY_LIMIT),
        *_button_problems(template, buttons),
    ]
    labelled = [(predicate, message.label + reason) for predicate, reason in too_long]
    return RenderedColumns(
        stages=_stages(values.values()),
        body=_list([value.sql for value in body]),
        header=_list([value.sql for value in header]),
        media_url=media.sql if media else _NOTHING,
        buttons=_list([value.sql if value else _NOTHING for value in buttons]),
        bad_variable=_first_problem(tuple(values.values()), labelled),
        personal_body=tuple(value.given is not None for value in body),
        personal_header=tuple(value.given is not None for value in header),
    )


def compile_messages(
    campaign: Campaign, templates: Sequence[Template], column_types: Mapping[str, str]
) -> list[RenderedColumns]:
    """Compile each of the campaign's messages, whose `templates` come in the same order. Errors: the same."""
    if not campaign.variants:
        return [compile_message(campaign, templates[0], column_types)]
    return [
        compile_message(campaign, template, column_types, variant=variant, prefix=f"{_OURS}{number}_")
        for number, (variant, template) in enumerate(zip(campaign.variants, templates, strict=True))
    ]


def each_its_own(campaign: Campaign, messages: Sequence[RenderedColumns], phone: str) -> RenderedColumns:
    """Return the message of each row: the one message, or that of the variant that the row's phone gets.

    `phone` is SQL of the digits, NULL where there are none: such a row has no variant. Of a row, only its own
    variant's values are computed.
    """
    if not campaign.variants:
        return messages[0]
    names = [quote_literal(variant.name or "") for variant in campaign.variants]

    def chosen(column: str) -> str:
        cases = (
            f"WHEN {name} THEN {getattr(message, column)}"
            for name, message in zip(names, messages, strict=True)
        )
        return f"CASE {quote_identifier(_VARIANT)} {' '.join(cases)} END"

    choosing = (
        {_POINT: point_sql(campaign.name, phone)},
        {_VARIANT: choice_sql(campaign.variants, quote_identifier(_POINT))},
    )
    return RenderedColumns(
        stages=(*choosing, *_own_stages(names, messages)),
        body=chosen("body"),
        header=chosen("header"),
        media_url=chosen("media_url"),
        buttons=chosen("buttons"),
        bad_variable=chosen("bad_variable"),
        variant=quote_identifier(_VARIANT),
    )


def _own_stages(names: Sequence[str], messages: Sequence[RenderedColumns]) -> Iterator[Mapping[str, str]]:
    """Yield the n-th stages of all messages as one, each computed for the rows of its own variant only."""
    for together in zip_longest(*(message.stages for message in messages), fillvalue={}):
        yield {
            column: f"CASE WHEN {quote_identifier(_VARIANT)} = {name} THEN {sql} END"
            for name, stage in zip(names, together, strict=True)
            for column, sql in stage.items()
        }


def filled_length_sql(text: str, values: Sequence[str]) -> str:
    """Return SQL of how many characters `text` has when filled; `values` are SQL, the first for `{{1}}`."""
    parts = literal_parts(text)
    fixed = sum(len(part) for part in parts if isinstance(part, str))
    uses = Counter(part for part in parts if isinstance(part, int))
    return " + ".join([str(fixed), *(f"{times} * length({values[n - 1]})" for n, times in uses.items())])


@dataclass(frozen=True, slots=True)
class _Names:
    """What the columns of one message are called."""

    prefix: str

    @property
    def media(self) -> str:
        return f"{self.prefix}media"

    def body(self, index: int) -> str:
        return f"{self.prefix}body_{index + 1}"

    def header(self, index: int) -> str:
        return f"{self.prefix}header_{index + 1}"

    def button(self, index: int) -> str:
        return f"{self.prefix}button_{index}"


def _header_variables(use: TemplateUse) -> tuple[Variable, ...]:
    return use.header.variables if use.header else ()


def _slots(message: Variant, names: _Names) -> Iterator[tuple[Place, Variable]]:
    """Yield every place that is filled and what fills it, in the order in which problems are told."""
    use, label = message.template, message.label
    for index, variable in enumerate(_header_variables(use)):
        yield Place(label=f"{label}header {{{{{index + 1}}}}}", name=names.header(index)), variable
    if use.header and use.header.media:
        place = Place(label=f"{label}header media", name=names.media, rules=(NO_SPACES, HTTPS))
        yield place, use.header.media
    for index, variable in enumerate(message.variables):
        yield Place(label=f"{label}variable {{{{{index + 1}}}}}", name=names.body(index)), variable
    for button in use.buttons:
        name = names.button(button.index)
        if button.url:
            place = Place(label=f"{label}button {button.index} url", name=name, rules=(NO_SPACES,))
            yield place, button.url
        if button.payload:
            yield Place(label=f"{label}button {button.index} payload", name=name), button.payload


def _compile_values(slots: Iterable[tuple[Place, Variable]], around: Surroundings) -> dict[str, Value]:
    """Compile every value, by its column's name; what is wrong with any of them is told in one error."""
    values, problems = {}, []
    for place, variable in slots:
        try:
            values[place.name] = compile_variable(variable, place, around)
        except TemplateError as error:
            problems.append(error)
    if len(problems) == 1:
        raise problems[0]
    if problems:
        lines = (f"{error.message} ({error.hint})" if error.hint else error.message for error in problems)
        raise TemplateError("\n".join(lines))
    return values


def _check_names(values: Iterable[Value], column_types: Mapping[str, str]) -> None:
    """Refuse a row's column with the name of one of ours: it would be sent in its place."""
    ours = {name for value in values for name, _ in value.steps}
    for column in column_types:
        if column.casefold() in ours:
            raise SegmentError(
                f"the segment's query returns a column `{column}`, a name that the runner uses itself",
                hint="give it another name in the query, with AS",
            )


def _stages(values: Iterable[Value]) -> tuple[Mapping[str, str], ...]:
    """Put the n-th step of every value into the n-th round."""
    rounds = zip_longest(*(value.steps for value in values))
    return tuple(dict(step for step in steps if step is not None) for steps in rounds)


def _list(items: Sequence[str]) -> str:
    return f"[{', '.join(items)}]" if items else "CAST([] AS VARCHAR[])"


def _too_long(label: str, text: str, values: Sequence[Value], limit: int) -> list[tuple[str, str]]:
    """Return the predicate of a filled text over its limit, and the reason; none without placeholders."""
    if not values:
        return []
    length = filled_length_sql(text, [value.sql for value in values])
    return [(f"{length} > {limit}", f"{label}: longer than {limit} characters when filled")]


def _button_problems(template: Template, values: Sequence[Value | None]) -> list[tuple[str, str]]:
    return [
        problem
        for index, (button, value) in enumerate(zip(template.buttons, values, strict=True))
        if value is not None and button.kind is ButtonKind.URL
        for problem in _too_long(f"button {index} url", button.url, [value], URL_LIMIT)
    ]


def _first_problem(values: Sequence[Value], too_long: Sequence[tuple[str, str]]) -> str:
    """Return SQL of the first thing wrong with a row.

    Nearly every row is good, so one predicate with one scan over all its texts settles it, and only the rest
    is asked question by question.
    """
    problems = [problem for value in values for problem in value.problems()] + list(too_long)
    if not problems:
        return _NOTHING
    questions = " ".join(f"WHEN {predicate} THEN {quote_literal(reason)}" for predicate, reason in problems)
    is_good = [f"{value.sql} IS NOT NULL" for value in values if value.given is not None]
    free = [value.sql for value in values if value.is_free]
    if free:
        is_good.append(
            f"NOT regexp_matches(concat_ws('|', {', '.join(free)}), {quote_literal(ANY_TEXT_RULE)})"
        )
    own = [predicate for value in values for predicate in value.own_predicates()]
    is_good += [f"NOT ({predicate})" for predicate in (*own, *(predicate for predicate, _ in too_long))]
    return f"CASE WHEN {' AND '.join(is_good)} THEN NULL ELSE CASE {questions} END END"
