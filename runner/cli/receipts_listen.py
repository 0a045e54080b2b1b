"""`runner receipts listen`: take ADA's webhooks as they happen, each on disk before it is answered."""

from __future__ import annotations

import asyncio
import ipaddress
import json
import os
import re
import signal
from collections import Counter
from collections.abc import Coroutine
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any

import click

from runner.cli import output
from runner.cli.workplace import Workplace, open_workplace
from runner.errors import UsageError

if TYPE_CHECKING:
    from runner.receipts.listening import Listener, ListenerSettings

#: The shared secret, which no file may hold.
SECRET_VARIABLE = "RUNNER_WEBHOOK_SECRET"  # noqa: S105 - a variable's name
_SECRET = re.compile(r"[A-Za-z0-9_-]{16,200}")
_MINUTE = 60.0


@click.command(name="listen")
@click.option("--host", default="127.0.0.1", show_default=True, help="The address to listen on.")
@click.option("--port", type=click.IntRange(0, 65535), default=0, help="The port; 0 takes a free one.")
@click.option("--timezone", "zone", metavar="ZONE", help="The zone of times without an offset: Asia/Jakarta.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON line with its URL when ready.")
@click.option("--sandbox", is_flag=True, help="Into the rehearsals' ledger.")
def listen(host: str, port: int, zone: str | None, as_json: bool, sandbox: bool) -> None:
    """Take ADA's webhooks until Ctrl-C: how far messages got, and who says stop.

    A webhook is answered once it is on disk, and matched with its delivery after that. The secret that ADA
    sends is in RUNNER_WEBHOOK_SECRET; without one, only this machine is listened to. See docs/operations.md.
    """
    secret = _secret(host)
    _check_zone(zone)
    from runner.work_folder import work_folder

    with (
        open_workplace(rehearsal=sandbox) as workplace,
        work_folder(workplace.workspace, "webhooks.") as scratch,
    ):
        from runner.cli.gates import ForgottenGate
        from runner.receipts.listening import ListenerSettings
        from runner.sandbox.ada_server import host_check

        settings = ListenerSettings(
            ledger=workplace.project.ledger,
            root=workplace.project.root,
            scratch=scratch.resolve(),
            forgotten=ForgottenGate(None),
            host=host,
            port=port,
            secret=secret,
            timezone=zone,
            allows=host_check(host),
        )
        _run(_listen(workplace, settings, as_json=as_json))


def _secret(host: str) -> str | None:
    """Return the secret; UsageError for one that is weak, and without one for a host that others reach."""
    secret = os.environ.get(SECRET_VARIABLE, "").strip() or None
    hint = f"export {SECRET_VARIABLE}=$(openssl rand -hex 24), and give the same to ADA"
    if secret is not None and not _SECRET.fullmatch(secret):
        raise UsageError(
            f"{SECRET_VARIABLE} is no good secret: found {len(secret)} characters, expected 16 to 200 of "
            "letters, digits, - and _",
            hint=hint,
        )
    if secret is None and not _is_loopback(host):
        raise UsageError(
            f"{SECRET_VARIABLE} is not set: without it, only 127.0.0.1 can be listened on", hint=hint
        )
    return secret


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host.lower() == "localhost"


def _check_zone(zone: str | None) -> None:
    from runner.file_checks import zone_exists
    from runner.problem_words import show_text

    if zone is not None and not zone_exists(zone):
        raise UsageError(f"--timezone: {show_text(zone)!r} is no time zone", hint="such as Asia/Jakarta")


def _run(coroutine: Coroutine[Any, Any, None]) -> None:
    """Run on uvloop where there is one."""
    try:
        import uvloop
    except ImportError:  # Windows has none
        asyncio.run(coroutine)
    else:
        uvloop.run(coroutine)


async def _listen(workplace: Workplace, settings: ListenerSettings, *, as_json: bool) -> None:
    from runner.receipts.listening import listening

    stopped = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stopped.set)
    async with listening(settings, workplace.clock) as listener:
        _ready(listener, settings, as_json=as_json)
        telling = asyncio.ensure_future(_tell_each_minute(listener))
        stopping = asyncio.ensure_future(stopped.wait())
        await asyncio.wait({stopping, listener.matching}, return_when=asyncio.FIRST_COMPLETED)
        for task in (telling, stopping):
            task.cancel()
        if listener.matching.done():
            listener.matching.result()
    _tell(listener, Counter(), Counter())


def _ready(listener: Listener, settings: ListenerSettings, *, as_json: bool) -> None:
    if as_json:
        output.show(json.dumps({"format": output.FORMAT, "url": listener.url}))
        return
    path = f"/ and {SECRET_VARIABLE}" if settings.secret else ""
    output.show(f"listening for ADA's webhooks at {listener.url}{path}")
    if settings.timezone is None:
        output.show("  times without an offset are taken as of their arrival: --timezone says their zone")


async def _tell_each_minute(listener: Listener) -> None:
    """Write one line a minute: what arrived and what came of it since the last."""
    while True:
        arrived, settled = Counter(listener.arrived), Counter(listener.settled)
        await asyncio.sleep(_MINUTE)
        _tell(listener, arrived, settled)


def _tell(listener: Listener, arrived_before: Counter[str], settled_before: Counter[str]) -> None:
    """Write one line of counts, of all since those before; no phone is in it."""
    arrived, settled = listener.arrived - arrived_before, listener.settled - settled_before
    matched = settled.pop("matched", 0)
    parts = [f"{arrived[kind]:,} {kind}" for kind in ("receipts", "stops", "other", "refused", "failed")]
    parts += [f"{matched:,} matched", *(f"{count:,} {reason}" for reason, count in sorted(settled.items()))]
    now = datetime.now(timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")
    output.say(f"{now} webhooks: {', '.join(parts)}")
    while listener.failures:
        output.report(listener.failures.pop())
