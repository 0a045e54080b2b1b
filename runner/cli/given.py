"""What a command line gives to the campaigns it names: `--param` and `--occurrence`."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import Any

import click

from runner.campaign import Campaign
from runner.cli import output
from runner.errors import ExitCode, UsageError
from runner.parameters import parameter_names, read_given
from runner.schedule import leaves_out

_EXAMPLE = "write it as the ledger does: --occurrence 2026-11-30T02:00Z"


@dataclass(frozen=True, slots=True, kw_only=True)
class Given:
    """Parameters by name, and the moment (UTC) of the firing that is meant; None for the coming one."""

    parameters: Mapping[str, str]
    occurrence_at: datetime | None

    def __bool__(self) -> bool:
        """Tell whether anything was given."""
        return bool(self.parameters) or self.occurrence_at is not None

    def is_left_out(self, campaign: Campaign) -> bool:
        """Tell whether the firing that is meant is one that the campaign's schedule leaves out."""
        return self.occurrence_at is not None and leaves_out(campaign.schedule, self.occurrence_at)

    def left_out(self, campaign: Campaign) -> dict[str, object]:
        """Say that there is nothing to do, as the schedule has it; return the run's document."""
        reason = f"{self.occurrence_at:%Y-%m-%dT%H:%MZ} is left out: {campaign.schedule.summary()}"
        output.say(f"{campaign.name}: nothing to do: {reason}")
        return {"run": None, "campaign": campaign.name, "left_out": reason, "exit_code": int(ExitCode.DONE)}

    def check(self, campaigns: Sequence[Campaign]) -> None:
        """Raise UsageError for a parameter that no campaign has, or an occurrence of one without a cron."""
        known = frozenset().union(*(parameter_names(campaign.segment) for campaign in campaigns))
        for name in sorted(self.parameters.keys() - known):
            hint = output.did_you_mean(name, known) or f"known here: {', '.join(sorted(known)) or 'none'}"
            raise UsageError(f"no campaign has the parameter {name!r}", hint=hint)
        if self.occurrence_at is None:
            return
        for campaign in campaigns:
            if campaign.schedule.cron is None:
                raise UsageError(
                    f"--occurrence: {campaign.name} fires once",
                    hint="leave it out where there is no cron",
                )


def given_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add `--param` and `--occurrence` to a command, which gets them as `given`."""

    @click.option(
        "--param", "params", multiple=True, metavar="NAME=VALUE", help="Give a parameter; repeatable."
    )
    @click.option(
        "--occurrence", metavar="MOMENT", help="For this firing of the schedule, not the coming one; UTC."
    )
    @functools.wraps(command)
    def with_given(*args: Any, params: tuple[str, ...], occurrence: str | None, **options: Any) -> Any:  # noqa: ANN401 - passed on
        given = Given(parameters=read_given(params), occurrence_at=_moment(occurrence))
        return command(*args, given=given, **options)

    return with_given


def _moment(text: str | None) -> datetime | None:
    if text is None:
        return None
    try:
        moment = datetime.fromisoformat(text.replace("Z", "+00:00"))
    except ValueError:
        raise UsageError(f"--occurrence {text!r} is no moment", hint=_EXAMPLE) from None
    if moment.tzinfo is None:
        raise UsageError(f"--occurrence {text!r} has no time zone", hint=_EXAMPLE)
    return moment.astimezone(timezone.utc)
