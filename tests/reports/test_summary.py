"""The JSON summary of a plan: JSON values, the keys that tools rely on, no personal data."""

import json
from dataclasses import replace

from runner.plan import sealed
from runner.reports.summary import plan_summary
from tests.test_plan import PLAN, VARIED

PLANNED = sealed(PLAN)


def test_it_is_json_with_the_keys_that_tools_rely_on():
    summary = json.loads(json.dumps(plan_summary(PLANNED, "x.plan")))
    assert summary["digest"] == PLANNED.digest
    assert summary["path"] == "x.plan"
    assert (summary["rows"], summary["to_send"], summary["already_sent"]) == (10, 6, 1)
    assert summary["rejected"] == {"no_consent": 3}
    assert summary["duration_seconds"] == 1.0
    assert summary["due_at"] == "2026-03-01T12:00:00+00:00"
    assert summary["template"] == {"name": "promo", "language": "id"}
    assert summary["guards"] == [{"name": "max_recipients", "limit": "50", "found": "6", "exceeded": False}]
    assert summary["git"] == {"commit": "abc", "dirty": False}


def test_what_a_plan_has_not_is_null():
    summary = plan_summary(replace(PLANNED, due_at=None, git=None, zone=None), None)
    assert (summary["due_at"], summary["git"], summary["timezone"], summary["path"]) == (None,) * 4


def test_the_query_and_the_campaigns_text_stay_out():
    assert not {"sql", "document"} & set(plan_summary(PLANNED, None))


def test_variants_are_told_in_place_of_the_template():
    assert plan_summary(PLANNED, None)["variants"] == []
    summary = plan_summary(sealed(VARIED), None)
    assert summary["template"] is None
    assert summary["variants"][1] == {
        "name": "warm",
        "weight": 1,
        "to_send": 2,
        "template": {"name": "promo", "language": "id"},
    }
