"""Receive one message: judge it as ADA might, decide its answer, record both. No HTTP in here.

Both doors of the server, the quick one and aiohttp's, call `Sandbox.receive` and carry out its Reply.
"""

from __future__ import annotations

import random
import re
import time
from collections.abc import Callable, Iterable
from dataclasses import replace
from functools import partial
from typing import IO, Any

from runner.errors import UsageError
from runner.sandbox import replies
from runner.sandbox.ada_templates import Catalog, split_values, value_places
from runner.sandbox.faults import Fault, FaultPlan
from runner.sandbox.record import RateLimit, Record, parse_message, phone_of
from runner.sandbox.replies import Code, Reply
from runner.sandbox.settings import OverLimit, SandboxSettings, UnknownSender
from runner.sandbox.tokens import TokenVerdict, judge_authorization
from runner.sandbox.webhooks import Webhooks

#: Bytes of the longest message; a whole template message is far below it.
LARGEST_MESSAGE = 256 * 1024

_PHONE = re.compile(r"\d{5,20}", re.ASCII)
#: Per type, the fields that must be there, and what each must be (reference/ada-api.md §4).
_REQUIRED: dict[str, tuple[tuple[str, type], ...]] = {
    "template": (("templateName", str), ("templateLang", str)),
    "text": (("text", str),),
    "button": (("text", str), ("buttons", list)),
    "list": (("text", str), ("listTitle", str), ("listData", list)),
}


class Sandbox:
    """One sandbox's state: settings, templates, faults and record. Used from one thread, its event loop's.

    `monotonic` times the limit, `wall` (epoch seconds) dates arrivals and judges tokens.
    """

    def __init__(
        self,
        settings: SandboxSettings,
        *,
        monotonic: Callable[[], float] = time.monotonic,
        wall: Callable[[], float] = time.time,
    ) -> None:
        self.settings = settings
        self.catalog = Catalog(senders=settings.senders, templates=settings.templates)
        self.wall = wall
        self.webhooks = Webhooks(settings.webhook, self.catalog, wall) if settings.webhook else None
        self._monotonic = monotonic
        self._chance = random.Random(settings.seed)  # noqa: S311 - repeatable rehearsals, not secrets
        self._file = _open_record(settings)
        # Ids of two starts, or of two records of one start, are never the same.
        self._id_prefix = int(wall() * 1000) & 0xFFFFFFFFFFFF
        self._generation = 0
        self.faults = FaultPlan(settings.faults, self._chance)
        self.record = self._new_record()

    def reset(self) -> None:
        """Forget what arrived, and count messages from 1 again. The record file goes on."""
        self._generation += 1
        self.record = self._new_record()
        self.set_faults(self.faults.faults)

    def set_faults(self, faults: Iterable[Fault]) -> None:
        """Have these faults from now on, and no others."""
        self.faults = FaultPlan(faults, self._chance)

    def receive(self, authorization: str | None, raw: bytes, *, redirected: bool = False) -> Reply:
        """Receive one `POST /message` and return its answer; `delay` in it includes the latency.

        `redirected` says that it came by the path a redirect leads to: no fault strikes it again.
        """
        wall = self.wall()
        number, over = self.record.arrive(self._monotonic(), wall)
        message = parse_message(raw)
        verdict = judge_authorization(authorization, wall)
        if verdict is not TokenVerdict.GOOD:
            reply = replies.token_failure(verdict)
        elif message is None:
            reply = replies.failure(400, Code.NOT_JSON, "The body is not a JSON object")
        else:
            reply = self._judge(number, message, over=over, redirected=redirected)
        self.record.settle(number, message or {}, raw, reply.name, accepted=reply.accepted)
        if reply.accepted and message is not None and self.webhooks is not None:
            self.webhooks.tell_of(number, message, self._message_id(number))
        delay = self.settings.latency.sample(self._chance)
        return replace(reply, delay=reply.delay + delay) if delay else reply

    def close(self) -> None:
        """Close the record file."""
        if self._file is not None:
            self._file.close()

    def _judge(self, number: int, message: dict[str, Any], *, over: bool, redirected: bool) -> Reply:
        if over and self.settings.over_limit is not OverLimit.ACCEPT:
            return self._over_limit()
        problem = _field_problem(message)
        if problem is not None:
            return replies.failure(400, Code.BAD_FIELD, problem)
        if (
            self.settings.unknown_sender is UnknownSender.REFUSE
            and message["from"] not in self.settings.senders
        ):
            return replies.failure(400, Code.UNKNOWN_SENDER, "The sender is not an account of this client")
        fault = None if redirected else self.faults.strike(number, phone_of(message))
        if fault is not None:
            return replies.fault_reply(fault, self._message_id(number))
        refusal = self._template_refusal(message) if self.settings.strict_templates else None
        return refusal or replies.success(self._message_id(number), self.settings.answer)

    def _over_limit(self) -> Reply:
        settings = self.settings
        if settings.over_limit is OverLimit.BAD_REQUEST:
            reply = replies.failure(400, Code.OVER_LIMIT, "Rate limit exceeded")
        else:
            headers = replies.retry_after(settings.retry_after)
            reply = replies.failure(429, Code.OVER_LIMIT, "Too many requests", headers=headers)
        return replace(reply, name=f"{reply.status} over the limit")

    def _template_refusal(self, message: dict[str, Any]) -> Reply | None:
        if message["type"] != "template":
            return None
        name, language = message["templateName"], message["templateLang"]
        template = self.catalog.find(name, language)
        if template is None or not template.is_sendable:
            return replies.failure(
                400, Code.UNKNOWN_TEMPLATE, f"template_name ({name}) does not exist in {language}"
            )
        for part, (text, values) in split_values(template, message).items():
            expected = value_places(text)
            if len(values) != expected:
                problem = f"The {part} has {len(values)} values, expected {expected}"
                return replies.failure(400, Code.WRONG_COUNT, problem)
        return None

    def _message_id(self, number: int) -> str:
        return _make_id(self._id_prefix, self._generation, number)

    def _new_record(self) -> Record:
        prefix, generation = self._id_prefix, self._generation
        rate = self.settings.limit
        return Record(
            make_id=lambda number: _make_id(prefix, generation, number),
            limit=None if rate is None else RateLimit.per_second(rate),
            kept_messages=self.settings.kept_messages,
            kept_bytes=self.settings.kept_bytes,
            write=None if self._file is None else partial(_append, self._file),
        )


def _field_problem(message: dict[str, Any]) -> str | None:
    """Return what is wrong with a message's fields, the phone left out; None where nothing is."""
    if message.get("platform") != "WA":
        return "platform must be WA"
    for field in ("from", "to"):
        value = message.get(field)
        if not isinstance(value, str) or not _PHONE.fullmatch(value):
            return f"{field} must be a string of digits with country code"
    kind = message.get("type")
    if not isinstance(kind, str) or kind not in _REQUIRED:
        return f"type must be one of {', '.join(_REQUIRED)}"
    for field, wanted in _REQUIRED[kind]:
        value = message.get(field)
        if not isinstance(value, wanted) or not value:
            return f"{field} is missing, empty or not a {'string' if wanted is str else 'list'}"
    data = message.get("templateData")
    if data is not None and not (isinstance(data, list) and all(isinstance(value, str) for value in data)):
        return "templateData must be a list of strings"
    return None


def _make_id(prefix: int, generation: int, number: int) -> str:
    """Return an id in the shape of a version 4 UUID, as in ADA's samples, at no cost."""
    return f"{prefix >> 16:08x}-{prefix & 0xFFFF:04x}-4{generation & 0xFFF:03x}-8000-{number:012x}"


def _append(file: IO[bytes], document: dict[str, Any]) -> None:
    file.write(replies.to_json(document) + b"\n")


def _open_record(settings: SandboxSettings) -> IO[bytes] | None:
    """Open the record file, unbuffered so that a line outlives the process, and for its owner alone."""
    path = settings.record_file
    if path is None:
        return None
    try:
        path.touch(mode=0o600)
        return path.open("ab", buffering=0)
    except OSError as problem:
        raise UsageError(
            f"The record file {path} cannot be written: {problem.strerror}",
            hint="Name a file in a folder that exists.",
        ) from problem
