"""runner.planning: a plan as a value, made of the segment, the ledger and the provider's templates."""

from dataclasses import replace
from datetime import datetime, time, timedelta, timezone
from pathlib import PurePosixPath

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from runner.campaign import (
    ButtonUse,
    Campaign,
    FrequencyCap,
    Guards,
    HeaderUse,
    Holdout,
    Limit,
    RecipientColumns,
    Segment,
    TemplateUse,
    Variable,
    Variant,
)
from runner.errors import Refusal, SegmentError, TemplateError
from runner.history import History
from runner.plan import is_genuine
from runner.plan_file import RECIPIENTS, REJECTIONS, sha256_of_file
from runner.planning import Circumstances, make_plan, planned_template, wanted_columns
from runner.project import ProviderSettings, Rate
from runner.schedule import OnWindowClose, Schedule
from runner.segments.interface import Fetched
from runner.template import Button, ButtonKind, HeaderKind, Template
from runner.window import Window
from runner.zone_forecast import ZoneForecast

NOW = datetime(2026, 3, 20, 12, tzinfo=timezone.utc)
#: 19:00 in Jakarta, 21:00 in Tokyo.
EVENING = NOW
TEMPLATE = Template(
    id="1",
    name="promo",
    language="id",
    status="APPROVED",
    category="MARKETING",
    body="Halo {{1}}, kode {{2}}.",
)
CAMPAIGN = Campaign(
    name="promo",
    segment=Segment(source="duckdb", query="SELECT 1"),
    recipient=RecipientColumns(id="id", phone="phone", consent="consent", region="ID"),
    template=TemplateUse(name="promo", language="id"),
    path=PurePosixPath("campaigns/promo.yml"),
    document={"campaign": "promo"},
    variables=(Variable(column="name"), Variable(text="LEBARAN25")),
)
ADA = ProviderSettings(name="ada", url="https://x", sender="60110000001", rate=Rate(per_second=5.0))


class Ledger:
    """A ledger as planning reads it."""

    def __init__(self, taken=(), recent=(), generation=0, opted_out=(), previous=None):
        self.previous = previous
        self._taken, self._recent, self._generation = taken, recent, generation
        self._opted_out = opted_out
        self.since = None

    def taken(self, campaign, occurrence):
        yield list(self._taken)

    def opted_out(self):
        yield list(self._opted_out)

    def recent(self, since):
        self.since = since
        yield list(self._recent)

    def previous_size(self, campaign, occurrence):
        return self.previous

    def generation(self, campaign, occurrence):
        return self._generation


def rows(count):
    return [(f"c{n}", f"62812{n + 30_000_000:08d}", f"Ayu {n}", "true") for n in range(count)]


def planned(
    folder,
    people,
    *,
    campaign=CAMPAIGN,
    template=TEMPLATE,
    templates=None,
    ledger=None,
    provider=ADA,
    now=NOW,
    occurrence_at=None,
    history=(),
):
    names = ("id", "phone", "name", "consent")
    columns = list(zip(*people, strict=True)) if people else [()] * 4

    def source(*, columns, target, occurrence_at):
        source.asked = (list(columns), occurrence_at)
        arrays = [pa.array(list(values), pa.string()) for values in source.data]
        pq.write_table(pa.table(dict(zip(names, arrays, strict=True))), target)
        return Fetched(rows=len(people), column_types=dict.fromkeys(names, "VARCHAR"), sql="SELECT 1")

    source.data = columns
    plan = make_plan(
        campaign,
        source=source,
        templates=templates or [template],
        provider=provider,
        provider_is_local=False,
        ledger=ledger or Ledger(),
        circumstances=Circumstances(
            now=now,
            workspace=folder,
            expires_after=timedelta(hours=72),
            git=None,
            versions={"runner": "0"},
            occurrence_at=occurrence_at,
            history=history,
        ),
    )
    assert plan.is_balanced
    assert is_genuine(plan)
    planned.asked = source.asked
    return plan


def test_a_plan_holds_what_decides_who_gets_what(tmp_path):
    plan = planned(tmp_path, rows(3), ledger=Ledger(generation=4))
    assert (plan.campaign, plan.occurrence, plan.campaign_path) == ("promo", "once", "campaigns/promo.yml")
    assert (plan.rows, plan.to_send, plan.already_sent, dict(plan.rejected)) == (3, 3, 0, {})
    assert (plan.sender, plan.rate, plan.generation) == ("60110000001", 5.0, 4)
    assert plan.priority == 1
    assert plan.files == {name: sha256_of_file(tmp_path / name) for name in (RECIPIENTS, REJECTIONS)}
    assert plan.expires_at == NOW + timedelta(hours=72)


def test_who_has_the_message_is_already_sent(tmp_path):
    plan = planned(tmp_path, rows(3), ledger=Ledger(taken=[rows(1)[0][1]]))
    assert (plan.to_send, plan.already_sent) == (2, 1)


def test_the_ledger_is_asked_for_recent_messages_only_with_a_cap(tmp_path):
    ledger = Ledger()
    planned(tmp_path, rows(1), ledger=ledger)
    assert ledger.since is None
    cap = Guards(frequency_cap=FrequencyCap(messages=1, per=timedelta(days=7)))
    planned(tmp_path, rows(1), ledger=ledger, campaign=replace(CAMPAIGN, guards=cap))
    assert ledger.since == (NOW - timedelta(days=7)).timestamp()


def test_caps_are_judged_as_of_when_the_first_message_may_go(tmp_path):
    ledger, due = Ledger(), NOW + timedelta(days=1)
    schedule = Schedule(at=due.replace(tzinfo=None), zone="UTC")
    guards = Guards(min_distance=timedelta(hours=24))
    planned(tmp_path, rows(1), ledger=ledger, campaign=replace(CAMPAIGN, guards=guards, schedule=schedule))
    assert ledger.since == (due - timedelta(hours=24)).timestamp()


def test_sends_made_elsewhere_are_fetched_for_a_cap_and_only_then(tmp_path):
    asked = []

    def fetch(*, columns, target):
        asked.append(columns)
        (phone, *_) = [row[1] for row in rows(1)]
        moments = pa.array([NOW.timestamp() - 60, None])
        pq.write_table(pa.table({"phone": [phone, phone], "sent_at": moments}), target)
        return Fetched(rows=2, column_types={"phone": "VARCHAR", "sent_at": "DOUBLE"}, sql="SELECT 1")

    history = (History(name="history[0] of runner.yml", fetch=fetch, region="ID"),)
    assert planned(tmp_path, rows(2), history=history).to_send == 2
    assert asked == []
    campaign = replace(CAMPAIGN, guards=Guards(min_distance=timedelta(hours=24)))
    plan = planned(tmp_path, rows(2), campaign=campaign, history=history)
    assert (plan.to_send, dict(plan.rejected)) == (1, {"min_distance": 1})
    assert plan.notes[0].startswith("history[0] of runner.yml: 1 of 2 rows have no valid phone or no time")
    assert asked == [("phone", "sent_at")]


def test_a_control_group_does_not_count_as_rejected_for_the_guard(tmp_path):
    guards = Guards(max_rejected=Limit(count=0))
    campaign = replace(CAMPAIGN, guards=guards, holdout=Holdout(parts=999_999, group="promo"))
    plan = planned(tmp_path, rows(3), campaign=campaign)
    assert dict(plan.rejected) == {"holdout": 3}
    assert plan.exceeded == ()


def test_samples_show_the_full_text_with_everything_personal_masked(tmp_path):
    (sample,) = planned(tmp_path, rows(1)).samples
    assert (sample.phone, sample.body) == ("6281****0000", "Halo A** *, kode LEBARAN25.")


def test_samples_show_headers_and_links_with_the_personal_part_masked(tmp_path):
    template = replace(
        TEMPLATE,
        header_kind=HeaderKind.TEXT,
        header="Untuk {{1}}",
        footer="STOP",
        buttons=(
            Button(kind=ButtonKind.URL, text="Buka", url="https://example.com/{{1}}"),
            Button(kind=ButtonKind.QUICK_REPLY, text="Tidak"),
        ),
    )
    use = TemplateUse(
        name="promo",
        language="id",
        header=HeaderUse(variables=(Variable(column="name"),)),
        buttons=(ButtonUse(index=0, url=Variable(column="id")),),
    )
    (sample,) = planned(
        tmp_path, rows(1), template=template, campaign=replace(CAMPAIGN, template=use)
    ).samples
    assert (sample.header, sample.footer) == ("Untuk A** *", "STOP")
    assert sample.buttons == ("Buka: https://example.com/c*", "Tidak")


def test_the_wanted_columns_come_once_in_the_order_of_use():
    use = TemplateUse(
        name="promo",
        language="id",
        header=HeaderUse(media=Variable(column="picture"), variables=(Variable(column="title"),)),
        buttons=(
            ButtonUse(index=0, url=Variable(column="code")),
            ButtonUse(index=1, payload=Variable(column="id")),
        ),
    )
    assert wanted_columns(replace(CAMPAIGN, template=use)) == [
        "id",
        "phone",
        "consent",
        "picture",
        "title",
        "name",
        "code",
    ]


def test_the_source_is_asked_for_them_and_told_the_moment_of_the_firing(tmp_path):
    schedule = Schedule(at=datetime(2026, 4, 1, 10), zone="Asia/Jakarta")
    planned(tmp_path, rows(1), campaign=replace(CAMPAIGN, schedule=schedule))
    columns, at = planned.asked
    assert columns == ["id", "phone", "consent", "name"]
    assert at == datetime(2026, 4, 1, 3, tzinfo=timezone.utc)


@pytest.mark.parametrize(
    ("moment", "message"),
    [
        (None, "promo has no firing any more: nothing was planned"),
        (datetime(2027, 1, 1, 3, tzinfo=timezone.utc), "does not fire at 2027-01-01T03:00:00Z: nothing"),
    ],
)
def test_a_campaign_that_has_ended_is_refused_before_the_segment_is_asked(tmp_path, moment, message):
    schedule = Schedule(cron="0 10 * * *", zone="Asia/Jakarta", end=datetime(2026, 1, 31, 23, 59, 59))
    planned.asked = None
    with pytest.raises(Refusal, match=message) as caught:
        planned(tmp_path, rows(1), campaign=replace(CAMPAIGN, schedule=schedule), occurrence_at=moment)
    assert caught.value.hint == "schedule.cron is 0 10 * * *, until 2026-01-31 23:59, in Asia/Jakarta"
    assert planned.asked is None


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"status": "PAUSED"}, "its status is PAUSED"),
        ({"body": "Halo {{1}}"}, "1 too many"),
        ({"name": "promos"}, "`promo` is not among"),
    ],
)
def test_a_template_that_does_not_fit_is_refused_before_the_segment_is_asked(tmp_path, change, message):
    planned.asked = None
    with pytest.raises(TemplateError, match=message):
        planned(tmp_path, rows(1), template=replace(TEMPLATE, **change))
    assert planned.asked is None
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("guards", "exceeded"),
    [
        (Guards(), []),
        (Guards(max_recipients=2, max_rejected=Limit(count=1)), []),
        (Guards(max_recipients=1), ["max_recipients"]),
        (Guards(max_rejected=Limit(count=0)), ["max_rejected"]),
        (Guards(max_rejected=Limit(share=0.3)), ["max_rejected"]),
        (Guards(max_rejected=Limit(share=0.34)), []),
    ],
)
def test_a_guard_is_exceeded_above_its_limit_and_not_at_it(tmp_path, guards, exceeded):
    people = [*rows(2), ("x", "1", "Ayu", "true")]
    plan = planned(tmp_path, people, campaign=replace(CAMPAIGN, guards=guards))
    assert [guard.name for guard in plan.exceeded] == exceeded


@pytest.mark.parametrize(
    ("previous", "found", "is_over"),
    [
        (None, "no earlier occurrence was sent: not judged", False),
        (("2026-11-01T02:00Z", 2), "3 after 2 of 2026-11-01T02:00Z (+50.0%)", False),
        (("2026-11-01T02:00Z", 1), "3 after 1 of 2026-11-01T02:00Z (+200.0%)", True),
        (("2026-11-01T02:00Z", 9), "3 after 9 of 2026-11-01T02:00Z (-66.7%)", False),
    ],
)
def test_growth_is_judged_against_the_occurrence_before(tmp_path, previous, found, is_over):
    campaign = replace(CAMPAIGN, guards=Guards(max_growth=Limit(share=0.5)))
    taken = [rows(1)[0][1]]
    plan = planned(tmp_path, rows(3), campaign=campaign, ledger=Ledger(taken=taken, previous=previous))
    assert (plan.to_send, plan.already_sent) == (2, 1)
    (guard,) = plan.guards
    assert (guard.name, guard.limit, guard.found, guard.exceeded) == ("max_growth", "50%", found, is_over)


def test_without_rows_no_share_is_exceeded(tmp_path):
    campaign = replace(CAMPAIGN, guards=Guards(max_rejected=Limit(share=0.0)))
    plan = planned(tmp_path, [], campaign=campaign)
    assert plan.guards[0].found == "0"
    assert plan.exceeded == ()


def test_who_opted_out_is_rejected(tmp_path):
    plan = planned(tmp_path, rows(3), ledger=Ledger(opted_out=[rows(1)[0][1]]))
    assert (plan.to_send, plan.rejected) == (2, {"opted_out": 1})


@pytest.mark.parametrize(
    ("people", "taken", "note"),
    [
        ([], [], "the segment query returned no rows"),
        ([("c", "1", "Ayu", "true")], [], "every row was rejected: nobody is left to send to"),
        (rows(1), [rows(1)[0][1]], "everybody who may get this message has it already"),
    ],
)
def test_why_nobody_is_left_is_noted(tmp_path, people, taken, note):
    assert planned(tmp_path, people, ledger=Ledger(taken=taken)).notes == (note,)


def test_there_is_nothing_to_note_of_a_log_and_of_notifications(tmp_path):
    campaign = replace(CAMPAIGN, log={"treasure_data": {}}, notify={"on": ["failed"]})
    assert planned(tmp_path, rows(1), campaign=campaign).notes == ()


DAY = Window(opens=time(8), closes=time(20))


def windowed(**schedule):
    return replace(CAMPAIGN, schedule=Schedule(window=DAY, **schedule))


def test_windows_that_close_before_the_last_message_are_noted(tmp_path):
    late = EVENING.replace(hour=12, minute=59, second=48)
    (note,) = planned(tmp_path, rows(20), campaign=windowed(zone="Asia/Jakarta"), now=late).notes
    assert note == (
        "from Fri 20 Mar 19:59 on no window is open any more, with 10 left; "
        "apply stops then, and goes on when it is called again, from Sat 21 Mar 08:00 Asia/Jakarta on"
    )
    waiting = windowed(zone="Asia/Jakarta", on_window_close=OnWindowClose.WAIT)
    (note,) = planned(tmp_path, rows(20), campaign=waiting, now=late).notes
    assert note.endswith("apply waits, and goes on by itself at Sat 21 Mar 08:00 Asia/Jakarta")
    assert planned(tmp_path, rows(5), campaign=waiting, now=late).notes == ()


def test_outside_the_window_it_starts_when_it_opens_where_the_people_are(tmp_path):
    plan = planned(tmp_path, rows(11), campaign=windowed(zone="UTC"), now=EVENING.replace(hour=15))
    assert plan.starts_at == datetime(2026, 3, 21, 1, tzinfo=timezone.utc)
    assert plan.ends_at - plan.starts_at == timedelta(seconds=2)
    assert plan.window == "08:00-20:00"


def test_each_set_of_time_zones_is_forecast(tmp_path):
    tokyo = [("c", "+81 90 1234 5678", "Aya", "true")]
    plan = planned(tmp_path, [*rows(11), *tokyo], campaign=windowed(), now=EVENING)
    opening = datetime(2026, 3, 20, 23, tzinfo=timezone.utc)
    assert plan.forecast == (
        ZoneForecast(
            zones=("Asia/Jakarta",),
            people=11,
            opens_at=EVENING,
            closes_at=EVENING.replace(hour=13),
            last_at=EVENING + timedelta(seconds=2),
        ),
        ZoneForecast(
            zones=("Asia/Tokyo",),
            people=1,
            opens_at=opening,
            closes_at=opening + timedelta(hours=12),
            last_at=opening,
        ),
    )
    assert (plan.starts_at, plan.ends_at) == (EVENING, opening)


def test_without_a_window_nothing_is_forecast(tmp_path):
    assert planned(tmp_path, rows(3)).forecast == ()


def test_a_plan_of_several_days_is_valid_until_a_day_after_its_last_message(tmp_path):
    slow = replace(ADA, rate=Rate(per_second=0.0001))
    plan = planned(tmp_path, rows(20), campaign=windowed(), provider=slow)
    assert plan.ends_at - plan.starts_at > timedelta(days=3)
    assert plan.expires_at == plan.ends_at + timedelta(days=1)


def test_the_plan_says_by_which_priority_it_shares_its_sender(tmp_path):
    assert planned(tmp_path, rows(1), campaign=replace(CAMPAIGN, priority=7)).priority == 7


@pytest.mark.parametrize(
    ("rate", "note"),
    [
        (1.0, None),
        (0.01, "schedule.expire_after is over before the last message: who is left then does not get it"),
    ],
)
def test_the_deadline_is_so_long_after_the_due_time_or_the_plan(tmp_path, rate, note):
    campaign = replace(CAMPAIGN, schedule=Schedule(expire_after=timedelta(minutes=10)))
    plan = planned(tmp_path, rows(10), campaign=campaign, provider=replace(ADA, rate=Rate(per_second=rate)))
    assert plan.deadline == NOW + timedelta(minutes=10)
    assert plan.notes == ((note,) if note else ())


def test_a_plan_whose_deadline_is_over_before_it_begins_says_so(tmp_path):
    due = Schedule(at=datetime(2026, 3, 19, 12), zone="UTC", expire_after=timedelta(hours=12))
    plan = planned(tmp_path, rows(1), campaign=replace(CAMPAIGN, schedule=due))
    assert plan.deadline == datetime(2026, 3, 20, tzinfo=timezone.utc)
    (note,) = plan.notes
    assert note == "schedule.expire_after is over before the first message may go: nobody would get it"


@pytest.mark.parametrize(
    ("change", "is_same"),
    [
        ({"id": "2"}, True),
        ({"status": "PAUSED"}, True),
        ({"body": "x"}, False),
        ({"footer": "x"}, False),
        ({"header": "x", "header_kind": HeaderKind.TEXT}, False),
        ({"category": "UTILITY"}, False),
        ({"language": "en"}, False),
        ({"buttons": (Button(kind=ButtonKind.URL, text="a", url="b"),)}, False),
    ],
)
def test_the_digest_of_a_template_covers_what_people_read(change, is_same):
    same = planned_template(replace(TEMPLATE, **change)).digest == planned_template(TEMPLATE).digest
    assert same is is_same


WARM = replace(TEMPLATE, id="2", name="warm", body="Hai {{1}}!")
VARIED = replace(
    CAMPAIGN,
    template=None,
    variables=(),
    variants=(
        Variant(
            name="plain",
            weight=3,
            template=TemplateUse(name="promo", language="id"),
            variables=CAMPAIGN.variables,
        ),
        Variant(
            name="warm",
            weight=1,
            template=TemplateUse(name="warm", language="id"),
            variables=(Variable(column="name"),),
        ),
    ),
)


def test_a_plan_with_variants_says_how_many_get_which_and_keeps_every_template(tmp_path):
    plan = planned(tmp_path, rows(400), campaign=VARIED, templates=[TEMPLATE, WARM])
    assert plan.template is None
    plain, warm = plan.variants
    assert (plain.name, plain.weight, plain.template) == ("plain", 3, planned_template(TEMPLATE))
    assert (warm.name, warm.weight, warm.template) == ("warm", 1, planned_template(WARM))
    assert plain.to_send + warm.to_send == plan.to_send == 400
    assert 250 < plain.to_send < 350


def test_each_variant_has_samples_of_its_own(tmp_path):
    samples = planned(tmp_path, rows(40), campaign=VARIED, templates=[TEMPLATE, WARM]).samples
    assert [sample.variant for sample in samples] == ["plain", "plain", "warm", "warm"]
    assert samples[0].body.startswith("Halo A**")
    assert samples[-1].body.startswith("Hai A**")


def test_the_digest_covers_who_gets_which_variant(tmp_path):
    def digest(*weights):
        variants = tuple(replace(v, weight=w) for v, w in zip(VARIED.variants, weights, strict=True))
        folder = tmp_path / "-".join(map(str, weights))
        folder.mkdir()
        campaign = replace(VARIED, variants=variants)
        plan = planned(folder, rows(40), campaign=campaign, templates=[TEMPLATE, WARM])
        return plan.digest, plan.files[RECIPIENTS]

    assert all(one != other for one, other in zip(digest(3, 1), digest(1, 3), strict=True))


def test_a_variant_that_nobody_gets_is_in_the_plan_all_the_same(tmp_path):
    plan = planned(tmp_path, rows(1), campaign=VARIED, templates=[TEMPLATE, WARM])
    assert sorted(variant.to_send for variant in plan.variants) == [0, 1]


def test_the_columns_of_all_variants_are_wanted_each_once():
    title = replace(VARIED.variants[1], variables=(Variable(column="title"), Variable(column="name")))
    campaign = replace(VARIED, variants=(VARIED.variants[0], title))
    assert wanted_columns(campaign) == ["id", "phone", "consent", "name", "title"]


def test_what_is_wrong_with_a_variants_template_is_said_of_each_variant_at_once(tmp_path):
    paused = replace(WARM, status="PAUSED")
    short = replace(TEMPLATE, body="Halo {{1}}")
    with pytest.raises(TemplateError) as error:
        planned(tmp_path, rows(1), campaign=VARIED, templates=[short, paused])
    lines = error.value.message.splitlines()
    assert [line.partition(":")[0] for line in lines] == ["variant plain", "variant warm"]
    assert "1 too many" in lines[0]
    assert "its status is PAUSED" in lines[1]


def test_a_column_that_only_one_variant_wants_is_missed_in_its_name(tmp_path):
    odd = replace(VARIED.variants[1], variables=(Variable(column="nmae"),))
    campaign = replace(VARIED, variants=(VARIED.variants[0], odd))
    with pytest.raises(SegmentError, match=r"variant warm: variable \{\{1\}\}: .* no column `nmae`") as error:
        planned(tmp_path, rows(1), campaign=campaign, templates=[TEMPLATE, WARM])
    assert error.value.hint == "did you mean `name`?"
