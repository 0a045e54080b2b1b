"""Whether a bearer token passes: JWT-shaped and not expired (reference/ada-api.md §2, §5)."""

from __future__ import annotations

import base64
import json
import re
from enum import Enum
from functools import lru_cache

_JWT = re.compile(r"[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+")
_BEARER = "bearer "


class TokenVerdict(Enum):
    """What is wrong with a token, if anything."""

    GOOD = "good"
    MALFORMED = "malformed"
    EXPIRED = "expired"


def judge_authorization(header: str | None, now: float) -> TokenVerdict:
    """Judge an `Authorization` header at `now` (epoch seconds)."""
    if header is None or header[: len(_BEARER)].lower() != _BEARER:
        return TokenVerdict.MALFORMED
    return judge_token(header[len(_BEARER) :].strip(), now)


def judge_token(token: str, now: float) -> TokenVerdict:
    """Judge a bare token at `now` (epoch seconds). No signature is checked: no secret of ADA's is here."""
    if not _JWT.fullmatch(token):
        return TokenVerdict.MALFORMED
    expires = _expires(token)
    return TokenVerdict.EXPIRED if expires is not None and expires <= now else TokenVerdict.GOOD


@lru_cache(maxsize=64)
def _expires(token: str) -> float | None:
    """Return the `exp` claim; None where there is none to be read, and the shape alone decides."""
    claims = token.split(".")[1]
    try:
        decoded = json.loads(base64.urlsafe_b64decode(claims + "=" * (-len(claims) % 4)))
        return float(decoded["exp"])
    except (ValueError, KeyError, TypeError, RecursionError, OverflowError):
        return None
