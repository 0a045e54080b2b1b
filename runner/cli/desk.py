"""The desk of a tick: plans, applies and tells for one campaign, as `runner plan` and `runner apply` do."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from runner import plan_file
from runner.campaign import Campaign
from runner.cli.apply import apply_planned
from runner.cli.approving import current_definition, standing_of
from runner.cli.given import Given
from runner.cli.plan import plan_and_show
from runner.cli.telling import wanted_events
from runner.cli.workplace import Workplace, plan_key
from runner.errors import ExitCode, Refusal, RunnerError
from runner.notice import Notice
from runner.notifying import Notifier
from runner.plan import Plan
from runner.reports import notices
from runner.schedule import Firing
from runner.ticking import Standing

if TYPE_CHECKING:
    from runner.ledger.firings import FiringRecord
    from runner.ledger.interface import Ledger


class CampaignDesk:
    """Does the work of one campaign for a tick."""

    def __init__(self, workplace: Workplace, campaign: Campaign, notifier: Notifier) -> None:
        self._workplace = workplace
        self._campaign = campaign
        self._notifier = notifier
        self._paths: dict[str, Path] = {}

    def standing(self) -> Standing:
        """Return the definition as it is now, and whether it is approved."""
        definition = current_definition(self._workplace, self._campaign)
        with ledger_of(self._workplace) as ledger:
            return standing_of(self._workplace, ledger, self._campaign, definition)

    def plan(self, firing: Firing) -> Plan:
        """Plan the firing and keep the plan; Refusal when it is over a guard."""
        given = Given(parameters={}, occurrence_at=firing.due_at)
        path = plan_and_show(self._workplace, self._campaign, given)
        plan = plan_file.read_plan(path, plan_key())
        if plan.occurrence != firing.occurrence:
            raise Refusal(f"{plan.campaign}: planned {plan.occurrence} instead of {firing.occurrence}")
        self._paths[plan.digest] = path
        return plan

    def kept_plan(self, digest: str) -> Plan | None:
        """Return the plan of that digest, if it is still here and valid."""
        for path in self._workplace.plans.glob(f"{self._campaign.name}.*.{digest[:12]}.plan"):
            try:
                plan = plan_file.read_plan(path, plan_key())
            except RunnerError:
                continue  # what cannot be read is planned again
            is_valid = plan.expires_at.timestamp() > self._workplace.clock.now()
            if plan.digest == digest and is_valid:
                self._paths[digest] = path
                return plan
        return None

    def apply(self, plan: Plan) -> tuple[ExitCode, Mapping[str, Any]]:
        """Send what is left of a plan that is kept; return the exit code and the document of the run."""
        path = self._paths[plan.digest]
        return apply_planned(self._workplace, path, plan, self._notifier, auto_approve=True, comes_again=True)

    def tell_planned(self, plan: Plan) -> None:
        """Tell people that a firing was planned."""
        self._tell(notices.planned(plan))

    def tell_waiting(self, record: FiringRecord, plan: Plan | None, standing: Standing) -> None:
        """Tell people that a firing waits for an approval."""
        self._tell(notices.waiting(record, plan, standing.why, standing.command))

    def tell_missed(self, missed: Sequence[FiringRecord]) -> None:
        """Tell people of the firings that were too late to be sent."""
        self._tell(notices.missed(missed))

    def tell_failed(self, record: FiringRecord, error: RunnerError) -> None:
        """Tell people that a firing could not be planned."""
        from runner.cli import output

        output.report(error)
        self._tell(notices.not_planned(record, error))

    def _tell(self, notice: Notice) -> None:
        own = self._campaign.document.get("notify")
        self._notifier.tell(notice, wanted_events(own, self._workplace))


@contextmanager
def ledger_of(workplace: Workplace) -> Iterator[Ledger]:
    """Give the project's ledger, open for writing."""
    from runner.ledger import open_ledger

    with closing(open_ledger(workplace.project.ledger, root=workplace.project.root)) as ledger:
        yield ledger
