"""How a URL is reached from here: by which proxy, trusting whose certificates; one reading for GET and POST.

`requests` reads the environment (HTTPS_PROXY, NO_PROXY, REQUESTS_CA_BUNDLE, ...) and its answer is used for
sending too, so that a plan and the apply after it never take different ways.
"""

from __future__ import annotations

from dataclasses import dataclass

import requests
from requests.utils import DEFAULT_CA_BUNDLE_PATH, select_proxy

from runner.errors import ProviderError


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """The way to a URL: the proxy's URL (None: none) and a file of trusted certificates."""

    proxy: str | None
    ca_bundle: str


def route(url: str) -> Route:
    """Return the way to `url` that the environment asks for; raises ProviderError for a SOCKS proxy."""
    with requests.Session() as session:
        found = session.merge_environment_settings(url, {}, None, None, None)
    proxy = select_proxy(url, found["proxies"])
    if proxy and "://" not in proxy:
        proxy = f"http://{proxy}"
    if proxy and not proxy.startswith(("http://", "https://")):
        raise ProviderError(
            f"the environment asks for a {proxy.partition(':')[0]} proxy, which sending cannot use",
            hint="set HTTPS_PROXY to an http:// proxy, or add the provider's host to NO_PROXY",
        )
    bundle = found["verify"]
    return Route(proxy=proxy, ca_bundle=bundle if isinstance(bundle, str) else DEFAULT_CA_BUNDLE_PATH)
