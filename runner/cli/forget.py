"""`runner forget`: erase a person on this machine and in the ledger, and never message them again."""

from __future__ import annotations

import sys
from contextlib import closing
from typing import TYPE_CHECKING, Any

import click

from runner.cli import output
from runner.cli.explain import read_digits, suppressed_phones
from runner.cli.forgotten import KEY_VARIABLE, given_key
from runner.cli.workplace import Workplace, open_workplace, plan_key, user_name
from runner.errors import Refusal, UsageError
from runner.masking import mask_phone

if TYPE_CHECKING:
    from runner.forgetting import Forgot, Person, Surroundings


@click.command(name="forget")
@click.argument("phone")
@click.option("--region", help="The country (such as ID) of a number written without a country code.")
@click.option("--auto-approve", is_flag=True, help="Do not ask; for machines.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
@click.option("--sandbox", is_flag=True, help="In the rehearsals' plans and ledger only.")
def command(phone: str, region: str | None, auto_approve: bool, as_json: bool, sandbox: bool) -> None:
    """Erase the person with PHONE from ledger, plans, run logs and log files; it cannot be undone.

    Only a keyed hash stays, by which every later plan and a running apply leave them out. The key is
    RUNNER_FORGET_KEY in the environment; it is stored nowhere.
    """
    from runner.forgetting import forget_person
    from runner.ledger import open_ledger

    with open_workplace(rehearsal=sandbox) as workplace:
        digits = read_digits(phone, region)
        person = _person(digits)
        lists = _listed(workplace, digits, region)
        _confirm(digits, auto_approve=auto_approve or sandbox)
        url, root = workplace.project.ledger, workplace.project.root
        with closing(open_ledger(url, root=root)) as ledger:
            done = forget_person(person, ledger, _around(workplace))
    document = _document(digits, done, lists)
    if as_json:
        output.show_json(document)
    else:
        _show(document)


def _person(digits: str) -> Person:
    from runner.forgetting import Person
    from runner.forgotten import keyed_hash, proof_of

    key = given_key()
    if key is None:
        raise UsageError(
            f"{KEY_VARIABLE} is not set: nothing was erased",
            hint="make one with `openssl rand -hex 32`, keep it, and set it wherever you plan or apply",
        )
    return Person(digits=digits, keyed_hash=keyed_hash(key, digits), proof=proof_of(key))


def _listed(workplace: Workplace, digits: str, region: str | None) -> list[str]:
    """Return the never-message lists that name the phone: they are in git, and a person's to change."""
    if digits not in suppressed_phones(workplace, region):
        return []
    from runner.screening_lists import read_suppression

    paths = workplace.project.suppression
    return [output.shown(path) for path in paths if digits in read_suppression([path], region=region)]


def _confirm(digits: str, *, auto_approve: bool) -> None:
    if auto_approve:
        return
    if not sys.stdin.isatty():
        raise Refusal(
            "not confirmed: nobody is here to ask, and nothing was erased",
            hint="use --auto-approve for machines",
        )
    question = f"Erase {mask_phone(digits)} everywhere here, for ever? Type yes to erase"
    answer = click.prompt(question, default="no", show_default=False, err=True)
    if str(answer).strip().lower() != "yes":
        raise Refusal("not confirmed: nothing was erased", hint="type yes to erase")


def _around(workplace: Workplace) -> Surroundings:
    from runner.cli.log import log_tools
    from runner.forgetting import Surroundings
    from runner.ledger.liveness import this_process

    return Surroundings(
        state=workplace.project.state,
        logs=log_tools(workplace),
        holder=this_process(user_name()),
        plan_key=plan_key(),
        is_rehearsal=workplace.rehearsal,
    )


def _document(digits: str, done: Forgot, lists: list[str]) -> dict[str, Any]:
    return {
        "phone": mask_phone(digits),
        "new": done.is_new,
        "erased": {
            "deliveries": done.deliveries,
            "events": done.events,
            "settlements": done.resolutions,
            "held_out": done.held_out,
            "run_log_lines": done.run_log_lines,
            "log_files": done.log_files,
        },
        "plans": list(done.plans),
        "treasure_data": [{"table": rows.table, "statement": rows.statement} for rows in done.elsewhere],
        "lists": lists,
        "applying": list(done.applying),
        "wiped": done.is_wiped,
    }


def _show(document: dict[str, Any]) -> None:
    erased = document["erased"]
    output.show(f"{document['phone']} is forgotten{'' if document['new'] else ' (and was before)'}")
    kept = ", ".join(f"{erased[name]} {name}" for name in ("deliveries", "events", "settlements"))
    if erased["held_out"]:
        kept += f", {erased['held_out']} places in control groups"
    output.show(f"  erased in the ledger: {kept}; they still count")
    output.show(
        f"  erased in files: {erased['log_files']} log files, {erased['run_log_lines']} run log lines"
    )
    for name in document["plans"]:
        output.show(f"  plan {name} removed: plan again")
    for rows in document["treasure_data"]:
        output.show(f"  left in {rows['table']}: run there: {rows['statement']}")
    for name in document["lists"]:
        output.show(f"  left in {name}: take the line out, the keyed hash does its work now")
    for name in document["applying"]:
        output.show(f"  left: the apply of {name} keeps its copy of the plan until it ends")
    if not document["wiped"]:
        output.show("  left: the ledger's file is in use; run the same again when no apply is running")
