"""A campaign file -> Campaign, or all its problems, each at its position."""

from __future__ import annotations

import subprocess
import sys
import time as clock
from contextlib import suppress
from dataclasses import replace
from datetime import datetime, time, timedelta
from pathlib import Path, PurePosixPath

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from runner.campaign import (
    Canary,
    Cap,
    FrequencyCap,
    HeaderUse,
    Holdout,
    Limit,
    PhoneStyle,
    Transform,
    Variable,
)
from runner.campaign_file import duplicate_names, find_campaign_files, load_campaign
from runner.errors import FileProblems, UsageError
from runner.window import Window
from tests.conftest import LEAST

# DESIGN §3's example.
SAMPLE = """\
# yaml-language-server: $schema=../schema/campaign.schema.json
campaign: lebaran_promo_2026            # [a-z0-9_]{1,64}
description: Lebaran voucher for consenting shoppers
owner: crm@example.com

segment:
  source: duckdb                        # duckdb | treasure_data | audience_studio
  query: |                              # or query_file: lebaran.sql (relative to this file)
    SELECT customer_id, phone, first_name, points, wa_opt_in
    FROM 'data/customers.parquet'       # relative to the project root

recipient:
  id: customer_id                       # column: your own key for this person, kept in the log
  phone: phone                          # column
  region: ID                            # optional: the country of numbers written without a country code
  consent: wa_opt_in                    # column that must be true: required, there is no default

template:
  name: lebaran_promo
  language: id

variables:                              # {{1}}, {{2}}, ... of the body, in order
  - column: first_name
    default: Kak                        # for NULL or blank; without one such a row is rejected
  - column: points
    format: "#,##0"
  - text: LEBARAN25

schedule:
  at: 2026-03-20T10:00                  # or cron: "0 10 * * MON"; or neither: when applied
  timezone: Asia/Jakarta
  window: "08:00-20:00"                 # never outside these hours, in the recipient's own time zone

delivery:
  provider: ada

guards:
  max_recipients: 50000                 # plan is refused above it
  max_rejected: 30%                     # plan is refused above it
  max_failed: 5%                        # apply stops above it, once 100 outcomes are known
  frequency_cap: {messages: 2, per: 7d} # over all campaigns

log:
  treasure_data: {database: crm, table: whatsapp_log}
notify:
  on: [failed, stopped, finished]
"""


def test_the_sample_of_the_design_loads(load):
    campaign = load(SAMPLE)
    assert campaign.name == "lebaran_promo_2026"
    assert (campaign.description, campaign.owner) == (
        "Lebaran voucher for consenting shoppers",
        "crm@example.com",
    )
    assert campaign.path == PurePosixPath("campaigns/x.yml")
    assert campaign.segment.source == "duckdb"
    assert campaign.segment.query.startswith("SELECT customer_id, phone")
    assert campaign.segment.query_file is None
    recipient = campaign.recipient
    assert (recipient.id, recipient.phone, recipient.consent, recipient.region, recipient.phone_style) == (
        "customer_id",
        "phone",
        "wa_opt_in",
        "ID",
        None,
    )
    assert (campaign.template.name, campaign.template.language) == ("lebaran_promo", "id")
    assert campaign.variables == (
        Variable(column="first_name", default="Kak"),
        Variable(column="points", format="#,##0"),
        Variable(text="LEBARAN25"),
    )
    assert campaign.schedule.at == datetime.fromisoformat("2026-03-20T10:00")
    assert campaign.schedule.zone == "Asia/Jakarta"
    assert campaign.schedule.window == Window(opens=time(8), closes=time(20))
    assert campaign.guards.max_recipients == 50_000
    assert campaign.guards.max_rejected == Limit(share=0.3)
    assert campaign.guards.max_failed == Limit(share=0.05)
    assert campaign.guards.frequency_cap == FrequencyCap(messages=2, per=timedelta(days=7))
    assert campaign.log == {"treasure_data": {"database": "crm", "table": "whatsapp_log"}}
    assert campaign.notify == {"on": ["failed", "stopped", "finished"]}
    assert campaign.document["guards"]["max_rejected"] == "30%"


def test_max_unknown_and_a_canary_are_taken_over(load):
    guards = load(
        LEAST + "guards: {max_unknown: 2%, canary: {size: 50.0, wait: 30m, max_failed: 5%}}\n"
    ).guards
    assert guards.max_unknown == Limit(share=0.02)
    assert guards.canary == Canary(size=50, wait=timedelta(minutes=30), max_failed=Limit(share=0.05))
    assert load(LEAST).guards.canary is None


def test_a_priority_is_a_whole_number_however_it_is_written(load):
    assert load(LEAST + "delivery: {priority: 10}\n").priority == 10
    priority = load(LEAST + "delivery: {priority: 3.0}\n").priority
    assert (priority, type(priority)) == (3, int)


def test_the_least_campaign_has_defaults(load):
    campaign = load(LEAST)
    assert campaign.provider == "ada"
    assert campaign.priority == 1
    assert campaign.variables == ()
    assert (
        campaign.schedule.at,
        campaign.schedule.cron,
        campaign.schedule.zone,
        campaign.schedule.window,
    ) == (None,) * 4
    assert campaign.guards.max_recipients is None
    assert campaign.template.header is None


def test_headers_buttons_and_all_of_a_variable_are_taken_over(load):
    text = LEAST.replace(
        "template: {name: t, language: id}",
        "template:\n  name: t\n  language: en_US\n  header: {media: {column: pic}, file_name: a.pdf}\n"
        "  buttons: [{index: 1, url: {column: code}}, {index: 0.0, payload: {text: STOP}}]\n"
        "variables: [{column: n, transform: [trim, title], locale: id, max_length: 9.0, format: '0'},"
        " {text: x, transform: upper}]\nguards: {max_rejected: 7}",
    ).replace("consent: c", "consent: c, phone_style: national")
    campaign = load(text)
    assert campaign.template.header == HeaderUse(media=Variable(column="pic"), file_name="a.pdf")
    assert [(button.index, button.url, button.payload) for button in campaign.template.buttons] == [
        (1, Variable(column="code"), None),
        (0, None, Variable(text="STOP")),
    ]
    assert campaign.variables == (
        Variable(
            column="n", transforms=(Transform.TRIM, Transform.TITLE), locale="id", max_length=9, format="0"
        ),
        Variable(text="x", transforms=(Transform.UPPER,)),
    )
    assert campaign.guards.max_rejected == Limit(count=7)
    assert campaign.recipient.phone_style is PhoneStyle.NATIONAL
    header = load(
        LEAST.replace("language: id", "language: id, header: {variables: [{column: n}]}")
    ).template.header
    assert header == HeaderUse(variables=(Variable(column="n"),))


def test_the_project_gives_the_time_zone_and_the_window_that_a_campaign_does_not_name(load):
    window = Window(opens=time(8), closes=time(21))
    schedule = load(LEAST + "schedule: {cron: 0 10 * * MON}\n", timezone="Asia/Tokyo", window=window).schedule
    assert (schedule.cron, schedule.zone, schedule.window) == ("0 10 * * MON", "Asia/Tokyo", window)
    own = load(
        LEAST + "schedule: {timezone: Asia/Jakarta, window: 22:00-02:00}\n",
        timezone="Asia/Tokyo",
        window=window,
    )
    assert (own.schedule.zone, str(own.schedule.window)) == ("Asia/Jakarta", "22:00-02:00")


def test_words_that_yaml_1_1_would_convert_arrive_as_text(load):
    campaign = load(
        LEAST.replace("consent: c", "consent: c, region: NO") + "variables: [{text: 012}, {text: 12:30}]\n"
    )
    assert campaign.recipient.region == "NO"
    assert [variable.text for variable in campaign.variables] == ["012", "12:30"]


@pytest.mark.parametrize(
    "secret",
    [
        "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0In0.c2lnbmF0dXJl",
        "Bearer abcdefghijklmnop",
        "1234/0123456789abcdef0123456789abcdef01234567",
        "TD1 1234/0123456789abcdef0123456789abcdef01234567",
        "https://user:a-long-hunter22@example.com/",
    ],
)
def test_a_secret_is_a_problem_wherever_it_stands_and_is_never_shown(problems, secret, tmp_path):
    (tmp_path / "campaigns").mkdir()
    (tmp_path / "campaigns" / "q.sql").write_text(f"SELECT '{secret}'")
    for text in (
        LEAST + f"description: '{secret}'\n",
        LEAST + f"owner: '{secret}'\n",
        LEAST + f"variables: [{{text: 'key {secret}'}}]\n",
        LEAST + f"# {secret}\n",
        LEAST + f"api_key: '{secret}'\n",
        LEAST + f"'{secret}': 1\n",
        LEAST.replace("query: SELECT 1", "query_file: q.sql"),
        LEAST.replace("SELECT 1", f"SELECT '{secret}'"),
    ):
        lines = problems(text)
        assert "secret" in lines[0]
        assert secret[:20] not in str(lines)
        assert secret.removesuffix("@example.com/")[-12:] not in str(lines)


def test_a_query_file_is_read_and_becomes_part_of_the_document(load, tmp_path):
    (tmp_path / "campaigns" / "sql").mkdir(parents=True)
    (tmp_path / "campaigns" / "sql" / "q.sql").write_bytes(b"\xef\xbb\xbfSELECT 1\n")
    campaign = load(LEAST.replace("query: SELECT 1", "query_file: sql/q.sql"))
    assert campaign.segment.query == "SELECT 1\n"
    assert campaign.segment.query_file == PurePosixPath("sql/q.sql")
    assert campaign.document["segment"] == {
        "source": "duckdb",
        "query": "SELECT 1\n",
        "query_file": "sql/q.sql",
    }


def test_a_query_file_that_is_not_there_not_text_too_long_or_elsewhere_is_a_problem(problems, tmp_path):
    folder = tmp_path / "campaigns"
    (folder / "dir.sql").mkdir(parents=True)
    (folder / "latin.sql").write_bytes(b"SELECT '\xe9'")
    (folder / "empty.sql").write_text(" \n")
    (folder / "big.sql").write_text("x" * 1_000_001)
    (folder / "ring.sql").symlink_to(folder / "ring.sql")
    (folder / "out.sql").symlink_to("/etc/hostname")
    expected = {
        "gone.sql": "a file that cannot be read (No such file or directory)",
        "dir.sql": "a file that cannot be read (Is a directory)",
        "x" * 300: "a file that cannot be read (File name too long)",
        "latin.sql": "a file that is not UTF-8",
        "empty.sql": "an empty file",
        "big.sql": "a file of more than 1 MB",
        "out.sql": "a path that leads out of the project",
        "../q.sql": '"../q.sql", expected a path below its folder',
        "/etc/hostname": '"/etc/hostname", expected a path below its folder',
        "ring.sql": "a ",
    }
    for name, found in expected.items():
        [line] = problems(LEAST.replace("query: SELECT 1", f"query_file: {name}"))
        assert f"2:39: segment.query_file: found {found}" in line


def test_a_campaign_file_outside_the_project_is_refused(empty_project, tmp_path_factory):
    path = tmp_path_factory.mktemp("elsewhere") / "x.yml"
    path.write_text(LEAST)
    with pytest.raises(UsageError, match="is not in the project"):
        load_campaign(path, empty_project)


def test_files_are_found_in_folders_without_the_hidden_and_the_project_file(tmp_path, monkeypatch):
    for name in (
        "b.yml",
        "a.yaml",
        "sub/c.yml",
        "runner.yml",
        ".hidden.yml",
        ".git/d.yml",
        "notes.txt",
        "odd",
    ):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("")
    (tmp_path / "folder.yml").mkdir()
    monkeypatch.chdir(tmp_path)
    assert find_campaign_files([Path()]) == [Path("a.yaml"), Path("b.yml"), Path("sub/c.yml")]
    assert find_campaign_files([Path("odd"), Path("b.yml"), Path("./b.yml"), tmp_path]) == [
        Path("odd"),
        Path("b.yml"),
        tmp_path / "a.yaml",
        tmp_path / "sub/c.yml",
    ]
    assert find_campaign_files([Path("runner.yml"), Path(".git")]) == [Path(".git/d.yml")]


@pytest.mark.parametrize("name", ["gone.yml", "x" * 300, "\x1b[2J"])
def test_a_path_that_leads_nowhere_is_a_mistake_in_the_call(tmp_path, name):
    with pytest.raises(UsageError, match="there is no file or folder") as caught:
        find_campaign_files([tmp_path / name])
    assert "\x1b" not in caught.value.message


def test_a_folder_that_cannot_be_read_is_not_passed_over(tmp_path, monkeypatch):
    def walk(path, onerror):
        onerror(PermissionError(13, "Permission denied", str(path)))

    monkeypatch.setattr("os.walk", walk)
    with pytest.raises(UsageError, match=r"cannot read the folder .*: Permission denied"):
        find_campaign_files([tmp_path])


def test_two_files_with_one_name_are_a_problem_of_the_second(load):
    first = load(LEAST)
    second = replace(first, path=PurePosixPath("campaigns/y.yml"))
    other = replace(first, name="other", path=PurePosixPath("campaigns/z.yml"))
    [problem] = duplicate_names([first, other, second])
    assert str(problem).startswith(
        'campaigns/y.yml:1:1: campaign: found "promo", the name of campaigns/x.yml, expected'
    )


@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_any_change_of_a_file_gives_a_campaign_or_problems(load, data):
    start = data.draw(st.integers(0, len(SAMPLE)))
    end = data.draw(st.integers(start, min(len(SAMPLE), start + 40)))
    put_in = data.draw(
        st.text(max_size=8) | st.sampled_from(["[]", "{}", "~", "- ", "\n  ", "1", ": ", "<<: *a", "&a "])
    )
    text = (SAMPLE[:start] + put_in + SAMPLE[end:]).encode("utf-8", "surrogatepass")
    with suppress(FileProblems):
        assert load(text).name


def test_two_hundred_files_are_validated_well_within_two_seconds(load, empty_project, tmp_path):
    load(SAMPLE)
    started = clock.perf_counter()
    for _ in range(200):
        load_campaign(tmp_path / "campaigns" / "x.yml", empty_project)
    assert clock.perf_counter() - started < 4  # twice the promise, as the machine may be busy


def test_loading_imports_none_of_the_heavy_libraries():
    code = "import sys, runner.campaign_file, runner.project_file; print(*sys.modules)"
    modules = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    ).stdout.split()
    heavy = {
        "jsonschema",
        "phonenumbers",
        "duckdb",
        "pyarrow",
        "sqlglot",
        "aiohttp",
        "requests",
        "babel",
        "rich",
    }
    assert heavy.isdisjoint(modules)


@pytest.mark.parametrize(
    ("written", "parts", "group"),
    [
        ("10%", 100_000, "lebaran"),
        ("2.5%", 25_000, "lebaran"),
        ("0.0001%", 1, "lebaran"),
        ("99.9999%", 999_999, "lebaran"),
        ("{share: 5%, group: always_held_out}", 50_000, "always_held_out"),
    ],
)
def test_a_holdout_is_an_exact_share_of_the_campaigns_own_group_or_of_a_named_one(
    load, written, parts, group
):
    campaign = load(LEAST.replace("campaign: promo", "campaign: lebaran") + f"holdout: {written}\n")
    assert campaign.holdout == Holdout(parts=parts, group=group)


def test_caps_come_in_the_order_of_their_gates(load):
    guards = load(LEAST + "guards: {min_distance: 24h, frequency_cap: {messages: 2, per: 7d}}\n").guards
    assert guards.caps == (
        Cap(rule="frequency_cap", messages=2, per=timedelta(days=7)),
        Cap(rule="min_distance", messages=1, per=timedelta(hours=24)),
    )
