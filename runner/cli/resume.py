"""`runner resume`: lift what `runner stop` stopped."""

from __future__ import annotations

import time
from contextlib import closing

import click

from runner.cli import output
from runner.cli.workplace import open_workplace, user_name


@click.command(name="resume")
@click.argument("campaign", required=False)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
@click.option("--sandbox", is_flag=True, help="In the rehearsals' ledger.")
def command(campaign: str | None, as_json: bool, sandbox: bool) -> None:
    """Lift the stop of CAMPAIGN (its name); without one, the stop of every campaign.

    Nothing is sent by this: the next `runner apply` goes on. A campaign that was stopped by its own name
    stays stopped when the stop of every campaign is lifted.
    """
    from runner.cli.status import stop_document
    from runner.cli.stop import check_known
    from runner.ledger import open_ledger

    with open_workplace(rehearsal=sandbox) as workplace:
        url, root = workplace.project.ledger, workplace.project.root
        with closing(open_ledger(url, root=root)) as ledger:
            if campaign is not None:
                check_known(campaign, workplace, ledger, done="resumed")
            is_lifted = ledger.resume(campaign, by=user_name(), now=time.time())
            stops = [each for each in ledger.stops() if campaign is None or each.campaign is None]
    if as_json:
        standing = [stop_document(stop) for stop in stops]
        output.show_json({"campaign": campaign, "lifted": is_lifted, "stops": standing})
        return
    whose = campaign or "every campaign"
    output.show(f"{whose}: {'the stop is lifted' if is_lifted else 'there was no stop to lift'}")
    for stop in stops:
        output.say(f"still stands: {stop}; `{stop.lifted_by}` lifts it")
    if is_lifted and not stops:
        output.say("go on with `runner apply`")
