"""One GET that cannot hang, swell or wander off: the reading half of a provider's plumbing (requests)."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from urllib.parse import urlsplit

import requests
import urllib3

from runner.errors import ProviderError
from runner.providers.http import CONNECT_SECONDS, HttpAnswer, read_document

#: The most of an answer that is read, in bytes; a list of 155 templates is about 300,000.
MAX_ANSWER = 32 * 1024 * 1024

#: Errors of requests, most specific first: what happened, and what to do.
_TROUBLE: tuple[tuple[type[Exception], str, str], ...] = (
    (
        requests.exceptions.ProxyError,
        "the proxy opens no connection to {host}",
        "check HTTPS_PROXY and NO_PROXY",
    ),
    (
        requests.exceptions.SSLError,
        "no trusted TLS connection to {host}",
        "check the URL; a company's own certificates are named by REQUESTS_CA_BUNDLE",
    ),
    (requests.exceptions.ConnectTimeout, "no connection to {host} in time", "check the URL and the network"),
    (requests.exceptions.Timeout, "{host} does not answer in time", "try again later"),
    (urllib3.exceptions.ReadTimeoutError, "{host} does not answer in time", "try again later"),
    (requests.exceptions.ConnectionError, "no connection to {host}", "check the URL and the network"),
    (requests.exceptions.RequestException, "no request can be made to {host}", "check the URL and the proxy"),
    (urllib3.exceptions.HTTPError, "the answer of {host} broke off", "try again later"),
)


def get(
    who: str,
    url: str,
    *,
    query: Mapping[str, str],
    headers: Mapping[str, str],
    read_timeout: float,
    monotonic: Callable[[], float] = time.monotonic,
) -> HttpAnswer:
    """Read `url` once, following no redirect; raises ProviderError, with `who` in front, when that fails.

    `read_timeout` (seconds) bounds each silence, and with the time to connect the whole answer.
    """
    host = urlsplit(url).netloc.rpartition("@")[2] or url
    deadline = monotonic() + CONNECT_SECONDS + read_timeout
    try:
        with requests.Session() as session:
            # An auth of our own keeps a netrc entry for this host from replacing the Authorization header.
            session.auth = _KeepHeaders()
            request = session.get(
                url,
                params=dict(query),
                headers={"Accept": "application/json", **headers},
                timeout=(CONNECT_SECONDS, read_timeout),
                allow_redirects=False,
                stream=True,
            )
            with request as response:
                body = _read(response, deadline, monotonic)
    except (requests.exceptions.RequestException, urllib3.exceptions.HTTPError) as error:
        raise _trouble(who, host, error) from error
    if body is None:
        raise ProviderError(
            f"{who}: the answer of {host} is too long or too slow", hint="check the URL; try again later"
        )
    return HttpAnswer(status=response.status_code, document=read_document(body))


class _KeepHeaders(requests.auth.AuthBase):
    """An authentication that leaves the headers as they are."""

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        """Return the request untouched."""
        return request


def _read(response: requests.Response, deadline: float, monotonic: Callable[[], float]) -> bytes | None:
    """Return the whole body, None when it passes MAX_ANSWER or the deadline."""
    body = bytearray()
    # One read of the socket at a time, so that a trickle meets the deadline.
    while chunk := response.raw.read1(MAX_ANSWER, decode_content=True):
        body += chunk
        if len(body) > MAX_ANSWER or monotonic() > deadline:
            return None
    return bytes(body)


def _trouble(who: str, host: str, error: Exception) -> ProviderError:
    """Name an error. Its own text may hold a proxy's password, so only the system's reason is kept."""
    _, text, hint = next(row for row in _TROUBLE if isinstance(error, row[0]))
    reason = _reason(error)
    message = f"{who}: {text.format(host=host)}"
    return ProviderError(f"{message}: {reason}" if reason else message, hint=hint)


def _reason(error: BaseException) -> str:
    """Return the operating system's word for the innermost cause, empty when there is none."""
    seen: BaseException | None = error
    reason = ""
    while seen is not None:
        if isinstance(seen, OSError) and isinstance(seen.strerror, str):
            reason = seen.strerror
        seen = seen.__cause__ or seen.__context__
    return reason.split(" (_ssl.c")[0]
