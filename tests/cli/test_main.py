"""The `runner` command itself: its helps, its errors, and what it does when nobody listens."""

import io
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from runner.cli import main, workplace

COMMANDS = ("validate", "plan", "show", "apply", "status", "resolve", "explain", "templates", "sandbox")


def runner(*arguments, **options):
    return subprocess.run(
        [sys.executable, "-m", "runner", *arguments], capture_output=True, text=True, timeout=60, **options
    )


def test_help_lists_every_command_with_its_line(run):
    result = run("--help")
    assert result.code == 0
    for command in COMMANDS:
        assert f"\n  {command} " in result.out


@pytest.mark.parametrize("command", [*[(name,) for name in COMMANDS], ("templates", "list")])
def test_every_command_has_help(run, command):
    for word in ("--help", "-h"):
        result = run(*command, word)
        assert (result.code, result.err) == (0, "")
        assert result.out.startswith(f"Usage: runner {' '.join(command)}")


def test_the_version_is_told(run):
    from runner import __version__

    assert run("--version").out == f"runner, version {__version__}\n"


def test_as_a_module_it_is_the_same_command():
    result = runner("--help")
    assert result.returncode == 0
    assert result.stdout.startswith("Usage: runner [OPTIONS] COMMAND")


def test_help_and_validate_import_nothing_heavy():
    heavy = ["duckdb", "pyarrow", "sqlglot", "aiohttp", "requests", "babel", "phonenumbers", "rich"]
    code = (
        "import sys; from runner.cli.main import main\n"
        "try: main(['--help'])\n"
        f"except SystemExit: print([name for name in {heavy!r} if name in sys.modules], file=sys.stderr)"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert result.stderr == "[]\n"


@pytest.mark.parametrize(("word", "meant"), [("aply", "apply"), ("paln", "plan"), ("statsu", "status")])
def test_an_unknown_command_asks_whether_a_near_one_was_meant(run, word, meant):
    result = run(word)
    assert result.code == 1
    assert f"No such command '{word}'." in result.err
    assert f'Did you mean "{meant}"?' in result.err


def test_an_unknown_command_that_is_near_nothing_is_just_unknown(run):
    result = run("xyzzy")
    assert result.code == 1
    assert "Did you mean" not in result.err


def test_without_a_command_the_help_is_shown(run):
    result = run()
    assert result.code == 1
    assert "Usage: runner" in result.err


def test_an_unknown_option_is_an_error(run):
    result = run("plan", "promo.yml", "--jsno")
    assert result.code == 1
    assert "--json" in result.err


def test_outside_a_project_it_says_what_is_missing(run, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    result = run("status")
    assert result.code == 1
    assert "there is no runner.yml" in result.err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["plan", "nothing.yml", "--json"], "there is no file or folder nothing.yml"),
        (["status", "--json", "promo", "more"], "Got unexpected extra argument (more)"),
        (["show", "--json"], "Missing argument 'PLAN'."),
    ],
)
def test_with_json_an_error_is_one_json_document_too(run, project, arguments, message):
    result = run(*arguments)
    document = json.loads(result.out)
    assert (document["format"], document["exit_code"], result.code) == (1, 1, 1)
    assert message in document["error"]["message"]
    assert message in result.err


def test_what_the_system_says_is_one_line_and_no_traceback(run, project, monkeypatch):
    def full(*_, **__):
        raise OSError(28, "No space left on device", "/somewhere")

    monkeypatch.setattr(workplace, "make_private", full)
    result = run("status")
    assert result.code == 1
    assert result.err == "runner: the system says: [Errno 28] No space left on device: '/somewhere'\n"


def test_a_bug_is_a_traceback(project, monkeypatch):
    def broken(*_, **__):
        raise ZeroDivisionError

    monkeypatch.setattr(workplace, "make_private", broken)
    with pytest.raises(ZeroDivisionError):
        main.main(["status"])


def test_an_interrupt_ends_with_130(run, project, monkeypatch):
    def interrupted(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr(workplace, "make_private", interrupted)
    result = run("status", "--json")
    assert result.code == 130
    assert result.json["error"]["message"].startswith("interrupted")


def test_in_this_process_too_a_reader_that_goes_away_is_no_traceback(project, monkeypatch):
    def gone(*_, **__):
        raise BrokenPipeError

    monkeypatch.setattr(workplace, "make_private", gone)
    with Path(os.devnull).open("w") as stream:
        monkeypatch.setattr(sys, "stdout", stream)
        monkeypatch.setattr(sys, "stderr", io.StringIO())
        with pytest.raises(SystemExit) as info:
            main.main(["status"])
    assert info.value.code == 1


@pytest.mark.parametrize("streams", ["stdout", "both"])
def test_a_reader_that_goes_away_is_no_traceback(project, streams):
    reading, writing = os.pipe()
    os.close(reading)
    errors = subprocess.STDOUT if streams == "both" else subprocess.PIPE
    command = [sys.executable, "-m", "runner", "validate", "promo.yml"]
    process = subprocess.Popen(command, cwd=project.root, stdout=writing, stderr=errors, text=True)
    os.close(writing)
    _, said = process.communicate(timeout=60)
    assert process.returncode == 1
    assert not said
