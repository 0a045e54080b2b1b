"""What the sandbox answers, as values: the envelopes of reference/ada-api.md §3 to §5, and wrong answers.

Numbers of errors other than 10203 are this sandbox's own: ADA's are not known (§5).
"""

from __future__ import annotations

import asyncio
import json
import socket
import struct
from dataclasses import dataclass, replace
from enum import Enum
from http import HTTPStatus
from typing import Any

from runner.sandbox.faults import RETRY_AFTER_KINDS, Fault, FaultKind
from runner.sandbox.settings import AnswerShape
from runner.sandbox.tokens import TokenVerdict

JSON_TYPE = "application/json"
HTML_TYPE = "text/html; charset=utf-8"
MALFORMED = "Invalid access token : token contains an invalid number of segments"
EXPIRED = "Invalid access token : Token is expired"

#: Where a redirect leads: a message that arrives there was sent by a client that follows redirects.
REDIRECTED_PATH = "/redirected/message"

_RESET_ON_CLOSE = struct.pack("ii", 1, 0)


class Code:
    """The `errorCode` numbers; only BAD_TOKEN is ADA's (§5)."""

    BAD_TOKEN = 10203
    EXPIRED_TOKEN = 10204
    NOT_JSON = 10001
    BAD_FIELD = 10002
    UNKNOWN_SENDER = 10003
    UNKNOWN_TEMPLATE = 10004
    WRONG_COUNT = 10005
    OVER_LIMIT = 10429
    REFUSED = 10400
    FAILED = 10500
    UNAVAILABLE = 10503
    NOT_FOUND = 10404
    TOO_LARGE = 10413


class Ending(Enum):
    """How an exchange ends: with the whole answer, with a reset and none, or within the answer."""

    ANSWER = "answer"
    RESET = "reset"
    TRUNCATE = "truncate"


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """One answer. `name` is how the record calls it; `accepted` says whether a phone gets the message.

    `delay` is in seconds, on top of the latency. `headers` are beside Content-Type and Content-Length.
    """

    status: int
    body: bytes
    name: str
    accepted: bool = False
    content_type: str = JSON_TYPE
    headers: tuple[tuple[str, str], ...] = ()
    delay: float = 0.0
    ending: Ending = Ending.ANSWER

    def to_http(self) -> bytes:
        """Render as HTTP/1.1 on a connection that stays open."""
        extra = "".join(f"{name}: {value}\r\n" for name, value in self.headers)
        head = (
            f"HTTP/1.1 {self.status} {HTTPStatus(self.status).phrase}\r\n"
            f"Content-Type: {self.content_type}\r\nContent-Length: {len(self.body)}\r\n{extra}\r\n"
        )
        return head.encode("ascii") + self.body


def end_badly(transport: asyncio.Transport, reply: Reply) -> None:
    """End the connection as `reply.ending` says: by a TCP reset, or after half of the answer."""
    if reply.ending is Ending.TRUNCATE:
        transport.write(reply.to_http()[: -(len(reply.body) // 2 + 1)])
        transport.close()
        return
    # Without lingering, a close drops what is unsent and resets, as a crashed peer does.
    transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE)
    transport.abort()


def to_json(document: Any) -> bytes:  # noqa: ANN401 - any JSON value
    """Render a JSON value as UTF-8."""
    return json.dumps(document, ensure_ascii=False).encode("utf-8", "replace")


def failure(
    status: int,
    code: int,
    message: str,
    *,
    http_status: int | None = None,
    headers: tuple[tuple[str, str], ...] = (),
) -> Reply:
    """Return an error in ADA's envelope; `status` is the body's, and HTTP's unless `http_status` differs."""
    body = to_json({"status": status, "errorCode": code, "message": message})
    return Reply(
        status=http_status or status, body=body, name=f"{http_status or status} {code}", headers=headers
    )


def token_failure(verdict: TokenVerdict) -> Reply:
    """Return the answer to a token that does not pass: 400 for a malformed one, 401 for an expired one."""
    if verdict is TokenVerdict.EXPIRED:
        return failure(401, Code.EXPIRED_TOKEN, EXPIRED)
    return failure(400, Code.BAD_TOKEN, MALFORMED)


_ENVELOPE = b'{"status":200,"errorCode":0,"message":"Success","data":["%b"]}'
_CREATED = b'{"status":201,"errorCode":0,"message":"Success","data":["%b"]}'


def success(message_id: str, shape: AnswerShape = AnswerShape.ENVELOPE) -> Reply:
    """Return the answer to an accepted message, in the given shape."""
    if shape is AnswerShape.ENVELOPE:
        return Reply(status=200, body=_ENVELOPE % message_id.encode(), name="200", accepted=True)
    if shape is AnswerShape.CREATED:
        return Reply(status=201, body=_CREATED % message_id.encode(), name="201", accepted=True)
    if shape is AnswerShape.BARE_ARRAY:
        return Reply(status=200, body=to_json([message_id]), name="200 bare-array", accepted=True)
    body = to_json({"status": 200, "errorCode": 0, "message": "Success", "data": []})
    return Reply(status=200, body=body, name="200 no-id", accepted=True)


def fault_reply(fault: Fault, message_id: str) -> Reply:
    """Return what a message gets that `fault` strikes."""
    reply = _fault_answer(fault, message_id)
    delayed = fault.kind in {FaultKind.SLOW_AFTER_ACCEPT, FaultKind.DROP}
    return replace(
        reply,
        name=f"fault {fault.kind.value}",
        accepted=fault.accepted,
        delay=(fault.seconds or 0.0) if delayed else 0.0,
        ending=_ENDINGS.get(fault.kind, Ending.ANSWER),
    )


_ENDINGS = {
    FaultKind.RESET_AFTER_ACCEPT: Ending.RESET,
    FaultKind.RESET_BEFORE_ACCEPT: Ending.RESET,
    FaultKind.DROP: Ending.RESET,
    FaultKind.TRUNCATED: Ending.TRUNCATE,
}

_SHAPES = {
    FaultKind.CREATED: AnswerShape.CREATED,
    FaultKind.BARE_ARRAY: AnswerShape.BARE_ARRAY,
    FaultKind.NO_ID: AnswerShape.NO_ID,
}


def retry_after(seconds: float | None) -> tuple[tuple[str, str], ...]:
    """Return the Retry-After header for `seconds`, in whole seconds as HTTP asks; nothing for None."""
    return () if seconds is None else (("Retry-After", str(max(0, round(seconds)))),)


def _page(status: int, text: str) -> Reply:
    return Reply(status=status, body=text.encode(), name=str(status), content_type=HTML_TYPE)


_WRONG = {
    FaultKind.TOO_MANY: failure(429, Code.OVER_LIMIT, "Too many requests"),
    FaultKind.UNAVAILABLE: failure(503, Code.UNAVAILABLE, "Service unavailable"),
    FaultKind.BAD_REQUEST: failure(400, Code.REFUSED, "Message refused"),
    FaultKind.SERVER_ERROR: failure(500, Code.FAILED, "Internal server error"),
    FaultKind.UNAUTHORIZED: token_failure(TokenVerdict.EXPIRED),
    FaultKind.ERROR_IN_200: failure(400, Code.REFUSED, "Message refused", http_status=200),
    FaultKind.HTML_502: _page(502, "<html><head><title>502 Bad Gateway</title></head><body></body></html>"),
    FaultKind.HTML_200: _page(200, "<html><body>It works!</body></html>"),
    FaultKind.REDIRECT: Reply(status=307, body=b"", name="307", headers=(("Location", REDIRECTED_PATH),)),
}


def _fault_answer(fault: Fault, message_id: str) -> Reply:
    if fault.kind in RETRY_AFTER_KINDS:
        return replace(_WRONG[fault.kind], headers=retry_after(fault.seconds))
    if fault.kind is FaultKind.HUGE:
        return Reply(status=200, body=_huge(message_id, fault.size), name="200")
    wrong = _WRONG.get(fault.kind)
    return wrong or success(message_id, _SHAPES.get(fault.kind, AnswerShape.ENVELOPE))


def _huge(message_id: str, size: int) -> bytes:
    head = b'{"status":200,"errorCode":0,"data":["%b"],"message":"' % message_id.encode()
    tail = b'"}'
    return head + b"x" * max(0, size - len(head) - len(tail)) + tail
