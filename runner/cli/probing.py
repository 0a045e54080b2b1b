"""How `doctor` asks the network without a key: does something answer, at what time, by which way."""

from __future__ import annotations

import json
import re
import socket
import time
from contextlib import suppress
from datetime import datetime
from email.utils import parsedate_to_datetime
from ipaddress import ip_address
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from runner.diagnosing import Reply
from runner.errors import RunnerError
from runner.treasure_data.account import is_this_machine

if TYPE_CHECKING:
    import requests

#: Seconds to connect, and of silence; both together are less than a check may take.
_TIMEOUT = (4.0, 5.0)
_MOST_BYTES = 4096
_HTTPS_PORT = 443


def probe(url: str) -> Reply:
    """Ask the base of `url` for its head, without a key; RunnerError when nothing answers."""
    began = time.time()
    status, headers, _ = _get(url)
    return Reply(status=status, date=_date(headers.get("Date")), began=began, ended=time.time())


def way_out(url: str) -> str:
    """Return where requests to `url` start: an address of this machine, or `proxy` and its host.

    A UDP socket is connected to learn the address, which sends nothing but what finding the host needs.
    """
    from runner.providers.http_route import route

    parts = urlsplit(url)
    host = parts.hostname or ""
    proxy = None if is_this_machine(host) else route(url).proxy
    if proxy:
        return f"proxy {urlsplit(proxy).hostname}"
    found = socket.getaddrinfo(host, parts.port or _HTTPS_PORT, type=socket.SOCK_DGRAM)
    family, kind, protocol, _, place = found[0]
    with socket.socket(family, kind, protocol) as way:
        way.connect(place)
        return str(way.getsockname()[0])


def public_address(url: str) -> str:
    """Return the address that the service at `url` sees: its answer is that address, or JSON with it."""
    status, _, body = _get(url)
    text = body.decode("ascii", "replace").strip()
    with suppress(ValueError):
        text = " ".join(str(value) for value in _values(json.loads(text)))
    for word in re.split(r"[\s,]+", text):
        with suppress(ValueError):
            return str(ip_address(word))
    host = urlsplit(url).netloc
    raise RunnerError(
        f"the answer of {host} holds no address (status {status})",
        hint="name a service that answers with the caller's address, in plain text or JSON",
    )


def _values(document: object) -> list[Any]:
    return list(document.values()) if isinstance(document, dict) else [document]


def _get(url: str) -> tuple[int, requests.structures.CaseInsensitiveDict[str], bytes]:
    """Return status, headers and the first bytes of an answer; no redirect is followed."""
    import requests

    parts = urlsplit(url)
    try:
        with requests.Session() as session:
            session.trust_env = not is_this_machine(parts.hostname or "")
            session.auth = _unsigned  # or a password of a .netrc would travel
            with session.get(url, timeout=_TIMEOUT, allow_redirects=False, stream=True) as answer:
                return answer.status_code, answer.headers, answer.raw.read(_MOST_BYTES, decode_content=True)
    except (requests.RequestException, OSError) as error:
        raise RunnerError(
            f"{parts.netloc} does not answer: {_why(error)}",
            hint="check the address, the network, the proxy, and whether it admits this machine's address",
        ) from error


def _unsigned(request: requests.PreparedRequest) -> requests.PreparedRequest:
    return request


def _why(error: BaseException) -> str:
    """Return the system's word for the innermost cause, or the error's name: its own text may hold more."""
    if type(error).__name__.endswith("Timeout"):
        return "not in time"
    seen: BaseException | None = error
    reason = type(error).__name__
    while seen is not None:
        if isinstance(seen, OSError) and isinstance(seen.strerror, str):
            reason = seen.strerror
        seen = seen.__cause__ or seen.__context__
    return reason


def _date(header: str | None) -> datetime | None:
    try:
        return parsedate_to_datetime(header) if header else None
    except ValueError:
        return None
