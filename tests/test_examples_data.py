"""The example campaigns' data is what its script makes, and holds the mess that its README counts."""

from __future__ import annotations

import csv
import json
import re
import subprocess
import sys
import unicodedata
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import duckdb
import phonenumbers
import pyarrow.parquet as pq
import pytest
import yaml
from phonenumbers import PhoneNumberType

from runner.template import BODY_LIMIT, TEXT_HEADER_LIMIT, placeholders

ROOT = Path(__file__).resolve().parent.parent
#: Those whose query takes all the mess of their data; the others select some of the rows of a database.
WHOLE = ("lebaran_promo", "order_update", "payment_reminder", "maintenance_notice_ja")
CAMPAIGNS = (*WHOLE, "winback_sg", "vip_restock")
#: Treasure Data's databases in the sandbox; each has one table, `customers`.
DATABASES = ("crm", "cdp_audience_287197")
DATA_FILES = (
    "data/cdp_audience_287197/customers.parquet",
    "data/crm/customers.parquet",
    "data/lebaran_promo/customers.csv",
    "data/maintenance_notice_ja/accounts.jsonl",
    "data/order_update/customers.parquet",
    "data/order_update/orders.csv",
    "data/payment_reminder/invoices.parquet",
    "lists/never.csv",
)

Rows = list[dict[str, Any]]


@pytest.fixture(scope="module")
def made_again(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("made")
    script = ROOT / "campaigns" / "make_data.py"
    subprocess.run([sys.executable, str(script), "--root", str(root)], check=True, capture_output=True)
    return root


@pytest.fixture(scope="module")
def segments() -> dict[str, Rows]:
    return {name: _segment(name) for name in CAMPAIGNS}


@pytest.mark.parametrize("path", [path for path in DATA_FILES if not path.endswith(".parquet")])
def test_the_script_makes_the_committed_text_file_again_to_the_byte(made_again: Path, path: str) -> None:
    assert (made_again / path).read_bytes() == (ROOT / path).read_bytes()


@pytest.mark.parametrize("path", [path for path in DATA_FILES if path.endswith(".parquet")])
def test_the_script_makes_the_committed_parquet_table_again(made_again: Path, path: str) -> None:
    assert pq.read_table(made_again / path).equals(pq.read_table(ROOT / path))


def test_the_script_makes_every_data_file_and_no_other(made_again: Path) -> None:
    found = {str(path.relative_to(made_again)) for path in made_again.rglob("*") if path.is_file()}
    assert found == set(DATA_FILES)


def test_the_data_files_are_small_enough_to_live_in_git() -> None:
    assert sum((ROOT / path).stat().st_size for path in DATA_FILES) < 2_000_000


@pytest.mark.parametrize("name", CAMPAIGNS)
def test_the_balance_in_the_readme_is_what_phonenumbers_reads(segments: dict[str, Rows], name: str) -> None:
    campaign = _campaign(name)
    never = {_national(text, "ID")[0] for text in _never()}
    accounts = Counter({"rows": len(segments[name])})
    seen: set[str] = set()
    for row in segments[name]:
        accounts[_account(row, campaign, never, seen)] += 1
    assert {key: accounts[key] for key in _readme_balance(name)} == _readme_balance(name)
    assert accounts["rows"] == accounts.total() - accounts["rows"]


@pytest.mark.parametrize("name", WHOLE)
def test_every_common_writing_of_a_phone_is_in_the_data(segments: dict[str, Rows], name: str) -> None:
    column = _campaign(name)["recipient"]["phone"]
    phones = [row[column] for row in segments[name] if row[column]]
    writings = {
        "plus, plain": r"\+\d{10,13}",
        "plus, grouped": r"\+\d\d \d+-\d+(-\d+)?",
        "digits": r"\d{8,13}",
        "two zeros": r"00\d{10,13}",
        "dots": r"\d+\.\d{3,}(\.\d+)?",
        "spreadsheet float": r"\d+\.0",
        "full width": r"[０-９]+-[０-９]+(-[０-９]+)?",
        "full width plus": r"＋[０-９]+",
        "no-break spaces": "\\+\\d\\d\xa0\\d+\xa0\\d+(\xa0\\d+)?",
        "brackets": r"\(\d+\) \d+",
        "spaces around": r" \d+ \d+( \d+)? ",
        "two in one cell": r"[\d-]+ / [\d-]+",
        "cut by a spreadsheet": r"\d\.\d+E\+\d+",
        "an e-mail address": r"\S+@example\.com",
        "blank": r" +",
        "a word": r"[^\d\W]+( [^\d\W]+)*",
    }
    missing = [
        what for what, pattern in writings.items() if not any(re.fullmatch(pattern, p) for p in phones)
    ]
    assert missing == []
    assert any(row[column] is None for row in segments[name])


@pytest.mark.parametrize("name", WHOLE)
def test_every_kind_of_name_is_in_the_data(segments: dict[str, Rows], name: str) -> None:
    column = _campaign(name)["variables"][0]["column"]
    names = [row[column] for row in segments[name]]
    texts = [text for text in names if text is not None]
    assert names.count(None) >= 40
    assert any(text and not text.strip() for text in texts)
    assert sum("\n" in text for text in texts) == 3
    assert any("\t" in text for text in texts)
    assert any("     " in text.strip() for text in texts)
    assert [len(text) for text in texts if len(text) > 100] == [5000]
    assert sum(any(unicodedata.category(char) == "So" for char in text) for text in texts) >= 20
    assert sum(any(unicodedata.bidirectional(char) in {"R", "AL"} for char in text) for text in texts) == 6


@pytest.mark.parametrize("name", CAMPAIGNS)
def test_consent_is_given_refused_and_left_empty(segments: dict[str, Rows], name: str) -> None:
    column = _campaign(name)["recipient"]["consent"]
    assert {row[column] for row in segments[name]} == {True, False, None}


def test_some_tracking_numbers_end_in_a_line_break(segments: dict[str, Rows]) -> None:
    assert sum(row["tracking_no"].endswith("\n") for row in segments["order_update"]) == 4


def test_one_column_of_phones_holds_numbers() -> None:
    table = pq.read_table(ROOT / "data/order_update/customers.parquet")
    numbers = [number for number in table["mobile"].to_pylist() if number is not None]
    assert str(table.schema.field("mobile").type) == "double"
    assert {len(f"{number:.0f}") for number in numbers} == {8, 10}


def test_some_of_the_suppressed_are_in_the_data_and_all_are_read_alike_everywhere() -> None:
    texts = list(_never())
    readings = [{_national(text, region) for region in ("ID", "SG", "MY", "JP")} for text in texts]
    assert all(len(reading) == 1 for reading in readings)
    assert all(status == "ok" for reading in readings for _, status in reading)
    assert len({digits for reading in readings for digits, _ in reading}) == len(texts) == 26


def test_no_two_campaigns_have_a_person_in_common(segments: dict[str, Rows]) -> None:
    numbers: Counter[str] = Counter()
    for name in CAMPAIGNS:
        recipient = _campaign(name)["recipient"]
        read = {_national(row[recipient["phone"]], recipient["region"]) for row in segments[name]}
        numbers.update(digits for digits, status in read if status == "ok")
    assert max(numbers.values()) == 1


@pytest.mark.parametrize("name", CAMPAIGNS)
def test_the_campaign_uses_only_columns_that_its_query_returns(segments: dict[str, Rows], name: str) -> None:
    campaign = _campaign(name)
    used = {campaign["recipient"][key] for key in ("id", "phone", "consent")}
    used |= {variable["column"] for variable in _variables(campaign) if "column" in variable}
    assert used <= segments[name][0].keys()


@pytest.mark.parametrize("name", CAMPAIGNS)
def test_the_campaign_fits_its_template_in_the_sandbox(name: str) -> None:
    campaign = _campaign(name)
    template = _template(campaign["template"])
    assert placeholders(template["body"]) == tuple(range(1, len(campaign["variables"]) + 1))
    buttons = campaign["template"].get("buttons", [])
    kinds = {"url": "URL", "payload": "QUICK_REPLY"}
    for button in buttons:
        (key,) = button.keys() - {"index"}
        assert template["buttons"][button["index"]]["kind"] == kinds[key]
    filled = [
        index for index, button in enumerate(template.get("buttons", [])) if "{{1}}" in button.get("url", "")
    ]
    assert set(filled) <= {button["index"] for button in buttons}
    assert (template.get("header", {}).get("kind") == "IMAGE") == (
        "media" in campaign["template"].get("header", {})
    )


def test_the_templates_keep_to_what_meta_approves() -> None:
    for template in json.loads((ROOT / "campaigns/sandbox_templates.json").read_text("utf-8")):
        body, header = template["body"], template.get("header", {})
        assert not body.startswith("{{")
        assert not body.endswith("}}")
        assert not re.search(r"\}\}\s*\{\{", body)
        assert len(body) <= BODY_LIMIT - 200
        assert len(header.get("text", "")) <= TEXT_HEADER_LIMIT
        assert len(template["footer"]) <= 60
        assert all(len(button["text"]) <= 25 for button in template.get("buttons", []))


@pytest.mark.parametrize("name", CAMPAIGNS)
def test_the_campaign_has_an_owner_guards_and_hours(name: str) -> None:
    campaign = _campaign(name)
    assert campaign["description"]
    assert campaign["owner"].endswith("@example.com")
    assert campaign["guards"].keys() >= {"max_recipients", "max_rejected", "max_failed"}
    assert campaign["schedule"].keys() >= {"timezone", "window"}


def _campaign(name: str) -> dict[str, Any]:
    document = yaml.load((ROOT / f"campaigns/{name}.yml").read_text("utf-8"), yaml.BaseLoader)
    assert isinstance(document, dict)
    return {**document, "template": _with_integers(document["template"])}


def _with_integers(template: dict[str, Any]) -> dict[str, Any]:
    buttons = [{**button, "index": int(button["index"])} for button in template.get("buttons", [])]
    return {**template, "buttons": buttons}


def _variables(campaign: dict[str, Any]) -> list[dict[str, Any]]:
    buttons = [value for b in campaign["template"]["buttons"] for key, value in b.items() if key != "index"]
    return [*campaign["variables"], *buttons]


def _template(use: dict[str, Any]) -> dict[str, Any]:
    templates = json.loads((ROOT / "campaigns/sandbox_templates.json").read_text("utf-8"))
    (found,) = [t for t in templates if (t["name"], t["language"]) == (use["name"], use["language"])]
    return dict(found)


def _segment(name: str) -> Rows:
    segment = _campaign(name)["segment"]
    given = {key: int(text) if text.isdigit() else text for key, text in segment.get("params", {}).items()}
    with duckdb.connect() as connection:
        connection.execute(f"SET file_search_path = '{ROOT}'")
        for database in DATABASES:
            connection.execute(f"CREATE SCHEMA {database}")
            connection.execute(
                f"CREATE VIEW {database}.customers AS FROM 'data/{database}/customers.parquet'"
            )
        connection.execute(f"SET schema = '{segment.get('database', 'main')}'")
        sql = _query(segment)
        cursor = connection.execute(re.sub(r":(\w+)", r"$\1", sql) if given else sql, given)
        assert cursor.description is not None
        names = [column[0] for column in cursor.description]
        return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]


def _query(segment: dict[str, Any]) -> str:
    """Return the segment's SQL, that of Audience Studio as its sandbox says it."""
    if "query" in segment:
        return str(segment["query"])
    if "query_file" in segment:
        return (ROOT / "campaigns" / segment["query_file"]).read_text("utf-8")
    parents = json.loads((ROOT / "campaigns/sandbox_audiences.json").read_text("utf-8"))
    (parent,) = [each for each in parents if each["name"] == segment["parent_segment"]]
    (found,) = [each for each in parent["segments"] if each["name"] == segment["segment"]]
    return str(found["sql"])


def _never() -> Iterator[str]:
    with (ROOT / "lists/never.csv").open(encoding="utf-8", newline="") as file:
        yield from (row["phone"] for row in csv.DictReader(file))


def _readme_balance(name: str) -> dict[str, int]:
    lines = (ROOT / "campaigns/README.md").read_text("utf-8").splitlines()
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines if line.startswith("|")]
    column = cells[0].index(name)
    return {row[0]: int(row[column]) for row in cells[2:]}


def _account(row: dict[str, Any], campaign: dict[str, Any], never: set[str], seen: set[str]) -> str:
    """Judge a row gate by gate, straight from DESIGN's words."""
    recipient = campaign["recipient"]
    digits, status = _national(row[recipient["phone"]], recipient["region"])
    if status != "ok":
        return status
    if row[recipient["consent"]] is not True:
        return "no_consent"
    if digits in never:
        return "suppressed"
    if digits in seen:
        return "duplicate_phone"
    seen.add(digits)
    return "to_send" if all(_is_fit(row, variable) for variable in _variables(campaign)) else "bad_variable"


def _is_fit(row: dict[str, Any], variable: dict[str, Any]) -> bool:
    text = row[variable["column"]] if "column" in variable else variable["text"]
    if text is None or not str(text).strip():
        return "default" in variable
    shown = " ".join(str(text).split()) if "trim" in variable.get("transform", ()) else str(text)
    return not re.search(r"[\n\t]| {5}", shown) and len(shown) <= int(variable.get("max_length", 1000))


def _national(text: str | None, region: str) -> tuple[str, str]:
    """Return (digits with country code, "ok") or ("", reason), by phonenumbers and DESIGN's readings."""
    plain = re.sub(r"[\s().-]", "", re.sub(r"\.0$", "", unicodedata.normalize("NFKC", text or "")))
    if not plain:
        return "", "missing_phone"
    if not re.fullmatch(r"\+?\d+", plain):
        return "", "invalid_phone"
    international = "+" + re.sub(r"^(\+|00)", "", plain)
    if plain.startswith(("+", "00")):
        readings = {_kind(international, None)}
    elif plain.startswith("0"):
        readings = {_kind(plain, region)}
    else:
        readings = {_kind(international, None), _kind(plain, region)}
    mobiles = {digits for digits, kind in readings if kind == PhoneNumberType.MOBILE}
    if len(mobiles) > 1:
        return "", "ambiguous_phone"
    if mobiles:
        return mobiles.pop(), "ok"
    return "", "invalid_phone" if all(kind is None for _, kind in readings) else "not_mobile"


def _kind(text: str, region: str | None) -> tuple[str, int | None]:
    try:
        number = phonenumbers.parse(text, region)
    except phonenumbers.NumberParseException:
        return "", None
    kind = phonenumbers.number_type(number) if phonenumbers.is_valid_number(number) else None
    return f"{number.country_code}{number.national_number}", kind
