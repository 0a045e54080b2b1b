"""What is wrong in a campaign file: each problem at its position, in plain words, all of them at once."""

from __future__ import annotations

import pytest

from tests.conftest import LEAST


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        (b"", "1:1: found an empty file, expected keys and values, such as `key: value`"),
        (b"# nothing\n", "1:1: found an empty file, expected keys and values, such as `key: value`"),
        ("- a\n- b\n", "1:1: found a list, expected a mapping with keys such as `campaign`"),
        ("just text\n", '1:1: found "just text", expected a mapping with keys such as `campaign`'),
        ("42\n", "1:1: found the number 42, expected a mapping with keys such as `campaign`"),
        ("~\n", "1:1: found nothing, expected a mapping with keys such as `campaign`"),
        ("campaign:\n\tname: x\n", "2:1: found a tab, expected spaces for indentation"),
        (b"campaign: caf\xe9\n", "1:14: found the byte 0xE9, which is not UTF-8, expected UTF-8"),
        (b"x" * 1_000_001, "1:1: found a file of more than 1 MB, expected at most 1,000,000 bytes"),
        (
            LEAST + "campaign: b\n",
            "5:1: campaign: found a second `campaign`, expected each key once (the first is in line 1)",
        ),
        (LEAST + "variabels: []\n", "5:1: variabels: found an unknown key, expected one of campaign, "),
        (LEAST + "variabels: []\n", "(did you mean `variables`?)"),
        (LEAST + "timezone: Asia/Jakarta\n", "5:1: timezone: found an unknown key"),
        (LEAST + "timezone: Asia/Jakarta\n", "(`timezone` belongs under `recipient` or `schedule`)"),
        (LEAST + "variables: x\n", '5:12: variables: found "x", expected a list'),
        (
            LEAST + "variables: [x]\n",
            '5:13: variables[0]: found "x", expected a mapping with keys such as `column`',
        ),
        (
            LEAST + "variables: [{text: 25}]\n",
            "5:20: variables[0].text: found the number 25, expected text on one line",
        ),
        (LEAST + "variables: [{text: 25}]\n", '(write it in quotes: "25")'),
        (LEAST + "variables: [{text: 0x1F}]\n", '(write it in quotes: "0x1F")'),
        (LEAST + "variables: [{text: true}]\n", "variables[0].text: found true"),
        (
            LEAST + "variables: [{text: 'a\tb'}]\n",
            '5:20: variables[0].text: found "a\\tb", expected text on one line',
        ),
        (LEAST + "variables: [{text: ''}]\n", "found an empty text, expected text on one line"),
        (
            LEAST + "variables: [{}]\n",
            "5:13: variables[0]: found neither `column` nor `text`, expected `column` or `text`",
        ),
        (
            LEAST + "variables: [{column: a, text: b}]\n",
            "5:25: variables[0].text: found both `column` and `text`, expected one",
        ),
        (LEAST + "variables: [{colum: a}]\n", "5:14: variables[0].colum: found an unknown key"),
        (
            LEAST + "variables: [{column: a, transform: titel}]\n",
            '5:36: variables[0].transform: found "titel", expected `title`,',
        ),
        (LEAST + "variables: [{column: a, transform: titel}]\n", "(did you mean `title`?)"),
        (
            LEAST + "variables: [{column: a, transform: [trim, x]}]\n",
            '5:43: variables[0].transform[1]: found "x"',
        ),
        (
            LEAST + "variables: [{column: a, transform: 3}]\n",
            "found the number 3, expected title, upper, lower or trim, or a",
        ),
        (
            LEAST + "variables: [{column: a, max_length: 0}]\n",
            "found the number 0, expected a whole number from 1 to 1024",
        ),
        (
            LEAST + f"variables: [{{text: {'x' * 2001}}}]\n",
            "found a text of 2,001 characters, expected at most 2,000",
        ),
        (
            LEAST.replace("promo", "Promo 2026"),
            '1:11: campaign: found "Promo 2026", expected lower-case letters, digits',
        ),
        (LEAST.replace("promo", "2026"), "1:11: campaign: found the number 2026, expected lower-case"),
        (
            LEAST.replace(", consent: c", ""),
            "3:12: recipient.consent: found nothing, expected the name of a column (the key is",
        ),
        (
            LEAST.replace("consent: c", "consent: "),
            "recipient.consent: found nothing, expected the name of a column",
        ),
        (LEAST.replace("consent: c", "consent:"), "3:37: found a `:` without a space behind it"),
        (LEAST.replace("consent: c", "consent: c, region: IDN"), "(did you mean `ID`?)"),
        (
            LEAST.replace("consent: c", "consent: c, region: UK"),
            'found "UK", expected the two capital letters of a country',
        ),
        (
            LEAST.replace("language: id", "language: 1"),
            "4:31: template.language: found the number 1, expected a language code",
        ),
        (
            LEAST.replace("source: duckdb", "source: duck"),
            'found "duck", expected `duckdb`, `treasure_data` or',
        ),
        (
            LEAST.replace("duckdb", "treasure_data"),
            "2:10: segment.database: found nothing, expected a database such as crm",
        ),
        (
            LEAST.replace("query: SELECT 1", "query: SELECT 1, engine: trino"),
            "segment.engine: found `engine`, expected no such key for the source `duckdb` "
            "(it belongs to the source `treasure_data`)",
        ),
        (
            LEAST.replace("source: duckdb, query: SELECT 1", "source: audience_studio, query: SELECT 1"),
            "segment.query: found `query`, expected no such key for the source `audience_studio` "
            "(it belongs to the source `duckdb` or `treasure_data`)",
        ),
        (
            LEAST.replace("source: duckdb, query: SELECT 1", "source: audience_studio, segment: Shoppers"),
            "segment.segment: found `segment` without `parent_segment`, expected both or neither",
        ),
        (
            LEAST.replace(
                "source: duckdb, query: SELECT 1", "source: treasure_data, table: crm.people, params: {A: 1}"
            ),
            'segment.params.A: found the name "A", expected lower-case letters, digits and underscores',
        ),
        (
            LEAST.replace(
                "source: duckdb, query: SELECT 1",
                "source: treasure_data, table: crm.people, params: {a: [1, x]}",
            ),
            "segment.params.a: found 'x' is no integer, expected values of one type",
        ),
        (
            LEAST + "log: {csv: {folder: ../x}}\n",
            'log.csv.folder: found "../x", expected a path below its folder, without `..`',
        ),
        (
            LEAST.replace(", query: SELECT 1", ""),
            "2:10: segment: found neither `query`, `query_file`, `table` nor `segment`",
        ),
        (
            LEAST.replace("query: SELECT 1", "query: '  '"),
            '2:34: segment.query: found "  ", expected one SELECT',
        ),
        (
            LEAST.replace("language: id", "language: id, header: {}"),
            "4:43: template.header: found neither `media` nor `variables`",
        ),
        (
            LEAST.replace("language: id", "language: id, header: {file_name: a, variables: [{text: a}]}"),
            "4:44: template.header.file_name: found `file_name` without `media`, expected both or neither",
        ),
        (
            LEAST.replace(
                "language: id",
                "language: id, buttons: [{index: 0, url: {text: a}}, {index: 0, url: {text: b}}]",
            ),
            "template.buttons[1].index: found the number 0 a second time, expected each button once",
        ),
        (LEAST + "owner: crm\n", '5:8: owner: found "crm", expected a mail address'),
        (
            LEAST + "delivery: {priority: 0}\n",
            "5:22: delivery.priority: found the number 0, expected a whole number from 1 to 10",
        ),
        (LEAST + "delivery: {priority: 11}\n", "the number 11, expected a whole number from 1 to 10"),
        (LEAST + "delivery: {priority: 1.5}\n", "the number 1.5, expected a whole number from 1 to 10"),
        (LEAST + "delivery: {priority: high}\n", 'found "high", expected a whole number from 1 to 10'),
        (LEAST + "delivery: {priorty: 3}\n", "did you mean `priority`?"),
        (
            LEAST + "guards: {max_recipients: 0}\n",
            "found the number 0, expected a whole number of at least 1",
        ),
        (
            LEAST + "guards: {max_recipients: 1.5}\n",
            "found the number 1.5, expected a whole number of at least 1",
        ),
        (
            LEAST + "guards: {max_failed: 5 %}\n",
            'found "5 %", expected a whole number, or a share such as 30%',
        ),
        (
            LEAST + "guards: {max_failed: 101%}\n",
            'found "101%", expected a whole number, or a share such as 30%',
        ),
        (
            LEAST + "guards: {canary: {size: 0, wait: 30m, max_failed: 1}}\n",
            "5:25: guards.canary.size: found the number 0, expected a whole number of at least 1",
        ),
        (
            LEAST + "guards: {canary: {size: 5, wait: 30, max_failed: 1}}\n",
            "guards.canary.wait: found the number 30, expected a time such as 30m or 2h",
        ),
        (LEAST + "guards: {canary: {size: 5, wait: 30m}}\n", "guards.canary"),
        (LEAST + "guards: {max_failed: -1}\n", "found the number -1, expected a whole number of at least 0"),
        (
            LEAST + "guards: {min_distance: 0h}\n",
            '5:24: guards.min_distance: found "0h", expected a time such as 24h or 3d',
        ),
        (
            LEAST + "guards: {min_distance: 24}\n",
            "5:24: guards.min_distance: found the number 24, expected a time such as 24h or 3d",
        ),
        (
            LEAST + "holdout: 100%\n",
            '5:10: holdout: found "100%", expected a share above 0% and below 100% such as 10%',
        ),
        (LEAST + "holdout: 0%\n", '5:10: holdout: found "0%", expected a share above 0% and below 100%'),
        (LEAST + "holdout: 0.0000%\n", 'holdout: found "0.0000%", expected a share above 0%'),
        (LEAST + "holdout: 0.00001%\n", 'holdout: found "0.00001%", expected a share above 0%'),
        (LEAST + "holdout: -5%\n", 'holdout: found "-5%", expected a share above 0%'),
        (LEAST + "holdout: ten%\n", 'holdout: found "ten%", expected a share above 0%'),
        (LEAST + "holdout: 0.1\n", "holdout: found the number 0.1, expected a share above 0% and below 100%"),
        (LEAST + "holdout: {share: 5%}\n", "holdout.group: found nothing, expected lower-case letters"),
        (
            LEAST + "holdout: {share: 100%, group: all}\n",
            '5:18: holdout.share: found "100%", expected a share above 0% and below 100% such as 10%',
        ),
        (LEAST + "holdout: {share: 5%, grup: all}\n", "(did you mean `group`?)"),
        (
            LEAST + "guards: {frequency_cap: {messages: 1, per: 0d}}\n",
            'found "0d", expected a time such as 7d or 24h',
        ),
        (
            LEAST + "log: {csv: {folder: x, formulas: {}}}\n",
            "log.csv.formulas: found an empty mapping, expected",
        ),
        (LEAST + "notify: {on: []}\n", "5:14: notify.on: found a list of 0, expected at least 1"),
        (
            LEAST + "notify: {on: [failed, failed]}\n",
            '5:23: notify.on[1]: found "failed" a second time, expected each of them',
        ),
        (LEAST + "notify: {on: [finish]}\n", "(did you mean `finished`?)"),
        (
            LEAST + "delivery: {provider: adda}\n",
            '5:22: delivery.provider: found "adda", expected a provider of runner.yml: ada',
        ),
        (LEAST + "schedule: {timezone: Asia/Jakata}\n", "(did you mean `Asia/Jakarta`?)"),
        (LEAST + "schedule: {timezone: localtime}\n", "5:22: schedule.timezone: found "),
        (LEAST + "schedule: {timezone: Asia}\n", "5:22: schedule.timezone: found "),
        (LEAST + "schedule: {timezone: ../UTC}\n", "5:22: schedule.timezone: found "),
        (
            LEAST + "schedule: {at: 2026-03-20T10:00}\n",
            "5:11: schedule.timezone: found nothing, expected a time zone such as",
        ),
        (LEAST + "schedule: {at: 2026-03-20T10:00}\n", "(`at` needs one, and runner.yml names none)"),
        (
            LEAST + "schedule: {window: 08:00-09:00, cron: 0 10 * * *}\n",
            "(`cron` needs one, and",
        ),
        (LEAST + "schedule: {timezone: UTC, window: 08:00-08:00}\n", "found a window of no length"),
        (LEAST + "schedule: {timezone: UTC, window: 8-20}\n", 'found "8-20", expected hours as HH:MM-HH:MM'),
        (
            LEAST + "schedule: {timezone: UTC, at: 2026-03-20 10:00}\n",
            "expected a local date and time such as 2026-03-20T10:00",
        ),
        (
            LEAST + "schedule: {timezone: UTC, at: 2026-03-20T10:00Z}\n",
            "expected a local date and time such as 2026-03-20T10:00",
        ),
        (
            LEAST + "schedule: {timezone: UTC, at: 2026-02-30T10:00}\n",
            "expected a date and time of the calendar (day is out of",
        ),
        (
            LEAST + "schedule: {timezone: UTC, at: 2026-02-20T25:00}\n",
            "expected a date and time of the calendar (hour must be",
        ),
        (
            LEAST + "schedule: {timezone: UTC, at: 2026-03-20T10:00, cron: 0 10 * * *}\n",
            "5:49: schedule.cron: found both `at` and `cron`, expected one of them",
        ),
        (
            LEAST + "schedule: {timezone: UTC, cron: 0 0 10 * * MON}\n",
            "found 6 fields, expected five fields such as 0 10 * * MON",
        ),
        (LEAST + "schedule: {timezone: UTC, cron: '@daily'}\n", "found 1 field, expected five fields"),
    ],
)
def test_a_problem_says_where_it_is_what_was_found_and_what_was_expected(problems, text, problem):
    lines = problems(text)
    assert problem in lines[0]
    assert len(lines) == 1


def test_a_campaign_without_a_provider_needs_the_one_that_this_means(problems):
    [line] = problems(LEAST, providers={})
    assert '1:1: delivery.provider: found nothing, which means "ada", expected a provider, but' in line


def test_all_problems_of_a_file_come_at_once_in_the_order_of_their_places(problems):
    text = (
        "campaign: Promo\nsegment:\n  source: duckdb\n  query: SELECT 1\n  query_file: x.sql\n"
        "recipient:\n  id: 5\n  phone: p\n  phone: q\ntemplate: {name: t, langage: id}\n"
        "schedule: {timezone: Asia/Jakata, cron: 1 2 3}\nguards: {max_recipients: many}\nextra: 1\n"
    )
    assert [line.split(": found")[0] for line in problems(text)] == [
        "1:11: campaign",
        "5:3: segment.query_file",
        "7:3: recipient.consent",
        "7:7: recipient.id",
        "9:3: recipient.phone",
        "10:21: template.langage",
        "11:22: schedule.timezone",
        "11:41: schedule.cron",
        "12:26: guards.max_recipients",
        "13:1: extra",
    ]
