"""Who was forgotten: known again only by a keyed hash (HMAC-SHA-256), in Python and as DuckDB's SQL. No I/O.

Phones are few enough to be tried one by one, so a plain hash would hide nobody: only the key does.
"""

from __future__ import annotations

import hashlib
import hmac
from dataclasses import dataclass, field

from runner.errors import UsageError

#: A shorter key could be found by trying, and with it every forgotten phone.
SHORTEST_KEY = 32

#: How often, in seconds, a running apply asks whether people were forgotten meanwhile.
ASKED_EVERY = 1.0

_BLOCK = 64
_PROVED = "runner forget: is this the key?"


@dataclass(frozen=True, slots=True, kw_only=True)
class Forgotten:
    """The people who were forgotten, and the key by which they are known again.

    `last` is the ledger's number of the last of them.
    """

    key: bytes = field(repr=False)
    hashes: frozenset[str] = field(repr=False)
    last: int

    def knows(self, phone: str) -> bool:
        """Tell whether this phone (digits) was forgotten."""
        return keyed_hash(self.key, phone) in self.hashes


def read_key(text: str) -> bytes:
    """Return a key as the environment holds it; UsageError when it is too short to hide anybody."""
    if len(text) < SHORTEST_KEY:
        raise UsageError(
            f"RUNNER_FORGET_KEY has {len(text)} characters, and needs {SHORTEST_KEY} at least",
            hint="make one with `openssl rand -hex 32`, and keep it where you keep the provider's key",
        )
    return text.encode("utf-8", "surrogateescape")


def keyed_hash(key: bytes, phone: str) -> str:
    """Return the HMAC-SHA-256 of a phone (digits), in hex."""
    return hmac.digest(key, phone.encode(), "sha256").hex()


def proof_of(key: bytes) -> str:
    """Return what tells this key from another; the key does not follow from it."""
    return keyed_hash(key, _PROVED)


def pads(key: bytes) -> tuple[bytes, bytes]:
    """Return the two blocks between which HMAC puts a message (RFC 2104): of the inner and the outer hash."""
    block = (hashlib.sha256(key).digest() if len(key) > _BLOCK else key).ljust(_BLOCK, b"\0")
    return bytes(byte ^ 0x36 for byte in block), bytes(byte ^ 0x5C for byte in block)


def keyed_hash_sql(phone: str, *, inner: str, outer: str) -> str:
    """Write `keyed_hash` as DuckDB's SQL; `phone` is an expression of the digits, the pads are of BLOBs."""
    message = f"encode(CAST({phone} AS VARCHAR))"
    return f"sha256({outer} || unhex(sha256({inner} || {message})))"
