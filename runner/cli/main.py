"""The `runner` command itself: finds the sub-command, and turns an expected failure into one line.

Sub-commands are imported only when they are called, so that `runner --help` and `runner validate` never pay
for DuckDB; their one-line helps stand in the table below for that reason.
"""

from __future__ import annotations

import importlib
import io
import os
import sys
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

import click

from runner import __version__
from runner.cli import output
from runner.errors import ExitCode, RunnerError

#: command -> (module, one line of help), in the order of use.
_COMMANDS = {
    "validate": ("validate", "Check campaign files, every problem at file:line:column."),
    "plan": ("plan", "Show exactly who would get what; sends nothing."),
    "show": ("show", "Show a plan file again."),
    "apply": ("apply", "Send exactly what was planned, each person at most once."),
    "approve": ("approve", "Approve what a campaign sends at each of its firings."),
    "tick": ("tick", "Plan and apply whatever is due, and exit: for cron, timers and CI."),
    "serve": ("serve", "Do that on time, as a service, with health and metrics pages."),
    "status": ("status", "Show what became of every campaign's messages."),
    "calendar": ("calendar", "Show what fires in the coming days, how large, and what collides."),
    "stop": ("stop", "Stop a campaign, or all: nothing new leaves, wherever it is applied."),
    "resume": ("resume", "Lift a stop; the next apply goes on."),
    "resolve": ("resolve", "Settle deliveries whose outcome is unknown, by a person's word."),
    "explain": ("explain", "Show every gate and message of one person."),
    "forget": ("forget", "Erase a person everywhere, and never message them again."),
    "audit": ("audit", "Show who did what, and check that nobody changed the record."),
    "log": ("log", "Push a run's log to Treasure Data or a file, once more if need be."),
    "receipts": ("receipts", "Take in what the provider tells: sent, delivered, read, failed."),
    "templates": ("templates", "List the provider's message templates."),
    "sandbox": ("sandbox", "Serve the provider's and Treasure Data's APIs here, for rehearsal."),
    "export": ("export", "Write what runs campaigns: TD Workflow, GitHub Actions, cron, systemd."),
    "doctor": ("doctor", "Check keys, sites, clock, ledger and disk, each with its remedy."),
}


class _LazyCommands(click.Group):
    """A group that imports a command's module when the command is called."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in _COMMANDS:
            return None
        module = importlib.import_module(f"runner.cli.{_COMMANDS[cmd_name][0]}")
        command: click.Command = module.command
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, text) for name, (_, text) in _COMMANDS.items()])

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        try:
            return super().resolve_command(ctx, args)
        except click.UsageError as error:
            near = output.did_you_mean(args[0], _COMMANDS)
            raise click.UsageError(f"{error.message}{f' {near}' if near else ''}", ctx) from error


@click.group(cls=_LazyCommands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="runner")
def cli() -> None:
    """WhatsApp campaigns as code: what was reviewed is what is sent, each person at most once.

    A campaign is a YAML file in git. `runner plan` shows exactly who would get what; `runner apply` sends
    exactly that, at the provider's rate, and records every outcome.
    """


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line and exit with its code: 0, 1, 2, 3, 4, 5 or 130 (docs/concepts.md)."""
    sys.exit(_exit_code(arguments))


def _exit_code(arguments: Sequence[str] | None) -> int:
    try:
        result: Any = cli.main(args=arguments, prog_name="runner", standalone_mode=False)
        return int(result or 0)
    except click.exceptions.Exit as request:
        return request.exit_code
    except BrokenPipeError:
        return _nobody_listens()
    except (click.Abort, KeyboardInterrupt, click.ClickException, RunnerError, OSError) as error:
        failure, code = _tell(error)
        words = sys.argv[1:] if arguments is None else arguments
        if "--json" in words:
            document = {"message": failure.message, "hint": failure.hint}
            output.show_json({"error": document, "exit_code": int(code)})
        return code


def _tell(error: BaseException) -> tuple[RunnerError, ExitCode]:
    """Say what ended the command, to stderr; return it as one of our errors, and its exit code."""
    if isinstance(error, click.ClickException):
        said = io.StringIO()
        error.show(said)
        output.say(said.getvalue().rstrip())
        return RunnerError(error.format_message()), ExitCode.ERROR
    if isinstance(error, (click.Abort, KeyboardInterrupt)):
        failure, code = RunnerError("interrupted: nothing is left half done"), ExitCode.INTERRUPTED
    elif isinstance(error, RunnerError):
        failure, code = error, error.exit_code
    else:
        failure, code = RunnerError(f"the system says: {error}"), ExitCode.ERROR
    output.report(failure)
    return failure, code


def _nobody_listens() -> ExitCode:
    """End quietly when whoever read our output has gone, as `head` does."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError, ValueError):
            os.dup2(nowhere, stream.fileno())
    return ExitCode.ERROR
