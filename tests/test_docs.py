"""The documents say what the product does: commands, options, links, examples, keys, names."""

from __future__ import annotations

import json
import re
import shlex
import shutil
import zipfile
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import click
import pytest

from runner import __version__
from runner.campaign_file import load_campaign
from runner.cli.main import cli
from runner.errors import ExitCode
from runner.ledger import open_ledger
from runner.plan import REASONS
from runner.project_file import load_project
from runner.providers.ada_outcomes import RULES
from runner.sandbox.faults import FaultKind, parse_fault
from tests.conftest import CAMPAIGN, ProjectFolder, Result, Run, SandboxProcess

ROOT = Path(__file__).parent.parent
READMES = [ROOT / "README.md", ROOT / "README.ja.md"]
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *ROOT.glob("campaigns/*.md")])

_FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_INLINE = re.compile(r"`([^`\n]+)`")
_LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
_RUNNER = re.compile(r"(?:^|[\s;&|])(?:\.venv/bin/)?runner (.+)")
_NEVER_HERE = re.compile(
    r"(?<![\w.*-])/(?:root|home|work|tmp|Users|mnt|srv)/|pypi\.org|npmjs|pythonhosted|proxy\.golang"
)
#: Mappings whose keys are data: reasons, rules, answers.
_DATA_KEYED = {
    *("rejected", "refused_by_rule", "answers", "document", "versions", "files"),
    *("facts", "parameters", "receipts", "details"),
    *("columns", "by_status", "by_reason", "matched_by", "unknown_statuses"),
}

#: A fenced block of another language would hide its commands from these tests.
LANGUAGES = {"sh", "yaml", "json", "text", "markdown", "sql", "ini", "nginx"}

by_name = pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))


def text_of(page: Path) -> str:
    return page.read_text(encoding="utf-8")


def prose_of(page: Path) -> str:
    """Return the page without its fenced blocks."""
    return _FENCE.sub("", text_of(page))


def blocks_of(page: Path, *languages: str) -> list[str]:
    return [body for language, body in _FENCE.findall(text_of(page)) if language in languages]


def words_in_code(markdown: str) -> set[str]:
    """Return every word that stands in an inline code span."""
    return {word for span in _INLINE.findall(markdown) for word in re.findall(r"\w+", span)}


def section(page: Path, heading: str) -> str:
    """Return the part of a page below the heading that begins with `heading`."""
    parts = re.split(r"^#+ ", text_of(page), flags=re.MULTILINE)
    found = [part for part in parts if part.startswith(heading)]
    assert len(found) == 1, f"{page.name}: {len(found)} headings begin with {heading!r}"
    return found[0]


def block_commands(page: Path, *languages: str) -> Iterator[list[str]]:
    """Yield the arguments of every `runner` command in the page's blocks of these languages."""
    for block in blocks_of(page, *languages):
        for line in block.splitlines():
            match = None if line.lstrip().startswith("#") else _RUNNER.search(line)
            if match:
                yield shlex.split(re.split(r"[|;>]|&&", match.group(1))[0], comments=True)


def inline_commands(page: Path) -> Iterator[list[str]]:
    for span in _INLINE.findall(prose_of(page)):
        if span.startswith("runner "):
            yield shlex.split(span)[1:]


def context_of(command: click.Command) -> click.Context:
    """Return a context as the command line makes one: click keeps a command's help option for good."""
    return click.Context(command, help_option_names=["-h", "--help"])


def check_command(arguments: list[str], *, whole: bool) -> None:
    """Let click parse a command, without running it; a command that is only named need not be whole."""
    group: click.Command = cli
    while isinstance(group, click.Group):
        context = context_of(group)
        if not arguments or arguments[0].startswith("-"):
            names = {name for param in group.get_params(context) for name in param.opts}
            assert set(arguments) <= names, arguments
            return
        name, *arguments = arguments
        found = group.get_command(context, name)
        assert found is not None, f"there is no command {name!r}"
        group = found
    try:
        group.make_context(group.name or "", list(arguments), parent=context_of(cli))
    except click.exceptions.Exit:
        return
    except click.MissingParameter:
        assert not whole, arguments


def commands() -> dict[str, click.Command]:
    """Return every command by the words that call it: `templates list`."""
    found: dict[str, click.Command] = {}
    for name in cli.list_commands(context_of(cli)):
        command = cli.get_command(context_of(cli), name)
        assert command is not None
        if isinstance(command, click.Group):
            found |= {f"{name} {inner}": part for inner, part in command.commands.items()}
        else:
            found[name] = command
    return found


def options_of(command: click.Command) -> set[str]:
    params = command.get_params(context_of(command))
    return {opt for param in params for opt in param.opts if opt.startswith("--")}


def keys_in(value: Any) -> set[str]:
    """Return every key of a JSON document but those that are data."""
    if isinstance(value, list):
        return set().union(*(keys_in(item) for item in value))
    if not isinstance(value, dict):
        return set()
    inner = [keys_in(item) for key, item in value.items() if key not in _DATA_KEYED]
    return set(value).union(*inner)


def slug(heading: str) -> str:
    """Return the anchor that GitHub gives a heading."""
    plain = re.sub(r"[`*]|\[([^\]]*)\]\([^)]*\)", r"\1", heading.strip()).lower()
    return re.sub(r"[^\w\- ]", "", plain).replace(" ", "-")


@by_name
def test_every_command_in_a_shell_block_can_be_called(page):
    for arguments in block_commands(page, "sh"):
        check_command(arguments, whole=True)


@by_name
def test_every_fenced_block_says_its_language(page):
    assert {language for language, _ in _FENCE.findall(text_of(page))} <= LANGUAGES
    assert text_of(page).count("\n```") % 2 == 0


@by_name
def test_every_command_named_in_the_text_exists(page):
    for arguments in [*inline_commands(page), *block_commands(page, "yaml")]:
        check_command(arguments, whole=False)


@by_name
def test_every_option_named_in_the_text_exists(page):
    known = {"--help", "--version"}.union(*(options_of(command) for command in commands().values()))
    named = {span.split()[0].split("=")[0] for span in _INLINE.findall(prose_of(page)) if span[:2] == "--"}
    assert named <= known


@pytest.mark.parametrize("readme", READMES, ids=lambda page: page.name)
def test_every_command_is_in_the_readme(readme):
    named = {" ".join(arguments) for arguments in inline_commands(readme)}
    for name in commands():
        assert any(text == name or text.startswith(f"{name} ") for text in named), name


@by_name
def test_every_relative_link_leads_to_a_file_and_its_heading(page):
    for target in _LINK.findall(prose_of(page)):
        if re.match(r"[a-z]+:", target):
            continue
        name, _, anchor = target.partition("#")
        file = (page.parent / name).resolve() if name else page
        assert file.exists(), target
        if anchor:
            headings = re.findall(r"^#+ (.+)$", prose_of(file), re.MULTILINE)
            assert anchor in {slug(heading) for heading in headings}, target


@by_name
def test_no_page_names_a_place_of_one_machine_or_a_package_registry(page):
    assert _NEVER_HERE.search(text_of(page)) is None


@pytest.mark.parametrize("readme", READMES, ids=lambda page: page.name)
def test_the_readme_sets_up_with_exactly_two_make_commands(readme):
    targets = re.findall(r"^(\w+):", text_of(ROOT / "Makefile"), re.MULTILINE)
    assert blocks_of(readme, "sh")[0] == "make demo\nmake test\n"
    assert {"demo", "test"} <= set(targets)


@pytest.mark.parametrize("readme", READMES, ids=lambda page: page.name)
def test_the_campaign_in_the_readme_has_ten_lines_and_no_problem(readme, example_project):
    (text,) = blocks_of(readme, "yaml")
    assert len(text.splitlines()) == 10
    path = example_project / "campaigns" / "points_reminder.yml"
    path.write_text(text, encoding="utf-8")
    assert load_campaign(path, load_project(example_project)).name == "points_reminder_2026"


@pytest.fixture
def example_project(tmp_path: Path) -> Path:
    """A copy of this repository's own project."""
    shutil.copy(ROOT / "runner.yml", tmp_path)
    for folder in ("campaigns", "data", "lists"):
        shutil.copytree(ROOT / folder, tmp_path / folder)
    return tmp_path


def test_the_plan_in_the_readmes_is_what_the_command_prints(example_project, run, monkeypatch):
    monkeypatch.chdir(example_project)
    command = next(command for command in block_commands(READMES[0], "sh") if command[0] == "plan")
    printed = iter(run(*command).out.splitlines())
    pictures = [next(iter(blocks_of(readme, "text"))) for readme in READMES]
    assert pictures[0] == pictures[1]
    for line in pictures[0].splitlines():
        if not line.startswith(("Last one", "digest")) and " people in " not in line:
            assert line in printed, line


def test_the_comment_in_the_review_page_is_what_the_command_prints(example_project, run, monkeypatch):
    monkeypatch.chdir(example_project)
    page = ROOT / "docs/review.md"
    command = next(iter(block_commands(page, "sh")))
    (comment,) = blocks_of(page, "markdown")
    assert run(*command).out.startswith(comment)


def test_the_gates_are_described_in_their_order():
    rows = re.findall(r"^\| `(\w+)` \|", section(ROOT / "docs/concepts.md", "The gates"), re.MULTILINE)
    assert tuple(rows) == REASONS
    assert set(REASONS) <= words_in_code(text_of(ROOT / "README.ja.md"))


def test_every_event_of_the_audit_log_is_described():
    ledger = ROOT / "runner/ledger"
    code = "".join(path.read_text(encoding="utf-8") for path in sorted(ledger.glob("sql_*.py")))
    noted = set(re.findall(r'audit\.append\(\s*"(\w+)"', code))
    rows = re.findall(r"^\| `(\w+)` \|", section(ROOT / "docs/audit.md", "What is noted"), re.MULTILINE)
    assert rows[0] == "event"
    assert set(rows[1:]) == noted


def test_the_rules_of_adas_answers_are_described_in_their_order():
    table = section(ROOT / "docs/concepts.md", "From answers")
    rows = re.findall(r"^\| `(\w+)` \|.*\| (\w+)(?:;[^|]*)? \|$", table, re.MULTILINE)
    assert rows == [(rule.name, rule.outcome.value) for rule in RULES]
    stopping = re.findall(r"^\| `(\w+)` \|.*; the run stops \|$", table, re.MULTILINE)
    assert stopping == [rule.name for rule in RULES if rule.stops]


@pytest.mark.parametrize("page", [*READMES, ROOT / "docs/concepts.md"], ids=lambda page: page.name)
def test_every_exit_code_is_described(page):
    codes = re.findall(r"^\| (\d+) \|", text_of(page), re.MULTILINE)
    assert [int(code) for code in codes] == sorted(ExitCode)


def test_the_sandbox_page_has_every_option_and_every_fault():
    page = ROOT / "docs/sandbox.md"
    options = re.findall(r"^\| `(--[\w-]+)` \|", section(page, "Options"), re.MULTILINE)
    assert set(options) == options_of(commands()["sandbox"]) - {"--help"}
    faults = section(page, "Faults")
    rows = re.findall(r"^\| `([\w-]+)` \|", faults, re.MULTILINE)
    assert rows == [kind.value for kind in FaultKind]
    examples = [argument for command in block_commands(page, "sh") for argument in command if ":" in argument]
    assert examples
    for fault in [*examples, "slow-after-accept::5s"]:
        parse_fault(fault)


def test_every_json_document_is_described_key_by_key(
    project: ProjectFolder, run: Run, start_sandbox: Callable[..., SandboxProcess], monkeypatch
):
    monkeypatch.setenv("HOME", str(project.root))
    monkeypatch.delenv("TD_API_KEY", raising=False)
    monkeypatch.setenv("RUNNER_FORGET_KEY", "f0" * 32)
    sandbox = start_sandbox(
        "--limit", "none", "--fault", "reset-after-accept:#1", "--fault", "error-in-200:#2"
    )
    project.campaign(CAMPAIGN + "guards: {max_recipients: 50}\nlog: {csv: {folder: exports}}\n")
    project.campaign(
        f'{CAMPAIGN}schedule: {{cron: "0 * * * *", timezone: Asia/Jakarta}}\n', "coming/promo.yml"
    )
    plan = project.root / "x.plan"
    documents = {
        "validate": run("validate", "promo.yml", "--json"),
        "plan": run("plan", "promo.yml", "--json", "-o", str(plan)),
        "show": run("show", str(plan), "--json"),
        "apply": run("apply", str(plan), "--auto-approve", "--json", "--rate", "unlimited"),
        "approve": run("approve", "promo.yml", "--auto-approve", "--json"),
        "tick": ticked(project, run),
        "status": stopped_status(run),
        "calendar": run("calendar", "coming", "--json"),
        "stop": run("stop", "promo", "--json"),
        "resume": run("resume", "promo", "--json"),
        "resolve": run("resolve", "promo", "--json"),
        "explain": run("explain", f"+{sandbox.messages()[0]['to']}", "--json"),
        "forget": run("forget", f"+{sandbox.messages()[1]['to']}", "--auto-approve", "--json"),
        "audit verify": run("audit", "verify", "--json"),
        "audit show": run("audit", "show", "--json"),
        "templates list": run("templates", "list", "--json"),
        "receipts import": run(*report(project, sandbox), "--json"),
        "receipts list": run("receipts", "list", "--unmatched", "--json"),
        "log push": run("log", "push", "1", "--json"),
        "doctor": run("doctor", "promo.yml", "--json"),
    }
    assert documents["receipts import"].json["listed"]
    assert documents["calendar"].json["load"]
    assert documents["receipts import"].json["pushed"]
    page = ROOT / "docs/json.md"
    common = words_in_code(text_of(page).split("\n## ")[0])
    said_elsewhere = {"show": "plan", "tick": "status", "receipts import": "log push"}
    for name, result in documents.items():
        described = common | words_in_code(section(page, f"`runner {name} "))
        described |= words_in_code(section(page, f"`runner {said_elsewhere.get(name, name)} "))
        assert keys_in(result.json) <= described, name
    project.campaign("campagn: x\n")
    wrong = keys_in(run("validate", "promo.yml", "--json").json)
    assert wrong <= common | words_in_code(section(page, "`runner validate "))
    assert keys_in(run("plan", "--json").json) <= common
    check_files(plan, project.root)
    check_sandbox(sandbox)
    export = run(*exported(project), "--json").json
    assert keys_in(export) <= common | words_in_code(section(page, "`runner export td-workflow "))
    for kind in ("github-actions", "cron", "systemd"):
        ticks = run("export", kind, "vip.yml", "--json").json
        assert keys_in(ticks) <= common | words_in_code(section(page, "`runner export github-actions "))


def stopped_status(run: Run) -> Result:
    """Return what status says while a stop stands, and lift it again."""
    run("stop")
    status = run("status", "--json")
    run("resume")
    assert status.json["stops"]
    return status


def ticked(project: ProjectFolder, run: Run) -> Result:
    """Return what a tick says of a firing that waits for its approval."""
    at = datetime.now(timezone.utc) - timedelta(minutes=1)
    schedule = f"schedule: {{at: {at:%Y-%m-%dT%H:%M}, timezone: UTC}}\n"
    text = CAMPAIGN.replace("campaign: promo", "campaign: waits") + schedule
    project.campaign(text, name="waits/waits.yml")
    with closing(open_ledger("sqlite:///.runner/ledger.db", root=project.root)) as ledger:
        ledger.watch("waits", at.timestamp() - 3600)
    tick = run("tick", "waits", "--json")
    assert tick.json["campaigns"][0]["firings"]
    return tick


def report(project: ProjectFolder, sandbox: SandboxProcess) -> list[str]:
    """Write a report of one delivery and of one stranger; return the command that imports it."""
    at = datetime.now(timezone.utc).isoformat(timespec="seconds")
    rows = [f"{phone},delivered,{at}" for phone in (sandbox.messages()[0]["to"], "6281299999999")]
    project.write("report.csv", "\n".join(["phone,status,time", *rows, ""]))
    return ["receipts", "import", "report.csv", "--auto-approve"]


def exported(project: ProjectFolder) -> list[str]:
    """Make a project whose ledger is on no disk; return the command that exports its campaign."""
    providers = 'providers: {ada: {sender: "60110000001"}}\n'
    project.write("runner.yml", f"ledger: postgresql://db.example.com/runner\n{providers}")
    table = "segment: {source: treasure_data, database: crm, table: vips}\n"
    rest = CAMPAIGN[CAMPAIGN.index("recipient:") :]
    project.campaign(f"campaign: vip\n{table}{rest}guards: {{max_recipients: 50}}\n", "vip.yml")
    return ["export", "td-workflow", "vip.yml"]


def check_files(plan: Path, root: Path) -> None:
    """The keys of what a plan and an apply leave on disk are in docs/files.md."""
    page = ROOT / "docs/files.md"
    with zipfile.ZipFile(plan) as archive:
        names, document = archive.namelist(), json.loads(archive.read("plan.json"))
    plans = section(page, "Plans")
    assert set(document) <= words_in_code(plans) | {"format"}
    assert all(f"`{name}`" in plans for name in names)
    (log,) = (root / ".runner/runs").glob("*.jsonl")
    events = [json.loads(line) for line in log.read_text(encoding="utf-8").splitlines()]
    assert keys_in(events) <= words_in_code(section(page, "The run log"))
    assert {event["action"] for event in events} <= words_in_code(section(page, "The run log"))


def check_sandbox(sandbox: SandboxProcess) -> None:
    """The keys of the sandbox's own JSON are in docs/sandbox.md; what is inside a message is ADA's."""
    described = words_in_code(section(ROOT / "docs/sandbox.md", "What arrived"))
    document = sandbox.get("/sandbox/messages.json")
    for message in document["messages"]:
        message["message"] = None
    assert keys_in(document) | keys_in(sandbox.stats()) <= described | {"format"}


def test_the_floor_plan_names_every_module_and_nothing_that_is_not_there():
    text = text_of(ROOT / "docs/architecture.md")
    named = set(re.findall(r"`(runner/[\w/.]+)`", text))
    modules = {f"runner/{path.name}" for path in (ROOT / "runner").glob("*.py") if path.stem[0] != "_"}
    packages = {f"runner/{path.parent.name}/" for path in (ROOT / "runner").glob("*/__init__.py")}
    assert modules | packages <= named
    assert [name for name in named if not (ROOT / name).exists()] == []
    short = re.findall(r"`((?!\w+\.y?ml)(?:[a-z_]+/)*[a-z_]+\.(?:py|sql))`", text)
    places = [ROOT / "runner", *(ROOT / "runner").glob("*/"), ROOT]
    assert [name for name in short if not any((place / name).exists() for place in places)] == []


def test_the_layers_described_are_those_of_the_import_contract():
    contract = re.search(r"^layers = \[(.*?)^\]", text_of(ROOT / "pyproject.toml"), re.MULTILINE | re.DOTALL)
    assert contract is not None
    layers = [re.findall(r"runner\.(\w+)", line) for line in contract.group(1).splitlines()]
    described = re.findall(
        r"^\d+\. (.+)$", section(ROOT / "docs/architecture.md", "Who may import"), re.MULTILINE
    )
    assert [_INLINE.findall(line) for line in described] == [layer for layer in layers if layer]


def test_every_direct_dependency_has_its_line_of_reason():
    wanted = set(re.findall(r'^ +"([\w-]+)(?:\[\w+\])?==', text_of(ROOT / "pyproject.toml"), re.MULTILINE))
    record = text_of(ROOT / "docs/decisions/0001-dependencies.md")
    assert set(re.findall(r"^\| ([\w-]+) \| (?!reason)\S", record, re.MULTILINE)) - {"---"} == wanted


def test_decisions_are_numbered_without_gaps_and_have_three_parts():
    records = sorted((ROOT / "docs/decisions").glob("*.md"))
    assert [int(record.name[:4]) for record in records] == list(range(1, len(records) + 1))
    for record in records:
        assert text_of(record).startswith(f"# {record.name[:4]}: ")
        headings = re.findall(r"^## (.+)$", text_of(record), re.MULTILINE)
        assert (headings[0], headings[1], headings[-1]) == ("Context", "Decision", "Consequences")


def test_the_changelog_has_this_version():
    assert re.search(rf"^## \[{re.escape(__version__)}\] - ", text_of(ROOT / "CHANGELOG.md"), re.MULTILINE)
