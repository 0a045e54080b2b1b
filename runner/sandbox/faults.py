"""Faults a sandbox can be told to have: which, when, and how. The CLI imports it, so it stays light."""

from __future__ import annotations

import random
import re
from collections.abc import Iterable
from dataclasses import dataclass, replace
from enum import Enum

from runner.errors import UsageError
from runner.sandbox.fault_words import ALWAYS, Occasions, find_kind, parse_occasions
from runner.sandbox.quantities import parse_duration, parse_size

_GRAMMAR = (
    "Write NAME[:WHEN][:ARGUMENT]; WHEN is 10%, #12, #10-20, #100-, every=7, @PHONE or @PHONEx1, "
    "and always where there is none."
)
_WHEN_PHONE = re.compile(r"@(\d+)(?:x(\d+))?")


class FaultKind(Enum):
    """What goes wrong with one message. The value is its name on the command line."""

    TOO_MANY = "429"
    UNAVAILABLE = "503"
    BAD_REQUEST = "400"
    UNAUTHORIZED = "401"
    SERVER_ERROR = "500"
    HTML_502 = "html502"
    HTML_200 = "html200"
    ERROR_IN_200 = "error-in-200"
    NO_ID = "no-id"
    BARE_ARRAY = "bare-array"
    CREATED = "201"
    HUGE = "huge"
    REDIRECT = "redirect"
    SLOW_AFTER_ACCEPT = "slow-after-accept"
    RESET_AFTER_ACCEPT = "reset-after-accept"
    RESET_BEFORE_ACCEPT = "reset-before-accept"
    TRUNCATED = "truncated"
    DROP = "drop"


#: One sentence for each fault, for the command's help.
MEANINGS = {
    FaultKind.TOO_MANY: "answer 429 in JSON, not accepted; ARGUMENT is a Retry-After such as 2s",
    FaultKind.UNAVAILABLE: "answer 503 in JSON, not accepted; ARGUMENT is a Retry-After such as 2s",
    FaultKind.BAD_REQUEST: "answer 400 in JSON, not accepted",
    FaultKind.UNAUTHORIZED: "answer 401 as for an expired token, not accepted",
    FaultKind.SERVER_ERROR: "answer 500 in JSON, not accepted unless ARGUMENT is `accepted`",
    FaultKind.HTML_502: "answer 502 in HTML as a gateway does, not accepted unless ARGUMENT is `accepted`",
    FaultKind.HTML_200: "accept, but answer 200 in HTML",
    FaultKind.ERROR_IN_200: "answer HTTP 200 with an error in the body, not accepted",
    FaultKind.NO_ID: "accept, but answer without a message id",
    FaultKind.BARE_ARRAY: "accept, and answer with a bare array that holds the id",
    FaultKind.CREATED: "accept, and answer 201",
    FaultKind.HUGE: "accept, and answer with ARGUMENT of text (32MB)",
    FaultKind.REDIRECT: "answer 307 to another path, not accepted unless the sender follows",
    FaultKind.SLOW_AFTER_ACCEPT: "accept, and answer after ARGUMENT (90s)",
    FaultKind.RESET_AFTER_ACCEPT: "accept, then reset the connection without an answer",
    FaultKind.RESET_BEFORE_ACCEPT: "reset the connection without accepting",
    FaultKind.TRUNCATED: "accept, then break off in the middle of the answer",
    FaultKind.DROP: "never answer and not accept; the connection ends after ARGUMENT (120s)",
}

#: The faults whose argument is a Retry-After.
RETRY_AFTER_KINDS = frozenset({FaultKind.TOO_MANY, FaultKind.UNAVAILABLE})
_MAYBE_ACCEPTED = frozenset({FaultKind.SERVER_ERROR, FaultKind.HTML_502})
_ALWAYS_ACCEPTED = frozenset(
    {
        FaultKind.HTML_200,
        FaultKind.NO_ID,
        FaultKind.BARE_ARRAY,
        FaultKind.CREATED,
        FaultKind.HUGE,
        FaultKind.SLOW_AFTER_ACCEPT,
        FaultKind.RESET_AFTER_ACCEPT,
        FaultKind.TRUNCATED,
    }
)
_DEFAULT_SECONDS = {FaultKind.SLOW_AFTER_ACCEPT: 90.0, FaultKind.DROP: 120.0}
_DEFAULT_HUGE = 32 * 1024 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """One fault, and when it strikes: at messages to `phone` (at most `times`), or else at `occasions`.

    `accepted` says whether the message counts as accepted. `seconds` is a delay or a Retry-After, `size` an
    answer's length in bytes.
    """

    kind: FaultKind
    text: str
    accepted: bool
    phone: str | None = None
    times: int | None = None
    occasions: Occasions = ALWAYS
    seconds: float | None = None
    size: int = 0

    def __str__(self) -> str:
        """Render as it was written."""
        return self.text


def parse_fault(text: str) -> Fault:
    """Read `NAME[:WHEN][:ARGUMENT]`, as `429:10%` or `drop:1%:90s`; UsageError where it is none."""
    name, _, rest = text.strip().partition(":")
    when, _, argument = rest.partition(":")
    kind = find_kind(FaultKind, name.strip(), text)
    fault = Fault(
        kind=kind,
        text=text.strip(),
        accepted=kind in _ALWAYS_ACCEPTED,
        seconds=_DEFAULT_SECONDS.get(kind),
        size=_DEFAULT_HUGE if kind is FaultKind.HUGE else 0,
    )
    return _with_argument(_with_when(fault, when.strip()), argument.strip())


def _with_when(fault: Fault, when: str) -> Fault:
    if not when:
        return fault
    if match := _WHEN_PHONE.fullmatch(when):
        return replace(fault, phone=match.group(1), times=int(match.group(2)) if match.group(2) else None)
    if (occasions := parse_occasions(when)) is not None:
        return replace(fault, occasions=occasions)
    raise UsageError(f"The fault {fault.text!r} strikes at {when!r}, which is no time", hint=_GRAMMAR)


def _with_argument(fault: Fault, argument: str) -> Fault:
    if not argument:
        return fault
    try:
        if fault.kind in RETRY_AFTER_KINDS or fault.kind in _DEFAULT_SECONDS:
            return replace(fault, seconds=parse_duration(argument))
        if fault.kind is FaultKind.HUGE:
            return replace(fault, size=parse_size(argument))
    except ValueError:
        raise UsageError(
            f"The fault {fault.text!r} has the argument {argument!r}",
            hint="Write a time as 90s, a size as 32MB.",
        ) from None
    if fault.kind in _MAYBE_ACCEPTED and argument == "accepted":
        return replace(fault, accepted=True)
    raise UsageError(
        f"The fault {fault.text!r} has the argument {argument!r}, which it does not know",
        hint=f"{fault.kind.value}: {MEANINGS[fault.kind]}.",
    )


class FaultPlan:
    """The faults of a running sandbox, and which of them strikes a message; `chance` decides."""

    def __init__(self, faults: Iterable[Fault], chance: random.Random) -> None:
        self.faults = tuple(faults)
        self._chance = chance
        self._struck = [0] * len(self.faults)

    def strike(self, number: int, phone: str) -> Fault | None:
        """Return the first fault that strikes message `number` (from 1) to `phone`, or None."""
        for index, fault in enumerate(self.faults):
            if self._strikes(index, number, phone):
                return fault
        return None

    def _strikes(self, index: int, number: int, phone: str) -> bool:
        fault = self.faults[index]
        if fault.phone is None:
            return fault.occasions.include(number, self._chance)
        if phone != fault.phone or (fault.times is not None and self._struck[index] >= fault.times):
            return False
        self._struck[index] += 1
        return True
