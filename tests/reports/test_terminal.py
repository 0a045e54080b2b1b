"""A plan as a person reads it in a terminal."""

import io
from dataclasses import replace

from rich.console import Console

from runner.plan import GuardCheck, Sample
from runner.reports.terminal import plan_report
from tests.test_plan import PLAN, VARIED


def shown(plan, **console):
    page = Console(file=io.StringIO(), width=100, highlight=False, markup=False, emoji=False, **console)
    page.print(plan_report(plan))
    return page.file.getvalue()


def test_a_plan_is_told_from_its_accounts_to_its_digest(snapshot):
    text = shown(replace(PLAN, digest="0123456789abcdef" * 4))
    assert "\n".join(line.rstrip() for line in text.splitlines()) == snapshot


def test_a_guard_that_is_exceeded_is_called_so():
    guard = GuardCheck(name="max_rejected", limit="30%", found="5 (50.0%)", exceeded=True)
    text = shown(replace(PLAN, guards=(guard,)))
    assert "max_rejected 30%  5 (50.0%)  exceeded" in text


def test_what_a_plan_has_not_is_left_out():
    text = shown(replace(PLAN, due_at=None, window=None, guards=(), samples=(), notes=(), rejected={}))
    for word in ("Due", "Window", "Guard", "note:"):
        assert word not in text


def test_the_campaigns_description_stands_under_its_name():
    text = shown(replace(PLAN, document={"description": "Lebaran\n  voucher"}))
    assert text.splitlines()[1].rstrip() == "Lebaran voucher"


def test_nothing_of_a_template_is_read_as_markup_or_obeyed_by_the_terminal():
    hostile = "[bold]x[/bold] :smile: \x1b[2J\x1b]0;owned\x07 \u202etxt"
    sample = Sample(phone="6281****0000", header=hostile, body=hostile, footer=hostile, buttons=(hostile,))
    for options in ({}, {"force_terminal": True, "color_system": "truecolor"}):
        text = shown(replace(PLAN, samples=(sample,), document={"description": hostile}), **options)
        assert "[bold]x[/bold] :smile: \\x1b[2J\\x1b]0;owned\\x07" in text
        assert "\x1b[2J" not in text
        assert "\x1b]0" not in text
        assert "\u202e" not in text


def test_a_sample_keeps_its_lines():
    sample = Sample(phone="6281****0000", header="", body="one\n\ntwo", footer="")
    lines = [line.strip("│ \r") for line in shown(replace(PLAN, samples=(sample,))).splitlines()]
    start = lines.index("one")
    assert lines[start : start + 3] == ["one", "", "two"]


def test_each_variant_has_its_line_and_its_samples_are_named():
    sample = Sample(phone="6281****0000", header="", body="Hai!", footer="", variant="warm")
    text = shown(replace(VARIED, samples=(sample,)))
    assert "Variant plain  4 to send, 50 % by weight: promo (id, MARKETING)" in text
    assert "Variant warm   2 to send, 50 % by weight: promo (id, MARKETING)" in text
    assert "6281****0000 · warm" in text
    assert "Template" not in text
