"""What the Treasure Data sandbox answers, and how an answer leaves: whole, a part of it, or broken off."""

from __future__ import annotations

import asyncio
import json
import re
import socket
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path
from typing import Any

from aiohttp import web

_JSON = "application/json; charset=utf-8"
_CHUNK = 1024 * 1024
_RESET_ON_CLOSE = struct.pack("ii", 1, 0)
_RANGE = re.compile(r"bytes=(\d+)-(\d*)")


@dataclass(frozen=True, slots=True, kw_only=True)
class FilePart:
    """`length` bytes of a file from `offset` on."""

    path: Path
    offset: int
    length: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """One answer; its body is in memory or in a file."""

    status: int = 200
    body: bytes | FilePart = b""
    content_type: str = _JSON
    headers: tuple[tuple[str, str], ...] = ()


def document(value: Any, *, status: int = 200) -> Answer:  # noqa: ANN401 - any JSON value
    """Return an answer in JSON."""
    return Answer(status=status, body=json.dumps(value, ensure_ascii=False).encode("utf-8", "replace"))


def failure(
    status: int,
    text: str,
    *,
    details: dict[str, Any] | None = None,
    headers: tuple[tuple[str, str], ...] = (),
) -> Answer:
    """Return an error as Treasure Data's API words it (reference/treasure-data.md §2.3)."""
    error = HTTPStatus(status).phrase
    value: dict[str, Any] = {"error": error, "text": text, "message": text, "severity": "error"}
    if details is not None:
        value["details"] = details
    body = json.dumps(value, ensure_ascii=False).encode("utf-8", "replace")
    return Answer(status=status, body=body, headers=headers)


def file_answer(path: Path, wanted: str | None) -> Answer:
    """Return a file, or, with a Range header `wanted`, a part of it: 206, or 416 without such a part."""
    size = path.stat().st_size
    kind = "application/octet-stream"
    if wanted is None:
        whole = FilePart(path=path, offset=0, length=size)
        return Answer(body=whole, content_type=kind, headers=(("Accept-Ranges", "bytes"),))
    match = _RANGE.fullmatch(wanted.strip())
    first = int(match.group(1)) if match else size
    last = min(int(match.group(2)), size - 1) if match and match.group(2) else size - 1
    if first > last:
        return failure(
            416, "Requested range not satisfiable", headers=(("Content-Range", f"bytes */{size}"),)
        )
    return Answer(
        status=206,
        body=FilePart(path=path, offset=first, length=last - first + 1),
        content_type=kind,
        headers=(("Content-Range", f"bytes {first}-{last}/{size}"),),
    )


async def send(request: web.Request, answer: Answer, *, truncated: bool = False) -> web.StreamResponse:
    """Send an answer; a `truncated` one names its full length, and breaks off in the middle."""
    length = answer.body.length if isinstance(answer.body, FilePart) else len(answer.body)
    headers = {"Content-Type": answer.content_type, **dict(answer.headers), "Content-Length": str(length)}
    response = web.StreamResponse(status=answer.status, headers=headers)
    await response.prepare(request)
    left = length // 2 if truncated else length
    for chunk in _chunks(answer.body):
        await response.write(chunk[:left])
        left -= len(chunk)
        if left <= 0:
            break
    if truncated and request.transport is not None:
        request.transport.close()
        return response
    await response.write_eof()
    return response


def _chunks(body: bytes | FilePart) -> Iterator[bytes]:
    if isinstance(body, bytes):
        yield body
        return
    left = body.length
    with body.path.open("rb") as file:
        file.seek(body.offset)
        while left > 0 and (chunk := file.read(min(_CHUNK, left))):
            left -= len(chunk)
            yield chunk


async def reset(request: web.Request) -> web.StreamResponse:
    """Reset the connection, as a peer that crashed does."""
    if request.transport is not None:
        request.transport.get_extra_info("socket").setsockopt(
            socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE
        )
        request.transport.abort()
    # aiohttp finds the connection closed, and lets this go.
    await asyncio.sleep(0)
    return web.Response()
