"""A plan as a pull-request comment: counts, reasons, guards, masked samples; no personal data. Pure."""

from __future__ import annotations

import re

from runner.errors import RunnerError
from runner.plan import Plan, PlannedTemplate, Sample
from runner.reports import wording
from runner.reports.window_words import window_facts

#: Characters that Markdown, or the HTML inside it, would read as more than text.
_SPECIAL = re.compile(r"([\\`*_{}\[\]()#+!|<>~@&:$.=-])")
#: What could forge a line, or reorder the text around it.
_CONTROL = re.compile(r"[\x00-\x09\x0b-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]")


def plan_markdown(plan: Plan) -> str:
    """Return the plan as GitHub-flavoured Markdown."""
    parts = [_heading(plan), _accounts(plan), _facts(plan), _guards(plan), _query(plan)]
    parts += [_samples(plan), _footer(plan)]
    return "\n\n".join(part for part in parts if part)


def failure_markdown(campaign: str, error: RunnerError) -> str:
    """Return why a campaign was not planned, as the comment that its plan would have been."""
    lines = [f"### `{campaign}` · not planned", "", f"> {_text(error.message)}"]
    return "\n".join([*lines, f"> {_text(error.hint)}"] if error.hint else lines)


def _heading(plan: Plan) -> str:
    verdict = "refused by a guard" if plan.exceeded else f"{wording.number(plan.to_send)} to send"
    lines = [f"### `{plan.campaign}` · {verdict}"]
    lines += [f"> {_text(note)}" for note in plan.notes]
    return "\n".join(lines)


def _accounts(plan: Plan) -> str:
    rows = [
        ("rows in the segment", plan.rows),
        ("**to send**", plan.to_send),
        ("already sent", plan.already_sent),
        ("rejected", sum(plan.rejected.values())),
    ]
    lines = ["| | people |", "| --- | ---: |"]
    lines += [f"| {name} | {wording.number(count)} |" for name, count in rows]
    for reason, count, meaning in wording.rejections(plan.rejected):
        lines.append(f"| &nbsp;&nbsp;`{reason}`: {meaning} | {wording.number(count)} |")
    return "\n".join(lines)


def _facts(plan: Plan) -> str:
    took = f"{wording.duration(plan.duration_seconds)} at {wording.rate(plan.rate)}"
    lines = [f"- **Template**: {_named(plan.template)}"] if plan.template else []
    for variant in plan.variants:
        share = wording.share(variant, plan)
        lines.append(f"- **Variant** `{variant.name}`: {share}: {_named(variant.template)}")
    lines += [
        f"- **Sender**: `{plan.sender}` through {_text(plan.provider)}{wording.priority(plan)}",
        f"- **Takes**: {took}; the last message goes out {wording.moment(plan.ends_at, plan.zone)}",
    ]
    lines += [f"- **{_text(name)}**: {_text(value)}" for name, value in wording.source_facts(plan)]
    if plan.due_at:
        lines.append(f"- **Due**: {wording.moment(plan.due_at, plan.zone)}")
    for name, value in window_facts(plan):
        lines.append(f"- **{name}**: {_text(value)}" if name else f"  - {_text(value)}")
    return "\n".join(lines)


def _named(template: PlannedTemplate) -> str:
    return f"{_code(template.name)} ({_text(template.language)}, {_text(template.category)})"


def _guards(plan: Plan) -> str:
    if not plan.guards:
        return ""
    lines = ["| guard | limit | this plan | |", "| --- | ---: | ---: | --- |"]
    for guard in plan.guards:
        verdict = "**exceeded**" if guard.exceeded else "ok"
        lines.append(f"| `{guard.name}` | {guard.limit} | {guard.found} | {verdict} |")
    return "\n".join(lines)


def _query(plan: Plan) -> str:
    if not wording.shows_query(plan):
        return ""
    return f"<details><summary>The query</summary>\n\n{_fenced(plan.sql.strip(), 'sql')}\n\n</details>"


def _samples(plan: Plan) -> str:
    if not plan.samples:
        return ""
    quoted = "\n\n".join(_sample(sample) for sample in plan.samples)
    return f"<details><summary>What they would read (masked)</summary>\n\n{quoted}\n\n</details>"


def _sample(sample: Sample) -> str:
    buttons = " ".join(f"[{button}]" for button in sample.buttons)
    text = "\n\n".join(part for part in (sample.header, sample.body, sample.footer, buttons) if part)
    variant = f", variant `{sample.variant}`" if sample.variant else ""
    return "\n".join([f"To `{sample.phone}`{variant}:", "", _fenced(text, "text")])


def _fenced(text: str, language: str) -> str:
    """Return text in a fence, where nothing is read: no HTML, link, @mention or #issue reaches the page."""
    fence = "`" * max(3, 1 + _longest_run(text))
    return "\n".join([f"{fence}{language}", _CONTROL.sub(" ", text), fence])


def _footer(plan: Plan) -> str:
    git = f" · commit `{plan.git.commit[:12]}`{' with changes' if plan.git.dirty else ''}" if plan.git else ""
    return f"<sub>digest `{plan.digest[:16]}` · {_code(plan.campaign_path)}{git}</sub>"


def _text(text: str) -> str:
    """Return text that Markdown shows as it is written."""
    flat = " ".join(text.split())
    return _SPECIAL.sub(r"\\\1", flat)


def _code(text: str) -> str:
    """Return text as a code span, in which Markdown reads nothing."""
    flat = _CONTROL.sub(" ", text).replace("\n", " ")
    ticks = "`" * (1 + _longest_run(flat))
    room = " " if flat.startswith("`") or flat.endswith("`") else ""
    return f"{ticks}{room}{flat}{room}{ticks}"


def _longest_run(text: str) -> int:
    """Return how many backticks stand together at most."""
    return max((len(run) for run in re.findall("`+", text)), default=0)
