"""The way to Treasure Data: the real pytd's client, and its errors in one line each.

pytd costs 0.6 s and 120 MB to import (reference/treasure-data.md §1.1), so it is imported here, when needed.
"""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any
from urllib.parse import urlsplit

from runner.errors import TreasureDataError
from runner.masking import harmless
from runner.treasure_data.account import Account, is_this_machine

#: Seconds until a request that is not answered counts as failed.
_TIMEOUT = 60.0
_SHOWN = 300
_STATUS = re.compile(r"^(\d{3}): ")
_NOT_FOUND, _TOO_LARGE, _TOO_MANY = 404, 413, 429


def open_client(account: Account) -> Any:  # noqa: ANN401 - td-client's
    """Return the td-client of a pytd client for `account`; no network call is made.

    It repeats nothing by itself, and writes nothing to stderr: whoever waits and tells is `calls.Calls`.
    Errors are td-client's own: use it within `explained`.
    """
    import pytd

    logging.getLogger("tdclient").setLevel(logging.CRITICAL)
    client = pytd.Client(
        apikey=account.key,
        endpoint=account.api,
        header=False,
        timeout=_TIMEOUT,
        max_cumul_retry_delay=-1.0,
    )
    api = client.api_client.api
    if is_this_machine(urlsplit(account.api).hostname or ""):
        # td-client takes HTTP_PROXY for every host, and knows no NO_PROXY (§1.4).
        api.http = api._init_http(None, timeout=_TIMEOUT)  # noqa: SLF001 - it offers no other way
    return client.api_client


@contextmanager
def explained(
    account: Account, doing: str, *, heard: Callable[[], int | None] = lambda: None
) -> Iterator[None]:
    """Turn what td-client raises into a TreasureDataError of one line; `doing` names the call for people.

    `heard` tells the status of the answer, where somebody listens: td-client drops some.
    """
    import urllib3
    from tdclient.errors import APIError

    try:
        yield
    except (APIError, urllib3.exceptions.HTTPError, OSError, ValueError) as error:
        raise in_words(account, doing, error, status=heard()) from error


def in_words(
    account: Account,
    doing: str,
    error: Exception,
    *,
    status: int | None = None,
    hints: Mapping[int, str] | None = None,
) -> TreasureDataError:
    """Return what td-client raised as a TreasureDataError.

    `status` is that of the answer, where it was heard. `hints` are a call's own remedies, by status.
    """
    status = status or _status_of(error)
    site, host = where_of(account), urlsplit(account.api).netloc
    if status is None:
        said = f"no good answer from Treasure Data ({cause_of(error)})"
        if str(error).startswith("Retrying stopped"):
            # td-client drops the status and the words of the last answer here (§1.7).
            said = "Treasure Data did not answer, or with a server error"
        return TreasureDataError(
            f"{doing}: {said}",
            hint=f"try again later; is {host} reachable from here, and the right site?",
        )
    both = f"check the key ({account.key_source}) and the site ({site}): a wrong site looks the same"
    said = said_in(account, str(error)) or type(error).__name__
    known = {
        401: ("Treasure Data does not accept the key (401)", both),
        403: (
            "the key may not do this (403)",
            "use a master key with access to it, and ask whether this machine's address is allowed",
        ),
        _NOT_FOUND: (f"not found (404): {said}", both),
        409: (f"it is there already (409): {said}", None),
        _TOO_LARGE: ("too large for Treasure Data (413)", "a proxy on the way may have a limit of its own"),
        _TOO_MANY: ("Treasure Data asks to slow down (429)", "try again in a minute"),
    }
    message, hint = known.get(status, (f"Treasure Data says no ({status}): {said}", "see the job's page"))
    if status >= 500:
        message, hint = f"Treasure Data answers {status}", "try again later"
    own = (hints or {}).get(status)
    if own is not None:
        hint = f"{own}; else {hint}" if status == _NOT_FOUND else own
    return TreasureDataError(f"{doing}: {message}", hint=hint)


def where_of(account: Account) -> str:
    """Return the site's name, or the host of an address of its own."""
    return account.site or urlsplit(account.api).netloc


def cause_of(error: BaseException) -> str:
    """Return the system's word for the innermost cause, or the error's name; no text of a library's own."""
    seen: BaseException | None = error
    reason = type(error).__name__
    while seen is not None:
        if isinstance(seen, OSError) and seen.strerror:
            reason = seen.strerror
        seen = seen.__cause__ or seen.__context__
    return reason


def _status_of(error: Exception) -> int | None:
    from tdclient import errors

    named: dict[type[Exception], int] = {
        errors.AuthError: 401,
        errors.ForbiddenError: 403,
        errors.NotFoundError: 404,
        errors.AlreadyExistsError: 409,
    }
    found = _STATUS.match(str(error))
    return named.get(type(error)) or (int(found[1]) if found else None)


def said_in(account: Account, text: str) -> str:
    """Return what a server said in one line: of JSON the text that is for people; never the key."""
    _, brace, document = text.partition("{")
    try:
        answer = json.loads(brace + document)
    except (ValueError, RecursionError):
        answer = None
    answer = answer if isinstance(answer, dict) else {}
    words = next(
        (answer[key] for key in ("text", "message", "error") if isinstance(answer.get(key), str)), text
    )
    line = " ".join(words.split())
    return harmless(line.replace(account.key, "***"))[:_SHOWN]
