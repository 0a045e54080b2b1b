"""runner.sampling: a few recipients of each message, as they would read it."""

from dataclasses import replace

from runner.campaign import Variable
from runner.sampling import sample_rows
from tests.test_screening import CAMPAIGN, A, B, screened, varied


def people(*names):
    return [("c", f"62812300000{n:02d}", name, "1") for n, name in enumerate(names)]


def test_samples_are_the_first_recipients_and_the_longest_message(tmp_path):
    rows = people("Ayu", "Budi", "Citra", "Dewi with a long name", "Eko")
    found = sample_rows(screened(tmp_path, rows))
    assert [row.body for row in found] == [("Ayu",), ("Budi",), ("Dewi with a long name",)]


def test_samples_are_never_the_same_row_twice(tmp_path):
    rows = [("c1", A, "a very long name", "1"), ("c2", B, "Budi", "1")]
    assert [row.phone for row in sample_rows(screened(tmp_path, rows))] == [A, B]


def test_without_recipients_there_are_no_samples(tmp_path):
    assert sample_rows(screened(tmp_path, [])) == []


def test_the_samples_of_a_variant_are_of_its_own_people(tmp_path):
    campaign = varied(fixed=Variable(text="Kak"), named=Variable(column="name"))
    found = screened(tmp_path, people(*(f"Ayu {n}" for n in range(40))), campaign=campaign)
    assert {row.body for row in sample_rows(found, variant="fixed")} == {("Kak",)}
    assert all(row.body[0].startswith("Ayu") for row in sample_rows(found, variant="named", most=2))
    assert len(sample_rows(found, variant="named", most=2)) == 2
    assert sample_rows(found, variant="other") == []


def test_a_campaign_without_variants_is_sampled_whole(tmp_path):
    found = screened(tmp_path, people("Ayu", "Budi"), campaign=replace(CAMPAIGN, variants=()))
    assert len(sample_rows(found)) == 2
