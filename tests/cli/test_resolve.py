"""`runner resolve`: a person's word on deliveries whose outcome is unknown."""

import sys

import pytest

from runner.cli import resolve
from tests.cli.conftest import accounts
from tests.conftest import mobiles, people


@pytest.fixture
def unknowns(project, sandbox, plan, apply):
    """Five people, of whom the first three have an unknown delivery."""
    project.people(people(5))
    sandbox.faults(*(f"reset-before-accept:@{phone}" for phone in mobiles(3)))
    plan()
    assert accounts(apply()) == (5, 2, 0, 3, 0)
    sandbox.faults()
    return mobiles(3)


def test_the_unknown_deliveries_are_listed_with_masked_phones(unknowns, run):
    listed = run("resolve", "promo", "--json").json
    assert listed["format"] == 1
    assert [row["phone"] for row in listed["unknown"]] == ["6281****0000", "6281****0001", "6281****0002"]
    assert {row["recipient"] for row in listed["unknown"]} == {"c0", "c1", "c2"}
    text = run("resolve", "promo").out
    assert text.splitlines()[0].startswith("6281****0000  recipient c0  ")


def test_without_unknown_deliveries_it_says_so(project, run):
    assert run("resolve", "promo").out == "promo once: no unknown deliveries\n"


@pytest.mark.parametrize(("word", "left"), [("accepted", (5, 5, 0, 0, 0)), ("refused", (5, 2, 3, 0, 0))])
def test_settled_by_a_persons_word_they_are_never_sent_again(unknowns, run, plan, apply, sandbox, word, left):
    result = run("resolve", "promo", "--all", "--as", word, "--note", "seen in the console", "--json")
    assert result.json == {
        "format": 1,
        "campaign": "promo",
        "occurrence": "once",
        "as": word,
        "settled": 3,
    }
    (found,) = run("status", "--json").json["occurrences"]
    assert accounts(found) == left
    assert plan()["to_send"] == 0
    apply()
    assert sandbox.stats()["total"] == 5


def test_send_again_puts_them_into_the_next_plan_and_no_other(unknowns, run, plan, apply, sandbox):
    assert accounts(apply())[3] == 3
    result = run("resolve", "promo", "--all", "--as", "send-again")
    assert result.out == "3 unknown deliveries settled as send-again\n"
    assert "make a new plan" in result.err
    summary = plan()
    assert (summary["to_send"], summary["already_sent"]) == (3, 2)
    assert accounts(apply()) == (3, 3, 0, 0, 0)
    assert sorted(sandbox.accepted()) == mobiles(5)
    assert plan()["to_send"] == 0


def test_one_person_is_chosen_by_phone_in_any_writing(unknowns, run):
    for written in ("+62 812-3000-0000", "6281230000001", "00 62 812 3000 0002"):
        result = run("resolve", "promo", "--phone", written, "--as", "refused")
        assert result.out == "1 unknown delivery settled as refused\n"
    nobody = run("resolve", "promo", "--phone", mobiles(5)[4], "--as", "refused", "--json")
    assert nobody.json["settled"] == 0
    assert run("resolve", "promo", "--json").json["unknown"] == []


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--as", "accepted"], "say whom: --phone or --all"),
        (["--all", "--phone", "6281230000001", "--as", "accepted"], "say whom: --phone or --all"),
        (["--phone", "81230000001234", "--as", "accepted"], "--phone is not a mobile number"),
        (["--all", "--as", "delivered"], "'accepted', 'refused', 'send-again'"),
        (["--show-phones"], "--show-phones is for a terminal"),
    ],
)
def test_what_cannot_be_meant_is_refused_and_no_phone_is_repeated(project, run, words, message):
    result = run("resolve", "promo", *words)
    assert result.code == 1
    assert message in result.err
    assert "81230000001" not in result.err


def test_a_slip_in_the_campaigns_name_settles_nothing_and_says_which_was_meant(unknowns, run):
    result = run("resolve", "prono", "--all", "--as", "refused")
    assert result.code == 1
    assert "no campaign 'prono' was planned or applied here: nothing was settled" in result.err
    assert 'Did you mean "promo"?' in result.err
    assert len(run("resolve", "promo", "--json").json["unknown"]) == 3


def test_who_said_it_and_why_stays_in_the_history(unknowns, run, monkeypatch):
    monkeypatch.setenv("LOGNAME", "dewi")
    run("resolve", "promo", "--all", "--as", "accepted", "--note", "seen in the console")
    (message,) = run("explain", mobiles(1)[0], "--json").json["messages"]
    assert message["outcomes"][-1]["rule"] == "resolved by dewi"
    assert message["outcomes"][-1]["detail"] == "seen in the console"


def test_whole_phones_are_shown_at_a_terminal_only(unknowns, run, monkeypatch):
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    lines = run("resolve", "promo", "--show-phones").out.splitlines()
    assert [line.split()[0] for line in lines] == unknowns


def test_a_long_list_is_cut_short(unknowns, run, monkeypatch):
    monkeypatch.setattr(resolve, "_SHOWN", 2)
    lines = run("resolve", "promo").out.splitlines()
    assert (len(lines), lines[-1]) == (3, "... and more")
