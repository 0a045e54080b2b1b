"""Faults the Treasure Data sandbox can be told to have; the CLI imports it, so it stays light.

The grammar is that of ADA's sandbox (faults.py), with calls instead of phones: `500:@job_status`, or, where
the calls of one name are counted, `500@job_status:#2`.
"""

from __future__ import annotations

import random
import re
from collections.abc import Iterable
from dataclasses import dataclass, replace
from enum import Enum

from runner.errors import UsageError
from runner.sandbox.fault_words import ALWAYS, Occasions, did_you_mean, find_kind, parse_occasions
from runner.sandbox.quantities import parse_duration

_GRAMMAR = (
    "Write NAME[@CALL][:WHEN][:ARGUMENT]; WHEN is 10%, #12, #10-20, #100-, every=7, @CALL or @CALLx1, "
    "and always where there is none."
)
_WHEN_CALL = re.compile(r"@([a-z_]+?)(?:x(\d+))?")

#: The calls that a fault can name. Each request is one of them.
CALLS = (
    "audience",
    "bulk_commit",
    "bulk_create",
    "bulk_delete",
    "bulk_freeze",
    "bulk_perform",
    "bulk_show",
    "bulk_upload",
    "database_create",
    "database_list",
    "import",
    "job_by_key",
    "job_issue",
    "job_kill",
    "job_list",
    "job_result",
    "job_show",
    "job_status",
    "table_create",
    "table_delete",
    "table_list",
    "table_schema",
    "table_show",
    "table_tail",
    "trino",
    "trino_cancel",
    "trino_next",
)


class TdFaultKind(Enum):
    """What goes wrong with a call or a job. The value is its name on the command line."""

    BAD_REQUEST = "400"
    UNAUTHORIZED = "401"
    FORBIDDEN = "403"
    NOT_FOUND = "404"
    CONFLICT = "409"
    TOO_LARGE = "413"
    UNPROCESSABLE = "422"
    TOO_MANY = "429"
    SERVER_ERROR = "500"
    BAD_GATEWAY = "502"
    UNAVAILABLE = "503"
    GATEWAY_TIMEOUT = "504"
    HTML_502 = "html502"
    SLOW = "slow-after-accept"
    RESET_AFTER = "reset-after-accept"
    RESET_BEFORE = "reset-before-accept"
    TRUNCATED = "truncated"
    DROP = "drop"
    JOB_SLOW = "job-slow"
    JOB_ERROR = "job-error"
    JOB_KILLED = "job-killed"


#: One sentence for each fault, for the documentation and the errors.
MEANINGS = {
    **{
        kind: f"answer {kind.value}, not done unless ARGUMENT is `accepted`"
        for kind in TdFaultKind
        if kind.value.isdecimal()
    },
    TdFaultKind.TOO_MANY: "answer 429, not done; ARGUMENT is a Retry-After such as 2s",
    TdFaultKind.UNAVAILABLE: "answer 503, not done; ARGUMENT is a Retry-After such as 2s",
    TdFaultKind.HTML_502: "answer 502 in HTML as a gateway does, not done unless ARGUMENT is `accepted`",
    TdFaultKind.SLOW: "done, and answered after ARGUMENT (90s)",
    TdFaultKind.RESET_AFTER: "done, then the connection is reset without an answer",
    TdFaultKind.RESET_BEFORE: "the connection is reset, not done",
    TdFaultKind.TRUNCATED: "done, and the answer breaks off in the middle",
    TdFaultKind.DROP: "never answered and not done; the connection ends after ARGUMENT (120s)",
    TdFaultKind.JOB_SLOW: "a job runs for ARGUMENT (60s) before it ends",
    TdFaultKind.JOB_ERROR: "a job ends in `error`; ARGUMENT is what its stderr says",
    TdFaultKind.JOB_KILLED: "a job is killed by somebody else",
}

#: The faults whose argument is a Retry-After.
RETRY_AFTER_KINDS = frozenset({TdFaultKind.TOO_MANY, TdFaultKind.UNAVAILABLE})
#: The faults of a job, not of a call.
JOB_KINDS = frozenset({TdFaultKind.JOB_SLOW, TdFaultKind.JOB_ERROR, TdFaultKind.JOB_KILLED})
_ACCEPTED = frozenset({TdFaultKind.SLOW, TdFaultKind.RESET_AFTER, TdFaultKind.TRUNCATED})
_DEFAULT_SECONDS = {TdFaultKind.SLOW: 90.0, TdFaultKind.DROP: 120.0, TdFaultKind.JOB_SLOW: 60.0}


@dataclass(frozen=True, slots=True, kw_only=True)
class TdFault:
    """One fault and when it strikes: at the first `times` calls (or jobs), or else at `occasions`.

    `call` narrows it to calls of that name; numbers and shares then count these calls alone. `accepted`: what
    was asked is done all the same. `seconds` is a delay or a Retry-After, `argument` a text.
    """

    kind: TdFaultKind
    text: str
    accepted: bool
    call: str | None = None
    times: int | None = None
    occasions: Occasions = ALWAYS
    seconds: float | None = None
    argument: str = ""

    def __str__(self) -> str:
        """Render as it was written."""
        return self.text


def parse_td_fault(text: str) -> TdFault:
    """Read `NAME[@CALL][:WHEN][:ARGUMENT]`, as `500@job_status:#2`; UsageError where it is none."""
    head, _, rest = text.strip().partition(":")
    when, _, argument = rest.partition(":")
    name, _, call = head.partition("@")
    kind = find_kind(TdFaultKind, name.strip(), text)
    fault = TdFault(
        kind=kind, text=text.strip(), accepted=kind in _ACCEPTED, seconds=_DEFAULT_SECONDS.get(kind)
    )
    if call:
        fault = _at_call(fault, call.strip(), None)
    return _with_argument(_with_when(fault, when.strip()), argument.strip())


def _at_call(fault: TdFault, call: str, times: int | None) -> TdFault:
    if fault.kind in JOB_KINDS:
        raise UsageError(f"The fault {fault.text!r} is of a job, not of a call", hint=_GRAMMAR)
    if call not in CALLS:
        raise UsageError(
            f"There is no call {call!r} (in {fault.text!r})",
            hint=f"{did_you_mean(call, CALLS)}The calls: {', '.join(CALLS)}.",
        )
    return replace(fault, call=call, times=times)


def _with_when(fault: TdFault, when: str) -> TdFault:
    if not when:
        return fault
    if match := _WHEN_CALL.fullmatch(when):
        return _at_call(fault, match.group(1), int(match.group(2)) if match.group(2) else None)
    if (occasions := parse_occasions(when)) is not None:
        return replace(fault, occasions=occasions)
    raise UsageError(f"The fault {fault.text!r} strikes at {when!r}, which is no time", hint=_GRAMMAR)


def _with_argument(fault: TdFault, argument: str) -> TdFault:
    if not argument:
        return fault
    if fault.kind is TdFaultKind.JOB_ERROR:
        return replace(fault, argument=argument)
    if fault.kind in RETRY_AFTER_KINDS or fault.kind in _DEFAULT_SECONDS:
        try:
            return replace(fault, seconds=parse_duration(argument))
        except ValueError:
            raise UsageError(
                f"The fault {fault.text!r} has the argument {argument!r}",
                hint="Write a time as 90s or 300ms.",
            ) from None
    if argument == "accepted" and (fault.kind.value.isdecimal() or fault.kind is TdFaultKind.HTML_502):
        return replace(fault, accepted=True)
    raise UsageError(
        f"The fault {fault.text!r} has the argument {argument!r}, which it does not know",
        hint=f"{fault.kind.value}: {MEANINGS[fault.kind]}.",
    )


class TdFaultPlan:
    """The faults of a running sandbox, and which of them strikes a call or a job; `chance` decides."""

    def __init__(self, faults: Iterable[TdFault], chance: random.Random) -> None:
        self.faults = tuple(faults)
        self._chance = chance
        self._seen = [0] * len(self.faults)

    def strike_call(self, call: str) -> TdFault | None:
        """Return the first fault that strikes the next request, a `call`, or None."""
        return self._strike(
            index
            for index, fault in enumerate(self.faults)
            if fault.kind not in JOB_KINDS and fault.call in {None, call}
        )

    def strike_job(self) -> TdFault | None:
        """Return the first fault that strikes the next job, or None."""
        return self._strike(index for index, fault in enumerate(self.faults) if fault.kind in JOB_KINDS)

    def _strike(self, indexes: Iterable[int]) -> TdFault | None:
        """Count the occasion for each fault that it concerns, and return the first that strikes."""
        struck = None
        for index in indexes:
            self._seen[index] += 1
            if struck is None and self._strikes(self.faults[index], self._seen[index]):
                struck = self.faults[index]
        return struck

    def _strikes(self, fault: TdFault, number: int) -> bool:
        if fault.times is not None:
            return number <= fault.times
        return fault.occasions.include(number, self._chance)
