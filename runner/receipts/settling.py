"""Webhooks -> deliveries of the ledger, by the rules of a report; what fits none waits and is tried again.

A webhook is judged as a line of a report is (`matching`): by message id, else by phone, sender and time, one
candidate or none. Before that, our own tag tells, where it came back. Four more rules, as a webhook may be
early: a delivery that is under way is waited for; one that was provably not sent is no candidate; and all
open webhooks of a phone are judged together, so that two ids that fit one delivery settle nothing; and no
other delivery may be the one that is meant, as long back as a receipt may take.

Receipts are recorded before their webhooks are settled. Killed between the two, the next start records them
again, which moves nothing.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain, islice
from typing import TYPE_CHECKING, Protocol

from runner.delivery import DeliveryKey, State
from runner.ledger.interface import OpenDelivery, Receipt
from runner.ledger.webhooks import KeptWebhook, WebhookVerdict
from runner.receipts.importing import WINDOW
from runner.receipts.matching import CLOCK_SKEW, load_deliveries, match_rows
from runner.receipts.reading import RANKS, read_told
from runner.receipts.words import FIELDS

if TYPE_CHECKING:
    import pyarrow as pa
    from duckdb import DuckDBPyConnection

#: How receipts of webhooks are marked in the ledger.
SOURCE = "webhook"
#: Webhooks judged at once: those due, and with them those that may claim the same deliveries.
AT_ONCE = 2_000
_MOST_RIVALS = 10_000
#: An open webhook is tried again after so many times its age, at first after so many seconds; and no more
#: after 40 days: a message is delivered, or fails, within 30. Few tries, as others' webhooks may be many.
_FIRST_WAIT = 2.0
_WAIT_PER_AGE = 5.0
_GIVE_UP = 40 * 86_400.0
#: While its delivery may be under way, it is tried at least so often.
_IN_FLIGHT_WAIT = 30.0
#: Where a receipt has no phone, so many deliveries before it are looked through for its id.
_MOST_WITHOUT_PHONE = 200_000

#: Why an open webhook is in no delivery's account -> that, for people.
OPEN_REASONS = {
    "waiting": "it was not looked at yet",
    "in_flight": "its delivery may be under way",
    "no_delivery": "no delivery to this phone in the time before it",
    "unknown_id": "no delivery with this message id",
    "other_phone": "the delivery with this message id went to another phone",
    "several_deliveries": "more than one delivery fits",
    "several_ids": "more than one message id fits the one delivery",
    "invalid_phone": "its phone cannot be read",
    "ambiguous_phone": "its phone can be read in two ways",
    "missing_phone": "it has no phone",
}


class Book(Protocol):
    """What settling asks of a ledger, and writes to it."""

    def due_webhooks(self, now: float, limit: int) -> list[KeptWebhook]:
        """Return webhooks that are to be matched by now, those due longest first."""
        ...

    def open_webhooks(self, phones: Sequence[str], limit: int) -> list[KeptWebhook]:
        """Return webhooks of these phones that are not settled."""
        ...

    def deliveries_to(self, phones: Sequence[str], since: float) -> Iterator[list[OpenDelivery]]:
        """Yield deliveries to these phones since then that may have been sent."""
        ...

    def deliveries_between(self, since: float, until: float) -> Iterator[list[OpenDelivery]]:
        """Yield deliveries by the time of their intent."""
        ...

    def record_receipts(self, receipts: Sequence[Receipt], now: float) -> int:
        """Record receipts; return how many moved something."""
        ...

    def settle_webhooks(self, verdicts: Sequence[WebhookVerdict], now: float) -> None:
        """Note what came of webhooks."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class _Judged:
    """What came of one webhook: its delivery, or the reason why it has none. `moment` is when it happened."""

    moment: float
    delivery: OpenDelivery | None = None
    reason: str | None = None


@dataclass(slots=True)
class Settler:
    """Settles what is due, batch by batch, in a DuckDB of its own.

    `timezone` is that of times without an offset. `counts` tells what came of webhooks so far, by verdict:
    `matched`, or the reason why not; a webhook that is tried again counts when its verdict is another.
    """

    connection: DuckDBPyConnection
    timezone: str | None
    counts: Counter[str] = field(default_factory=Counter)

    def settle_due(self, book: Book, now: float) -> int:
        """Judge the webhooks that are due, and record what they tell; return how many were due.

        Errors: LedgerError; then the webhooks stay due.
        """
        due = book.due_webhooks(now, AT_ONCE)
        if not due:
            return 0
        candidates = _candidates(due, book)
        webhooks = _with_rivals(due, candidates, book)
        judged = self._judge(webhooks, candidates, book)
        book.record_receipts(_receipts(webhooks, judged), now)
        book.settle_webhooks([_verdict(each, judged[each.number], now) for each in webhooks], now)
        verdicts = ((each.verdict, judged[each.number].reason or "matched") for each in due)
        self.counts.update(verdict for before, verdict in verdicts if verdict != before)
        return len(due)

    def _judge(
        self, webhooks: Sequence[KeptWebhook], candidates: Sequence[OpenDelivery], book: Book
    ) -> Mapping[int, _Judged]:
        by_number = {each.delivery: each for each in candidates}
        tagged = _by_tag(webhooks, candidates)
        under_way = {each.phone for each in candidates if each.state is State.INTENT}
        matched = self._matched(webhooks, candidates)
        crowded = _crowded({phone for *_, phone, _, by in matched if by == "phone" and phone}, webhooks, book)
        judged = {}
        for number, moment, why, phone, delivery, matched_by in matched:
            reason = "several_deliveries" if matched_by == "phone" and phone in crowded else why
            found = None if reason else by_number.get(delivery or 0)
            one = _Judged(moment=moment, delivery=found, reason=reason)
            is_certain = matched_by == "message_id"
            if not is_certain and number in tagged:
                one, is_certain = _Judged(moment=moment, delivery=tagged[number]), True
            # An outcome may still show whose id it is; a receipt of its own before it would be forgotten.
            waits = one.delivery.state is State.INTENT if one.delivery and is_certain else phone in under_way
            judged[number] = _Judged(moment=moment, reason="in_flight") if waits else one
        return judged

    def _matched(
        self, webhooks: Sequence[KeptWebhook], candidates: Sequence[OpenDelivery]
    ) -> list[tuple[int, float, str | None, str | None, int | None, str | None]]:
        """Judge webhooks as the lines of a report: number, moment, reason, phone, delivery, matched by."""
        try:
            read_told(self.connection, _table(webhooks), self.timezone)
            load_deliveries(self.connection, [list(candidates)])
            match_rows(self.connection, window=WINDOW)
            return self.connection.execute(
                """
                SELECT line, moment, reason, CAST(phone AS VARCHAR), delivery, matched_by
                FROM verdicts JOIN rows USING (line)
                """
            ).fetchall()
        finally:
            for table in ("told", "words", "split", "rows", "deliveries", "verdicts"):
                self.connection.execute(f"DROP TABLE IF EXISTS {table}")


def _with_rivals(
    due: Sequence[KeptWebhook], candidates: Iterable[OpenDelivery], book: Book
) -> list[KeptWebhook]:
    """Return the webhooks that are due, and all others that are open and may claim the same delivery."""
    claimed = {each.phone for each in candidates if each.message_id is None}
    known = {each.number: each for each in due}
    for each in book.open_webhooks(sorted(claimed), _MOST_RIVALS) if claimed else ():
        known.setdefault(each.number, each)
    return [known[number] for number in sorted(known)]


def _candidates(webhooks: Sequence[KeptWebhook], book: Book) -> list[OpenDelivery]:
    """Return the deliveries that the webhooks may be about.

    A webhook that comes for the first time is looked up in the last days; later ones in all of the time that
    a receipt may take.
    """
    found: dict[int, OpenDelivery] = {}
    for is_first in (True, False):
        some = [each for each in webhooks if (each.verdict is None) is is_first]
        phones = {each.phone for each in some} | {_tag_phone(each) for each in some}
        span = WINDOW + CLOCK_SKEW if is_first else _GIVE_UP
        since = min((each.received_at for each in some), default=0.0) - span
        wanted = sorted(phone for phone in phones if phone)
        found |= {each.delivery: each for each in chain(*book.deliveries_to(wanted, since))}
    found |= {each.delivery: each for each in _without_phone(webhooks, book)}
    return list(found.values())


def _crowded(phones: Collection[str], webhooks: Sequence[KeptWebhook], book: Book) -> set[str]:
    """Return those phones to which more than one delivery without an id went, as long as receipts may take.

    A report's rule looks three days back for the one; a person whose phone was off may get an older one now.
    """
    if not phones:
        return set()
    since = min(each.received_at for each in webhooks) - _GIVE_UP
    found = chain(*book.deliveries_to(sorted(phones), since))
    without_id = Counter(
        each.phone for each in found if each.message_id is None and each.state is not State.REFUSED
    )
    return {phone for phone, count in without_id.items() if count > 1}


def _without_phone(webhooks: Sequence[KeptWebhook], book: Book) -> Iterator[OpenDelivery]:
    """Yield deliveries with the ids of webhooks without a phone; a bounded search through the last days."""
    ids = {each.message_id: each.received_at for each in webhooks if each.message_id and not each.phone}
    if not ids:
        return
    between = book.deliveries_between(min(ids.values()) - WINDOW, max(ids.values()) + CLOCK_SKEW)
    for each in islice(chain.from_iterable(between), _MOST_WITHOUT_PHONE):
        if each.message_id in ids:
            yield each


def _by_tag(webhooks: Iterable[KeptWebhook], candidates: Iterable[OpenDelivery]) -> dict[int, OpenDelivery]:
    """Return the deliveries that webhooks name by our own key; never one that has another message id."""
    by_key = {
        str(DeliveryKey(campaign=each.campaign, occurrence=each.occurrence, phone=each.phone)): each
        for each in candidates
        if each.state is not State.REFUSED
    }
    tagged = {each.number: (each, by_key[each.tag]) for each in webhooks if each.tag in by_key}
    return {
        number: delivery
        for number, (webhook, delivery) in tagged.items()
        if None in {webhook.message_id, delivery.message_id} or webhook.message_id == delivery.message_id
    }


def _tag_phone(webhook: KeptWebhook) -> str | None:
    return webhook.tag.rpartition("/")[2] if webhook.tag else None


def _table(webhooks: Sequence[KeptWebhook]) -> pa.Table:
    """Return webhooks as `read_told` takes them."""
    import pyarrow as pa

    texts = {
        "phone": [each.phone for each in webhooks],
        "status": [each.status.value for each in webhooks],
        "at": [each.at for each in webhooks],
        "message_id": [each.message_id for each in webhooks],
        "sender": [each.sender for each in webhooks],
        "campaign": [None] * len(webhooks),
        "code": [each.code for each in webhooks],
        "detail": [each.detail for each in webhooks],
    }
    columns = {name: pa.array(texts[name], pa.string()) for name in FIELDS}
    lines = pa.array([each.number for each in webhooks], pa.int64())
    received = pa.array([each.received_at for each in webhooks], pa.float64())
    return pa.table({"line": lines, "received": received, **columns})


def _receipts(webhooks: Sequence[KeptWebhook], judged: Mapping[int, _Judged]) -> list[Receipt]:
    """Return what the webhooks tell of deliveries, those of one delivery in the order of their times."""
    told = [
        (found.delivery.delivery, found.moment, RANKS[each.status], each)
        for each in webhooks
        if (found := judged[each.number]).delivery is not None
    ]
    return [
        Receipt(
            delivery=delivery,
            status=each.status,
            at=moment,
            message_id=each.message_id,
            code=each.code,
            detail=each.detail,
            source=SOURCE,
        )
        for delivery, moment, _, each in sorted(told, key=lambda one: (*one[:3], one[3].number))
    ]


def _verdict(webhook: KeptWebhook, judged: _Judged, now: float) -> WebhookVerdict:
    if judged.delivery is not None:
        number = judged.delivery.delivery
        return WebhookVerdict(number=webhook.number, verdict="matched", delivery=number, is_settled=True)
    reason, age = judged.reason or "no_delivery", max(0.0, now - webhook.received_at)
    wait = max(_FIRST_WAIT, _WAIT_PER_AGE * age)
    wait = min(wait, _IN_FLIGHT_WAIT) if reason == "in_flight" else wait
    due_at = now + wait if age < _GIVE_UP else None
    return WebhookVerdict(number=webhook.number, verdict=reason, due_at=due_at)
