"""What a service shows Prometheus: deliveries, firings, ticks. Pure; no personal data is in it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from runner.ledger.firings import FiringState
from runner.ledger.interface import OccurrenceSummary

if TYPE_CHECKING:
    from prometheus_client.core import GaugeMetricFamily

#: The content type of the text.
CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """What is measured at one moment. `summary` and `firings` are None when the ledger cannot be read.

    `last_tick_at` is epoch seconds, None before the first.
    """

    is_leader: bool
    last_tick_at: float | None
    ticks_running: int
    broken_files: int
    summary: Sequence[OccurrenceSummary] | None
    firings: Mapping[tuple[str, FiringState], int] | None


def metrics_text(facts: Facts) -> bytes:
    """Return the facts as Prometheus reads them."""
    from prometheus_client import CollectorRegistry, generate_latest
    from prometheus_client.registry import Collector

    class Facade(Collector):
        def collect(self) -> Iterator[GaugeMetricFamily]:
            yield from _families(facts)

    registry = CollectorRegistry(auto_describe=False)
    registry.register(Facade())
    return generate_latest(registry)


def _families(facts: Facts) -> Iterator[GaugeMetricFamily]:
    from prometheus_client.core import GaugeMetricFamily

    yield GaugeMetricFamily("runner_leader", "1 where this process starts firings.", value=facts.is_leader)
    yield GaugeMetricFamily(
        "runner_last_tick_timestamp_seconds", "When this process last looked.", value=facts.last_tick_at or 0
    )
    running = "Campaigns whose firings are being run."
    yield GaugeMetricFamily("runner_ticks_running", running, value=facts.ticks_running)
    broken = "Campaign files that are not sound."
    yield GaugeMetricFamily("runner_broken_files", broken, value=facts.broken_files)
    is_up = facts.summary is not None and facts.firings is not None
    yield GaugeMetricFamily("runner_ledger_up", "1 where the ledger can be read.", value=is_up)
    yield _labelled("runner_deliveries", "Deliveries.", "outcome", _deliveries(facts.summary or ()))
    states = {(name, state.value): count for (name, state), count in (facts.firings or {}).items()}
    yield _labelled("runner_firings", "Firings.", "state", states)


def _labelled(name: str, text: str, label: str, values: Mapping[tuple[str, str], int]) -> GaugeMetricFamily:
    from prometheus_client.core import GaugeMetricFamily

    family = GaugeMetricFamily(name, f"{text[:-1]} by campaign and {label}.", labels=["campaign", label])
    for key, count in sorted(values.items()):
        family.add_metric(key, count)
    return family


def _deliveries(summary: Sequence[OccurrenceSummary]) -> Mapping[tuple[str, str], int]:
    """Return how many deliveries of each campaign have which outcome, over all its occurrences."""
    found: Counter[tuple[str, str]] = Counter()
    for each in summary:
        for outcome in ("accepted", "refused", "unknown"):
            found[each.campaign, outcome] += getattr(each.total, outcome)
    return found
