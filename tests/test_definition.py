"""A definition: what a person approves by one digest, and what differs between two."""

from dataclasses import replace

from runner.definition import Change, changes, define
from runner.template import Button, ButtonKind, Template
from tests.conftest import LEAST

TEMPLATE = Template(
    id="1",
    name="t",
    language="id",
    status="APPROVED",
    category="MARKETING",
    body="Halo {{1}}",
    buttons=(Button(kind=ButtonKind.URL, text="Belanja", url="https://shop.example/a"),),
)


def test_the_digest_moves_with_the_file_its_sql_and_everything_a_template_says(load):
    campaign = load(LEAST)
    digests = {
        define(campaign, [TEMPLATE]).digest,
        define(load(LEAST + "description: x\n"), [TEMPLATE]).digest,
        define(load(LEAST.replace("SELECT 1", "SELECT 2")), [TEMPLATE]).digest,
        define(campaign, [replace(TEMPLATE, body="Hai {{1}}")]).digest,
        define(campaign, [replace(TEMPLATE, buttons=())]).digest,
        define(
            campaign, [replace(TEMPLATE, buttons=(replace(TEMPLATE.buttons[0], url="https://x"),))]
        ).digest,
    }
    assert len(digests) == 6


def test_the_digest_stays_when_the_provider_renumbers_a_template_or_the_file_is_laid_out_anew(load):
    before = define(load(LEAST), [TEMPLATE]).digest
    assert define(load(LEAST), [replace(TEMPLATE, id="2")]).digest == before
    assert define(load("# a comment\n" + LEAST), [TEMPLATE]).digest == before


def test_the_sql_of_a_query_file_is_part_of_the_definition(load, tmp_path):
    text = LEAST.replace("query: SELECT 1", "query_file: x.sql")
    (tmp_path / "campaigns").mkdir()
    (tmp_path / "campaigns/x.sql").write_text("SELECT 1")
    before = define(load(text), [TEMPLATE])
    (tmp_path / "campaigns/x.sql").write_text("SELECT 2")
    after = define(load(text), [TEMPLATE])
    (change,) = changes(before.content, after.content)
    assert change == Change(path="segment.query", before="SELECT 1", after="SELECT 2")
    assert change.sign == "~"


def test_changes_name_values_that_came_went_and_changed_by_their_paths(load):
    old = LEAST + "description: Promo\nvariables: [{column: name}, {text: A}]\n"
    new = LEAST + "owner: x@y.zz\nvariables: [{column: nick}]\n"
    before = define(load(old), [TEMPLATE]).content
    after = define(load(new), [replace(TEMPLATE, footer="Balas STOP")]).content
    assert [(change.sign, change.path) for change in changes(before, after)] == [
        ("+", "owner"),
        ("~", "variables[0].column"),
        ("+", "template t (id): footer"),
        ("-", "description"),
        ("-", "variables[1].text"),
    ]
    assert changes(after, after) == ()
    assert {change.sign for change in changes(None, after)} == {"+"}
