"""THE table from ADA's answers to outcomes. Pure; between ADA's wire and the ledger's truth.

The first rule that applies decides. A rule may say RETRY only if what it reads proves that nothing was sent,
because only RETRY is ever sent again. Sources: reference/ada-api.md §3-5 for what ADA answers (most error
answers are UNKNOWN there), DESIGN §4 for what may follow from it.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timezone
from email.utils import parsedate_to_datetime

from runner.delivery import Answer, Outcome
from runner.masking import mask_phone
from runner.providers.http import Failure, FailureKind, HttpAnswer, HttpResult

#: ADA's errorCode for a missing, malformed or expired token; it comes with HTTP 400 (ada-api.md §5).
BAD_TOKEN_CODE = "10203"  # noqa: S105 - an error code, not a secret

#: The longest wait a Retry-After is believed, in seconds.
LONGEST_RETRY_AFTER = 3600.0

_DETAIL_LENGTH = 200
_ID_LENGTH = 200
_JWT = re.compile(r"eyJ[\w-]+(?:\.[\w-]+)*")
_PHONE = re.compile(r"\+?\d(?:[\s().-]{0,2}\d){6,}")
_CONTROL = re.compile(r"[\x00-\x20\x7f-\xa0\u2028\u2029]+")


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """One row: its name in ledgers and logs, when it applies, what it means, and whether it ends the run."""

    name: str
    applies: Callable[[HttpResult], bool]
    outcome: Outcome
    stops: bool = False


def _answer(reads: Callable[[HttpAnswer], bool]) -> Callable[[HttpResult], bool]:
    """Make a rule about a whole answer."""
    return lambda result: isinstance(result, HttpAnswer) and reads(result)


def _failure(reads: Callable[[Failure], bool]) -> Callable[[HttpResult], bool]:
    """Make a rule about a missing answer."""
    return lambda result: isinstance(result, Failure) and reads(result)


def _row(name: str, applies: Callable[[HttpResult], bool], outcome: Outcome, *, stops: bool = False) -> Rule:
    return Rule(name=name, applies=applies, outcome=outcome, stops=stops)


def _is_2xx(answer: HttpAnswer) -> bool:
    return 200 <= answer.status <= 299


def is_bad_token(answer: HttpAnswer) -> bool:
    """Tell whether ADA does not take the token: 401, 403, or errorCode 10203, or 401 in the body of a 2xx."""
    if answer.status in {401, 403}:
        return True
    if not isinstance(answer.document, dict) or (_is_2xx(answer) and message_id(answer.document)):
        return False
    inside = _is_2xx(answer) and _number(answer.document.get("status")) == 401
    return inside or _number(answer.document.get("errorCode")) == float(BAD_TOKEN_CODE)


def _is_accepted(answer: HttpAnswer) -> bool:
    return _is_2xx(answer) and message_id(answer.document) is not None and not says_failure(answer.document)


def _is_busy(answer: HttpAnswer) -> bool:
    """Tell whether ADA itself declines for now: a gateway's 503 is HTML, and one with an id is no refusal."""
    return answer.status == 503 and isinstance(answer.document, dict) and message_id(answer.document) is None


def _is_unsendable(failure: Failure) -> bool:
    return failure.kind is FailureKind.UNSENDABLE and not failure.written


# fmt: off
RULES: tuple[Rule, ...] = (
    _row("accepted", _answer(_is_accepted), Outcome.ACCEPTED),
    # A token that ADA does not take, in each way it may say so. Nobody's message passes until a person acts.
    _row("bad_token", _answer(is_bad_token), Outcome.RETRY, stops=True),
    # Only a proxy on our side says 407, and then it has passed nothing on (RFC 9110 §15.5.8).
    _row("proxy_password", _answer(lambda a: a.status == 407), Outcome.RETRY, stops=True),
    _row("rate_limited", _answer(lambda a: a.status == 429), Outcome.RETRY),
    _row("busy", _answer(_is_busy), Outcome.RETRY),
    # 2xx with an error inside (ada-api.md §5). Which errorCode is a rate limit is unknown: none is retried.
    _row("refused_inside", _answer(lambda a: _is_2xx(a) and says_failure(a.document)), Outcome.REFUSED),
    _row("refused", _answer(lambda a: 400 <= a.status <= 499), Outcome.REFUSED),
    # Whoever redirects may have sent; and the next one would be redirected too.
    _row("redirected", _answer(lambda a: 300 <= a.status <= 399), Outcome.UNKNOWN, stops=True),
    _row("no_message_id", _answer(_is_2xx), Outcome.UNKNOWN),
    _row("server_error", _answer(lambda a: 500 <= a.status <= 599), Outcome.UNKNOWN),
    _row("unsendable", _failure(_is_unsendable), Outcome.REFUSED),
    # No byte of the request was written, whatever the reason.
    _row("never_left", _failure(lambda f: not f.written), Outcome.RETRY),
    _row("timed_out", _failure(lambda f: f.kind is FailureKind.TIMEOUT), Outcome.UNKNOWN),
    _row("broken_off", _failure(lambda _: True), Outcome.UNKNOWN),
    _row("not_understood", lambda _: True, Outcome.UNKNOWN),
)
# fmt: on


def decide(result: HttpResult) -> Rule:
    """Return the rule that decides: the first that applies."""
    for rule in RULES:
        if rule.applies(result):
            return rule
    raise AssertionError("the last rule applies to everything")


def to_answer(result: HttpResult, *, departed_at: float | None, now: float, key: str = "") -> Answer:
    """Return what `result` means, with its evidence. `now` is epoch seconds; `key` is cut from every text."""
    rule = decide(result)
    if isinstance(result, Failure):
        return Answer(
            outcome=rule.outcome,
            rule=rule.name,
            detail=clean(result.detail, key) or None,
            stops=rule.stops,
            departed_at=departed_at,
        )
    accepted = rule.outcome is Outcome.ACCEPTED
    wait = rule.outcome is Outcome.RETRY and result.retry_after
    return Answer(
        outcome=rule.outcome,
        rule=rule.name,
        message_id=message_id(result.document) if accepted else None,
        http_status=result.status,
        code=None if accepted else error_code(result.document),
        detail=None if accepted else clean(error_text(result.document), key) or None,
        retry_after=retry_after_seconds(wait, now) if wait else None,
        stops=rule.stops,
        departed_at=departed_at,
    )


def message_id(document: object) -> str | None:
    """Return the id of an accepted message: the first element of `data` (ada-api.md §4.6).

    A bare top-level array and `data` as an object with an `id` are read too; the fact is not proven.
    """
    data = document.get("data") if isinstance(document, dict) else document
    first = data[0] if isinstance(data, list) and data else data if isinstance(data, dict) else None
    value = first.get("id") if isinstance(first, dict) else first
    if not isinstance(value, str) or not value.strip().isprintable() or len(value) > _ID_LENGTH:
        return None
    return value.strip() or None


def error_code(document: object) -> str | None:
    """Return the body's `errorCode` as text, None when there is none or it is zero (success)."""
    value = document.get("errorCode") if isinstance(document, dict) else None
    if value is None or value is False or value == "" or _number(value) == 0:
        return None
    return clean(str(value).strip(), "")[:32] or None


def says_failure(document: object) -> bool:
    """Tell whether the body says failure: `status` of 400 or more, or an `errorCode` that is not zero."""
    if not isinstance(document, dict):
        return False
    status = _number(document.get("status"))
    return error_code(document) is not None or (status is not None and status >= 400)


def error_text(document: object) -> str:
    """Return the body's `message`, else its `error`, empty when neither is a text."""
    if not isinstance(document, dict):
        return ""
    texts = (document.get("message"), document.get("error"))
    return next((text for text in texts if isinstance(text, str) and text.strip()), "")


def clean(text: str, key: str) -> str:
    """Make a provider's text fit to show: one line of at most 200 characters, no key, no phone."""
    text = text.replace(key, "***") if key else text
    text = _CONTROL.sub(" ", _JWT.sub("***", text[:4000])).strip()
    text = _PHONE.sub(lambda match: mask_phone(re.sub(r"\D", "", match.group())), text)
    text = "".join(char if char.isprintable() else " " for char in text)
    return text if len(text) <= _DETAIL_LENGTH else text[: _DETAIL_LENGTH - 1] + "…"


def retry_after_seconds(header: str, now: float) -> float | None:
    """Read a Retry-After, seconds or an HTTP date, from 0 to LONGEST_RETRY_AFTER; None when it is neither."""
    seconds = _number(header.strip())
    if seconds is None:
        seconds = _seconds_until(header, now)
    if seconds is None or math.isnan(seconds):
        return None
    return min(max(seconds, 0.0), LONGEST_RETRY_AFTER)


def _seconds_until(date: str, now: float) -> float | None:
    try:
        when = parsedate_to_datetime(date)
        # A date without a zone is UTC: HTTP knows no other.
        return (when if when.tzinfo else when.replace(tzinfo=timezone.utc)).timestamp() - now
    except (ValueError, TypeError, OverflowError, IndexError):
        return None


def _number(value: object) -> float | None:
    """Read a JSON number, also one written as a string; None for anything else."""
    if isinstance(value, bool) or not isinstance(value, (int, float, str)):
        return None
    try:
        return float(value)
    except (ValueError, OverflowError):
        return None
