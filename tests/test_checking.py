"""runner.checking: what an apply compares with the day of the plan; any that fails refuses it."""

from dataclasses import replace
from datetime import datetime, time, timedelta, timezone
from pathlib import PurePosixPath

import pytest

from runner.campaign import Campaign, RecipientColumns, Segment, TemplateUse
from runner.checking import Today, all_hold_from, compare, failed
from runner.errors import FileProblems, Position, Problem, TemplateError
from runner.plan import PlannedVariant, sealed
from runner.planning import planned_template
from runner.project import ProviderSettings, Rate
from runner.schedule import OnWindowClose, Schedule
from runner.template import Button, ButtonKind, Template
from runner.window import Window
from tests.test_plan import PLAN

NOON = datetime(2026, 3, 20, 12, tzinfo=timezone.utc)
DAY = Window(opens=time(8), closes=time(20))
TEMPLATE = Template(
    id="1",
    name="promo",
    language="id",
    status="APPROVED",
    category="MARKETING",
    body="Halo {{1}}!",
    buttons=(Button(kind=ButtonKind.URL, text="Buka", url="https://example.com/{{1}}"),),
)
CAMPAIGN = Campaign(
    name="promo",
    segment=Segment(source="duckdb", query="SELECT 1"),
    recipient=RecipientColumns(id="id", phone="phone", consent="consent"),
    template=TemplateUse(name="promo", language="id"),
    path=PurePosixPath("promo.yml"),
    document={"campaign": "promo", "segment": {"query": "SELECT 1"}},
)
PLANNED = sealed(
    replace(
        PLAN,
        document=CAMPAIGN.document,
        template=planned_template(TEMPLATE),
        due_at=None,
        deadline=None,
        forecast=(),
        window=None,
        zone="UTC",
        created_at=NOON,
        expires_at=NOON + timedelta(days=3),
    )
)
TODAY = Today(
    now=NOON,
    campaign=CAMPAIGN,
    templates={None: TEMPLATE},
    provider=ProviderSettings(
        name="ada", url="http://127.0.0.1:1", sender="60110000001", rate=Rate(per_second=5.0)
    ),
    provider_is_local=True,
    moved=0,
)


def refusals(plan=PLANNED, *, rehearsal=False, **today):
    return failed(compare(plan, replace(TODAY, **today), rehearsal=rehearsal))


def the_refusal(*arguments, **today):
    (one,) = refusals(*arguments, **today)
    assert one.remedy
    return one


def test_when_nothing_has_changed_everything_holds():
    comparisons = compare(PLANNED, TODAY, rehearsal=False)
    assert [comparison.what for comparison in comparisons] == [
        "campaign file promo.yml",
        "template promo (id)",
        "sender 60110000001 through ada",
        "ledger",
        "age",
        "due",
    ]
    assert not failed(comparisons)


@pytest.mark.parametrize(
    "campaign",
    [
        replace(CAMPAIGN, document={**CAMPAIGN.document, "description": "new"}),
        replace(CAMPAIGN, document={"campaign": "promo", "segment": {"query": "SELECT 2"}}),
        replace(CAMPAIGN, name="renamed"),
    ],
)
def test_another_campaign_than_planned_is_refused(campaign):
    assert the_refusal(campaign=campaign).found == "changed since the plan"


def test_the_order_of_keys_in_the_campaign_file_changes_nothing():
    turned = dict(reversed(CAMPAIGN.document.items()))
    assert not refusals(campaign=replace(CAMPAIGN, document=turned))


def test_a_campaign_that_cannot_be_loaded_is_refused_with_its_problem():
    position = Position(file="promo.yml", line=2, column=3)
    problem = Problem(position=position, path="segment", found="nothing", expected="a mapping")
    found = the_refusal(campaign=FileProblems([problem])).found
    assert found == "promo.yml:2:3: segment: found nothing, expected a mapping"


@pytest.mark.parametrize(
    "change",
    [
        {"body": "Halo {{1}}!!"},
        {"header": "x"},
        {"footer": "STOP"},
        {"category": "UTILITY"},
        {"buttons": ()},
        {"buttons": (Button(kind=ButtonKind.URL, text="Buka", url="https://evil.example/{{1}}"),)},
    ],
)
def test_another_template_than_planned_is_refused(change):
    assert the_refusal(templates={None: replace(TEMPLATE, **change)}).found == "changed"


@pytest.mark.parametrize("status", ["PAUSED", "DISABLED", "PENDING", ""])
def test_a_template_that_may_not_be_sent_now_is_refused(status):
    assert the_refusal(templates={None: replace(TEMPLATE, status=status)}).found == f"is {status} now"


def test_a_template_with_a_new_id_only_is_the_same():
    assert not refusals(templates={None: replace(TEMPLATE, id="2")})


def test_a_template_that_is_gone_is_refused():
    gone = TemplateError("template `promo` is not there")
    assert the_refusal(templates={None: gone}).found.endswith("not there")


def test_another_sender_is_refused():
    other = replace(TODAY.provider, sender="60110000002")
    assert the_refusal(provider=other).found == "runner.yml now says 60110000002"


@pytest.mark.parametrize(
    ("planned", "now", "found"),
    [
        (True, False, "planned against this machine, applied against the network"),
        (False, True, "planned against the network, applied against this machine"),
    ],
)
def test_a_plan_for_the_sandbox_is_not_for_the_network_nor_the_other_way(planned, now, found):
    plan = sealed(replace(PLANNED, provider_is_local=planned))
    assert the_refusal(plan, provider_is_local=now).found == found


def test_people_who_got_the_message_by_another_plan_make_it_stale():
    assert the_refusal(moved=1200).found == "1,200 of its people have got the message by another plan"


def test_a_plan_holds_until_its_very_last_moment_and_no_longer():
    last = PLANNED.expires_at
    assert not refusals(now=last - timedelta(microseconds=1))
    assert the_refusal(now=last).what == "age"


def test_a_plan_is_due_from_its_very_moment_on_and_both_clocks_are_told():
    plan = sealed(replace(PLANNED, due_at=NOON, zone="Asia/Jakarta"))
    assert not refusals(plan, now=NOON)
    early = the_refusal(plan, now=NOON - timedelta(seconds=1))
    assert early.remedy == "apply again at or after 2026-03-20 19:00 Asia/Jakarta (2026-03-20T12:00Z)"
    assert early.holds_from == NOON


def test_what_another_hour_puts_right_all_holds_from_the_last_of_their_moments_and_no_other_ever():
    plan = sealed(replace(WINDOWED, due_at=NOON - timedelta(hours=1)))
    early = {"now": NOON - timedelta(days=1), "campaign": windowed(), "people": TOKYO}
    broken = refusals(plan, **early)
    assert [each.what for each in broken] == ["due", "window"]
    # 20:00 in Tokyo is when it is due: the window opens the next morning.
    assert all_hold_from(broken) == datetime(2026, 3, 20, 23, tzinfo=timezone.utc)
    assert all_hold_from(refusals(plan, moved=1, **early)) is None
    assert all_hold_from([]) is None


def windowed(**schedule):
    return replace(CAMPAIGN, schedule=Schedule(window=DAY, **schedule))


TOKYO = {"Asia/Tokyo": 10}
WINDOWED = sealed(replace(PLANNED, window="08:00-20:00"))


@pytest.mark.parametrize(
    ("hour", "opens"),
    [
        (22, "2026-03-20 08:00 Asia/Tokyo (2026-03-19T23:00Z)"),
        (11, "2026-03-21 08:00 Asia/Tokyo (2026-03-20T23:00Z)"),
    ],
)
def test_where_everybodys_window_is_closed_it_says_when_the_first_opens(hour, opens):
    now = NOON.replace(day=19 if hour == 22 else 20, hour=hour)
    people = TOKYO | {"Asia/Kolkata": 3} if hour == 22 else TOKYO
    closed = the_refusal(WINDOWED, now=now, campaign=windowed(), people=people)
    assert (closed.what, closed.found) == (
        "window",
        "08:00-20:00 in each person's time zone, closed for everybody",
    )
    assert closed.remedy == f"apply again from {opens}"
    assert f"{closed.holds_from:%Y-%m-%dT%H:%MZ}" in opens


def test_the_window_holds_from_its_opening_and_not_at_its_closing():
    opening, closing = NOON.replace(day=19, hour=23), NOON.replace(hour=11)
    assert not refusals(WINDOWED, now=opening, campaign=windowed(), people=TOKYO)
    assert refusals(WINDOWED, now=closing, campaign=windowed(), people=TOKYO)


def test_a_run_that_waits_for_windows_may_begin_when_all_are_closed():
    waiting = windowed(on_window_close=OnWindowClose.WAIT)
    assert "the first opens 2026-03-21 08:00 Asia/Tokyo" in said(campaign=waiting, people=TOKYO)


def test_whoever_has_an_open_window_may_be_sent_to_and_how_many_they_are_is_told():
    found = said(campaign=windowed(), people={"Asia/Tokyo": 1000, "Asia/Dubai": 20})
    assert found == "08:00-20:00 in each person's time zone, open for 20 of 1,020 people; " + (
        "from Fri 20 Mar 12:00 on no window is open any more, with 1,000 left; "
        "apply stops then, and goes on when it is called again, from Fri 20 Mar 23:00 UTC on"
    )


def said(**today):
    """Return what the comparison of the windows says, which holds."""
    (found,) = (
        comparison
        for comparison in compare(WINDOWED, replace(TODAY, **today), rehearsal=False)
        if comparison.what == "window"
    )
    assert found.holds
    return found.found


def test_an_apply_that_ends_after_the_plan_has_expired_says_so():
    many = {"Asia/Dubai": 1_000_000}
    assert "a new plan takes who is left then" in said(campaign=windowed(), people=many)


def test_people_whose_windows_never_open_are_told_before_anything_is_sent():
    hour = replace(CAMPAIGN, schedule=Schedule(window=Window(opens=time(8), closes=time(9))))
    plan = sealed(replace(PLANNED, window="08:00-09:00"))
    never = the_refusal(plan, campaign=hour, people={"Asia/Jakarta,Asia/Jayapura": 5})
    assert never.found == "08:00-09:00 in each person's time zone: it never opens"


def test_after_the_deadline_the_windows_do_not_matter_and_that_is_told():
    plan = sealed(replace(WINDOWED, deadline=NOON, zone="Asia/Jakarta"))
    (window,) = (
        one
        for one in compare(plan, replace(TODAY, campaign=windowed(), people=TOKYO), rehearsal=False)
        if one.what == "window"
    )
    assert window.holds
    assert window.found.startswith("too late since 2026-03-20 19:00 Asia/Jakarta")


def test_before_it_is_due_the_window_is_that_of_the_due_day():
    plan = sealed(replace(WINDOWED, due_at=NOON.replace(hour=11)))
    early, closed = refusals(plan, now=NOON.replace(hour=2), campaign=windowed(), people=TOKYO)
    assert (early.what, closed.what) == ("due", "window")
    assert "2026-03-21 08:00" in closed.remedy


@pytest.mark.parametrize(
    ("plan", "campaign", "found"),
    [
        (PLANNED, windowed(), "planned for any hour, now it is 08:00-20:00"),
        (WINDOWED, CAMPAIGN, "planned for 08:00-20:00, now it is any hour"),
    ],
)
def test_another_window_in_runner_yml_than_planned_is_refused(plan, campaign, found):
    changed = the_refusal(plan, campaign=campaign)
    assert (changed.what, changed.found) == ("window", found)


def test_a_rehearsal_waits_for_no_time_but_holds_to_all_else():
    plan = sealed(replace(PLANNED, due_at=NOON + timedelta(days=1)))
    assert not refusals(plan, rehearsal=True, campaign=windowed())
    assert [one.what for one in refusals(plan, rehearsal=True, moved=1)] == ["ledger"]


def test_every_comparison_is_made_even_when_the_first_has_failed():
    found = refusals(
        campaign=replace(CAMPAIGN, name="x"),
        templates={None: TemplateError("gone")},
        moved=2,
        now=PLANNED.expires_at,
    )
    assert len(found) == 4


def test_a_plan_that_names_forgotten_people_is_stale():
    broken = failed(compare(PLANNED, replace(TODAY, forgotten=2), rehearsal=True))
    assert [(each.what, each.found) for each in broken] == [("ledger", "2 of its people have been forgotten")]
    both = failed(compare(PLANNED, replace(TODAY, moved=1, forgotten=1), rehearsal=True))
    assert "by another plan; 1 of its people have been forgotten" in both[0].found


WARM = replace(TEMPLATE, id="2", name="warm", body="Hai {{1}}!")
VARIED = sealed(
    replace(
        PLANNED,
        template=None,
        variants=tuple(
            PlannedVariant(name=name, weight=1, to_send=3, template=planned_template(template))
            for name, template in (("plain", TEMPLATE), ("text", TEMPLATE), ("warm", WARM))
        ),
    )
)


def test_the_template_of_every_variant_is_compared_each_template_once():
    today = replace(TODAY, templates={"plain": TEMPLATE, "text": TEMPLATE, "warm": WARM})
    comparisons = compare(VARIED, today, rehearsal=True)
    assert [each.what for each in comparisons if each.what.startswith("template")] == [
        "template promo (id)",
        "template warm (id)",
    ]
    assert not failed(comparisons)


@pytest.mark.parametrize(
    ("warm", "found"),
    [
        (replace(WARM, body="Hai!"), "changed"),
        (replace(WARM, status="PAUSED"), "is PAUSED now"),
        (TemplateError("gone"), "gone"),
    ],
)
def test_one_variants_template_that_is_not_as_planned_refuses_the_apply(warm, found):
    refusal = the_refusal(VARIED, templates={"plain": TEMPLATE, "text": TEMPLATE, "warm": warm})
    assert (refusal.what, refusal.found) == ("template warm (id)", found)
