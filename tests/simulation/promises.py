"""The promises, each as a question to a world after its life: an empty list is a promise kept."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from runner.breaking import BreakerSettings
from runner.delivery import State
from tests.simulation.door import End
from tests.simulation.mishaps import RATE
from tests.simulation.world import World

#: How long a message that was let go may take to arrive, in seconds: its intent, its slot, and the network.
PATIENCE = 1.5


def broken(world: World) -> list[str]:
    """Return every promise that does not hold, one sentence each."""
    return [
        *nobody_twice(world),
        *every_delivery_has_an_account(world),
        *the_ledger_tells_the_truth(world),
        *few_are_unknown(world),
        *no_second_holds_too_many(world),
        *nothing_is_left_to_do(world),
        *an_outage_costs_few(world),
        *a_stop_stops(world),
        *a_canary_goes_ahead(world),
        *nothing_is_sent_outside_a_window(world),
        *who_opted_out_is_left_alone(world),
    ]


def nobody_twice(world: World) -> Iterator[str]:
    """No delivery is taken by the provider more than once."""
    for tag, times in world.door.taken().items():
        if times > 1:
            yield f"{tag} was taken {times} times"


def every_delivery_has_an_account(world: World) -> Iterator[str]:
    """Every delivery is accepted, refused or unknown, and the last report balances."""
    for plan in world.plans:
        states = world.ended[plan.campaign]
        open_ones = [phone for phone, state in states.items() if not state.is_final]
        if len(states) != plan.to_send or open_ones:
            yield f"{plan.campaign}: {plan.to_send - len(states)} without an account, {len(open_ones)} open"
    for report in world.reports:
        counts = report.counts
        known = counts.accepted + counts.refused + counts.unknown
        if known + report.remaining != report.plan.to_send or report.remaining < 0:
            yield f"the accounts of {report.plan.campaign} do not balance: {counts}"


def the_ledger_tells_the_truth(world: World) -> Iterator[str]:
    """What the ledger calls accepted was taken, what it calls refused was not, as in a world undisturbed."""
    taken = world.door.taken()
    for plan in world.plans:
        for phone, state in world.ended[plan.campaign].items():
            tag = f"{plan.campaign}/{plan.occurrence}/{phone}"
            end = world.door.fate(tag).end
            if state is State.ACCEPTED and not (taken.get(tag) and end is End.ACCEPTED):
                yield f"{tag} is accepted in the ledger, but its fate was {end.name}"
            if state is State.REFUSED and taken.get(tag):
                yield f"{tag} is refused in the ledger, but the provider took it"
            if state is State.REFUSED and end.is_taken and not world.may_be_barred(phone):
                yield f"{tag} is refused in the ledger, but its fate was {end.name}"


def few_are_unknown(world: World) -> Iterator[str]:
    """Only what nobody can know is unknown: a fate without an answer, an outage, or in flight at a kill."""
    excused = world.excused | {
        arrival.tag.rpartition("/")[2] for arrival in world.door.arrivals if arrival.lost
    }
    for plan in world.plans:
        for phone, state in world.ended[plan.campaign].items():
            tag = f"{plan.campaign}/{plan.occurrence}/{phone}"
            if state is State.UNKNOWN and world.door.fate(tag).end.is_told and phone not in excused:
                yield f"{tag} is unknown, and was not in flight at any kill"
    if world.most_left_open > world.max_in_flight:
        yield f"a kill left {world.most_left_open} open, with {world.max_in_flight} in flight at most"


def no_second_holds_too_many(world: World) -> Iterator[str]:
    """No sliding second at the provider's door, both ends included, holds more than the rate."""
    times = sorted(arrival.at for arrival in world.door.arrivals)
    for first, last in zip(times, times[int(RATE) :], strict=False):
        if last - first <= 1.0:
            yield f"{int(RATE) + 1} messages arrived within {last - first:.4f} s, at {first:.3f}"
            return


def nothing_is_left_to_do(world: World) -> Iterator[str]:
    """A plan that is done sends nothing when it is applied again."""
    if world.sent_again:
        yield f"{world.sent_again} more were sent by an apply of finished plans"


def an_outage_costs_few(world: World) -> Iterator[str]:
    """Of each apply, an outage takes a row of errors, the probes, and what was in flight."""
    settings = BreakerSettings()
    most = settings.trip_after + settings.probes + 2 * world.max_in_flight
    lost = Counter(arrival.by for arrival in world.door.arrivals if arrival.lost)
    for process, messages in lost.items():
        if messages > most:
            yield f"process {process} lost {messages} messages to an outage, {most} at most are excused"


def a_stop_stops(world: World) -> Iterator[str]:
    """Once a person's stop has returned, nothing arrives but what was under way, and that once."""
    late = Counter(
        arrival.tag
        for arrival in world.door.arrivals
        if world.stopped_from < arrival.at < world.stopped_until
        and arrival.tag.partition("/")[0] in world.stopped
    )
    for tag, times in late.items():
        if times > 1 or tag not in world.under_way:
            yield f"{tag} arrived {times} times after a person had stopped its campaign"


def a_canary_goes_ahead(world: World) -> Iterator[str]:
    """However often its run is killed: nothing else arrives before the canary's wait is over."""
    if world.canary is None:
        return
    wait = world.canary.wait.total_seconds()
    for plan in world.plans:
        tags = world.tags(plan)
        head, others = tags[: world.canary.size], tags[world.canary.size :]
        first = min((each.at for each in world.door.arrivals if each.tag in others), default=0.0)
        before = [each for each in world.door.arrivals if each.tag in head and each.at < first]
        if any(each.taken for each in before) and first < max(each.at for each in before) + wait:
            yield f"{plan.campaign}: the others went {first - max(each.at for each in before):.1f} s after it"


def nothing_is_sent_outside_a_window(world: World) -> Iterator[str]:
    """Nothing arrives outside a person's window, or too late, by the clock that its process began with."""
    if world.zoned is None:
        return
    people = {tag: number for plan in world.plans for number, tag in enumerate(world.tags(plan))}
    for arrival in world.door.arrivals:
        moment = arrival.at + world.began_wrong[arrival.by]
        if not world.zoned.allows(people[arrival.tag], moment):
            yield f"{arrival.tag} arrived outside its window, {arrival.at - world.start:.3f} s from the start"
        if world.zoned.deadline is not None and moment > world.zoned.deadline + PATIENCE:
            yield f"{arrival.tag} arrived {moment - world.zoned.deadline:.3f} s after the deadline"


def who_opted_out_is_left_alone(world: World) -> Iterator[str]:
    """Whoever says stop while a run lasts gets nothing more, but from a process that froze on its way."""
    if world.may_freeze:
        return
    since = world.start + world.opted_out_after + PATIENCE
    for arrival in world.door.arrivals:
        if arrival.at > since and arrival.tag.rpartition("/")[2] in world.opted_out:
            yield f"{arrival.tag} arrived {arrival.at - since + PATIENCE:.3f} s after the opt-out"
