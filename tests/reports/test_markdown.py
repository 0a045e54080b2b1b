"""A plan as a pull-request comment: what it says, and that no text in it becomes anything but text."""

from dataclasses import replace

import pytest
from markdown_it import MarkdownIt

from runner.plan import GuardCheck, Sample, sealed
from runner.reports.markdown import plan_markdown
from tests.test_plan import PLAN, VARIED

PLANNED = sealed(PLAN)
GITHUB = MarkdownIt("commonmark", {"html": True}).enable("table")

HOSTILE = [
    "<img src=x onerror=alert(1)>",
    "</details></blockquote><script>alert(1)</script>",
    "[click](https://evil.example)",
    "![x](https://evil.example/x.png)",
    "https://evil.example www.evil.example evil@example.com",
    "```\n# heading\n```\n<b>out</b>",
    "````\n<b>out</b>",
    "~~~\n<b>out</b>\n~~~",
    "| a | b |\n| - | - |\n| c | d |",
    "@everyone #1 org/repo#2",
    "> quoted\n- listed\n1. numbered\n---\n===",
    "`code` *bold* _it_ ~~no~~ $x$ &lt;b&gt;",
    "a\u2028b\u202ec\x1b[31m",
]


def with_sample(text):
    sample = Sample(phone="6281****0000", header=text, body=text, footer=text, buttons=(text,))
    return replace(PLANNED, samples=(sample,))


def structure(plan):
    """Return the kinds of all blocks and inline parts but text, as GitHub would render them."""
    kinds = []
    for token in GITHUB.parse(plan_markdown(plan)):
        kinds.append(token.type)
        kinds += [child.type for child in token.children or () if child.type not in {"text", "text_special"}]
    return kinds


def html_of(plan):
    """Return the raw HTML that reaches the page."""
    found = []
    for token in GITHUB.parse(plan_markdown(plan)):
        parts = [token, *(token.children or ())]
        found += [part.content.strip() for part in parts if part.type.startswith("html_")]
    return found


OWN_HTML = [
    "<details><summary>What they would read (masked)</summary>",
    "</details>",
    "<sub>",
    "</sub>",
]


def test_it_tells_accounts_reasons_template_times_guards_samples_and_digest(snapshot):
    assert plan_markdown(replace(PLANNED, digest="0123456789abcdef" * 4)) == snapshot


@pytest.mark.parametrize("text", HOSTILE)
def test_a_hostile_message_changes_nothing_but_the_text_of_its_block(text):
    plan = with_sample(text)
    assert structure(plan) == structure(with_sample("harmless"))
    assert html_of(plan) == OWN_HTML


@pytest.mark.parametrize("text", HOSTILE)
def test_a_message_is_shown_as_it_is_written(text):
    (block,) = [token for token in GITHUB.parse(plan_markdown(with_sample(text))) if token.type == "fence"]
    visible = text.replace("\u2028", " ").replace("\u202e", " ").replace("\x1b", " ")
    assert block.content.startswith(f"{visible}\n")


@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_names_change_nothing_either(text):
    def named(word):
        template = replace(PLANNED.template, name=word, language=word, category=word)
        return replace(
            PLANNED, template=template, campaign_path=f"campaigns/{word}.yml", provider=word, notes=(word,)
        )

    assert structure(named(text)) == structure(named("harmless"))
    assert html_of(named(text)) == OWN_HTML


def test_a_path_with_underscores_is_shown_as_it_is():
    plan = replace(PLANNED, campaign_path="campaigns/lebaran_promo.yml")
    assert "`campaigns/lebaran_promo.yml`" in plan_markdown(plan)


def test_a_plan_over_a_guard_says_so_in_its_heading():
    guard = GuardCheck(name="max_recipients", limit="5", found="6", exceeded=True)
    text = plan_markdown(replace(PLANNED, guards=(guard,)))
    assert text.startswith("### `promo` · refused by a guard\n")
    assert "| `max_recipients` | 5 | 6 | **exceeded** |" in text


def test_what_a_plan_has_not_is_left_out():
    text = plan_markdown(
        replace(PLANNED, guards=(), samples=(), notes=(), due_at=None, window=None, git=None)
    )
    for word in ("guard", "<details>", "Due", "Window", "commit"):
        assert word not in text


def test_a_work_tree_with_changes_is_told():
    plan = replace(PLANNED, git=replace(PLANNED.git, dirty=True))
    assert "commit `abc` with changes" in plan_markdown(plan)


def test_each_variant_has_its_line_and_its_samples_are_named():
    sample = Sample(phone="6281****0000", header="", body="Hai!", footer="", variant="warm")
    text = plan_markdown(replace(VARIED, samples=(sample,)))
    assert "- **Variant** `plain`: 4 to send, 50 % by weight: `promo` (id, MARKETING)" in text
    assert "To `6281****0000`, variant `warm`:" in text
    assert "**Template**" not in text
