"""Each example campaign, planned and applied in the sandbox, comes to what campaigns/README.md says."""

import re
import shutil
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
FILES = (
    "lebaran_promo",
    "order_update",
    "payment_reminder",
    "maintenance_notice_ja",
    "winback_sg",
    "vip_restock",
    "payday_points",
)


@pytest.fixture
def examples(tmp_path, monkeypatch):
    """A project with the examples, being the current folder."""
    for name in ("campaigns", "data", "lists"):
        shutil.copytree(ROOT / name, tmp_path / name, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "runner.yml", tmp_path)
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def table():
    """The table of campaigns/README.md: file -> account -> count."""
    text = (ROOT / "campaigns/README.md").read_text(encoding="utf-8")
    header, *lines = re.findall(r"^\| (.+?) \|$", text, re.MULTILINE)
    files = header.strip("| ").split(" | ")
    found = {name: {} for name in files}
    for line in lines:
        account, *counts = line.split(" | ")
        if counts[0].isdigit():
            for name, count in zip(files, counts, strict=True):
                found[name][account] = int(count)
    return found


def only(result, key):
    assert result.code == 0, result.err
    (entry,) = result.json[key]
    return entry


@pytest.mark.parametrize("file", FILES)
def test_an_example_comes_to_what_the_readme_says(examples, run, table, file):
    path = f"campaigns/{file}.yml"
    plan = only(run("plan", path, "--sandbox", "--json"), "plans")
    found = {"rows": plan["rows"], **plan["rejected"], "to_send": plan["to_send"]}
    assert found == {account: count for account, count in table[file].items() if count}
    assert plan["samples"]
    assert not any("{{" in sample["body"] for sample in plan["samples"])

    applied = only(run("apply", "--sandbox", "--json"), "runs")
    assert (applied["to_send"], applied["accepted"], applied["remaining"]) == (
        plan["to_send"],
        plan["to_send"],
        0,
    )

    again = only(run("plan", path, "--sandbox", "--json"), "plans")
    assert (again["to_send"], again["already_sent"]) == (0, plan["to_send"])
    assert again["rejected"] == plan["rejected"]


def test_every_example_is_in_the_table(table):
    assert set(table) == set(FILES) == {path.stem for path in (ROOT / "campaigns").glob("*.yml")}


def test_the_example_with_variants_shows_sends_and_counts_each(examples, run):
    plan = only(run("plan", "campaigns/payday_points.yml", "--sandbox", "--json"), "plans")
    planned = {variant["name"]: variant["to_send"] for variant in plan["variants"]}
    assert list(planned) == ["short", "warm"]
    assert sum(planned.values()) == plan["to_send"]
    assert all(abs(count / plan["to_send"] - 0.5) < 0.05 for count in planned.values())
    assert {sample["variant"] for sample in plan["samples"]} == set(planned)
    only(run("apply", "--sandbox", "--json"), "runs")
    occurrence = only(run("status", "--sandbox", "--json"), "occurrences")
    assert {variant["name"]: variant["accepted"] for variant in occurrence["variants"]} == planned
