"""runner.screening: each row has one account, by the first gate it fails; the balance always holds."""

from collections import Counter
from dataclasses import replace
from datetime import timedelta
from pathlib import Path, PurePosixPath
from tempfile import TemporaryDirectory

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from runner.campaign import (
    Campaign,
    FrequencyCap,
    Guards,
    Holdout,
    RecipientColumns,
    Segment,
    TemplateUse,
    Variable,
    Variant,
)
from runner.control_group import PARTS, is_held_out
from runner.errors import SegmentError
from runner.forgotten import Forgotten, keyed_hash
from runner.plan import REASONS
from runner.plan_file import RECIPIENTS, REJECTIONS
from runner.rendering import compile_messages, each_its_own
from runner.screening import READ_PHONE, count_forgotten, find_rows, screen
from runner.screening_lists import Lately, Lists, read_suppression
from runner.template import Template
from tests.conftest import mobiles

COLUMNS = ("id", "phone", "name", "consent")
TEMPLATE = Template(
    id="1", name="promo", language="id", status="APPROVED", category="MARKETING", body="Halo {{1}}"
)
CAMPAIGN = Campaign(
    name="promo",
    segment=Segment(source="duckdb", query="SELECT 1"),
    recipient=RecipientColumns(id="id", phone="phone", consent="consent", region="ID"),
    template=TemplateUse(name="promo", language="id"),
    path=PurePosixPath("promo.yml"),
    document={},
    variables=(Variable(column="name"),),
)
CAPPED = replace(CAMPAIGN, guards=Guards(frequency_cap=FrequencyCap(messages=2, per=timedelta(days=7))))
CAP = CAPPED.guards.caps[0]
A, B, C = "6281230000001", "6281230000002", "6281230000003"


def message_of(campaign, column_types):
    messages = compile_messages(campaign, [TEMPLATE] * len(campaign.messages), column_types)
    return each_its_own(campaign, messages, READ_PHONE)


def lately(*batches, cap=CAP, since=0.0):
    """Return what the ledger knows of one cap: who got how many messages."""
    return [Lately(cap=cap, since=since, ledger=list(batches))]


def screened(folder, rows, *, campaign=CAMPAIGN, lists=None, types=None, kinds=None):
    """Screen `rows` (tuples by COLUMNS), and return what became of them."""
    columns = list(zip(*rows, strict=True)) if rows else [()] * len(COLUMNS)
    arrays = [
        pa.array(list(values), (kinds or {}).get(name, pa.string()))
        for name, values in zip(COLUMNS, columns, strict=True)
    ]
    path = folder / "rows.parquet"
    pq.write_table(pa.table(dict(zip(COLUMNS, arrays, strict=True))), path)
    column_types = dict.fromkeys(COLUMNS, "VARCHAR") | (types or {})
    return screen(
        path,
        campaign=campaign,
        row_count=len(rows),
        column_types=column_types,
        message=message_of(campaign, column_types),
        lists=lists or Lists(),
    )


def verdicts(found):
    """Return row -> its verdict, from both tables: exactly one for each row."""
    sent = pq.read_table(found.folder / RECIPIENTS).column("row").to_pylist()
    rejected = pq.read_table(found.folder / REJECTIONS).select(["row", "reason"]).to_pylist()
    all_of_them = [(row, "to_send") for row in sent] + [(row["row"], row["reason"]) for row in rejected]
    assert len({row for row, _ in all_of_them}) == len(all_of_them)
    return [verdict for _, verdict in sorted(all_of_them)]


def verdict(folder, *row, **options):
    (found,) = verdicts(screened(folder, [row], **options))
    return found


# The gates, one by one


def test_a_phone_is_read_or_rejected_for_its_reason(tmp_path):
    expected = {
        None: "missing_phone",
        "  ": "missing_phone",
        "n/a": "invalid_phone",
        "12345": "invalid_phone",
        "819012345678": "ambiguous_phone",
        "021 5550 1234": "not_mobile",
        "0812-3000-0001": "to_send",
        "+62 812 3000 0002": "to_send",
        "６２８１２３００００００３": "to_send",
        "6281230000004.0": "to_send",
        "00 62 812 3000 0005": "to_send",
    }
    found = screened(tmp_path, [("c", phone, "Ayu", "true") for phone in expected])
    assert verdicts(found) == list(expected.values())


def test_consent_is_true_one_or_yes_and_nothing_else(tmp_path):
    yes = ["true", "TRUE", " True ", "t", "yes", "Y", "1", "1.0"]
    no = [None, "", "false", "no", "0", "2", "-1", "on", "ok", "ya", "true?", "yes no", "null", "01", "１"]
    rows = [("c", f"62812300000{n:02d}", "Ayu", consent) for n, consent in enumerate([*yes, *no])]
    assert verdicts(screened(tmp_path, rows)) == ["to_send"] * len(yes) + ["no_consent"] * len(no)


@pytest.mark.parametrize(
    ("kind", "declared", "yes", "no"),
    [
        (pa.bool_(), "BOOLEAN", [True], [False, None]),
        (pa.int8(), "TINYINT", [1], [0, 2, -1, None]),
        (pa.int64(), "BIGINT", [1], [0, 10, None]),
        (pa.float64(), "DOUBLE", [1.0], [0.0, 1.5, 0.9999, float("nan"), None]),
        (pa.decimal128(3, 1), "DECIMAL(3,1)", [1], [0, 2, None]),
        (pa.date32(), "DATE", [], [0, 1]),
    ],
)
def test_consent_of_every_type_is_plainly_yes_or_it_is_no(tmp_path, kind, declared, yes, no):
    rows = [("c", f"62812300000{n:02d}", "Ayu", value) for n, value in enumerate([*yes, *no])]
    found = screened(tmp_path, rows, types={"consent": declared}, kinds={"consent": kind})
    assert verdicts(found) == ["to_send"] * len(yes) + ["no_consent"] * len(no)


def test_a_row_has_the_reason_of_the_first_gate_it_fails(tmp_path):
    rows = [
        ("c1", "12345", None, "no"),
        ("c2", A, None, "no"),
        ("c3", A, None, "yes"),
        ("c4", B, None, "yes"),
        ("c5", B, None, "yes"),
        ("c6", C, "Ayu", "yes"),
    ]
    (tmp_path / "never.csv").write_text(f"{A}\n")
    lists = Lists(suppression=[tmp_path / "never.csv"], lately=lately([(A, 5), (C, 2)]))
    assert verdicts(screened(tmp_path, rows, campaign=CAPPED, lists=lists)) == [
        "invalid_phone",
        "no_consent",
        "suppressed",
        "bad_variable",
        "duplicate_phone",
        "frequency_cap",
    ]


def test_the_cap_stops_whoever_has_as_many_messages_as_it_allows(tmp_path):
    rows = [("c1", A, "Ayu", "1"), ("c2", B, "Budi", "1"), ("c3", C, "Citra", "1")]
    lists = Lists(lately=lately([(A, 1), (B, 2)], [(C, 3)]))
    found = screened(tmp_path, rows, campaign=CAPPED, lists=lists)
    assert verdicts(found) == ["to_send", "frequency_cap", "frequency_cap"]


def test_messages_of_the_ledger_and_of_elsewhere_add_up_to_a_cap(tmp_path):
    rows = [(f"c{n}", phone, "Ayu", "1") for n, phone in enumerate((A, B, C))]
    sends = pa.table({"phone": pa.array([int(A), int(B), int(B), int(C)]), "sent_at": [9.0, 9.0, 10.5, 11.0]})
    pq.write_table(sends, tmp_path / "sends.parquet")
    lists = Lists(lately=lately([(A, 1), (C, 1)], since=10.0), elsewhere=[tmp_path / "sends.parquet"])
    found = screened(tmp_path, rows, campaign=CAPPED, lists=lists)
    assert verdicts(found) == ["to_send", "to_send", "frequency_cap"]


def test_each_cap_has_a_reason_of_its_own_and_the_frequency_cap_comes_first(tmp_path):
    rows = [(f"c{n}", phone, "Ayu", "1") for n, phone in enumerate((A, B, C))]
    guards = replace(CAPPED.guards, min_distance=timedelta(hours=24))
    frequency, distance = guards.caps
    lists = Lists(lately=[*lately([(A, 2)], cap=frequency), *lately([(A, 1), (B, 1)], cap=distance)])
    found = screened(tmp_path, rows, campaign=replace(CAMPAIGN, guards=guards), lists=lists)
    assert verdicts(found) == ["frequency_cap", "min_distance", "to_send"]


# The control group


def test_only_who_would_get_the_message_is_drawn_for_the_control_group(tmp_path):
    campaign = replace(CAPPED, holdout=Holdout(parts=PARTS - 1, group="promo"))
    lists = Lists(taken=[[B]], lately=lately([(C, 2)]))
    rows = [
        ("c1", A, "Ayu", "1"),
        ("c2", A, "Ayu again", "1"),
        ("c3", B, "Budi", "1"),
        ("c4", C, "Citra", "1"),
        ("c5", "12345", "Dewi", "1"),
        ("c6", "6281230000009", None, "1"),
    ]
    found = screened(tmp_path, rows, campaign=campaign, lists=lists)
    assert verdicts(found) == [
        "holdout",
        "duplicate_phone",
        "already_sent",
        "frequency_cap",
        "invalid_phone",
        "bad_variable",
    ]
    assert (found.to_send, found.already_sent, found.rejected["holdout"]) == (0, 1, 1)


def test_the_control_group_is_the_share_that_python_draws(tmp_path):
    holdout = Holdout(parts=200_000, group="always")
    phones = mobiles(500)
    rows = [(f"c{n}", phone, "Ayu", "1") for n, phone in enumerate(phones)]
    found = screened(tmp_path, rows, campaign=replace(CAMPAIGN, holdout=holdout))
    drawn = ["holdout" if is_held_out(holdout, phone) else "to_send" for phone in phones]
    assert verdicts(found) == drawn
    assert 60 < drawn.count("holdout") < 140


def test_a_forgotten_person_of_the_control_group_is_counted(tmp_path):
    campaign = replace(CAMPAIGN, holdout=Holdout(parts=PARTS - 1, group="promo"))
    found = screened(tmp_path, [("c1", A, "Ayu", "1")], campaign=campaign)
    forgotten = Forgotten(key=b"k" * 32, hashes=frozenset({keyed_hash(b"k" * 32, A)}), last=1)
    assert count_forgotten(found.folder, forgotten) == 1


def test_whoever_has_this_message_is_already_sent_and_not_over_the_cap(tmp_path):
    lists = Lists(taken=[[A]], lately=lately([(A, 9)]))
    found = screened(tmp_path, [("c1", A, "Ayu", "1")], campaign=CAPPED, lists=lists)
    assert (found.already_sent, found.rejected) == (1, {})


# Rows with one phone


def test_of_rows_with_one_phone_the_first_in_the_querys_order_wins(tmp_path):
    rows = [("c1", "081230000001", "Ayu", "1"), ("c2", A, "Budi", "1"), ("c3", f"+{A}", "Citra", "1")]
    found = screened(tmp_path, rows)
    assert verdicts(found) == ["to_send", "duplicate_phone", "duplicate_phone"]
    (row,) = pq.read_table(found.folder / RECIPIENTS).to_pylist()
    assert (row["recipient_id"], row["body"]) == ("c1", ["Ayu"])


def test_a_row_that_cannot_be_sent_does_not_win_over_one_that_can(tmp_path):
    rows = [("c1", A, "Ayu", "no"), ("c2", A, None, "1"), ("c3", A, "Citra", "1"), ("c4", A, "Dewi", "1")]
    assert verdicts(screened(tmp_path, rows)) == [
        "no_consent",
        "duplicate_phone",
        "to_send",
        "duplicate_phone",
    ]


def test_when_none_can_be_sent_the_first_tells_why_and_the_others_are_duplicates(tmp_path):
    rows = [("c1", A, None, "1"), ("c2", A, "a\nb", "1")]
    found = screened(tmp_path, rows)
    assert verdicts(found) == ["bad_variable", "duplicate_phone"]
    first = pq.read_table(found.folder / REJECTIONS).to_pylist()[0]
    assert "blank and no default" in first["detail"]


def test_the_recipients_are_in_the_querys_order(tmp_path):
    phones = [f"62812{n:08d}" for n in range(30_000_000, 30_003_000)]
    phones[1::2] = reversed(phones[1::2])
    rows = [(f"c{n}", phone, "Ayu", "1") for n, phone in enumerate(phones)] + [("x", phones[0], "Ayu", "1")]
    found = screened(tmp_path, rows)
    table = pq.read_table(found.folder / RECIPIENTS)
    assert table.column("phone").to_pylist() == phones
    assert found.to_send == 3000


# The balance, for any table

#: Writings of phones, with what they are read to.
WRITINGS = {
    None: (None, "missing_phone"),
    "": (None, "missing_phone"),
    "ask his wife": (None, "invalid_phone"),
    "0812": (None, "invalid_phone"),
    "021 5550 1234": (None, "not_mobile"),
    "819012345678": (None, "ambiguous_phone"),
    "0812-3000-0001": (A, None),
    "+62 812 3000 0001": (A, None),
    "6281230000002": (B, None),
    "0062.812.3000.0002": (B, None),
    "(0812) 3000 0003": (C, None),
}
NAMES = {"Ayu": True, "ليلى": True, "🌙": True, "": False, None: False, "a\nb": False, "x" * 2000: False}
CONSENTS = {"true": True, "1": True, "no": False, None: False}
ROWS = st.lists(
    st.tuples(st.sampled_from(list(WRITINGS)), st.sampled_from(list(NAMES)), st.sampled_from(list(CONSENTS))),
    max_size=30,
)
PHONES = st.sets(st.sampled_from([A, B, C]))


def expected_verdicts(rows, taken, suppressed, opted_out, capped):
    """Judge the rows one by one, as the manual says it."""
    judged, first_that_could, first = [], {}, {}
    for number, (written, name, consent) in enumerate(rows):
        phone, reason = WRITINGS[written]
        if reason is None and not CONSENTS[consent]:
            reason = "no_consent"
        elif reason is None and phone in suppressed:
            reason = "suppressed"
        elif reason is None and phone in opted_out:
            reason = "opted_out"
        elif reason is None and phone in capped and phone not in taken:
            reason = "frequency_cap"
        if reason is None:
            first.setdefault(phone, number)
            if NAMES[name]:
                first_that_could.setdefault(phone, number)
        judged.append((phone, name, reason))
    winners = first | first_that_could
    return [
        reason
        or ("duplicate_phone" if winners[phone] != number else None)
        or ("bad_variable" if not NAMES[name] else None)
        or ("already_sent" if phone in taken else "to_send")
        for number, (phone, name, reason) in enumerate(judged)
    ]


@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(rows=ROWS, taken=PHONES, suppressed=PHONES, opted_out=PHONES, capped=PHONES)
def test_any_table_is_judged_as_the_manual_says_and_balances(rows, taken, suppressed, opted_out, capped):
    with TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "never.csv").write_text("phone\n" + "".join(f"{phone}\n" for phone in suppressed))
        found = screened(
            folder,
            [(f"c{number}", phone, name, consent) for number, (phone, name, consent) in enumerate(rows)],
            campaign=CAPPED,
            lists=Lists(
                suppression=[folder / "never.csv"],
                opted_out=[list(opted_out)],
                taken=[list(taken)],
                lately=lately([(phone, 2) for phone in capped]),
            ),
        )
        assert verdicts(found) == expected_verdicts(rows, taken, suppressed, opted_out, capped)
        assert found.to_send + found.already_sent + sum(found.rejected.values()) == len(rows)
        assert set(found.rejected) <= set(REASONS)


def test_no_rows_are_two_empty_tables(tmp_path):
    found = screened(tmp_path, [])
    assert (found.to_send, found.already_sent, found.rejected) == (0, 0, {})
    assert verdicts(found) == []


def test_reasons_are_counted_in_the_order_of_the_gates(tmp_path):
    rows = [("a", A, None, "1"), ("b", B, "Ayu", "no"), ("c", "1", "Ayu", "1"), ("d", None, "Ayu", "1")]
    assert list(screened(tmp_path, rows).rejected) == [
        "missing_phone",
        "invalid_phone",
        "no_consent",
        "bad_variable",
    ]


@pytest.mark.parametrize(
    "name",
    ["_id", "row", "reason", "winner", 'we"ird; DROP', "名前"],
)
def test_a_column_may_have_nearly_any_name(tmp_path, name):
    found = with_column(tmp_path, name)
    (row,) = pq.read_table(found.folder / RECIPIENTS).to_pylist()
    assert (row["recipient_id"], row["body"]) == ("c1", ["c1"])


@pytest.mark.parametrize(
    "name", ["_row", "_ROW", "file_row_number", "_phone", "_phone_valid", "_pr_x", "__x"]
)
def test_a_column_with_a_name_of_the_pipelines_own_is_refused(tmp_path, name):
    with pytest.raises(SegmentError, match=f"column `{name}` has a name that runner gives") as info:
        with_column(tmp_path, name)
    assert f'"{name}" AS my_column' in info.value.hint


def with_column(tmp_path, name):
    table = pa.table({name: ["c1"], "phone": [A], "consent": ["1"]})
    pq.write_table(table, tmp_path / "rows.parquet")
    types = dict.fromkeys(table.column_names, "VARCHAR")
    campaign = replace(
        CAMPAIGN,
        recipient=replace(CAMPAIGN.recipient, id=name),
        variables=(Variable(column=name),),
    )
    return screen(
        tmp_path / "rows.parquet",
        campaign=campaign,
        row_count=1,
        column_types=types,
        message=message_of(campaign, types),
        lists=Lists(),
    )


# Lists of people who must never get a message


def suppressed_by(tmp_path, text, region="ID"):
    path = tmp_path / "never.csv"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return read_suppression([path], region=region)


@pytest.mark.parametrize(
    "text",
    [
        f"{A}\n",
        f"{A}",
        f"phone\n{A}\n",
        f"\ufeffphone\r\n{A}\r\n",
        f'"{A}"\n',
        '"phone","since"\n"+62 812-3000-0001","2026-01-01"\n',
        "phone;name\n0812 3000 0001;Ayu\n",
        f"{A}\tAyu\n",
        f"{A},Ayu,asked by mail\n",
        "+62 (812) 3000.0001\n",
        "０８１２３０００００01\n",
        f"'{A}\n",
        f"\n\n  {A}  \n\n",
        f"phone\n\n{A}\n{A}\n0812-3000-0001\n",
        "6281230000001.0\n",
    ],
)
def test_a_list_is_read_in_any_writing(tmp_path, text):
    assert suppressed_by(tmp_path, text) == {A}


def test_an_ambiguous_phone_on_a_list_stops_both_people(tmp_path):
    assert suppressed_by(tmp_path, "819012345678\n") == {"819012345678", "62819012345678"}


@pytest.mark.parametrize("text", ["", "\n", "phone\n", "phone\r\n\r\n"])
def test_an_empty_list_suppresses_nobody(tmp_path, text):
    assert suppressed_by(tmp_path, text) == frozenset()


def test_no_list_suppresses_nobody():
    assert read_suppression([], region=None) == frozenset()


def test_several_lists_count_together(tmp_path):
    paths = [tmp_path / "a.csv", tmp_path / "b.csv"]
    for path, phone in zip(paths, (A, B), strict=True):
        path.write_text(phone)
    assert read_suppression(paths, region=None) == {A, B}


@pytest.mark.parametrize("data", [b"\xff\xfe6\x002\x00\n\x00" * 9, b"628123\xff\n" * 9])
def test_a_list_that_is_no_text_is_an_error_and_never_an_empty_list(tmp_path, data):
    with pytest.raises(SegmentError, match=r"never\.csv: cannot be read as one phone a line") as info:
        suppressed_by(tmp_path, data)
    assert "suppression" in info.value.hint


def test_a_list_that_is_gone_is_an_error(tmp_path):
    with pytest.raises(SegmentError, match=r"gone\.csv: cannot be read"):
        read_suppression([tmp_path / "gone.csv"], region=None)


def test_a_name_of_a_list_is_no_sql_and_no_pattern(tmp_path):
    path = tmp_path / "it's [a] *list*.csv"
    path.write_text(A)
    assert read_suppression([path], region=None) == {A}


@pytest.mark.parametrize(
    ("text", "unread"),
    [
        (f"{A}\n", 0),
        (f"phone\n{A}\n\n", 0),
        (f"phone\n{A}\nAyu\n", 1),
        (f"name,phone\nAyu,{A}\nBudi,{B}\n", 2),
        ("12345\n123\n", 2),
    ],
)
def test_lines_that_are_no_phone_are_counted_never_passed_over_in_silence(tmp_path, text, unread):
    (tmp_path / "never.csv").write_text(text)
    found = screened(tmp_path, [], lists=Lists(suppression=[tmp_path / "never.csv"]))
    expected = (f"{unread} lines of the suppression lists are no valid phone, and suppress nobody",)
    assert found.notes == (expected if unread else ())


# Looking at rows again


def test_the_rows_of_one_phone_are_found_with_their_verdicts(tmp_path):
    rows = [("c1", A, "Ayu", "1"), ("c2", B, "Budi", "1"), ("c3", f"+{A}", "x" * 2000, "1")]
    found = find_rows(screened(tmp_path, rows).folder, A)
    assert found == [
        {"row": 0, "verdict": "to_send", "detail": None, "variant": None},
        {"row": 2, "verdict": "duplicate_phone", "detail": None, "variant": None},
    ]
    assert find_rows(tmp_path, C) == []


# People who were forgotten


def forgotten(*phones, key=b"k" * 32):
    return Forgotten(key=key, hashes=frozenset(keyed_hash(key, phone) for phone in phones), last=len(phones))


def test_whoever_was_forgotten_is_rejected_before_consent_and_not_written_down_again(tmp_path):
    rows = [
        ("1", "0812-3000-0001", "Ayu", "yes"),
        ("2", B, "Budi", "yes"),
        ("3", A, "Ayu again", "no"),
        ("4", "hello", "Citra", "yes"),
    ]
    suppressed = tmp_path / "never.csv"
    suppressed.write_text(f"{A}\n")
    lists = Lists(suppression=[suppressed], taken=[[A]], forgotten=forgotten(A, C))

    found = screened(tmp_path, rows, lists=lists)

    assert verdicts(found) == ["forgotten", "to_send", "forgotten", "invalid_phone"]
    assert found.rejected == {"invalid_phone": 1, "forgotten": 2}
    rejected = pq.read_table(found.folder / REJECTIONS).to_pylist()
    for row in rejected:
        known = (row["recipient_id"], row["phone"], row["written"])
        assert (known == (None, None, None)) is (row["reason"] == "forgotten")
    assert find_rows(found.folder, A) == []


@pytest.mark.parametrize("people", [None, forgotten(), forgotten(A, key=b"x" * 32)])
def test_nobody_else_is_rejected_as_forgotten(tmp_path, people):
    lists = Lists(forgotten=replace(people, key=b"k" * 32) if people else None)
    assert verdicts(screened(tmp_path, [("1", A, "Ayu", "yes")], lists=lists)) == ["to_send"]


def test_the_forgotten_among_a_plans_recipients_are_counted(tmp_path):
    found = screened(tmp_path, [(n, phone, "Ayu", "yes") for n, phone in zip("123", (A, B, C), strict=True)])
    assert count_forgotten(found.folder, forgotten(A, C, "6281230000009")) == 2
    assert count_forgotten(found.folder, forgotten("6281230000009")) == 0


# Variants


def varied(**variables):
    """Return the campaign with variants of equal weight, by name -> what fills their message."""
    use = TemplateUse(name="promo", language="id")
    made = [
        Variant(name=name, weight=1, template=use, variables=(variable,))
        for name, variable in variables.items()
    ]
    return replace(CAMPAIGN, template=None, variables=(), variants=tuple(made))


def recipients(found):
    return pq.read_table(found.folder / RECIPIENTS).to_pylist()


def test_each_recipient_has_the_message_of_their_own_variant(tmp_path):
    campaign = varied(fixed=Variable(text="Kak"), named=Variable(column="name"))
    rows = [("c", f"62812300000{n:02d}", f"Ayu {n}", "true") for n in range(40)]
    found = screened(tmp_path, rows, campaign=campaign)
    people = recipients(found)
    assert {person["variant"] for person in people} == {"fixed", "named"}
    for person in people:
        own = ["Kak"] if person["variant"] == "fixed" else [f"Ayu {person['row']}"]
        assert person["body"] == own
    assert found.variants == {
        name: sum(person["variant"] == name for person in people) for name in ("fixed", "named")
    }
    assert sum(found.variants.values()) == found.to_send == 40


def test_a_row_is_judged_by_the_variables_of_its_own_variant_alone(tmp_path):
    campaign = varied(fixed=Variable(text="Kak"), named=Variable(column="name"))
    rows = [("c", f"62812300000{n:02d}", " ", "true") for n in range(40)]
    found = screened(tmp_path, rows, campaign=campaign)
    assert {person["variant"] for person in recipients(found)} == {"fixed"}
    rejections = pq.read_table(found.folder / REJECTIONS).to_pylist()
    assert found.to_send + found.rejected["bad_variable"] == 40
    assert {row["detail"] for row in rejections} == {"variant named: variable {{1}}: blank and no default"}


def test_what_only_another_variant_could_not_compute_harms_nobody(tmp_path):
    number = Variable(column="name", format="#,##0")
    campaign = varied(fixed=Variable(text="Kak"), number=number)
    rows = [("c", f"62812300000{n:02d}", "12500" if n % 2 else "none", "true") for n in range(40)]
    found = screened(tmp_path, rows, campaign=campaign)
    people = recipients(found)
    numbers = [person for person in people if person["variant"] == "number"]
    assert {tuple(person["body"]) for person in numbers} == {("12.500",)}
    assert len(people) - len(numbers) > len(numbers)


def test_rows_of_one_phone_have_one_variant_however_they_are_written(tmp_path):
    campaign = varied(a=Variable(column="name"), b=Variable(column="name"))
    writings = [A, f"+{A}", "0812 3000 0001", f"{A}.0"]
    variants = [
        recipients(screened(tmp_path, [("c", phone, "Ayu", "true")], campaign=campaign))[0]["variant"]
        for phone in writings
    ]
    assert len(set(variants)) == 1


def test_a_row_without_a_phone_that_can_be_read_is_rejected_for_that(tmp_path):
    campaign = varied(a=Variable(column="name"), b=Variable(column="name"))
    rows = [("c", None, None, "true"), ("c", "n/a", None, "true"), ("c", "819012345678", None, "true")]
    found = screened(tmp_path, rows, campaign=campaign)
    assert verdicts(found) == ["missing_phone", "invalid_phone", "ambiguous_phone"]
    assert found.variants == {}


def test_without_variants_no_recipient_has_one(tmp_path):
    found = screened(tmp_path, [("c", A, "Ayu", "true")])
    assert [person["variant"] for person in recipients(found)] == [None]
    assert found.variants == {}


def test_the_variant_of_a_phone_is_found_with_its_row(tmp_path):
    campaign = varied(a=Variable(column="name"))
    found = screened(tmp_path, [("c", A, "Ayu", "true")], campaign=campaign)
    assert find_rows(found.folder, A) == [{"row": 0, "verdict": "to_send", "detail": None, "variant": "a"}]


def test_a_control_group_is_drawn_from_every_variant_and_moves_nobody_to_another(tmp_path):
    campaign = varied(a=Variable(column="name"), b=Variable(column="name"))
    rows = [("c", phone, "Ayu", "true") for phone in mobiles(400)]
    whole = {
        each["phone"]: each["variant"] for each in recipients(screened(tmp_path, rows, campaign=campaign))
    }
    holdout = Holdout(parts=500_000, group="promo")
    found = screened(tmp_path, rows, campaign=replace(campaign, holdout=holdout))
    kept = {each["phone"]: each["variant"] for each in recipients(found)}
    assert kept == {phone: whole[phone] for phone in whole if not is_held_out(holdout, phone)}
    held_out = Counter(variant for phone, variant in whole.items() if phone not in kept)
    assert all(60 < held_out[name] < 140 for name in "ab")
