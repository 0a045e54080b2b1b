"""Plan <-> one zip file: plan.json without personal data, and the recipients and rejections tables.

The file is the hand-over between the person who reviews and the machine that sends. It is written whole or
not at all (temporary file, fsync, rename), readable by its owner only, encrypted where there is a key, and
refuses to open when a byte of it is not what was written.
"""

from __future__ import annotations

import errno
import hashlib
import json
import os
import shutil
import struct
import tempfile
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import IO, Any

from runner import plan as plans
from runner.encrypted_file import FileKey, decrypted, encrypting, is_encrypted
from runner.errors import PlanFileError
from runner.file_checks import zone_exists
from runner.plan import Plan
from runner.work_folder import work_folder

RECIPIENTS = "recipients.parquet"
REJECTIONS = "rejections.parquet"
_PLAN = "plan.json"
TABLES = (RECIPIENTS, REJECTIONS)
_PLAN_LIMIT = 8 * 1024 * 1024
_CHUNK = 1024 * 1024
_EPOCH = (1980, 1, 1, 0, 0, 0)
_AGAIN = "make it again with `runner plan`"
#: How a zip without a comment ends: so many bytes, which begin so.
_END, _END_BYTES = b"PK\x05\x06", 22
#: What zipfile raises on bytes that are not, or no longer, a zip of stored members.
_DAMAGE = (
    zipfile.BadZipFile,
    EOFError,
    KeyError,
    NotImplementedError,
    OverflowError,
    RuntimeError,
    ValueError,
    struct.error,
)


def write_plan(plan: Plan, tables: Path, target: Path, key: FileKey | None = None) -> None:
    """Write `plan` and the two tables in the folder `tables` to `target` (mode 0600), whole or not at all.

    With a `key` it is encrypted as it is written.
    """
    try:
        target.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        descriptor, name = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name}.")
        temporary = Path(name)
        try:
            with os.fdopen(descriptor, "wb") as stream:
                with encrypting(stream, key) if key else nullcontext(stream) as plain:
                    _write_zip(plan, tables, plain)
                stream.flush()
                os.fsync(stream.fileno())
            temporary.replace(target)
        finally:
            temporary.unlink(missing_ok=True)
    except OSError as error:
        raise PlanFileError(
            f"{target}: the plan cannot be written: {error.strerror}",
            hint="check free space and permissions of the folder",
        ) from error


def read_plan(path: Path, key: FileKey | None = None) -> Plan:
    """Return the plan in `path`, every byte of it verified; PlanFileError if it is damaged or edited.

    An encrypted one takes the `key` that it was written with; any other is read all the same.
    """
    with _opened(path, key) as archive:
        plan = _parse(path, archive)
        for name in TABLES:
            if _sha256_of_member(archive, name) != plan.files.get(name):
                raise _edited(path, name)
    return plan


@contextmanager
def extracted_tables(
    path: Path, workspace: Path, key: FileKey | None = None, *, of: Plan | None = None
) -> Iterator[Path]:
    """Extract the tables of `path` into a private folder under `workspace`, for as long as the context lasts.

    The copies are verified as they are read back. They are those `of` the plan that was read before, where
    one is given: a file that was replaced meanwhile cannot slip in.
    """
    with work_folder(workspace, "tables-") as folder:
        with _opened(path, key) as archive:
            plan = _parse(path, archive)
            if of is not None and plan != of:
                raise PlanFileError(f"{path}: was replaced while it was read", hint="run the command again")
            for name in TABLES:
                _extract(archive, name, folder / name)
        for name in TABLES:
            if sha256_of_file(folder / name) != plan.files.get(name):
                raise _edited(path, name)
        yield folder


def sha256_of_file(path: Path) -> str:
    """Return the SHA-256 (hex) of a file's bytes."""
    with path.open("rb") as stream:
        return _sha256_of(stream)


def _write_zip(plan: Plan, tables: Path, stream: Any) -> None:  # noqa: ANN401 - what zipfile writes to
    text = json.dumps(plans.to_document(plan), ensure_ascii=False, indent=2)
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_STORED) as archive:
        archive.writestr(zipfile.ZipInfo(_PLAN, _EPOCH), text)
        for name in TABLES:
            with (
                (tables / name).open("rb") as source,
                archive.open(zipfile.ZipInfo(name, _EPOCH), "w") as member,
            ):
                for chunk in iter(lambda: source.read(_CHUNK), b""):
                    member.write(chunk)


@contextmanager
def _opened(path: Path, key: FileKey | None) -> Iterator[zipfile.ZipFile]:
    """Open the zip; whatever a damaged one makes the reading raise becomes one PlanFileError."""
    try:
        with path.open("rb") as stream:
            plain = decrypted(stream, key, str(path)) if is_encrypted(stream) else stream
            with zipfile.ZipFile(plain) as archive:
                _check_members(archive, plain)
                yield archive
    except FileNotFoundError as error:
        raise PlanFileError(f"{path}: there is no such plan", hint="make one with `runner plan`") from error
    except _DAMAGE as error:
        raise _not_whole(path) from error
    except OSError as error:
        if error.errno == errno.EINVAL:  # a place in the file that is none
            raise _not_whole(path) from error
        raise PlanFileError(f"{path}: cannot be read: {error.strerror}") from error


def _check_members(archive: zipfile.ZipFile, stream: IO[bytes]) -> None:
    """Refuse what `_write_zip` does not write: other members, packed ones, bytes around them all.

    A small packed member could fill the disk.
    """
    members = archive.infolist()
    if [member.filename for member in members] != [_PLAN, *TABLES]:
        raise zipfile.BadZipFile("other members")
    if any(each.compress_type != zipfile.ZIP_STORED or each.extra or each.comment for each in members):
        raise zipfile.BadZipFile("a packed member, or one with more")
    stream.seek(-_END_BYTES, os.SEEK_END)
    if members[0].header_offset != 0 or archive.comment or not stream.read().startswith(_END):
        raise zipfile.BadZipFile("bytes around the members")


def _not_whole(path: Path) -> PlanFileError:
    return PlanFileError(
        f"{path}: is not a whole plan file (cut short, damaged, or another file)", hint=_AGAIN
    )


def _parse(path: Path, archive: zipfile.ZipFile) -> Plan:
    with archive.open(_PLAN) as member:
        text = member.read(_PLAN_LIMIT + 1)
    try:
        document: Any = json.loads(text)
        found = document.get("format")
        if found != plans.PLAN_FORMAT:
            raise PlanFileError(
                f"{path}: is a plan of format {found!r}, this version reads {plans.PLAN_FORMAT}",
                hint=_AGAIN,
            )
        plan = plans.from_document(document)
        genuine = plans.is_genuine(plan) and plan.is_balanced and _is_sound(plan)
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError, OverflowError) as error:
        raise _edited(path, _PLAN) from error
    if not genuine:
        raise _edited(path, _PLAN)
    return plan


def _is_sound(plan: Plan) -> bool:
    zones = {plan.zone, *(zone for group in plan.forecast for zone in group.zones)} - {None}
    return plans.is_sound(plan) and all(zone_exists(zone) for zone in zones if zone)


def _edited(path: Path, member: str) -> PlanFileError:
    return PlanFileError(
        f"{path}: {member} is not what `runner plan` wrote: the file was edited or damaged",
        hint=f"{_AGAIN}; what is sent must be what was reviewed",
    )


def _extract(archive: zipfile.ZipFile, name: str, target: Path) -> None:
    with archive.open(name) as source, target.open("wb") as stream:
        target.chmod(0o600)
        shutil.copyfileobj(source, stream, _CHUNK)


def _sha256_of_member(archive: zipfile.ZipFile, name: str) -> str:
    with archive.open(name) as stream:
        return _sha256_of(stream)


def _sha256_of(stream: IO[bytes]) -> str:
    digest = hashlib.sha256()
    for chunk in iter(lambda: stream.read(_CHUNK), b""):
        digest.update(chunk)
    return digest.hexdigest()
