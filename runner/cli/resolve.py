"""`runner resolve`: settle deliveries whose outcome is unknown, by a person's word."""

from __future__ import annotations

import sys
import time
from contextlib import closing
from typing import TYPE_CHECKING

import click

from runner.cli import output
from runner.cli.workplace import open_workplace, user_name
from runner.delivery import State
from runner.errors import UsageError
from runner.masking import mask_phone
from runner.schedule import ONCE

if TYPE_CHECKING:
    from runner.ledger.interface import Ledger

#: What a person may say of an unknown delivery, and the state it then has.
_WORDS = {"accepted": State.ACCEPTED, "refused": State.REFUSED, "send-again": State.RETRY}
_SHOWN = 100


@click.command(name="resolve")
@click.argument("campaign")
@click.option("--occurrence", default=ONCE, show_default=True, help="The occurrence, as status shows it.")
@click.option("--phone", help="Only the delivery to this phone.")
@click.option("--all", "everyone", is_flag=True, help="All unknown deliveries of the occurrence.")
@click.option("--as", "word", type=click.Choice(list(_WORDS)), help="What became of them.")
@click.option("--note", default="", help="How you know; kept in the ledger.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
@click.option("--show-phones", is_flag=True, help="List whole phones, to look them up; on a terminal only.")
@click.option("--sandbox", is_flag=True, help="In the rehearsals' ledger.")
def command(  # noqa: PLR0913, PLR0917 - click passes each option by name
    campaign: str,
    occurrence: str,
    phone: str | None,
    everyone: bool,
    word: str | None,
    note: str,
    as_json: bool,
    show_phones: bool,
    sandbox: bool,
) -> None:
    """List the unknown deliveries of CAMPAIGN, or say what became of them.

    An unknown delivery may have been sent: look it up in the provider's console first. `--as send-again`
    lets the next plan send it once more; whoever did get it then gets it twice.
    """
    from runner.cli.stop import check_known
    from runner.ledger import open_ledger

    if show_phones and not sys.stdout.isatty():
        raise UsageError("--show-phones is for a terminal", hint="a file or a pipe gets masked phones")
    with open_workplace(rehearsal=sandbox) as workplace:
        url, root = workplace.project.ledger, workplace.project.root
        with closing(open_ledger(url, root=root, read_only=word is None)) as ledger:
            if word is None:
                _list(ledger, campaign, occurrence, as_json=as_json, show_phones=show_phones)
                return
            digits, state, now = _whom(phone, everyone=everyone), _WORDS[word], time.time()
            check_known(campaign, workplace, ledger, done="settled")
            settled = ledger.resolve(
                campaign, occurrence, digits, to=state, by=user_name(), note=note, now=now
            )
    if as_json:
        output.show_json({"campaign": campaign, "occurrence": occurrence, "as": word, "settled": settled})
    else:
        _show_settled(settled, word)


def _show_settled(settled: int, word: str) -> None:
    output.show(f"{settled} unknown deliver{'y' if settled == 1 else 'ies'} settled as {word}")
    if word == "send-again" and settled:
        output.say("make a new plan to send them: `runner plan`")


def _whom(phone: str | None, *, everyone: bool) -> str | None:
    """Return the digits of the one phone, None for all; UsageError unless it is exactly one of the two."""
    from runner.phone import read_phone

    if everyone is (phone is not None):
        raise UsageError("say whom: --phone or --all", hint="runner resolve CAMPAIGN lists the unknown ones")
    if phone is None:
        return None
    reading = read_phone(phone)
    if reading.phone is None:
        raise UsageError("--phone is not a mobile number", hint="write it with + and its country code")
    return reading.phone


def _list(ledger: Ledger, campaign: str, occurrence: str, *, as_json: bool, show_phones: bool) -> None:
    unknowns = ledger.unknowns(campaign, occurrence, _SHOWN + 1)
    rows = [
        {
            "phone": row.key.phone if show_phones else mask_phone(row.key.phone),
            "recipient": row.recipient_id,
            "rule": row.rule,
            "run": row.run,
        }
        for row in unknowns[:_SHOWN]
    ]
    if as_json:
        output.show_json({"campaign": campaign, "occurrence": occurrence, "unknown": rows})
        return
    for row in rows:
        output.show(f"{row['phone']}  recipient {row['recipient']}  {row['rule']} (run {row['run']})")
    if len(unknowns) > _SHOWN:
        output.show("... and more")
    if not rows:
        output.show(f"{campaign} {occurrence}: no unknown deliveries")
