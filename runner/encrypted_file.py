"""A file encrypted at rest: AES-256-GCM in chunks, written in one pass and read at any place; for plan files.

Version 1: head (magic, version, the key's id, a salt) | chunks | foot. Every file has a key of its own, made
of the secret and its salt, so that a chunk's number can be its nonce. A chunk is authentic only at its place,
under its head, and as the last one or not: order and end cannot be changed. Of the plain text only one chunk
is in memory (docs/decisions/0012-plan-encryption.md).
"""

from __future__ import annotations

import base64
import binascii
import io
import os
import struct
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import IO, TYPE_CHECKING, Any

from runner.errors import PlanFileError, UsageError

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

#: The environment's name for the secret; only the command line reads it.
KEY_VARIABLE = "RUNNER_PLAN_KEY"

MAGIC = b"RPLANENC"
_FOOT = b"RPLANEND"
_VERSION = 1
_KEY_BYTES = 32
_SALT_BYTES = 32
_ID_BYTES = 8
_TAG = 16
#: Plain bytes of a chunk. A larger one is hardly faster, and is held twice.
CHUNK = 64 * 1024
_HEAD = struct.Struct(f">{len(MAGIC)}sB{_ID_BYTES}s{_SALT_BYTES}s")
_AGAIN = "make it again with `runner plan`"


@dataclass(frozen=True, slots=True, kw_only=True)
class FileKey:
    """The secret that files are encrypted with, 32 bytes; it is in no repr."""

    secret: bytes = field(repr=False)


def read_key(text: str) -> FileKey:
    """Return the key that `text` writes in base64; UsageError, which never shows it, if it is none.

    That the library is there is checked too, so that nobody learns it after a long query.
    """
    try:
        secret = base64.b64decode(
            text.strip(), altchars=b"-_" if {"-", "_"} & set(text) else None, validate=True
        )
    except (binascii.Error, ValueError):
        secret = b""
    if len(secret) != _KEY_BYTES:
        raise UsageError(
            f"{KEY_VARIABLE} is not a key: {_KEY_BYTES} bytes in base64",
            hint="make one with `openssl rand -base64 32`, and keep it where keys are kept",
        )
    _derived(secret, b"", b"check", 1)
    return FileKey(secret=secret)


@contextmanager
def encrypting(
    stream: IO[bytes], key: FileKey, entropy: Callable[[int], bytes] = os.urandom
) -> Iterator[EncryptingWriter]:
    """Yield a writer whose plain bytes go to `stream` encrypted; whole only when the context ends well."""
    writer = EncryptingWriter(stream, key, entropy(_SALT_BYTES))
    yield writer
    writer.finish()


def is_encrypted(stream: IO[bytes]) -> bool:
    """Tell whether `stream` (at its start, where it stays) begins as an encrypted file does."""
    begins = stream.read(len(MAGIC))
    stream.seek(0)
    return begins == MAGIC


def decrypted(stream: IO[bytes], key: FileKey | None, name: str) -> io.BufferedReader:
    """Return the plain bytes of `stream`, to be read at any place; `name` is how errors call the file.

    Errors: PlanFileError without a key, with another key, for a file cut short or changed; of the chunks not
    yet read, when they are.
    """
    return io.BufferedReader(_DecryptingReader(stream, key, name), CHUNK)


class EncryptingWriter:
    """Takes plain bytes, keeps at most one chunk of them, and writes encrypted ones."""

    def __init__(self, stream: IO[bytes], key: FileKey, salt: bytes) -> None:
        self._stream = stream
        self._head = _HEAD.pack(MAGIC, _VERSION, _key_id(key), salt)
        self._cipher = _cipher(key, salt)
        self._waiting = bytearray()
        self._number = 0
        stream.write(self._head)

    def write(self, data: Any) -> int:  # noqa: ANN401 - any bytes-like, as zipfile writes
        """Take `data`; return how many bytes it has."""
        self._waiting += data
        # One byte more than a chunk says that this chunk is not the last.
        while len(self._waiting) > CHUNK:
            self._put(bytes(self._waiting[:CHUNK]), is_last=False)
            del self._waiting[:CHUNK]
        return len(data)

    def flush(self) -> None:
        """Flush what is encrypted; what waits for its chunk to be full goes on waiting."""
        self._stream.flush()

    def finish(self) -> None:
        """Write the last chunk and the foot."""
        self._put(bytes(self._waiting), is_last=True)
        self._stream.write(_FOOT)

    def _put(self, plain: bytes, *, is_last: bool) -> None:
        nonce = _nonce(self._number, is_last=is_last)
        self._stream.write(self._cipher.encrypt(nonce, plain, self._head))
        self._number += 1


class _DecryptingReader(io.RawIOBase):
    """The plain bytes of an encrypted file; the chunk that was read last is kept."""

    def __init__(self, stream: IO[bytes], key: FileKey | None, name: str) -> None:
        super().__init__()
        self._stream, self._name = stream, name
        self._head = stream.read(_HEAD.size)
        salt = self._check_head(key)
        body = self._check_end()
        self._count = max(1, -(-body // (CHUNK + _TAG)))
        self._size = body - _TAG * self._count
        self._cipher = _cipher(self._check_key(key), salt)
        self._place = 0
        self._chunk, self._number = b"", -1
        # The last chunk says that it is the last: nothing was cut off or put behind it.
        self._load(self._count - 1)

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._place

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        start = {io.SEEK_SET: 0, io.SEEK_CUR: self._place, io.SEEK_END: self._size}[whence]
        if start + offset < 0:
            raise ValueError("a place before the start")
        self._place = start + offset
        return self._place

    def readinto(self, buffer: Any) -> int:  # noqa: ANN401 - any writable buffer
        if self._place >= self._size:
            return 0
        number, offset = divmod(self._place, CHUNK)
        self._load(number)
        part = self._chunk[offset : offset + len(buffer)]
        buffer[: len(part)] = part
        self._place += len(part)
        return len(part)

    def _load(self, number: int) -> None:
        from cryptography.exceptions import InvalidTag

        if number == self._number:
            return
        self._stream.seek(_HEAD.size + number * (CHUNK + _TAG))
        is_last = number == self._count - 1
        length = self._size - number * CHUNK + _TAG if is_last else CHUNK + _TAG
        try:
            chunk = self._cipher.decrypt(
                _nonce(number, is_last=is_last), self._stream.read(length), self._head
            )
        except (InvalidTag, ValueError):
            raise PlanFileError(
                f"{self._name}: was edited or damaged: part {number + 1} of {self._count} is not as written",
                hint=f"{_AGAIN}; what is sent must be what was reviewed",
            ) from None
        self._chunk, self._number = chunk, number

    def _check_head(self, key: FileKey | None) -> bytes:
        """Return the salt; PlanFileError for another version, for no key, and for a file without a head."""
        if len(self._head) < _HEAD.size:
            raise self._cut_short()
        _, version, _, salt = _HEAD.unpack(self._head)
        if version != _VERSION:
            raise PlanFileError(
                f"{self._name}: is encrypted in version {version}, this version of runner reads {_VERSION}",
                hint=_AGAIN,
            )
        if key is None:
            raise PlanFileError(
                f"{self._name}: is encrypted, and {KEY_VARIABLE} is not set",
                hint=f"set {KEY_VARIABLE} to the key that it was made with",
            )
        return bytes(salt)

    def _check_end(self) -> int:
        """Return how many bytes the chunks have together; PlanFileError when the end is missing."""
        end = self._stream.seek(0, os.SEEK_END)
        body = end - _HEAD.size - len(_FOOT)
        self._stream.seek(max(0, end - len(_FOOT)))
        # The last chunk, as every other, is never shorter than its tag.
        rest = body % (CHUNK + _TAG)
        if body < _TAG or 0 < rest < _TAG or self._stream.read() != _FOOT:
            raise self._cut_short()
        return body

    def _check_key(self, key: FileKey | None) -> FileKey:
        _, _, key_id, _ = _HEAD.unpack(self._head)
        if key is None or key_id != _key_id(key):
            raise PlanFileError(
                f"{self._name}: is encrypted with another key than {KEY_VARIABLE} holds",
                hint=f"set {KEY_VARIABLE} to the key that it was made with, or {_AGAIN}",
            )
        return key

    def _cut_short(self) -> PlanFileError:
        return PlanFileError(f"{self._name}: is cut short: its end is missing", hint=_AGAIN)


def _nonce(number: int, *, is_last: bool) -> bytes:
    return number.to_bytes(11, "big") + bytes([is_last])


def _key_id(key: FileKey) -> bytes:
    """Return what tells one key from another, and nothing of it."""
    return _derived(key.secret, b"", b"runner plan key id 1", _ID_BYTES)


def _cipher(key: FileKey, salt: bytes) -> AESGCM:
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

    return AESGCM(_derived(key.secret, salt, b"runner plan file 1", _KEY_BYTES))


def _derived(secret: bytes, salt: bytes, purpose: bytes, length: int) -> bytes:
    """Return a key of its own for each salt and purpose (HKDF with SHA-256, RFC 5869)."""
    try:
        from cryptography.hazmat.primitives.hashes import SHA256
        from cryptography.hazmat.primitives.kdf.hkdf import HKDF
    except ImportError as error:
        raise UsageError(
            f"{KEY_VARIABLE} is set, but the package that encrypts is not installed",
            hint="pip install 'campaign-runner[encryption]'",
        ) from error
    return HKDF(algorithm=SHA256(), length=length, salt=salt or None, info=purpose).derive(secret)
