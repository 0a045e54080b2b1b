"""Templates: their placeholders, and how they are filled."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runner.template import (
    Button,
    ButtonKind,
    HeaderKind,
    Template,
    fill,
    literal_parts,
    placeholders,
)


def test_placeholders_are_distinct_and_ascending():
    assert placeholders("{{2}} {{ 1 }} {{2}} {{x}} {1}") == (1, 2)
    assert placeholders("none") == ()


def test_literal_parts_keep_the_order_of_texts_and_placeholders():
    assert literal_parts("Hi {{1}}{{2}}!") == ("Hi ", 1, 2, "!")
    assert literal_parts("") == ()


def test_filling_uses_every_placeholder_by_its_number():
    assert fill("{{2}}, {{1}}, {{2}}", ["a", "b"]) == "b, a, b"


def test_a_value_that_looks_like_a_placeholder_stays_as_it_is():
    assert fill("{{1}} {{2}}", ["{{2}}", r"\1 {{1}}"]) == r"{{2}} \1 {{1}}"


@given(st.text(), st.lists(st.text(), min_size=3, max_size=3))
def test_filled_text_is_as_long_as_its_literals_and_values(text, values):
    body = text + "{{1}}-{{3}}{{3}}"
    try:
        parts = literal_parts(body)
        whole = "".join(part if isinstance(part, str) else values[part - 1] for part in parts)
    except IndexError:
        return
    if 0 not in parts:
        assert fill(body, values) == whole


@pytest.mark.parametrize("kind", list(HeaderKind))
def test_only_pictures_videos_and_documents_are_media(kind):
    assert kind.is_media == (kind.name in {"IMAGE", "VIDEO", "DOCUMENT"})


@pytest.mark.parametrize(("status", "sendable"), [("APPROVED", True), ("PAUSED", False), ("", False)])
def test_only_an_approved_template_is_sendable(status, sendable):
    template = Template(
        id="1",
        name="promo",
        language="id",
        status=status,
        category="MARKETING",
        body="Halo",
        buttons=(Button(kind=ButtonKind.QUICK_REPLY, text="Stop"),),
    )
    assert template.is_sendable is sendable
