"""The way to Treasure Data: the real pytd's client, and its errors in one line each.

pytd costs 0.6 s and 120 MB to import (reference/treasure-data.md §1.1), so it is imported here, when needed.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
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


def open_client(account: Account, *, retry_seconds: float = 60.0) -> Any:  # noqa: ANN401 - td-client's
    """Return the td-client of a pytd client for `account`; no network call is made.

    A GET is repeated for about `retry_seconds`; nothing else is (§1.7). Errors are td-client's own: use it
    within `explained`.
    """
    import pytd

    client = pytd.Client(
        apikey=account.key,
        endpoint=account.api,
        header=False,
        timeout=_TIMEOUT,
        max_cumul_retry_delay=retry_seconds,
    )
    api = client.api_client.api
    if is_this_machine(urlsplit(account.api).hostname or ""):
        # td-client takes HTTP_PROXY for every host, and knows no NO_PROXY (§1.4).
        api.http = api._init_http(None, timeout=_TIMEOUT)  # noqa: SLF001 - it offers no other way
    return client.api_client


@contextmanager
def explained(account: Account, doing: str) -> Iterator[None]:
    """Turn what td-client raises into a TreasureDataError of one line; `doing` names the call for people."""
    import urllib3
    from tdclient.errors import APIError

    try:
        yield
    except (APIError, urllib3.exceptions.HTTPError, OSError, ValueError) as error:
        raise _in_words(account, doing, error) from error


def is_refusal(error: TreasureDataError) -> bool:
    """Tell whether Treasure Data answered and did not do it (4xx), so that it need not be looked for."""
    from tdclient.errors import AlreadyExistsError, APIError, AuthError, ForbiddenError, NotFoundError

    cause = error.__cause__
    if isinstance(cause, (AlreadyExistsError, AuthError, ForbiddenError, NotFoundError)):
        return True
    status = _STATUS.match(str(cause)) if isinstance(cause, APIError) else None
    return status is not None and status[1].startswith("4")


def _in_words(account: Account, doing: str, error: Exception) -> TreasureDataError:
    from tdclient.errors import AlreadyExistsError, AuthError, ForbiddenError, NotFoundError

    key, site = account.key_source, where_of(account)
    both = f"check the key ({key}) and the site ({site}): a wrong site looks the same"
    if isinstance(error, AuthError):
        return TreasureDataError(f"{doing}: Treasure Data does not accept the key (401)", hint=both)
    if isinstance(error, ForbiddenError):
        return TreasureDataError(
            f"{doing}: the key may not do this (403)",
            hint="use a master key with access to it, and ask whether this machine's address is allowed",
        )
    if isinstance(error, NotFoundError):
        return TreasureDataError(f"{doing}: not found (404): {_said(account, error)}", hint=both)
    if isinstance(error, AlreadyExistsError):
        return TreasureDataError(f"{doing}: it is there already (409): {_said(account, error)}")
    return _by_status(account, doing, error)


def _by_status(account: Account, doing: str, error: Exception) -> TreasureDataError:
    status = _STATUS.match(str(error))
    said = _said(account, error)
    if status and status[1] == "413":
        return TreasureDataError(f"{doing}: too large for Treasure Data (413)", hint="make the query shorter")
    if status and status[1] == "429":
        return TreasureDataError(
            f"{doing}: Treasure Data asks to slow down (429)", hint="try again in a minute"
        )
    if status:
        return TreasureDataError(f"{doing}: Treasure Data says no ({said})", hint="see the job's page")
    if said.startswith("Retrying stopped"):
        # td-client drops the status and the words of the last answer here (§1.7).
        return TreasureDataError(
            f"{doing}: Treasure Data did not answer, or with a server error",
            hint=f"try again later; is {urlsplit(account.api).netloc} reachable from here?",
        )
    return TreasureDataError(
        f"{doing}: no good answer from Treasure Data ({said})",
        hint=f"is {urlsplit(account.api).netloc} reachable from here, and the right site?",
    )


def where_of(account: Account) -> str:
    """Return the site's name, or the host of an address of its own."""
    return account.site or urlsplit(account.api).netloc


def _said(account: Account, error: Exception) -> str:
    """Return the error's own words in one line, never the key."""
    text = " ".join(str(error).split()) or type(error).__name__
    return harmless(text.replace(account.key, "***"))[:_SHOWN]
