"""`runner stop`: nothing new leaves, of one campaign or of all, wherever it is being applied."""

from __future__ import annotations

import time
from contextlib import closing
from typing import TYPE_CHECKING

import click

from runner.cli import output
from runner.cli.workplace import Workplace, open_workplace, user_name
from runner.errors import UsageError

if TYPE_CHECKING:
    from runner.ledger.interface import Ledger, OccurrenceSummary


@click.command(name="stop")
@click.argument("campaign", required=False)
@click.option("--note", default="", help="Why; kept in the ledger, and shown to whoever applies.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
@click.option("--sandbox", is_flag=True, help="In the rehearsals' ledger.")
def command(campaign: str | None, note: str, as_json: bool, sandbox: bool) -> None:
    """Stop CAMPAIGN (its name), or every campaign.

    Once this command has ended, no apply begins another message, on any machine that shares the ledger. What
    is in flight is finished and recorded, at most one request for each connection. `runner resume` lifts it.
    """
    from runner.cli.status import living_locks, stop_document
    from runner.ledger import open_ledger

    with open_workplace(rehearsal=sandbox) as workplace:
        url, root = workplace.project.ledger, workplace.project.root
        with closing(open_ledger(url, root=root)) as ledger:
            if campaign is not None:
                everything = "`runner stop` without a name stops every campaign"
                check_known(campaign, workplace, ledger, done="stopped", else_do=everything)
            now = time.time()
            stop = ledger.stop(campaign, by=user_name(), note=note, now=now)
            applied = [each for each in living_locks(ledger, ledger.summary(campaign)) if each.lock]
    is_new = stop.at == now
    if as_json:
        holders = [_applied(each) for each in applied]
        output.show_json({"stop": stop_document(stop), "is_new": is_new, "applied_by": holders})
        return
    output.show(f"{'' if is_new else 'already stopped: '}{stop}; `{stop.lifted_by}` lifts it")
    for each in map(_applied, applied):
        where = f"{each['campaign']} {each['occurrence']} is being applied by {each['by']}"
        output.say(f"{where}: it finishes what is in flight, and ends")


def _applied(occurrence: OccurrenceSummary) -> dict[str, str]:
    holder = str(occurrence.lock.holder) if occurrence.lock else ""
    return {"campaign": occurrence.campaign, "occurrence": occurrence.occurrence, "by": holder}


def check_known(campaign: str, workplace: Workplace, ledger: Ledger, *, done: str, else_do: str = "") -> None:
    """Raise UsageError for a name that nothing was planned or sent under: a slip would do nothing.

    `done` is what then was not, and `else_do` what else there is to do.
    """
    if ledger.summary(campaign) or campaign in {stop.campaign for stop in ledger.stops()}:
        return
    planned = {path.name.partition(".")[0] for path in workplace.plans.glob("*.plan")}
    if campaign in planned:
        return
    known = planned | {occurrence.campaign for occurrence in ledger.summary()}
    near = output.did_you_mean(campaign, known)
    raise UsageError(
        f"no campaign {campaign!r} was planned or applied here: nothing was {done}",
        hint=f"{near} {else_do}".strip() or "see `runner status`",
    )
