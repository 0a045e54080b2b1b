"""Where a PostgreSQL ledger is, read from its URL; a URL that holds a secret is refused."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

from psycopg import ProgrammingError
from psycopg.conninfo import conninfo_to_dict, make_conninfo
from psycopg.pq import Conninfo

from runner.errors import LedgerError

_SECRETS = {"password", "sslpassword"}

#: So that a machine that vanished is noticed, at both ends, within a minute; an address may say otherwise.
_CONNECTING = {
    "connect_timeout": "10",
    "keepalives_idle": "10",
    "keepalives_interval": "5",
    "keepalives_count": "3",
    "tcp_user_timeout": "30000",
    "application_name": "runner",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Address:
    """Where a ledger is: libpq's parameters, without any password, and the schema its tables are in.

    Without a schema they are in the first of the search path: `public`, unless the server says otherwise.
    """

    parameters: Mapping[str, str] = field(repr=False)
    schema: str | None

    @property
    def conninfo(self) -> str:
        """Return the parameters as libpq takes them."""
        return make_conninfo(**self.parameters)

    def __str__(self) -> str:
        """Render for people, without user: `postgresql://db.example.com/ledger`."""
        host, port = self.parameters.get("host", ""), self.parameters.get("port")
        shown = "" if host.startswith("/") else f"{host}:{port}" if port else host
        schema = f"?schema={self.schema}" if self.schema else ""
        return f"postgresql://{shown}/{self.parameters.get('dbname', '')}{schema}"


def read_address(url: str) -> Address:
    """Read `postgresql://user@host:port/database?schema=name`; further parameters are libpq's own."""
    example = "write it as postgresql://user@host/database"
    parts = urlsplit(url)
    asked = parse_qsl(parts.query, keep_blank_values=True)
    schemas = [value for name, value in asked if name == "schema"]
    rest = urlencode([(name, value) for name, value in asked if name != "schema"])
    try:
        found = conninfo_to_dict(urlunsplit(parts._replace(query=rest)))
    except (ProgrammingError, ValueError):
        raise LedgerError("ledger: this is no address of a PostgreSQL database", hint=example) from None
    given = {name: str(value) for name, value in found.items() if value not in {None, ""}}
    if _SECRETS & given.keys():
        raise LedgerError(
            "ledger: the address holds a password; a file in git must not",
            hint="take it out, and set PGPASSWORD, or put it into ~/.pgpass",
        )
    parameters = _CONNECTING | _encrypted(given) | given
    return Address(parameters=parameters, schema=schemas[-1] if schemas and schemas[-1] else None)


def _encrypted(given: Mapping[str, str]) -> dict[str, str]:
    """Return the parameter that asks for TLS where the server is on another machine.

    libpq's own default takes a connection without it when the server, or somebody between, offers no other.
    What the address or PGSSLMODE says instead stands.
    """
    hosts = given.get("host", "").split(",")
    defaults = {option.keyword: option.val for option in Conninfo.get_defaults()}
    is_near = all(host.startswith("/") or host in {"", "localhost", "127.0.0.1", "::1"} for host in hosts)
    return {} if is_near or defaults.get(b"sslmode") not in {None, b"prefer"} else {"sslmode": "require"}
