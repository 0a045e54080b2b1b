"""Compiles libphonenumber's metadata into DuckDB expressions over E.164 digits; used by `phone` alone.

`phonenumbers` is exact but reads some 20,000 numbers a second; its patterns use no look-around and no
back-reference, so DuckDB's RE2 runs them unchanged, millions a second. What is compiled here follows
libphonenumber's own steps:

- `prefix_removed_sql`, `canonical_sql`: national prefix and carrier code are taken off (AR, BR and others
  rewrite the number on the way), unless that would leave a number of an impossible length or shape;
- `kind_sql`: the region of a number is the first of its calling code's regions whose leading digits or types
  fit; that region's patterns tell whether the number is valid, and whether it is a mobile.

Three facts of the pinned metadata make that short, and `tests/test_phone_patterns.py` proves them for every
region: no mobile number also fits a type that libphonenumber asks before "mobile"; every mobile number fits
the general pattern of its region; and no type's pattern reaches past its possible lengths.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import cache

from phonenumbers import COUNTRY_CODE_TO_REGION_CODE, PhoneMetadata, PhoneNumberDesc

from runner.sql_text import quote_literal

#: What `kind_sql` tells of a number.
NOT_VALID, VALID, MOBILE = 0, 1, 2

#: The types that libphonenumber asks before fixed line and mobile, all of them no mobiles.
_OTHER_TYPES = (
    "premium_rate",
    "toll_free",
    "shared_cost",
    "voip",
    "personal_number",
    "pager",
    "uan",
    "voicemail",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class NumberingPlan:
    """What the metadata says of one region; patterns are of national numbers, in syntax Python and RE2 share.

    `mobile` covers what libphonenumber calls MOBILE and FIXED_LINE_OR_MOBILE; `other` all other types;
    `fixed` what it calls FIXED_LINE and FIXED_LINE_OR_MOBILE.
    `lengths` are the possible lengths of a national number. `prefix` is what may stand before it when dialled
    within the country, `transform` what the match becomes; `exit_prefix` is dialled before foreign numbers.
    """

    region: str
    code: int
    general: str
    mobile: str | None
    other: str | None
    fixed: str | None
    leading: str | None
    lengths: tuple[int, ...]
    prefix: str | None
    transform: str | None
    exit_prefix: str


def calling_codes() -> tuple[int, ...]:
    """Return every calling code that is in use, in ascending order."""
    return tuple(sorted(COUNTRY_CODE_TO_REGION_CODE))


def calling_code_of(digits: str) -> int | None:
    """Return the calling code that international `digits` start with, or None; none starts another."""
    heads = (int(digits[:length]) for length in (1, 2, 3) if digits[:length].isdigit() and digits[0] != "0")
    return next((head for head in heads if head in COUNTRY_CODE_TO_REGION_CODE), None)


def plan_of_region(region: str) -> NumberingPlan | None:
    """Return the numbering plan of an ISO 3166 region such as `ID`, or None where there is none."""
    return _plan(PhoneMetadata.metadata_for_region(region, None))


@cache
def plans_of_code(code: int) -> tuple[NumberingPlan, ...]:
    """Return the plans of the regions that share a calling code, the main region first."""
    regions = COUNTRY_CODE_TO_REGION_CODE[code]
    plans = (_plan(PhoneMetadata.metadata_for_region_or_calling_code(code, region)) for region in regions)
    return tuple(plan for plan in plans if plan is not None)


def _plan(metadata: PhoneMetadata | None) -> NumberingPlan | None:
    """Take from one region's metadata what reading a number needs; None where there are no numbers."""
    general = None if metadata is None else metadata.general_desc
    if metadata is None or general is None or metadata.country_code is None:
        return None
    fixed = _pattern(metadata.fixed_line)
    same = metadata.same_mobile_and_fixed_line_pattern
    others = [_pattern(getattr(metadata, name)) for name in _OTHER_TYPES] + [None if same else fixed]
    return NumberingPlan(
        region=metadata.id,
        code=metadata.country_code,
        general=_pattern(general) or "",
        mobile=fixed if same else _pattern(metadata.mobile),
        other="|".join(other for other in others if other) or None,
        fixed=fixed,
        leading=metadata.leading_digits,
        lengths=tuple(general.possible_length),
        prefix=metadata.national_prefix_for_parsing or None,
        transform=metadata.national_prefix_transform_rule or None,
        exit_prefix=metadata.international_prefix or "",
    )


def _pattern(description: PhoneNumberDesc | None) -> str | None:
    """Return the pattern of one number type, None where the region has no such numbers."""
    return (description.national_number_pattern or None) if description is not None else None


def head_sql(number: str) -> str:
    """Return the first three digits of an E.164 expression as a number: what calling codes are found by."""
    return f"TRY_CAST(left({number}, 3) AS USMALLINT)"


def by_calling_code_sql(
    head: str, codes: Iterable[int], branch: Callable[[int], str | None], other: str
) -> str:
    """Choose the `branch` of the calling code that `head` lies in; `other` where there is none.

    Codes are asked after their first digit: one chain of 200 questions would cost more than the answers.
    """
    zones: dict[str, list[str]] = {}
    for code in codes:
        sql = branch(code)
        if sql is not None:
            zones.setdefault(str(code)[0], []).append(f"WHEN {_in_range(head, code)} THEN {sql}")
    cases = (
        f"WHEN {_in_range(head, int(zone))} THEN CASE {' '.join(cases)} ELSE {other} END"
        for zone, cases in zones.items()
    )
    return f"CASE {' '.join(cases)} ELSE {other} END" if zones else other


def _in_range(head: str, start: int) -> str:
    """Tell whether the three digits of `head` begin with the one to three digits of `start`."""
    width = 10 ** (3 - len(str(start)))
    return f"{head} BETWEEN {start * width} AND {start * width + width - 1}"


def kind_sql(number: str, code: int) -> str:
    """Tell the kind of an E.164 expression known to start with `code`: NOT_VALID, VALID or MOBILE."""
    plans = plans_of_code(code)
    if len(plans) == 1:
        return _case(_kind_cases(number, plans[0]))
    cases: list[tuple[str, str]] = []
    for plan in plans:
        own = _kind_cases(number, plan)
        if plan.leading is None:
            cases += own
        else:
            cases.append((f"regexp_matches({number}, {_start(plan, plan.leading)})", _case(own)))
    return _case(cases)


def _kind_cases(number: str, plan: NumberingPlan) -> list[tuple[str, str]]:
    """List conditions and the kind each proves, in the order to ask them."""
    cases = []
    if plan.mobile is not None:
        cases.append((_is(number, plan, plan.mobile), str(MOBILE)))
    if plan.other is not None:
        valid = f"{_is(number, plan, plan.general)} AND {_is(number, plan, plan.other)}"
        cases.append((valid, str(VALID)))
    return cases


def fixed_or_mobile_sql(number: str, code: int) -> str:
    """Tell whether a mobile (`kind_sql`) known to start with `code` could be a fixed line as well."""
    cases = []
    for plan in plans_of_code(code):
        if plan.mobile is None:
            continue
        own = "TRUE" if plan.mobile == plan.fixed else "FALSE"
        if plan.fixed is not None and plan.mobile != plan.fixed:
            own = _is(number, plan, plan.fixed)
        is_here = _is(number, plan, plan.mobile)
        if plan.leading is not None:
            is_here = f"regexp_matches({number}, {_start(plan, plan.leading)})"
        cases.append(f"WHEN {is_here} THEN {own}")
    return f"CASE {' '.join(cases)} ELSE FALSE END"


def _case(cases: Sequence[tuple[str, str]]) -> str:
    """Write conditions and results as one CASE; NOT_VALID where none holds."""
    branches = " ".join(f"WHEN {condition} THEN {result}" for condition, result in cases)
    return f"CASE {branches} ELSE {NOT_VALID} END"


def prefix_removed_sql(number: str, plan: NumberingPlan) -> str | None:
    """Take the national prefix off an E.164 expression of this plan; SQL NULL where it has none.

    Returns None where the plan knows no national prefix.
    """
    if plan.prefix is None:
        return None
    code = str(plan.code)
    if plan.prefix.isdigit():
        whole = code + plan.prefix
        removed = f"'{code}' || substr({number}, {len(whole) + 1})"
        return f"CASE WHEN starts_with({number}, '{whole}') THEN {removed} END"
    start = _start(plan, plan.prefix)
    removed = f"regexp_replace({number}, {start}, '{code}')"
    if plan.transform is None:
        return f"CASE WHEN regexp_matches({number}, {start}) THEN {removed} END"
    # The rule holds only where the last group took part in the match; without it the prefix just goes.
    group = re.compile(plan.prefix).groups
    rewritten = f"regexp_replace({number}, {start}, {quote_literal(code + plan.transform)})"
    return (
        f"CASE WHEN regexp_extract({number}, {start}, {group}) <> '' THEN {rewritten} "
        f"WHEN regexp_matches({number}, {start}) THEN {removed} END"
    )


def canonical_sql(number: str, removed: str, plan: NumberingPlan, *, check_length: bool = True) -> str:
    """Decide between an E.164 expression and the same without its national prefix (`removed`, never NULL).

    The shorter one is taken unless only the longer one has the shape of a number of this plan, or, with
    `check_length`, the shorter one has an impossible length; a too long one counts as possible here.
    """
    keep = [f"{_is(number, plan, plan.general)} AND NOT {_is(removed, plan, plan.general)}"]
    if check_length:
        keep.insert(0, f"NOT ({_possible_length(removed, plan)})")
    return f"CASE WHEN {' OR '.join(f'({one})' for one in keep)} THEN {number} ELSE {removed} END"


def _possible_length(number: str, plan: NumberingPlan) -> str:
    """Tell whether an E.164 expression is as long as a number of this plan may be, or longer.

    Written without IN, which DuckDB turns into a join: one for each plan.
    """
    lengths = [length + len(str(plan.code)) for length in plan.lengths]
    exact = [f"strlen({number}) = {length}" for length in lengths[:-1]]
    return " OR ".join([*exact, f"strlen({number}) >= {lengths[-1]}"])


def is_general_sql(number: str, plan: NumberingPlan, *, with_code: bool) -> str:
    """Tell whether an expression has the general shape of this plan, after its calling code or without it."""
    pattern = quote_literal(plan.general)
    return _is(number, plan, plan.general) if with_code else f"regexp_full_match({number}, {pattern})"


def _is(number: str, plan: NumberingPlan, pattern: str) -> str:
    """Tell whether all of an E.164 expression is the calling code and one of the plan's patterns."""
    return f"regexp_full_match({number}, {quote_literal(f'{plan.code}(?:{pattern})')})"


def _start(plan: NumberingPlan, pattern: str) -> str:
    """Write, as a literal, the pattern of an E.164 number that goes on like `pattern` after its code."""
    return quote_literal(f"^{plan.code}(?:{pattern})")
