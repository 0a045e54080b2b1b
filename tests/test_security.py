"""docs/security.md: every test that it names exists, and every attack that it must speak of is there."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PAGE = (ROOT / "docs/security.md").read_text(encoding="utf-8")
MODEL = PAGE[PAGE.index("## Threat model") : PAGE.index("## Plan files, encrypted")]
ROWS = [
    line
    for line in MODEL.splitlines()
    if line.startswith("| ") and not line.startswith(("| attack", "| ---"))
]
NAMED = re.findall(r"`(tests/[\w/]+\.py)::(\w+)`", PAGE)


@pytest.mark.parametrize(("path", "name"), NAMED, ids=[name for _, name in NAMED])
def test_every_test_that_the_page_names_exists(path, name):
    assert re.search(rf"^def {name}\(", (ROOT / path).read_text(encoding="utf-8"), re.MULTILINE)


@pytest.mark.parametrize("row", ROWS)
def test_every_attack_has_what_holds_it_and_a_test(row):
    attack, holds, tests = (cell.strip() for cell in row.strip("|").split(" | "))
    assert attack
    assert holds
    assert re.fullmatch(r"`tests/[\w/]+\.py::test_\w+`(, `tests/[\w/]+\.py::test_\w+`)*", tests.rstrip(" |"))


@pytest.mark.parametrize(
    "word",
    [
        *("SQL that reads files", "the network", "`query_file`", "unfolds to gigabytes", "escape sequences"),
        *("HTML", "formula", "stolen plan", "once more", "edits a plan", "opens ledger", "traceback"),
        *("without TLS", "redirect", "1 GB", "drips", "templates and errors of a provider"),
    ],
)
def test_no_attack_of_the_list_is_forgotten(word):
    assert word in MODEL
