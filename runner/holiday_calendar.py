"""The public holidays of a country or a part of it, by the library `holidays`, which is an extra.

Nothing here imports the library before a date is asked for: it costs 0.05 s.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from functools import cache
from importlib.util import find_spec
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from holidays import HolidayBase

#: What installs the library.
EXTRA = "holidays"


@dataclass(frozen=True, slots=True, kw_only=True)
class HolidayCalendar:
    """The holidays of `country` (ISO 3166, such as `ID`) or its `subdivision` (such as `10` of `MY`).

    A holiday that falls on a weekend and is moved to a working day is on both dates.
    """

    country: str
    subdivision: str | None = None

    def holds(self, day: date) -> bool:
        """Tell whether `day` is a public holiday."""
        return day in _holidays(self)

    def __str__(self) -> str:
        """Render as ISO 3166-2 does: `MY-10`."""
        return self.country if self.subdivision is None else f"{self.country}-{self.subdivision}"


def is_installed() -> bool:
    """Tell whether the library is there."""
    return find_spec("holidays") is not None


@cache
def countries() -> Mapping[str, Sequence[str]]:
    """Return the countries that the library knows, each with its subdivisions."""
    import holidays

    return holidays.list_supported_countries(include_aliases=False)


@cache
def _holidays(calendar: HolidayCalendar) -> HolidayBase:
    import holidays

    # It adds a year's dates when one of that year is first asked for.
    return holidays.country_holidays(calendar.country, subdiv=calendar.subdivision)
