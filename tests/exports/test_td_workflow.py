from __future__ import annotations

import json
import random
import re
from dataclasses import replace
from datetime import datetime, timezone
from importlib.metadata import PackageNotFoundError
from types import SimpleNamespace

import pytest
import yaml

from runner.campaign_file import load_campaign
from runner.errors import UsageError
from runner.exports import requirements, td_workflow
from runner.exports.cron import workflow_cron
from runner.exports.folder import write_folder
from runner.exports.td_workflow import Options, TdPlace, export_files, private_files
from runner.plan import Git
from runner.project_file import load_project
from tests.conftest import ProjectFolder

RUNNER_YML = """\
ledger: postgresql://runner@db.example.com/runner
providers:
  ada: {url: "https://ada.example.com", sender: "60110000001", rate: "5/s"}
suppression: [lists/never.csv]
treasure_data: {site: jp01}
sandbox: {templates: templates.json, audiences: audiences.json}
"""

VIP = """\
campaign: vip
owner: crm@example.com
segment:
  source: treasure_data
  database: crm
  query_file: sql/vip.sql
recipient: {id: id, phone: phone, region: ID, consent: consent}
template: {name: promo, language: id}
schedule: {cron: "0 10 * * MON", timezone: Asia/Jakarta}
guards: {max_recipients: 100}
log: {treasure_data: {database: crm, table: whatsapp_log}}
"""

ACTIVATION = """\
  database: {param: activation_actions_db}
  table: {param: activation_actions_table}
"""

UNSCHEDULED = re.sub("schedule: .*\n", "", VIP)

SECRET = "${secret:"


@pytest.fixture
def project(tmp_path):
    folder = ProjectFolder(root=tmp_path)
    folder.write("runner.yml", RUNNER_YML)
    folder.write("lists/never.csv", "phone\n6281234567890\n")
    folder.write("campaigns/sql/vip.sql", "SELECT id, phone, consent FROM people")
    return folder


@pytest.fixture
def export(project):
    """Return a function that exports a campaign's text: the files by name, as text."""

    def make(text=VIP, *, runner_yml=RUNNER_YML, **options):
        project.write("runner.yml", runner_yml)
        path = project.write("campaigns/vip.yml", text)
        loaded = load_project(project.root)
        files = export_files(load_campaign(path, loaded), loaded, Options(**options))
        return {name: data.decode("utf-8", "replace") for name, data in files.items()}

    return make


@pytest.fixture
def refused(export):
    def make(text=VIP, **options):
        with pytest.raises(UsageError) as caught:
            export(text, **options)
        return f"{caught.value.message} | {caught.value.hint}"

    return make


def test_a_scheduled_campaign_is_one_task_with_its_cron_and_its_secrets(export):
    assert yaml.safe_load(export()["vip.dig"]) == {
        "timezone": "Asia/Jakarta",
        "schedule": {"cron>": "0 10 * * MON", "skip_on_overtime": True},
        "_error": {
            "mail>": {
                "data": "The campaign vip is red: attempt ${attempt_id}, session ${session_time}. "
                "Its log says why."
            },
            "subject": "Campaign vip is red",
            "to": ["crm@example.com"],
        },
        "+campaign": {
            "py>": "run_campaign.main",
            "docker": {"image": "treasuredata/customscript-python:3.12.11-td0"},
            "_env": {
                "TD_API_KEY": "${secret:td.apikey}",
                "ADA_API_KEY": "${secret:ada.apikey}",
                "PGPASSWORD": "${secret:ledger.password}",
                "TD_SESSION_ID": "${session_id}",
                "TD_ATTEMPT_ID": "${attempt_id}",
                "ADA_API_URL": "https://ada.example.com",
                "TD_SITE": "jp01",
            },
        },
    }


@pytest.mark.parametrize(
    ("schedule", "comment"),
    [
        ("{timezone: Asia/Jakarta}", "start it with"),
        ("{at: 2027-02-01T10:00, timezone: Asia/Tokyo}", "02-01 10:"),
    ],
)
def test_a_campaign_without_a_cron_has_no_schedule_and_says_how_to_start_it(export, schedule, comment):
    files = export(re.sub("schedule: .*", f"schedule: {schedule}", VIP))
    dig = yaml.safe_load(files["vip.dig"])
    assert "schedule" not in dig
    assert dig["timezone"] == re.search(r"Asia/\w+", schedule).group()
    assert comment in files["vip.dig"]
    assert json.loads(files["td_workflow.json"])["scheduled"] is False
    assert "Start it" in files["README.md"]


def test_a_campaign_without_a_zone_runs_on_utc(export):
    assert yaml.safe_load(export(re.sub("schedule: .*\n", "", VIP))["vip.dig"])["timezone"] == "UTC"


def test_a_cron_with_a_leading_star_stays_text(export):
    dig = yaml.safe_load(export(VIP.replace("0 10 * * MON", "*/15 * * * *"))["vip.dig"])
    assert dig["schedule"]["cron>"] == "*/15 * * * *"


def test_a_notice_goes_to_the_address_that_was_asked_for(export):
    files = export(notify_url="https://example.com/alerts")
    error = yaml.safe_load(files["vip.dig"])["_error"]
    assert error["http>"] == "https://example.com/alerts"
    assert (error["method"], error["content_format"]) == ("POST", "json")
    assert "vip" in error["content"]["text"]
    assert "http.uri" in files["README.md"]


def test_without_an_owner_or_address_there_is_no_error_task(export):
    files = export(VIP.replace("owner: crm@example.com\n", ""))
    assert "_error" not in yaml.safe_load(files["vip.dig"])
    assert "last updater" in files["vip.dig"]
    assert "last updater" in files["README.md"]


def test_what_an_activation_names_comes_from_the_session(export):
    files = export(re.sub("  database: crm\n  query_file: .*\n", ACTIVATION, UNSCHEDULED))
    assert yaml.safe_load(files["vip.dig"])["+campaign"]["params"] == {
        "activation_actions_db": "${activation_actions_db}",
        "activation_actions_table": "${activation_actions_table}",
    }
    assert "`activation_actions_db`, `activation_actions_table`" in files["README.md"]
    assert "campaigns/sql/vip.sql" not in files


def test_a_parameter_without_a_value_comes_from_the_session_and_one_with_a_value_does_not(export):
    with_params = UNSCHEDULED.replace(
        "\nrecipient", "\n  params: {least: {type: integer}, country: SG}\nrecipient"
    )
    assert yaml.safe_load(export(with_params)["vip.dig"])["+campaign"]["params"] == {"least": "${least}"}


def test_what_the_command_line_says_goes_into_the_task(export):
    files = export(
        image="example/python:1",
        ada_url="https://other.example.com",
        td=TdPlace("eu01", "https://api.eu01.treasuredata.com"),
        unsettled="green",
    )
    task = yaml.safe_load(files["vip.dig"])["+campaign"]
    assert task["docker"] == {"image": "example/python:1"}
    assert (task["_env"]["ADA_API_URL"], task["_env"]["TD_SITE"]) == ("https://other.example.com", "eu01")
    assert json.loads(files["td_workflow.json"])["unsettled"] == "green"
    assert "| green | 3 |" in files["README.md"]


def test_an_api_of_no_site_is_passed_on_by_its_address_but_no_sandbox(export):
    for api, expected in (("https://td.example.com", {"TD_API_SERVER"}), ("http://127.0.0.1:8081", set())):
        environment = yaml.safe_load(export(td=TdPlace(None, api))["vip.dig"])["+campaign"]["_env"]
        assert set(environment) & {"TD_SITE", "TD_API_SERVER"} == expected


def test_an_address_of_this_machine_and_an_unknown_site_are_left_out(export):
    here = RUNNER_YML.replace("https://ada.example.com", "http://127.0.0.1:9").replace("treasure_data", "#")
    environment = yaml.safe_load(export(runner_yml=here)["vip.dig"])["+campaign"]["_env"]
    assert set(environment) & {"ADA_API_URL", "TD_SITE"} == set()


def test_an_exported_project_is_a_sound_project(export, project, tmp_path_factory):
    files = export()
    folder = tmp_path_factory.mktemp("out")
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    loaded = load_project(folder)
    campaign = load_campaign(folder / "campaigns/vip.yml", loaded)
    assert campaign.segment.query.startswith("SELECT id")
    assert private_files(loaded) == {"lists/never.csv"}
    assert sorted(files) == json.loads(files["td_workflow.json"])["files"]


@pytest.mark.parametrize(
    ("git", "words"),
    [
        (None, "outside git"),
        (Git(commit="c0ffee", dirty=False), "commit c0ffee"),
        (Git(commit="c0ffee", dirty=True), "commit c0ffee and changes that are not committed"),
    ],
)
def test_the_files_say_which_commit_they_come_from(export, git, words):
    files = export(git=git)
    assert json.loads(files["td_workflow.json"])["commit"] == words
    assert f"# Exported from: {words}.\n" in files["vip.dig"]
    assert f"({words})." in files["README.md"]


def test_the_readme_says_what_a_task_of_a_day_cannot_do_and_who_sees_the_lists(export):
    assert "kills a task" not in export()["README.md"]
    assert "`lists/never.csv`" in export()["README.md"]
    files = export(VIP.replace("max_recipients: 100", "max_recipients: 500000"))
    assert "432,000 messages" in files["README.md"]
    unlimited = RUNNER_YML.replace("https://ada.example.com", "http://127.0.0.1:9").replace(
        "5/s", "unlimited"
    )
    assert "kills a task" not in export(runner_yml=unlimited)["README.md"]
    without = RUNNER_YML.replace("suppression: [lists/never.csv]\n", "")
    assert "never to be messaged" not in export(runner_yml=without)["README.md"]


def test_queries_for_sends_made_elsewhere_go_along(export, project):
    project.write("sql/sms.sql", "SELECT phone, sent_at FROM sms\n")
    history = "history: [{source: treasure_data, database: crm, query_file: sql/sms.sql}]\n"
    assert export(runner_yml=RUNNER_YML + history)["sql/sms.sql"] == "SELECT phone, sent_at FROM sms\n"


def test_sends_made_elsewhere_in_files_of_this_machine_are_refused_where_a_cap_needs_them(export, refused):
    runner_yml = RUNNER_YML + "history: [{source: duckdb, query: SELECT 1}]\n"
    assert export(runner_yml=runner_yml)
    capped = VIP.replace("guards: {", "guards: {min_distance: 24h, ")
    assert capped != VIP
    assert "has a cap, and the `history` of runner.yml reads files" in refused(capped, runner_yml=runner_yml)


def test_a_project_above_what_td_workflow_takes_is_refused(refused, project, monkeypatch):
    monkeypatch.setattr(td_workflow, "_MOST_BYTES", 20_000)
    project.write("lists/never.csv", "".join(f"{random.Random(n).random()}\n" for n in range(5000)))
    assert "most of it lists/never.csv" in refused()


def test_the_same_export_gives_the_same_bytes(export):
    assert export() == export()


def test_what_the_schedule_leaves_out_is_left_to_the_task_and_holidays_are_installed(export):
    away = "exclude: [2026-12-24], holidays: ID, timezone"
    files = export(VIP.replace("timezone", away, 1))
    assert yaml.safe_load(files["vip.dig"])["schedule"]["cron>"] == "0 10 * * MON"
    assert files["requirements.txt"].startswith("campaign-runner[holidays,postgres]==")
    assert "\nholidays==" in files["requirements.txt"]
    assert "`exclude` or `holidays` leave out" in files["README.md"]
    assert "holidays" not in export()["requirements.txt"]


def test_keys_and_channels_that_are_set_here_are_passed_on_by_their_secrets(export):
    passed_on = frozenset({"RUNNER_FORGET_KEY", "RUNNER_PLAN_KEY"})
    files = export(passed_on=passed_on)
    environment = yaml.safe_load(files["vip.dig"])["+campaign"]["_env"]
    assert environment["RUNNER_FORGET_KEY"] == "${secret:runner.forget_key}"
    assert environment["RUNNER_PLAN_KEY"] == "${secret:runner.plan_key}"
    assert "| `runner.plan_key` |" in files["README.md"]
    assert "[encryption,postgres]" in files["requirements.txt"]
    assert "\ncryptography==" in files["requirements.txt"]
    # A workflow fails that refers to a secret it has not.
    assert not {name for name in environment if "NOTIFY" in name}
    assert "runner." not in export()["vip.dig"].replace("runner export", "")


@pytest.mark.parametrize("where", ["campaign", "project"])
def test_a_campaign_that_tells_people_gets_their_addresses(export, where):
    notify = "notify: {on: [failed]}\n"
    files = export(VIP + notify) if where == "campaign" else export(runner_yml=f"{RUNNER_YML}{notify}")
    environment = yaml.safe_load(files["vip.dig"])["+campaign"]["_env"]
    assert environment["RUNNER_NOTIFY_URLS"] == "${secret:runner.notify_urls}"
    assert "| `runner.notify_urls` |" in files["README.md"]


@pytest.mark.parametrize(
    ("zone", "cron", "days"),
    [
        ("Asia/Jakarta", "* * * * *", []),
        ("Europe/Berlin", "0 10 * * *", []),
        ("Europe/Berlin", "30 2 * * *", ["2027-03-28", "2027-10-31", "2028-03-26", "2028-10-29"]),
        ("Europe/Berlin", "30 2 * * MON", []),
    ],
)
def test_the_readme_says_when_clocks_change_while_the_campaign_fires(export, zone, cron, days):
    text = VIP.replace("0 10 * * MON", cron).replace("Asia/Jakarta", zone)
    readme = export(text, since=datetime(2026, 11, 25, 12, tzinfo=timezone.utc))["README.md"]
    assert re.findall(r"20\d\d-\d\d-\d\d", readme) == days
    assert ("runner calendar" in readme) == bool(days)


def test_no_file_holds_a_secret(export, monkeypatch):
    secrets = {"TD_API_KEY": f"1/{'a' * 40}", "ADA_API_KEY": "kkk.kkk.kkk", "PGPASSWORD": "hunter2hunter2"}
    secrets |= {name: f"{name.lower()}-hunter2" for name in td_workflow.OPTIONAL}
    for name, value in secrets.items():
        monkeypatch.setenv(name, value)
    files = export(passed_on=frozenset(td_workflow.OPTIONAL))
    for text in files.values():
        assert not [value for value in secrets.values() if value in text]
    environment = yaml.safe_load(files["vip.dig"])["+campaign"]["_env"]
    assert all(environment[name].startswith(SECRET) for name in secrets)


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("  source: treasure_data\n  database: crm", "  source: duckdb", "the container has none"),
        ("guards: {max_recipients: 100}\n", "", "guards.max_recipients"),
        ("log: {", "log: {csv: {folder: out}, ", "its csv log would be lost"),
        ("0 10 * * MON", "0 10 13 * FRI", "`13` and `FRI` together"),
        ("crm@example.com", "a${x}@example.com", "the owner holds characters"),
        ("  query_file: sql/vip.sql", "  table: {param: its_table}", "a schedule starts brings no its_table"),
    ],
)
def test_a_campaign_that_cannot_run_there_is_refused(refused, old, new, words):
    assert old in VIP
    assert words in refused(VIP.replace(old, new))


@pytest.mark.parametrize(
    ("ledger", "words"),
    [
        ("sqlite:///.runner/ledger.db", "the container forgets its disk"),
        ("postgresql://runner@localhost/runner", "the ledger is on this machine"),
        ("postgresql://runner@127.0.0.1:5432/runner", "the ledger is on this machine"),
        ("postgresql://runner@[::1]:5432/runner", "the ledger is on this machine"),
        ("postgresql:///runner", "the ledger is on this machine"),
        ("postgresql://runner@/runner?host=/var/run/postgresql", "the ledger is on this machine"),
        ("postgresql://runner@db.example.com,localhost:5433/runner", "the ledger is on this machine"),
        ("postgresql://u@h/d?password=hunter2", "holds a password"),
    ],
)
def test_a_ledger_that_the_container_cannot_keep_is_refused(refused, ledger, words):
    text = refused(runner_yml=RUNNER_YML.replace("postgresql://runner@db.example.com/runner", ledger))
    assert words in text
    assert "hunter2" not in text


def test_a_password_in_the_ledgers_address_is_refused(project, export):
    export()
    loaded = load_project(project.root)
    campaign = load_campaign(project.root / "campaigns/vip.yml", loaded)
    with pytest.raises(UsageError, match="holds a password"):
        export_files(campaign, replace(loaded, ledger="postgresql://u:hunter2@h/d"), Options())


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"notify_url": "http://example.com"}, "no address with https"),
        ({"notify_url": "https://hooks.slack.com/services/T0/B0/x"}, "looks like a secret"),
        ({"notify_url": "https://example.com/?token=x"}, "looks like a secret"),
        ({"notify_url": "https://u:p@example.com/"}, "looks like a secret"),
        ({"notify_url": "https://example.com/${x}"}, "--notify-url holds characters"),
        ({"image": "a\nb"}, "--image holds characters"),
        ({"ada_url": "https://u:p@example.com/"}, "the provider's address holds a secret"),
    ],
)
def test_what_would_put_a_secret_or_a_script_into_a_file_is_refused(refused, options, words):
    assert words in refused(**options)


def test_a_project_file_with_the_name_of_an_exported_one_is_refused(refused, project):
    project.write("requirements.txt", "phone\n")
    listed = RUNNER_YML.replace("lists/never.csv", "requirements.txt")
    assert "requirements.txt has the name" in refused(runner_yml=listed)


def test_a_wheel_is_copied_and_installed_from_its_folder(export, tmp_path):
    wheel = tmp_path / "campaign_runner-0.1.0-py3-none-any.whl"
    wheel.write_bytes(b"PK")
    files = export(wheel=wheel)
    assert files[wheel.name] == "PK"
    assert files["requirements.txt"].splitlines()[0] == f"./{wheel.name}[postgres]"


# The crons that cron4j, which TD Workflow reads them with, understands otherwise than cronsim.
@pytest.mark.parametrize(
    "cron",
    [
        "0 10 1 * MON",
        "5/15 * * * *",
        "0 10 * * MON#1",
        "0 10 * * 5L",
        "0 10 LW * *",
        "0 10 * * 0-7",
        "0 10 * * 1-7/2",
        "0,5/15 * * * *",
    ],
)
def test_a_cron_that_would_fire_at_other_moments_is_refused(cron):
    with pytest.raises(UsageError, match="differently"):
        workflow_cron(cron)


@pytest.mark.parametrize(
    ("cron", "written"),
    [
        ("0  10 * * mon", "0 10 * * MON"),
        ("*/15 8-20/2 * JAN-MAR,12 *", "*/15 8-20/2 * JAN-MAR,12 *"),
        ("0 10 L * *", "0 10 L * *"),
        ("0 10 */2 * MON-FRI", "0 10 */2 * MON-FRI"),
        ("0 0-7 * * 7", "0 0-7 * * 7"),
    ],
)
def test_a_cron_that_fires_alike_is_kept(cron, written):
    assert workflow_cron(cron) == written


PACKAGES = {
    "campaign-runner": (
        "9.9",
        [
            "click==8.0",
            "old==1; python_version < '3.0'",
            "psycopg[binary]==3.0; extra == 'postgres'",
            "lint==1; extra == 'dev'",
            "uv==1; sys_platform != 'win32' and extra == 'postgres'",
        ],
    ),
    "click": ("8.0", ["colour_ama>=1"]),
    "colour-ama": ("1.5", None),
    "psycopg": ("3.0", ["psycopg-binary==3.0; extra == 'binary'", "click", "tests; extra == 'test'"]),
    "psycopg-binary": ("3.0", ["psycopg[binary]"]),
    "lint": ("1", None),
    "tests": ("1", None),
}


def packages(name):
    if name not in PACKAGES:
        raise PackageNotFoundError(name)
    version, requires = PACKAGES[name]
    return SimpleNamespace(version=version, requires=requires)


def test_requirements_are_the_products_own_and_the_rest_is_pinned_to_what_runs_here(monkeypatch):
    monkeypatch.setattr(requirements, "distribution", packages)
    monkeypatch.setattr(requirements, "__version__", "9.9")
    pinned = requirements.pins()
    assert pinned.requirements == (
        "campaign-runner[postgres]==9.9",
        "click==8.0",
        "old==1; python_version < '3.0'",
        "psycopg[binary]==3.0",
        "uv==1; sys_platform != 'win32'",
    )
    assert pinned.constraints == ("colour-ama==1.5", "psycopg-binary==3.0")


def test_a_product_that_is_not_installed_cannot_be_pinned(monkeypatch):
    monkeypatch.setattr(requirements, "PRODUCT", "no-such-package")
    with pytest.raises(UsageError, match="not installed here"):
        requirements.pins()


def write(folder, files, *, force=False, private=frozenset()):
    manifest = json.dumps({"files": sorted([*files, "m.json"])})
    data = {name: text.encode() for name, text in {**files, "m.json": manifest}.items()}
    write_folder(folder, data, manifest="m.json", private=private, force=force)


def test_files_with_phones_are_for_the_owner_only(tmp_path):
    write(tmp_path / "a/b", {"lists/x.csv": "1", "y": "2"}, private=frozenset({"lists/x.csv"}))
    assert (tmp_path / "a/b/lists/x.csv").stat().st_mode & 0o777 == 0o600
    assert (tmp_path / "a/b/y").stat().st_mode & 0o400


def test_force_replaces_what_an_export_wrote_and_keeps_the_rest(tmp_path):
    write(tmp_path, {"a": "1", "old/b": "1"})
    (tmp_path / "mine").write_text("mine")
    write(tmp_path, {"a": "2"}, force=True)
    assert (tmp_path / "a").read_text() == "2"
    assert (tmp_path / "mine").read_text() == "mine"
    assert not (tmp_path / "old/b").exists()


def test_force_leaves_alone_what_a_link_leads_to(tmp_path):
    write(tmp_path / "out", {"a": "1"})
    (tmp_path / "precious").write_text("precious")
    (tmp_path / "out/a").unlink()
    (tmp_path / "out/a").symlink_to(tmp_path / "precious")
    write(tmp_path / "out", {"a": "2"}, force=True)
    assert (tmp_path / "precious").read_text() == "precious"
    assert (tmp_path / "out/a").read_text() == "2"


@pytest.mark.parametrize(
    "manifest", ["{", "[]", '{"files": ["../x"]}', '{"files": [1]}', '{"files": ["/x"]}']
)
def test_force_believes_no_damaged_manifest(tmp_path, manifest):
    (tmp_path / "m.json").write_text(manifest)
    with pytest.raises(UsageError, match="damaged"):
        write(tmp_path, {"a": "1"}, force=True)


def test_force_replaces_no_file_of_somebody_else(tmp_path):
    (tmp_path / "a").write_text("mine")
    with pytest.raises(UsageError, match="was not written by an export"):
        write(tmp_path, {"a": "1"}, force=True)
    assert [path.name for path in tmp_path.iterdir()] == ["a"]


def test_a_link_on_the_way_leads_nowhere_else(tmp_path):
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "out").mkdir()
    (tmp_path / "out/lists").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(UsageError, match="lists is not a folder"):
        write(tmp_path / "out", {"lists/x": "1"}, force=True)


def test_a_folder_with_something_in_it_and_a_file_are_refused(tmp_path):
    (tmp_path / "a").write_text("mine")
    with pytest.raises(UsageError, match="not empty"):
        write(tmp_path, {"b": "1"})
    with pytest.raises(UsageError, match="is not a folder"):
        write(tmp_path / "a", {"b": "1"})
