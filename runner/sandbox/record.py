"""What arrived at the sandbox: every message's time, phone and answer, the newest ones whole, and the counts.

Columns instead of objects: a million messages stay within a few hundred megabytes.
"""

from __future__ import annotations

import json
from array import array
from collections import Counter, deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import Any

#: How many seconds of the past the per-second series covers.
SERIES_SECONDS = 120
_DUPLICATES_LISTED = 100
_LONGEST_PHONE = 40
_ACCEPTED = 1
_OVER_LIMIT = 2


def _refuse_constant(name: str) -> None:
    raise ValueError(name)


# Strict JSON: Python's own reading lets NaN through, and a record with one could be read by nobody else.
_DECODE = json.JSONDecoder(parse_constant=_refuse_constant).decode


@dataclass(frozen=True, slots=True, kw_only=True)
class RateLimit:
    """At most `messages` within any sliding `window` of seconds."""

    messages: int
    window: float

    @classmethod
    def per_second(cls, rate: float) -> RateLimit:
        """Return the limit for `rate` a second: 5.0 is 5 in 1 s, 2.5 is 2 in 0.8 s, 0.5 is 1 in 2 s."""
        messages = max(1, int(rate))
        return cls(messages=messages, window=messages / rate)


class _Window:
    """Counts the arrivals of the last `seconds`; arrival times only grow, so each is passed once."""

    def __init__(self, times: array[float], seconds: float) -> None:
        self._times = times
        self._seconds = seconds
        self._oldest = 0

    def count(self, now: float) -> int:
        """Return how many arrivals, `now`'s own included, lie within the window that ends at `now`."""
        while now - self._times[self._oldest] >= self._seconds:
            self._oldest += 1
        return len(self._times) - self._oldest


class Record:
    """All arrivals since the start or the last reset. A message's number counts from 1, in order of arrival.

    `make_id(number)` gives the id that an accepted message was answered with. `kept_messages` and
    `kept_bytes` bound the whole messages. `write`, where given, receives each settled arrival as a JSON
    document.
    """

    def __init__(
        self,
        *,
        make_id: Callable[[int], str],
        limit: RateLimit | None = None,
        kept_messages: int = 200_000,
        kept_bytes: int = 128 * 1024 * 1024,
        write: Callable[[dict[str, Any]], None] | None = None,
    ) -> None:
        self.accepted = 0
        self.over_limit = 0
        self.max_per_second = 0
        self.duplicates = 0
        self.answers: Counter[str] = Counter()
        self.series: deque[list[int]] = deque(maxlen=SERIES_SECONDS)
        self._make_id = make_id
        self._limit = limit
        self._kept_messages = kept_messages
        self._kept_bytes = kept_bytes
        self._write = write
        self._times = array("d")
        self._walls = array("d")
        self._phones: list[str] = []
        self._names: list[str] = []
        self._flags = bytearray()
        self._bodies: list[bytes | None] = []
        self._body_bytes = 0
        self._first_kept = 0
        self._keys: set[int] = set()
        self._reached: set[str] = set()
        self._repeated: set[str] = set()
        self._duplicate_numbers: list[int] = []
        self._second = _Window(self._times, 1.0)
        self._limited = _Window(self._times, limit.window) if limit else None

    @property
    def total(self) -> int:
        """The number of messages that arrived, whatever they were answered."""
        return len(self._times)

    def arrive(self, now: float, wall: float) -> tuple[int, bool]:
        """Note an arrival at `now` (monotonic, `wall` the epoch's): return its number, and if it is over.

        Every arrival counts towards the limit, whatever its answer: the strictest reading of "5 a second".
        """
        self._times.append(now)
        self._walls.append(wall)
        self._phones.append("")
        self._names.append("")
        self._bodies.append(None)
        self.max_per_second = max(self.max_per_second, self._second.count(now))
        over = (
            self._limited is not None
            and self._limit is not None
            and self._limited.count(now) > self._limit.messages
        )
        self._flags.append(_OVER_LIMIT if over else 0)
        self.over_limit += over
        self._count_second(int(wall))
        return len(self._times), over

    def settle(self, number: int, message: dict[str, Any], raw: bytes, name: str, *, accepted: bool) -> None:
        """Note what message `number` was (`message` as parsed from `raw`) and what it was answered."""
        index = number - 1
        phone = phone_of(message)
        self._phones[index] = phone
        self._names[index] = name
        self.answers[name] += 1
        self._keep(index, raw)
        if accepted:
            self._flags[index] |= _ACCEPTED
            self.accepted += 1
            self.series[-1][2] += 1
            self._count_phone(number, phone, message)
        if self._write is not None:
            self._write(self.message(number))

    def message(self, number: int) -> dict[str, Any]:
        """Return message `number` as JSON values; `message` in it is None where only the phone was kept."""
        index = number - 1
        flags = self._flags[index]
        raw = self._bodies[index]
        whole = _parsed(raw)
        return {
            "number": number,
            "arrived": self._times[index],
            "at": datetime.fromtimestamp(self._walls[index], timezone.utc).isoformat(timespec="microseconds"),
            "to": self._phones[index],
            "type": whole.get("type"),
            "template": whole.get("templateName"),
            "language": whole.get("templateLang"),
            "body": whole.get("templateData"),
            "tag1": whole.get("tag1"),
            "answer": self._names[index],
            "accepted": bool(flags & _ACCEPTED),
            "over_limit": bool(flags & _OVER_LIMIT),
            "id": self._make_id(number) if flags & _ACCEPTED else None,
            "message": None if raw is None else whole,
        }

    def numbers(self, *, since: int = 0, to: str | None = None) -> Iterable[int]:
        """Yield the numbers above `since`, ascending; only those to the phone `to` where it is given."""
        if to is None:
            return range(since + 1, self.total + 1)
        return (index + 1 for index in range(since, self.total) if self._phones[index] == to)

    def duplicated(self) -> list[dict[str, Any]]:
        """Return the first accepted messages whose person had got the same before."""
        keys = ("number", "to", "tag1", "template", "language")
        return [{key: self.message(number)[key] for key in keys} for number in self._duplicate_numbers]

    def counts(self) -> dict[str, Any]:
        """Return the counts alone, cheaply.

        `duplicates` counts accepted messages beyond the first with the same phone, tag and template (or
        text); `phones_repeated` counts phones that were reached more than once, by whatever message;
        `over_limit` counts the arrivals with which a sliding window exceeded the limit.
        """
        return {
            "total": self.total,
            "accepted": self.accepted,
            "not_accepted": self.total - self.accepted,
            "phones": len(self._reached),
            "phones_repeated": len(self._repeated),
            "duplicates": self.duplicates,
            "over_limit": self.over_limit,
            "max_per_second": self.max_per_second,
            "first_arrived": self._times[0] if self._times else None,
            "last_arrived": self._times[-1] if self._times else None,
            "answers": dict(self.answers),
        }

    def _count_second(self, second: int) -> None:
        if not self.series or self.series[-1][0] != second:
            self.series.append([second, 0, 0])
        self.series[-1][1] += 1

    def _count_phone(self, number: int, phone: str, message: dict[str, Any]) -> None:
        if phone in self._reached:
            self._repeated.add(phone)
        self._reached.add(phone)
        key = hash(_identity(phone, message))
        if key not in self._keys:
            self._keys.add(key)
            return
        self.duplicates += 1
        if len(self._duplicate_numbers) < _DUPLICATES_LISTED:
            self._duplicate_numbers.append(number)

    def _keep(self, index: int, raw: bytes) -> None:
        if index < self._first_kept:
            return
        self._bodies[index] = raw
        self._body_bytes += len(raw)
        while (
            self._body_bytes > self._kept_bytes or len(self._bodies) - self._first_kept > self._kept_messages
        ):
            dropped = self._bodies[self._first_kept]
            self._bodies[self._first_kept] = None
            self._body_bytes -= len(dropped or b"")
            self._first_kept += 1


def phone_of(message: dict[str, Any]) -> str:
    """Return the phone a message is for, as far as it has one."""
    to = message.get("to")
    return to[:_LONGEST_PHONE] if isinstance(to, str) else ""


def parse_message(raw: bytes) -> dict[str, Any] | None:
    """Parse a message's JSON; None where it is not a JSON object."""
    try:
        document = _DECODE(raw.decode())
    except (ValueError, RecursionError):
        return None
    return document if isinstance(document, dict) else None


def _parsed(raw: bytes | None) -> dict[str, Any]:
    return {} if raw is None else parse_message(raw) or {}


def _identity(phone: str, message: dict[str, Any]) -> tuple[str, ...]:
    fields = ("tag1", "templateName", "templateLang", "text")
    return (phone, *(str(message.get(field, "")) for field in fields))
