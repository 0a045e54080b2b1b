"""Whose Treasure Data a command asks: the key, where it came from, and the addresses of its site.

Keys are looked for where TD's own tools have them, the flag first (reference/treasure-data.md §6). A key is
never shown. Addresses by site: §2.1.
"""

from __future__ import annotations

import configparser
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches
from ipaddress import ip_address
from pathlib import Path
from urllib.parse import urlsplit

from runner.errors import UsageError

#: The environment's names for a key, in the order in which they count; a profile's comes before the last.
KEY_VARIABLES = ("TD_API_KEY", "TREASURE_DATA_API_KEY", "TDX_API_KEY")
_SERVER_VARIABLES = ("TD_API_SERVER", "TREASURE_DATA_API_SERVER")
_SITE_VARIABLES = ("TD_SITE", "TDX_SITE")
_CONFIG_VARIABLES = ("TREASURE_DATA_CONFIG_PATH", "TD_CONFIG_PATH")

#: What follows `api.`, `api-presto.` and `api-cdp.` in a site's addresses.
_DOMAINS = {
    "us01": "treasuredata.com",
    "jp01": "treasuredata.co.jp",
    "eu01": "eu01.treasuredata.com",
    "ap02": "ap02.treasuredata.com",
    "ap03": "ap03.treasuredata.com",
}
_OTHER_NAMES = {"ap01": "jp01", "tokyo": "jp01", "us": "us01", "eu": "eu01"}
_DEFAULT_SITE = "us01"
_KEY = re.compile(r"\d+/[0-9a-f]{40}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """A Treasure Data account as one command uses it.

    `key_source` says where the key was found. `site` is None for an address of its own. `api`, `presto` and
    `cdp` are base URLs: the API of jobs and tables, Trino's, and Audience Studio's.
    """

    key: str = field(repr=False)
    key_source: str
    site: str | None
    api: str
    presto: str
    cdp: str


def find_account(
    environ: Mapping[str, str],
    *,
    home: Path,
    key: str | None = None,
    site: str | None = None,
    project_site: str | None = None,
) -> Account:
    """Return the account that the flags (`key`, `site`), the environment, the project and td.conf name.

    UsageError when there is no key, for a key of another shape, an unknown site, and an address without TLS.
    """
    config = _Config(environ, home)
    found, source = _find_key(environ, config, key)
    _check_key(found, source)
    known, api = _find_site(environ, config, site, project_site)
    presto = _other_host(environ, "TD_PRESTO_API", "api-presto", known, api)
    cdp = _other_host(environ, "TD_CDP_API", "api-cdp", known, api)
    return Account(key=found, key_source=source, site=known, api=api, presto=presto, cdp=cdp)


def find_site(
    environ: Mapping[str, str], *, home: Path, project_site: str | None = None
) -> tuple[str | None, str]:
    """Return the site's name, None for an address of its own, and its API's base URL, as `find_account` does.

    UsageError for an unknown site, and an address without TLS.
    """
    return _find_site(environ, _Config(environ, home), None, project_site)


def mask_key(key: str) -> str:
    """Return a key as it may be shown: the account's number, and the first and last characters."""
    account, separator, secret = key.rpartition("/")
    if not separator or len(secret) < 16:
        return "***"
    return f"{account}/{secret[:2]}...{secret[-2:]}"


def site_names() -> tuple[str, ...]:
    """Return the names of all sites."""
    return tuple(_DOMAINS)


class _Config:
    """The toolbelt's td.conf: `key = value` lines under `[account]`; empty where there is none."""

    def __init__(self, environ: Mapping[str, str], home: Path) -> None:
        self._variable = next((name for name in _CONFIG_VARIABLES if environ.get(name)), None)
        named = environ[self._variable] if self._variable else None
        self.path = Path(named).expanduser() if named else home / ".td/td.conf"
        self.shown = named or "~/.td/td.conf"
        self._account: Mapping[str, str] | None = None

    def get(self, name: str) -> str | None:
        """Return a value, None when it is not there or empty. The file is read when it is first needed."""
        if self._account is None:
            self._account = self._read()
        return (self._account.get(name) or "").strip() or None

    def _read(self) -> Mapping[str, str]:
        parser = configparser.ConfigParser(interpolation=None, strict=False)
        try:
            parser.read_string(self.path.read_text(encoding="utf-8"))
        except FileNotFoundError:
            if self._variable is None:
                return {}
            raise UsageError(f"{self.shown} is not there", hint=f"check {self._variable}") from None
        except (OSError, UnicodeDecodeError, configparser.Error):
            # The parser's own words would show the line, which may hold the key.
            raise UsageError(
                f"{self.shown} cannot be read", hint="it holds `[account]`, then `apikey = ...`"
            ) from None
        return dict(parser["account"]) if parser.has_section("account") else {}


def _find_key(environ: Mapping[str, str], config: _Config, flag: str | None) -> tuple[str, str]:
    for source, value in _keys(environ, config, flag):
        if value and value.strip():
            return value.strip(), source
    raise UsageError(
        "there is no Treasure Data key",
        hint=f"set TD_API_KEY; looked at --td-apikey, {', '.join(KEY_VARIABLES)} and {config.shown}",
    )


def _keys(environ: Mapping[str, str], config: _Config, flag: str | None) -> Iterator[tuple[str, str | None]]:
    yield "--td-apikey", flag
    *first, of_tdx = KEY_VARIABLES
    for name in first:
        yield name, environ.get(name)
    if profile := environ.get("TDX_PROFILE"):
        name = f"{of_tdx}_{re.sub(r'[^A-Z0-9]', '_', profile.upper())}"
        yield name, environ.get(name)
    yield of_tdx, environ.get(of_tdx)
    yield config.shown, config.get("apikey")


def _check_key(key: str, source: str) -> None:
    if not _KEY.fullmatch(key):
        raise UsageError(
            f"the Treasure Data key in {source} is not one",
            hint="a key is the account's number, a slash, and 40 digits and letters a to f",
        )


def _find_site(
    environ: Mapping[str, str], config: _Config, flag: str | None, project_site: str | None
) -> tuple[str | None, str]:
    """Return the site's name (None for an address of its own) and the base URL of its API."""
    if flag:
        return _by_name(flag, "--td-site")
    for name in _SERVER_VARIABLES:
        if environ.get(name):
            return _by_address(environ[name], name)
    for name in _SITE_VARIABLES:
        if environ.get(name):
            return _by_name(environ[name], name)
    if project_site:
        return _by_name(project_site, "treasure_data.site in runner.yml")
    endpoint = config.get("endpoint")
    return _by_address(endpoint, config.shown) if endpoint else _by_name(_DEFAULT_SITE, "")


def _by_name(name: str, source: str) -> tuple[str, str]:
    wanted = name.strip().lower()
    wanted = _OTHER_NAMES.get(wanted, wanted)
    if wanted not in _DOMAINS:
        near = get_close_matches(wanted, _DOMAINS, n=1)
        hint = f"the sites are: {', '.join(_DOMAINS)}" + (f"; did you mean {near[0]}?" if near else "")
        raise UsageError(f"{source}: there is no Treasure Data site {name!r}", hint=hint)
    return wanted, f"https://api.{_DOMAINS[wanted]}"


def _by_address(address: str, source: str) -> tuple[str | None, str]:
    url = _address(address, source)
    host = urlsplit(url).hostname
    site = next((name for name, domain in _DOMAINS.items() if host == f"api.{domain}"), None)
    return site, url


def _other_host(environ: Mapping[str, str], variable: str, service: str, site: str | None, api: str) -> str:
    """Return the base URL of another API of the account: named by its variable, or as the site has it.

    Beside an address of its own, `api` in its host becomes the service's name, as pytd does; one without such
    a host is taken for all APIs.
    """
    if environ.get(variable):
        return _address(environ[variable], variable)
    if site is not None:
        return f"https://{service}.{_DOMAINS[site]}"
    parts = urlsplit(api)
    host = parts.netloc
    return f"{parts.scheme}://{service}{host[3:]}" if host.startswith("api.") else api


def _address(written: str, source: str) -> str:
    """Return a base URL; one without a scheme is https. A key never travels readable but on this machine."""
    text = written.strip()
    url = text if "://" in text else f"https://{text}"
    try:
        parts = urlsplit(url)
        host = parts.hostname
        _ = parts.port
    except ValueError:
        host = None
    if not host or parts.scheme not in {"http", "https"} or parts.username or "\\" in url:
        raise UsageError(f"{source} is not an address", hint="https://api.treasuredata.com")
    if parts.scheme == "http" and not is_this_machine(host):
        raise UsageError(
            f"{source} is an address without https: the key would travel readable",
            hint=f"https://{parts.netloc}",
        )
    return url.rstrip("/")


def is_this_machine(host: str) -> bool:
    """Tell whether a host's name or address is this machine's own."""
    if host == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False
