"""runner.plan: a plan as a value; its digest and its seal."""

from dataclasses import replace
from datetime import datetime, timedelta, timezone

import pytest

from runner.plan import (
    Git,
    GuardCheck,
    Plan,
    PlannedTemplate,
    PlannedVariant,
    Sample,
    from_document,
    is_genuine,
    is_sound,
    sealed,
    sending_seconds,
    to_document,
)

NOON = datetime(2026, 3, 1, 12, tzinfo=timezone.utc)

PLAN = Plan(
    campaign="promo",
    occurrence="once",
    campaign_path="promo.yml",
    document={"campaign": "promo", "segment": {"query": "SELECT 1"}},
    sql="SELECT 1",
    source="duckdb",
    job_id=None,
    provider="ada",
    provider_is_local=True,
    sender="60110000001",
    rate=5.0,
    template=PlannedTemplate(
        id="t1",
        name="promo",
        language="id",
        category="MARKETING",
        digest="d",
        header_kind="none",
        header="",
        body="Halo {{1}}!",
        footer="",
        buttons=(("URL", "Buka"),),
    ),
    rows=10,
    to_send=6,
    already_sent=1,
    rejected={"no_consent": 3},
    samples=(Sample(phone="6281****7890", header="", body="Halo A**!", footer="", buttons=("Buka",)),),
    guards=(GuardCheck(name="max_recipients", limit="50", found="6", exceeded=False),),
    notes=("a note",),
    due_at=NOON,
    zone="Asia/Jakarta",
    window="08:00-20:00",
    starts_at=NOON,
    ends_at=NOON + timedelta(seconds=1),
    generation=2,
    files={"recipients.parquet": "aa", "rejections.parquet": "bb"},
    created_at=NOON,
    expires_at=NOON + timedelta(days=3),
    git=Git(commit="abc", dirty=False),
    versions={"runner": "0"},
)


def test_a_plan_survives_being_written_as_json():
    assert from_document(to_document(sealed(PLAN))) == sealed(PLAN)


def test_a_sealed_plan_is_genuine_and_an_unsealed_one_is_not():
    assert is_genuine(sealed(PLAN))
    assert not is_genuine(PLAN)


@pytest.mark.parametrize(
    "change",
    [
        {"to_send": 7},
        {"sender": "60110000002"},
        {"files": {"recipients.parquet": "cc", "rejections.parquet": "bb"}},
        {"document": {"campaign": "promo"}},
        {"generation": 3},
        {"due_at": None},
    ],
)
def test_the_digest_changes_with_whatever_decides_what_is_sent(change):
    assert sealed(replace(PLAN, **change)).digest != sealed(PLAN).digest


@pytest.mark.parametrize(
    "change",
    [
        {"created_at": NOON + timedelta(hours=1)},
        {"expires_at": NOON + timedelta(hours=1)},
        {"git": None},
        {"notes": ()},
        {"rate": 80.0},
        {"versions": {}},
    ],
)
def test_circumstances_leave_the_digest_but_not_the_seal(change):
    changed = sealed(replace(PLAN, **change))
    assert changed.digest == sealed(PLAN).digest
    assert changed.seal != sealed(PLAN).seal
    assert not is_genuine(replace(sealed(PLAN), **change))


def test_a_plan_is_balanced_when_every_row_has_one_account():
    assert PLAN.is_balanced
    assert not replace(PLAN, rows=11).is_balanced


def test_sending_takes_from_the_first_message_to_the_last():
    assert sending_seconds(6, 5.0) == 1.0
    assert sending_seconds(1, 5.0) == 0.0
    assert sending_seconds(0, 5.0) == 0.0
    assert sending_seconds(1000, None) == 0.0
    assert PLAN.duration_seconds == 1.0


def test_only_guards_over_their_limit_are_exceeded():
    over = GuardCheck(name="max_rejected", limit="10%", found="30%", exceeded=True)
    assert PLAN.exceeded == ()
    assert replace(PLAN, guards=(*PLAN.guards, over)).exceeded == (over,)


def variant(name, to_send, weight=1):
    return PlannedVariant(name=name, weight=weight, to_send=to_send, template=PLAN.template)


VARIED = replace(PLAN, template=None, variants=(variant("plain", 4), variant("warm", 2)))


def test_a_plan_with_variants_survives_being_written_as_json():
    assert from_document(to_document(sealed(VARIED))) == sealed(VARIED)


def test_a_plan_balances_only_if_every_recipient_has_one_variant():
    assert VARIED.is_balanced
    assert not replace(VARIED, variants=(variant("plain", 4), variant("warm", 3))).is_balanced


@pytest.mark.parametrize(
    "change",
    [
        {"template": PLAN.template},
        {"variants": ()},
        {"variants": (variant("plain", 3), variant("plain", 3))},
        {"variants": (variant("../x", 6),)},
        {"variants": (variant("plain", 7), variant("warm", -1))},
    ],
)
def test_a_plan_has_one_template_or_variants_with_names_of_their_own(change):
    assert is_sound(PLAN)
    assert is_sound(VARIED)
    assert not is_sound(replace(VARIED, **change))


def test_templates_are_found_by_their_variant():
    assert dict(PLAN.templates) == {None: PLAN.template}
    assert dict(VARIED.templates) == {"plain": PLAN.template, "warm": PLAN.template}


@pytest.mark.parametrize(
    "change",
    [
        {"variants": (variant("plain", 2), variant("warm", 4))},
        {"variants": (variant("plain", 4, 2), variant("warm", 2))},
        {"variants": (variant("plain", 4), variant("other", 2))},
    ],
)
def test_the_digest_changes_with_the_variants(change):
    assert sealed(replace(VARIED, **change)).digest != sealed(VARIED).digest
