"""`runner serve`: tick on time, as a service in the foreground, with one leader for each ledger."""

from __future__ import annotations

import json
import signal
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING

import click

from runner.cli import output
from runner.cli.workplace import open_workplace, user_name
from runner.errors import ExitCode, Refusal

if TYPE_CHECKING:
    from runner.cli.service import Service
    from runner.ledger.interface import LockToken


@click.command(name="serve")
@click.argument("paths", nargs=-1, type=click.Path(path_type=Path), metavar="[PATH]...")
@click.option("--host", default="127.0.0.1", show_default=True, help="Where /healthz and /metrics are.")
@click.option("--port", type=click.IntRange(0, 65535), default=0, help="Their port; 0 takes a free one.")
@click.option(
    "--every",
    type=click.IntRange(1, 60),
    default=30,
    show_default=True,
    metavar="SECONDS",
    help="Look at least so often, for approvals and what was interrupted.",
)
@click.option(
    "--parallel", type=click.IntRange(1, 64), default=8, show_default=True, help="Campaigns at a time."
)
@click.option("--standby", is_flag=True, help="Where another one leads, wait until it is gone; take over.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON line with its URL when ready.")
@click.option("--sandbox", is_flag=True, help="Rehearse: send to the sandbox, apart from the real ledger.")
def command(
    paths: tuple[Path, ...],
    host: str,
    port: int,
    every: int,
    parallel: int,
    standby: bool,
    as_json: bool,
    sandbox: bool,
) -> int:
    """Do what `runner tick` does, on time, until Ctrl-C or SIGTERM, for the campaigns at PATH.

    It sleeps until the next firing, and reads all files anew each time it looks. One service leads for each
    ledger. What is in flight when it is stopped is finished and recorded.
    """
    from runner.cli.service import Service, Settings
    from runner.cli.service_pages import pages_served
    from runner.ledger.liveness import this_process
    from runner.sandbox.ada_server import host_check

    with open_workplace(rehearsal=sandbox) as workplace:
        project = workplace.project
    settings = Settings(paths=paths, every=every, parallel=parallel, standby=standby, sandbox=sandbox)
    service = Service(settings, project, this_process(user_name()))
    _stop_by_signals(service.interrupt)
    with pages_served(service, host, port, host_check(host)) as url:
        token = service.try_to_lead()
        _ready(url, as_json=as_json)
        return _lead(service, token, standby=standby)


def _lead(service: Service, token: LockToken | None, *, standby: bool) -> int:
    """Lead until it is stopped, and again after whoever took the lead over; Refusal without `standby`."""
    from runner.ledger.interface import LockLost

    while True:
        token = token or service.lead()
        if token is None:
            return ExitCode.DONE
        output.say("leading: firings start on time from here")
        try:
            return service.run(token)
        except LockLost as error:
            output.report(error)
            token = None
            if not standby:
                raise Refusal(
                    "another service has taken the lead over", hint="see /healthz of that one"
                ) from error


def _ready(url: str, *, as_json: bool) -> None:
    if as_json:
        output.show(json.dumps({"format": output.FORMAT, "url": url}))
        return
    output.show(f"serving: {url}/healthz and {url}/metrics; Ctrl-C stops")


def _stop_by_signals(interrupt: Callable[[], None]) -> None:
    def stop(number: int, _: FrameType | None) -> None:
        name = signal.Signals(number).name
        output.say(f"{name}: finishing what is in flight; once more ends at once and leaves unknowns")
        interrupt()

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, stop)
