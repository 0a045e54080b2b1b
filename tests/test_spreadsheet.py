"""runner.spreadsheet: text that stays text in a spreadsheet."""

import pytest

from runner.spreadsheet import no_formula


@pytest.mark.parametrize(
    "cell", ["=1+1", "@SUM(A1)", "+cmd|' /C calc'!A0", "-2+3+cmd|' /C calc'!A0", "\t=1", "\r=1", "+A1"]
)
def test_what_a_spreadsheet_would_run_gets_an_apostrophe(cell):
    assert no_formula(cell) == f"'{cell}"


@pytest.mark.parametrize("cell", ["+62 812-3000", "-5", "c1", "", "a=b", 5, None, "0091"])
def test_every_other_cell_stays_as_it_is(cell):
    assert no_formula(cell) is cell
