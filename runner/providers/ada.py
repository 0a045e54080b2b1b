"""The provider `ada`: ADA's Business Messaging API, its lists by requests and its sends by aiohttp.

Facts: reference/ada-api.md. The request's shape is in ada_wire.py, what an answer means in ada_outcomes.py.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import TracebackType
from typing import TYPE_CHECKING
from urllib.parse import quote, urlsplit

from runner.delivery import Answer, Message
from runner.errors import ProviderError, UsageError
from runner.masking import mask_phone
from runner.project import ProviderSettings
from runner.providers.ada_lists import Row, digits, find_account, missing_rows, read_template, rows_of
from runner.providers.ada_outcomes import clean, error_code, error_text, is_bad_token, says_failure, to_answer
from runner.providers.ada_wire import UnsendableError, read_options, request_body
from runner.providers.http import Failure, FailureKind, HttpAnswer
from runner.providers.interface import Account, OnDeparture, TemplateList

if TYPE_CHECKING:
    from runner.providers.http_post import Poster

_URL_HINT = "set ADA_API_URL, or providers.ada.url in runner.yml, to the address that ADA named"
_KEY_HINT = "set ADA_API_KEY to an API key made in ADA's console"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Listing:
    """The rows of one of ADA's lists, and how many more ADA says it has."""

    rows: list[Row]
    missing: int


class AdaProvider:
    """Carries messages through ADA. `key` is the API key; `now` the run's clock, in epoch seconds.

    Raises UsageError for an address, sender, key or option that cannot work.
    """

    def __init__(self, settings: ProviderSettings, key: str, *, now: Callable[[], float] = time.time) -> None:
        self._url = _base_url(settings.url)
        self._sender = _sender(settings.sender)
        self._key = _key(key)
        self._options = read_options(settings.options)
        self._settings = settings
        self._now = now
        self._account: Account | None = None
        self._poster: Poster | None = None

    def __repr__(self) -> str:
        return f"AdaProvider(url={self._url!r}, sender={mask_phone(self._sender)!r})"

    def sender_account(self) -> Account:
        """Return the account of the configured sender; raises ProviderError when ADA has none."""
        if self._account is None:
            listing = self._list("/account", {"platform": "WA"})
            self._account = find_account(listing.rows, self._sender)
        if self._account is None:
            raise _no_account(self._sender, listing)
        return self._account

    def templates(self) -> TemplateList:
        """Return the sender's templates, of every status; raises ProviderError."""
        account = quote(self.sender_account().id, safe="")
        listing = self._list(f"/account/{account}/template", {})
        templates = (read_template(row) for row in listing.rows)
        return TemplateList(
            templates=tuple(template for template in templates if template is not None),
            complete=listing.missing == 0,
        )

    async def __aenter__(self) -> AdaProvider:
        """Open the connections' pool; raises ProviderError for a proxy that cannot be used."""
        from runner.providers.http_post import Poster

        self._poster = Poster(
            f"{self._url}/message",
            self._headers(),
            max_in_flight=self._settings.max_in_flight,
            read_timeout=self._settings.read_timeout,
            now=self._now,
        )
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Close every connection."""
        poster, self._poster = self._poster, None
        if poster is not None:
            await poster.close()

    async def send(
        self, phone: str, message: Message, tag: str, on_departure: OnDeparture | None = None
    ) -> Answer:
        """Send `message` to `phone` once; every expected failure is an Answer.

        `on_departure` is called when the request leaves, and never when it does not. A cancelled send tells
        nothing else: its outcome is unknown if `on_departure` was called.
        """
        if self._poster is None:
            raise RuntimeError("send() works inside `async with provider` only")
        try:
            body = request_body(self._sender, phone, message, tag, self._options)
        except UnsendableError as error:
            failure = Failure(kind=FailureKind.UNSENDABLE, written=False, detail=str(error))
            return to_answer(failure, departed_at=None, now=self._now())
        result, departed_at = await self._poster.post(body, on_departure)
        return to_answer(result, departed_at=departed_at, now=self._now(), key=self._key)

    def _headers(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self._key}", "User-Agent": "campaign-runner"}

    def _list(self, path: str, query: Mapping[str, str]) -> _Listing:
        """Read one of ADA's lists, whole if that can be done.

        The names of the paging parameters are UNKNOWN (ada-api.md §3). When rows are missing, one guess is
        made by the name that the answer itself uses, and believed only if it brings more rows.
        """
        listing = self._page(path, query)
        if not listing.missing:
            return listing
        wanted = str(len(listing.rows) + listing.missing)
        try:
            larger = self._page(path, {**query, "pageSize": wanted})
        except ProviderError:
            return listing
        return larger if len(larger.rows) > len(listing.rows) else listing

    def _page(self, path: str, query: Mapping[str, str]) -> _Listing:
        from runner.providers.http_get import get

        answer = get(
            "ada",
            f"{self._url}{path}",
            query=query,
            headers=self._headers(),
            read_timeout=self._settings.read_timeout,
        )
        rows = None if says_failure(answer.document) else rows_of(answer.document)
        if not 200 <= answer.status <= 299 or rows is None:
            raise self._no_list(path, answer)
        return _Listing(rows=rows, missing=missing_rows(answer.document, len(rows)))

    def _no_list(self, path: str, answer: HttpAnswer) -> ProviderError:
        """Say why an answer is no list, and what to do."""
        if is_bad_token(answer):
            return ProviderError(f"ada does not accept the API key (status {answer.status})", hint=_KEY_HINT)
        code = error_code(answer.document)
        said = clean(error_text(answer.document), self._key)
        found = (
            f"status {answer.status}"
            + (f", errorCode {code}" if code else "")
            + (f": {said}" if said else "")
        )
        plain_path = path.partition("/account/")[0] or "/account/.../template"
        if 300 <= answer.status <= 399:
            return ProviderError(f"ada: GET {plain_path} is redirected ({found})", hint=_URL_HINT)
        if answer.status == 404:
            return ProviderError(
                f"ada: GET {plain_path} is not found ({found})",
                hint=f"{_URL_HINT}; the older generation's ends in /prod",
            )
        if answer.status == 429 or answer.status >= 500:
            return ProviderError(f"ada: GET {plain_path} does not work now ({found})", hint="try again later")
        return ProviderError(f"ada: GET {plain_path} was not answered with a list ({found})", hint=_URL_HINT)


def create(settings: ProviderSettings, key: str, now: Callable[[], float]) -> AdaProvider:
    """Make the provider; how runner.providers finds it by its name."""
    return AdaProvider(settings, key, now=now)


def _base_url(url: str | None) -> str:
    """Check the base address; ADA's older generation has a path (`/prod`), which stays."""
    if not url:
        raise UsageError("ada: there is no address", hint=_URL_HINT)
    try:
        parts = urlsplit(url.strip())
        host, _ = parts.hostname, parts.port
    except ValueError:
        host = None
    if host is None or parts.scheme not in {"http", "https"} or parts.query or parts.fragment:
        raise UsageError("ada: the address is not a plain https:// URL", hint=_URL_HINT)
    if parts.username is not None or parts.password is not None:
        raise UsageError(
            "ada: the address holds a user or password", hint=f"{_KEY_HINT}, and remove it there"
        )
    return url.strip().rstrip("/")


def _sender(sender: str) -> str:
    number = digits(sender)
    if not number:
        raise UsageError(
            "ada: there is no sender", hint="set providers.ada.sender in runner.yml to the business number"
        )
    return number


def _key(key: str) -> str:
    """Check the key without ever showing it; space around it (a file's last newline) is no part of it."""
    key = key.strip()
    if not key:
        raise UsageError("ada: there is no API key", hint=_KEY_HINT)
    if not key.isascii() or not key.isprintable() or " " in key:
        raise UsageError("ada: the API key holds characters that no key has", hint=_KEY_HINT)
    return key


def _no_account(sender: str, listing: _Listing) -> ProviderError:
    numbers = ", ".join(mask_phone(digits(row.get("accountNo"))) for row in listing.rows[:5])
    read = f"{len(listing.rows)} read ({numbers})" if numbers else "none read"
    more = f", {listing.missing} more exist that ADA's list did not give" if listing.missing else ""
    return ProviderError(
        f"ada has no WhatsApp account with the number {mask_phone(sender)}: {read}{more}",
        hint="check providers.ada.sender in runner.yml, and that the key belongs to the same client",
    )
