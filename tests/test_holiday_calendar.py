"""runner.holiday_calendar: public holidays by country and by its parts."""

import subprocess
import sys
from datetime import date

from runner.holiday_calendar import HolidayCalendar, countries


def test_a_country_has_its_holidays_and_a_part_of_it_its_own_too():
    selangor = HolidayCalendar(country="MY", subdivision="10")
    birthday_of_the_sultan = date(2026, 12, 11)
    assert selangor.holds(birthday_of_the_sultan)
    assert not HolidayCalendar(country="MY").holds(birthday_of_the_sultan)
    assert HolidayCalendar(country="ID").holds(date(2026, 12, 25))
    assert not HolidayCalendar(country="ID").holds(date(2026, 12, 24))


def test_a_year_far_away_is_no_error():
    assert not HolidayCalendar(country="ID").holds(date(2199, 12, 24))


def test_the_countries_of_our_examples_are_known():
    assert {"ID", "MY", "SG", "JP", "TH", "PH", "VN", "IN"} <= set(countries())


def test_a_calendar_reads_as_the_standard_writes_it():
    assert str(HolidayCalendar(country="MY", subdivision="10")) == "MY-10"
    assert str(HolidayCalendar(country="ID")) == "ID"


def test_the_library_is_imported_only_for_a_campaign_that_has_holidays():
    code = "import sys, runner.campaign_file, runner.holiday_calendar; print('holidays' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"
