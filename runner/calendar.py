"""The coming occurrences: how large, when their messages leave, and where they collide. No I/O.

A forecast. Each sender is taken to send at its rate, to share it evenly among the campaigns that wait for it,
and to keep each campaign's window in the campaign's own zone. Of one campaign, an occurrence waits for the
one before.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import Enum

from runner.campaign import Campaign
from runner.plan import sending_seconds
from runner.project import ProviderSettings
from runner.schedule import firings, in_zone
from runner.window import opens_at, span_at

_HOUR = timedelta(hours=1)
#: What counts as the same number of messages still to go, as a share.
_ALIKE = 1 + 1e-9


class SizeSource(Enum):
    """Where the expected size of an occurrence comes from."""

    PLAN = "plan"
    LEDGER = "ledger"


@dataclass(frozen=True, slots=True, kw_only=True)
class KnownSize:
    """How many messages an occurrence has by a plan that waits, or had by the ledger; `at` orders them."""

    campaign: str
    occurrence: str
    messages: int
    source: SizeSource
    at: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Coming:
    """One occurrence to come: due `at`, its messages from `starts_at` (both UTC), when its window is open.

    `messages` is None where nothing tells its size. `rate` is its sender's, messages a second or None.
    """

    campaign: Campaign
    occurrence: str
    at: datetime
    starts_at: datetime
    sender: str
    rate: float | None
    messages: int | None = None
    source: SizeSource | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class HourLoad:
    """What a sender sends within one hour of the clocks, from `start` (UTC), all campaigns together.

    `share` is that of what it could send in an hour; None where it has no limit.
    """

    sender: str
    start: datetime
    messages: float
    share: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Collision:
    """Occurrences of one sender of which each begins before the one before has been sent, from `at` (UTC).

    `messages` are of those whose size is known, `unknown` is how many others there are. `seconds` is how long
    the messages take at the rate, hours outside the windows left out.
    """

    sender: str
    at: datetime
    campaigns: tuple[str, ...]
    occurrences: int
    messages: int
    unknown: int
    rate: float | None
    seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Calendar:
    """The forecast for the time from `since` to `until` (UTC); everything in the order of time.

    `ends` holds when the last message of an occurrence leaves, by its place in `occurrences`: None where that
    is not known, or later than `until`.
    """

    since: datetime
    until: datetime
    occurrences: tuple[Coming, ...]
    ends: tuple[datetime | None, ...]
    load: tuple[HourLoad, ...]
    collisions: tuple[Collision, ...]


def make_calendar(
    campaigns: Iterable[Campaign],
    providers: Mapping[str, ProviderSettings],
    sizes: Sequence[KnownSize],
    *,
    since: datetime,
    until: datetime,
    zone: str,
) -> Calendar:
    """Return the forecast of what fires after `since` and up to `until` (UTC).

    The hours of the load are those of `zone`.
    """
    coming = sorted(
        _coming(campaigns, providers, sizes, since, until),
        key=lambda one: (one.at, one.campaign.name),
    )
    ends: dict[int, datetime | None] = {}
    load: list[HourLoad] = []
    collisions: list[Collision] = []
    for sender in dict.fromkeys(one.sender for one in coming):
        jobs = [_Job(place, one) for place, one in enumerate(coming) if one.sender == sender]
        spans = list(_spans(jobs, until))
        load += _by_hour(sender, jobs[0].coming.rate, spans, zone)
        collisions += _collisions(jobs, until)
        ends |= {job.place: job.ends_at for job in jobs}
    return Calendar(
        since=since,
        until=until,
        occurrences=tuple(coming),
        ends=tuple(ends[place] for place in range(len(coming))),
        load=tuple(sorted(load, key=lambda hour: (hour.start, hour.sender))),
        collisions=tuple(sorted(collisions, key=lambda one: (one.at, one.sender))),
    )


def _coming(
    campaigns: Iterable[Campaign],
    providers: Mapping[str, ProviderSettings],
    sizes: Sequence[KnownSize],
    since: datetime,
    until: datetime,
) -> Iterator[Coming]:
    for campaign in campaigns:
        schedule, provider = campaign.schedule, providers[campaign.provider]
        known = [size for size in sizes if size.campaign == campaign.name]
        for firing in firings(schedule, since, until):
            at = firing.due_at or since
            size = _expected(known, firing.occurrence)
            yield Coming(
                campaign=campaign,
                occurrence=firing.occurrence,
                at=at,
                starts_at=opens_at(schedule.window, _zones(campaign), at) or at,
                sender=provider.sender,
                rate=provider.rate.per_second,
                messages=size.messages if size else None,
                source=size.source if size else None,
            )


def _expected(known: Sequence[KnownSize], occurrence: str) -> KnownSize | None:
    """Return the size to expect: by the occurrence's own plan, or else the newest of another occurrence.

    What the ledger has of an occurrence was sent already: it says nothing of what is still to come of it.
    """
    planned = [size for size in known if size.source is SizeSource.PLAN and size.occurrence == occurrence]
    others = [size for size in known if size.occurrence != occurrence]
    return max(planned or others, key=lambda size: size.at, default=None)


@dataclass(slots=True)
class _Job:
    """An occurrence on its way: what is left of it, and when its last message leaves."""

    place: int
    coming: Coming
    left: float = field(init=False)
    ends_at: datetime | None = field(init=False, default=None)

    def __post_init__(self) -> None:
        self.left = float(self.coming.messages or 0)
        if self.coming.messages == 0 or (self.coming.messages and self.coming.rate is None):
            self.ends_at = self.coming.starts_at


@dataclass(frozen=True, slots=True)
class _Span:
    """`messages` that leave evenly from `start` to `end`."""

    start: datetime
    end: datetime
    messages: float


def _spans(jobs: Sequence[_Job], until: datetime) -> Iterator[_Span]:
    """Send the jobs of one sender up to `until`, and yield what leaves when; notes their ends."""
    rate = jobs[0].coming.rate
    if rate is None:
        yield from (_Span(job.coming.starts_at, job.coming.starts_at, job.left) for job in jobs)
        return
    arriving = deque(sorted((job for job in jobs if job.left), key=lambda job: job.coming.starts_at))
    waiting: dict[str, deque[_Job]] = {}
    now = arriving[0].coming.starts_at if arriving else until
    while now < until and (arriving or waiting):
        while arriving and arriving[0].coming.starts_at <= now:
            job = arriving.popleft()
            waiting.setdefault(job.coming.campaign.name, deque()).append(job)
        going = [jobs_[0] for jobs_ in waiting.values() if _is_open(jobs_[0].coming, now)]
        then = min(_changes(arriving, waiting, now, until))
        if going:
            span = _sent(going, rate, now, then)
            yield span
            then = span.end
            _end_the_sent(going, waiting, rate, then)
        now = then


def _is_open(coming: Coming, now: datetime) -> bool:
    return opens_at(coming.campaign.schedule.window, _zones(coming.campaign), now) == now


def _zones(campaign: Campaign) -> tuple[str]:
    """Return whose hours a window is taken to mean: nobody knows yet where the people are."""
    return (campaign.schedule.zone or "UTC",)


def _changes(
    arriving: deque[_Job], waiting: Mapping[str, deque[_Job]], now: datetime, until: datetime
) -> Iterator[datetime]:
    """Yield the moments after `now` at which something else may go, or something may not any more."""
    yield until
    if arriving:
        yield arriving[0].coming.starts_at
    for jobs in waiting.values():
        campaign = jobs[0].coming.campaign
        if campaign.schedule.window is not None:
            yield span_at(campaign.schedule.window, _zones(campaign), now).end


def _sent(going: Sequence[_Job], rate: float, now: datetime, then: datetime) -> _Span:
    """Send for those who are `going` until `then`, or until the first of them has nothing left."""
    share = rate / len(going)
    least = min(job.left for job in going)
    finish = now + timedelta(seconds=least / share)
    done = least if finish <= then else share * (then - now).total_seconds()
    for job in going:
        job.left = 0.0 if finish <= then and job.left <= least * _ALIKE else job.left - done
    return _Span(now, min(finish, then), done * len(going))


def _end_the_sent(going: Sequence[_Job], waiting: dict[str, deque[_Job]], rate: float, now: datetime) -> None:
    for job in (job for job in going if not job.left):
        # The last message leaves when its turn begins, not when the one after it could leave.
        job.ends_at = max(job.coming.starts_at, now - timedelta(seconds=1 / rate))
        name = job.coming.campaign.name
        waiting[name].popleft()
        if not waiting[name]:
            del waiting[name]


def _by_hour(sender: str, rate: float | None, spans: Iterable[_Span], zone: str) -> Iterator[HourLoad]:
    hours: dict[datetime, float] = {}
    for span in spans:
        for start, messages in _pieces(span, zone):
            hours[start] = hours.get(start, 0.0) + messages
    for start, messages in hours.items():
        share = None if rate is None else messages / (rate * _HOUR.total_seconds())
        if messages:
            yield HourLoad(sender=sender, start=start, messages=messages, share=share)


def _pieces(span: _Span, zone: str) -> Iterator[tuple[datetime, float]]:
    """Yield the hours (their beginning, UTC) that the span touches, each with its part of the messages."""
    seconds = (span.end - span.start).total_seconds()
    moment = span.start
    while moment < span.end:
        hour = hour_of(moment, zone)
        end = min(hour + _HOUR, span.end)
        yield hour, span.messages * (end - moment).total_seconds() / seconds
        moment = end
    if not seconds:
        yield hour_of(span.start, zone), span.messages


def hour_of(moment: datetime, zone: str) -> datetime:
    """Return when (UTC) the hour began that the clocks of `zone` show at `moment` (UTC)."""
    local = in_zone(moment, zone)
    return moment - timedelta(minutes=local.minute, seconds=local.second, microseconds=local.microsecond)


def _collisions(jobs: Sequence[_Job], until: datetime) -> Iterator[Collision]:
    """Yield what follows one another too closely; a job without an end before `until` lasts until then."""
    together: list[_Job] = []
    busy_until = until
    for job in sorted(jobs, key=lambda job: job.coming.starts_at):
        begins = job.coming.starts_at
        if together and begins != together[-1].coming.starts_at and begins >= busy_until:
            yield from _collision(together)
            together = []
        ends = job.ends_at or (begins if job.coming.messages is None else until)
        busy_until = max(busy_until, ends) if together else ends
        together.append(job)
    yield from _collision(together)


def _collision(jobs: Sequence[_Job]) -> Iterator[Collision]:
    if len(jobs) < 2:
        return
    coming = [job.coming for job in jobs]
    messages = sum(one.messages or 0 for one in coming)
    yield Collision(
        sender=coming[0].sender,
        at=coming[0].starts_at,
        campaigns=tuple(dict.fromkeys(one.campaign.name for one in coming)),
        occurrences=len(coming),
        messages=messages,
        unknown=sum(one.messages is None for one in coming),
        rate=coming[0].rate,
        seconds=sending_seconds(messages, coming[0].rate),
    )
