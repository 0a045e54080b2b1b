"""The messages of a campaign file: one template, or variants with their own or with the shared one."""

from __future__ import annotations

import pytest

from runner.campaign import Variable
from tests.conftest import LEAST

HEAD = LEAST.replace("template: {name: t, language: id}\n", "")
A = "{name: a, template: {name: t, language: id}}"
BUTTON = "{index: 1, url: {text: x}}"
B = "{name: b, template: {name: u, language: id}}"


def test_each_variant_has_its_own_message(load):
    campaign = load(
        HEAD + "variants:\n"
        "  - {name: plain, weight: 90, template: {name: p, language: id}, variables: [{column: n}]}\n"
        "  - {name: warm, weight: 10.0, template: {name: w, language: en}}\n"
    )
    plain, warm = campaign.variants
    assert (plain.name, plain.weight, plain.template.name, plain.template.language) == (
        "plain",
        90,
        "p",
        "id",
    )
    assert plain.variables == (Variable(column="n"),)
    assert (warm.name, warm.weight, warm.template.name, warm.variables) == ("warm", 10, "w", ())
    assert campaign.messages == campaign.variants
    assert (campaign.template, campaign.variables) == (None, ())


def test_what_a_variant_leaves_out_it_has_from_the_top_level_whole(load):
    campaign = load(
        LEAST + "variables: [{column: n}, {text: SHARED}]\n"
        "variants:\n"
        "  - {name: shared}\n"
        "  - {name: text, variables: [{text: OWN}]}\n"
        "  - {name: template, template: {name: u, language: en}}\n"
        "  - {name: nothing, template: {name: v, language: en}, variables: []}\n"
    )
    shared = (Variable(column="n"), Variable(text="SHARED"))
    assert [(each.template.name, each.variables) for each in campaign.variants] == [
        ("t", shared),
        ("t", (Variable(text="OWN"),)),
        ("u", shared),
        ("v", ()),
    ]


def test_without_weights_the_shares_are_equal(load):
    assert [each.weight for each in load(HEAD + f"variants: [{A}, {B}]\n").variants] == [1, 1]


def test_a_campaign_without_variants_has_one_message_without_a_name(load):
    (message,) = load(LEAST + "variables: [{column: n}]\n").messages
    assert (message.name, message.template.name, message.variables) == (None, "t", (Variable(column="n"),))
    assert message.label == ""


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        (HEAD, "1:1: found neither `template` nor `variants`, expected `template` or `variants`"),
        (HEAD + "variant: []\n", "(did you mean `variants`?)"),
        (HEAD + "variants: []\n", "4:11: variants: found a list of 0, expected at least 1"),
        (HEAD + "variants: {a: 1}\n", "4:11: variants: found a mapping, expected a list"),
        (
            HEAD + "variants: [a]\n",
            '4:12: variants[0]: found "a", expected a mapping with keys such as `name`',
        ),
        (HEAD + "variants: [{nam: a}]\n", "(did you mean `name`?)"),
        (HEAD + "variants: [{weight: 1}]\n", "4:12: variants[0].name: found nothing, expected lower-case"),
        (
            HEAD + f"variants: [{A.replace('a,', 'A b,')}]\n",
            'variants[0].name: found "A b", expected lower-case',
        ),
        (
            HEAD + f"variants: [{A}, {B}, {A}]\n",
            'variants[2].name: found "a" a second time, expected a name of its own for each variant',
        ),
        (
            HEAD + f"variants: [{A.replace('a,', 'a, weight: 0,')}, {B}]\n",
            "4:30: variants[0].weight: found the number 0, expected a whole number from 1 to",
        ),
        (
            HEAD + f"variants: [{A.replace('a,', 'a, weight: -1,')}]\n",
            "found the number -1, expected a whole",
        ),
        (
            HEAD + f"variants: [{A.replace('a,', 'a, weight: 0.5,')}]\n",
            "found the number 0.5, expected a whole",
        ),
        (
            HEAD + f"variants: [{A.replace('a,', 'a, weight: 10001,')}]\n",
            "found the number 10001, expected a",
        ),
        (
            HEAD + f"variants: [{A.replace('a,', 'a, weight: 50%,')}]\n",
            'weight: found "50%", expected a whole',
        ),
        (
            HEAD + "variants: [{name: a}]\n",
            "4:12: variants[0].template: found nothing, expected the template of this variant (give",
        ),
        (
            LEAST + f"variants: [{A}, {B}]\n",
            "4:11: template: found `template` that no variant uses, expected no `template` (leave it out, or",
        ),
        (
            LEAST + "variables: [{text: x}]\nvariants: [{name: a, variables: []}]\n",
            "5:12: variables: found `variables` that no variant uses, expected no `variables`",
        ),
        (
            HEAD + f"variants: [{A.replace('id}', f'id, buttons: [{BUTTON}, {BUTTON}]}}')}]\n",
            "variants[0].template.buttons[1].index: found the number 1 a second time",
        ),
        (
            HEAD + f"variants: [{A.replace('language: id', 'langage: id')}]\n",
            "variants[0].template.langage: found an unknown key",
        ),
        (LEAST + "weight: 1\n", "5:1: weight: found an unknown key"),
    ],
)
def test_a_problem_of_a_variant_says_where_it_is_and_what_was_expected(problems, text, problem):
    assert any(problem in found for found in problems(text)), problems(text)
