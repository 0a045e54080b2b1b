"""Variants on their whole way: what is planned, sent, logged, counted and explained is one and the same."""

from __future__ import annotations

import csv
import json
from datetime import datetime, timezone

import pytest

from tests.cli.conftest import shared_sandbox
from tests.conftest import CAMPAIGN, RUNNER_YML, TEMPLATES, mobiles, people

WARM = {"name": "warm", "language": "id", "category": "MARKETING", "body": "Hai {{1}}, apa kabar?"}
VARIED = (
    CAMPAIGN[: CAMPAIGN.index("template:")]
    + """\
template: {name: promo, language: id}
variables:
  - {column: name}
  - text: LEBARAN25
variants:
  - name: plain
  - {name: code, variables: [{column: name}, {text: HEMAT50}]}
  - {name: warm, template: {name: warm, language: id}, variables: [{column: name}]}
log: {csv: {folder: exports}}
"""
)
COUNT = 60


@pytest.fixture(scope="session")
def warm_sandbox(tmp_path_factory):
    """A sandbox with a second template."""
    yield from shared_sandbox(tmp_path_factory.mktemp("warm"), [*TEMPLATES, WARM])


@pytest.fixture
def sandbox(warm_sandbox, project, monkeypatch):
    """The sandbox, emptied, and a project whose campaign has three variants and 60 people."""
    warm_sandbox.post("/sandbox/reset")
    warm_sandbox.faults()
    project.write("runner.yml", RUNNER_YML % {"url": warm_sandbox.url, "rate": "unlimited"})
    project.campaign(VARIED)
    project.people(people(COUNT))
    monkeypatch.setenv("ADA_API_URL", warm_sandbox.url)
    return warm_sandbox


def received(sandbox):
    """Return phone -> the template and the values that reached it, by the sandbox's own record."""
    return {
        message["to"]: (message["template"], *message["body"])
        for message in sandbox.messages()
        if message["accepted"]
    }


def variants_of(run, phone):
    """Return the variant of a phone as its plan and its message have it."""
    document = run("explain", f"+{phone}", "--json").json
    return {entry["variant"] for entry in (*document["plans"], *document["messages"])}


MESSAGES = {
    "plain": ("promo", "{name}", "LEBARAN25"),
    "code": ("promo", "{name}", "HEMAT50"),
    "warm": ("warm", "{name}"),
}


def logged(project):
    found = {}
    for path in sorted((project.root / "exports").glob("*.csv")):
        with path.open(encoding="utf-8", newline="") as stream:
            found |= {row["phone"]: row for row in csv.DictReader(stream) if row["event"] == "accepted"}
    return found


def test_everybody_gets_the_template_of_their_own_variant_and_all_records_agree(project, sandbox, run, plan):
    summary = plan()
    assert summary["template"] is None
    planned = {variant["name"]: variant["to_send"] for variant in summary["variants"]}
    assert sum(planned.values()) == COUNT
    assert all(planned.values())

    applied = run("apply", "--auto-approve", "--json")
    assert applied.code == 0, applied.err

    messages, rows = received(sandbox), logged(project)
    assert len(messages) == len(sandbox.messages()) == COUNT
    for number, phone in enumerate(mobiles(COUNT)):
        row = rows[phone]
        expected = tuple(part.format(name=f"Ayu {number}") for part in MESSAGES[row["variant"]])
        assert messages[phone] == expected
        assert (row["template"], row["language"]) == ("warm" if row["variant"] == "warm" else "promo", "id")
    sent = {name: sum(row["variant"] == name for row in rows.values()) for name in planned}
    assert sent == planned

    (occurrence,) = run("status", "--json").json["occurrences"]
    assert {each["name"]: each["accepted"] for each in occurrence["variants"]} == planned
    assert {each["read_rate"] for each in occurrence["variants"]} == {None}
    for phone in mobiles(2):
        assert variants_of(run, phone) == {rows[phone]["variant"]}


def test_people_who_are_added_join_a_variant_and_nobody_else_changes(project, sandbox, run, plan):
    plan()
    run("apply", "--auto-approve")
    first = {phone: row["variant"] for phone, row in logged(project).items()}
    project.people([*people(40, start=1000), *reversed(people(COUNT))])
    for path in (project.root / ".runner").glob("ledger.db*"):
        path.unlink()
    plan()
    run("apply", "--auto-approve")
    again = {phone: row["variant"] for phone, row in logged(project).items()}
    assert len(again) == COUNT + 40
    assert first.items() <= again.items()


def test_status_tells_how_far_the_messages_of_each_variant_got(project, sandbox, run, plan):
    plan()
    run("apply", "--auto-approve")
    variants = {phone: row["variant"] for phone, row in logged(project).items()}
    warm = [phone for phone, variant in variants.items() if variant == "warm"]
    plain = [phone for phone, variant in variants.items() if variant == "plain"]
    at = datetime.now(timezone.utc).isoformat(timespec="seconds")
    told = [(warm[0], "read"), (warm[1], "delivered"), (plain[0], "failed")]
    project.write("report.csv", "\n".join(["phone,status,time", *(f"{p},{s},{at}" for p, s in told), ""]))
    imported = run("receipts", "import", "report.csv", "--auto-approve")
    assert imported.code == 0, imported.err

    (occurrence,) = run("status", "--json").json["occurrences"]
    found = {each["name"]: each for each in occurrence["variants"]}
    assert list(found) == ["plain", "code", "warm"]
    assert found["warm"]["receipts"] == {"sent": 0, "delivered": 1, "read": 1, "failed": 0}
    assert found["warm"]["read_rate"] == round(1 / len(warm), 4)
    assert found["plain"]["receipts"]["failed"] == 1
    assert found["code"]["read_rate"] == 0.0
    lines = run("status").out.splitlines()
    (line,) = [line.split() for line in lines if line.split()[2:3] == ["warm"]]
    assert line == [
        "promo",
        "once",
        "warm",
        str(len(warm)),
        "0",
        "0",
        "0",
        "1",
        "1",
        "0",
        f"{1 / len(warm):.1%}",
    ]


def test_without_variants_status_says_nothing_of_them(project, sandbox, run):
    project.campaign()
    run("apply", "promo.yml", "--auto-approve")
    assert run("status", "--json").json["occurrences"][0]["variants"] == []
    assert "variant" not in run("status").out


def test_a_bad_variable_is_told_with_its_variant(project, sandbox, run, plan):
    project.people([(key, phone, "", consent) for key, phone, _, consent in people(COUNT)])
    project.campaign(VARIED.replace("variables: [{column: name}]", "variables: [{text: Kak}]"))
    summary = plan()
    accounts = {variant["name"]: variant["to_send"] for variant in summary["variants"]}
    assert accounts["plain"] == accounts["code"] == 0
    assert accounts["warm"] + summary["rejected"]["bad_variable"] == COUNT
    told = "".join(run("explain", f"+{phone}").out for phone in mobiles(6))
    assert "(variant plain: variable {{1}}: blank and no default)" in told
    assert "variant warm" not in told.replace("to_send, variant warm", "")


def test_the_plan_says_who_gets_what_in_the_terminal_and_in_markdown(project, sandbox, run):
    shown = run("plan", "promo.yml").out
    assert "Variant plain" in shown
    assert "33.3 % by weight: warm (id, MARKETING)" in shown
    assert "- **Variant** `code`: " in run("plan", "promo.yml", "--markdown").out


def test_one_variants_template_that_was_changed_since_refuses_the_apply(
    project, sandbox, run, plan, tmp_path_factory, monkeypatch
):
    plan()
    changed = [*TEMPLATES, {**WARM, "body": "Hai {{1}}, apa kabarnya?"}]
    for other in shared_sandbox(tmp_path_factory.mktemp("changed"), changed):
        monkeypatch.setenv("ADA_API_URL", other.url)
        refused = run("apply", "--auto-approve")
        assert refused.code == 4
        assert "ok   template promo (id): as planned" in refused.err
        assert "NOT  template warm (id): changed" in refused.err
        assert other.accepted() == []


def test_a_variant_whose_template_is_not_there_is_a_clear_error(project, sandbox, run):
    project.campaign(VARIED.replace("{name: warm, language: id}", "{name: wram, language: id}"))
    result = run("plan", "promo.yml")
    assert result.code == 1
    assert "variant warm: template `wram` is not among the provider's" in result.err
    assert "did you mean `warm`?" in result.err


def test_weights_that_are_changed_after_the_plan_make_it_stale(project, sandbox, run, plan):
    plan()
    project.campaign(VARIED.replace("- name: plain\n", "- {name: plain, weight: 5}\n"))
    refused = run("apply", "--auto-approve")
    assert refused.code == 4
    assert "changed since the plan" in refused.err


def test_a_campaign_with_variants_is_validated_exported_and_diagnosed(project, sandbox, run):
    assert run("validate", "promo.yml").code == 0
    assert json.loads(run("doctor", "promo.yml", "--json").out)["checks"]
    providers = 'providers: {ada: {sender: "60110000001"}}\n'
    project.write("runner.yml", f"ledger: postgresql://db.example.com/runner\n{providers}")
    table = "segment: {source: treasure_data, database: crm, table: vips}\n"
    text = f"campaign: vip\n{table}{VARIED[VARIED.index('recipient:') :]}guards: {{max_recipients: 50}}\n"
    project.campaign(text.replace("log: {csv: {folder: exports}}\n", ""), "vip.yml")
    exported = run("export", "td-workflow", "vip.yml", "--json")
    assert exported.code == 0, exported.err
