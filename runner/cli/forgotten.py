"""The people who were forgotten, as commands know them: by the key in the environment, or not at all."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Protocol

from runner.errors import UsageError
from runner.forgotten import Forgotten, proof_of, read_key

#: The environment's name for the key of the keyed hashes; no file holds it.
KEY_VARIABLE = "RUNNER_FORGET_KEY"

_HINT = f"export {KEY_VARIABLE}=... as it was when they were forgotten"


class ForgottenReader(Protocol):
    """What is asked of a ledger."""

    def last_forgotten(self) -> int: ...  # noqa: D102 - see ledger/interface.py
    def forgotten(self) -> Iterator[list[str]]: ...  # noqa: D102
    def forget_proof(self) -> str | None: ...  # noqa: D102


def given_key() -> bytes | None:
    """Return the key, None when it is not set. UsageError for one that is too short."""
    text = os.environ.get(KEY_VARIABLE, "").strip()
    return read_key(text) if text else None


def forgotten_people(ledger: ForgottenReader) -> Forgotten | None:
    """Return who was forgotten, None when nobody was.

    Errors: UsageError when people were, and the key is missing or another one: to go on without it would
    forget that they were forgotten.
    """
    last = ledger.last_forgotten()
    if not last:
        return None
    key = given_key()
    if key is None:
        raise UsageError(f"people were forgotten here, and {KEY_VARIABLE} is not set", hint=_HINT)
    if proof_of(key) != ledger.forget_proof():
        raise UsageError(f"{KEY_VARIABLE} is not the key by which people were forgotten here", hint=_HINT)
    hashes = frozenset(keyed_hash for batch in ledger.forgotten() for keyed_hash in batch)
    return Forgotten(key=key, hashes=hashes, last=last)
