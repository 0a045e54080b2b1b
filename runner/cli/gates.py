"""The gates at send time: who may no longer be messaged, though the plan has them."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from runner.campaign import Campaign
from runner.cli.forgotten import forgotten_people
from runner.cli.workplace import Workplace
from runner.delivery import FORGOTTEN, Delivery
from runner.errors import LedgerError, Refusal, RunnerError, UsageError
from runner.forgotten import ASKED_EVERY, Forgotten

if TYPE_CHECKING:
    from runner.halting import Halt
    from runner.ledger.interface import Ledger
    from runner.ledger.journal import LedgerThread
    from runner.opting_out import OptedOut


class ForgottenGate:
    """Who was forgotten, also while the apply goes on."""

    def __init__(self, people: Forgotten | None) -> None:
        self._people = people

    def bars(self, phone: str) -> bool:
        """Tell whether this phone was forgotten."""
        return self._people is not None and self._people.knows(phone)

    def count_in(self, tables: Path) -> int:
        """Return how many of a plan's recipients were forgotten."""
        from runner.screening import count_forgotten

        return count_forgotten(tables, self._people) if self._people else 0

    def renew(self, ledger: Ledger) -> None:
        """Ask the ledger who was forgotten since. UsageError when that cannot be known by the key here."""
        if ledger.last_forgotten() != (self._people.last if self._people else 0):
            self._people = forgotten_people(ledger)


def open_forgotten_gate(ledger: Ledger) -> ForgottenGate:
    """Return the gate as of now; Refusal when people were forgotten, and the key does not tell who."""
    try:
        return ForgottenGate(forgotten_people(ledger))
    except UsageError as error:
        raise Refusal(f"refused, nothing was sent: {error.message}", hint=error.hint) from error


@asynccontextmanager
async def kept_open(gate: ForgottenGate, ledger: LedgerThread, halt: Halt) -> AsyncIterator[None]:
    """Renew the gate every second, for as long as the context lasts; what it cannot know stops the run."""
    import asyncio

    from runner.halting import StopCause

    async def renew() -> None:
        while True:
            await asyncio.sleep(ASKED_EVERY)
            with suppress(LedgerError):  # busy for a moment; an intent that cannot be written says so itself
                await ledger.call(gate.renew)

    def ended(task: asyncio.Task[None]) -> None:
        error = None if task.cancelled() else task.exception()
        if error is not None:
            said = error.message if isinstance(error, RunnerError) else str(error)
            halt.pull(StopCause.GUARD, said)

    renewing = asyncio.ensure_future(renew())
    renewing.add_done_callback(ended)
    try:
        yield
    finally:
        renewing.cancel()
        await asyncio.gather(renewing, return_exceptions=True)


def send_gate(
    workplace: Workplace,
    campaign: Campaign | RunnerError,
    forgotten: ForgottenGate,
    opted_out: OptedOut,
) -> Callable[[Delivery], str | None]:
    """Return the gate at send time: who was forgotten, opted out, or got on a list since.

    Caps over all campaigns are not judged here, but by the ledger (`runner.capping`).
    A campaign that cannot be loaded any more is refused before anybody comes to the gate.
    """
    if isinstance(campaign, RunnerError):
        return lambda _: None
    from runner.screening_lists import read_suppression

    suppressed = read_suppression(workplace.project.suppression, region=campaign.recipient.region)

    def barred(delivery: Delivery) -> str | None:
        phone = delivery.key.phone
        if forgotten.bars(phone):
            return FORGOTTEN
        if phone in suppressed:
            return "suppressed"
        return "opted_out" if phone in opted_out else None

    return barred
