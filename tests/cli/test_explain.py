"""`runner explain`: every gate and every message of one person."""

from dataclasses import replace

import pytest

from runner.plan import sealed
from runner.plan_file import TABLES, read_plan, sha256_of_file, write_plan
from tests.conftest import CAMPAIGN, RUNNER_YML, mobiles


def test_somebody_whom_nothing_knows(project, run):
    result = run("explain", "+6281230000000")
    assert result.code == 0
    assert result.out == "6281****0000\n  no plan and no message knows this phone\n"


def test_gates_and_messages_of_one_person_are_told_in_order(project, sandbox, run):
    project.people(
        [
            ("c0", "0812-3000-0000", "Ayu", "true"),
            ("c1", "+62 812 3000 0000", "Ayu again", "true"),
            ("c2", "6281230000000", "Ayu too", "no"),
        ]
    )
    run("apply", "promo.yml", "--auto-approve")
    document = run("explain", "0812 3000 0000", "--region", "ID", "--json").json
    assert document["format"] == 1
    assert document["phone"] == "6281****0000"
    assert document["suppressed"] is False
    assert [(row["row"], row["verdict"]) for row in document["plans"]] == [
        (0, "to_send"),
        (1, "duplicate_phone"),
        (2, "no_consent"),
    ]
    (message,) = document["messages"]
    assert (message["campaign"], message["state"], message["recipient"]) == ("promo", "accepted", "c0")
    assert message["message_id"]
    assert [outcome["outcome"] for outcome in message["outcomes"]] == ["accepted"]


def test_the_text_says_the_same_in_words(project, sandbox, run):
    project.people([("c0", mobiles(1)[0], "Ayu", "true"), ("c1", mobiles(1)[0], "x" * 5000, "true")])
    sandbox.faults(f"400:@{mobiles(1)[0]}")
    run("apply", "promo.yml", "--auto-approve")
    text = run("explain", mobiles(1)[0]).out
    assert "plan promo once row 0: to_send" in text
    assert "plan promo once row 1: duplicate_phone (the same phone as an earlier row)" in text
    assert "message promo once: refused" in text
    assert "refused by refused" in text


def test_what_is_wrong_with_a_variable_is_told(project, sandbox, run):
    project.people([("c0", mobiles(1)[0], "x" * 5000, "true")])
    run("plan", "promo.yml")
    text = run("explain", mobiles(1)[0]).out
    assert "row 0: bad_variable (body: longer than 1024 characters when filled)" in text


def test_every_attempt_is_told(project, sandbox, run):
    sandbox.faults(f"429:@{mobiles(1)[0]}x1:0s")
    run("apply", "promo.yml", "--auto-approve")
    (message,) = run("explain", mobiles(1)[0], "--json").json["messages"]
    found = [(outcome["attempt"], outcome["outcome"]) for outcome in message["outcomes"]]
    assert found == [(1, "retry"), (2, "accepted")]


def test_somebody_on_a_never_message_list_is_called_so(project, sandbox, run):
    project.write("never.csv", "+62 812 3000 0000\n")
    text = RUNNER_YML % {"url": sandbox.url, "rate": "5/s"}
    project.write("runner.yml", text + "suppression: [never.csv]\n")
    run("plan", "promo.yml")
    result = run("explain", mobiles(1)[0])
    assert "6281****0000  on a never-message list" in result.out
    assert "row 0: suppressed (on a never-message list)" in result.out


@pytest.mark.parametrize("phone", ["hello", "0812-3000-0000", "+62 21"])
def test_a_phone_that_cannot_be_read_is_an_error_that_does_not_repeat_it(project, run, phone):
    result = run("explain", phone)
    assert result.code == 1
    assert "the phone cannot be read" in result.err
    assert phone not in result.err


def test_a_number_with_two_readings_asks_for_its_country_code(project, run):
    result = run("explain", "819012345678", "--region", "ID")
    assert result.code == 1
    assert "write the country code" in result.err


def test_a_damaged_plan_is_named_and_passed_over(project, sandbox, run):
    project.campaign(CAMPAIGN.replace("campaign: promo", "campaign: other"), name="other.yml")
    run("plan", "promo.yml", "other.yml")
    (damaged,) = (project.root / ".runner/plans").glob("other.*.plan")
    damaged.write_bytes(damaged.read_bytes()[:100])
    result = run("explain", mobiles(1)[0], "--json")
    assert [row["campaign"] for row in result.json["plans"]] == ["promo"]
    assert f"{damaged.name}: is not a whole plan file" in result.err


def test_rehearsals_have_a_history_of_their_own(project, run):
    run("apply", "promo.yml", "--sandbox")
    assert run("explain", mobiles(1)[0], "--json").json["messages"] == []
    (message,) = run("explain", mobiles(1)[0], "--sandbox", "--json").json["messages"]
    assert message["state"] == "accepted"


def test_a_plan_that_was_sealed_anew_with_other_tables_is_named_and_passed_over(project, sandbox, run):
    run("plan", "promo.yml")
    (path,) = (project.root / ".runner/plans").glob("promo.*.plan")
    (project.root / "tables").mkdir()
    for name in TABLES:
        (project.root / "tables" / name).write_text("no table")
    files = {name: sha256_of_file(project.root / "tables" / name) for name in TABLES}
    write_plan(sealed(replace(read_plan(path), files=files)), project.root / "tables", path)
    for command in (("explain", f"+{mobiles(1)[0]}"), ("apply", "--auto-approve")):
        result = run(*command)
        assert "edited or damaged" in result.err or "not those that `runner plan` writes" in result.err
        assert "Traceback" not in result.err
    assert sandbox.messages() == []
