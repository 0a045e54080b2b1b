"""What a phone column means: the one reading of DESIGN §4, as DuckDB SQL; used by screening and `explain`.

A cell becomes international digits (country code and number, no `+`) or a reason why not. It has up to three
readings, each made exactly as `phonenumbers.parse` makes it:

- *international*: after `+` or `00`; and bare digits as they stand, unless the column is said to be national;
- *national*, with a region and no `+`: as somebody in that region dials it;
- *dialled abroad*, with a region and no `+`: after that region's own exit prefix (`010` in Japan, `001` in
  Singapore), which may begin with the `00` that also reads as "international".

One valid mobile reading wins. Two different ones are `ambiguous_phone`, never a guess: a guess messages a
stranger. How a cell is written (separators, scripts, spreadsheet numbers) is the part of `phone_text`; which
numbers exist, that of `phone_patterns`.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable
from dataclasses import dataclass

from runner import phone_patterns as patterns
from runner.campaign import PhoneStyle
from runner.errors import UsageError
from runner.phone_patterns import NumberingPlan
from runner.phone_text import Step, cell_steps, is_missing_sql
from runner.sql_text import quote_identifier, quote_literal

#: E.164 allows no more digits, whatever a country's pattern says.
MAX_DIGITS = 15


@dataclass(frozen=True, slots=True, kw_only=True)
class PhoneReading:
    """What one text was read as. `phone` is the digits to message, None with a `reason`.

    `readings` are all valid readings as digits, mobile or not; two of them where it is ambiguous.
    """

    phone: str | None
    reason: str | None
    readings: tuple[str, ...]


def reading_sql(
    relation: str,
    *,
    column: str,
    column_type: str,
    region: str | None = None,
    style: PhoneStyle | None = None,
    heads: Collection[int] | None = None,
    output: str = "_phone",
) -> str:
    """Write a SELECT of all columns of `relation` and the reading of its phone `column`.

    `relation` is SQL that may stand after FROM; `column_type` is DuckDB's name of the column's type. It adds

    - `_phone` BIGINT: the digits to message; NULL with a reason;
    - `_phone_reason` VARCHAR: NULL, `missing_phone`, `invalid_phone`, `ambiguous_phone` or `not_mobile`;
    - `_phone_valid` and `_phone_other` BIGINT: the valid readings, mobile or not, NULL where there is none;
      the second only where two differ. A never-list counts both: see `readings_sql`.

    Names begin with `output`. `heads`, the answer of `heads_sql` over the same rows, keeps the statement
    small; without it every calling code is compiled in: 0.5 to 1 s before the first row, and slower rows.
    Raises UsageError for an unknown region, and for national numbers without a region.
    """
    national = _national_plan(region, style)
    codes = _codes(heads, national)
    steps = cell_steps(column, column_type) + _candidate_steps(national, style)
    for slot in _slots(national):
        steps += _international_steps(slot, codes)
    if national is not None:
        steps += _national_steps(national)
    steps += _verdict_steps((*_slots(national), *(() if national is None else ("home",))))
    helpers = ", ".join(name for step in steps for name in step)
    results = {"": "_pr_phone", "_reason": "_pr_reason", "_valid": "_pr_valid", "_other": "_pr_other"}
    names = ", ".join(f"{sql} AS {quote_identifier(output + name)}" for name, sql in results.items())
    return f"SELECT * EXCLUDE ({helpers}), {names} FROM {_layers(relation, steps)}"


def heads_sql(
    relation: str,
    *,
    column: str,
    column_type: str,
    region: str | None = None,
    style: PhoneStyle | None = None,
) -> str:
    """Write a SELECT of one column, `head`: the first three digits of the international readings, each once.

    Its answer, NULLs left out, is what `reading_sql` takes as `heads`. It costs a third of a second a million
    rows, less than compiling every calling code in.
    """
    national = _national_plan(region, style)
    steps = cell_steps(column, column_type) + _candidate_steps(national, style)
    heads = ", ".join(patterns.head_sql(f"_pr_{slot}") for slot in _slots(national))
    return f"SELECT DISTINCT unnest([{heads}]) AS head FROM {_layers(relation, steps)}"


def readings_sql(reading: str, *, output: str = "_phone") -> str:
    """Write a SELECT of one BIGINT column `phone`: all valid numbers of a `reading_sql`, mobile or not, once.

    An ambiguous cell gives both its numbers: on a never-list it stops both.
    """
    valid, other = quote_identifier(f"{output}_valid"), quote_identifier(f"{output}_other")
    each = f"SELECT unnest([{valid}, {other}]) AS phone FROM ({reading})"
    return f"SELECT DISTINCT phone FROM ({each}) WHERE phone IS NOT NULL"


def read_phone(
    text: str | None, *, region: str | None = None, style: PhoneStyle | None = None
) -> PhoneReading:
    """Read one text as a cell of a phone column is read, by the same SQL in a DuckDB of its own.

    Raises UsageError as `reading_sql` does.
    """
    import duckdb

    relation, cell = "(SELECT CAST($cell AS VARCHAR) AS cell)", {"cell": text}
    with duckdb.connect(config={"threads": 1}) as connection:
        sql = heads_sql(relation, column="cell", column_type="VARCHAR", region=region, style=style)
        heads = [head for (head,) in connection.execute(sql, cell).fetchall() if head is not None]
        sql = reading_sql(
            relation, column="cell", column_type="VARCHAR", region=region, style=style, heads=heads
        )
        ((_, phone, reason, *readings),) = connection.execute(sql, cell).fetchall()
    return PhoneReading(
        phone=None if phone is None else str(phone),
        reason=reason,
        readings=tuple(str(reading) for reading in readings if reading is not None),
    )


def _national_plan(region: str | None, style: PhoneStyle | None) -> NumberingPlan | None:
    """Return the plan that numbers without a country code follow, None where there is no region."""
    if region is None and style is PhoneStyle.NATIONAL:
        raise UsageError(
            "phone_style: national needs a region", hint="set recipient.region, for example region: ID"
        )
    plan = None if region is None else patterns.plan_of_region(region)
    if region is not None and plan is None:
        raise UsageError(
            f"{region!r} is no region with phone numbers", hint="use an ISO 3166 code such as ID"
        )
    return plan


def _codes(heads: Collection[int] | None, national: NumberingPlan | None) -> tuple[int, ...]:
    """Return the calling codes to compile in, the region's own first: most rows have it."""
    codes: set[int | None] = set(patterns.calling_codes())
    if heads is not None:
        codes = {patterns.calling_code_of(str(head)) for head in heads}
    own = national.code if national is not None else None
    return tuple(sorted((code for code in codes if code is not None), key=lambda code: (code != own, code)))


def _layers(relation: str, steps: Iterable[Step]) -> str:
    """Stack the steps as subqueries, so that each value is computed once."""
    for step in steps:
        columns = ", ".join(f"{sql} AS {name}" for name, sql in step.items())
        relation = f"(SELECT *, {columns} FROM {relation})"
    return relation


def _candidate_steps(national: NumberingPlan | None, style: PhoneStyle | None) -> list[Step]:
    """Split `_pr_read` into the digits of each reading: `_pr_intl`, `_pr_home`, `_pr_exit`; NULL for none."""
    bare = "NULL" if style is PhoneStyle.NATIONAL else "_pr_read"
    written = (
        "CASE WHEN starts_with(_pr_read, '+') THEN ltrim(_pr_read, '+') "
        "WHEN starts_with(_pr_read, '00') THEN substr(_pr_read, 3) "
        f"WHEN starts_with(_pr_read, '0') THEN NULL ELSE {bare} END"
    )
    if national is None:
        return [{"_pr_intl": written}]
    foreign = "starts_with(_pr_read, '+')"
    if style is PhoneStyle.INTERNATIONAL:
        foreign = "NOT starts_with(_pr_read, '0')"
    dialled = f"CASE WHEN {foreign} THEN NULL ELSE _pr_read END"
    return [{"_pr_written": written, "_pr_dialled": dialled}, *_exit_steps(national)]


def _exit_steps(national: NumberingPlan) -> list[Step]:
    """Tell numbers dialled abroad from national ones; no calling code starts with 0."""
    prefix = f"regexp_extract(_pr_dialled, {quote_literal(f'^(?:{national.exit_prefix})')})"
    rest = "substr(_pr_dialled, strlen(_pr_prefix) + 1)"
    last = {
        "_pr_intl": "coalesce(_pr_written, _pr_abroad)",
        "_pr_home": "CASE WHEN _pr_abroad IS NULL THEN _pr_dialled END",
    }
    if _exit_competes(national):
        last["_pr_exit"] = "CASE WHEN _pr_written <> _pr_abroad THEN _pr_abroad END"
    return [
        {"_pr_prefix": prefix},
        {"_pr_abroad": f"CASE WHEN _pr_prefix <> '' AND NOT starts_with({rest}, '0') THEN {rest} END"},
        last,
    ]


def _exit_competes(national: NumberingPlan) -> bool:
    """Tell whether a number dialled abroad may read otherwise as an international one.

    Not where the exit prefix is 00 itself, nor where it begins with a single 0 (`010`), as no code does.
    """
    return re.fullmatch(r"00|0[1-9]\d*", national.exit_prefix) is None


def _slots(national: NumberingPlan | None) -> tuple[str, ...]:
    """Name the readings that start with a calling code, any calling code."""
    return ("intl", "exit") if national is not None and _exit_competes(national) else ("intl",)


def _international_steps(slot: str, codes: tuple[int, ...]) -> list[Step]:
    """From digits that start with a calling code to `_pr_<slot>_number`, canonical, and `_pr_<slot>_kind`."""
    digits, head, removed, number = (f"_pr_{slot}{part}" for part in ("", "_head", "_removed", "_number"))

    def prefix_removed(code: int) -> str | None:
        return patterns.prefix_removed_sql(digits, patterns.plans_of_code(code)[0])

    def canonical(code: int) -> str | None:
        plan = patterns.plans_of_code(code)[0]
        return None if plan.prefix is None else patterns.canonical_sql(digits, removed, plan)

    def kind(code: int) -> str:
        return patterns.kind_sql(number, code)

    choose = patterns.by_calling_code_sql
    shorter = choose(head, codes, canonical, digits)
    return [
        {head: patterns.head_sql(digits)},
        {removed: choose(head, codes, prefix_removed, "NULL")},
        {number: f"CASE WHEN {removed} IS NULL THEN {digits} ELSE {shorter} END"},
        {f"_pr_{slot}_kind": choose(head, codes, kind, str(patterns.NOT_VALID))},
    ]


def _national_steps(plan: NumberingPlan) -> list[Step]:
    """From digits as dialled within a region to `_pr_home_number` and `_pr_home_kind`.

    As phonenumbers has it, digits that make a national number only when the region's own calling code is
    taken off are read so (`_pr_home_coded`); then the code's main region says what a national prefix is.
    """
    code, main = str(plan.code), patterns.plans_of_code(plan.code)[0]
    inner = _canonical("_pr_home", "_pr_home_cut", plan, check_length=False)
    general = (
        f"NOT {patterns.is_general_sql('_pr_home', plan, with_code=False)} "
        f"AND {patterns.is_general_sql('_pr_home_inner', plan, with_code=True)}"
    )
    coded = f"_pr_home_inner IS NOT NULL AND (strlen(_pr_home) > {max(plan.lengths)} OR ({general}))"
    removed = {one: patterns.prefix_removed_sql("_pr_home_start", one) or "NULL" for one in (main, plan)}
    number = {one: _canonical("_pr_home_start", "_pr_home_removed", one) for one in (main, plan)}
    kind = patterns.kind_sql("_pr_home_number", plan.code)
    known = f"_pr_home_number IS NULL OR _pr_home_number = _pr_intl_number THEN {patterns.NOT_VALID}"
    return [
        {"_pr_home_own": f"CASE WHEN starts_with(_pr_home, '{code}') THEN _pr_home END"},
        {"_pr_home_cut": patterns.prefix_removed_sql("_pr_home_own", plan) or "NULL"},
        {"_pr_home_inner": f"CASE WHEN _pr_home_own IS NOT NULL THEN {inner} END"},
        {"_pr_home_coded": coded},
        {"_pr_home_start": f"CASE WHEN _pr_home_coded THEN _pr_home_inner ELSE '{code}' || _pr_home END"},
        {"_pr_home_removed": f"CASE WHEN _pr_home_coded THEN {removed[main]} ELSE {removed[plan]} END"},
        {"_pr_home_number": f"CASE WHEN _pr_home_coded THEN {number[main]} ELSE {number[plan]} END"},
        # The international reading has given the verdict where both are one number.
        {"_pr_home_kind": f"CASE WHEN {known} ELSE {kind} END"},
    ]


def _canonical(number: str, removed: str, plan: NumberingPlan, *, check_length: bool = True) -> str:
    """Choose between a number and the same without its national prefix, NULL where it has none."""
    chosen = patterns.canonical_sql(number, removed, plan, check_length=check_length)
    return f"CASE WHEN {removed} IS NULL THEN {number} ELSE {chosen} END"


def _verdict_steps(readings: tuple[str, ...]) -> list[Step]:
    """Weigh the readings: the phone, the reason, and the valid numbers."""
    mobile = {f"_pr_{one}_mobile": _number_of_kind(one, patterns.MOBILE) for one in readings}
    valid = {f"_pr_{one}_valid": _number_of_kind(one, patterns.VALID) for one in readings}
    names = [*mobile, *valid]
    differ = (f"{one} <> {two}" for index, one in enumerate(mobile) for two in list(mobile)[index + 1 :])
    ambiguous = " OR ".join(f"coalesce({one}, FALSE)" for one in differ)
    others = ", ".join(f"nullif({one}, _pr_valid)" for one in names)
    reason = (
        "CASE WHEN _pr_ambiguous THEN 'ambiguous_phone' "
        f"WHEN coalesce({', '.join(mobile)}) IS NOT NULL THEN NULL "
        "WHEN _pr_valid IS NOT NULL THEN 'not_mobile' "
        f"WHEN {is_missing_sql()} THEN 'missing_phone' ELSE 'invalid_phone' END"
    )
    return [
        mobile | valid,
        {"_pr_ambiguous": ambiguous or "FALSE", "_pr_valid": f"coalesce({', '.join(names)})"},
        {"_pr_reason": reason, "_pr_other": f"coalesce({others})"},
        {"_pr_phone": "CASE WHEN _pr_reason IS NULL THEN _pr_valid END"},
    ]


def _number_of_kind(reading: str, kind: int) -> str:
    """Return a reading's number as BIGINT if it is of this kind, else NULL."""
    number = f"_pr_{reading}_number"
    fits = f"_pr_{reading}_kind = {kind} AND strlen({number}) <= {MAX_DIGITS}"
    return f"CASE WHEN {fits} THEN CAST({number} AS BIGINT) END"
