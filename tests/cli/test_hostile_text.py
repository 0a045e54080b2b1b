"""Text of strangers, in names, templates, data and answers: shown as text, wherever it is shown."""

from __future__ import annotations

import json
import re
from dataclasses import replace

import pytest
from rich.text import Text

from runner.cli import main, output
from runner.masking import UNSEEN
from runner.plan import sealed, to_document
from runner.plan_file import extracted_tables, read_plan, write_plan
from tests.conftest import CAMPAIGN, TEMPLATES

#: Clears the screen, sets the title, turns text around, begins a line, is HTML, Markdown and rich's markup.
EVIL = (
    "\x1b[2J\x1b]0;owned\x07\u009b31m\u202e\u2028<script>alert(1)</script> [bold](http://x) ![x](y) `|` @all"
)


def obeys_nothing(text):
    """Tell whether a terminal finds nothing to obey in `text`."""
    return not {chr(code) for code in UNSEEN} & set(text)


def test_every_control_character_of_unicode_but_tab_and_line_feed_is_made_visible():
    controls = {chr(code) for code in (*range(32), *range(127, 160))} - {"\t", "\n"}
    assert controls <= {chr(code) for code in UNSEEN}


@pytest.fixture
def hostile(project, sandbox, run):
    """A plan whose every text is a stranger's, sealed as if it were ours."""
    run("plan", "promo.yml", "-o", "sound.plan")
    path = project.root / "sound.plan"
    plan = read_plan(path)
    template = replace(plan.template, name=EVIL, language=EVIL, category=EVIL, footer=EVIL, body=EVIL)
    samples = tuple(replace(one, phone=EVIL, header=EVIL, body=EVIL, buttons=(EVIL,)) for one in plan.samples)
    document = {**plan.document, "description": EVIL, "segment": {"table": EVIL}}
    guards = tuple(replace(guard, limit=EVIL, found=EVIL) for guard in plan.guards)
    changed = replace(
        plan,
        template=template,
        samples=samples,
        document=document,
        guards=guards,
        notes=(EVIL,),
        provider=EVIL,
        sender=EVIL,
        sql=EVIL,
        source=EVIL,
        job_id=EVIL,
        facts={EVIL: EVIL},
        parameters={EVIL: EVIL},
        rejected={EVIL: 0},
        window=EVIL,
        campaign_path=EVIL,
    )
    with extracted_tables(path, project.root / "work") as tables:
        write_plan(sealed(changed), tables, project.root / "hostile.plan")
    return project.root / "hostile.plan"


@pytest.mark.parametrize("options", [(), ("--json",), ("--markdown",)])
def test_a_plan_of_a_stranger_drives_no_terminal(run, hostile, options):
    result = run("show", str(hostile), *options)
    assert result.code == 0, result.err
    assert "owned" in result.out
    assert obeys_nothing(result.out + result.err)


def test_json_of_hostile_text_says_the_same_text(run, hostile):
    (summary,) = run("show", str(hostile), "--json").json["plans"]
    assert summary["template"]["name"] == EVIL


def test_a_terminal_gets_richs_own_colours_and_nothing_of_the_text(capsys, monkeypatch):
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.setenv("FORCE_COLOR", "1")
    output.show_rich(Text(EVIL, style="bold"))
    out = capsys.readouterr().out
    assert "\\x1b[2J" in out
    assert set(re.findall(r"\x1b\[[0-9;]*m", out)) <= {"\x1b[1m", "\x1b[0m"}
    assert obeys_nothing(re.sub(r"\x1b\[[0-9;]*m", "", out))


def test_data_of_customers_drives_no_terminal_and_no_page_in_a_whole_life(project, sandbox, run):
    evil, phone = "Ayu \x1b[2J\u009b31m\u202e", "6281230000001"
    project.people([(f"={evil}", phone, "<i>Ayu</i>", "true"), (evil, "6281230000002", evil, "true")])
    sandbox.faults(f"400:@{phone}")
    for arguments in (
        ("plan", "promo.yml"),
        ("plan", "promo.yml", "--json"),
        ("plan", "promo.yml", "--markdown"),
        ("apply", "--auto-approve"),
        ("status",),
        ("explain", f"+{phone}"),
        ("explain", f"+{phone}", "--json"),
        ("explain", "+6281230000002"),
        ("resolve", "promo"),
    ):
        result = run(*arguments)
        assert obeys_nothing(result.out + result.err), arguments
        assert "Traceback" not in result.err
    page = sandbox_page(sandbox)
    assert "&lt;i&gt;Ayu&lt;/i&gt;" in page
    assert "<i>" not in page


def sandbox_page(sandbox):
    import urllib.request

    with urllib.request.urlopen(f"{sandbox.url}/sandbox", timeout=30) as answer:
        return answer.read().decode()


@pytest.mark.parametrize("field", ["description", "owner"])
def test_names_of_a_campaign_file_drive_no_terminal(project, sandbox, run, field):
    project.campaign(CAMPAIGN + f"{field}: {json.dumps(EVIL)}\n")
    for arguments in (("validate", "promo.yml"), ("plan", "promo.yml"), ("plan", "promo.yml", "--markdown")):
        result = run(*arguments)
        assert obeys_nothing(result.out + result.err), arguments
        assert "owned" not in result.out or "\\x1b]0;owned\\x07" in result.out


def test_templates_of_a_hostile_provider_drive_no_terminal(project, run):
    evil = {**TEMPLATES[0], "name": f"promo{EVIL}", "category": EVIL, "footer": "x"}
    project.write("templates.json", json.dumps([TEMPLATES[0], evil]))
    for options in ((), ("--json",)):
        result = run("templates", "list", "--sandbox", *options)
        assert obeys_nothing(result.out + result.err)


def test_an_argument_that_is_no_command_is_repeated_harmlessly(capsys):
    with pytest.raises(SystemExit):
        main.main([f"plan{EVIL}"])
    with pytest.raises(SystemExit):
        main.main(["show", f"--{EVIL}"])
    assert obeys_nothing(capsys.readouterr().err)


def test_every_value_of_the_hostile_plan_is_still_sealed(hostile):
    assert to_document(read_plan(hostile))["campaign_path"] == EVIL
