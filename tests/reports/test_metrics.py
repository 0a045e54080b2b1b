"""What Prometheus reads: counts by campaign, and nothing of a person."""

from prometheus_client.parser import text_string_to_metric_families

from runner.ledger.firings import FiringState
from runner.ledger.interface import Counts, OccurrenceSummary, PlanRecord
from runner.reports.metrics import Facts, metrics_text


def summary(campaign, occurrence, **counts):
    plan = PlanRecord(
        digest="d",
        campaign=campaign,
        occurrence=occurrence,
        to_send=9,
        created_at=0.0,
        first_applied_at=None,
        finished_at=None,
    )
    return OccurrenceSummary(
        campaign=campaign,
        occurrence=occurrence,
        plan=plan,
        counts=Counts(),
        total=Counts(**counts),
        last_run=None,
        lock=None,
    )


def samples(facts):
    text = metrics_text(facts).decode()
    families = text_string_to_metric_families(text)
    return {(each.name, *each.labels.values()): each.value for family in families for each in family.samples}


def test_deliveries_are_added_up_over_a_campaigns_occurrences_and_firings_shown_by_state():
    facts = Facts(
        is_leader=True,
        last_tick_at=12.5,
        ticks_running=2,
        broken_files=1,
        summary=[summary("a", "1", accepted=2, refused=1), summary("a", "2", accepted=3, unknown=1)],
        firings={("a", FiringState.FINISHED): 2, ("b", FiringState.MISSED): 1},
    )
    assert samples(facts) == {
        ("runner_leader",): 1,
        ("runner_last_tick_timestamp_seconds",): 12.5,
        ("runner_ticks_running",): 2,
        ("runner_broken_files",): 1,
        ("runner_ledger_up",): 1,
        ("runner_deliveries", "a", "accepted"): 5,
        ("runner_deliveries", "a", "refused"): 1,
        ("runner_deliveries", "a", "unknown"): 1,
        ("runner_firings", "a", "finished"): 2,
        ("runner_firings", "b", "missed"): 1,
    }


def test_a_ledger_that_cannot_be_read_is_shown_as_down():
    facts = Facts(
        is_leader=False, last_tick_at=None, ticks_running=0, broken_files=0, summary=None, firings=None
    )
    found = samples(facts)
    assert found["runner_ledger_up",] == 0
    assert not [key for key in found if len(key) > 1]
